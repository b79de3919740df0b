"""Whether vectors moved, in whatever direction: the way from where they usually were to where they lately were, looked back on.

Law: a vector is scored along a direction that was learnt from the ones before it, so that as long as nothing moves its score is
as often above zero as below, whatever the vectors are like.

Theory: if the mean of vectors moves, the mean of the latest of them is soon off the mean of all in just that direction, and so
are those to come. Their scores along it rise, which is a change that `drift.Rise` knows how to bet on; nobody has to know the
direction beforehand, nor a scale. Numbers in which people differ least say most: there, who came is of no matter.
"""

from typing import Final

import numpy as np

from ..kernels import choice as kernels
from ..kernels.plain import Floats

__all__ = ["DIMENSIONS", "Shift"]

DIMENSIONS: Final = 24  # of a vector: those where people differ least; fewer find a change later, more find it no sooner
LATELY: Final = 12  # vectors in the mean of the latest
USUALLY: Final = 100  # and in that of what is usual


class Shift:
    """The mean of vectors of late, and what it usually is.

    Parameters
    ----------
    between
        (k,): variance between people, in units of that within a person, by dimension.

    Examples
    --------
    >>> rng, shift = np.random.default_rng(0), Shift(np.ones(4, "f4"))
    >>> for n in range(240):
    ...     shift.learn_one(rng.normal(0, 1, 4).astype("f4") + (n >= 200) * np.array([0, 3, 0, 0], "f4"))
    >>> shift.score_one(np.array([0, 3, 0, 0], "f4")) > 1
    True
    """

    __slots__ = ("_heading", "_means", "_origin", "_way", "seen")

    def __init__(self, between: Floats) -> None:
        chosen = np.sort(np.argsort(between, kind="stable")[:DIMENSIONS])
        self._way = chosen, (1 / np.sqrt(1 + between[chosen])).astype(np.float32)
        self._means = np.zeros((2, len(chosen)), np.float32)  # of late, and usual; at float16 precision
        self._heading = np.zeros(len(chosen), np.float32)
        self.reset()

    def reset(self) -> None:
        """Begin anew: what comes next is the usual."""
        self._means[:], self._heading[:] = 0, 0
        self.seen, self._origin = 0, 0.0

    def score_one(self, vector: Floats) -> float | None:
        """How far a vector (k,) is from the usual, the way that the latest went; None as long as there is no such way."""
        if self.seen <= LATELY:
            return None
        return float(vector[self._way[0]].dot(self._heading)) - self._origin

    def learn_one(self, vector: Floats) -> None:
        """Count a vector in; of several that are alike (those of a visit) only one."""
        self.seen = min(self.seen + 1, USUALLY)
        rates = max(1 / self.seen, 1 / LATELY), 1 / self.seen
        self._origin = kernels.follow(vector, self._way, self._means, self._heading, rates)

    def state(self) -> tuple[int, bytes]:
        """All there is to keep: vectors seen, and both means as float16."""
        return self.seen, self._means.astype("<f2").tobytes()

    @classmethod
    def restored(cls, between: Floats, seen: int, means: bytes) -> "Shift":
        """The one that `state` was taken from: goes on exactly as if it had never stopped."""
        own = cls(between)
        own.seen = seen
        own._means[:] = np.frombuffer(means, "<f2").reshape(2, -1)
        nowhere = 0.0, 0.0
        own._origin = kernels.follow(np.zeros(len(between), np.float32), own._way, own._means, own._heading, nowhere)
        return own
