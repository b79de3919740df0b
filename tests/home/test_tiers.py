"""Tiers: what is asked of an answer holds its budget, moves with what became of earlier answers, and no claim makes it laxer."""

import math

from hypothesis import given
from hypothesis import strategies as st

from learners.recognition.thresholds import NATS_STEP, Control, Threshold
from stream.home.recognition.tiers import BUDGETS, learn_tiers
from stream.home.state.home import Home
from tests.support.worlds import POLICY, Run, Shape, Story, world

seeds = st.integers(0, 2**32 - 1)
events = st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60)  # share in the class; whether it was answered wrongly
shares = st.lists(st.floats(1e-3, 1), min_size=3, max_size=3).map(lambda found: tuple(x / sum(found) for x in found))
controls = st.builds(Control, rate=st.floats(0.01, 4), lower_max=st.floats(0, 1), higher_max=st.floats(0, 4))


# ---- the learner


@given(told=events, aim=st.floats(0.001, 0.5), control=controls)
def test_errors_stay_within_the_aim_but_for_what_the_threshold_may_give(
    told: list[tuple[float, bool]], aim: float, control: Control
) -> None:
    kind, errors, mass, rounding = Threshold(), 0.0, 0.0, NATS_STEP
    for share, wrong in told:
        before = kind.caution
        kind.learn_one(share * wrong, share, aim, control)
        assert abs(kind.caution - before) <= control.rate + NATS_STEP
        assert -control.lower_max <= kind.caution <= control.higher_max
        if kind.steps == int(control.higher_max / NATS_STEP):
            return  # no stricter than that: what then happens is not promised
        errors, mass, rounding = errors + share * wrong, mass + share, rounding + NATS_STEP
    assert errors <= aim * mass + (control.lower_max + kind.caution + rounding) / control.rate


# ---- in a home


def cautions(home: Home) -> list[tuple[float, float]]:
    """By tier, how careful the home is with guests and with members."""
    return [(guests.caution, members.caution) for guests, members in home.thresholds]


def after(told: tuple[float, ...], claimed: tuple[float, ...]) -> list[tuple[float, float]]:
    """What a home is like whose answer "Anna" is at last told to be so by the sensors, and so with the claims."""
    story = Story()
    row = story.home.row(story.see("anna"))
    assert row is not None
    row.evidence, row.shares = told, claimed
    learn_tiers(story.home, POLICY, row)
    return cautions(story.home)


def test_a_home_without_errors_asks_for_a_little_less_and_no_less_than_that() -> None:
    story = Story()
    for _ in range(60):
        story.see("a guest")
    guests, _ = story.home.thresholds[1]
    assert -POLICY.tiers.lower_nats <= guests.caution < 0


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
        assert max(spoken) >= max(silent) - NATS_STEP


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
    assert list(BUDGETS.values()) == sorted(BUDGETS.values(), reverse=True)
    odds = [math.log(p / (1 - p)) for p in least[1:]]
    assert odds == sorted(odds)
