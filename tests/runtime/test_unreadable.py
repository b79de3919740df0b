"""One record that cannot be read ends no reader: it is passed over, counted or logged with its place, and the rest is read."""

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import kafka.codec as kafka_codec
import pytest
from confluent_kafka import Producer
from rich.console import Console
from typer.testing import CliRunner

from stream.brokers import MemoryBroker, MemoryLog, open_broker
from stream.brokers.kafka.journals import read_journal
from stream.brokers.kafka.topics import producer
from stream.cli import app
from stream.cli.live.up import _in_a_line
from stream.contract.errors import ConfigError, NewerState
from stream.contract.policy import Policy
from stream.contract.records import Alert, Cause, Identity, Journal, Record
from stream.contract.settings import Wiring
from stream.home.state import at_rest
from stream.home.state.household import Household, Slot
from stream.offline.replay.replay import Replay, replay
from stream.ops.status import Status, picture, readable
from stream.runtime.fleet.subscribe import subscribe
from stream.runtime.worker import home_cache
from stream.runtime.worker import worker as worker_module
from stream.runtime.worker.worker import Worker
from stream.stores import MemoryStore, open_store
from stream.stores.redis.heartbeats import Heartbeats
from tests.brokers.test_journals import Partitions
from tests.conftest import Running
from tests.support.one_worker import CALM, POLICY, answered, crashing, said, see
from tests.support.recorded import recorded_lines, write_log
from tests.support.worlds import recognition

AT_MS = 1_763_690_000_000
BAD = [b"", b"rubbish", b"[]", b"7", b"null", b'"text"', b"{}", b'{"alert_id": 7}', b"\xff\xfe", b'{"v": 9, "alert_id": "a"}']


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command silences a log for the rest of its process."""
    logging.getLogger("stream.brokers").setLevel(logging.NOTSET)
    yield
    logging.getLogger("stream.brokers").setLevel(logging.NOTSET)


@pytest.fixture
def wiring(kafka: Running, topics: Callable[..., str]) -> Wiring:
    return Wiring(broker=f"kafka://{kafka.bootstrap}", prefix=topics(1))


def _send(wiring: Wiring, topic: str, values: Sequence[bytes | None]) -> None:
    with producer(wiring) as sender:
        for value in values:
            sender.send(Record(topic, 0, 0, AT_MS, b"h-1", value))


def _alert(number: int) -> Alert:
    return Alert(
        alert_id=f"a-{number}", household_id="h-1", state="opened", cause_kind="device", opened_at=AT_MS, updated_at=AT_MS,
        severity="low", summary="", suggested_action="", members=[], evidence={}, revision=0,
    )  # fmt: skip


def _kithkin(wiring: Wiring, *words: str) -> str:
    told = CliRunner().invoke(app, [*words, "--broker", wiring.broker, "--prefix", wiring.prefix])
    assert told.exit_code == 0, (told.output, told.exception)
    return told.output


# ---- readers of outputs


def test_a_subscriber_passes_over_what_is_no_alert_and_says_where(wiring: Wiring, caplog: pytest.LogCaptureFixture) -> None:
    _send(wiring, "drift-alerts", [_alert(0).model_dump_json().encode(), *BAD, None, _alert(1).model_dump_json().encode()])
    group = f"{wiring.prefix}g"
    assert [alert.alert_id for alert in subscribe(wiring, group=group)] == ["a-0", "a-1"]
    told = [record.getMessage() for record in caplog.records if "is no alert that can be read" in record.getMessage()]
    assert len(told) == len(BAD) - 1, "a record without a value is a tombstone"
    assert "drift-alerts[0]@2" in told[0]
    assert list(subscribe(wiring, group=group)) == [], "a group does not meet them again"
    assert "a-1" in _kithkin(wiring, "alerts")


def test_answers_are_shown_whatever_stands_among_them(wiring: Wiring) -> None:
    answer = Identity(
        event_id="e-1", household_id="h-1", observed_at=AT_MS, revision=0, posterior={"alice": 0.9, "guest": 0.1},
        person_id="alice", tier=2, modalities=["voice"], policy_id="p", cause=Cause(topic="recognitions", partition=0, offset=0),
    )  # fmt: skip
    _send(wiring, "identities", [*BAD, None, answer.model_dump_json().encode()])
    told = _kithkin(wiring, "identities")
    assert "alice" in told
    assert "identities[0]@1" in told


NOTES: list[dict[str, Any]] = [
    {}, {"partitions": "0-3"}, {"partitions": [0, None, "x"]}, {"events_per_s": "fast", "events": None},
    {"last_batch_s": "now"}, {"last_recovery": {"since": 1}}, {"last_recovery": 7}, {"restarts": {"failed": 1}},
    {"stopping": "no"}, {"pid": None, "host": 7},
]  # fmt: skip


@pytest.mark.parametrize("note", NOTES, ids=str)
def test_a_workers_note_of_another_version_is_shown_as_far_as_it_is_understood(note: dict[str, Any]) -> None:
    status = Status({"old": readable(note), "new": readable({"partitions": [1], "host": "h", "later": "field"})}, {0: 3, 1: 0})
    console = Console(width=200)
    with console.capture() as shown:
        console.print(picture(status))
    assert "old" in shown.get()
    assert json.loads(json.dumps(status.as_json()))["lag"] == 3
    assert "2 workers" in _in_a_line(status)


@pytest.mark.parametrize("raw", [b"", b"rubbish", b"[1]", b"\xff", b"null"])
def test_a_note_that_is_none_hides_no_other(raw: bytes, redis_url: str) -> None:
    with closing(Heartbeats(redis_url, Wiring(prefix=f"n{abs(hash(raw))}."))) as heartbeats:
        heartbeats.put("good", {"partitions": [1]}, 60)
        heartbeats.put("bad", {}, 60)
        heartbeats._client.ask("SET", heartbeats._before + "bad", raw)
        assert heartbeats.all() == {"bad": {}, "good": {"partitions": [1]}}


def test_a_journal_is_read_over_what_is_no_entry(caplog: pytest.LogCaptureFixture) -> None:
    entries = [
        Journal(
            partition=0, offsets_from={"recognitions": at, "feedback": 0}, offsets_to={"recognitions": at + 1, "feedback": 0},
            count=1, epoch=1, step_version=1, policy_id="p",
        )
        for at in range(20)
    ]  # fmt: skip
    values = [value for entry in entries for value in (entry.model_dump_json().encode(), b"rubbish", None)]
    records = [Record("journal", 0, at, AT_MS, None, value) for at, value in enumerate(values)]
    for index in (0, 7, 19):
        assert list(read_journal(Partitions(records), 0, entries[index].offsets_from)) == entries[index:]
    assert "is no entry of a journal" in caplog.text


# ---- what was compressed


@pytest.mark.parametrize("scheme", ["kafka", "confluent"])
@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
def test_what_senders_compress_is_read(scheme: str, codec: str, kafka: Running, topics: Callable[..., str]) -> None:
    prefix = topics(1)
    wiring = Wiring(broker=f"{scheme}://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}g")
    _compressed(wiring, kafka, codec)
    with closing(open_broker(wiring)) as broker:
        worker = Worker(broker, MemoryStore(), POLICY, CALM)
        worker.run(stop=lambda: worker.counts.records >= 50)
    assert worker.counts.outcomes == {"answered": 50}


def _compressed(wiring: Wiring, kafka: Running, codec: str) -> None:
    sender = Producer({"bootstrap.servers": kafka.bootstrap, "compression.type": codec, "linger.ms": 100})
    for number in range(50):
        value = recognition("h-1", f"e-{number}", AT_MS + number, activity="music")
        sender.produce(f"{wiring.prefix}recognitions", json.dumps(value).encode(), b"h-1")
    assert sender.flush(20) == 0


@pytest.mark.parametrize("codec", ["snappy", "zstd"])
def test_without_what_it_takes_to_read_them_it_is_said_what_to_install(
    codec: str, kafka: Running, topics: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = topics(1)
    wiring = Wiring(broker=f"kafka://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}g")
    _compressed(wiring, kafka, codec)
    monkeypatch.setattr(kafka_codec, f"has_{codec}", lambda: False)
    install = rf"{codec}.*pip install '\.\[cluster\]'"
    with closing(open_broker(wiring)) as broker, pytest.raises(ConfigError, match=install):
        Worker(broker, MemoryStore(), POLICY, CALM).run()


# ---- stores


def _store_with(path: Path, change: Callable[[str, bytes], bytes]) -> int:
    """A store of a replay, its states changed; how many homes it has."""
    log = write_log(path.parent / "first.jsonl", recorded_lines())
    first = replay(Replay([log], path.parent / "first", Policy(), Wiring(store=str(path))))
    with closing(open_store(str(path))) as store:
        for partition in store.partitions():
            states = store.load(partition, list(store.households(partition)))
            changed = {household: change(household, raw) for household, raw in states.items()}
            before, moved = store.offsets(partition), {"moved": 1}
            epoch = store.claim(partition).epoch
            store.save(partition, epoch, before, moved, changed)
            store.save(partition, epoch, moved, before, {})
    return first.weight.households


def _damaged(raw: bytes) -> bytes:
    return raw[:-1] + bytes([raw[-1] ^ 1])


def _again(tmp_path: Path) -> Replay:
    log = write_log(tmp_path / "again.jsonl", recorded_lines())
    return Replay([log], tmp_path / "again", Policy(), Wiring(store="memory:"), origin=tmp_path / "run.db")


def test_of_a_store_with_damaged_homes_those_are_named_first_and_the_others_answered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged: list[str] = []

    def one(household: str, raw: bytes) -> bytes:
        if damaged:
            return raw
        damaged.append(household)
        return _damaged(raw)

    households = _store_with(tmp_path / "run.db", one)
    summary = replay(_again(tmp_path))
    assert f"1 of {households} homes" in caplog.records[0].getMessage()
    assert damaged[0] in caplog.records[0].getMessage()
    assert summary.counts.dead_letters["quarantined"] > 0
    assert summary.counts.events > 0
    assert summary.weight.households == households


def test_a_store_that_is_all_damaged_is_refused_before_the_first_record(tmp_path: Path) -> None:
    _store_with(tmp_path / "run.db", lambda _, raw: _damaged(raw))
    with pytest.raises(ConfigError, match="none of whose states can be read"):
        replay(_again(tmp_path))
    assert (tmp_path / "again" / "dead-letters.jsonl").read_bytes() == b""


@pytest.mark.parametrize("begins", ["--from", "--store"])
def test_a_store_of_a_newer_version_is_refused_before_the_first_record(
    begins: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as newer:
        newer.setattr(at_rest, "STATE_VERSION", 99)
        newer.setattr(worker_module, "STATE_VERSION", 99)
        log = write_log(tmp_path / "first.jsonl", recorded_lines())
        begun = Replay([log], tmp_path / "first", Policy(), Wiring(store=str(tmp_path / "run.db"), batch_records_max=20))
        done = [0]
        replay(begun, lambda: done[0] >= 40, lambda sofar: done.__setitem__(0, sofar.records))
    before = (tmp_path / "first" / "dead-letters.jsonl").read_bytes()
    with pytest.raises((ConfigError, NewerState), match="a newer kithkin has worked here"):
        replay(_again(tmp_path) if begins == "--from" else replace(begun, wiring=begun.wiring))
    assert (tmp_path / "first" / "dead-letters.jsonl").read_bytes() == before


# ---- a rolling upgrade


def test_two_versions_at_once_lose_and_double_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newer takes over, dies with a batch that is not saved; the older gets it back and stops; the newer goes on."""
    log, store = MemoryLog(), MemoryStore()

    def as_written(raw: bytes, policy: Policy, slot: Slot) -> Household:
        with monkeypatch.context() as version:
            version.setattr(at_rest, "STATE_VERSION", raw[at_rest.CHECKSUM_BYTES])
            return at_rest.decode_home(raw, policy, slot)

    def newer(work: Callable[[], None]) -> None:
        with monkeypatch.context() as version:
            version.setattr(at_rest, "STATE_VERSION", 99)
            version.setattr(worker_module, "STATE_VERSION", 99)
            version.setattr(worker_module, "STEP_VERSION", 99)
            version.setattr(home_cache, "decode_home", as_written)
            work()

    def work_off() -> None:
        broker = MemoryBroker(log)
        with closing(broker):
            worker = Worker(broker, store, POLICY, CALM)
            worker.run_once()
            while worker.run_once().records:
                pass

    see(log, "e-0")
    work_off()
    see(log, "e-1", minute=1)
    newer(work_off)
    see(log, "e-2", minute=2)
    newer(lambda: crashing(log, store, "crash_after_publish"))
    see(log, "e-3", minute=3)
    with pytest.raises(NewerState):
        work_off()
    newer(work_off)
    assert answered(log) == ["e-0", "e-1", "e-2", "e-3"]
    assert said(log, "dead-letters") == []
