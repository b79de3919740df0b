"""A fleet's time is what several homes say: no home alone makes the others late, and no signal stops the stage."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stream.contract.policy import Alerting
from stream.contract.records import Alert, Signal
from stream.contract.units import DAY_MS, HOUR_MS
from stream.fleet.clock import FleetClock
from stream.fleet.state import AHEAD_MAX, Fleet, decode_fleet, encode_fleet
from stream.fleet.step import alerts_of, fleet_step
from tests.support.fleet_signals import BEGIN_MS, COUNTRYSIDE, signal

POLICY = Alerting()
YEAR_HOURS = 365 * 24.0
FAR_HOURS = 74 * YEAR_HOURS  # 2099


def changed_home(days: int = 10) -> list[Signal]:
    """A quiet countryside that speaks every day, and one home that changed on the third."""
    told: list[Signal] = []
    for day in range(days):
        told += [signal(f"q-{n}", -2.0, day * 24 + n / 100) for n in range(COUNTRYSIDE)]
        told.append(signal("h", 12.0 if day >= 3 else -2.0, day * 24 + 3.0))
    return told


def opened(told: list[Signal], fleet: Fleet | None = None) -> list[tuple[str | None, int]]:
    fleet = Fleet() if fleet is None else fleet
    alerts: list[Alert] = []
    for one in told:
        alerts += fleet_step(fleet, one, POLICY)
    return [(alert.household_id, alert.opened_at) for alert in alerts if alert.state == "opened"]


EXPECTED = opened(changed_home())


def odd(kind: str) -> list[Signal]:
    """Signals of a wrong clock, among the others."""
    match kind:
        case "one of 2099":
            return [signal("odd", -2.0, FAR_HOURS)]
        case "a home a year ahead":
            return [signal("odd", 9.0, YEAR_HOURS + 6 * n) for n in range(40)]
        case "a home a week ahead":
            return [signal("odd", -2.0, 170 + 6 * n) for n in range(40)]
        case "a home years behind":
            return [signal("odd", -2.0, -5 * YEAR_HOURS + 6 * n) for n in range(40)]
    raise ValueError(kind)


@pytest.mark.parametrize("kind", ["one of 2099", "a home a year ahead", "a home a week ahead", "a home years behind"])
@pytest.mark.parametrize("first", [False, True], ids=["in between", "before all"])
def test_one_home_of_a_wrong_clock_takes_no_alert_from_others(kind: str, first: bool) -> None:
    told, wrong = changed_home(), odd(kind)
    assert EXPECTED, "there is something to be taken"
    step = 0 if first else len(told) // (len(wrong) + 1)
    for number, one in enumerate(wrong):
        told.insert(number if first else (number + 1) * step + number, one)
    assert [(home, at) for home, at in opened(told) if home == "h"] == EXPECTED


def test_a_replay_of_a_log_with_a_signal_of_2099_has_the_same_alerts() -> None:
    told = changed_home()
    plain = [alert.model_dump() for alert in alerts_of(told, POLICY)]
    assert [alert.model_dump() for alert in alerts_of([*told, *odd("one of 2099")], POLICY)] == plain


def test_a_fleet_that_was_silent_for_years_goes_on_in_few_decisions() -> None:
    fleet = Fleet()
    opened(changed_home(), fleet)
    before = fleet.counts["decision"]
    later: list[Any] = [one.model_copy(update={"observed_at": one.observed_at + 20 * 365 * DAY_MS}) for one in changed_home()]
    again = opened([one.model_copy(update={"signal_id": f"{one.signal_id}+"}) for one in later], fleet)
    assert [home for home, _ in again] == ["h"]
    assert fleet.counts["decision"] - before < 1_000
    assert fleet.stream_time > BEGIN_MS + 20 * 365 * DAY_MS


def test_what_waits_for_a_time_that_never_comes_is_bounded_and_the_clock_is_kept() -> None:
    fleet = Fleet()
    opened(changed_home(2), fleet)
    for n in range(AHEAD_MAX + 50):
        opened([signal("odd", -2.0, YEAR_HOURS + n), signal(f"q-{n % COUNTRYSIDE}", -2.0, 48 + n / 100)], fleet)
    assert sum(word.at > fleet.stream_time + 30 * DAY_MS for _, word in fleet.waiting) == AHEAD_MAX
    assert fleet.counts["ahead"] == 50
    assert decode_fleet(encode_fleet(fleet)) == fleet


def test_signals_about_clocks_and_enrolments_are_counted_and_no_evidence() -> None:
    fleet = Fleet()
    opened([signal("h", -30.0, kind="clock"), signal("h", -30.0, kind="enrolment")], fleet)
    assert (fleet.counts, fleet.waiting, fleet.homes) == ({"clock": 1, "enrolment": 1}, [], {})


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 24 * 40)), max_size=60))
@example([("a", 0), ("b", 1), ("c", 40), ("a", 20), ("d", 44), ("a", 64), ("b", 120)])
def test_time_never_goes_back_once_two_homes_agreed_on_it(told: list[tuple[str, int]]) -> None:
    clock, time = FleetClock(), 0
    for household, hours in told:
        was_alone, before = clock.alone is not None, time
        time = clock.hear(household, BEGIN_MS + hours * HOUR_MS, time, len("abcde"))
        assert time >= before or was_alone
