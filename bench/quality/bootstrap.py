"""How far a figure can be trusted: its 95 % interval over homes.

Law: whole homes are drawn, for events of one home depend on each other; the draws depend only on the number of homes, so
that two recognisers of the same homes are compared on the same draws.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .judged import Columns, take
from .measures import Figures

__all__ = ["Interval", "differences", "intervals"]

Interval = tuple[float, float, float]  # the figure itself, and the ends of its interval
Measured = Callable[[Columns], Figures]
ENDS = (2.5, 97.5)  # percentiles


def intervals(c: Columns, measured: Measured, draws: int) -> dict[str, Interval]:
    """Every figure with its interval."""
    drawn = [measured(one) for one in _draws(c, draws)]
    return {name: _interval(value, [one[name] for one in drawn]) for name, value in measured(c).items()}


def differences(c: Columns, other: Columns, measured: Measured, draws: int) -> dict[str, Interval]:
    """Every figure less that of `other`, on the same events."""
    pairs = zip(_draws(c, draws), _draws(other, draws), strict=True)
    drawn = [(measured(one), measured(another)) for one, another in pairs]
    here, there = measured(c), measured(other)
    return {name: _interval(here[name] - there[name], [a[name] - b[name] for a, b in drawn]) for name in here}


def _draws(c: Columns, draws: int) -> Iterator[Columns]:
    rng = np.random.default_rng(0)
    homes = int(c["home"].max()) + 1
    starts = np.searchsorted(c["home"], np.arange(homes + 1))
    for _ in range(draws):
        yield _of_homes(c, starts, rng.integers(homes, size=homes))


def _of_homes(c: Columns, starts: npt.NDArray[Any], homes: npt.NDArray[Any]) -> Columns:
    """The events of the homes; one that was drawn twice counts as two."""
    rows = [np.arange(starts[home], starts[home + 1]) for home in homes]
    drawn = take(c, np.concatenate(rows))
    drawn["home"] = np.repeat(np.arange(len(homes)), [len(r) for r in rows])
    return drawn


def _interval(value: float, drawn: list[float]) -> Interval:
    known = [one for one in drawn if not np.isnan(one)]
    low, high = np.percentile(known, ENDS).tolist() if known else (np.nan, np.nan)
    return value, low, high
