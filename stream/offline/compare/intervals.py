"""How sure a difference is: its 95 % interval over homes.

Law: homes are what is drawn, never events, for those of one home depend on each other. The interval is the jackknife's: each home
is left out once, and the spread of what then comes out, with Student's t of one less than the homes that have anything to say,
gives the ends (Efron & Tibshirani, 1993, ch. 11). Of the intervals tried it covers best, above all with few homes
(docs/compare.md).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from .columns import Array
from .figures import HomeSums, figures_of

__all__ = ["Interval", "differences", "interval", "levels"]

LEVEL = 0.95


class Interval(NamedTuple):
    """An estimate with the ends of its interval; NaN: too few homes to tell, or nothing to measure."""

    value: float
    low: float
    high: float

    @property
    def holds_zero(self) -> bool:
        """Whether nothing may be the truth; also where nobody can tell."""
        return not (self.low > 0 or self.high < 0)


def interval(value: float, without_each: Array) -> Interval:
    """The interval of a figure, from what it is without each home.

    >>> interval(2.0, np.array([2.5, 2.0, 1.5]))
    Interval(value=2.0, low=-0.484..., high=4.484...)
    """
    known = without_each[~np.isnan(without_each)]
    homes = len(known)
    if homes < 2 or np.isnan(value):
        return Interval(float(value), np.nan, np.nan)
    spread = np.sqrt((homes - 1) / homes * ((known - known.mean()) ** 2).sum())
    half = float(stdtrit(homes - 1, (1 + LEVEL) / 2) * spread)
    return Interval(float(value), float(value) - half, float(value) + half)


def levels(sums: HomeSums) -> dict[str, Interval]:
    """Every figure of a policy."""
    here, without = figures_of(sums, sums.total), figures_of(sums, sums.without_each[_speaking(sums)])
    return {name: interval(float(value), without[name]) for name, value in here.items()}


def differences(first: HomeSums, other: HomeSums) -> dict[str, Interval]:
    """Every figure of `other` less that of `first`, paired by home."""
    here, there = figures_of(first, first.total), figures_of(other, other.total)
    speak = _speaking(first) | _speaking(other)
    without = figures_of(first, first.without_each[speak])
    without_there = figures_of(other, other.without_each[speak])
    return {name: interval(float(there[name] - here[name]), without_there[name] - without[name]) for name in here}


def _speaking(sums: HomeSums) -> Any:
    """Homes that have anything at all."""
    return (sums.sums != 0).any(1)
