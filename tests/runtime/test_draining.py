"""When a worker stops rather than drain a topic into the dead letters: for a deploy that fails, not for a burst of rubbish."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from stream.brokers import MemoryBroker, MemoryLog
from stream.contract.errors import NewerState, TooManyDeadLetters
from stream.contract.policy import Policy
from stream.contract.ports import on_both
from stream.home.state import at_rest
from stream.home.step import step_batch
from stream.runtime.worker import worker as worker_module
from stream.runtime.worker.batch import StepFunction
from stream.runtime.worker.draining import LATEST
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.support.failing_core import failing
from tests.support.one_worker import AT_MS, answered, at_work, said, see, send

LIMITS = WorkerLimits(records_max=100)
EVERY = failing(lambda _: ZeroDivisionError("of the core")).step_batch  # a deploy that fails


def _worker(log: MemoryLog, store: MemoryStore, stepping: StepFunction = step_batch, **limits: Any) -> Worker:
    return at_work(log, store, limits=WorkerLimits(**{"records_max": 100, **limits}), stepping=stepping)


def _work_off(worker: Worker) -> None:
    while worker.run_once().records:
        pass


def _of_another_version(log: MemoryLog, count: int, households: int) -> None:
    for number in range(count):
        send(log, "recognitions", number, f"h-{number % households}", v=9, event_id=f"v-{number}")


def _wrong_topic(log: MemoryLog, number: int) -> None:
    log.append("recognitions", 0, AT_MS, b"sensor-%d" % (number % 7), b'{"temperature": 21.5}')


RUBBISH: dict[str, Callable[[MemoryLog, int], None]] = {
    "a sensor that sends to the wrong topic": _wrong_topic,
    "no JSON": lambda log, _: log.append("feedback", 0, AT_MS, None, b"rubbish"),
    "no value": lambda log, _: log.append("feedback", 0, AT_MS, b"h-1", None),
    "too large": lambda log, _: log.append("recognitions", 0, AT_MS, b"h-1", b" " * 200_000),
    "no text": lambda log, _: log.append("recognitions", 0, AT_MS, b"h-1", b'{"household_id": "\xff"}'),
    "another's key": lambda log, n: log.append("feedback", 0, AT_MS, b"h-%d" % n, b'{"v": 1, "household_id": "h-x"}'),
    "a number for a household": lambda log, _: log.append("feedback", 0, AT_MS, b"7", b'{"v": 1, "household_id": 7}'),
    "JSON in a text": lambda log, _: log.append("feedback", 0, AT_MS, b"h-1", json.dumps('{"household_id": "h-1"}').encode()),
}


@pytest.mark.parametrize("what", RUBBISH)
def test_a_burst_of_what_is_of_no_home_stops_nobody(what: str) -> None:
    log = MemoryLog()
    worker = _worker(log, MemoryStore())
    for number in range(400):
        RUBBISH[what](log, number)
    see(log, "e-1", minute=5)
    _work_off(worker)
    assert answered(log) == ["e-1"]
    assert len(said(log, "dead-letters")) == 400


def test_however_much_one_home_sends_the_others_are_answered() -> None:
    log = MemoryLog()
    worker = _worker(log, MemoryStore())
    see(log, "e-0", household="h-good")
    see(log, "e-0", household="h-better")
    _of_another_version(log, 600, households=1)
    see(log, "e-1", household="h-good")
    _work_off(worker)
    assert len(said(log, "dead-letters")) == 600
    assert answered(log) == ["e-0", "e-0", "e-1"]


def test_dead_letters_up_to_the_share_are_borne() -> None:
    log = MemoryLog()
    worker = at_work(log, MemoryStore(), limits=WorkerLimits(records_max=10_000))
    _of_another_version(log, 400, households=8)
    for number in range(400):
        see(log, f"e-{number}", minute=number)
    assert worker.run_once().records == 800


@pytest.mark.parametrize("fails", ["the core", "what is read"])
def test_a_deploy_that_fails_most_homes_ends_the_worker_and_the_batch_is_left_unread(fails: str) -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = _worker(log, store, EVERY if fails == "the core" else step_batch)
    if fails == "the core":
        for number in range(300):
            see(log, f"e-{number}", household=f"h-{number % 10}", minute=number)
    else:
        _of_another_version(log, 300, households=10)
    worker.run_once()
    with pytest.raises(TooManyDeadLetters, match="200 of the latest 200 records, of 10 of 10 homes, could not be used") as told:
        worker.run_once()
    assert len(said(log, "dead-letters")) == log.committed(0)["recognitions"] == 100
    assert "KITHKIN_DEAD_LETTERS_SHARE_MAX=1 kithkin worker" in str(told.value), "the setting, in a command that goes on"
    assert "h-0" not in str(told.value), "logs are no place for households"


def _stopped() -> tuple[MemoryLog, MemoryStore]:
    """A worker was stopped after 150 dead letters, with 250 to come."""
    log, store = MemoryLog(), MemoryStore()
    _of_another_version(log, 400, households=10)
    with pytest.raises(TooManyDeadLetters):
        _work_off(_worker(log, store, records_max=50))
    assert log.committed(0)["recognitions"] == 150
    return log, store


@pytest.mark.parametrize("records_max", [1, 60, 1_000])
def test_what_was_counted_survives_restarts_so_that_they_drain_nothing(records_max: int) -> None:
    log, store = _stopped()
    for _ in range(4):
        with pytest.raises(TooManyDeadLetters):
            _work_off(_worker(log, store, records_max=records_max))
    assert log.committed(0)["recognitions"] <= 199, "up to the least that is looked at, once and not at each start"


def test_the_command_that_goes_on_goes_on_and_the_next_start_as_before_too() -> None:
    log, store = _stopped()
    _work_off(_worker(log, store, dead_letters_share_max=1.0))
    see(log, "e-1")
    see(log, "e-2")
    _work_off(_worker(log, store))
    assert answered(log) == ["e-1", "e-2"]


def test_another_policy_is_judged_anew() -> None:
    log, store = _stopped()
    worker = Worker(MemoryBroker(log), store, Policy.model_validate({"limits": {"ahead_hours": 25}}), LIMITS)
    worker.run_once()
    worker.run_once()
    assert log.committed(0)["recognitions"] == 250, "100 of the latest 100: too few to be looked at"


def test_beside_the_states_no_home_is_named() -> None:
    _, store = _stopped()
    assert b"h-" not in store.load(0, [LATEST])[LATEST]


def test_good_records_take_what_was_kept_away_again() -> None:
    log, store = MemoryLog(), MemoryStore()
    worker = at_work(log, store, limits=WorkerLimits(records_max=100, dead_letters_window=300))
    _of_another_version(log, 20, households=4)
    worker.run_once()
    assert json.loads(store.load(0, [LATEST])[LATEST])["latest"]
    for number in range(400):
        see(log, f"e-{number}", minute=number)
    _work_off(worker)
    assert json.loads(store.load(0, [LATEST])[LATEST])["latest"] == []


# ---- states of a newer version


def _newer(monkeypatch: pytest.MonkeyPatch, log: MemoryLog, store: MemoryStore) -> None:
    """A newer kithkin has worked here."""
    with monkeypatch.context() as newer:
        newer.setattr(at_rest, "STATE_VERSION", 99)
        newer.setattr(worker_module, "STATE_VERSION", 99)
        see(log, "e-0")
        at_work(log, store).run_once()


def test_a_worker_takes_nothing_where_a_newer_version_has_worked(monkeypatch: pytest.MonkeyPatch) -> None:
    log, store = MemoryLog(), MemoryStore()
    _newer(monkeypatch, log, store)
    before = log.committed(0)
    see(log, "e-1", household="h-another")
    with pytest.raises(NewerState, match=r"has version 99, this program .* a newer kithkin has worked here"):
        _work_off(_worker(log, store))
    assert (log.committed(0), said(log, "dead-letters"), answered(log)) == (before, [], ["e-0"])


def test_a_home_of_a_newer_version_ends_the_worker_where_nothing_else_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    log, newer, store = MemoryLog(), MemoryStore(), MemoryStore()
    _newer(monkeypatch, log, newer)
    states = newer.load(0, ["h-1"])
    store.save(0, store.claim(0).epoch, {}, newer.offsets(0), states)
    see(log, "e-1", minute=1)
    with pytest.raises(NewerState):
        _work_off(_worker(log, store))
    assert (on_both(store.offsets(0)), store.load(0, ["h-1"]), said(log, "dead-letters")) == (log.committed(0), states, [])


def test_a_newer_version_goes_on_from_states_of_this_one(monkeypatch: pytest.MonkeyPatch) -> None:
    log, store = MemoryLog(), MemoryStore()
    see(log, "e-0")
    _work_off(_worker(log, store))
    monkeypatch.setattr(worker_module, "STATE_VERSION", 99)
    see(log, "e-1", minute=1)
    _work_off(_worker(log, store))
    assert answered(log) == ["e-0", "e-1"]
