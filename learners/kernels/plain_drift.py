"""The kernels of `streams` and `stray`, readable: what a home counts with every event.

Law: as of `plain`. The detectors are the classes of `drift`, on states at float32.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ..drift.edetectors import Rate, Rise
from .plain import STEP, Codes, Floats

__all__ = ["LATELY_MIN", "SHARE_MIN", "beside", "evidence_of", "learn_rate", "learn_rise", "stray"]

LATELY_MIN: Final = 2.0  # recordings kept of a person, to say where they lately were
SHARE_MIN: Final = 1 / 64  # less of somebody is nobody


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


def beside(vector: Floats, shares: Floats, kept: tuple[Codes, Floats], tails: tuple[Floats, Floats], between: Floats) -> Floats:
    """What a vector (k,) has beside the places of those who made it, by their `shares` (people,); (k,) too.

    A place is the mean of somebody's recordings, drawn towards 0 as far as people differ little `between` them (k,). `kept`: as
    of `stray`. `tails`: means (people * slots, k) and masses of what was folded.
    """
    (vectors, owned), (means, masses), people = kept, tails, len(shares)
    slots = masses.reshape(people, len(masses) // max(people, 1))
    total = np.einsum("ps,psk->pk", slots, means.reshape(*slots.shape, len(vector))) + (owned.T @ vectors) * np.float32(STEP)
    mass = slots.sum(1) + owned.sum(0)
    places = total / (mass[:, None] + 1 / between)
    left: Floats = (vector - np.where(shares < SHARE_MIN, 0, shares) @ places).astype(np.float32)
    return left


def stray(usual: Floats, chosen: npt.NDArray[np.int64], kept: tuple[Codes, Floats], person: int, vector: Floats) -> float:
    """How far a vector (k,) lies from `usual` (d,) the way that a person's latest went, by `chosen` dimensions (d,).

    `kept`: vectors (n, k) in steps of STEP, and shares (n, people); NaN where fewer than LATELY_MIN are the person's. 0 where
    the latest are as usual.
    """
    vectors, shares = kept
    own = shares[:, person]
    if own.sum() < LATELY_MIN:
        return math.nan
    way = own @ vectors[:, chosen] * np.float32(STEP / own.sum()) - usual
    length = float(np.sqrt(way @ way))
    return float((vector[chosen] - usual) @ way) / length if length else 0.0
