"""How sure a difference is: its 95 % interval over homes.

Law: homes are what is drawn, never events, for those of one home depend on each other. The interval is the jackknife's: each home
is left out once, and the spread of what then comes out gives the ends, with Student's t (Efron & Tibshirani, 1993, ch. 11). Its
degrees of freedom are those of the homes that the difference rests on: one less than all where they are much alike, fewer where
a few homes make it (after Satterthwaite, 1946). Of the intervals tried it covers best (docs/compare.md).

A share is never surer than by one more event that went otherwise: that none of a few was let in does not say that nobody ever is
(after Agresti & Min, 2005).
"""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import stdtrit

from .columns import Array
from .figures import FIGURES, HomeSums, figures_of, weights_of_one

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

    def of_shares(self) -> "Interval":
        """The same of a difference of shares, in points: no end is beyond 100."""
        return Interval(self.value, float(np.clip(self.low, -100, 100)), float(np.clip(self.high, -100, 100)))


def interval(value: float, without_each: Array, one_event: float = 0.0) -> Interval:
    """The interval of a figure, from what it is without each home, and how much one event more would move it.

    >>> interval(2.0, np.array([2.5, 2.0, 1.5]))
    Interval(value=2.0, low=-0.484..., high=4.484...)
    """
    known = without_each[~np.isnan(without_each)]
    homes = len(known)
    if homes < 2 or np.isnan(value):
        return Interval(float(value), np.nan, np.nan)
    squares = (known - known.mean()) ** 2
    spread = np.sqrt((homes - 1) / homes * squares.sum() + one_event**2)
    half = float(stdtrit(_freedom(squares), (1 + LEVEL) / 2) * spread)
    return Interval(float(value), float(value) - half, float(value) + half)


def _freedom(squares: Array) -> float:
    """Degrees of freedom of so many squares: of normal numbers about as many as there are, of one that outweighs all, two."""
    fourths = (squares**2).sum()
    alike = 3 * squares.sum() ** 2 / fourths if fourths else np.inf
    return float(np.clip(alike - 1, 1, len(squares) - 1))


def levels(sums: HomeSums) -> dict[str, Interval]:
    """Every figure of a policy."""
    here, without = figures_of(sums, sums.total), figures_of(sums, sums.without_each[_homes_with_any(sums)])
    return {name: interval(float(value), without[name]) for name, value in here.items()}


def differences(first: HomeSums, other: HomeSums) -> dict[str, Interval]:
    """Every figure of `other` less that of `first`, paired by home; where all is the same, it is the same for sure."""
    here, there = figures_of(first, first.total), figures_of(other, other.total)
    one_event = dict.fromkeys(here, 0.0) if np.array_equal(first.sums, other.sums) else weights_of_one(first)
    speak = _homes_with_any(first) | _homes_with_any(other)
    without = figures_of(first, first.without_each[speak])
    without_there = figures_of(other, other.without_each[speak])
    found = {
        name: interval(float(there[name] - here[name]), without_there[name] - without[name], one_event[name]) for name in here
    }
    return {name: one.of_shares() if FIGURES[name].unit == "%" else one for name, one in found.items()}


def _homes_with_any(sums: HomeSums) -> Any:
    """Homes that have anything at all."""
    return (sums.sums != 0).any(1)
