"""Tiers: what an answer is good for.

Law: a tier is given by sensors and prior alone; no claim raises one, nor lowers what is asked for it. Tier 4 needs two sensors
that agree, tier 5 also a PIN of that person a few minutes before.

What is asked of an answer is the policy's, fitted on many homes, moved a little by what became of this home's own answers: an
event that leaves the ledger has the last word on who it was.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from learners.recognition.thresholds import Control
from stream.contract.policy import Policy
from stream.contract.records import GUEST
from stream.contract.units import MINUTE_MS

from ..state.home import Home
from ..state.ledger import Row

__all__ = ["BUDGETS", "SENSORS", "learn_tiers", "tier_of"]

SENSORS = ("voice", "face", "phone")
BUDGETS: Final = {1: 0.1, 2: 0.05, 3: 0.01, 4: 0.001}  # of guests' events, from tier 2 on of members', that may be wrong
AGREEING_MIN: Final = 2  # sensors, for tier 4
DISPUTED_MAX: Final = 3.0  # nats: a liar can make a home that strict about somebody, and no stricter


def tier_of(
    home: Home, policy: Policy, posterior: dict[str, float], llr: Mapping[str, Sequence[float]], at: int
) -> tuple[int, str | None]:
    """(tier, the member named at tier 2 or above) of an answer at a time (ms)."""
    best = max(posterior, key=posterior.__getitem__)
    sure = _log_odds(posterior[best]) - _disputed(home, best)
    if best == GUEST or sure < _asked(home, policy, 2):
        return int(_log_odds(1 - posterior[GUEST]) >= _asked(home, policy, 1)), None
    if sure < _asked(home, policy, 3):
        return 2, best
    column = home.column(best)
    assert column is not None, "the answer names a member"
    agreeing = sum(llr[s][column] > 0 for s in SENSORS if s in llr)
    if sure < _asked(home, policy, 4) or agreeing < AGREEING_MIN:
        return 3, best
    pin = home.people[column].last_pin_at
    return 5 if pin is not None and 0 <= at - pin <= policy.tiers.pin_minutes * MINUTE_MS else 4, best


def _disputed(home: Home, person_id: str) -> float:
    """Nats by which kept claims that somebody was this person, against the sensors, may have raised their odds elsewhere."""
    column = home.column(person_id)
    if column is None:
        return 0.0
    against = [
        claim.nats * (1 - row.evidence[column + 1])
        for row in home.rows
        for claim in row.claims
        if claim.person_id == person_id and claim.kind != "reject" and claim.right is not None
    ]
    return min(sum(against), DISPUTED_MAX)


def _asked(home: Home, policy: Policy, tier: int) -> float:
    """The least log odds of a tier in this home."""
    return _log_odds(policy.tiers.least[tier - 1]) + max(kind.caution for kind in home.thresholds[tier - 1])


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p)) if 0 < p < 1 else math.copysign(math.inf, p - 0.5)


def learn_tiers(home: Home, policy: Policy, row: Row) -> None:
    """Learn from an event that leaves the ledger how far its first answer was right, as far as anybody can tell now.

    Of what sensors and claims say of it the worse counts: what is claimed can make thresholds stricter, never laxer.
    """
    if row.enrolled:
        return
    limits = policy.tiers
    control, told = Control(limits.learning_rate, limits.lower_nats, limits.higher_nats), (row.evidence, row.shares)
    named = None if row.first_named is None else 1 + home.panel.names.index(row.first_named)
    for tier, (guests, members) in zip(BUDGETS, home.thresholds, strict=True):
        aim, reached = BUDGETS[tier] * limits.budget_share, row.first_tier >= tier
        guest = (max if reached else min)(shares[0] for shares in told)
        guests.learn_one(guest * reached, guest, aim, control)
        if tier > 1:  # at tier 1 nobody is named
            other = 0.0 if named is None else max(1 - shares[0] - shares[named] for shares in told)
            members.learn_one(other * reached, 1 - guest, aim, control)
