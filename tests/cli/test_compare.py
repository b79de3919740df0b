"""`kithkin compare` and the what-if of `kithkin replay`, as they are typed."""

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.brokers.log_files import LogReader, encode_record
from stream.cli import app
from stream.contract.records import Journal, Record
from stream.runtime.worker.batch import by_content
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


def test_it_says_how_much_was_stepped_once_for_policies_that_agreed(tried: Path) -> None:
    (tried / "firm.toml").write_text("[claims]\nnats_max = 3.0\n")
    log = tried / "log.jsonl"
    told = json.loads(run("compare", tried / "live.toml", tried / "firm.toml", log, "--json").splitlines()[-1])
    steps, records = told["steps"], told["records"]
    assert 0 < told["stepped_once"] == steps["apart"] - steps["taken"] < records
    assert steps["apart"] == 2 * records
    assert f"{told['stepped_once']:,} of {records:,} records were stepped once" in told["to_know"][-1]
    apart = compared(tried)
    assert apart["steps"]["taken"] == apart["steps"]["apart"] == 3 * apart["records"]
    assert apart["stepped_once"] == 0
    assert not any("stepped once" in sentence for sentence in apart["to_know"])


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


def test_a_recording_is_judged_in_the_order_in_which_its_journal_has_it_applied(tried: Path, tmp_path: Path) -> None:
    with closing(LogReader([str(tried / "log.jsonl")])) as log:
        records = by_content(list(log))
    whole = [of_one_batch(partition, records) for partition in sorted({one.partition for one in records})]
    claims_first = sorted(records, key=lambda one: (one.topic, one.partition, one.offset))
    paths = [tmp_path / f"{name}.jsonl" for name in ("plain", "recorded", "lines")]
    for path, lines in zip(paths, (records, [*claims_first, *whole], claims_first), strict=True):
        path.write_bytes(b"".join(map(encode_record, lines)))
    words = ("compare", tried / "live.toml", tried / "bold.toml")
    found = [json.loads(run(*words, path, "--json").splitlines()[-1]) for path in paths[:2]]
    for name in ("counts", "not_judged_by", "records", "homes"):
        assert found[1][name] == found[0][name]
    values = [{name: one["value"] for name, one in each["levels"]["feedback"]["bold"].items()} for each in found]
    assert values[1] == pytest.approx(values[0], nan_ok=True)
    assert "without any claim to judge by" in run(*words, paths[2], code=2), "there all claims come before answers"
    space = tmp_path / "space.toml"
    space.write_text("[tiers]\npersonal = {low = 0.9, high = 0.95}\n")
    asked = ("--trials", "1", "--jobs", "1", "--figure", "tier2_covered", "--json")
    tuned = [
        CliRunner().invoke(app, ["tune", str(space), str(path), *asked, "--storage", str(path.with_suffix(".db"))])
        for path in paths[:2]
    ]
    live, recorded = (json.loads(one.output.splitlines()[-1])["tuned"]["live"] for one in tuned)
    assert recorded == pytest.approx(live)


def test_that_a_journal_is_not_applied_with_a_what_if_is_said_once(
    tried: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(LogReader([str(tried / "log.jsonl")])) as log:
        records = by_content(list(log))
    journal = [of_one_batch(partition, records) for partition in sorted({one.partition for one in records})]
    for name, lines in (("plain", records), ("recorded", [*records, *journal])):
        (tmp_path / f"{name}.jsonl").write_bytes(b"".join(map(encode_record, lines)))
    found = {}
    for name, more in (("recorded", ("--feedback-loss", ".1")), ("recorded", ()), ("plain", ("--feedback-loss", ".1"))):
        caplog.clear()
        run("compare", tried / "live.toml", tried / "bold.toml", tmp_path / f"{name}.jsonl", *more)
        found[name, bool(more)] = caplog.text.count("The journal of these logs is not applied")
    assert found == {("recorded", True): 1, ("recorded", False): 0, ("plain", True): 0}


def of_one_batch(partition: int, records: Sequence[Record]) -> Record:
    """The journal of a worker that applied all of a partition at once."""
    ends = Counter[str]()
    own = [one for one in records if one.partition == partition]
    for one in own:
        ends[one.topic] = max(ends[one.topic], one.offset + 1)
    made = {"epoch": 0, "step_version": 0, "policy_id": "", "offsets_from": dict.fromkeys(ends, 0), "offsets_to": dict(ends)}
    entry = Journal(partition=partition, count=len(own), **made)
    return Record("journal", partition, 0, own[-1].timestamp, None, entry.model_dump_json().encode())
