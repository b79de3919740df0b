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
from stream.offline.compare.answered import read_answers
from stream.offline.compare.comparison import judges, questions_of
from stream.offline.compare.ground import Ground
from stream.offline.replay.replay import Replay, replay
from stream.offline.replay.report import HOMES_MAX, replay_report
from stream.offline.simulation.sample import Sample, write_sample
from stream.offline.what_if.what_if import NOTHING
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
    assert drawn["by"] == "feedback"


def test_of_a_household_that_is_named_there_is_nothing_but_that(run: Path) -> None:
    first, *others = sorted({value["household_id"] for value in values(run, "identities")})
    drawn = shown(replay_report(run, run / "one.html", [first]))
    assert [home["id"] for home in drawn["homes"]] == [first]
    assert others
    assert len(others) < HOMES_MAX


def test_a_page_of_a_sample_is_judged_by_what_people_said_and_by_truth_where_it_is_given(tmp_path: Path) -> None:
    written = write_sample(Sample(homes=3, days=14, seed=0), tmp_path / "try")
    replay(Replay([str(written.log)], tmp_path / "out", Policy(), Wiring()))
    said = shown(replay_report(tmp_path / "out", tmp_path / "said.html"))
    known = shown(replay_report(tmp_path / "out", tmp_path / "known.html", truth=written.truth))
    assert (said["by"], known["by"]) == ("feedback", "truth")
    assert "they agreed with" in said["headline"]
    assert "the right person came first" in known["headline"]
    assert all("(95 %: " in page["headline"] for page in (said, known))
    assert {"agreed with"} <= {tile["name"] for tile in known["tiles"]}
    ground = Ground([str(written.log)], Wiring(), None, NOTHING)
    questions = questions_of(ground, written.truth)
    [by_truth, _] = judges(questions, [read_answers(tmp_path / "out", questions)])
    assert sum(home["judged"] for home in known["homes"]) == len(by_truth.rows)
    assert [one["name"] for one in known["tiers"]] == ["present", "personal", "private", "purchase"]
    made = dict(known["made"][1][1])
    assert (made["policy_id"], made["settings"]) == (Policy().policy_id, "the defaults")
    with pytest.raises(ConfigError, match="the truth of this very log"):
        replay_report(tmp_path / "out", tmp_path / "p.html", truth=other_truth(tmp_path))


def other_truth(folder: Path) -> Path:
    file = folder / "other.jsonl"
    file.write_text(json.dumps({"household_id": "h", "event_id": "e", "person_id": "p"}) + "\n")
    return file


def test_of_many_homes_the_worst_are_on_the_page_and_the_figures_are_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = write_sample(Sample(homes=6, days=10, seed=3), tmp_path / "try")
    replay(Replay([str(written.log)], tmp_path / "out", Policy(), Wiring()))
    whole = shown(replay_report(tmp_path / "out", tmp_path / "all.html", truth=written.truth))
    assert len(whole["worst"]) >= 2
    monkeypatch.setattr("stream.offline.replay.report.HOMES_MAX", 2)
    part = shown(replay_report(tmp_path / "out", tmp_path / "two.html", truth=written.truth))
    assert [home["id"] for home in part["homes"]] == sorted(whole["worst"][:2])
    for figure in ("headline", "calibration", "tiers", "tally"):
        assert part[figure] == whole[figure]


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
