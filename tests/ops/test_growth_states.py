"""The states of homes under another number of partitions: each where its key belongs, once, however often it was stopped."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.brokers import Crash, Faults, MemoryBroker, MemoryLog
from stream.brokers.partitioning import partition_of
from stream.contract.errors import ConfigError, Moved
from stream.contract.ports import Fenced, StateStore, StoreError
from stream.ops.growth.states import NewPartitions, close_old, reopen_old
from stream.runtime.worker.worker import Worker
from stream.stores import MemoryStore, SqliteStore
from stream.stores.moves import Growth
from tests.support.faulty_store import FaultyStore
from tests.support.one_worker import POLICY, at_work, said, see

OpenStore = Callable[[], StateStore]


@pytest.fixture(params=["memory", "sqlite"])
def another_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenStore]:
    numbers = count()
    with ExitStack() as ends:
        files = lambda: ends.enter_context(closing(SqliteStore(tmp_path / f"{next(numbers)}.db")))  # noqa: E731
        yield MemoryStore if request.param == "memory" else files


def filled(store: StateStore, growth: Growth, homes: int) -> dict[str, bytes]:
    """Homes where their keys put them, with something that a worker keeps beside them; the states by home."""
    states = {f"h-{number}": f"state {number}".encode() for number in range(homes)}
    for partition in range(growth.partitions_before):
        own = {home: states[home] for home in states if partition_of(home.encode(), growth.partitions_before) == partition}
        epoch = store.claim(partition).epoch
        store.save(partition, epoch, {}, {"recognitions": 7, "feedback": partition}, own | {"!latest-records": b"{}"})
    return states


def move(old: StateStore, new: StateStore, growth: Growth, at_once: int = 3) -> None:
    partitions = NewPartitions(new, growth)
    if not partitions.are_open:
        close_old(old, growth)
        for _ in partitions.fill(old, at_once):
            pass
        if not partitions.is_cut:
            with partitions.guard_cut():
                pass
        partitions.open()


def placed(store: StateStore, growth: Growth) -> dict[str, bytes]:
    """All states of the new partitions, each of which must lie in its key's; and workers begin there at the beginning."""
    found: dict[str, bytes] = {}
    for partition in range(growth.partitions):
        states = store.load(partition, list(store.households(partition)))
        assert {partition_of(home.encode(), growth.partitions) for home in states} <= {partition}
        assert store.claim(partition).offsets == {}
        found |= states
    return found


@pytest.mark.parametrize(("before", "after"), [(2, 5), (5, 2), (1, 16), (3, 3)])
def test_every_home_lies_where_its_key_belongs_as_it_was(another_store: OpenStore, before: int, after: int) -> None:
    old, new, growth = another_store(), another_store(), Growth("a.", before, "b.", after)
    states = filled(old, growth, 40)
    move(old, new, growth)
    assert placed(new, growth) == states
    move(old, new, growth)
    assert placed(new, growth) == states


@given(seed=st.integers(0, 2**32), before=st.integers(1, 4), after=st.integers(1, 6), homes=st.integers(0, 25))
def test_a_move_that_was_killed_anywhere_and_given_again_is_whole(seed: int, before: int, after: int, homes: int) -> None:
    old, new, growth = MemoryStore(), MemoryStore(), Growth("a.", before, "b.", after)
    states = filled(old, growth, homes)
    faults = Faults(seed, {"crash_before_save": 0.2, "crash_after_save": 0.2})
    for attempt in count():
        faults.chances = {} if attempt == 200 else faults.chances
        try:
            move(FaultyStore(old, faults), FaultyStore(new, faults), growth, at_once=2 + attempt % 3)
            break
        except Crash:
            continue
    assert placed(new, growth) == states


def test_of_a_home_in_two_halves_the_one_in_its_keys_partition_stays(another_store: OpenStore) -> None:
    old, new, growth = another_store(), another_store(), Growth("a.", 3, "b.", 4)
    right = partition_of(b"h-1", 3)
    for partition in range(3):
        only_elsewhere = {"h-2": b"%d" % partition} if partition != partition_of(b"h-2", 3) else {}
        old.save(partition, old.claim(partition).epoch, {}, {"feedback": 1}, {"h-1": b"%d" % partition} | only_elsewhere)
    move(old, new, growth)
    first_elsewhere = min({0, 1, 2} - {partition_of(b"h-2", 3)})
    assert placed(new, growth) == {"h-1": b"%d" % right, "h-2": b"%d" % first_elsewhere}


def test_a_prefix_with_states_or_another_move_is_refused_and_unchanged(another_store: OpenStore) -> None:
    old, new, growth = another_store(), another_store(), Growth("a.", 2, "b.", 3)
    filled(old, growth, 10)
    new.save(2, new.claim(2).epoch, {}, {"feedback": 4}, {"h-1": b"state"})
    with pytest.raises(ConfigError, match="there are states"):
        NewPartitions(new, growth)
    assert (new.offsets(2), new.load(2, ["h-1"])) == ({"feedback": 4}, {"h-1": b"state"})
    assert new.partitions() == [2]

    new = another_store()
    move(old, new, growth)
    with pytest.raises(ConfigError, match=r'from "a\." to 3 partitions'):
        NewPartitions(new, Growth("a.", 2, "b.", 4))
    with pytest.raises(ConfigError, match=r'moved to "b\." with 3 partitions'):
        close_old(old, Growth("a.", 2, "c.", 3))


def test_of_two_who_move_the_same_the_later_one_goes_on(another_store: OpenStore) -> None:
    old, new, growth = another_store(), another_store(), Growth("a.", 2, "b.", 3)
    states = filled(old, growth, 10)
    earlier = NewPartitions(new, growth)
    later = NewPartitions(new, growth)
    cut = []
    with pytest.raises(Fenced):
        list(earlier.fill(old))
    with pytest.raises(Fenced), earlier.guard_cut():
        cut.append("earlier")
    list(later.fill(old))
    with later.guard_cut():
        cut.append("later")
    assert (cut, later.is_cut) == (["later"], True)
    later.open()
    assert placed(new, growth) == states


# ---- and the workers


def test_no_worker_takes_partitions_that_moved_or_are_being_filled() -> None:
    log, old, new, growth = MemoryLog(), MemoryStore(), MemoryStore(), Growth("a.", 1, "b.", 1)
    see(log, "e-1")
    at_work(log, old).run_once()
    partitions = NewPartitions(new, growth)
    close_old(old, growth)
    see(log, "e-2", minute=1)
    with pytest.raises(Moved, match=r'moved to 1 partitions under "b\."'):
        at_work(log, old)
    with pytest.raises(StoreError, match="still being copied"):
        at_work(MemoryLog(), new)
    for _ in partitions.fill(old):  # who was refused has not stopped it
        pass
    partitions.open()

    moved = MemoryLog()
    see(moved, "e-1", minute=2)
    see(moved, "e-2", minute=3)
    at_work(moved, new).run_once()
    assert [one["event_id"] for one in said(moved, "identities")] == ["e-2"], "e-1 was answered before, and is known"
    assert [one["event_id"] for one in said(log, "identities")] == ["e-1"]


def test_a_worker_that_has_them_when_they_are_closed_saves_no_more_and_the_next_goes_on_when_they_are_reopened() -> None:
    log, old, growth = MemoryLog(), MemoryStore(), Growth("a.", 1, "b.", 2)
    worker = Worker(MemoryBroker(log), old, POLICY)
    worker.run_once()
    see(log, "e-1")
    earlier = close_old(old, growth)
    with pytest.raises(Fenced):
        worker.run_once()
    log.evict(1)
    later = close_old(old, growth)
    with pytest.raises(Fenced):
        reopen_old(old, earlier)
    reopen_old(old, later)
    assert at_work(log, old).counts.recoveries == 1
