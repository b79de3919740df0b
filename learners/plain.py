"""The kernels in NumPy: the few functions over whole tables of kept vectors that an event costs most of its time in.

Law: a kernel has no state and decides nothing; it is what its docstring says, here readably and in `compiled` fast. Both give
the same answers but for the last bits, which tests/test_kernels.py bounds; one kind of installation always gives the same.

What is kept of one space is its `Tails` and its `Rows`; plain tuples, since those reach compiled code in a third of the time.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

__all__ = [
    "COMPARED_MASS_MIN", "FOLDED_SHARE_MIN", "LLR_MAX", "STEP", "STEPS_MAX", "TAILS", "Codes", "Days", "Floats", "Known",
    "Model", "Rows", "Tails", "compare", "compare_kept", "drop", "fold", "project", "unpack",
]  # fmt: skip

Floats = npt.NDArray[np.float32]
Days = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int8]
# The folded past of each person in turn, TAILS by channel: means at float16 precision, recordings that each stands for, mean and
# first time.
Tails = tuple[Floats, Floats, Days, Days]
# Kept recordings: vectors in whole steps of STEP (n, k), times (n,), channels (n,), shares (n, people). The first `used` count.
Rows = tuple[Codes, Days, Codes, Floats]
# Of people in general: variance between them (k,), temperature; of recordings: noise by channel (c,), how much more that is
# between two channels (c, c), and how they age, per day and at most.
Model = tuple[Floats, float, Floats, Floats, float, float]
Known = tuple[Tails, Rows, int, Model]  # all that is known in one space; the number is how many rows count

TAILS: Final = 2  # per person and channel: what was enrolled by hand, and the rest
STEP: Final = 1 / 16  # of the within-person standard deviation: int8 then reaches ±7.9
STEPS_MAX: Final = 127.0  # of a projected number, so that int8 keeps it
LLR_MAX: Final = 7.9  # nats: no sensor is believed more than 2700 : 1
COMPARED_MASS_MIN: Final = 1e-3  # a person with less evidence than this is not known in this space
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


def compare(known: Known, probe: Floats, day: float, channel: int, without: int) -> Days:
    """(people + rows that count,) log-likelihood ratios, nats, of a probe (k,) of a channel: of each person, then of each row.

    First each person against anybody, of unknown people 0; then, of each kept row, whoever made that one recording against
    anybody. What is of age t tells of its owners with weight share / (noise + shift + min(per_day |t|, most)). The row
    `without` is left out (-1: none): its place gets 0.
    """
    tails, rows, used, model = known
    _, _, noise, shift, per_day, most = model
    vectors, times, channels, shares = _joined(tails, rows, used, len(noise))
    weight = 1 / (noise[channels] + shift[channels, channel] + np.minimum(per_day * np.abs(times - day), most))
    if without >= 0:
        weight[len(tails[1]) + without] = 0
    owned: Floats = (shares.T * weight).astype(np.float32)  # (people, tails and rows)
    of_people = _llr(probe, owned @ vectors, owned.sum(1), noise[channel], model)
    alone: Floats = weight[len(tails[1]) :].astype(np.float32)
    of_rows = _llr(probe, vectors[len(tails[1]) :] * alone[:, None], alone, noise[channel], model)
    return np.concatenate([of_people, of_rows])


def compare_kept(known: Known) -> Days:
    """(rows that count, people + rows that count): each kept row against all the others and the tails."""
    _, (vectors, times, channels, shares), used, _ = known
    llr = np.zeros((used, shares.shape[1] + used))
    for i in range(used):
        llr[i] = compare(known, vectors[i] * np.float32(STEP), times[i], channels[i], i)
    return llr


def _joined(tails: Tails, rows: Rows, used: int, of_channels: int) -> tuple[Floats, Days, Codes, Floats]:
    """Tails and rows as one table: vectors, times, channels, shares."""
    (means, masses, tail_times, _), (vectors, times, channels, shares) = tails, rows
    owned = np.zeros((len(masses), shares.shape[1]), np.float32)
    slots = np.arange(len(masses))
    owned[slots, slots // (TAILS * of_channels)] = masses
    return (
        np.concatenate([means, vectors[:used] * np.float32(STEP)]),
        np.concatenate([tail_times, times[:used]]),
        np.concatenate([(slots % of_channels).astype(np.int8), channels[:used]]),
        np.concatenate([owned, shares[:used]]),
    )


def _llr(probe: Floats, total: Floats, mass: Floats, noise: float, model: Model) -> Days:
    """(n,) from a probe (k,) and, of n people, the weighted sum (n, k) and mass (n,) of what is theirs."""
    between, temperature, *_ = model
    precision = 1 / between + mass[:, None]
    mean, variance = total / precision, 1 / precision + noise
    away = (np.square(mean - probe) / variance + np.log(variance)).sum(-1)
    anybody = (np.square(probe) / (between + noise) + np.log(between + noise)).sum(-1)
    llr = np.clip(0.5 * temperature * (anybody - away).astype(np.float64), -LLR_MAX, LLR_MAX)
    of_known: Days = llr * (mass > COMPARED_MASS_MIN)
    return of_known


def fold(known: Known, row: int, which: int, mass_max: float) -> None:
    """Let a row go into its owners' tails `which` of its channel; a full tail (`mass_max`) forgets as much as it takes in."""
    (means, masses, times, since), rows, used, (_, _, noise, *_) = known
    vectors, row_times, channels, shares = rows
    vector, time = vectors[row] * np.float32(STEP), row_times[row]
    for person, mass in enumerate(shares[row].tolist()):
        if mass < FOLDED_SHARE_MIN:
            continue
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
