"""Soft prototypes: who a vector is like, learnt from a bounded number of kept vectors with soft owners.

Law: what a person is like is a function of the kept rows and tails alone, so taking a row back, or giving it other
owners, takes back exactly what was learnt from it.

Theory: two-covariance PLDA with forgetting. A row i, seen |t| days from the probe, tells of person p with weight
r_ip / (1 + min(q |t|, q_max)); the person's posterior mean is m with precision 1/between + the sum of weights; the
log-likelihood ratio compares N(x; m, 1/precision + 1) with N(x; 0, between + 1), tempered. A row that must go is folded
into a tail of its owners: one row that counts as many. An *anchor* tail takes what was enrolled by hand, another the rest.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from .projection import Floats, Projection

__all__ = ["ANCHOR", "LLR_MAX", "REST", "SHARE_STEP", "Forgetting", "SoftPrototypes", "Tail"]

SHARE_STEP: Final = 1 / 4096  # shares of a row are whole multiples of it
TAILS: Final = 2  # per person
ROWS_AT_FIRST: Final = 16
ANCHOR, REST = 0, 1  # which tail: enrolled by hand, or all else
LLR_MAX: Final = 7.9  # nats: no sensor is believed more than 2700 : 1
KNOWN_MIN: Final = 1e-3  # a person with less evidence than this is not known in this space


class Forgetting(NamedTuple):
    """How kept vectors age: noise variance added per day, at most; and the greatest mass of a tail."""

    per_day: float
    most: float
    tail_mass_max: float


@dataclass(slots=True)
class Tail:
    """A row that stands for many: their mean (k,) at float16, how many, their mean time and the first (days)."""

    vector: Floats
    mass: float
    time: float
    since: float

    def absorb(self, vector: Floats, mass: float, time: float, mass_max: float) -> None:
        """Move the mean towards a vector; a full tail forgets as much as it takes in."""
        share = mass / (self.mass + mass)
        self.vector = half(self.vector + np.float32(share) * (vector - self.vector))
        self.time += share * (time - self.time)
        self.mass = min(self.mass + mass, mass_max)


def half(vector: Floats) -> Floats:
    """The vector at stored precision (float16)."""
    return vector.astype(np.float16).astype(np.float32)


class SoftPrototypes:
    """The kept vectors of one encoder in one home, with their shares among people (columns).

    A kept row is known by its `key`, a number that grows. What of a row belongs to nobody (a guest) is not kept.

    Examples
    --------
    >>> flat = Projection("euclidean", np.eye(2, dtype="f4"), np.zeros(2, "f4"), np.full(2, 4, "f4"), 1.0)
    >>> kept = SoftPrototypes(flat, people=2, forgetting=Forgetting(0.2, 4.0, 16.0))
    >>> kept.add(0, np.array([2, 0], "f4"), 0.0, [1, 0])
    >>> kept.add(1, np.array([0, 2], "f4"), 0.0, [0, 1])
    >>> [round(x, 1) for x in kept.llr(np.array([2, 0], "f4"), 0.0).tolist()]
    [1.4, -0.4]
    """

    def __init__(self, projection: Projection, people: int, forgetting: Forgetting) -> None:
        self.projection, self.forgetting = projection, forgetting
        self.tails: list[list[Tail | None]] = [[None] * TAILS for _ in range(people)]
        self.keys: list[int] = []
        self._precision = (1 / projection.between).astype(np.float32)
        self._null = (projection.between + 1).astype(np.float32)
        self._log_null = np.float32(np.log(self._null).sum())
        self._first = 0  # of the kept rows in the table
        self._vectors = np.zeros((0, projection.dimensions), np.float32)
        self._times = np.zeros(0, np.float32)
        self._shares = np.zeros((0, people), np.float32)
        self._reserve(ROWS_AT_FIRST)

    # ---- the table: the tails' rows first, then the kept rows in the order of their keys

    def _reserve(self, kept: int) -> None:
        """Lay the table out anew with room for so many kept rows."""
        used, first = len(self.keys), TAILS * len(self.tails)
        old = slice(self._first, self._first + used)
        vectors, times, shares = self._vectors[old], self._times[old], self._shares[old]
        self._first, new = first, slice(first, first + used)
        self._vectors = np.zeros((first + kept, self.projection.dimensions), np.float32)
        self._times = np.zeros(first + kept, np.float32)
        self._shares = np.zeros((first + kept, len(self.tails)), np.float32)
        for person in range(len(self.tails)):
            for which in range(TAILS):
                self._show_tail(person, which)
        self._vectors[new], self._times[new], self._shares[new] = vectors, times, shares

    def lay_out(self) -> None:
        """Make the table fit `tails` after they were set from outside; before any row is kept."""
        assert not self.keys, "tails are set before rows"
        self._shares = np.zeros((0, len(self.tails)), np.float32)
        self._reserve(ROWS_AT_FIRST)

    def _show_tail(self, person: int, which: int) -> None:
        tail, row = self.tails[person][which], TAILS * person + which
        if tail is not None:
            self._vectors[row], self._times[row], self._shares[row, person] = tail.vector, tail.time, tail.mass

    def _row(self, key: int) -> int:
        return self._first + self.keys.index(key)

    def __contains__(self, key: int) -> bool:
        return key in self.keys

    # ---- learning

    def add(self, key: int, vector: Floats, time: float, shares: list[float]) -> None:
        """Keep a projected vector (k,), seen at `time` (days), with each person's share of it (multiples of SHARE_STEP)."""
        row = self._first + len(self.keys)
        if row == len(self._times):
            self._reserve(2 * len(self.keys) + 8)
        self._vectors[row], self._times[row], self._shares[row] = vector, time, shares
        self.keys.append(key)

    def share(self, key: int, shares: list[float]) -> None:
        """Give a kept row other owners."""
        self._shares[self._row(key)] = shares

    def vector(self, key: int) -> Floats:
        """A copy of a kept row's vector (k,)."""
        copy: Floats = self._vectors[self._row(key)].copy()
        return copy

    def drop(self, key: int) -> None:
        """Forget a kept row, and all that was learnt from it."""
        row, end = self._row(key), self._first + len(self.keys)
        for table in (self._vectors, self._times, self._shares):
            table[row : end - 1] = table[row + 1 : end].copy()
        self.keys.remove(key)

    def fold(self, key: int, which: int) -> None:
        """Let a kept row go into its owners' tails `which` (ANCHOR or REST)."""
        row = self._row(key)
        vector, time = half(self._vectors[row]), float(self._times[row])
        for p, mass in enumerate(self._shares[row].tolist()):
            if mass < 0.02:  # too little to move a mean; forgotten instead
                continue
            tail = self.tails[p][which]
            if tail is None:
                self.tails[p][which] = Tail(vector.copy(), mass, time, time)
            else:
                tail.absorb(vector, mass, time, self.forgetting.tail_mass_max)
            self._show_tail(p, which)
        self.drop(key)

    def forget_tail(self, person: int, which: int) -> None:
        """Unlearn what was folded of a person, enrolled by hand (ANCHOR) or not (REST)."""
        self.tails[person][which] = None
        self._shares[TAILS * person + which] = 0

    def add_person(self) -> None:
        """One more column, of whom nothing is known."""
        self._shares = np.pad(self._shares, ((0, 0), (0, 1)))
        self.tails.append([None] * TAILS)
        self._reserve(len(self.keys) + 8)

    def remove_person(self, person: int) -> None:
        """Take a column out; what rows belonged to that person belongs to nobody."""
        del self.tails[person]
        self._shares = np.delete(self._shares, person, axis=1)
        self._reserve(len(self.keys) + 8)

    # ---- scoring

    def mass(self) -> Floats:
        """(people,): how many recordings' worth of evidence there is of each, regardless of age."""
        total: Floats = self._shares[: self._first + len(self.keys)].sum(0)
        return total

    def llr(self, vector: Floats, time: float) -> Floats:
        """(people,) log-likelihood ratio, nats, of a projected vector (k,): this person against anybody; unknown people 0."""
        used = self._first + len(self.keys)
        weight = self._weight(self._times[:used] - np.float32(time))
        owned = self._shares[:used].T * weight  # (people, rows)
        total = np.matmul(owned, self._vectors[:used])
        return self._compare(vector, total, owned.sum(1))

    def llr_kept(self) -> Floats:
        """(kept rows, people): each kept row against all the others."""
        used, own = self._first + len(self.keys), slice(self._first, self._first + len(self.keys))
        weight = self._weight(self._times[own, None] - self._times[:used])
        weight[np.arange(len(self.keys)), np.arange(self._first, used)] = 0
        owned = weight[:, None, :] * self._shares[:used].T  # (probes, people, rows)
        total = np.matmul(owned, self._vectors[:used])
        return self._compare(self._vectors[own, None, :], total, owned.sum(2))

    def _weight(self, age: Floats) -> Floats:
        """What a recording of that age (days, either way) counts."""
        np.abs(age, out=age)
        age *= np.float32(self.forgetting.per_day)
        np.minimum(age, np.float32(self.forgetting.most), out=age)
        age += 1
        return np.divide(1, age, out=age)

    def _compare(self, probe: Floats, total: Floats, mass: Floats) -> Floats:
        """(…, people) from probes (…, k) and, of each person, the weighted sum (…, people, k) and mass (…, people) of rows."""
        precision = self._precision + mass[..., None]
        total /= precision  # now the means
        total -= probe
        total *= total
        variance = 1 / precision
        variance += 1
        total /= variance
        total += np.log(variance, out=variance)
        other = (probe * probe / self._null).sum(-1) + self._log_null
        llr: Floats = other - total.sum(-1)
        llr *= np.float32(0.5 * self.projection.temperature)
        np.minimum(np.maximum(llr, -LLR_MAX, out=llr), LLR_MAX, out=llr)
        llr *= mass > KNOWN_MIN
        return llr

    def mean(self, person: int, keys: list[int]) -> tuple[Floats, float] | None:
        """((k,) mean, mass) of a person's share in some kept rows; None when there is none."""
        rows = [self._row(key) for key in keys]
        shares = self._shares[rows, person]
        mass = float(shares.sum())
        return None if mass <= 0 else ((shares @ self._vectors[rows]) / np.float32(mass), mass)
