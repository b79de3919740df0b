"""Tiers: what an answer is good for.

Law: a tier is given by sensors and prior alone; no claim raises one. Tier 4 needs two sensors that agree, tier 5 also a
PIN of that person a few minutes before.
"""

from collections.abc import Mapping, Sequence

from .household import Home
from .policy import Policy
from .records import GUEST

__all__ = ["tier_of"]

SENSORS = ("voice", "face", "phone")


def tier_of(
    home: Home, policy: Policy, posterior: dict[str, float], llr: Mapping[str, Sequence[float]], at: int
) -> tuple[int, str | None]:
    """(tier, the member named at tier 2 or above) of an answer at a time (ms)."""
    limits = policy.tiers
    best = max(posterior, key=posterior.__getitem__)
    p = posterior[best]
    if best == GUEST or p < limits.personal:
        return int(1 - posterior[GUEST] >= limits.present), None
    if p < limits.private:
        return 2, best
    column = home.column(best)
    assert column is not None, "the answer names a member"
    agreeing = sum(llr[s][column] > 0 for s in SENSORS if s in llr)
    if p < limits.purchase or agreeing < 2:
        return 3, best
    pin = home.people[column].last_pin_at
    return 5 if pin is not None and 0 <= at - pin <= limits.pin_minutes * 60_000 else 4, best
