"""A recording replays to what was published: the journal in it tells the order in which records were applied."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path

import pytest

from stream.brokers.journal_order import read_order, with_journal
from stream.brokers.log_files import encode_record
from stream.brokers.memory import MemoryLog
from stream.contract.policy import Policy
from stream.contract.records import OUTPUT_TOPICS, Record
from stream.contract.settings import Wiring
from stream.offline.replay.applied import as_applied
from stream.offline.replay.manifest import read_manifest
from stream.offline.replay.replay import Replay, replay
from stream.ops.recording.recording import Recording, record
from stream.ops.recording.spans import Between
from tests.cli.test_cli import run
from tests.ops.test_recording import Kept
from tests.support.simulator import what_became

ONCE_MS = 2_000_000_000_000  # when the journal came, later than all records
CRASHES = ("crash_before_publish", "crash_in_publish", "crash_after_publish", "crash_before_save", "crash_after_save")


def published(log: MemoryLog) -> Iterator[Record]:
    """All that lies in a log, as Kafka would have it."""
    for partition in range(log.partitions):
        yield from log.inputs(partition, {}, log.end(partition))
        for offset, entry in enumerate(log.journal(partition)):
            yield Record("journal", partition, offset, ONCE_MS, None, entry.model_dump_json().encode())
        for topic in OUTPUT_TOPICS:
            for offset, one in enumerate(log.outputs(topic, partition)):
                yield Record(topic, partition, offset, one.timestamp, one.key, one.value)


@cache
def crashed(seed: int) -> tuple[Record, ...]:
    """What workers that were killed and restarted left; none where the core failed: a quarantine is of a worker's life."""
    log, struck = what_became(seed)
    found = tuple(published(log))
    left_out = any(one.topic == "dead-letters" and b"quarantined" in (one.value or b"") for one in found)
    return found if any(struck[crash] for crash in CRASHES) and not left_out else ()


def late_and_crashed(count: int) -> Iterator[tuple[Record, ...]]:
    """Histories in which records came late, so that a batch was applied against their offsets."""
    found = (crashed(seed) for seed in range(99))
    return islice((records for records in found if any(map(_comes_late, records, records[1:]))), count)


def _comes_late(before: Record, after: Record) -> bool:
    return before.topic == after.topic == "recognitions" and after.timestamp < before.timestamp


def recorded_to(out: Path, records: tuple[Record, ...]) -> str:
    task = Recording(Between(0, ONCE_MS + 1), ("then", "now"), out, outputs=True)
    assert record(task, Wiring(), Kept(*records)).finished
    return str(out)


def without_journal(log: str) -> str:
    lines = Path(log).read_bytes().splitlines(keepends=True)
    bare = Path(log).with_name("bare.jsonl")
    bare.write_bytes(b"".join(line for line in lines if json.loads(line)["topic"] != "journal"))
    return str(bare)


def test_a_recording_of_killed_workers_replays_to_exactly_what_was_published(tmp_path: Path) -> None:
    for number, records in enumerate(late_and_crashed(3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        log = recorded_to(folder / "log.jsonl", records)
        run("replay", log, "--out", folder / "run", "--expect", log)
        run("replay", log, "--out", folder / "jobs", "--expect", log, "--jobs", "2")
        assert (folder / "jobs" / "manifest.json").read_bytes() == (folder / "run" / "manifest.json").read_bytes()
        run("replay", without_journal(log), "--out", folder / "bare", "--expect", log, code=1)


@pytest.fixture
def log(tmp_path: Path) -> str:
    [records] = late_and_crashed(1)
    return recorded_to(tmp_path / "log.jsonl", records)


def test_a_difference_by_the_journal_alone_is_explained_by_the_order(log: str, tmp_path: Path) -> None:
    run("replay", log, "--out", tmp_path / "a")
    run("replay", without_journal(log), "--out", tmp_path / "b")
    assert "order of the records" in run("diff", tmp_path / "a", tmp_path / "b", "--explain", code=1)
    of_a, of_b = (read_manifest(tmp_path / name).inputs for name in "ab")
    assert of_a.partitions == of_b.partitions
    assert of_a.order != of_b.order


@pytest.mark.parametrize("stop_after", [1, 60])
def test_a_replay_by_the_journal_goes_on_as_if_it_had_not_been_stopped(stop_after: int, log: str, tmp_path: Path) -> None:
    def task(name: str) -> Replay:
        return Replay([log], tmp_path / name, Policy(), Wiring(store=str(tmp_path / f"{name}.db"), batch_records_max=5))

    replay(task("whole"))
    done = [0]
    first = replay(task("parts"), lambda: done[0] >= stop_after, lambda sofar: done.__setitem__(0, sofar.records))
    assert not first.finished
    assert replay(task("parts")).finished
    for name in ("identities.jsonl", "profiles.jsonl", "manifest.json"):
        assert (tmp_path / "parts" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_an_order_can_be_written_as_a_log_that_tells_it(log: str, tmp_path: Path) -> None:
    with as_applied([log]) as records:
        applied = list(records)
    (tmp_path / "again.jsonl").write_bytes(b"".join(map(encode_record, with_journal(applied))))
    with as_applied([str(tmp_path / "again.jsonl")]) as records:
        again = list(records)
    for partition in {one.partition for one in applied}:
        assert [one for one in again if one.partition == partition] == [one for one in applied if one.partition == partition]


@pytest.mark.parametrize("kept", [slice(4, None), slice(0, -4), slice(0, 0)], ids=["tail", "head", "none"])
def test_records_of_no_batch_are_applied_all_the_same(kept: slice, log: str, tmp_path: Path) -> None:
    lines = Path(log).read_bytes().splitlines(keepends=True)
    journal = [line for line in lines if json.loads(line)["topic"] == "journal"]
    (tmp_path / "part.jsonl").write_bytes(b"".join([*(line for line in lines if line not in journal), *journal[kept]]))
    part = str(tmp_path / "part.jsonl")
    with as_applied([log]) as whole, as_applied([part]) as some:
        assert sorted(map(encode_record, some)) == sorted(map(encode_record, whole))
    order = read_order([part], "")
    assert order.left_over > 0 if order is not None else kept == slice(0, 0)
