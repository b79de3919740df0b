"""Tiers: what is asked of an answer holds its budget, moves with what became of earlier answers, and no claim makes it laxer."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from learners.precision import SHARE_ONE
from learners.recognition.thresholds import CAUTION_STEP
from stream.home import messages
from stream.home.numbers import BUDGETS, policy_numbers
from stream.home.state.household import Household
from tests.home.calls import leave, move
from tests.support.worlds import POLICY, Run, Shape, Story, row_of, world

seeds = st.integers(0, 2**32 - 1)
events = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)  # share in the class; whether it was answered wrongly
shares = st.lists(st.floats(1e-3, 1), min_size=3, max_size=3).map(lambda found: tuple(x / sum(found) for x in found))
controls = st.tuples(st.floats(0.01, 4), st.floats(0, 1), st.floats(0, 4))  # rate, and how far down and up a threshold moves


# ---- the learner


@given(told=events, aim=st.floats(0.001, 0.5), control=controls)
def test_errors_stay_within_the_aim_but_for_what_the_threshold_may_give(
    told: list[tuple[float, bool]], aim: float, control: tuple[float, float, float]
) -> None:
    policy, (rate, lower, higher) = np.zeros(1, messages.POLICY), control
    policy["tier_rate"], policy["lower_nats"], policy["higher_nats"] = control
    steps, errors, mass, rounding = 0, 0.0, 0.0, CAUTION_STEP
    for share, wrong in told:
        before, steps = steps, move(steps, share * wrong, share, aim, policy)
        assert abs(steps - before) * CAUTION_STEP <= rate + CAUTION_STEP
        assert -lower <= steps * CAUTION_STEP <= higher
        if steps == int(higher / CAUTION_STEP):
            return  # no stricter than that: what then happens is not promised
        errors, mass, rounding = errors + share * wrong, mass + share, rounding + CAUTION_STEP
    assert errors <= aim * mass + (lower + steps * CAUTION_STEP + rounding) / rate


# ---- in a home


def cautions(home: Household) -> list[tuple[float, float]]:
    """By tier, how careful the home is with guests and with members."""
    return [(guests, members) for guests, members in (home.record["thresholds"] * CAUTION_STEP).tolist()]


def after(told: tuple[float, ...], claimed: tuple[float, ...]) -> list[tuple[float, float]]:
    """What a home is like whose answer "Anna" is at last told to be so by the sensors, and so with the claims."""
    story = Story()
    row = row_of(story.home, story.see("anna"))
    row["evidence"][:3], row["shares"][:3] = (np.rint(np.array(shares) * SHARE_ONE) for shares in (told, claimed))
    leave(story.home.slot, int(story.home.record["rows_used"]) - 1, policy_numbers(POLICY))
    return cautions(story.home)


def test_a_home_without_errors_asks_for_a_little_less_and_no_less_than_that() -> None:
    story = Story()
    for _ in range(60):
        story.see("a guest")
    guests, _ = cautions(story.home)[1]
    assert -POLICY.tiers.lower_nats <= guests < 0


def test_a_guest_who_was_taken_for_a_member_makes_a_home_stricter() -> None:
    guests, members = zip(*after((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)), strict=True)
    assert all(caution > 0.5 for caution in guests)
    assert members == (0, 0, 0, 0)


def test_a_member_who_was_taken_for_another_makes_a_home_stricter_from_tier_two_on() -> None:
    guests, members = zip(*after((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)), strict=True)
    assert guests == (0, 0, 0, 0)
    assert [caution > 0.5 for caution in members] == [False, True, True, True]


@given(told=shares, claimed=shares)
def test_no_claim_makes_a_home_less_strict(told: tuple[float, ...], claimed: tuple[float, ...]) -> None:
    for silent, spoken in zip(after(told, told), after(told, claimed), strict=True):
        assert spoken[0] >= silent[0]
        assert max(spoken) >= max(silent) - CAUTION_STEP


@given(seed=seeds, enrolled=st.booleans())
def test_thresholds_keep_their_bounds_and_survive_a_restart(seed: int, enrolled: bool) -> None:
    run = Run().play_all(world(seed, Shape(homes=1, records=40, enrolled=enrolled, odd=0.5)))
    home = run.homes["h-0"]
    assert all(-POLICY.tiers.lower_nats <= c <= POLICY.tiers.higher_nats for tier in cautions(home) for c in tier)
    before = cautions(home)
    run.restart("h-0")
    assert cautions(run.homes["h-0"]) == before


def test_who_is_spoken_for_against_the_sensors_needs_more_of_them() -> None:
    plain, disputed = Story(), Story()
    for story in (plain, disputed):
        guest = story.see("a guest")
        if story is disputed:
            story.say("correct", event_id=guest, person_id="anna")
    tiers = [story.answers(story.see("anna", face=None))[0]["tier"] for story in (plain, disputed)]
    assert tiers[1] <= tiers[0]


def test_every_tier_has_a_budget_and_asks_for_more_than_the_one_below() -> None:
    least = POLICY.tiers.least
    assert len(BUDGETS) == len(POLICY.tiers.least)
    assert list(BUDGETS) == sorted(BUDGETS, reverse=True)
    odds = [math.log(p / (1 - p)) for p in least[1:]]
    assert odds == sorted(odds)
