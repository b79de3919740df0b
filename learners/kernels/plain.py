"""The kernels in NumPy: the few functions over whole tables of kept vectors that an event costs most of its time in.

Law: a kernel has no state and decides nothing; it is what its docstring says, here readably and in `compiled` fast. Both give
the same answers but for the last bits, which tests/learners/test_kernels.py bounds; one kind of installation always gives the
same.

What is kept of one space is its `Tails` and its `Rows`; plain tuples, since those reach compiled code in a third of the time.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "COMPARED_MASS_MIN", "FOLDED_SHARE_MIN", "LLR_MAX", "OWNED_MAX", "STEP", "STEPS_MAX", "TAILS", "Codes", "Days", "Floats",
    "Known", "Model", "Probe", "Rows", "Tails", "compare", "compare_kept", "drop", "expected", "fold", "follow", "project",
    "unpack",
]  # fmt: skip

Floats = npt.NDArray[np.float32]
Days = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int8]
# The folded past of each person in turn, TAILS by channel: means at float16 precision, recordings that each stands for, mean and
# first time.
Tails = tuple[Floats, Floats, Days, Days]
# Kept recordings: vectors in whole steps of STEP (n, k), times (n,), channels (n,), noises (n,), shares (n, people). The first
# `used` count.
Rows = tuple[Codes, Days, Codes, Floats, Floats]
# Of people in general: variance between them (k,), temperature; of recordings: noise by channel (c,), variance of a person's move
# between two channels (c, c), and how recordings age, per day and at most.
# Last, for what is compared: less a centre (k,), times a scale.
Model = tuple[Floats, float, Floats, Floats, float, float, Floats, float]
Probe = tuple[Floats, float, int, float]  # a recording to compare: vector (k,), day, channel, noise
Known = tuple[Tails, Rows, int, Model]  # all that is known in one space; the number is how many rows count

TAILS: Final = 2  # per person and channel: what was enrolled by hand, and the rest
STEP: Final = 1 / 16  # of the within-person standard deviation: int8 then reaches ±7.9
STEPS_MAX: Final = 127.0  # of a projected number, so that int8 keeps it
LLR_MAX: Final = 7.9  # nats: no sensor is believed more than 2700 : 1
COMPARED_MASS_MIN: Final = 1e-3  # a person with less evidence than this is not known in this space
OWNED_MAX: Final = 0.75  # an event that people of the home own to more than this is no stranger's
FOLDED_SHARE_MIN: Final = 0.02  # less is too little to move a mean; forgotten instead


def unpack(halves: npt.NDArray[np.uint16]) -> tuple[Floats, float]:
    """(d,) bit patterns of float16 -> the numbers and the sum of their squares, NaN or infinite where a number is not finite."""
    vector = halves.view(np.float16).astype(np.float32)
    return vector, float(vector.dot(vector)) if np.isfinite(vector).all() else np.nan


def project(vector: Floats, by_input: Floats, offset: Floats, means: Floats, unit: bool) -> tuple[Floats, int]:
    """(d,) -> (k,) and a channel: the first k of `vector @ by_input - offset` less the mean of the channel whose score, behind
    them, is the greatest; in whole steps of STEP. `unit`: the vector is brought to length 1 first.
    """
    if unit:
        vector = vector / np.sqrt(vector.dot(vector))
    found = vector @ by_input - offset
    k = means.shape[1]
    channel = int(found[k:].argmax())
    steps = (found[:k] - means[channel]) * np.float32(1 / STEP)
    projected: Floats = np.clip(np.rint(steps), -STEPS_MAX, STEPS_MAX) * np.float32(STEP) + np.float32(0)  # no -0: int8 has none
    return projected, channel


def compare(known: Known, probe: Probe, without: int) -> Days:
    """(people + rows that count,) log-likelihood ratios, nats, of a probe: of each person, then of each row.

    First each person against anybody, of unknown people 0; then, of each kept row that is a stranger's by a good part (owned by
    people to less than OWNED_MAX), whoever made that one recording against anybody, of the others 0. The row `without` is left
    out (-1: none): its place gets 0. What is of age t tells of its owners with weight
    share / (noise + min(per_day |t|, most)); all that is of one channel, M together, tells of another with 1 / (1 / M + shift),
    for a person moves between channels once and not once a recording.
    """
    tails, _, _, model = known
    vector, _, channel, _ = probe
    shift, centre, scale = model[3], model[6], np.float32(model[7])
    probe = (vector - centre) * scale, *probe[1:]
    vectors, channels, weight, shares = _weighed(known, probe, without)
    total, mass = _gathered(vectors, channels, (shares.T * weight).astype(np.float32), shift[:, channel])
    alone: Floats = (weight / (1 + weight * shift[channels, channel]))[len(tails[1]) :].astype(np.float32)
    of_rows = _llr(probe, vectors[len(tails[1]) :] * alone[:, None], alone, model)
    of_rows[shares[len(tails[1]) :].sum(1) >= OWNED_MAX] = 0
    return np.concatenate([_llr(probe, total, mass, model), of_rows])


def expected(known: Known, probe: Probe, shares: Floats) -> tuple[Floats, float]:
    """(k,) where a probe would lie if made by people with these `shares` (people,), and how surely that is known (0 to 1).

    Each person's mean counts by their share and by mass / (mass + 1): of somebody heard once half.
    """
    shift = known[3][3]
    vectors, channels, weight, owned = _weighed(known, probe, -1)
    total, mass = _gathered(vectors, channels, (owned.T * weight).astype(np.float32), shift[:, probe[2]])
    part = shares * (mass > COMPARED_MASS_MIN) / (mass + 1)
    sure = float((part * mass).sum())
    mean: Floats = (part @ total).astype(np.float32)
    return (mean / np.float32(sure) if sure > 0 else mean), sure


def compare_kept(known: Known) -> Days:
    """(rows that count, people + rows that count): each kept row against all the others and the tails."""
    _, (vectors, times, channels, noises, shares), used, _ = known
    llr = np.zeros((used, shares.shape[1] + used))
    for i in range(used):
        llr[i] = compare(known, (vectors[i] * np.float32(STEP), times[i], channels[i], noises[i]), i)
    return llr


def _weighed(known: Known, probe: Probe, without: int) -> tuple[Floats, Codes, Days, Floats]:
    """Tails and rows as one table: vectors, channels, weights of whole recordings, shares."""
    (means, masses, tail_times, _), (vectors, times, channels, noises, shares), used, model = known
    _, _, noise, _, per_day, most, centre, scale = model
    owned = np.zeros((len(masses), shares.shape[1]), np.float32)
    slots = np.arange(len(masses))
    owned[slots, slots // (TAILS * len(noise))] = masses
    of = slots % len(noise)
    age = np.abs(np.concatenate([tail_times, times[:used]]) - probe[1])
    weight = 1 / (np.concatenate([noise[of], noises[:used]]) + np.minimum(per_day * age, most))
    if without >= 0:
        weight[len(masses) + without] = 0
    return (
        (np.concatenate([means, vectors[:used] * np.float32(STEP)]) - centre) * np.float32(scale),
        np.concatenate([of.astype(np.int8), channels[:used]]),
        weight,
        np.concatenate([owned, shares[:used]]),
    )


def _gathered(vectors: Floats, channels: Codes, owned: Floats, shift: Floats) -> tuple[Floats, Floats]:
    """(people, k) weighted sum and (people,) mass of what is known of people, from their weights (people, n) in all there is."""
    total, mass = np.zeros((len(owned), vectors.shape[1]), np.float32), np.zeros(len(owned), np.float32)
    for channel, moved in enumerate(shift):
        own = owned[:, channels == channel]
        found = own.sum(1)
        total += (own @ vectors[channels == channel]) / (1 + found * moved)[:, None]
        mass += found / (1 + found * moved)
    return total, mass


def _llr(probe: Probe, total: Floats, mass: Floats, model: Model) -> Days:
    """(n,) from a probe and, of n people, the weighted sum (n, k) and mass (n,) of what is theirs."""
    (vector, _, _, noise), (between, temperature, *_) = probe, model
    precision = 1 / between + mass[:, None]
    mean, variance = total / precision, 1 / precision + np.float32(noise)
    away = (np.square(mean - vector) / variance + np.log(variance)).sum(-1)
    anybody = (np.square(vector) / (between + np.float32(noise)) + np.log(between + np.float32(noise))).sum(-1)
    llr = np.clip(0.5 * temperature * (anybody - away).astype(np.float64), -LLR_MAX, LLR_MAX)
    of_known: Days = llr * (mass > COMPARED_MASS_MIN)
    return of_known


def fold(known: Known, row: int, which: int, mass_max: float) -> None:
    """Let a row go into its owners' tails `which` of its channel; a full tail (`mass_max`) forgets as much as it takes in."""
    (means, masses, times, since), rows, used, (_, _, noise, *_) = known
    vectors, row_times, channels, noises, shares = rows
    vector, time = vectors[row] * np.float32(STEP), row_times[row]
    worth = float(noise[channels[row]] / noises[row])
    for person, share in enumerate(shares[row].tolist()):
        if share < FOLDED_SHARE_MIN:
            continue
        mass = share * worth
        tail = (TAILS * person + which) * len(noise) + channels[row]
        before = float(masses[tail])
        part = mass / (before + mass)
        if before == 0:
            means[tail], times[tail], since[tail] = 0, time, time
        means[tail] = (means[tail] + np.float32(part) * (vector - means[tail])).astype(np.float16)
        times[tail] += part * (time - times[tail])
        masses[tail] = min(before + mass, mass_max)
    drop(rows, row, used)


def drop(rows: Rows, row: int, used: int) -> None:
    """Take a row out; those behind it move up."""
    table: Any
    for table in rows:
        table[row : used - 1] = table[row + 1 : used].copy()


def follow(
    vector: Floats, way: tuple[npt.NDArray[np.int64], Floats], means: Floats, heading: Floats, rates: tuple[float, float]
) -> float:
    """Move two `means` (2, n), of late and usual, by `rates` towards some numbers of a vector; they are at float16 precision.

    `way`: which numbers (n,), and what they are multiplied by (n,). `heading` (n,) becomes the direction from the usual to the
    latest, to be multiplied with those numbers of any vector; returned is what the usual itself has there.
    """
    chosen, scale = way
    x = vector[chosen] * scale
    means += np.array(rates, np.float32)[:, None] * (x - means)
    means[:] = means.astype(np.float16)
    away = means[0] - means[1]
    length = np.sqrt(away.dot(away))
    unit = away / length if length > 0 else away
    heading[:] = unit * scale
    return float(means[1].dot(unit))
