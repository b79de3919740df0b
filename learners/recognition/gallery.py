"""Soft prototypes: who a vector is like, learnt from a bounded number of kept vectors with soft owners.

Law: what a person is like is a function of the kept rows and tails alone, so taking a row back, or giving it other
owners, takes back exactly what was learnt from it.

Theory: two-covariance PLDA with forgetting and channels. A row i of noise n_i, seen |t| days from the probe, tells of person p
with weight r_ip / (n_i + min(q |t|, q_max)); what is of one channel, M together, tells of a probe of another with weight
1 / (1 / M + d), d the variance of a person's move between the two. The person's posterior mean is m with precision 1/between +
the sum of weights; the log-likelihood ratio compares N(x; m, 1/precision + n) with N(x; 0, between + n), tempered. A row that
must go is folded into a tail of its owners and channel: one row that counts as many. An *anchor* tail takes what was enrolled by
hand, another the rest. Each row by itself is also somebody: whoever made that one recording, which is how a guest who returns
is told.
"""

from bisect import bisect_left
from collections.abc import Container, Sequence
from typing import Final, NamedTuple

import numpy as np

from ..kernels import choice as kernels
from ..kernels.plain import STEP, STEPS_MAX, TAILS, Codes, Days, Floats, Known, Model, Rows, Tails
from .projection import NOISE_STEP, Presented, Projection

__all__ = ["ANCHOR", "OFFSET_GAIN", "REST", "TAILS", "Forgetting", "PrototypesState", "SoftPrototypes", "Tail"]

ROWS_AT_FIRST: Final = 16
CHANNELS_MAX: Final = 2  # whose folded past is kept of a person, beside what was enrolled by hand
LEVELS_PRIOR: Final = 4.0  # recordings' worth of the policy's scale, where no pack tells it
SPREAD_MIN: Final = 0.25  # of people, in units of the variance within one
OFFSET_GAIN: Final = 0.15  # of one sure recording
OFFSET_CHANCE: Final = 0.12  # a dimension's square of the mean of recordings that have no offset
OFFSETS_MAX: Final = 2  # devices whose offset is kept
ANCHOR, REST = 0, 1  # which tail: enrolled by hand, or all else


class Forgetting(NamedTuple):
    """How kept vectors age: noise variance added per day, at most; and the greatest mass of a tail."""

    per_day: float
    most: float
    tail_mass_max: float


class Tail(NamedTuple):
    """A row that stands for many of one channel: their mean (k,) at float16, how many, their mean time and the first (days).

    `which`: they were enrolled by hand (ANCHOR) or not (REST).
    """

    which: int
    vector: Floats
    mass: float
    time: float
    since: float


KeptRow = tuple[int, float, Sequence[float]]  # its key, its time (days), its shares
KeptTail = tuple[int, int, float, float, float]  # TAILS * column + which, channel; mass, mean time and first time (days)


class PrototypesState(NamedTuple):
    """How many people there are; the tails that there are, and their vectors (float16) as bytes; the kept rows in their order.

    `vectors`: int8 in steps of STEP; `channels`, `noises` (in steps of NOISE_STEP): a byte each. Then devices and their
    offsets, and what projection all this is of: under another it means nothing.
    """

    people: int
    tails: list[KeptTail]
    means: bytes
    vectors: bytes
    channels: bytes
    noises: bytes
    offsets: list[tuple[str, bytes]]
    fingerprint: int


class SoftPrototypes:
    """The kept vectors of one encoder in one home, with their shares among people (columns).

    A kept row is known by its `key`, a number that grows. What of a row belongs to nobody (a guest) is not kept.

    Examples
    --------
    >>> flat = Projection("euclidean", np.eye(2, dtype="f4"), np.zeros(2, "f4"), np.full(2, 4, "f4"), 1.0)
    >>> kept = SoftPrototypes(flat, people=2, forgetting=Forgetting(0.2, 4.0, 16.0))
    >>> kept.add(0, flat.project(np.array([2, 0], "f4")), 0.0, [1, 0])
    >>> kept.add(1, flat.project(np.array([0, 2], "f4")), 0.0, [0, 1])
    >>> [round(x, 1) for x in kept.llr(flat.project(np.array([2, 0], "f4")), 0.0)[:2].tolist()]
    [1.4, -0.4]
    """

    def __init__(self, projection: Projection, people: int, forgetting: Forgetting) -> None:
        self.projection, self.forgetting, channels = projection, forgetting, projection.channels
        self.keys: list[int] = []
        self.offsets: dict[str, Floats] = {}  # of devices, the one heard longest ago first: (k,) at float16
        self._slots = TAILS * len(channels.names)  # of a person's tails
        k, tails = projection.dimensions, self._slots * people
        self._tails: Tails = np.zeros((tails, k), np.float32), np.zeros(tails, np.float32), np.zeros(tails), np.zeros(tails)
        none = np.zeros(0, np.float32)
        self._rows: Rows = np.zeros((0, k), np.int8), np.zeros(0), np.zeros(0, np.int8), none, np.zeros((0, people), np.float32)
        self._model: Model = (
            projection.between, projection.temperature, channels.noise, channels.shift, forgetting.per_day, forgetting.most,
            np.zeros(k, np.float32), 1.0,
        )  # fmt: skip
        self._reserve(ROWS_AT_FIRST)

    @property
    def people(self) -> int:
        """How many columns there are."""
        return len(self._tails[1]) // self._slots

    @property
    def _known(self) -> Known:
        model = self._model if self.projection.fitted else self._levelled()
        return self._tails, self._rows, len(self.keys), model

    def _levelled(self) -> Model:
        """Centre, scale and spread of people as far as this home's own recordings tell them, where no pack does."""
        (means, masses, _, _), (vectors, _, _, _, shares), used = self._tails, self._rows, len(self.keys)
        between, temperature, *rest, _, _ = self._model
        kept, owned = vectors[:used] * np.float32(STEP), shares[:used]
        count = float(used + masses.sum())
        if not count:
            return self._model
        centre = (kept.sum(0) + masses @ means) / np.float32(count)
        mass = owned.sum(0)
        places = (owned.T @ kept) / np.maximum(mass, 1e-3)[:, None]
        apart = np.square(kept[:, None, :] - places).mean(2)  # (rows, people)
        within = (LEVELS_PRIOR + float((apart * owned).sum())) / (LEVELS_PRIOR + float(np.maximum(mass - 1, 0).sum()))
        total = (np.square(kept - centre).mean(1).sum() + masses @ np.square(means - centre).mean(1)) / count
        spread = (LEVELS_PRIOR * float(between[0]) + count * max(float(total) / within - 1, SPREAD_MIN)) / (LEVELS_PRIOR + count)
        return np.full_like(between, spread), temperature, *rest, centre.astype(np.float32), within**-0.5

    def _reserve(self, rows: int) -> None:
        """Make room for so many more rows, in the order of their keys."""
        vectors, times, channels, noises, shares = self._rows
        more, none = (0, rows), (0, 0)
        self._rows = (
            np.pad(vectors, (more, none)), np.pad(times, more), np.pad(channels, more), np.pad(noises, more),
            np.pad(shares, (more, none)),
        )  # fmt: skip

    def __contains__(self, key: int) -> bool:
        return key in self.keys

    def tails(self, person: int) -> list[Tail]:
        """What was folded of a person, by channel, enrolled by hand or not."""
        vectors, masses, times, since = self._tails
        first, channels = self._slots * person, self._slots // TAILS
        return [
            Tail((i - first) // channels, vectors[i].copy(), float(masses[i]), float(times[i]), float(since[i]))
            for i in range(first, first + self._slots) if masses[i]
        ]  # fmt: skip

    # ---- at rest

    def state(self) -> PrototypesState:
        """All there is to keep, but for the kept rows' keys, times and shares, which whoever keeps rows has."""
        means, masses, times, since = self._tails
        there = masses.nonzero()[0].tolist()
        count = self._slots // TAILS
        tails = [(i // count, i % count, float(masses[i]), float(times[i]), float(since[i])) for i in there]
        (vectors, _, channels, noises, _), used = self._rows, len(self.keys)
        steps = (noises[:used] / np.float32(NOISE_STEP)).astype(np.uint8)
        offsets = [(device, known.astype("<f2").tobytes()) for device, known in self.offsets.items()]
        return PrototypesState(
            self.people, tails, means[there].astype("<f2").tobytes(), vectors[:used].tobytes(), channels[:used].tobytes(),
            steps.tobytes(), offsets, self.projection.fingerprint,
        )  # fmt: skip

    @classmethod
    def restored(
        cls, projection: Projection, forgetting: Forgetting, state: PrototypesState, rows: Sequence[KeptRow]
    ) -> "SoftPrototypes":
        """The space that `state` was taken from, given what was kept of its rows: goes on as if it had never stopped."""
        space = cls(projection, state.people, forgetting)
        means, masses, tail_times, since = space._tails
        kept = np.frombuffer(state.means, "<f2").reshape(-1, projection.dimensions)
        for vector, (owner, channel, mass, time, first) in zip(kept, state.tails, strict=True):
            i = owner * (space._slots // TAILS) + channel
            means[i], masses[i], tail_times[i], since[i] = vector, mass, time, first
        space._reserve(max(0, len(rows) - ROWS_AT_FIRST))
        vectors, times, channels, noises, shares = space._rows
        noises[: len(rows)] = np.frombuffer(state.noises, "u1") * np.float32(NOISE_STEP)
        vectors[: len(rows)] = np.frombuffer(state.vectors, "i1").reshape(-1, projection.dimensions)
        channels[: len(rows)] = np.frombuffer(state.channels, "i1")
        for i, (key, day, owned) in enumerate(rows):
            times[i], shares[i] = day, owned
            space.keys.append(key)
        space.offsets = {device: np.frombuffer(known, "<f2").astype(np.float32) for device, known in state.offsets}
        return space

    # ---- learning

    def add(self, key: int, heard: Presented, time: float, shares: Sequence[float]) -> None:
        """Keep a recording, seen at `time` (days), with each person's share of it (multiples of SHARE_STEP)."""
        row = len(self.keys)
        if row == len(self._rows[1]):
            self._reserve(row + 8)
        vectors, times, channels, noises, owned = self._rows
        vectors[row], channels[row], noises[row] = heard.vector * np.float32(1 / STEP), heard.channel, heard.noise
        times[row], owned[row] = time, shares
        self.keys.append(key)

    def share(self, key: int, shares: Sequence[float]) -> None:
        """Give a kept row other owners."""
        self._rows[4][self.keys.index(key)] = shares

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
        if which == REST:
            self._forget_lightest()

    @property
    def _masses(self) -> Floats:
        """(people, tails of one)."""
        return self._tails[1].reshape(-1, self._slots)

    def _forget_lightest(self) -> None:
        """Of who has tails of more channels than are kept, beside what was enrolled by hand, forget the lightest."""
        channels = self._slots // TAILS
        for person, rest in enumerate(self._masses[:, channels:].tolist()):
            there = [mass for mass in rest if mass]
            if len(there) > CHANNELS_MAX:
                for table in self._tails:
                    table[self._slots * person + channels + rest.index(min(there))] = 0

    def forget_tail(self, person: int, which: int) -> None:
        """Unlearn what was folded of a person, enrolled by hand (ANCHOR) or not (REST)."""
        channels = self._slots // TAILS
        first = self._slots * person + which * channels
        for table in self._tails:
            table[first : first + channels] = 0

    def fade_tails(self, person: int, mass_max: float) -> None:
        """Let each tail of a person count for no more than so many recordings: they changed."""
        masses = self._tails[1][self._slots * person : self._slots * (person + 1)]
        np.minimum(masses, np.float32(mass_max), out=masses)

    def add_person(self) -> None:
        """One more column, of whom nothing is known."""
        means, masses, tail_times, since = self._tails
        more = (0, self._slots)
        self._tails = np.pad(means, (more, (0, 0))), np.pad(masses, more), np.pad(tail_times, more), np.pad(since, more)
        vectors, times, channels, noises, shares = self._rows
        self._rows = vectors, times, channels, noises, np.pad(shares, ((0, 0), (0, 1)))

    def remove_person(self, person: int) -> None:
        """Take a column out; what rows belonged to that person belongs to nobody."""
        own = slice(self._slots * person, self._slots * (person + 1))
        means, masses, tail_times, since = self._tails
        self._tails = np.delete(means, own, axis=0), np.delete(masses, own), np.delete(tail_times, own), np.delete(since, own)
        vectors, times, channels, noises, shares = self._rows
        self._rows = vectors, times, channels, noises, np.ascontiguousarray(np.delete(shares, person, axis=1))

    # ---- the device that heard it

    def aligned(self, device: str, heard: Presented) -> Presented:
        """A recording as it would be of a device like all others: less the device's own offset, as far as that is sure.

        The offset is the fading mean of what recordings of the device had beside the people who made them, shrunk by its
        chance part (James and Stein 1961).
        """
        known = self.offsets.get(device)
        if known is None or not self.projection.fitted:
            return heard
        square = float(known @ known)
        chance = OFFSET_CHANCE * len(known)
        if square <= chance:
            return heard
        steps = np.rint((heard.vector - np.float32(1 - chance / square) * known) * np.float32(1 / STEP))
        return heard._replace(vector=np.clip(steps, -STEPS_MAX, STEPS_MAX) * np.float32(STEP) + np.float32(0))

    def set_offset(self, device: str, offset: Days) -> None:
        """Take it as known what a device adds (k,)."""
        self.offsets[device] = offset.astype(np.float16).astype(np.float32)

    def learn_offset(self, device: str, raw: Presented, time: float, shares: Sequence[float]) -> None:
        """Learn from a recording what its device adds, given who probably made it."""
        mean, sure = kernels.expected(self._known, (raw.vector, time, raw.channel, raw.noise), np.array(shares, np.float32))
        known = self.offsets.pop(device, None)
        if known is None:
            known = np.zeros(len(mean), np.float32)
        moved = known + np.float32(OFFSET_GAIN * sure) * (raw.vector - mean - known)
        self.offsets[device] = moved.astype(np.float16).astype(np.float32)
        if len(self.offsets) > OFFSETS_MAX:
            del self.offsets[next(iter(self.offsets))]

    # ---- scoring

    def mass(self) -> Floats:
        """(people,): how many recordings' worth of evidence there is of each, regardless of age."""
        total: Floats = self._masses.sum(1) + self._rows[4][: len(self.keys)].sum(0)
        return total

    def llr(self, heard: Presented, time: float) -> Days:
        """(people + kept rows,) log-likelihood ratios, nats, of a recording: each person, and each row alone, against anybody."""
        llr: Days = kernels.compare(self._known, (heard.vector, time, heard.channel, heard.noise), -1)
        return llr

    def llr_as_enrolled(self, heard: Presented, time: float, person: int, enrolled: Container[int]) -> float:
        """A person's log-likelihood ratio, nats, as if nothing were known of them but ANCHOR tails and the rows `enrolled`."""
        means, masses, times, since = self._tails
        first, masses, shares = self._slots * person + REST * (self._slots // TAILS), masses.copy(), self._rows[-1].copy()
        masses[first : first + self._slots // TAILS] = 0
        shares[[row for row, key in enumerate(self.keys) if key not in enrolled], person] = 0
        known = (means, masses, times, since), (*self._rows[:-1], shares), len(self.keys), self._model
        return float(kernels.compare(known, (heard.vector, time, heard.channel, heard.noise), -1)[person])

    def llr_of(self, key: int) -> Days:
        """The same of a kept row against all the others; at its own place 0."""
        row = self.keys.index(key)
        vectors, times, channels, noises, _ = self._rows
        probe = vectors[row] * np.float32(STEP), float(times[row]), int(channels[row]), float(noises[row])
        llr: Days = kernels.compare(self._known, probe, row)
        return llr

    def llr_kept(self) -> Days:
        """(kept rows, people + kept rows): each kept row against all the others."""
        llr: Days = kernels.compare_kept(self._known)
        return llr

    def kept_before(self, key: int) -> tuple[Codes, Floats]:
        """Vectors (int8, in steps of STEP) and shares of the kept rows of before a key."""
        used = bisect_left(self.keys, key)
        return self._rows[0][:used], self._rows[-1][:used]

    def beside(self, vector: Floats, shares: Sequence[float], key: int) -> Floats:
        """What a vector (k,) has beside the places of those who made it, by their shares, as they were known before a key."""
        between, (means, masses, _, _) = self._model[0], self._tails
        left: Floats = kernels.beside(vector, np.array(shares, np.float32), self.kept_before(key), (means, masses), between)
        return left

    def mean(self, person: int, keys: list[int]) -> tuple[Floats, float] | None:
        """((k,) mean, mass) of a person's share in some kept rows; None when there is none."""
        rows = [self.keys.index(key) for key in keys]
        vectors, _, _, _, shares = self._rows
        own = shares[rows, person]
        mass = float(own.sum())
        return None if mass <= 0 else ((own @ vectors[rows]) * np.float32(STEP / mass), mass)
