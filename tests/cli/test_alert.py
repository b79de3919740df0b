"""One alert on the command line: shown whole, and answered through a real fleet stage."""

import subprocess
import sys
from pathlib import Path

import pytest

from stream.brokers.kafka.topics import producer
from stream.cli.operate.answer import _describe
from stream.contract.records import Alert, Record
from stream.contract.settings import Wiring
from stream.fleet.texts import KNOWN_CAUSES, runbook_of
from stream.ops.local_cluster.processes import until
from tests.conftest import ROOT
from tests.fleet.test_fleet import command, heard, obey, quiet
from tests.runtime.test_fleet_service import PATIENCE_S, alerts, stage, wiring
from tests.support.fleet_signals import signal

__all__ = ["wiring"]  # a fixture


def kithkin(wired: Wiring, *words: str) -> subprocess.CompletedProcess[str]:
    told = [sys.executable, "-m", "stream.cli", "alerts", *words, "--broker", wired.broker, "--prefix", wired.prefix]
    return subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=False, timeout=PATIENCE_S)


def test_an_alert_is_told_whole() -> None:
    fleet, (opened,) = heard([*quiet(), signal("h", 12.0, evidence={"device": 0.75, "person": 0.25})], until_hours=6)
    (seen,) = obey(fleet, command(opened, "acknowledge"))
    told = "\n".join(_describe([opened, seen]))
    for words in (
        opened.alert_id, "acknowledged, medium", opened.summary, opened.suggested_action, "home          h", "in hand of    ops",
        "docs/runbooks/drift-device.md", "12.0 nats: 162,755 times likelier", "ops has it in hand.",
    ):  # fmt: skip
        assert words in told
    bars = [line for line in told.splitlines() if "█" in line]
    assert [line.split()[0] for line in bars] == ["device", "person"]
    assert bars[0].count("█") == 3 * bars[1].count("█")
    assert max(map(len, told.splitlines())) <= 100


def test_every_cause_has_a_runbook() -> None:
    pages = {runbook_of(cause) for cause in (*KNOWN_CAUSES, "an attribute of somebody's")}
    assert [page for page in pages if not (ROOT / "docs/runbooks" / page).is_file()] == []


@pytest.mark.timeout(600)
def test_an_alert_is_shown_acknowledged_silenced_and_resolved(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    wired: Wiring = request.getfixturevalue("wiring")
    told = [*quiet(), signal("h", 12.0, person_id="alice", kind="person", device_id=None), *quiet(4, hours=8)]
    with producer(wired) as sender:
        for one in told:
            sender.send(Record("drift-signals", 0, 0, 0, one.household_id.encode(), one.model_dump_json().encode()))
    with stage(wired, tmp_path) as server:
        assert until(lambda: not server.running or bool(alerts(wired)), PATIENCE_S), server.last_words
        name = alerts(wired)[0]["alert_id"]
        shown = kithkin(wired, "show", name[:6])
        assert (shown.returncode, "Re-enrol alice." in shown.stdout) == (0, True), shown.stderr
        for words, changed in (
            (["ack", name, "--by", "maria"], "maria has it in hand."),
            (["silence", name, "--for", "3d", "--by", "maria"], "Silenced by maria for 72 hours."),
            (["resolve", name, "--by", "maria"], "Ended: maria resolved it."),
        ):
            done = kithkin(wired, *words)
            assert (done.returncode, done.stdout.strip()[-len(changed) :]) == (0, changed), done.stderr
    assert [Alert(**alert).change for alert in alerts(wired)] == [
        None, "maria has it in hand.", "Silenced by maria for 72 hours.", "Ended: maria resolved it.",
    ]  # fmt: skip
    again = kithkin(wired, "ack", name)
    assert (again.returncode, "one that stands" in again.stderr) == (2, True)
    other = kithkin(wired, "show", "a-nobody")
    assert (other.returncode, "the id of an alert" in other.stderr) == (2, True)
