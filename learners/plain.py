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
# The folded past, TAILS of each person in turn: means at float16 precision, recordings that each stands for, mean and first time.
Tails = tuple[Floats, Floats, Days, Days]
# Kept recordings: vectors in whole steps of STEP (n, k), times (n,), shares (n, people). Of them the first `used` count.
Rows = tuple[Codes, Days, Floats]
# What is known of people in general: variance between them (k,), temperature; and how recordings age, per day and at most.
Model = tuple[Floats, float, float, float]
Known = tuple[Tails, Rows, int, Model]  # all that is known in one space; the number is how many rows count

TAILS: Final = 2  # per person: what was enrolled by hand, and the rest
STEP: Final = 1 / 16  # of the within-person standard deviation: int8 then reaches ±7.9
STEPS_MAX: Final = 127.0  # of a projected number, so that int8 keeps it
LLR_MAX: Final = 7.9  # nats: no sensor is believed more than 2700 : 1
COMPARED_MASS_MIN: Final = 1e-3  # a person with less evidence than this is not known in this space
FOLDED_SHARE_MIN: Final = 0.02  # less is too little to move a mean; forgotten instead


def unpack(halves: npt.NDArray[np.uint16]) -> tuple[Floats, float]:
    """(d,) bit patterns of float16 -> the numbers and the sum of their squares, NaN or infinite where a number is not finite."""
    vector = halves.view(np.float16).astype(np.float32)
    return vector, float(vector.dot(vector)) if np.isfinite(vector).all() else np.nan


def project(vector: Floats, by_input: Floats, offset: Floats, unit: bool) -> Floats:
    """(d,) -> (k,): `vector @ by_input - offset` in whole steps of STEP; `unit`: the vector is brought to length 1 first."""
    if unit:
        vector = vector / np.sqrt(vector.dot(vector))
    steps = (vector @ by_input - offset) * np.float32(1 / STEP)
    projected: Floats = np.clip(np.rint(steps), -STEPS_MAX, STEPS_MAX) * np.float32(STEP) + np.float32(0)  # no -0: int8 has none
    return projected


def compare(known: Known, probe: Floats, day: float) -> Days:
    """(people,) log-likelihood ratios, nats, of a probe (k,): each person against anybody; of unknown people 0.

    What is of age t tells of its owners with weight share / (1 + min(per_day |t|, most)).
    """
    tails, rows, used, model = known
    vectors, times, shares = _joined(tails, rows, used)
    owned: Floats = shares.T * _weight(times - day, model)  # (people, rows)
    return _llr(probe, owned @ vectors, owned.sum(1), model)


def compare_kept(known: Known) -> Days:
    """(rows that count, people): each kept row against all the others and the tails."""
    tails, rows, used, model = known
    vectors, times, shares = _joined(tails, rows, used)
    own = np.arange(len(times) - used, len(times))
    weight = _weight(times[own, None] - times, model)
    weight[np.arange(used), own] = 0
    owned: Floats = weight[:, None, :] * shares.T  # (probes, people, rows)
    return _llr(vectors[own, None, :], owned @ vectors, owned.sum(2), model)


def _joined(tails: Tails, rows: Rows, used: int) -> tuple[Floats, Days, Floats]:
    """Tails and rows as one table: vectors, times, shares."""
    (means, masses, tail_times, _), (vectors, times, shares) = tails, rows
    owned = np.zeros((len(masses), shares.shape[1]), np.float32)
    owned[range(len(masses)), np.arange(len(masses)) // TAILS] = masses
    return (
        np.concatenate([means, vectors[:used] * np.float32(STEP)]),
        np.concatenate([tail_times, times[:used]]),
        np.concatenate([owned, shares[:used]]),
    )


def _weight(age: Days, model: Model) -> Floats:
    _, _, per_day, most = model
    weight: Floats = (1 / (1 + np.minimum(per_day * np.abs(age), most))).astype(np.float32)
    return weight


def _llr(probe: Floats, total: Floats, mass: Floats, model: Model) -> Days:
    """(…, people) from probes (…, k) and, of each person, the weighted sum (…, people, k) and mass (…, people) of rows."""
    between, temperature, _, _ = model
    precision = 1 / between + mass[..., None]
    variance = 1 / precision + 1
    away = (np.square(total / precision - probe) / variance + np.log(variance)).sum(-1)
    anybody = (np.square(probe) / (between + 1) + np.log(between + 1)).sum(-1)
    llr = np.clip(0.5 * temperature * (anybody - away).astype(np.float64), -LLR_MAX, LLR_MAX)
    of_known: Days = llr * (mass > COMPARED_MASS_MIN)
    return of_known


def fold(known: Known, row: int, which: int, mass_max: float) -> None:
    """Let a row go into its owners' tails `which`; a full tail (`mass_max`) forgets as much as it takes in."""
    (means, masses, times, since), rows, used, _ = known
    vectors, row_times, shares = rows
    vector, time = vectors[row] * np.float32(STEP), row_times[row]
    for person, mass in enumerate(shares[row].tolist()):
        if mass < FOLDED_SHARE_MIN:
            continue
        tail = TAILS * person + which
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
