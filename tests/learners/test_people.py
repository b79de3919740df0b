"""Calibration, habits, presence and phones: each estimator against its formula, taken back, kept within its bounds."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from river import linear_model, optim

from learners.estimators import Calibration, Habits, PhoneReliability, Presence, StrangerPhones
from learners.precision import SHARE_STEP
from learners.recognition import phones as phones_module
from learners.recognition.calibration import OFFSET_MAX, RATE, WEIGHT_MAX, WEIGHT_MIN
from learners.recognition.habits import ACTIVITIES
from learners.recognition.habits import LLR_MAX as HABIT_LLR_MAX
from tests.naive import recognition as naive

Lessons = list[tuple[dict[str, float], bool]]  # ratios by sensor, and whether it was this person
Doings = list[tuple[str, int, str, float, int]]  # who, hour, activity, share, days since the one before
llrs = st.floats(-8, 8)
shares = st.integers(0, 4096).map(lambda steps: steps * SHARE_STEP)


# ---- calibration

by_sensor = st.dictionaries(st.sampled_from(["voice", "face"]), llrs.filter(bool), min_size=1)
comparisons = st.lists(st.tuples(by_sensor, st.booleans()), max_size=40)


@given(comparisons, st.floats(0.1, 1))
def test_a_calibration_is_logistic_regression_by_gradient_descent(lessons: Lessons, weight: float) -> None:
    own, plain = Calibration(), naive.Calibration()
    for x, y in lessons:
        own.learn_one(x, y, weight)
        plain.learn((x.get("voice", 0.0), x.get("face", 0.0)), y, weight)
    assert own.learnt == plain.learnt
    assert own.offset == pytest.approx(plain.offset, abs=1e-9)
    assert list(own.weights.values()) == pytest.approx(plain.weights, abs=1e-9)
    for ratios in ((2.0, 0.0), (0.5, -1.0), (0.0, 0.0)):
        assert own.llr_one(dict(zip(("voice", "face"), ratios, strict=True))) == pytest.approx(plain.llr(ratios), abs=1e-9)


@given(comparisons)
def test_a_calibration_is_rivers_logistic_regression(lessons: Lessons) -> None:
    one = optim.initializers.Constant(1.0)
    own, rivers = Calibration(), linear_model.LogisticRegression(optim.SGD(RATE), intercept_lr=RATE, initializer=one)
    for x, y in lessons:
        own.learn_one(x, y)
        rivers.learn_one(x, y)
    assert own.offset == pytest.approx(rivers.intercept, abs=1e-9)
    assert own.weights == pytest.approx({"voice": 1.0, "face": 1.0} | rivers.weights, abs=1e-9)


@given(comparisons, llrs)
def test_no_run_of_lessons_moves_a_calibration_out_of_bounds(lessons: Lessons, llr: float) -> None:
    own = Calibration()
    for x, y in lessons * 10:
        own.learn_one(x, y)
    ends = [scale * llr + offset for scale in (WEIGHT_MIN, WEIGHT_MAX) for offset in (-OFFSET_MAX, OFFSET_MAX)]
    assert min(ends) - 1e-9 <= own.llr_one({"voice": llr}) <= max(ends) + 1e-9


def test_a_person_nobody_said_anything_of_has_the_fleets_calibration() -> None:
    assert (Calibration().llr_one({"voice": 2.0, "face": -0.5}), Calibration().llr_one({})) == (1.5, 0)
    assert Calibration().predict_proba_one({"voice": 0.0}) == {False: 0.5, True: 0.5}
    taught = Calibration()
    taught.learn_one({"voice": 2.0}, False)
    taught.reset()
    assert taught.to_bytes() == Calibration().to_bytes()


# ---- habits

who_and_what = (st.sampled_from(["anna", "bert", "guest"]), st.sampled_from([0, 9, 18]), st.sampled_from(["play", "read"]))
doings = st.lists(st.tuples(*who_and_what, shares, st.integers(0, 4)), max_size=30)
ASKED = {"hour": 10, "activity": "play"}


def habits_of(events: Doings) -> tuple[Habits, naive.Habits, float]:
    """Habits that learnt events, plain ones that did, and the last day of them."""
    own, plain, day = Habits(half_life_days=10), naive.Habits(10), 20_000.0
    for who, hour, activity, share, passed in events:
        day += passed
        own.learn_one({"hour": hour, "activity": activity}, who, share, day)
        plain.learn(day, who, {"hour": hour // 3, "activity": activity}, share)
    return own, plain, day


@given(doings)
def test_habits_are_faded_counts(events: Doings) -> None:
    own, plain, _ = habits_of(events)
    for who, nats in own.llr_one(ASKED).items():
        assert nats == pytest.approx(plain.llr(str(who), {"hour": 3, "activity": "play"}), abs=1e-6)


@given(doings, doings)
def test_habits_taken_back_leave_nothing_that_shows(kept: Doings, taken: Doings) -> None:
    own, plain, day = habits_of(kept)
    for sign in (1, -1):
        for who, hour, activity, share, _ in taken:
            own.learn_one({"hour": hour, "activity": activity}, who, sign * share, day)
    for who, nats in own.llr_one(ASKED).items():
        assert nats == pytest.approx(plain.llr(str(who), {"hour": 3, "activity": "play"}), abs=1e-5)


def test_habits_of_many_years_are_those_of_the_last_weeks() -> None:
    own, plain = Habits(half_life_days=10), naive.Habits(10)
    for day in range(0, 2000, 5):
        who, hour = ("anna", "bert")[day % 2], 3 * (day % 7)
        own.learn_one({"hour": hour, "activity": "play"}, who, day=day)
        plain.learn(day, who, {"hour": hour // 3, "activity": "play"}, 1.0)
    for who, nats in own.llr_one(ASKED).items():
        assert nats == pytest.approx(plain.llr(str(who), {"hour": 3, "activity": "play"}), abs=1e-6)


def test_habits_keep_a_bounded_number_of_activities_the_rarest_goes_first() -> None:
    habits = Habits()
    for n in range(100):
        habits.learn_one({"hour": 9, "activity": f"a{n}"}, "anna", day=float(n))
        habits.learn_one({"hour": 9, "activity": "always"}, "anna", day=float(n))
    kept = [name for name in habits._names[1].listed if name]
    assert {"always", "a99"} < set(kept)
    assert len(kept) < ACTIVITIES
    assert habits.llr_one({"hour": 9, "activity": "a0"}) == habits.llr_one({"hour": 9, "activity": "never"})


@given(st.integers(1, 2000))
def test_habits_never_say_more_than_their_bound_and_nothing_of_the_unknown(times: int) -> None:
    habits = Habits()
    for person, hour, activity in (("anna", 9, "play"), ("bert", 18, "read")):
        habits.learn_one({"hour": hour, "activity": activity}, person, float(times), 1.0)
    assert all(abs(nats) <= HABIT_LLR_MAX for nats in habits.llr_one(ASKED).values())
    assert habits.llr_one({"hour": 0, "activity": "never"}) == {"anna": 0.0, "bert": 0.0}
    assert Habits().llr_one(ASKED) == {}
    with pytest.raises(ValueError, match="no hour"):
        habits.llr_one({"hour": 25, "activity": "play"})


def test_habits_forget_a_person_wholly() -> None:
    habits, others = Habits(), Habits()
    for own in (habits, others):
        if own is habits:
            own.learn_one({"hour": 9, "activity": "hers"}, "anna")
            own.learn_one({"hour": 9, "activity": "both"}, "anna")
        own.learn_one({"hour": 18, "activity": "both"}, "bert")
    habits.forget("anna")
    habits.forget("anna")
    assert b"anna" not in habits.to_bytes()
    assert b"hers" not in habits.to_bytes()
    assert habits.llr_one(ASKED) == others.llr_one(ASKED)


# ---- presence


@given(st.lists(st.lists(shares, min_size=3, max_size=3), max_size=30))
def test_presence_is_counted_and_taken_back_exactly(events: list[list[float]]) -> None:
    presence = Presence(0.2, 10, 8)
    named: list[dict[Any, float]] = [dict(zip(("guest", "anna", "bert"), event, strict=True)) for event in events]
    presence.learn_one(dict.fromkeys(("guest", "anna", "bert"), 0.0))
    before = presence.to_bytes()
    for event in named:
        presence.learn_one(event)
    guest, *people = (sum(event[i] for event in events) for i in range(3))
    assert list(presence.predict_proba_one().values()) == pytest.approx(naive.prior(guest, people, 0.2, (10, 8)))
    assert presence.predict_proba_one(away=["bert"])["bert"] == 0
    expected = naive.prior(guest, [people[0], None], 0.2, (10, 8))
    assert list(presence.predict_proba_one(away=["bert"]).values()) == pytest.approx(expected)
    for event in named:
        presence.unlearn_one(event)
    assert presence.to_bytes() == before


def test_presence_of_long_ago_fades() -> None:
    presence = Presence()
    for who in ("anna", "bert"):
        for _ in range(500):
            presence.learn_one(who)
    prior = presence.predict_proba_one()
    assert presence.predict_one() == "bert"
    assert prior["bert"] > prior["anna"]
    assert presence._record["people"]["presence"].sum() * SHARE_STEP <= 400


def test_of_nobody_everything_is_a_guests() -> None:
    assert Presence().predict_proba_one() == {"guest": 1.0}


# ---- phones


@given(st.lists(st.tuples(st.none() | st.floats(-110, -20), st.floats(0, 1)), max_size=200))
def test_a_phones_reliability_is_learnt_as_its_formula_says_within_bounds(events: list[tuple[float | None, float]]) -> None:
    phone, plain = PhoneReliability(trust=0.9, rate=0.3), naive.Phones(0.9)
    for rssi, owner in events:
        before, nats = phone.predict_one(), heard(rssi)
        phone.learn_one(rssi, owner)
        plain.learn(nats, owner, 0.3)
        assert phone.predict_one() == pytest.approx(plain.trust, abs=1e-9)
        assert abs(naive.log_odds(phone.predict_one()) - naive.log_odds(before)) <= 0.3 * 2.5 + 1e-9
        assert phone.llr_one(rssi) == pytest.approx(plain.llr(nats), abs=1e-9)
    assert naive.log_odds(phone.predict_one()) - naive.log_odds(0.9) <= phones_module.LOG_ODDS_MAX + 1e-9
    phone.doubt()
    assert phone.predict_one() <= 0.5 + 1e-9


def heard(rssi_dbm: float | None) -> float:
    """Nats of a phone that goes with its owner."""
    if rssi_dbm is None:
        return math.log((1 - 0.87) / (1 - 0.5))
    return math.log(0.87 / 0.5) + max(-1.5, min(0.055 * (rssi_dbm + 72), 1.5))


def test_a_phone_heard_nearer_says_more() -> None:
    sure = PhoneReliability(trust=1 - 1e-12)
    nats = [sure.llr_one(rssi) for rssi in (None, -110.0, -90.0, -72.0, -60.0, -20.0)]
    assert nats[1:] == sorted(nats[1:])
    assert nats[0] == pytest.approx(math.log(0.13 / 0.5))
    assert nats[-1] - nats[3] == pytest.approx(1.5)
    assert PhoneReliability().llr_one(None) >= math.log(0.1)


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1)), max_size=600))
def test_strangers_phones_are_counted_within_bounds(events: list[tuple[bool, float]]) -> None:
    strangers = StrangerPhones()
    for known, guest in events:
        strangers.learn_one(known, guest)
        counts = strangers._record["strangers"][0].tolist()
        assert counts[1] + counts[3] <= phones_module.EVENTS_MAX
        assert all(math.isfinite(strangers.llr_one(h)) for h in (True, False))
    if len(events) < phones_module.EVENTS_MAX:
        guests, members = sum(g for _, g in events), sum(1 - g for _, g in events)
        with_guest, with_member = sum(g for h, g in events if h) + 3, sum(1 - g for h, g in events if h) + 1
        expected = math.log(with_guest / (guests + 10)) - math.log(with_member / (members + 10))
        assert strangers.llr_one(True) == pytest.approx(expected)
        silent = math.log(1 - with_guest / (guests + 10)) - math.log(1 - with_member / (members + 10))
        assert strangers.llr_one(False) == pytest.approx(silent)
