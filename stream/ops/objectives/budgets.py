"""What is left of an error budget, how fast it burns, and when it will be spent.

Law: a budget of which nothing is known is told as such, and is neither kept nor broken.
"""

from collections.abc import Mapping
from typing import NamedTuple

from .counting import Count
from .settings import Objectives

__all__ = ["Budget", "budgets"]


class Budget(NamedTuple):
    """One objective over its window.

    `left`: share of the error budget, negative when overspent. `burn`: 1 spends it exactly in a window. `spent_in_days`: at the
    pace of the stretch that was looked at; None: never, or already.
    """

    name: str
    objective: float
    window_days: int
    events: int
    good: float | None
    left: float | None
    burn: float | None
    spent_in_days: float | None

    @property
    def broken(self) -> bool:
        """Whether more was bad than is allowed."""
        return self.left is not None and self.left < 0


def budgets(counts: Mapping[str, Count], objectives: Objectives, days: float) -> list[Budget]:
    """Of each objective, from what was counted over so many days.

    >>> [one] = [b for b in budgets({"freshness": Count(1000, 5)}, Objectives(), 14) if b.events]
    >>> one.good, round(one.burn, 3), round(one.left, 3), round(one.spent_in_days, 1)
    (0.995, 0.5, 0.75, 42.0)
    """
    told = []
    for name in Objectives.model_fields:
        aim, counted = getattr(objectives, name), counts.get(name, Count())
        if not counted.events:
            told.append(Budget(name, aim.objective, aim.window_days, 0, None, None, None, None))
            continue
        bad = counted.bad / counted.events
        burn = bad / (1 - aim.objective)
        span = min(days, aim.window_days)
        left = 1 - burn * span / aim.window_days
        spent_in = left * aim.window_days / burn if burn > 0 and left > 0 else None
        told.append(Budget(name, aim.objective, aim.window_days, int(counted.events), 1 - bad, left, burn, spent_in))
    return told
