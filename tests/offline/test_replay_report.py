"""`kithkin report`: what a replay wrote, as a page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.brokers.files import LogProgress
from stream.brokers.log_files import InvalidLog
from stream.cli import app
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay
from stream.offline.replay.report import HOMES_MAX, replay_report
from tests.support.recorded import recorded_lines, write_log


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write_log(tmp_path / "log.jsonl", recorded_lines())


@pytest.fixture
def run(log: str, tmp_path: Path) -> Path:
    replay(Replay([log], tmp_path / "run", Policy(), Wiring()))
    return tmp_path / "run"


def shown(page: Path) -> dict[str, Any]:
    """What the page draws."""
    found = re.search(r"const run = (\{.*?\});?\n", page.read_text("utf-8"))
    assert found is not None
    return dict(json.loads(found[1].replace("<\\/", "</")))


def values(run: Path, topic: str) -> list[dict[str, Any]]:
    return [json.loads(line)["value"] for line in (run / f"{topic}.jsonl").read_bytes().splitlines()]


def test_every_answered_recognition_of_a_replay_is_on_its_page(run: Path) -> None:
    drawn = shown(replay_report(run, run / "report.html"))
    answered = {(value["household_id"], value["event_id"]) for value in values(run, "identities")}
    assert sum(len(home["events"]) for home in drawn["homes"]) == len(answered) > 0
    assert {home["id"] for home in drawn["homes"]} >= {household for household, _ in answered}
    assert not drawn["judged"]


def test_of_a_household_that_is_named_there_is_nothing_but_that(run: Path) -> None:
    first, *others = sorted({value["household_id"] for value in values(run, "identities")})
    drawn = shown(replay_report(run, run / "one.html", [first]))
    assert [home["id"] for home in drawn["homes"]] == [first]
    assert others
    assert len(others) < HOMES_MAX


def test_a_report_changes_nothing_of_the_replay(run: Path) -> None:
    before = {path: path.read_bytes() for path in run.iterdir()}
    replay_report(run, run / "report.html")
    assert {path: path.read_bytes() for path in run.iterdir() if path.name != "report.html"} == before


def test_what_cannot_be_shown_is_told(run: Path, log: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no replay"):
        replay_report(tmp_path / "nothing", tmp_path / "page.html")
    with pytest.raises(ConfigError, match="nobody-lives-here"):
        replay_report(run, tmp_path / "page.html", ["nobody-lives-here"])
    Path(log).unlink()
    with pytest.raises(InvalidLog, match="cannot be opened"):
        replay_report(run, tmp_path / "page.html")
    progress = LogProgress.read(run)
    assert progress is not None
    progress.run["logs"] = "-"
    (run / ".progress.json").write_bytes(json.dumps({"run": progress.run}).encode())
    with pytest.raises(ConfigError, match="standard input"):
        replay_report(run, tmp_path / "page.html")
    assert not (tmp_path / "page.html").exists()


def test_the_command_says_where_the_page_is(run: Path) -> None:
    told = CliRunner().invoke(app, ["report", str(run)])
    assert told.exit_code == 0
    assert str(run / "report.html") in told.output.replace("\n", "")
    assert (run / "report.html").exists()
