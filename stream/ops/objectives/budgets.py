"""What is left of an error budget, how fast it burns, and when it will be spent.

Law: a budget of which nothing is known is told as such, and is neither kept nor broken.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from .counting import MINUTE_MS, Count, Tally
from .evidence import ALARMS, alarms, stands_minutes
from .settings import Objectives

__all__ = ["Budget", "budgets"]


class Budget(NamedTuple):
    """One objective over its window.

    `left`: share of the error budget, negative when overspent. `burn`: 1 spends it exactly in a window. `spent_in_days`: at the
    pace of the stretch that was looked at; None: never, or already. `pages`, `tickets`: when somebody was to be called because it
    burnt too fast, ms; `calls`: who is now.
    """

    name: str
    objective: float
    window_days: int
    events: int
    good: float | None
    left: float | None
    burn: float | None
    spent_in_days: float | None
    pages: Sequence[int] = ()
    tickets: Sequence[int] = ()
    calls: Literal["page", "ticket"] | None = None

    @property
    def broken(self) -> bool:
        """Whether more was bad than is allowed."""
        return self.left is not None and self.left < 0


def budgets(tallied: Tally, objectives: Objectives, days: float, until_ms: int) -> list[Budget]:
    """Of each objective, from what was counted over so many days that end then.

    >>> counted = Tally({"freshness": Count(1000, 5)}, {})
    >>> [one] = [b for b in budgets(counted, Objectives(), 14, 0) if b.events]
    >>> one.good, round(one.burn, 3), round(one.left, 3), round(one.spent_in_days, 1), one.calls
    (0.995, 0.5, 0.75, 42.0, None)
    """
    told = []
    for name in Objectives.model_fields:
        aim, counted = getattr(objectives, name), tallied.counts.get(name, Count())
        if not counted.events:
            told.append(Budget(name, aim.objective, aim.window_days, 0, None, None, None, None))
            continue
        bad = counted.bad / counted.events
        burn = bad / (1 - aim.objective)
        span = min(days, aim.window_days)
        left = 1 - burn * span / aim.window_days
        spent_in = left * aim.window_days / burn if burn > 0 and left > 0 else None
        minutes = tallied.minutes.get(name, {})
        raised = {a.severity: [minute * MINUTE_MS for minute in alarms(minutes, a.terms(name, aim))] for a in ALARMS}
        since_ms = until_ms - stands_minutes(name) * MINUTE_MS
        standing = (severity for severity, at in raised.items() if at and at[-1] > since_ms)
        known = Budget(name, aim.objective, aim.window_days, int(counted.events), 1 - bad, left, burn, spent_in)
        told.append(known._replace(pages=raised["page"], tickets=raised["ticket"], calls=next(standing, None)))
    return told
