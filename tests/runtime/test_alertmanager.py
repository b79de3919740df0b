"""A real Alertmanager is told what stands: under labels that say which alert it is, for as long as it stands."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from typer.testing import CliRunner

from stream.brokers.kafka.topics import producer
from stream.cli import app
from stream.contract.errors import ConfigError
from stream.contract.records import Alert, Record
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import Server, free_ports, until
from stream.runtime.fleet.alertmanager import Alertmanager, describe_alert
from stream.runtime.fleet.webhook import DeliveryError, RetryPolicy
from tests.conftest import Running
from tests.ops.deployment.tools import program

PATIENCE_S = 60.0
AT_MS = 1_763_690_000_000
OPENED = Alert(
    alert_id="a-1", household_id="h-1", state="opened", cause_kind="device", opened_at=AT_MS, updated_at=AT_MS, severity="medium",
    summary="It changed.", suggested_action="Look at it.", members=["h-1"], evidence={}, revision=0,
)  # fmt: skip
ACKNOWLEDGED = {"state": "updated", "revision": 1, "acknowledged_by": "maria", "change": "maria has it in hand."}
SEEN = OPENED.model_copy(update=ACKNOWLEDGED)
ENDED = SEEN.model_copy(update={"state": "resolved", "revision": 2, "updated_at": AT_MS + 60_000, "change": "Ended: dealt with."})


@contextmanager
def alertmanager(folder: Path, listen: str) -> Iterator[Server]:
    """With nobody to tell, and no memory of an earlier one."""
    folder.mkdir()
    (folder / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    flags = [f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'kept'}", "--cluster.listen-address="]
    server = Server([program("prometheus-alertmanager"), *flags, f"--web.listen-address={listen}"], folder / "log")
    try:
        assert until(lambda: not server.running or standing(listen) is not None, PATIENCE_S)
        assert server.running, server.last_words
        yield server
    finally:
        server.stop(10)


def standing(listen: str) -> list[dict[str, Any]] | None:
    """None: it does not answer."""
    try:
        with urlopen(f"http://{listen}/api/v2/alerts", timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)
            return found
    except OSError:
        return None


@pytest.fixture
def listen() -> str:
    return f"127.0.0.1:{free_ports(1)[0]}"


def labels(listen: str) -> list[dict[str, str]]:
    return [alert["labels"] for alert in standing(listen) or []]


def test_what_stands_stands_there_and_ends_there(listen: str, tmp_path: Path) -> None:
    own = {"alertname": "KithkinDrift", "alert_id": "a-1", "cause": "device", "severity": "medium", "household": "h-1"}
    with alertmanager(tmp_path / "one", listen):
        manager = Alertmanager(f"http://{listen}/", "https://wiki.example/")
        manager.post(OPENED)
        assert labels(listen) == [own]
        manager.post(SEEN)
        (told,) = standing(listen) or []
        assert told["labels"] == own
        assert told["startsAt"] == "2025-11-21T01:53:20.000Z"
        assert told["annotations"] == {
            "summary": "It changed.", "description": "Look at it.", "change": "maria has it in hand.", "acknowledged_by": "maria",
            "runbook_url": "https://wiki.example/drift-device.md",
        }  # fmt: skip
        manager.post(SEEN.model_copy(update={"severity": "high", "revision": 2}))
        assert until(lambda: labels(listen) == [own | {"severity": "high"}], PATIENCE_S), labels(listen)
        manager.post(ENDED.model_copy(update={"severity": "high", "revision": 3}))
        assert until(lambda: labels(listen) == [], PATIENCE_S), labels(listen)
        manager.post(ENDED)  # nobody knows of it any more
        manager.repeat()
        assert labels(listen) == []


def test_one_that_forgot_everything_is_told_again(listen: str, tmp_path: Path) -> None:
    manager = Alertmanager(f"http://{listen}", "", RetryPolicy(attempts=1))
    with alertmanager(tmp_path / "one", listen):
        manager.post(OPENED)
        manager.post(ENDED.model_copy(update={"alert_id": "a-2"}))
    with pytest.raises(DeliveryError, match=f"1 alerts for http://{listen} was not taken"):
        manager.repeat()
    with alertmanager(tmp_path / "two", listen), manager.keep_repeating(0.1):
        assert until(lambda: bool(labels(listen)), PATIENCE_S)
        assert [one["alert_id"] for one in labels(listen)] == ["a-1"]


def test_the_command_tells_what_stands(kafka: Running, topics: Callable[..., str], listen: str, tmp_path: Path) -> None:
    prefix = topics(1)
    wired = Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=prefix)
    with producer(wired) as sender:
        for alert in (OPENED, SEEN, ENDED, OPENED.model_copy(update={"alert_id": "a-2"})):
            sender.send(Record("drift-alerts", 0, 0, AT_MS, alert.alert_id.encode(), alert.model_dump_json().encode()))
    flags = ["--broker", wired.broker, "--prefix", prefix, "--alertmanager", f"http://{listen}"]
    with alertmanager(tmp_path / "one", listen):
        ended = CliRunner().invoke(app, ["alerts", *flags])
        assert ended.exit_code == 0, ended.output
        assert until(lambda: [one["alert_id"] for one in labels(listen)] == ["a-2"], PATIENCE_S), labels(listen)
    refused = CliRunner().invoke(app, ["alerts", *flags, "--group", "pager"])
    assert (refused.exit_code, "left out with --alertmanager" in refused.output) == (2, True)


def test_a_clock_that_is_ahead_makes_no_alert_of_tomorrow() -> None:
    told = describe_alert(ENDED, "", AT_MS - 5_000)
    assert told["startsAt"] == told["endsAt"] == "2025-11-21T01:53:15.000Z"
    assert describe_alert(OPENED, "", AT_MS - 5_000)["endsAt"] == "2025-11-22T01:53:15.000Z"


@pytest.mark.parametrize("url", ["127.0.0.1:9093", "http://here:99999", "ftp://here"])
def test_an_address_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"--alertmanager.*a URL such as http://127\.0\.0\.1:9093; ports are 1 to 65535"):
        Alertmanager(url, "")
