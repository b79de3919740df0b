"""`kithkin sample`: what it writes is a log like any other, and its truth is of the events in it."""

import json
from contextlib import closing
from pathlib import Path

from stream.brokers.log_files import LogReader
from stream.offline.simulation.records import neighbourhood
from tests.cli.test_cli import run

SIZE = ("--homes", 2, "--days", 2)


def sample(folder: Path, seed: int = 0, code: int = 0) -> str:
    return run("sample", folder, *map(str, SIZE), "--seed", str(seed), code=code)


def test_the_same_seed_is_the_same_log_and_another_is_not(tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        sample(tmp_path / name, seed)
    for file in ("log.jsonl", "truth.jsonl"):
        a, b, c = ((tmp_path / name / file).read_bytes() for name in "abc")
        assert a == b != c


def test_every_answer_of_its_replay_has_a_truth(tmp_path: Path) -> None:
    assert "log.jsonl --out" in sample(tmp_path)
    run("replay", tmp_path / "log.jsonl", "--out", tmp_path / "answers")
    truths = {(t["household_id"], t["event_id"]) for t in map(json.loads, (tmp_path / "truth.jsonl").read_bytes().splitlines())}
    answers = [json.loads(line)["value"] for line in (tmp_path / "answers" / "identities.jsonl").read_bytes().splitlines()]
    assert answers
    assert {(value["household_id"], value["event_id"]) for value in answers} <= truths


def test_the_home_with_a_bad_network_is_written_whole(tmp_path: Path) -> None:
    run("sample", tmp_path, "--homes", "12", "--days", "12")
    street = neighbourhood(homes=12, days=12, seed=0)
    assert street.unreadable
    with closing(LogReader([str(tmp_path / "log.jsonl")])) as log:
        assert list(log) == street.records


def test_what_stands_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "truth.jsonl").write_text("mine")
    assert "has a truth.jsonl already" in sample(tmp_path, code=2)
    assert [path.name for path in tmp_path.iterdir()] == ["truth.jsonl"]
