"""`kithkin diff` and `kithkin replay --expect`: what they say, and by which exit code."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli import app
from tests.support.recorded import recorded_lines, write_log


def run(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs `a` and `same`, and `b` of another policy, of the log beside them."""
    folder = tmp_path_factory.mktemp("runs")
    log = write_log(folder / "log.jsonl", recorded_lines())
    (folder / "policy.toml").write_text("[tiers]\npersonal = 0.98\n[limits]\nphones_max = 31\n")
    for name, more in (("a", []), ("same", []), ("b", ["--policy", folder / "policy.toml"])):
        run("replay", log, "--out", folder / name, *more)
    return folder


def test_the_same_is_exit_code_0(folder: Path) -> None:
    assert run("diff", folder / "a", folder / "same").startswith("They say the same: ")


def test_different_is_1_and_what_differs_is_told(folder: Path) -> None:
    told = run("diff", folder / "a", folder / "b", code=1)
    for part in (
        "identities", "largest difference", "Homes that differ: linden-0", "First: identities of linden-0", "Tiers: ",
        "policy key tiers.personal: 0.93 → 0.98", "policy key limits.phones_max: 32 → 31", "Which of that it is: --explain",
    ):  # fmt: skip
        assert part in told


def test_explained_it_names_the_key(folder: Path) -> None:
    told = run("diff", folder / "a", folder / "b", "--explain", code=1)
    assert "1 change explains every difference:\n  policy key tiers.personal: 0.93 → 0.98\n" in told
    assert "Changed too, and not needed to explain it: limits.phones_max" in told
    assert " keys that may differ." in told


def test_json_tells_the_same(folder: Path) -> None:
    assert json.loads(run("diff", folder / "a", folder / "same", "--json"))["same"] is True
    told = json.loads(run("diff", folder / "a", folder / "b", "--explain", "--json", code=1))
    assert told["same"] is False
    assert 0 < sum(one["count"] for one in told["tiers"]) <= told["topics"]["identities"]["changed"]
    assert told["explanation"]["causes"] == [{"kind": "policy", "name": "tiers.personal", "a": "0.93", "b": "0.98"}]
    assert told["first"]["topic"] == "identities"


def test_what_cannot_be_compared_is_3_with_a_sentence(folder: Path, tmp_path: Path) -> None:
    assert "has no manifest.json" in run("diff", folder / "a", tmp_path, code=3)
    assert "none is no directory" in run("diff", folder / "a", tmp_path / "none", code=3)
    log = write_log(tmp_path / "log.jsonl", recorded_lines()[:-1])
    run("replay", log, "--out", tmp_path / "shorter")
    assert "were not made of the same records" in run("diff", folder / "a", tmp_path / "shorter", code=3)


def test_a_replay_says_whether_it_is_as_expected(folder: Path, tmp_path: Path) -> None:
    log, again = folder / "log.jsonl", tmp_path / "again"
    told = run("replay", log, "--out", again, "--expect", folder / "a" / "identities.jsonl")
    assert "As expected: " in told
    raw = (folder / "a" / "identities.jsonl").read_bytes()
    moved = raw.replace(b'"timestamp":1', b'"timestamp":2').replace(b'"offset":', b'"offset":1')
    expected = write_log(tmp_path / "moved.jsonl", (moved,))
    assert "As expected: " in run("replay", log, "--out", again, "--fresh", "--expect", expected)
    told = run("replay", log, "--out", again, "--fresh", "--expect", folder / "b" / "identities.jsonl", code=1)
    assert "Not as expected. A: " in told
    assert "First: identities of linden-0" in told
    other = write_log(tmp_path / "other.jsonl", recorded_lines(seed=2))
    for name, line in (("none", b""), ("other", answer(other, tmp_path / "other"))):
        expected = write_log(tmp_path / f"{name}-expected.jsonl", (line,))
        said = run("replay", log, "--out", again, "--fresh", "--expect", expected, code=3)
        assert f"{name}-expected.jsonl has no identit" in said
        assert "so there is nothing to compare" in said


def answer(log: str, out: Path) -> bytes:
    """An identity of an event that no other log has."""
    run("replay", log, "--out", out)
    return (out / "identities.jsonl").read_bytes().splitlines(keepends=True)[0].replace(b"e-0000", b"another")


def test_what_cannot_be_expected_is_said_before_anything_is_replayed(folder: Path, tmp_path: Path) -> None:
    before = (folder / "a" / "manifest.json").read_bytes()
    own = folder / "a" / "identities.jsonl"
    told = run("replay", folder / "log.jsonl", "--out", folder / "a", "--fresh", "--expect", own, code=2)
    assert "which this replay writes" in told
    told = run("replay", folder / "log.jsonl", "--out", tmp_path / "out", "--expect", tmp_path / "none.jsonl", code=2)
    assert "none.jsonl: cannot be opened" in told
    assert (folder / "a" / "manifest.json").read_bytes() == before
    assert not (tmp_path / "out").exists()


def test_the_summary_is_one_json_object(folder: Path, tmp_path: Path) -> None:
    log = folder / "log.jsonl"
    told = json.loads(run("replay", log, "--out", tmp_path / "out", "--json"))
    assert (told["finished"], told["records"]) == (True, len(recorded_lines()))
    written = {path.stem: len(path.read_bytes().splitlines()) for path in (tmp_path / "out").glob("*.jsonl")}
    assert told["outputs"] == {topic: lines for topic, lines in written.items() if lines and topic != "journal"}
    assert "expected" not in told
    expected = folder / "b" / "identities.jsonl"
    told = json.loads(run("replay", log, "--out", tmp_path / "out", "--fresh", "--json", "--expect", expected, code=1))
    assert told["expected"]["same"] is False


def test_a_what_if_is_compared_with_the_same_what_if_alone(folder: Path, tmp_path: Path) -> None:
    blind = ("replay", folder / "log.jsonl", "--feedback-loss", "0.5", "--out")
    run(*blind, tmp_path / "one")
    run(*blind, tmp_path / "other", "--policy", folder / "policy.toml")
    assert "ask other what-ifs" in run("diff", folder / "a", tmp_path / "one", code=3)
    told = run("diff", tmp_path / "one", tmp_path / "other", "--explain", "--logs", folder / "log.jsonl", code=1)
    assert "policy key tiers.personal: 0.93 → 0.98" in told
