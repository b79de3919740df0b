"""Subscribers: typed alerts from a real Kafka, filtered, each state once; the command's table, lines and webhook."""

import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import StringIO
from itertools import islice
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import CommitFailedError, RebalanceInProgressError
from rich.console import Console
from typer.testing import CliRunner

from stream.brokers.kafka.topics import producer
from stream.cli import app
from stream.cli.live.alerts import line_of, show
from stream.contract.errors import ConfigError
from stream.contract.records import Alert, Record
from stream.contract.settings import Wiring
from stream.fleet.state import Fleet
from stream.ops.local_cluster.processes import until
from stream.runtime import subscription
from stream.runtime.fleet.subscribe import Only, subscribe
from stream.runtime.fleet.webhook import DeliveryError, RetryPolicy, Webhook, cloud_event
from tests.conftest import ROOT, Running
from tests.fleet.test_fleet import firmware, heard, quiet
from tests.support.fleet_signals import signal

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def published() -> list[Alert]:
    """A home's alert, then a firmware's, which grew, then the end of the first."""
    fleet = Fleet()
    alerts: list[Alert] = []
    for told, hours in (
        ([*quiet(), signal("h", 12.0)], 6),
        (firmware(0.3, 6.0, hours=7), 12),
        ([*firmware(0.9, 6.0, hours=13), signal("h", -1.0, 13)], 48),
    ):
        alerts += heard(told, hours, fleet)[1]
    assert [(alert.cause_kind, alert.state) for alert in alerts] == [
        ("device", "opened"), ("firmware", "opened"), ("device", "resolved"), ("firmware", "updated"),
    ]  # fmt: skip
    return alerts


@pytest.fixture
def wiring(kafka: Running, topics: Callable[..., str]) -> Wiring:
    prefix = topics(1)
    return Wiring(broker=f"kafka://{kafka.bootstrap}", prefix=prefix)


def publish(wiring: Wiring, alerts: Sequence[Alert], **more: Any) -> None:
    with producer(wiring) as sender:
        for alert in alerts:
            value = json.dumps(alert.model_dump() | more).encode()
            sender.send(Record("drift-alerts", 0, 0, alert.updated_at, alert.alert_id.encode(), value))


def states(alerts: Iterator[Alert]) -> list[tuple[str, int]]:
    return [(alert.cause_kind, alert.revision) for alert in alerts]


# ---- subscribing


def test_a_subscriber_has_each_state_once_in_the_order_it_was_published(wiring: Wiring, published: list[Alert]) -> None:
    publish(wiring, [*published, *published[1:], published[0]])
    assert list(subscribe(wiring)) == published


def test_a_group_goes_on_after_what_was_dealt_with(wiring: Wiring, published: list[Alert]) -> None:
    publish(wiring, published)
    first = subscribe(wiring, group=f"{wiring.prefix}g")
    assert list(islice(first, 2)) == published[:2]
    first.close()  # as by a kill, with its second alert in hand
    assert list(subscribe(wiring, group=f"{wiring.prefix}g")) == published[1:]
    assert list(subscribe(wiring, group=f"{wiring.prefix}g")) == []


def test_what_a_subscriber_has_seen_does_not_come_again(wiring: Wiring, published: list[Alert]) -> None:
    publish(wiring, published)
    seen = {published[0].alert_id: 0, published[1].alert_id: 1}
    assert list(subscribe(wiring, seen=seen)) == [published[2]]


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        (Only(causes=frozenset({"firmware"})), [("firmware", 0), ("firmware", 1)]),
        (Only(severities=frozenset({"low"})), []),
        (Only(household="h"), [("device", 0), ("device", 1)]),
        (Only(household="f-1"), [("firmware", 0), ("firmware", 1)]),
        (Only(attributes={"firmware": "2.1"}), [("firmware", 0), ("firmware", 1)]),
        (Only(attributes={"firmware": "1.7"}), []),
    ],
    ids=["cause", "severity", "household", "member", "attribute", "other attribute"],
)
def test_only_what_is_wanted_comes(only: Only, expected: list[tuple[str, int]], published: list[Alert]) -> None:
    assert states(alert for alert in published if only.wants(alert)) == expected


def test_only_what_changed_since_then_comes(published: list[Alert]) -> None:
    assert [alert for alert in published if Only(since_ms=published[2].updated_at).wants(alert)] == published[2:]


def test_fields_of_a_later_version_and_tombstones_do_no_harm(wiring: Wiring, published: list[Alert]) -> None:
    with producer(wiring) as sender:
        sender.send(Record("drift-alerts", 0, 0, 0, b"a-gone", None))
    publish(wiring, published[:1], colour="red")
    assert list(subscribe(wiring)) == published[:1]


def test_a_topic_that_is_not_there_is_the_operators_fault(wiring: Wiring) -> None:
    with pytest.raises(ConfigError, match=r"nobody\.drift-alerts"):
        list(subscribe(wiring.model_copy(update={"prefix": "nobody."})))


def test_the_subscriber_of_the_documentation_works(
    wiring: Wiring, published: list[Alert], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(wiring, [published[0], published[1].model_copy(update={"severity": "high"})])
    monkeypatch.setenv("KITHKIN_BROKER", wiring.broker)
    monkeypatch.setenv("KITHKIN_PREFIX", wiring.prefix)
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/alerts.md").read_text("utf-8"), re.DOTALL)
    exec(compile(example, "docs/alerts.md", "exec"), {})
    alert = published[1]
    assert capsys.readouterr().out == f"{alert.alert_id}/0 opened: {alert.summary} Roll back firmware 2.1.\n"


# ---- the command


def run(wiring: Wiring, *flags: str) -> Any:
    return CliRunner().invoke(app, ["alerts", "--broker", wiring.broker, "--prefix", wiring.prefix, *flags])


def test_a_pipe_gets_a_line_for_each_change(wiring: Wiring, published: list[Alert]) -> None:
    publish(wiring, published)
    told = run(wiring, "--attribute", "firmware=2.1")
    assert (told.exit_code, told.stdout.splitlines()) == (0, [line_of(published[1]), line_of(published[3])])
    assert "\x1b" not in told.stdout


def test_as_json_every_state_is_a_line(wiring: Wiring, published: list[Alert]) -> None:
    publish(wiring, published)
    assert [Alert.model_validate_json(line) for line in run(wiring, "--json").stdout.splitlines()] == published


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["--cause", "device"], [0, 2]),
        (["--severity", "high"], [1, 3]),
        (["--household", "h", "--severity", "medium"], [0, 2]),
        (["--since", "2025-11-21T18:00"], [2, 3]),
        (["--since", "1m"], []),
    ],
    ids=lambda told: " ".join(map(str, told)),
)
def test_of_all_changes_those_that_were_asked_for_are_told(
    flags: list[str], expected: list[int], wiring: Wiring, published: list[Alert]
) -> None:
    publish(wiring, published)
    assert run(wiring, *flags).stdout.splitlines() == [line_of(published[number]) for number in expected]


def test_changes_are_followed_as_they_come(wiring: Wiring, published: list[Alert], tmp_path: Path) -> None:
    said = tmp_path / "said"
    follow = [sys.executable, "-m", "stream.cli", "alerts", "--follow", "--json"]
    with said.open("w") as output:
        process = subprocess.Popen([*follow, "--broker", wiring.broker, "--prefix", wiring.prefix], stdout=output)
    try:
        for number, alert in enumerate(published, 1):
            publish(wiring, [alert])
            assert until(lambda count=number: said.read_text().count("\n") == count, PATIENCE_S)
    finally:
        process.send_signal(SIGINT)
        assert process.wait(PATIENCE_S) == 0
    assert [Alert.model_validate_json(line) for line in said.read_text().splitlines()] == published


def test_a_severity_that_there_is_not_is_refused(wiring: Wiring) -> None:
    told = run(wiring, "--severity", "grave")
    assert told.exit_code == 2
    assert "low, medium or high" in told.stderr


def test_an_attribute_without_a_value_is_refused(wiring: Wiring) -> None:
    told = run(wiring, "--attribute", "firmware")
    assert told.exit_code == 2
    assert "firmware=2.1" in told.stderr


def test_a_terminal_has_the_newest_state_of_each_what_stands_first(published: list[Alert]) -> None:
    console = Console(width=160, force_terminal=True, color_system="truecolor", record=True, file=StringIO())
    show(iter(published), console, live=False)
    text = console.export_text()
    assert text.index("Roll back firmware 2.1.") < text.index("resolved")
    assert "opened" not in text


def test_a_live_table_has_the_colour_of_severity_and_changes_with_each_alert(published: list[Alert]) -> None:
    console = Console(width=160, force_terminal=True, color_system="truecolor", file=StringIO())
    show(iter(published[:2]), console, live=True)
    drawn = console.file.getvalue()
    assert f"\x1b[33m{published[0].summary}" in drawn
    assert f"\x1b[1;31m{published[1].summary}" in drawn
    assert drawn.count(published[0].summary) >= 2


# ---- the webhook


class Receiver:
    """Answers posts with statuses one after the other, at last with 204 for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.had = list(statuses), list[tuple[str, dict[str, Any]]]()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                receiver.had.append((self.headers["Content-Type"], body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/alerts"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Callable[..., Receiver]]:
    made: list[Receiver] = []

    def make(*statuses: int) -> Receiver:
        made.append(Receiver(*statuses))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_cloud_event_has_what_the_standard_wants(published: list[Alert]) -> None:
    event = cloud_event(published[1], "kithkin/prod.")
    assert {"specversion", "id", "source", "type"} <= event.keys()
    assert (event["specversion"], event["type"]) == ("1.0", "kithkin.drift.alert.opened")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"])
    assert Alert(**event["data"]) == published[1]
    assert len({cloud_event(alert, "s")["id"] for alert in published}) == len(published)


def test_what_may_pass_is_tried_again_at_growing_intervals(published: list[Alert], receiver: Callable[..., Receiver]) -> None:
    there, pauses = receiver(503, 429, 500), list[float]()
    Webhook(there.url, "kithkin", RetryPolicy(pause_s=1.0), pauses.append).post(published[0])
    assert [event["id"] for _, event in there.had] == [f"{published[0].alert_id}/0"] * 4
    assert {kind for kind, _ in there.had} == {"application/cloudevents+json; charset=utf-8"}
    assert [0.5 <= pauses[0] <= 1, 1 <= pauses[1] <= 2, 2 <= pauses[2] <= 4] == [True] * 3


def test_what_never_passes_is_given_up(published: list[Alert], receiver: Callable[..., Receiver]) -> None:
    there = receiver(*[503] * 9)
    with pytest.raises(DeliveryError, match="after 3 attempts"):
        Webhook(there.url, "kithkin", RetryPolicy(attempts=3), lambda _: None).post(published[0])
    assert len(there.had) == 3
    there.close()
    with pytest.raises(DeliveryError, match="after 2 attempts"):
        Webhook(there.url, "kithkin", RetryPolicy(attempts=2), lambda _: None).post(published[0])


def test_what_no_waiting_heals_is_not_tried_again(published: list[Alert], receiver: Callable[..., Receiver]) -> None:
    there = receiver(404)
    with pytest.raises(DeliveryError, match="HTTP 404"):
        Webhook(there.url, "kithkin", sleep=lambda _: pytest.fail("it waited")).post(published[0])


@pytest.mark.parametrize("url", ["pager.example", "file:///etc/passwd", "https://"])
def test_what_is_no_address_to_post_to_is_the_operators_fault(url: str) -> None:
    with pytest.raises(ConfigError, match="webhook"):
        Webhook(url, "kithkin")


def test_the_command_posts_every_change_and_goes_on_where_it_failed(
    wiring: Wiring, published: list[Alert], receiver: Callable[..., Receiver]
) -> None:
    publish(wiring, published)
    there = receiver(204, 410)
    flags = ("--webhook", there.url, "--group", f"{wiring.prefix}hook")
    failed, then = run(wiring, *flags), run(wiring, *flags)
    assert (failed.exit_code, then.exit_code) == (1, 0)
    assert "HTTP 410" in failed.stderr
    assert [event["id"] for _, event in there.had] == [
        f"{alert.alert_id}/{alert.revision}" for alert in (published[0], published[1], *published[1:])
    ]


def test_every_word_of_the_documentation_about_states_is_one(published: list[Alert]) -> None:
    page = Path(ROOT / "docs/alerts.md").read_text("utf-8")
    told = set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE))
    assert told == set(Alert.model_json_schema()["properties"]["state"]["enum"])


@pytest.mark.parametrize("fault", [CommitFailedError, RebalanceInProgressError])
def test_a_place_that_cannot_be_written_down_while_the_group_changes_ends_nobody(fault: type[Exception]) -> None:
    class Changing:
        def commit(self, places: object) -> None:
            raise fault

    subscription._commit(Changing(), TopicPartition("drift-alerts", 0), 7)
