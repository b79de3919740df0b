"""The detectors of `drift` as machine code (Numba), on states at float32: they count something at every event.

Law: what the classes say, but for the last bits; tests/learners/test_sessions.py holds them to that. Each has one signature, is
compiled once and kept beside this file, as long as its text stays: CONSTANTS changes the text when a number that is compiled in
changes.
"""

import math
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit, types

from ..drift.edetectors import (
    CALM,
    CLIP,
    COSTS,
    DOUBT,
    EVIDENCE_MAX,
    GAINS,
    GREAT_COST,
    KEEP,
    LEARNT_MAX,
    LEVEL_SURE,
    RATE_SURE,
    RATE_WEIGHT,
    SHARES,
    STAKE_MAX,
    STEP,
)  # fmt: skip
from .plain import STEP as VECTOR_STEP
from .plain_drift import LATELY_MIN, SHARE_MIN

__all__ = ["CONSTANTS", "beside", "learn_rate", "learn_rise", "stray"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

CONSTANTS: Final = 0x59cfc726  # the checksum of all numbers that are compiled in
ONE_COST, TWO_COST = COSTS
EQUAL: Final = (1 / 3,) * 3
_double, _int = types.float64, types.int64
_tuple: Final[Any] = types.Tuple
_state: Final = types.Array(types.float32, 1, "C")
_table: Final = types.Array(types.float32, 2, "C")
_kept: Final = _tuple((types.Array(types.int8, 2, "C"), _table))
_given: Final[Any] = types.Array(types.float32, 1, "C", readonly=True)
_three: Final = _tuple((_double, _double, _double))


def _compiled(result: Any, *arguments: Any) -> Callable[[Kernel], Kernel]:
    """Compile for these types alone, or load what was compiled before."""
    return cast(Callable[[Kernel], Kernel], njit(result(*arguments), cache=True, error_model="numpy"))


@_compiled(types.void, _state, _int, _three, _three, _double)
def _settle(state: Any, first: int, factors: Any, shares: Any, at: float) -> None:
    """Pay out the bets, which stand in the state from `first` on behind `since` and `run`."""
    before = evidence = new = 0.0
    for k in range(3):
        bet = float(state[first + 2 + k])
        before += bet * shares[k]
        bet = (bet * KEEP + 1) * factors[k]
        evidence += bet * shares[k]
        new += factors[k] * shares[k]
        state[first + 2 + k] = min(bet, EVIDENCE_MAX)
    run = float(state[first + 1]) * ((evidence - new) / (before * KEEP) if before > 0 else 1.0)
    if run <= 1:
        state[first], run = at, 1.0
    state[first + 1] = min(run, EVIDENCE_MAX)


@_compiled(_double, _state, _int, _three)
def _evidence(state: Any, first: int, shares: Any) -> float:
    """The evidence of the bets as they stand in the state from `first` on."""
    return float(state[first] * shares[0] + state[first + 1] * shares[1] + state[first + 2] * shares[2])


@_compiled(_double, _state, _double, _double, _double)
def learn_rise(state: Any, x: float, at: float, w: float) -> float:
    """See `plain_drift.learn_rise`."""
    count, weight, mean, squares = float(state[0]), float(state[1]), float(state[2]), float(state[3])
    evidence = _evidence(state, 6, EQUAL)
    trust = 1.0 if count <= LEVEL_SURE else max(DOUBT / (DOUBT + evidence), LEVEL_SURE / count)
    off = x - mean
    unit = 0.0 if count < 2 else math.sqrt(squares / (count - 1) * (1 / w + 1 / weight))
    if unit > 0:
        nu, u = count - 1, off / unit
        z = min((8 * nu + 1) / (8 * nu + 3) * math.sqrt(nu * math.log1p(u * u / nu)), CLIP)
        up = math.exp(STEP * math.copysign(z, u))
        _settle(state, 4, (ONE_COST * up, TWO_COST * up * up, GREAT_COST * up * up * up), EQUAL, at)
        wide = unit * LEARNT_MAX * (1 + 20 / nu**2)
        off = max(-wide, min(off, wide))
    learnt = trust * w
    share = learnt / (weight + learnt)
    state[0], state[1] = count + trust, weight + learnt
    state[2], state[3] = mean + share * off, squares + weight * share * off * off
    return _evidence(state, 6, EQUAL)


@_compiled(_double, _state, _double, _double, _double, _double)
def learn_rate(state: Any, x: float, at: float, w: float, rate: float) -> float:
    """See `plain_drift.learn_rate`."""
    ones, weight = float(state[0]), float(state[1])
    evidence = state[4] * SHARES[0] + state[5] * SHARES[1]  # of a rise
    trust = 1.0 if weight <= RATE_SURE else max(DOUBT / (DOUBT + evidence), RATE_SURE / weight)
    if weight >= CALM:
        p = (rate * RATE_WEIGHT + ones) / (RATE_WEIGHT + weight)
        lowest, highest, off = -STAKE_MAX / (1 - p), STAKE_MAX / p, x - p
        one = 1 + max(lowest, min(w * GAINS[0] / (1 + p * GAINS[0]), highest)) * off
        two = 1 + max(lowest, min(w * GAINS[1] / (1 + p * GAINS[1]), highest)) * off
        three = 1 + max(lowest, min(w * GAINS[2] / (1 + p * GAINS[2]), highest)) * off
        _settle(state, 2, (one, two, three), SHARES, at)
    state[0], state[1] = ones + trust * w * x, weight + trust * w
    return _evidence(state, 4, SHARES)


@_compiled(_state, _state, _state, _kept, _tuple((_table, _state)), _given)
def beside(vector: Any, shares: Any, kept: Any, tails: Any, between: Any) -> Any:
    """See `plain_drift.beside`."""
    (vectors, owned), (means, masses) = kept, tails
    left, total = vector.copy(), np.empty_like(vector)
    for person in range(len(shares)):
        if shares[person] < SHARE_MIN:
            continue
        mass, slots = np.float32(0), len(masses) // len(shares)
        total[:] = 0
        for i in range(slots * person, slots * (person + 1)):
            if masses[i] > 0:
                mass += masses[i]
                for k in range(len(total)):
                    total[k] += masses[i] * means[i, k]
        for i in range(len(owned)):
            if owned[i, person] > 0:
                mass += owned[i, person]
                step = owned[i, person] * np.float32(VECTOR_STEP)
                for k in range(len(total)):
                    total[k] += step * vectors[i, k]
        for k in range(len(total)):
            left[k] -= shares[person] * total[k] / (mass + np.float32(1) / between[k])
    return left


@_compiled(_double, _state, types.Array(_int, 1, "C"), _kept, _int, _state)
def stray(usual: Any, chosen: Any, kept: Any, person: int, vector: Any) -> float:
    """See `plain_drift.stray`."""
    vectors, shares = kept
    mass, total, square = 0.0, 0.0, 0.0
    for i in range(len(shares)):
        mass += shares[i, person]
    if mass < LATELY_MIN:
        return math.nan
    scale = VECTOR_STEP / mass
    for k in range(len(chosen)):
        lately = 0.0
        for i in range(len(shares)):
            lately += shares[i, person] * vectors[i, chosen[k]]
        way = lately * scale - usual[k]
        total += (vector[chosen[k]] - usual[k]) * way
        square += way * way
    return total / math.sqrt(square) if square > 0 else 0.0
