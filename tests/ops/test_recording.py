"""Recordings: what belongs to one, that a stop changes nothing, and that pseudonyms give the same answers under other names."""

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from stream.brokers.kafka.journals import Span
from stream.brokers.log_files import LogReader, encode_record
from stream.contract.errors import ConfigError, RecoveryError
from stream.contract.policy import Policy
from stream.contract.records import INPUT_TOPICS, MODELS, Record
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay
from stream.offline.simulation.records import neighbourhood
from stream.ops.recording.pseudonyms import TOPICS, Pseudonyms
from stream.ops.recording.recording import Recording, record
from stream.ops.recording.spans import Between
from tests.support.recorded import recorded
from tests.support.worlds import Shape, world

RECORDS = recorded()
FIRST, LAST = RECORDS[0].timestamp, max(one.timestamp for one in RECORDS)
ALL = Between(FIRST, LAST + 1)
WIRING = Wiring()


class Kept:
    """What lies in some partitions, four of each topic."""

    def __init__(self, *records: Record) -> None:
        self._lies: dict[tuple[str, int], list[Record]] = defaultdict(list)
        for one in records:
            self._lies[one.topic, one.partition].append(one)
        self.first = 0

    def partitions(self, topic: str) -> int:
        return 4

    def offset_at(self, topic: str, partition: int, at_ms: int) -> int | None:
        return next((one.offset for one in self._lies[topic, partition] if one.timestamp >= at_ms), None)

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        lies = self._lies[topic, partition]
        return self.first, lies[-1].offset + 1 if lies else 0

    def read(self, span: Span, records_max: int | None = None) -> list[Record]:
        lies = self._lies[span.topic, span.partition]
        begun = lies[bisect_left(lies, span.start, key=lambda one: one.offset) :]
        return [one for one in begun if span.stop is None or one.offset < span.stop][:records_max]

    def close(self) -> None: ...


def journalled(partition: int, offset: int, start: int, stop: int) -> Record:
    offsets = dict.fromkeys(INPUT_TOPICS, 0)
    entry = {
        "partition": partition, "offsets_from": offsets | {"recognitions": start}, "offsets_to": offsets | {"recognitions": stop},
        "count": stop - start, "epoch": 1, "step_version": 1, "policy_id": "p",
    }  # fmt: skip
    return Record("journal", partition, offset, LAST + 10**6, None, json.dumps(entry).encode())


def answered(offset: int, cause: int, at_ms: int = LAST + 10**6) -> Record:
    value = {"event_id": "e", "cause": {"topic": "recognitions", "partition": 0, "offset": cause}}
    return Record("identities", 0, offset, at_ms, b"linden-01", json.dumps(value).encode())


def task(out: Path, between: Between = ALL, told: tuple[str, str] = ("then", "now"), **more: object) -> Recording:
    return Recording(between, told, out, **more)  # type: ignore[arg-type]


def read(out: Path, *topics: str) -> list[Record]:
    with closing(LogReader([str(out)], topics or INPUT_TOPICS)) as log:
        return list(log)


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".jsonl.zst"])
def test_what_came_is_recorded_in_its_order_and_to_the_byte(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"log{suffix}"
    found = record(task(out), WIRING, Kept(*RECORDS))
    assert found.finished
    assert found.records == len(RECORDS)
    assert read(out) == sorted(RECORDS, key=lambda one: (one.timestamp, one.topic, one.partition, one.offset))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    assert oct(out.stat().st_mode & 0o777) == "0o600"


def test_times_cut_inputs_and_what_was_made_of_them_comes_with_them(tmp_path: Path) -> None:
    zeros = [one for one in RECORDS if (one.topic, one.partition) == ("recognitions", min(r.partition for r in RECORDS))]
    first, stop = zeros[2], zeros[5]
    inputs = [Record(one.topic, 0, one.offset, one.timestamp, one.key, one.value) for one in zeros]
    journal = [journalled(0, n, *span) for n, span in enumerate([(0, 2), (1, 3), (3, 4), (4, 9), (5, 9)])]
    outputs = [answered(n, cause) for n, cause in enumerate([1, 2, 4, 5])]
    between = Between(first.timestamp, stop.timestamp)
    record(task(tmp_path / "log.jsonl", between, outputs=True), WIRING, Kept(*inputs, *journal, *outputs))
    assert [one.offset for one in read(tmp_path / "log.jsonl")] == [2, 3, 4]
    assert [one.offset for one in read(tmp_path / "log.jsonl", "journal")] == [1, 2, 3]
    assert [one.offset for one in read(tmp_path / "log.jsonl", "identities")] == [1, 2]


def test_of_one_household_its_own_records_alone(tmp_path: Path) -> None:
    household = RECORDS[0].key or b""
    record(task(tmp_path / "log.jsonl", household=household.decode()), WIRING, Kept(*RECORDS))
    own = sorted((one for one in RECORDS if one.key == household), key=lambda one: (one.timestamp, one.topic, one.offset))
    assert read(tmp_path / "log.jsonl") == own


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.zst"])
@pytest.mark.parametrize("torn", [b"", b'{"topic":"recog'])
def test_a_recording_that_was_stopped_goes_on_as_if_it_never_was(tmp_path: Path, suffix: str, torn: bytes) -> None:
    kept = Kept(*(Record(one.topic, one.partition, n, FIRST + n, one.key, one.value) for n, one in enumerate(RECORDS * 30)))
    between = Between(FIRST, LAST)
    record(task(tmp_path / f"whole{suffix}", between), WIRING, kept)
    out, commands = tmp_path / f"log{suffix}", 0
    for commands in count(1):
        asked = count()
        if record(task(out, between), WIRING, kept, lambda asked=asked: next(asked) >= 2).finished:  # type: ignore[misc]
            break
        out.write_bytes(out.read_bytes() + torn)
        assert commands < 99
    assert commands > 2
    assert read(out) == read(tmp_path / f"whole{suffix}")


def test_a_file_that_is_no_recording_that_goes_on_is_never_touched(tmp_path: Path) -> None:
    out = tmp_path / "log.jsonl"
    record(task(out), WIRING, Kept(*RECORDS))
    before = out.read_bytes()
    with pytest.raises(ConfigError, match="which exists"):
        record(task(out), WIRING, Kept(*RECORDS))
    assert out.read_bytes() == before
    assert not record(task(tmp_path / "b.jsonl"), WIRING, Kept(*RECORDS), lambda: True).finished
    with pytest.raises(ConfigError, match="which holds a recording with other from: then and not later"):
        record(task(tmp_path / "b.jsonl", told=("later", "now")), WIRING, Kept(*RECORDS))


@pytest.mark.parametrize(("name", "between", "why"), [
    ("log.txt", ALL, "ends in .jsonl"), ("log.jsonl", Between(LAST, FIRST), "not before --to"),
    ("log.jsonl", Between(LAST + 1, LAST + 2), "nothing came"),
])  # fmt: skip
def test_what_cannot_be_is_told_before_a_file_is_made(tmp_path: Path, name: str, between: Between, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        record(task(tmp_path / name, between), WIRING, Kept(*RECORDS))
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_longer_retained_ends_a_recording_with_a_sentence(tmp_path: Path) -> None:
    kept = Kept(*RECORDS)
    record(task(tmp_path / "log.jsonl"), WIRING, kept, lambda: True)
    kept.first = 5
    with pytest.raises(RecoveryError, match="the records from 0 to 4 are no longer retained"):
        record(task(tmp_path / "log.jsonl"), WIRING, kept)


# ---- pseudonyms


@pytest.fixture
def keyfile(tmp_path: Path) -> Path:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef\n")
    return tmp_path / "key"


def answers(log: Path, out: Path) -> list[Record]:
    replay(Replay([str(log)], out, Policy(), WIRING))
    return [one for topic in ("identities", "labels") for one in read(out / f"{topic}.jsonl", topic)]


STREETS = {
    "broken records, visitors and an erasure": lambda: neighbourhood(homes=12, days=5, seed=3).records,
    "sightings": lambda: world(8, Shape(homes=2, people=2, records=60, sighted=0.5, erasing=False)),
}


@pytest.mark.parametrize("street_of", STREETS.values(), ids=STREETS)
def test_the_replay_with_pseudonyms_is_the_replay_with_pseudonyms(
    tmp_path: Path, keyfile: Path, street_of: Callable[[], list[Record]]
) -> None:
    street = street_of()
    between = Between(street[0].timestamp, street[-1].timestamp + 1)
    plain, other = tmp_path / "plain.jsonl", tmp_path / "other.jsonl"
    record(task(plain, between), WIRING, Kept(*street))
    record(task(other, between, keyfile=keyfile), WIRING, Kept(*street))
    names, found = Pseudonyms(keyfile.read_bytes().strip()), answers(plain, tmp_path / "a")
    for one in street:
        names.note(one)
    assert [encode_record(one) for one in answers(other, tmp_path / "b")] == [
        encode_record(shown) for one in found if (shown := names.of(one))
    ]  # fmt: skip
    raw = other.read_bytes()
    ids = {one.key for one in street if one.key} | {b"phone-", b"kitchen-", b"somebody-else"}
    assert [word for word in ids if b'"%b' % word in raw] == []


def test_pseudonyms_are_unique_and_sort_as_ids_do_with_guest_among_them() -> None:
    ids = ["ada", "guest", "guess", "guests", "zoe", "Ben", "h.1", "h-1", "h_1", "Ana's phone", "x" * 65]
    names = Pseudonyms(b"k" * 16)
    records = [Record("feedback", 0, n, 0, name.encode(), json.dumps({"phone_id": name}).encode()) for n, name in enumerate(ids)]
    for one in records:
        names.note(one)
    shown = [(names.of(one) or one).key for one in records]
    by_id = [key.decode() for _, key in sorted(zip(ids, shown, strict=True)) if key]
    assert by_id == sorted(set(by_id))
    assert len(by_id) == len(ids)
    assert "guest" in by_id


def test_another_key_is_another_hash_and_the_same_is_the_same() -> None:
    one, found = Record("feedback", 0, 0, 0, b"h", b'{"feedback_id":"f-1","household_id":"h"}'), []
    for key in (b"a" * 16, b"a" * 16, b"b" * 16):
        names = Pseudonyms(key)
        names.note(one)
        found.append(names.of(one))
    assert found[0] == found[1] != found[2]


def test_every_field_of_a_topic_with_a_rule_has_one() -> None:
    from typing import get_args

    from stream.ops.recording.pseudonyms import _RULES

    for topic in TOPICS:
        model = MODELS[topic]
        kinds = [model] if isinstance(model, type) else get_args(get_args(model._type)[0])
        assert {name for kind in kinds for name in kind.model_fields} == _RULES[topic].keys(), topic


def test_a_key_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("short")
    for key in ("key", "missing"):
        with pytest.raises(ConfigError, match="openssl rand"):
            record(task(tmp_path / "log.jsonl", keyfile=tmp_path / key), WIRING, Kept(*RECORDS))
