"""Soft prototypes: who a vector is like, learnt from a bounded number of kept vectors with soft owners.

Law: what a person is like is a function of the kept rows and tails alone, so taking a row back, or giving it other
owners, takes back exactly what was learnt from it.

Theory: two-covariance PLDA with forgetting. A row i, seen |t| days from the probe, tells of person p with weight
r_ip / (1 + min(q |t|, q_max)); the person's posterior mean is m with precision 1/between + the sum of weights; the
log-likelihood ratio compares N(x; m, 1/precision + 1) with N(x; 0, between + 1), tempered. A row that must go is folded
into a tail of its owners: one row that counts as many. An *anchor* tail takes what was enrolled by hand, another the rest.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from . import kernels
from .plain import STEP, TAILS, Days, Floats, Known, Model, Rows, Tails
from .projection import Projection

__all__ = ["ANCHOR", "REST", "SHARE_STEP", "TAILS", "Forgetting", "PrototypesState", "SoftPrototypes", "Tail"]

SHARE_STEP: Final = 1 / 4096  # shares of a row are whole multiples of it
ROWS_AT_FIRST: Final = 16
ANCHOR, REST = 0, 1  # which tail: enrolled by hand, or all else


class Forgetting(NamedTuple):
    """How kept vectors age: noise variance added per day, at most; and the greatest mass of a tail."""

    per_day: float
    most: float
    tail_mass_max: float


class Tail(NamedTuple):
    """A row that stands for many: their mean (k,) at float16, how many, their mean time and the first (days)."""

    vector: Floats
    mass: float
    time: float
    since: float


KeptRow = tuple[int, float, Sequence[float]]  # its key, its time (days), its shares


class PrototypesState(NamedTuple):
    """Of every tail (TAILS a person; 0 where there is none) mass, time and first time; then the vectors as bytes.

    `tails`: float16, of the tails that there are; `kept`: int8 in steps of STEP, of the kept rows in their order.
    """

    masses: list[float]
    times: list[float]
    since: list[float]
    tails: bytes
    kept: bytes


class SoftPrototypes:
    """The kept vectors of one encoder in one home, with their shares among people (columns).

    A kept row is known by its `key`, a number that grows. What of a row belongs to nobody (a guest) is not kept.

    Examples
    --------
    >>> flat = Projection("euclidean", np.eye(2, dtype="f4"), np.zeros(2, "f4"), np.full(2, 4, "f4"), 1.0)
    >>> kept = SoftPrototypes(flat, people=2, forgetting=Forgetting(0.2, 4.0, 16.0))
    >>> kept.add(0, np.array([2, 0], "f4"), 0.0, [1, 0])
    >>> kept.add(1, np.array([0, 2], "f4"), 0.0, [0, 1])
    >>> [round(x, 1) for x in kept.llr(np.array([2, 0], "f4"), 0.0)]
    [1.4, -0.4]
    """

    def __init__(self, projection: Projection, people: int, forgetting: Forgetting) -> None:
        self.projection, self.forgetting = projection, forgetting
        self.keys: list[int] = []
        k, tails = projection.dimensions, TAILS * people
        self._tails: Tails = np.zeros((tails, k), np.float32), np.zeros(tails, np.float32), np.zeros(tails), np.zeros(tails)
        self._rows: Rows = np.zeros((0, k), np.int8), np.zeros(0), np.zeros((0, people), np.float32)
        self._model: Model = projection.between, projection.temperature, forgetting.per_day, forgetting.most
        self._reserve(ROWS_AT_FIRST)

    @property
    def people(self) -> int:
        """How many columns there are."""
        return len(self._tails[1]) // TAILS

    @property
    def _known(self) -> Known:
        return self._tails, self._rows, len(self.keys), self._model

    def _reserve(self, rows: int) -> None:
        """Make room for so many more rows, in the order of their keys."""
        vectors, times, shares = self._rows
        self._rows = np.pad(vectors, ((0, rows), (0, 0))), np.pad(times, (0, rows)), np.pad(shares, ((0, rows), (0, 0)))

    def __contains__(self, key: int) -> bool:
        return key in self.keys

    def tail(self, person: int, which: int) -> Tail | None:
        """What was folded of a person, `which`: enrolled by hand (ANCHOR) or not (REST); None if nothing was."""
        vectors, masses, times, since = self._tails
        i = TAILS * person + which
        return Tail(vectors[i].copy(), float(masses[i]), float(times[i]), float(since[i])) if masses[i] else None

    # ---- at rest

    def state(self) -> PrototypesState:
        """All there is to keep, but for the kept rows' keys, times and shares, which whoever keeps rows has."""
        vectors, masses, times, since = self._tails
        tails, kept = vectors[masses > 0].astype("<f2").tobytes(), self._rows[0][: len(self.keys)].tobytes()
        return PrototypesState(masses.tolist(), times.tolist(), since.tolist(), tails, kept)

    @classmethod
    def restored(
        cls, projection: Projection, forgetting: Forgetting, state: PrototypesState, rows: Sequence[KeptRow]
    ) -> "SoftPrototypes":
        """The space that `state` was taken from, given what was kept of its rows: goes on as if it had never stopped."""
        space = cls(projection, len(state.masses) // TAILS, forgetting)
        means, masses, tail_times, since = space._tails
        masses[:], tail_times[:], since[:] = state.masses, state.times, state.since
        means[masses > 0] = np.frombuffer(state.tails, "<f2").reshape(-1, projection.dimensions)
        space._reserve(max(0, len(rows) - ROWS_AT_FIRST))
        vectors, times, shares = space._rows
        vectors[: len(rows)] = np.frombuffer(state.kept, "i1").reshape(-1, projection.dimensions)
        for i, (key, time, owned) in enumerate(rows):
            times[i], shares[i] = time, owned
            space.keys.append(key)
        return space

    # ---- learning

    def add(self, key: int, vector: Floats, time: float, shares: Sequence[float]) -> None:
        """Keep a projected vector (k,), seen at `time` (days), with each person's share of it (multiples of SHARE_STEP)."""
        row = len(self.keys)
        if row == len(self._rows[1]):
            self._reserve(row + 8)
        vectors, times, owned = self._rows
        vectors[row], times[row], owned[row] = vector * np.float32(1 / STEP), time, shares
        self.keys.append(key)

    def share(self, key: int, shares: Sequence[float]) -> None:
        """Give a kept row other owners."""
        self._rows[2][self.keys.index(key)] = shares

    def vector(self, key: int) -> Floats:
        """A kept row's vector (k,)."""
        vector: Floats = self._rows[0][self.keys.index(key)] * np.float32(STEP)
        return vector

    def drop(self, key: int) -> None:
        """Forget a kept row, and all that was learnt from it."""
        kernels.drop(self._rows, self.keys.index(key), len(self.keys))
        self.keys.remove(key)

    def fold(self, key: int, which: int) -> None:
        """Let a kept row go into its owners' tails `which` (ANCHOR or REST)."""
        mass_max = self.forgetting.tail_mass_max
        kernels.fold(self._known, self.keys.index(key), which, mass_max)
        self.keys.remove(key)

    def forget_tail(self, person: int, which: int) -> None:
        """Unlearn what was folded of a person, enrolled by hand (ANCHOR) or not (REST)."""
        for table in self._tails:
            table[TAILS * person + which] = 0

    def add_person(self) -> None:
        """One more column, of whom nothing is known."""
        means, masses, tail_times, since = self._tails
        more = (0, TAILS)
        self._tails = np.pad(means, (more, (0, 0))), np.pad(masses, more), np.pad(tail_times, more), np.pad(since, more)
        vectors, times, shares = self._rows
        self._rows = vectors, times, np.pad(shares, ((0, 0), (0, 1)))

    def remove_person(self, person: int) -> None:
        """Take a column out; what rows belonged to that person belongs to nobody."""
        own = slice(TAILS * person, TAILS * person + TAILS)
        means, masses, tail_times, since = self._tails
        self._tails = np.delete(means, own, axis=0), np.delete(masses, own), np.delete(tail_times, own), np.delete(since, own)
        vectors, times, shares = self._rows
        self._rows = vectors, times, np.ascontiguousarray(np.delete(shares, person, axis=1))

    # ---- scoring

    def mass(self) -> Floats:
        """(people,): how many recordings' worth of evidence there is of each, regardless of age."""
        total: Floats = self._tails[1].reshape(-1, TAILS).sum(1) + self._rows[2][: len(self.keys)].sum(0)
        return total

    def llr(self, vector: Floats, time: float) -> list[float]:
        """Of each person, the log-likelihood ratio (nats) of a projected vector (k,) against anybody; of unknown people 0."""
        llr: list[float] = kernels.compare(self._known, vector, time).tolist()
        return llr

    def llr_kept(self) -> Days:
        """(kept rows, people): each kept row against all the others."""
        llr: Days = kernels.compare_kept(self._known)
        return llr

    def mean(self, person: int, keys: list[int]) -> tuple[Floats, float] | None:
        """((k,) mean, mass) of a person's share in some kept rows; None when there is none."""
        rows = [self.keys.index(key) for key in keys]
        vectors, _, shares = self._rows
        own = shares[rows, person]
        mass = float(own.sum())
        return None if mass <= 0 else ((own @ vectors[rows]) * np.float32(STEP / mass), mass)
