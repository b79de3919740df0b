"""How far a person's recordings stray from where that person usually is, the way their latest ones went.

Law: a recording is scored before it is learnt from, and against recordings of before its visit, so that as long as nothing
changes its score varies about what it always was.

Theory: as `shift`, of one person. Where they lately were is the mean of what is kept of them anyhow; only where they usually
are has to be remembered. (A person's mated score will not do: a recogniser that learns fits a changed voice from its second
recording on, and its score is bounded.)
"""

from functools import cache
from math import isnan
from typing import Final

import numpy as np
import numpy.typing as npt

from ..kernels import choice as kernels
from ..kernels.plain import Codes, Floats

__all__ = ["DIMENSIONS", "Stray"]

DIMENSIONS: Final = 16  # of a vector, evenly spread: a person changes in any of them
USUALLY: Final = 100  # recordings in the mean of what is usual
SEEN_MIN: Final = 8  # before that nothing is usual


@cache
def _chosen(k: int) -> npt.NDArray[np.int64]:
    return np.linspace(0, k - 1, min(k, DIMENSIONS)).astype(np.int64)


class Stray:
    """Where one person usually is in the vectors of one encoder, of `k` dimensions."""

    __slots__ = ("_chosen", "_usual", "seen")

    def __init__(self, k: int) -> None:
        self._chosen = _chosen(k)
        self.reset()

    def reset(self) -> None:
        """Begin anew: what comes next is the usual."""
        self._usual, self.seen = np.zeros(len(self._chosen), np.float32), 0

    def score_one(self, vector: Floats, kept: tuple[Codes, Floats], person: int) -> float | None:
        """How far a vector (k,) strays, `kept` being vectors and shares of what came before its visit; None: not known yet."""
        if self.seen < SEEN_MIN:
            return None
        score = kernels.stray(self._usual, self._chosen, kept, person, vector)
        return None if isnan(score) else score

    def learn_one(self, vector: Floats) -> None:
        """Count a vector in; of several that are alike (those of a visit) only one."""
        self.seen = min(self.seen + 1, USUALLY)
        moved = self._usual + np.float32(1 / self.seen) * (vector[self._chosen] - self._usual)
        self._usual = moved.astype(np.float16).astype(np.float32)

    def state(self) -> tuple[int, bytes]:
        """All there is to keep: recordings seen, and the mean as float16."""
        return self.seen, self._usual.astype("<f2").tobytes()

    @classmethod
    def restored(cls, k: int, seen: int, usual: bytes) -> "Stray":
        """The one that `state` was taken from: goes on exactly as if it had never stopped."""
        own = cls(k)
        own.seen, own._usual = seen, np.frombuffer(usual, "<f2").astype(np.float32)
        return own
