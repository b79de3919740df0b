"""A worker that finds states behind the outputs brings them up, or stops with a sentence."""

import copy
from collections.abc import Sequence
from typing import Any

import pytest

from stream.brokers import Fault, Faults, MemoryBroker, MemoryLog
from stream.contract.errors import RecoveryError
from stream.contract.ports import Batch, Fenced, Offsets, StoreError
from stream.contract.records import Journal
from stream.home.step import step
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.support.histories import history
from tests.support.one_worker import CALM, POLICY, answered, at_work, crashing, see
from tests.support.serial import check


def test_states_behind_the_outputs_catch_up_and_publish_nothing_again() -> None:
    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    crashing(log, store, "crash_after_publish")
    assert list(store.households(0)) == []
    worker = at_work(log, store)
    assert worker.counts.recoveries == 1
    assert worker.counts.records == 0
    assert answered(log) == ["e-1"]
    assert check(log, store, POLICY, step) == []


def test_a_crash_before_the_commit_leaves_the_batch_to_the_next_worker() -> None:
    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    crashing(log, store, "crash_before_publish")
    worker = at_work(log, store)
    assert (worker.counts.recoveries, answered(log)) == (0, [])
    worker.run_once()
    assert answered(log) == ["e-1"]


def test_a_store_that_lost_its_last_writes_is_brought_up_from_the_journal() -> None:
    log, lost, store = MemoryLog(), MemoryStore(), MemoryStore()
    worker = at_work(log, lost)
    for sent in history(3, 1, 40):
        log.append(*sent)
        worker.run_once()
    log.evict(1)
    assert at_work(log, store).counts.recoveries == len(log.journal(0))
    assert check(log, store, POLICY, step) == []


def test_nothing_is_published_of_older_states_that_were_put_back_under_a_running_worker() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store, limits=WorkerLimits(resident_bytes_max=0, dead_letters_min=10**9))  # each batch loads its homes
    see(log, "e-1")
    worker.run_once()
    older = copy.deepcopy(vars(store))
    see(log, "e-2", minute=1)
    worker.run_once()
    vars(store).update(older)
    see(log, "e-3", minute=2)
    with pytest.raises(StoreError, match="the store was put back"):
        worker.run_once()
    assert answered(log) == ["e-1", "e-2"]
    log.evict(1)
    at_work(log, store).run_once()
    assert answered(log) == ["e-1", "e-2", "e-3"]
    assert check(log, store, POLICY, step) == []


@pytest.mark.parametrize("fault", ["crash_before_publish", "crash_after_publish"])
def test_a_worker_goes_on_where_its_states_stand_wherever_its_client_would_begin(fault: Fault) -> None:
    class Elsewhere(MemoryBroker):
        """As a client whose own idea is to begin at the end of the log."""

        def _reassigned(self) -> Batch:
            batch = super()._reassigned()
            self._positions = {(topic, 0): end for topic, end in log.end(0).items()}
            return batch

    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    crashing(log, store, fault)
    see(log, "e-2", minute=1)
    worker = Worker(Elsewhere(log), store, POLICY, CALM)
    worker.run_once()
    worker.run_once()
    assert answered(log) == ["e-1", "e-2"]
    assert check(log, store, POLICY, step) == []


@pytest.mark.parametrize("changed", [{}, {"step_version": 0}, {"policy_id": "another"}], ids=["same", "version", "policy"])
def test_batches_of_another_version_or_policy_are_applied_again_with_a_warning(
    changed: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    class Older(MemoryBroker):
        def journal(self, partition: int, offsets: Offsets) -> Sequence[Journal]:
            return [entry.model_copy(update=changed) for entry in super().journal(partition, offsets)]

    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    crashing(log, store, "crash_after_publish")
    Worker(Older(log), store, POLICY, CALM).run_once()
    assert list(store.households(0)) == ["h-1"]
    assert [record.levelname for record in caplog.records] == (["WARNING"] if changed else [])


def test_states_ahead_of_the_committed_offsets_stop_the_worker() -> None:
    log, store = MemoryLog(), MemoryStore()
    store.save(0, store.claim(0).epoch, {}, {"recognitions": 5}, {})
    with pytest.raises(RecoveryError, match="ahead of the committed offsets"):
        at_work(log, store)


def test_a_journal_no_longer_retained_stops_the_worker() -> None:
    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    crashing(log, store, "crash_after_publish")
    log.forget_journal(0, 1)
    with pytest.raises(RecoveryError, match="no longer holds the batch"):
        at_work(log, store)


def test_inputs_no_longer_retained_stop_the_worker() -> None:
    class Forgetful(MemoryBroker):
        def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Any]:
            return super().fetch(partition, offsets_from, offsets_to)[1:]

    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    crashing(log, store, "crash_after_publish")
    with pytest.raises(RecoveryError, match="had 1 records, of which the broker still has 0"):
        Worker(Forgetful(log), store, POLICY).run_once()


def test_a_journal_that_ends_early_stops_the_worker() -> None:
    class Truncated(MemoryBroker):
        def journal(self, partition: int, offsets: Offsets) -> Sequence[Any]:
            return ()

    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    crashing(log, store, "crash_after_publish")
    with pytest.raises(RecoveryError, match="its last batches are missing"):
        Worker(Truncated(log), store, POLICY).run_once()


def test_who_was_fenced_is_of_no_more_use() -> None:
    log, faults = MemoryLog(), Faults(0, {"zombie_before_publish": 1.0})
    broker = MemoryBroker(log, faults)
    faults.stand_still = broker.close
    worker = Worker(broker, MemoryStore(), POLICY)
    worker.run_once()
    see(log, "e-1")
    with pytest.raises(Fenced):
        worker.run_once()
    with pytest.raises(AssertionError, match="has failed before"):
        worker.run_once()
    assert answered(log) == []
