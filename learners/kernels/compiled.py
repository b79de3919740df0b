"""The kernels as machine code (Numba): the functions of `plain`, with the same answers but for the last bits.

Law: the order of every sum is written here and no compiler may change it (no fast-math), so that one log gives the same bytes on
every machine that runs these. Each has one signature, is compiled once and kept beside this file; nothing compiles later.
Numba keeps it as long as this text stays: CONSTANTS changes the text when a number that is compiled in changes.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numpy as np
from numba import njit, types

from .plain import (
    COMPARED_MASS_MIN,
    FOLDED_SHARE_MIN,
    LLR_MAX,
    OWNED_MAX,
    STEP,
    STEPS_MAX,
    TAILS,
    Days,
    Floats,
    Known,
    Model,
    Probe,
    Rows,
)

__all__ = ["CONSTANTS", "compare", "compare_kept", "drop", "expected", "fold", "follow", "project", "unpack"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

CONSTANTS: Final = 0x2221941d  # the checksum of all numbers that are compiled in
_float, _double, _int, _bool = types.float32, types.float64, types.int64, types.boolean
_tuple: Final[Any] = types.Tuple
_vector: Final = types.Array(_float, 1, "C")
_table: Final = types.Array(_float, 2, "C")
_days: Final = types.Array(_double, 1, "C")
_given: Final = types.Array(_float, 1, "C", readonly=True)
_given_table: Final = types.Array(_float, 2, "C", readonly=True)
_places: Final = types.Array(_int, 1, "C")
_tails: Final = _tuple((_table, _vector, _days, _days))
_rows: Final = _tuple((types.Array(types.int8, 2, "C"), _days, types.Array(types.int8, 1, "C"), _vector, _table))
_model: Final = _tuple((_vector, _double, _vector, _table, _double, _double, _vector, _double))
_probe: Final = _tuple((_vector, _double, _int, _double))
_known: Final = _tuple((_tails, _rows, _int, _model))
_HALF_NORMAL_MIN: Final = np.float32(2.0**-14)
_HALF_LEAST: Final = np.float32(2.0**-24)
_POWERS: Final = np.array([2.0 ** (exponent - 25) for exponent in range(32)], np.float32)


def _compiled(result: Any, *arguments: Any) -> Callable[[Kernel], Kernel]:
    """Compile for these types alone, or load what was compiled before."""
    return cast(Callable[[Kernel], Kernel], njit(result(*arguments), cache=True, error_model="numpy"))


@_compiled(_tuple((_vector, _double)), types.Array(types.uint16, 1, "C", readonly=True))
def unpack(halves: Any) -> Any:
    """See `plain.unpack`. IEEE 754: a sign, 5 bits of exponent, 10 of fraction."""
    vector, square = np.empty(len(halves), np.float32), 0.0
    for i in range(len(halves)):
        exponent, fraction = (halves[i] >> 10) & 31, np.float32(halves[i] & 1023)
        if exponent == 31:
            return vector, np.nan
        size = (fraction + 1024) * _POWERS[exponent] if exponent else fraction * _POWERS[1]
        vector[i] = -size if halves[i] >> 15 else size
        square += vector[i] * vector[i]
    return vector, square


@_compiled(_tuple((_vector, _int)), _given, _given_table, _given, _given_table, _bool)
def project(vector: Floats, by_input: Floats, offset: Floats, means: Floats, unit: bool) -> Any:
    """See `plain.project`."""
    square = 0.0
    for x in vector:
        square += x * x
    scale = np.float32(1 / np.sqrt(square)) if unit else np.float32(1)
    found, steps = -offset, np.empty(means.shape[1], np.float32)
    for i in range(by_input.shape[0]):
        x = vector[i] * scale
        for k in range(len(found)):
            found[k] += x * by_input[i, k]
    channel = np.argmax(found[len(steps) :])
    for k in range(len(steps)):
        whole = np.rint((found[k] - means[channel, k]) * np.float32(1 / STEP))
        steps[k] = min(max(whole, np.float32(-STEPS_MAX)), np.float32(STEPS_MAX)) * np.float32(STEP) + np.float32(0)
    return steps, channel


@_compiled(_float, _double, _float, _model)
def _weight(age: float, noise: float, model: Model) -> Any:
    """Of a whole recording."""
    per_day, most = model[4], model[5]
    return np.float32(1 / (noise + min(per_day * abs(age), most)))


@_compiled(_float, _known, _probe, _vector, _int, _table)
def _gather(known: Known, probe: Probe, weights: Floats, person: int, total: Any) -> Any:
    """Fill in the weighted sum of what is known of a person, in total[0]; its mass. `weights`: of whole kept rows."""
    (means, masses, tail_times, _), (vectors, _, channels, _, shares), used, model = known
    _, day, channel, _ = probe
    noise, shift, centre, scale = model[2], model[3], model[6], np.float32(model[7])
    of_channels, mass, row = len(noise), np.float32(0), np.float32(0)
    total[0] = 0
    for c in range(of_channels):
        found = np.float32(0)
        for k in range(total.shape[1]):
            total[1, k] = 0
        for tail in range(TAILS):
            i = (TAILS * person + tail) * of_channels + c
            if masses[i] > 0:
                row = masses[i] * _weight(tail_times[i] - day, noise[c], model)
                found += row
                for k in range(total.shape[1]):
                    total[1, k] += row * means[i, k]
        for i in range(used):
            if channels[i] == c and shares[i, person] > 0:
                row = shares[i, person] * weights[i]
                found += row
                per_step = row * np.float32(STEP)
                for k in range(total.shape[1]):
                    total[1, k] += per_step * np.float32(vectors[i, k])
        if found > 0:
            part = np.float32(1 / (1 + found * shift[c, channel]))
            mass += found * part
            for k in range(total.shape[1]):
                total[0, k] += total[1, k] * part
    for k in range(total.shape[1]):
        total[0, k] = (total[0, k] - mass * centre[k]) * scale
    return mass


@_compiled(_tuple((_vector, _double)), _probe, _model)
def _anybody(probe: Probe, model: Model) -> Any:
    """1 / variance between people, and of anybody: distance and logarithm of the variance, together."""
    between, vector, noise = model[0], probe[0], probe[3]
    inverse, away, spread = np.empty(len(between), np.float32), 0.0, 1.0
    for k in range(len(between)):
        inverse[k] = 1 / between[k]
        away += vector[k] * vector[k] / (between[k] + noise)
        spread *= between[k] + noise
    return inverse, away + np.log(spread)


@_compiled(_double, _probe, _vector, _float, _tuple((_vector, _double)), _double)
def _llr(probe: Probe, total: Floats, mass: Any, anybody: Any, temperature: float) -> Any:
    """Of one person, from the weighted sum and the mass of what is known of them."""
    vector, _, _, noise = probe
    inverse, distance = anybody
    away, spread = 0.0, 1.0
    for k in range(len(vector)):
        spared = 1 / (inverse[k] + mass)
        variance = spared + noise
        apart = total[k] * spared - vector[k]
        away += apart * apart / variance
        spread *= variance
    return min(max(0.5 * temperature * (distance - away - np.log(spread)), -LLR_MAX), LLR_MAX)


@_compiled(_vector, _known, _probe, _int)
def _weights(known: Known, probe: Probe, without: int) -> Any:
    """Of whole kept rows; 0 of the one that is left out."""
    _, (_, times, _, noises, _), used, model = known
    weights = np.empty(used, np.float32)
    for i in range(used):
        weights[i] = 0 if i == without else _weight(times[i] - probe[1], noises[i], model)
    return weights


@_compiled(_days, _known, _probe, _int)
def compare(known: Known, probe: Probe, without: int) -> Days:
    """See `plain.compare`."""
    _, (vectors, _, channels, _, shares), used, model = known
    centre, scale = model[6], np.float32(model[7])
    probe = ((probe[0] - centre) * scale, probe[1], probe[2], probe[3])
    people, shift, temperature, anybody = shares.shape[1], model[3], model[1], _anybody(probe, model)
    llr, weights, total = np.zeros(people + used), _weights(known, probe, without), np.empty((2, len(probe[0])), np.float32)
    for person in range(people):
        mass = _gather(known, probe, weights, person, total)
        if mass > COMPARED_MASS_MIN:
            llr[person] = _llr(probe, total[0], mass, anybody, temperature)
    for i in range(used):
        owned = np.float32(0)
        for person in range(people):
            owned += shares[i, person]
        if i != without and owned < OWNED_MAX:
            weight = np.float32(weights[i] / (1 + weights[i] * shift[channels[i], probe[2]]))
            per_step = weight * np.float32(STEP)
            for k in range(total.shape[1]):
                total[0, k] = (per_step * np.float32(vectors[i, k]) - weight * centre[k]) * scale
            llr[people + i] = _llr(probe, total[0], weight, anybody, temperature)
    return llr


@_compiled(_tuple((_vector, _double)), _known, _probe, _vector)
def expected(known: Known, probe: Probe, shares: Floats) -> Any:
    """See `plain.expected`."""
    weights, sure = _weights(known, probe, -1), np.float32(0)
    mean, total = np.zeros(len(probe[0]), np.float32), np.empty((2, len(probe[0])), np.float32)
    for person in range(len(shares)):
        mass = _gather(known, probe, weights, person, total)
        if mass > COMPARED_MASS_MIN:
            part = shares[person] / (mass + 1)
            sure += part * mass
            for k in range(len(mean)):
                mean[k] += part * total[0, k]
    if sure > 0:
        for k in range(len(mean)):
            mean[k] /= sure
    return mean, sure


@_compiled(types.Array(_double, 2, "C"), _known)
def compare_kept(known: Known) -> Days:
    """See `plain.compare_kept`."""
    _, (vectors, times, channels, noises, shares), used, _ = known
    llr = np.empty((used, shares.shape[1] + used))
    for i in range(used):
        vector = np.empty(vectors.shape[1], np.float32)
        for k in range(len(vector)):
            vector[k] = vectors[i, k] * np.float32(STEP)
        llr[i] = compare(known, (vector, times[i], int(channels[i]), float(noises[i])), i)
    return llr


@_compiled(_float, _float)
def _half(x: Any) -> Any:
    """The number at float16 precision: rounded to 11 binary digits (Veltkamp's splitting), or to the least step near 0."""
    if abs(x) < _HALF_NORMAL_MIN:
        return np.rint(x / _HALF_LEAST) * _HALF_LEAST
    far = x * np.float32(8193)
    return far - (far - x)


@_compiled(types.void, _rows, _int, _int)
def drop(rows: Rows, row: int, used: int) -> None:
    """See `plain.drop`."""
    vectors, times, channels, noises, shares = rows
    for i in range(row, used - 1):
        vectors[i], times[i], shares[i] = vectors[i + 1], times[i + 1], shares[i + 1]
        channels[i], noises[i] = channels[i + 1], noises[i + 1]


@_compiled(types.void, _known, _int, _int, _double)
def fold(known: Known, row: int, which: int, mass_max: float) -> None:
    """See `plain.fold`."""
    (means, masses, times, since), rows, used, model = known
    vectors, row_times, channels, noises, shares = rows
    worth = np.float64(model[2][channels[row]] / noises[row])
    for person in range(shares.shape[1]):
        if shares[row, person] < FOLDED_SHARE_MIN:
            continue
        mass = np.float64(shares[row, person]) * worth
        tail = (TAILS * person + which) * len(model[2]) + channels[row]
        before = np.float64(masses[tail])
        part = mass / (before + mass)
        if before == 0:
            means[tail] = 0
            times[tail] = since[tail] = row_times[row]
        for k in range(means.shape[1]):
            x = vectors[row, k] * np.float32(STEP)
            means[tail, k] = _half(means[tail, k] + np.float32(part) * (x - means[tail, k]))
        times[tail] += part * (row_times[row] - times[tail])
        masses[tail] = min(before + mass, mass_max)
    drop(rows, row, used)


@_compiled(_double, _given, _tuple((_places, _vector)), _table, _vector, _tuple((_double, _double)))
def follow(vector: Floats, way: Any, means: Floats, heading: Floats, rates: Any) -> float:
    """See `plain.follow`."""
    (chosen, scale), square, origin = way, np.float32(0), np.float32(0)
    late, usual = np.float32(rates[0]), np.float32(rates[1])
    for i in range(len(heading)):
        x = vector[chosen[i]] * scale[i]
        means[0, i] = _half(means[0, i] + late * (x - means[0, i]))
        means[1, i] = _half(means[1, i] + usual * (x - means[1, i]))
        heading[i] = means[0, i] - means[1, i]
        square += heading[i] * heading[i]
    length = np.sqrt(square) if square > 0 else np.float32(1)
    for i in range(len(heading)):
        unit = heading[i] / length
        heading[i] = unit * scale[i]
        origin += means[1, i] * unit
    return float(origin)
