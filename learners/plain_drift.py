"""The kernels of `streams` and `stray`, readable: what a home counts with every event.

Law: as of `plain`. The detectors are the classes of `drift`, on states at float32.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from .drift import Rate, Rise
from .plain import STEP, Codes, Floats

__all__ = ["evidence_of", "learn_rate", "learn_rise", "stray"]


def learn_rise(state: Floats, x: float, at: float, w: float) -> float:
    """Let `drift.Rise` learn a value, on its state; returns the evidence."""
    detector = Rise.restored(state.tolist())
    detector.learn_one(x, at, w)
    state[:] = detector.state()
    return evidence_of(state, Rise.SHARES)


def learn_rate(state: Floats, x: float, at: float, w: float, rate: float) -> float:
    """Let `drift.Rate` learn a value, on its state; returns the evidence."""
    detector = Rate.restored(state.tolist(), rate)
    detector.learn_one(x, at, w)
    state[:] = detector.state()
    return evidence_of(state, Rate.SHARES)


def evidence_of(state: Floats, shares: Sequence[float]) -> float:
    """Of a detector's three bets, which stand last in its state; summed in the order that machine code has."""
    (one, two, three), (first, second, third) = state[-3:].tolist(), shares
    return float(one * first + two * second + three * third)


def stray(usual: Floats, chosen: npt.NDArray[np.int64], kept: tuple[Codes, Floats], person: int, vector: Floats) -> float:
    """How far a vector (k,) lies from `usual` (d,) the way that a person's latest went, by `chosen` dimensions (d,).

    `kept`: vectors (n, k) in steps of STEP, and shares (n, people). 0 where the latest are as usual.
    """
    vectors, shares = kept
    own = shares[:, person]
    way = own @ vectors[:, chosen] * np.float32(STEP / max(float(own.sum()), STEP)) - usual
    length = float(np.sqrt(way @ way))
    return float((vector[chosen] - usual) @ way) / length if length else 0.0
