"""Replay: the same logs give the same files, however often it was stopped; what is another's is never touched."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from stream.brokers.files import FILES, LogBroker, LogProgress
from stream.brokers.log_files import InvalidLog, LogReader
from stream.cli.interruption import until_interrupted
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, Sofar, Summary, replay
from stream.stores import open_store
from tests.support.recorded import line_of, recorded, recorded_lines, write_log

BATCH = 20
RECORDS = len(recorded_lines())


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write_log(tmp_path / "log.jsonl", recorded_lines())


def a_replay(logs: Sequence[str], out: Path, store: str | Path = "memory:") -> Replay:
    return Replay(logs, out, Policy(), Wiring(store=str(store), batch_records_max=BATCH))


def after(records: int) -> tuple[Callable[[], bool], Callable[[Sofar], None]]:
    """`stop` and `watch` of a replay that is stopped once so many records are done."""
    done = [0]
    return lambda: done[0] >= records, lambda sofar: done.__setitem__(0, sofar.records)


def outputs(out: Path) -> dict[str, bytes | list[dict[str, object]]]:
    """What stands in the directory. Of the journal all but the epochs, which count how often a worker began."""
    written: dict[str, bytes | list[dict[str, object]]] = {path.name: path.read_bytes() for path in out.glob("*.jsonl")}
    entries = [json.loads(line) for line in (out / "journal.jsonl").read_bytes().splitlines()]
    written["journal.jsonl"] = [{**entry, "value": {**entry["value"], "epoch": None}} for entry in entries]
    return written


def by_partition(out: Path) -> dict[str, list[bytes]]:
    """What stands in the directory, by partition: where a batch was cut short, those stand otherwise among each other."""
    files = (path for path in out.glob("*.jsonl") if path.name != "journal.jsonl")
    return {path.name: sorted(path.read_bytes().splitlines(), key=place_of_line) for path in files}


def place_of_line(line: bytes) -> tuple[int, int]:
    told = json.loads(line)
    return told["partition"], told["offset"]


def states(store: Path) -> dict[int, dict[str, bytes]]:
    with closing(open_store(str(store))) as opened:
        return {p: opened.load(p, list(opened.households(p))) for p in opened.partitions()}


@pytest.fixture
def calm(log: str, tmp_path: Path) -> Path:
    """A run without incidents, with its states in `calm.db`."""
    replay(a_replay([log], tmp_path / "calm", tmp_path / "calm.db"))
    return tmp_path / "calm"


def test_every_recognition_is_answered_once_at_the_offset_it_is_written_at(calm: Path) -> None:
    lines = map(json.loads, recorded_lines())
    asked = {(line["key"], line["value"]["event_id"]) for line in lines if line["topic"] == "recognitions"}
    answers = [json.loads(line) for line in (calm / "identities.jsonl").read_bytes().splitlines()]
    first = [(answer["key"], answer["value"]["event_id"]) for answer in answers if answer["value"]["revision"] == 0]
    assert sorted(first) == sorted(asked)
    for partition in {answer["partition"] for answer in answers}:
        offsets = [answer["offset"] for answer in answers if answer["partition"] == partition]
        assert offsets == list(range(len(offsets)))


def test_two_replays_give_the_same_bytes(log: str, tmp_path: Path) -> None:
    for name in "ab":
        replay(a_replay([log], tmp_path / name))
    written = [{file: (tmp_path / name / file).read_bytes() for file in FILES if file.endswith(".jsonl")} for name in "ab"]
    assert written[0] == written[1]


def test_a_store_in_a_file_changes_no_byte(log: str, calm: Path, tmp_path: Path) -> None:
    replay(a_replay([log], tmp_path / "out"))
    assert outputs(tmp_path / "out") == outputs(calm)


def test_there_is_a_file_for_every_topic_even_when_nothing_was_said(tmp_path: Path) -> None:
    summary = replay(a_replay([write_log(tmp_path / "empty", ())], tmp_path / "out"))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")} == dict.fromkeys(FILES[:-1], b"")
    assert (summary.counts.records, summary.finished) == (0, True)


@pytest.mark.parametrize("stops", [[1], [BATCH, BATCH, BATCH], [3 * BATCH + 1], [RECORDS]], ids=str)
def test_a_replay_stopped_anywhere_goes_on_as_if_it_had_not_been(stops: list[int], log: str, calm: Path, tmp_path: Path) -> None:
    task = a_replay([log], tmp_path / "out", tmp_path / "out.db")
    for records in stops:
        assert not replay(task, *after(records)).finished
    summary = replay(task)
    assert summary.finished
    assert summary.records_before + summary.counts.records == RECORDS
    assert outputs(tmp_path / "out") == outputs(calm)
    assert states(tmp_path / "out.db") == states(tmp_path / "calm.db")


def test_a_crash_between_outputs_and_states_is_made_good(log: str, calm: Path, tmp_path: Path) -> None:
    task = a_replay([log], tmp_path / "out", tmp_path / "out.db")
    replay(task, *after(2 * BATCH))
    shutil.copy(tmp_path / "out.db", tmp_path / "before.db")
    replay(task, *after(BATCH))
    shutil.copy(tmp_path / "before.db", tmp_path / "out.db")  # as if the batch had been published and not yet saved
    assert replay(task).counts.recoveries > 0
    assert outputs(tmp_path / "out") == outputs(calm)
    assert states(tmp_path / "out.db") == states(tmp_path / "calm.db")


def test_what_was_not_committed_is_cut_off(log: str, calm: Path, tmp_path: Path) -> None:
    task = a_replay([log], tmp_path / "out", tmp_path / "out.db")
    replay(task, *after(BATCH))
    with (tmp_path / "out" / "identities.jsonl").open("ab") as file:
        file.write(b'{"topic":"identities","partition":0,"off')
    replay(task)
    assert outputs(tmp_path / "out") == outputs(calm)


KILLED = """
import os, signal, sys
from pathlib import Path
from stream.offline.replay.replay import replay
from tests.offline.test_replay import a_replay
log, out, store = sys.argv[1:]
replay(a_replay([log], Path(out), store), watch=lambda sofar: sofar.records < 50 or os.kill(os.getpid(), signal.SIGKILL))
"""


def test_a_replay_killed_in_the_middle_ends_with_the_same_files(log: str, calm: Path, root: Path, tmp_path: Path) -> None:
    arguments = [log, str(tmp_path / "out"), str(tmp_path / "out.db")]
    killed = subprocess.run([sys.executable, "-c", KILLED, *arguments], cwd=root, check=False)
    assert killed.returncode == -signal.SIGKILL
    summary = replay(a_replay([log], tmp_path / "out", tmp_path / "out.db"))
    assert 50 <= summary.records_before < RECORDS
    assert outputs(tmp_path / "out") == outputs(calm)
    assert states(tmp_path / "out.db") == states(tmp_path / "calm.db")


def test_an_interruption_ends_after_a_whole_batch_and_a_second_one_at_once(log: str, tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with until_interrupted() as stop:
        summary = replay(a_replay([log], tmp_path / "out"), stop, lambda _: stop() or signal.raise_signal(signal.SIGTERM))
        assert (summary.finished, stop()) == (False, True)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGTERM) == before


def test_with_states_in_memory_the_same_command_begins_again(log: str, calm: Path, tmp_path: Path) -> None:
    task = a_replay([log], tmp_path / "out")
    replay(task, *after(2 * BATCH))
    assert replay(task).records_before == 0
    assert outputs(tmp_path / "out") == outputs(calm)


def test_a_finished_replay_has_nothing_left_to_do(log: str, calm: Path, tmp_path: Path) -> None:
    written = outputs(calm)
    summary = replay(a_replay([log], calm, tmp_path / "calm.db"))
    assert (summary.counts.records, summary.records_before) == (0, RECORDS)
    assert outputs(calm) == written


def test_a_log_that_grew_goes_on_with_what_is_new(calm: Path, tmp_path: Path) -> None:
    lines, log = recorded_lines(), tmp_path / "growing.jsonl"
    task = a_replay([str(log)], tmp_path / "out", tmp_path / "out.db")
    write_log(log, lines[: 3 * BATCH])
    replay(task)
    write_log(log, lines)
    assert replay(task).records_before == 3 * BATCH
    assert outputs(tmp_path / "out") == outputs(calm)


def test_logs_that_changed_since_are_refused(log: str, tmp_path: Path) -> None:
    task = a_replay([log], tmp_path / "out", tmp_path / "out.db")
    replay(task, *after(2 * BATCH))
    written = outputs(tmp_path / "out")
    first, *rest = recorded()
    write_log(Path(log), tuple(map(line_of, [replace(first, value=b"{}"), *rest])))
    with pytest.raises(ConfigError, match="made of logs whose first 40 records differ from these"):
        replay(task)
    assert outputs(tmp_path / "out") == written


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (lambda task: replace(task, policy=Policy.model_validate({"priors": {"guest_share": 0.3}})), "policy"),
        (lambda task: replace(task, logs=[task.logs[0] + "2"]), "logs"),
        (lambda task: replace(task, wiring=Wiring(store=str(task.out) + "2.db")), "store"),
        (lambda task: replace(task, wiring=Wiring(), origin=task.out), "store"),
    ],
    ids=["policy", "logs", "store", "memory"],
)
def test_a_directory_of_another_run_is_refused_until_told_to_begin_anew(
    other: Callable[[Replay], Replay], what: str, log: str, tmp_path: Path
) -> None:
    task = a_replay([log], tmp_path / "out", tmp_path / "out.db")
    shutil.copy(log, log + "2")
    replay(task, *after(BATCH))
    written = outputs(tmp_path / "out")
    with pytest.raises(ConfigError, match=f"holds a run with other {what}: .*--fresh"):
        replay(other(task))
    assert outputs(tmp_path / "out") == written


def test_fresh_begins_anew(log: str, calm: Path, tmp_path: Path) -> None:
    other = write_log(tmp_path / "other", recorded_lines(seed=2))
    replay(a_replay([other], tmp_path / "out", tmp_path / "out.db"))
    summary = replay(replace(a_replay([log], tmp_path / "out", tmp_path / "out.db"), fresh=True))
    assert summary.records_before == 0
    assert outputs(tmp_path / "out") == outputs(calm)
    assert states(tmp_path / "out.db") == states(tmp_path / "calm.db")


@pytest.mark.parametrize("fresh", [False, True])
def test_a_store_of_somebody_else_is_never_emptied(fresh: bool, log: str, calm: Path, tmp_path: Path) -> None:
    before = states(tmp_path / "calm.db")
    with pytest.raises(ConfigError, match="which holds states already"):
        replay(replace(a_replay([log], tmp_path / "out", tmp_path / "calm.db"), fresh=fresh))
    assert states(tmp_path / "calm.db") == before
    assert not (tmp_path / "out").exists()


def test_files_that_no_replay_is_known_to_have_made_are_kept(log: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.jsonl").write_text("mine")
    with pytest.raises(ConfigError, match=r"a labels\.jsonl that no replay is known to have made"):
        replay(a_replay([log], tmp_path / "out"))
    assert (tmp_path / "out" / "labels.jsonl").read_text() == "mine"


def test_a_lost_store_is_named(log: str, tmp_path: Path) -> None:
    task = a_replay([log], tmp_path / "out", tmp_path / "out.db")
    replay(task, *after(BATCH))
    os.rename(tmp_path / "out.db", tmp_path / "elsewhere.db")
    with pytest.raises(ConfigError, match=r"out\.db' \(which does not exist\)"):
        replay(task)


def test_only_one_replay_writes_into_a_directory(log: str, tmp_path: Path) -> None:
    task = a_replay([log], tmp_path / "out")
    with (
        closing(LogReader([log])) as reader,
        closing(LogBroker(reader, task.out, LogProgress(run=task.run))),
        pytest.raises(ConfigError, match="where another replay writes now"),
    ):
        replay(task)


@pytest.mark.parametrize("store", ["memory:", "out.db"])
def test_a_run_starts_from_a_copy_of_states_and_changes_nothing_of_them(store: str, calm: Path, tmp_path: Path) -> None:
    held = (tmp_path / "calm.db").read_bytes()
    later = tuple(line_of(replace(record, value=said_again(record))) for record in recorded())
    kept = "memory:" if store == "memory:" else tmp_path / store
    task = replace(a_replay([write_log(tmp_path / "later", later)], tmp_path / "out", kept), origin=tmp_path / "calm.db")
    first, again = replay(task), replay(replace(task, fresh=True))
    assert first.counts.households_new == again.counts.households_new == 0
    assert first.counts.outcomes == again.counts.outcomes
    assert (tmp_path / "calm.db").read_bytes() == held


def said_again(record: Record) -> bytes:
    """The same value under other ids, so that it is no duplicate."""
    value = json.loads(record.value or b"{}")
    return json.dumps({**value, **{key: f"again-{value[key]}" for key in ("event_id", "feedback_id") if key in value}}).encode()


def test_states_to_start_from_that_are_none_are_refused(log: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"^from = .*states that --store made"):
        replay(replace(a_replay([log], tmp_path / "out"), origin=Path(log)))


@pytest.mark.parametrize("rest", [(b"half a li\n", *recorded_lines()[53:]), (recorded_lines()[53][:70],)], ids=["bad", "cut"])
def test_a_bad_line_stops_it_after_all_before_it_and_a_mended_one_lets_it_go_on(
    rest: tuple[bytes, ...], calm: Path, tmp_path: Path
) -> None:
    lines, log = recorded_lines(), tmp_path / "log.jsonl"
    task = a_replay([str(log)], tmp_path / "out", tmp_path / "out.db")
    write_log(log, (*lines[:53], *rest))
    with pytest.raises(InvalidLog, match=r"log\.jsonl, line 54: not a record of a log"):
        replay(task)
    write_log(log, lines)
    assert replay(task).records_before == 53
    assert by_partition(tmp_path / "out") == by_partition(calm)
    assert states(tmp_path / "out.db") == states(calm.parent / "calm.db")


def test_unreadable_values_are_dead_letters_and_no_reason_to_stop(tmp_path: Path) -> None:
    rubbish = tuple(line_of(Record("recognitions", 0, offset, 1763690000123, b"\xff", b"{}")) for offset in range(500))
    summary: Summary = replay(a_replay([write_log(tmp_path / "log", rubbish)], tmp_path / "out"))
    letters = [json.loads(line) for line in (tmp_path / "out" / "dead-letters.jsonl").read_bytes().splitlines()]
    assert sum(summary.counts.dead_letters.values()) == len(letters) == 500
    assert letters[-1]["key_base64"] == "/w=="
    assert letters[-1]["value"]["offset"] == 499
