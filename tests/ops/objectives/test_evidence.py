"""Evidence that a budget burns too fast: a bet that is fair while it does not, added up over every minute of its beginning."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.ops.objectives.counting import Count
from stream.ops.objectives.evidence import ALARMS, BETS, Alarm, alarms, bet
from stream.ops.objectives.settings import Objective

AIM = Objective(objective=0.99)
PAGE, TICKET = ALARMS
EVENTS = 200.0
minute = st.tuples(st.integers(0, 30), st.floats(0, 1)).map(lambda told: (told[0], round(told[0] * told[1])))


def naive(told: list[tuple[int, int]], allowed: float) -> float:
    """The mean over bets of the sum over all beginnings of the product since."""
    shares = [bad / events for events, bad in told if events]
    sums = [
        sum(math.prod(1 + stake * (share / allowed - 1) for share in shares[begin:]) for begin in range(len(shares)))
        for stake in BETS
    ]
    return sum(sums) / len(BETS)


@given(told=st.lists(minute, max_size=40))
def test_evidence_is_the_sum_over_every_minute_at_which_a_burn_may_have_begun(told: list[tuple[int, int]]) -> None:
    counts = np.array(told, float).reshape(-1, 2)
    evidence, _ = bet(counts[:, 1], counts[:, 0], (0.03, math.inf))
    assert list(evidence) == pytest.approx([naive(told[: end + 1], 0.03) for end in range(len(told))], rel=1e-9)
    if told:
        half, wealth = bet(counts[:7, 1], counts[:7, 0], (0.03, math.inf))
        rest, _ = bet(counts[7:, 1], counts[7:, 0], (0.03, math.inf), wealth)
        assert list(evidence) == [*half, *rest]


@given(shares=st.lists(st.floats(0, 1), min_size=1, max_size=20), allowed=st.floats(0.001, 1))
def test_a_bet_is_fair_whatever_hangs_together_within_a_minute(shares: list[float], allowed: float) -> None:
    """The mean of what one unit becomes is that of the mean share, which is at most 1 up to the allowed share."""
    held = [share * min(1.0, allowed / max(np.mean(shares), 1e-12)) for share in shares]  # of mean at most what is allowed
    bad, events = np.array(held) * EVENTS, np.full(len(held), EVENTS)
    _, wealth = bet(bad[None], events[None], (allowed, math.inf))
    assert (wealth.mean(axis=1) <= 1 + 1e-9).all()
    assert (wealth >= 0).all()


@pytest.mark.parametrize("together", [True, False], ids=["bad together", "bad alone"])
def test_by_chance_the_first_alarm_takes_as_many_minutes_as_the_threshold_on_average(together: bool) -> None:
    rng, threshold, shape = np.random.default_rng(3), 100.0, (2_000, 400)
    bad = (rng.random(shape) < 0.03) * 20 if together else rng.binomial(20, 0.03, shape)
    evidence, _ = bet(bad.astype(float), np.full(shape, 20.0), (0.03, threshold))
    raised = evidence >= threshold
    first = np.where(raised.any(axis=0), raised.argmax(axis=0) + 1, shape[0])
    assert first.mean() >= threshold


def test_after_an_alarm_it_begins_anew() -> None:
    told = {minute: Count(60, 60) for minute in range(60)}
    at = alarms(told, PAGE.terms("freshness", AIM))
    gaps = {after - before for before, after in pairwise([-1, *at])}
    assert gaps == {at[0] + 1}


def test_minutes_without_traffic_change_nothing() -> None:
    dense = {minute: Count(1, minute % 3 == 0) for minute in range(100)}
    sparse = {minute * 60: count for minute, count in dense.items()}
    terms = PAGE.terms("freshness", AIM)
    assert [minute // 60 for minute in alarms(sparse, terms)] == alarms(dense, terms) != []


def test_a_page_is_for_more_than_a_ticket_is() -> None:
    assert (PAGE.burn, PAGE.years) == (3.0, 10.0)
    assert (TICKET.burn, TICKET.years) == (1.0, 1.0)
    assert PAGE.threshold == 10 * TICKET.threshold == round(7 * 10 * 365.25 * 24 * 60)
    slowly = {minute: Count(1000, 29) for minute in range(2_000)}
    assert not alarms(slowly, PAGE.terms("freshness", AIM))
    assert alarms(slowly, TICKET.terms("freshness", AIM))


def test_where_everything_may_be_bad_nobody_is_called() -> None:
    terms = Alarm("page", 3.0, 10.0).terms("freshness", Objective(objective=0.5))
    assert not alarms({minute: Count(9, 9) for minute in range(2_000)}, terms)
