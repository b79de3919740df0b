import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from stream.brokers import Crash, Faults, MemoryBroker, MemoryLog
from stream.contract.ports import Batch, Offsets, Transaction
from stream.home import statements
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import Household
from stream.home.state.layout import HOME
from stream.home.step import step_batch
from stream.runtime.worker.batch import StepFunction, as_arrived
from stream.runtime.worker.home_cache import LIVE_SHARE, OVERHEAD_BYTES, HomeCache
from stream.runtime.worker.worker import Progress, Worker, WorkerLimits
from stream.stores import MemoryStore
from stream.stores.fencing import is_household
from tests.support.failing_core import failing_on
from tests.support.histories import history
from tests.support.one_worker import AT_MS, CALM, POLICY, answered, at_work, crashing, join, said, see
from tests.support.serial import check
from tests.support.worlds import recognition

# ---- one batch


def test_a_batch_becomes_answers_a_journal_entry_offsets_and_states() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store)
    join(log, "alice")
    see(log, "e-1", minute=1)
    assert worker.run_once() == Progress(2, frozenset({0}), False)
    assert answered(log) == ["e-1"]
    assert [(entry.count, entry.offsets_to) for entry in log.journal(0)] == [(2, log.end(0))]
    assert log.committed(0) == log.end(0) == store.claim(0).offsets
    assert list(store.households(0)) == ["h-1"]


def test_an_empty_poll_publishes_nothing() -> None:
    log = MemoryLog()
    assert at_work(log, MemoryStore()).run_once().records == 0
    assert log.journal(0) == ()


def test_a_batch_of_several_partitions_is_one_transaction_with_an_entry_each() -> None:
    log, store = MemoryLog(3), MemoryStore()
    worker = at_work(log, store)
    see(log, "e-1", household="h-0", partition=0)
    see(log, "e-2", household="h-2", partition=2)
    worker.run_once()
    assert [len(log.journal(partition)) for partition in range(3)] == [1, 0, 1]
    assert [list(store.households(partition)) for partition in range(3)] == [["h-0"], [], ["h-2"]]


@pytest.mark.parametrize(("limits", "members"), [(CALM, ["alice", "guest"]), (WorkerLimits(ordering=as_arrived), ["guest"])])
def test_a_live_batch_applies_by_content_and_a_log_as_it_stands(limits: WorkerLimits, members: list[str]) -> None:
    log = MemoryLog()
    worker = at_work(log, MemoryStore(), limits=limits)
    see(log, "e-1", minute=5)
    join(log, "alice", minute=1)
    worker.run_once()
    assert sorted(said(log, "identities")[0]["posterior"]) == members


def test_an_unreadable_record_is_a_dead_letter_and_changes_nothing_else() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store)
    log.append("feedback", 0, AT_MS, b"h-1", b"{not json")
    see(log, "e-1")
    worker.run_once()
    assert [(letter["offset"], letter["reason"]) for letter in said(log, "dead-letters")] == [(0, "json")]
    assert answered(log) == ["e-1"]
    assert worker.counts.dead_letters == {"json": 1}


def test_parts_that_were_left_out_are_counted_by_the_field_at_fault() -> None:
    log = MemoryLog()
    worker = at_work(log, MemoryStore())
    for number, parts in enumerate([{"phones": [{"phone_id": "p", "rssi_dbm": 127}]}, {"device": {"room": ""}, "face": 1}, {}]):
        value = recognition("h-1", f"e-{number}", AT_MS, activity="music.play") | parts
        log.append("recognitions", 0, AT_MS, b"h-1", json.dumps(value).encode())
    worker.run_once()
    assert answered(log) == ["e-0", "e-1", "e-2"]
    assert worker.counts.left_out == {"rssi_dbm": 1, "device": 1, "face": 1}
    assert not worker.counts.dead_letters


def _given_again(log: MemoryLog, broker_of: Callable[[MemoryLog, Faults], MemoryBroker] = MemoryBroker) -> Worker:
    """A worker that has published 30 events, the last of which its broker will give again."""
    faults = Faults(0, {})
    worker = Worker(broker_of(log, faults), MemoryStore(), POLICY)
    worker.run_once()
    for number in range(30):
        see(log, f"e-{number}", minute=number)
    worker.run_once()
    faults.chances["redeliver"] = 1.0
    log.rebalance()
    worker.run_once()
    return worker


def test_published_records_that_come_again_are_passed_over() -> None:
    log = MemoryLog()
    worker = _given_again(log)
    see(log, "e-30", minute=30)
    assert worker.run_once().records == 1
    assert worker.counts.outcomes == {"answered": 31}
    assert [entry.count for entry in log.journal(0)] == [30, 1]


def test_a_poll_of_nothing_but_published_records_publishes_nothing() -> None:
    class Recording(MemoryBroker):
        def poll(self, records_max: int, timeout_s: float) -> Batch:
            batch = super().poll(records_max, timeout_s)
            happened.append(f"{len(batch.records)} polled")
            return batch

        def publish(self, transaction: Transaction) -> None:
            happened.append("published")
            super().publish(transaction)

    happened: list[str] = []
    assert _given_again(MemoryLog(), Recording).run_once().records == 0
    assert happened[-1] in {f"{number} polled" for number in range(1, 20)}


def test_only_homes_that_had_an_event_are_saved() -> None:
    class Recording(MemoryStore):
        def save(
            self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]
        ) -> None:
            saved.append(sorted(filter(is_household, states)))
            super().save(partition, epoch, offsets_from, offsets_to, states)

    saved: list[list[str]] = []
    log = MemoryLog()
    worker = at_work(log, Recording())
    for event_id, household in [("e-1", "h-1"), ("e-1", "h-2"), ("e-2", "h-2")]:
        see(log, event_id, household=household)
        worker.run_once()
    assert saved == [["h-1"], ["h-2"], ["h-2"]]


def test_counts_tell_what_was_done() -> None:
    log = MemoryLog()
    worker = at_work(log, MemoryStore())
    join(log, "alice")
    for event_id in ("e-1", "e-1", "e-2"):
        see(log, event_id, minute=1)
    log.append("recognitions", 0, AT_MS, None, None)
    worker.run_once()
    counts = worker.counts
    assert (counts.batches, counts.records, counts.events, counts.recoveries) == (1, 5, 4, 0)
    assert (counts.households_new, counts.households_loaded) == (1, 0)
    assert (counts.rebalances, counts.resident_homes, counts.quarantined) == (1, 1, 0)
    assert counts.resident_bytes > 0
    assert counts.outcomes == {"used": 1, "answered": 2, "duplicate": 1}
    assert counts.dead_letters == {"empty": 1}
    assert counts.outputs["identities"] == 2
    assert counts.outputs["dead-letters"] == 1


def test_a_record_that_the_core_refuses_counts_as_a_dead_letter() -> None:
    log = MemoryLog()
    worker = at_work(log, MemoryStore())
    see(log, "e-1", minute=0)
    worker.run_once()
    see(log, "e-0", minute=-60 * 24 * 300)
    worker.run_once()
    assert _reasons(log) == [(1, "too_old")]
    assert worker.counts.dead_letters == {"too_old": 1}
    assert (worker.counts.events, worker.counts.outcomes) == (1, {"answered": 1, "refused": 1})


def test_a_run_ends_with_the_log() -> None:
    log = MemoryLog()
    for number in range(50):
        see(log, f"e-{number}", minute=number)
    log.sealed = True
    Worker(MemoryBroker(log), MemoryStore(), POLICY, WorkerLimits(records_max=7)).run()
    assert answered(log) == [f"e-{number}" for number in range(50)]


def test_a_run_stops_between_batches_when_told() -> None:
    log = MemoryLog()
    for number in range(50):
        see(log, f"e-{number}", minute=number)
    worker = Worker(MemoryBroker(log), MemoryStore(), POLICY, WorkerLimits(records_max=10))
    worker.run(stop=lambda: worker.counts.batches == 2)
    assert len(answered(log)) == 20


# ---- quarantine


def _reasons(log: MemoryLog) -> list[tuple[int, str]]:
    return [(letter["offset"], letter["reason"]) for letter in said(log, "dead-letters")]


def test_a_household_on_which_the_core_fails_is_left_out_whole_and_keeps_its_state() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store, stepping=failing_on("e-3").step_batch)
    see(log, "e-1")
    worker.run_once()
    before = store.load(0, ["h-1"])
    for event_id in ("e-2", "e-3", "e-4"):
        see(log, event_id, minute=1)
    worker.run_once()
    see(log, "e-5", minute=2)
    worker.run_once()
    assert store.load(0, ["h-1"]) == before
    assert answered(log) == ["e-1"]
    assert _reasons(log) == [(offset, "quarantined") for offset in (1, 2, 3, 4)]
    assert said(log, "dead-letters")[0]["detail"] == "its household failed: ZeroDivisionError at recognitions[0]@2"
    assert worker.counts.quarantined == 1


def test_the_other_households_of_the_batch_do_not_notice() -> None:
    def run(stepping: StepFunction) -> tuple[list[Any], dict[str, bytes]]:
        log, store = MemoryLog(), MemoryStore()
        worker = at_work(log, store, stepping=stepping)
        for number in range(6):
            see(log, f"e-{number}", minute=number, household=f"h-{number % 3}")
        worker.run_once()
        said = [output for output in log.outputs("identities", 0) if output.key != b"h-1"]
        return said, store.load(0, ["h-0", "h-2"])

    assert run(failing_on("e-4").step_batch) == run(step_batch)


def test_an_error_within_a_statement_leaves_out_its_household_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def stating(household: Household, value: Any, policy: Any) -> Any:
        if household.household_id == "h-1" and value.person_id == "bob":
            raise ZeroDivisionError("of the core")
        return state(household, value, policy)

    state = statements.state
    monkeypatch.setattr(statements, "state", stating)
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store)
    for household in ("h-1", "h-2"):
        for person in ("alice", "bob", "carol"):
            join(log, person, household=household)
        see(log, f"e-{household}", household=household)
    worker.run_once()
    assert {letter["topic"] for letter in said(log, "dead-letters")} == {"feedback", "recognitions"}
    assert [offset for offset, _ in _reasons(log)] == [0, 1, 2, 0]
    assert said(log, "dead-letters")[0]["detail"] == "its household failed: ZeroDivisionError at feedback[0]@1"
    assert answered(log) == ["e-h-2"]
    assert list(store.households(0)) == ["h-2"]


def test_a_quarantine_ends_when_the_partition_is_assigned_anew() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store, stepping=failing_on("e-1").step_batch)
    see(log, "e-1")
    worker.run_once()
    log.rebalance()
    worker.run_once()
    see(log, "e-2", minute=1)
    worker.run_once()
    assert answered(log) == ["e-2"]


def test_a_recovery_leaves_out_whom_the_first_run_left_out() -> None:
    log, store, core = MemoryLog(), MemoryStore(), failing_on("e-1")
    faults = Faults(0, {})
    broker = MemoryBroker(log, faults)
    worker = Worker(broker, store, POLICY, CALM, core.step_batch)
    worker.run_once()
    see(log, "e-1")
    worker.run_once()
    see(log, "e-2", minute=1)  # harmless in itself, and quarantined
    faults.chances["crash_after_publish"] = 1.0
    with pytest.raises(Crash):
        worker.run_once()
    broker.close()
    successor = at_work(log, store, stepping=core.step_batch)
    assert list(store.households(0)) == []
    see(log, "e-3", minute=2)
    successor.run_once()
    assert answered(log) == ["e-3"]
    assert check(log, store, POLICY, core.step) == []


def test_a_batch_after_a_quarantine_ended_is_recovered_with_the_household() -> None:
    log, store, core = MemoryLog(), MemoryStore(), failing_on("e-1")
    see(log, "e-1")
    first = MemoryBroker(log)
    worker = Worker(first, store, POLICY, CALM, core.step_batch)
    worker.run_once()
    worker.run_once()
    first.close()
    see(log, "e-2", minute=1)
    crashing(log, store, "crash_after_publish", core.step_batch)
    at_work(log, store, stepping=core.step_batch)
    assert list(store.households(0)) == ["h-1"]
    assert check(log, store, POLICY, core.step) == []


def test_a_state_that_cannot_be_read_quarantines_its_household_only() -> None:
    log, store = MemoryLog(), MemoryStore()
    store.save(0, store.claim(0).epoch, {}, {}, {})
    store._held[0].states["h-1"] = b"\xc1 rotten"
    worker = at_work(log, store)
    see(log, "e-1", household="h-1")
    see(log, "e-2", household="h-2")
    worker.run_once()
    assert _reasons(log) == [(0, "quarantined")]
    assert answered(log) == ["e-2"]
    assert store.load(0, ["h-1"]) == {"h-1": b"\xc1 rotten"}


class PanicException(BaseException):
    """Named and derived as the one that the bindings of Rust raise."""


@pytest.mark.parametrize("where", ["batch.encode_home", "home_cache.decode_home"])
def test_a_panic_of_native_code_quarantines(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def panicking(*_: Any) -> Any:
        raise PanicException("of Rust")

    log, store = MemoryLog(), MemoryStore()
    see(log, "e-1")
    at_work(log, store).run_once()
    log.rebalance()
    monkeypatch.setattr(f"stream.runtime.worker.{where}", panicking)
    worker = at_work(log, store)
    see(log, "e-2", minute=1)
    worker.run_once()
    assert _reasons(log) == [(1, "quarantined")]


@pytest.mark.parametrize("error", [MemoryError(), KeyboardInterrupt()])
def test_what_says_nothing_about_a_household_ends_the_worker(error: BaseException) -> None:
    log = MemoryLog()
    worker = at_work(log, MemoryStore(), stepping=failing_on("e-1", error=error).step_batch)
    see(log, "e-1")
    with pytest.raises(type(error)):
        worker.run_once()
    assert log.journal(0) == ()


# ---- limits


@pytest.mark.parametrize("bytes_max", [0, 20_000, 250_000])
def test_how_much_is_resident_changes_nothing(bytes_max: int) -> None:
    def run(limits: WorkerLimits) -> tuple[list[Any], dict[str, bytes]]:
        log, store = MemoryLog(), MemoryStore()
        worker = at_work(log, store, limits=limits)
        for sent in history(11, 1, 80):
            log.append(*sent)
            worker.run_once()
        assert worker.counts.resident_bytes <= limits.resident_bytes_max
        return list(log.outputs("identities", 0)), store.load(0, list(store.households(0)))

    few = WorkerLimits(dead_letters_min=10**9, resident_bytes_max=bytes_max)
    assert run(few) == run(CALM)


STATES = {f"h-{number}": encode_home(Household.new(f"h-{number}")) for number in range(4)}
WEIGHT = len(STATES["h-0"]) + OVERHEAD_BYTES  # of a state that is kept


def _three_homes(bytes_max: int) -> HomeCache:
    """Of h-0, h-1 and h-2, the first of which was used last."""
    store = MemoryStore()
    store.save(0, store.claim(0).epoch, {}, {"feedback": 1}, STATES)
    homes = HomeCache(store, POLICY, bytes_max)
    for household in ("h-0", "h-1", "h-2"):
        homes.load(0, [household], {})
        homes.home(0, household)
        homes.touch({0: {household: STATES[household]}})
        homes.unsaved.clear()
    homes.load(0, ["h-0"], {})
    homes.home(0, "h-0")
    homes.touch({0: {"h-0": STATES["h-0"]}})
    homes.unsaved.clear()
    return homes


def test_of_the_homes_that_leave_their_slots_the_bytes_are_kept_the_least_recently_used_first() -> None:
    homes = _three_homes(bytes_max=round(2 * HOME.itemsize / LIVE_SHARE))
    assert (len(homes), homes.size_bytes, homes.homes_loaded) == (3, 2 * HOME.itemsize + 3 * WEIGHT, 3)
    homes.load(0, ["h-0", "h-1", "h-2"], {})
    homes.home(0, "h-2")
    homes.home(0, "h-0")
    assert homes.size_bytes == 2 * HOME.itemsize + 3 * WEIGHT, "the two most recently used had stayed in their slots"
    homes.home(0, "h-1")
    assert (homes.size_bytes, homes.homes_loaded) == (3 * HOME.itemsize + 3 * WEIGHT, 3)


def test_homes_weigh_what_they_take_and_the_least_recently_used_leave() -> None:
    homes = _three_homes(bytes_max=HOME.itemsize + 2 * WEIGHT)
    assert (len(homes), homes.size_bytes, homes.homes_loaded) == (2, HOME.itemsize + 2 * WEIGHT, 4), "h-0 had gone meanwhile"
    homes.load(0, ["h-0", "h-2"], {})
    assert homes.home(0, "h-0") is homes.home(0, "h-0")
    homes.home(0, "h-2")
    assert homes.homes_loaded == 4, "the two most recently used had stayed"
    homes.load(0, ["h-1"], {})
    homes.home(0, "h-1")
    assert homes.homes_loaded == 5


def test_a_home_that_stands_where_another_did_has_nothing_of_it() -> None:
    store = MemoryStore()
    homes = HomeCache(store, POLICY, bytes_max=0)
    for name in ("h-0", "h-1"):
        homes.load(0, [name], {})
        home = homes.home(0, name)
        assert encode_home(home) == STATES[name]
        home.memory["bytes"] = 0xFF
        homes.drop(0, name)


def test_a_new_assignment_drops_all_homes() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store)
    see(log, "e-1")
    worker.run_once()
    log.rebalance()
    worker.run_once()
    see(log, "e-2", minute=1)
    worker.run_once()
    assert worker.counts.households_loaded == 1
    assert encode_home(decode_home(store.load(0, ["h-1"])["h-1"], POLICY)) == store.load(0, ["h-1"])["h-1"]
