"""Law 7 on the bytes of disks: after an erasure nothing of who was erased stands in a store's files, of damaged homes too."""

import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from stream.brokers import MemoryBroker, MemoryLog
from stream.contract.ports import StateStore
from stream.contract.settings import Wiring
from stream.home.state.at_rest import decode_home
from stream.ops.local_cluster.processes import until
from stream.ops.local_cluster.redis import Redis
from stream.runtime.worker.worker import Worker
from stream.stores import MemoryStore, SqliteStore
from stream.stores.redis.store import RedisStore
from tests.support.failing_core import failing_on
from tests.support.one_worker import CALM, POLICY, answered, at_work, crashing, join, said, see, send

NAME = "zerberus-the-erased"  # of nobody else


def _live_and_erase(log: MemoryLog, store: StateStore, whole: bool) -> None:
    """Two homes live for a while, a save each time; then one is erased, whole or that person; and life goes on."""
    with closing(MemoryBroker(log)) as broker:
        worker = Worker(broker, store, POLICY, CALM)
        worker.run_once()
        for household, person in (("h-1", NAME), ("h-2", "bob")):
            join(log, person, household=household)
            worker.run_once()
        for number in range(30):
            see(log, f"e-{number}", minute=number, household=f"h-{number % 2 + 1}")
            worker.run_once()
        send(log, "feedback", 31, feedback_id="f-erase", kind="erase", person_id=None if whole else NAME)
        worker.run_once()
        see(log, "e-40", minute=40, household="h-2")
        worker.run_once()


def _copies(folder: Path) -> dict[str, int]:
    """How often the name stands in each file."""
    counts = {}
    for path in folder.rglob("*"):
        with suppress(FileNotFoundError):  # Redis renames and deletes files while they are counted
            counts[path.name] = path.read_bytes().count(NAME.encode()) if path.is_file() else 0
    return {name: count for name, count in counts.items() if count}


@pytest.mark.parametrize("whole", [True, False], ids=["a home", "a person"])
def test_of_sqlites_files(whole: bool, tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "run.db")) as store:
        _live_and_erase(MemoryLog(), store, whole)
        assert _copies(tmp_path) == {}, "while it is open: also in the write-ahead log"
        assert sorted(store.households(0)) == ["h-1", "h-2"]


@pytest.mark.parametrize("whole", [True, False], ids=["a home", "a person"])
def test_of_rediss_append_only_file(whole: bool, tmp_path: Path) -> None:
    with Redis(tmp_path / "redis") as redis, closing(RedisStore(redis.url, Wiring(store=redis.url))) as store:
        _live_and_erase(MemoryLog(), store, whole)
        assert until(lambda: not _copies(tmp_path), 20), _copies(tmp_path)


def test_redis_is_asked_seldom_and_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    with Redis(tmp_path / "redis") as redis, closing(RedisStore(redis.url, Wiring(store=redis.url))) as store:
        ask = store._client.ask

        def noting(*command: str) -> object:
            return asked.append(time.monotonic()) if command[0] == "BGREWRITEAOF" else ask(*command)

        monkeypatch.setattr(store._client, "ask", noting)
        for _ in range(5):
            store.forget_overwritten()
        assert len(asked) == 1
        monkeypatch.setattr(store, "_rewrite_at_s", 0.0)
        epoch = store.claim(0).epoch
        store.save(0, epoch, {}, {"feedback": 1}, {})
        assert len(asked) == 2, "the later erasures are made good when it may be asked again"


# ---- homes that cannot be read


def _damaged() -> tuple[MemoryLog, MemoryStore, bytes]:
    """A home whose state was damaged, and its bytes."""
    log, store = MemoryLog(), MemoryStore()
    join(log, NAME)
    see(log, "e-1")
    at_work(log, store).run_once()
    raw = store.load(0, ["h-1"])["h-1"]
    damaged = raw[:-1] + bytes([raw[-1] ^ 1])
    before = store.offsets(0)
    epoch = store.claim(0).epoch
    store.save(0, epoch, before, {"moved": 1}, {"h-1": damaged})
    store.save(0, epoch, {"moved": 1}, before, {})
    return log, store, damaged


def _erase(log: MemoryLog, minute: int = 5) -> None:
    send(log, "feedback", minute, feedback_id="f-erase", kind="erase", person_id=None)


@pytest.mark.parametrize("noticed", ["by the erasure", "before, in another batch", "before, in the same batch"])
def test_a_damaged_home_is_erased_without_being_read(noticed: str) -> None:
    log, store, _ = _damaged()
    worker = at_work(log, store)
    if noticed != "by the erasure":
        see(log, "e-2", minute=2)
    if noticed == "before, in another batch":
        worker.run_once()
    _erase(log)
    worker.run_once()
    left = store.load(0, ["h-1"])["h-1"]
    assert NAME.encode() not in left
    assert decode_home(left, POLICY).people == []
    see(log, "e-3", minute=9)
    worker.run_once()
    assert answered(log) == ["e-1", "e-3"], "and the home begins anew"
    assert [letter["offset"] for letter in said(log, "dead-letters")] == ([] if noticed == "by the erasure" else [1])
    assert worker.counts.quarantined == 0


def test_so_is_one_on_which_the_core_failed() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store, stepping=failing_on("e-bad").step_batch)
    join(log, NAME)
    see(log, "e-bad", minute=1)
    worker.run_once()
    assert worker.counts.quarantined == 1
    _erase(log)
    worker.run_once()
    assert worker.counts.quarantined == 0
    assert NAME.encode() not in store.load(0, ["h-1"])["h-1"]


def test_a_crash_after_it_is_recovered_to_the_same() -> None:
    log, store, _ = _damaged()
    see(log, "e-2", minute=2)
    at_work(log, store).run_once()
    _erase(log)
    see(log, "e-3", minute=9)
    crashing(log, store, "crash_after_publish")
    worker = at_work(log, store)
    assert worker.counts.recoveries == 1
    left = store.load(0, ["h-1"])["h-1"]
    assert decode_home(left, POLICY).people == []
    see(log, "e-4", minute=10)
    worker.run_once()
    assert answered(log)[-1] == "e-4"
