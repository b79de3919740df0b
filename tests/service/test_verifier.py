"""The verifier, over a clock of the test's own: who guesses is stopped, and nobody who is there is barred by it."""

import time
from multiprocessing import Queue, get_context
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from argon2 import PasswordHasher

from stream.contract.errors import ConfigError
from stream.runtime.service.verifier import DAY_TRIES_MAX, DELAY_MS, TRIES_MAX, Place, Verdict, Verifier

NOW, DAY_MS = 1_763_690_000_000, 86_400_000
MOST = DAY_TRIES_MAX - 1  # tries of one process of each person
FAST = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
HERE, OWNER = Place("h", "anna", "kitchen"), Place("h", "anna", "kitchen", owner=True)


@pytest.fixture
def verifier(tmp_path: Path) -> Verifier:
    """Of a household whose anna has a PIN."""
    verifier = Verifier(tmp_path / "verifier.db", FAST)
    verifier.set("h", "anna", "271828")
    return verifier


def lock(verifier: Verifier, place: Place, at_ms: int = NOW) -> int:
    """Wrong tries until it is locked; when that was."""
    for _ in range(TRIES_MAX):
        assert verifier.check(place, "000001", at_ms) == "wrong"
        at_ms += DELAY_MS
    assert verifier.check(place, "271828", at_ms) == "locked"
    return at_ms


def test_after_a_wrong_pin_half_a_minute_passes(verifier: Verifier) -> None:
    assert verifier.check(HERE, "000001", NOW) == "wrong"
    assert [verifier.check(HERE, "271828", NOW + ms) for ms in (0, DELAY_MS - 1, DELAY_MS)] == ["wait", "wait", "right"]


def test_three_wrong_pins_lock_one_person_at_one_device_until_the_app_unlocks(verifier: Verifier) -> None:
    verifier.set("h", "bert", "314159")
    at_ms = lock(verifier, HERE)
    assert verifier.find_locked("h") == [("anna", "kitchen")]
    assert verifier.check(HERE, "271828", at_ms + 365 * DAY_MS) == "locked", "time does not unlock"
    assert verifier.check(HERE._replace(device="hall"), "271828", at_ms) == "right"
    assert verifier.check(HERE._replace(person="bert"), "314159", at_ms) == "right"
    verifier.unlock("h", "anna")
    assert (verifier.check(HERE, "271828", at_ms), verifier.find_locked("h")) == ("right", [])


def test_a_right_pin_forgives_what_was_wrong_but_not_for_the_day(verifier: Verifier) -> None:
    at_ms = NOW
    for pin in (["000001"] * 2 + ["271828"]) * 2 + ["000001"] * 2:
        assert verifier.check(HERE, pin, at_ms) == ("right" if pin == "271828" else "wrong")
        at_ms += DELAY_MS
    assert verifier.check(HERE, "271828", at_ms) == "spent"
    assert verifier.check(HERE._replace(device="hall"), "271828", at_ms) == "spent", "wherever it is tried"
    assert verifier.check(HERE, "271828", NOW + DAY_MS) == "right"


def test_a_day_s_wrong_pins_are_spent_over_all_devices_and_come_back_one_by_one(verifier: Verifier) -> None:
    for number in range(DAY_TRIES_MAX):
        assert verifier.check(HERE._replace(device=f"d-{number}"), "000001", NOW + number * 1_000) == "wrong"
    later = HERE._replace(device="d-9")
    assert [verifier.check(later, "000001", NOW + DAY_MS + ms) for ms in (-1, 0, 1)] == ["spent", "wrong", "spent"]
    verifier.unlock("h", "anna")
    assert verifier.check(later, "271828", NOW + DAY_MS) == "right"


def test_others_bar_no_owner_whose_voice_stands_at_tier_3_for_longer_than_half_a_minute_a_day(verifier: Verifier) -> None:
    at_ms = lock(verifier, HERE)
    for number in range(DAY_TRIES_MAX - TRIES_MAX):
        verifier.check(HERE._replace(device=f"d-{number}"), "000001", at_ms)
    assert verifier.check(HERE._replace(device="hall"), "271828", at_ms) == "spent"
    assert verifier.check(OWNER, "271828", at_ms) == "right"
    assert verifier.check(HERE, "271828", at_ms) == "locked", "the app alone unlocks it for others"
    waited_ms, at_ms = 0, at_ms + 1
    for pin in ("000001", "000001", "271828"):
        while verifier.check(OWNER, pin, at_ms) == "wait":
            waited_ms, at_ms = waited_ms + 1_000, at_ms + 1_000
    assert waited_ms == DELAY_MS
    assert verifier.check(OWNER, "271828", at_ms) == "right"


def test_guesses_in_an_owner_s_own_events_end_as_well(verifier: Verifier) -> None:
    tried = [verifier.check(OWNER, f"{number:04}", NOW + number * DELAY_MS) for number in range(1, 30)]
    assert (tried.count("wrong"), tried[TRIES_MAX:]) == (TRIES_MAX, ["locked"] * (29 - TRIES_MAX))
    assert verifier.find_locked("h") == [("anna", "kitchen")]


def test_nothing_but_a_hash_is_kept_and_a_simple_pin_is_refused(verifier: Verifier, tmp_path: Path) -> None:
    verifier.check(HERE, "918273", NOW)
    kept = (tmp_path / "verifier.db").read_bytes()
    assert [pin for pin in (b"271828", b"918273") if pin in kept] == []
    for pin in ("123", "1" * 13, "1111", "12a4", "١٢٣٤"):
        with pytest.raises(ConfigError, match="PIN"):
            verifier.set("h", "anna", pin)


def test_a_reset_or_an_erasure_leaves_nothing_of_it(verifier: Verifier) -> None:
    verifier.check(HERE, "000001", NOW)
    verifier.reset("h", "anna")
    assert (verifier.people("h"), verifier.check(HERE, "271828", NOW)) == (frozenset(), "wrong")
    verifier.set("h", "anna", "271828")
    verifier.forget("h")
    assert (verifier.people("h"), verifier.find_locked("h")) == (frozenset(), [])


class Hesitant(Verifier):
    """Passes a while between looking at the tries there were and counting one more, as a busy machine does."""

    def _refuse(self, place: Place, now_ms: int) -> Verdict | None:
        verdict = super()._refuse(place, now_ms)
        time.sleep(0.005)
        return verdict


def hammer(path: Path, places: list[Place], start: Barrier, told: "Queue[list[str]]") -> None:
    """Another service over the same file, that tries wrong PINs; what it was told."""
    verifier, verdicts = Hesitant(path, FAST), list[str]()
    for place in places:
        start.wait()
        verdicts.append(verifier.check(place, "000001", NOW))
    told.put(verdicts)


def test_services_that_share_the_file_let_no_more_tries_through_than_one(tmp_path: Path) -> None:
    path, people, processes = tmp_path / "verifier.db", 10, get_context("spawn")
    home = Verifier(path, FAST)
    for number in range(people):
        home.set("h", f"p-{number}", "271828")
    told: Queue[list[str]] = processes.Queue()
    start, workers = processes.Barrier(2), list[SpawnProcess]()
    for own in range(2):  # each at devices of its own, so that no delay is between them, and both at the same one last
        places = [Place("h", f"p-{number}", f"d-{own}-{n}") for number in range(people) for n in range(MOST)]
        places += [Place("h", f"q-{number}", "kitchen") for number in range(people * 4)]
        workers.append(processes.Process(target=hammer, args=(path, places, start, told)))
        workers[-1].start()
    first, second = (told.get(timeout=60) for _ in workers)
    for worker in workers:
        worker.join()
    both = [*zip(first, second, strict=True)]
    of_people = [both[at : at + MOST] for at in range(0, people * MOST, MOST)]
    assert [sum(pair.count("wrong") for pair in pairs) for pairs in of_people] == [DAY_TRIES_MAX] * people
    assert {tuple(sorted(pair)) for pair in both[people * MOST :]} == {("wait", "wrong")}
