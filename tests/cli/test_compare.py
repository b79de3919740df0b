"""`kithkin compare` and the what-if of `kithkin replay`, as they are typed."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_cli import plain, run
from tests.support.recorded import recorded_lines, write_log

OTHERWISE = (
    "--feedback-delay", "6h", "--feedback-loss", ".3", "--drop-modality", "face=.5", "--inject", "microphone:kitchen@+2d",
)  # fmt: skip


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sample, and three policies."""
    folder = tmp_path_factory.mktemp("tried") / "try"
    run("sample", folder, "--homes", "6", "--days", "6")
    (folder / "live.toml").write_text("")
    (folder / "wary.toml").write_text("[priors]\nguest_share = 0.5\nguest_weight = 400.0\n")
    (folder / "bold.toml").write_text("[tiers]\npersonal = 0.91\n")
    return folder


def compared(tried: Path, *more: str) -> dict[str, Any]:
    policies = [tried / f"{name}.toml" for name in ("live", "wary", "bold")]
    found = run("compare", *policies, tried / "log.jsonl", "--truth", tried / "truth.jsonl", "--json", *more)
    return json.loads(found.splitlines()[-1])


def test_it_says_in_a_sentence_which_is_better_and_which_homes_pay_for_it(tried: Path) -> None:
    told = plain(run("compare", tried / "live.toml", tried / "wary.toml", tried / "log.jsonl", "--truth", tried / "truth.jsonl"))
    assert "wary and live cannot be told apart by top-1" in told or "wary is" in told or "as often as live" in told
    assert "of 6 homes lost more than 5" in told
    assert "Feedback was given on what live answered" in told
    assert "FNIR at FPIR 5 %" in told


def test_over_several_processes_it_says_the_same(tried: Path) -> None:
    alone = compared(tried, *OTHERWISE)
    assert alone == compared(tried, *OTHERWISE, "--jobs", "2")
    assert [(one["by"], one["other"]) for one in alone["comparisons"]] == [
        ("truth", "wary"), ("truth", "bold"), ("feedback", "wary"), ("feedback", "bold"),
    ]  # fmt: skip
    assert {"low", "value", "high"} <= alone["comparisons"][0]["differences"]["top1"].keys()


def test_what_cannot_be_compared_is_told(tried: Path, tmp_path: Path) -> None:
    live, log = tried / "live.toml", tried / "log.jsonl"
    (tmp_path / "odd.toml").write_text("[tiers]\npersonel = 0.9\n")
    for arguments, told in (
        ([live, log], "two policy files or more"),
        ([live, tried / "wary.toml"], "one log file or more after the policies"),
        ([live, tried / "wary.toml", "-"], "standard input"),
        ([live, tmp_path / "odd.toml", log], "tiers.personal, the nearest known key"),
        ([live, tried / "wary.toml", tmp_path / "none.jsonl"], "cannot be opened"),
        ([live, tried / "wary.toml", log, "--truth", live], "an empty file"),
        ([live, tried / "wary.toml", log, "--feedback-delay", "late"], "6h"),
    ):
        assert told in plain(run("compare", *arguments, code=2))


def test_a_replay_takes_the_same_what_ifs_over_however_many_processes(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", recorded_lines())
    for name, more in (("plain", ()), ("one", OTHERWISE), ("two", (*OTHERWISE, "--jobs", "2"))):
        run("replay", log, "--out", tmp_path / name, *more)
    answers = {name: (tmp_path / name / "identities.jsonl").read_bytes() for name in ("plain", "one", "two")}
    assert answers["one"] == answers["two"] != answers["plain"]
