"""Publishing beside the worker: with a backlog one batch is published while the next is polled and applied."""

import pytest

from stream.brokers import Faults, MemoryBroker, MemoryLog
from stream.contract.ports import Batch, BrokerError, Transaction, on_both
from stream.home.step import step
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.support.one_worker import POLICY, answered, see
from tests.support.publishing import Publishing
from tests.support.serial import check

LIMITS = WorkerLimits(records_max=8, records_min=2, dead_letters_min=10**9)


class Noted(MemoryBroker):
    """Notes the calls of both kinds, polls with how much they asked for and brought."""

    def __init__(self, log: MemoryLog, faults: Faults | None = None) -> None:
        super().__init__(log, faults)
        self.calls: list[tuple[str, int, int]] = []

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        batch = super().poll(records_max, timeout_s)
        self.calls.append(("poll", records_max, len(batch.records)))
        return batch

    def publish(self, transaction: Transaction) -> None:
        super().publish(transaction)
        self.calls.append(("publish", 0, sum(entry.count for entry in transaction.journal)))


def started(records: int, faults: Faults | None = None, *, at_once: bool = False) -> tuple[MemoryLog, Noted, MemoryStore, Worker]:
    """A worker with its assignment, and so many records before it."""
    log, store = MemoryLog(1), MemoryStore()
    for number in range(records):
        see(log, f"e-{number}", minute=number, household=f"h-{number % 3}")
    broker = Noted(log, faults)
    worker = Worker(broker, store, POLICY, LIMITS)
    worker.publish_beside(Publishing(lambda: at_once))
    worker.run_once()
    broker.calls.clear()
    return log, broker, store, worker


def test_with_a_backlog_the_next_batch_is_polled_before_one_is_visible() -> None:
    _, broker, _, worker = started(50)
    worker.run_once()
    assert [call for call, *_ in broker.calls] == ["poll"]
    worker.run_once()
    assert [call for call, *_ in broker.calls] == ["poll", "poll", "publish"]


def test_when_it_is_quiet_a_batch_is_visible_and_saved_before_the_next_poll() -> None:
    log, broker, store, worker = started(1)
    assert worker.run_once().records == 1
    assert [call for call, *_ in broker.calls] == ["poll", "publish"]
    assert on_both(store.offsets(0)) == log.committed(0)


def test_polls_ask_for_more_as_long_as_they_are_filled_and_for_less_when_it_is_quiet() -> None:
    _, broker, _, worker = started(30)
    for _ in range(9):
        worker.run_once()
    polls = [(asked, brought) for call, asked, brought in broker.calls if call == "poll"]
    assert polls == [(2, 2), (4, 4), (8, 8), (8, 8), (8, 8), (8, 0), (4, 0), (2, 0), (2, 0)]


@pytest.mark.parametrize("at_once", [False, True])
def test_who_stops_with_a_backlog_leaves_nothing_begun(at_once: bool) -> None:
    log, _, store, worker = started(50, at_once=at_once)
    turns = iter([False, False, False, True])
    worker.run(stop=lambda: next(turns))
    assert len(answered(log)) == 2 + 4 + 8
    assert on_both(store.offsets(0)) == log.committed(0)


@pytest.mark.parametrize("at_once", [False, True])
def test_after_a_batch_that_could_not_be_published_nothing_is(at_once: bool) -> None:
    faults = Faults(0, {})
    log, _, store, worker = started(50, faults, at_once=at_once)
    faults.chances["broker_error_at_publish"] = 1.0
    with pytest.raises(BrokerError):
        worker.run(stop=lambda: False)
    assert answered(log) == []
    assert on_both(store.offsets(0)) == on_both({})


def test_homes_that_left_memory_before_they_were_saved_are_what_they_were() -> None:
    log, store = MemoryLog(1), MemoryStore()
    for number in range(60):
        see(log, f"e-{number}", minute=number, household=f"h-{number % 7}")
    log.sealed = True
    limits = WorkerLimits(records_max=4, records_min=4, resident_bytes_max=0, dead_letters_min=10**9)
    worker = Worker(MemoryBroker(log), store, POLICY, limits)
    worker.publish_beside(Publishing(lambda: False))
    worker.run()
    assert len(answered(log)) == 60
    assert check(log, store, POLICY, step) == []
