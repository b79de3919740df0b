"""Runbooks: every command that one shows works as it stands there, on a real cluster."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.brokers.kafka.topics import producer
from stream.cli import app
from stream.contract.records import Record
from stream.contract.settings import Wiring
from tests.conftest import ROOT, Running
from tests.fleet.test_fleet import heard, quiet
from tests.support.fleet_signals import signal
from tests.test_docs import console_lines

RUNBOOKS = sorted(ROOT.glob("docs/runbooks/*.md"))
# What a command of a sound cluster may end with: 1 where it tells that something is amiss, as `doctor` and `slo` do.
ENDS = {"doctor": {0, 1}, "slo": {0, 1}, "topics": {0, 1}, "check": {0, 1}}
NOBODY = "h-042"  # a home that is in no test's cluster: it is told so


def test_every_page_has_commands_and_is_named_by_the_index() -> None:
    index = (ROOT / "docs/runbooks/README.md").read_text()
    for page in RUNBOOKS:
        if page.name != "README.md":
            assert list(console_lines(page)), page.name
            assert f"({page.name})" in index


def test_every_command_of_a_runbook_works(
    kafka: Running, redis_url: str, topics: Callable[..., str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring = Wiring(broker=f"confluent://{kafka.bootstrap}", store=redis_url, prefix=topics(1))
    given = {"BROKER": wiring.broker, "STORE": redis_url, "PREFIX": wiring.prefix, "GROUP": f"{wiring.prefix}g"}
    for name, value in given.items():
        monkeypatch.setenv(f"KITHKIN_{name}", value)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "letters.jsonl").write_text('{"topic": "recognitions", "key": "h", "value": {"v": 2}}\n')
    alert = heard([*quiet(), signal("h", 12.0)], until_hours=6)[1][0].model_copy(update={"alert_id": "a-5d34403f18e74dd1"})
    with producer(wiring) as sender:
        sender.send(Record("drift-alerts", 0, 0, 0, alert.alert_id.encode(), alert.model_dump_json().encode()))
    shown = {tuple(words) for page in RUNBOOKS for words in console_lines(page) if words[0] == "kithkin"}
    assert len(shown) > 12
    for words in sorted(shown):
        ended = CliRunner().invoke(app, list(words[1:]))
        if NOBODY in words:
            assert NOBODY in ended.output
        else:
            assert ended.exit_code in ENDS.get(words[1], {0}), (words, ended.output)
