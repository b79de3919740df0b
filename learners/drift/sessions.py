"""Streams of values by visit, each with its detector, small enough that a home can have dozens.

Law: a stream's numbers are at float32 precision at any time, so that one which was kept and brought back goes on as one that was
not. Machine code and classes give the same evidence, but for the last bits.
"""

import math
import struct
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Final

import numpy as np

from ..kernels.choice import learn_rate, learn_rise
from ..kernels.plain import Floats
from ..kernels.plain_drift import evidence_of
from .edetectors import STARTS, Rate, Rise, VisitMean

__all__ = ["Rates", "Rises", "Stream"]

VALUE_STEP: Final = 1 / 256  # of values, so that the sum of a visit is exact at float32
VALUE_MAX: Final = 256.0
VISIT_MAX: Final = 255  # events of a visit that count: more tell nothing new
_VISIT: Final = struct.Struct("<IfB")


class Stream(ABC):
    """Values of events about one thing, one value a visit, and the evidence that they changed: `e_value`."""

    __slots__ = ("_numbers", "_visits", "e_value")
    _numbers: Floats
    e_value: float

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, evidence and what was learnt."""
        self._visits = VisitMean()
        self._place(self._first())

    def learn_one(self, x: float, visit: int, at: int) -> float:
        """Count a value of an event (number `at`) of a visit; when the next begins it bears on the e-value, which is returned."""
        if self._visits.events >= VISIT_MAX and self._visits.visit == visit:
            return self.e_value
        if not -VALUE_MAX < x < VALUE_MAX:
            x = math.copysign(VALUE_MAX, x)
        done = self._visits.learn_one(round(x / VALUE_STEP) * VALUE_STEP, visit)
        if done is not None:
            self.e_value = self._learn(done[0], at, done[1])
        return self.e_value

    @property
    def began(self) -> bool:
        """Whether it has heard anything."""
        return self._visits.visit > 0

    @property
    @abstractmethod
    def since(self) -> int:
        """The number of the event since which something changed, if it did."""

    @abstractmethod
    def _first(self) -> Sequence[float]:
        """The detector's state at the beginning."""

    @abstractmethod
    def _learn(self, x: float, at: int, w: float) -> float:
        """Let the detector learn a value; the e-value after it."""

    def _place(self, numbers: Sequence[float]) -> None:
        self._numbers = np.array(numbers, np.float32)
        self.e_value = self._weighed()

    @abstractmethod
    def _weighed(self) -> float:
        """The e-value that the numbers stand for."""

    def state(self) -> bytes:
        """All there is to keep."""
        visit, total, events = self._visits.state()
        return _VISIT.pack(visit, total, events) + self._numbers.astype("<f4").tobytes()

    def load(self, state: bytes) -> None:
        """Stand where `state` was taken; goes on exactly as that stream would."""
        self._visits = VisitMean.restored(_VISIT.unpack_from(state))
        self._place(np.frombuffer(state, "<f4", offset=_VISIT.size).tolist())


class Rises(Stream):
    """Real numbers that should not rise.

    Examples
    --------
    >>> misfit = Rises()
    >>> for n in range(400):
    ...     _ = misfit.learn_one(n * 37 % 101 / 50 + (n > 300), visit=n // 2, at=n)
    >>> misfit.e_value > 50, 280 < misfit.since < 320
    (True, True)
    """

    __slots__ = ()

    @property
    def since(self) -> int:
        return int(self._numbers[4])

    def _first(self) -> Sequence[float]:
        return Rise().state()

    def _learn(self, x: float, at: int, w: float) -> float:
        return float(learn_rise(self._numbers, x, at, w)) / STARTS

    def _weighed(self) -> float:
        return evidence_of(self._numbers, Rise.SHARES) / STARTS


class Rates(Stream):
    """Shares, within 0 to 1, that should stay; begun at what is usual in a fleet."""

    __slots__ = ("rate",)

    def __init__(self, rate: float) -> None:
        self.rate = rate
        super().__init__()

    @property
    def since(self) -> int:
        return int(self._numbers[2])

    def _first(self) -> Sequence[float]:
        return Rate().state()

    def _learn(self, x: float, at: int, w: float) -> float:
        return float(learn_rate(self._numbers, x, at, w, self.rate)) / STARTS

    def _weighed(self) -> float:
        return evidence_of(self._numbers, Rate.SHARES) / STARTS
