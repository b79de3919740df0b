"""Trials of a projection: recordings of people against enrolments, and how well their log-likelihood ratios tell.

Law: a recording is never compared with another of its own take, and no trial leaves the people that are given.

Measures as in ISO/IEC 19795-1 (equal error rate) and Brümmer and du Preez 2006 (Cllr, and its least under any calibration).
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np

from ..recognition.projection import Projection
from .recordings import Codes, Flags, Numbers, Recordings, unit

__all__ = [
    "ENROLMENTS", "Trials", "best_temperature", "cllr", "equal_error_rate", "interval", "min_cllr", "plain_trials_of",
    "present", "trials_of",
]  # fmt: skip

ENROLMENTS: Final = (1, 3)  # recordings that somebody is known by
ENROLMENTS_MAX: Final = 300  # of each size: more tell nothing new of the same people
PROBES_MAX: Final = 1_500
TEMPERATURES: Final = (0.02, 1.0)
BISECTIONS: Final = 16  # to a thousandth
INTERVAL_MAX: Final = 50_000  # trials
RESAMPLED: Final = 200  # times that people are drawn anew for an interval


class Trials(NamedTuple):
    """Comparisons: log-likelihood ratio (nats), who enrolled, who came, by how many recordings, through what channel."""

    llr: Numbers
    enrolled: Codes
    probe: Codes
    size: Codes
    channel: Codes  # of the probe, as labelled
    altered: Flags  # the probe

    @property
    def mated(self) -> Flags:
        """Where a person was compared with their own enrolment."""
        mated: Flags = self.enrolled == self.probe
        return mated

    @classmethod
    def join(cls, parts: Sequence[Self]) -> Self:
        """All of them, one after the other."""
        columns: list[Any] = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return cls(*columns)

    def only(self, chosen: Flags | Codes) -> Self:
        """Those chosen, by a flag for each (n,) or by their places."""
        columns: list[Any] = [column[chosen] for column in self]
        return type(self)(*columns)


def present(projection: Projection, vectors: Numbers) -> tuple[Numbers, Codes]:
    """(n, d), of unit length for `cosine` -> (n, k) less the means of their channels (n,); as `Projection.project`, unrounded."""
    channels = projection.channels
    channel = np.argmax(vectors @ channels.weights.T.astype(np.float64) + channels.bias, axis=1)
    x: Numbers = (vectors - projection.mean) @ projection.matrix.T.astype(np.float64) - channels.mean[channel]
    return x, channel


def trials_of(projection: Projection, recordings: Recordings) -> Trials:
    """Enrolments of 1 and of 3 takes in the ordinary channel, each against the recordings of all other takes."""
    x, channel = present(projection, recordings.vectors)
    known = _Known(x, channel, projection.channels.noise[channel] * projection.quality.noise_of(recordings.quality))
    return _compare(
        recordings, lambda own, other: projection.temperature * _llr(projection, known.only(own), known.only(other))
    )


def plain_trials_of(recordings: Recordings) -> Trials:
    """The same trials by the metric alone: the likeness to the mean of those enrolled, in no unit."""

    def likeness(own: Codes, other: Codes) -> Numbers:
        mean, rows = recordings.vectors[own].mean(0), recordings.vectors[other]
        alike: Numbers = rows @ unit(mean) if recordings.metric == "cosine" else -np.linalg.norm(rows - mean, axis=1)
        return alike

    return _compare(recordings, likeness)


def _compare(recordings: Recordings, score: Callable[[Codes, Codes], Numbers]) -> Trials:
    """All trials, scored from the rows of who is enrolled and of what comes."""
    probes, found = _space_evenly(np.arange(len(recordings.people)), PROBES_MAX), []
    for own in _enrolments(recordings):
        other = probes[~np.isin(recordings.takes[probes], recordings.takes[own])]
        same = np.ones(len(other), np.int64)
        found.append(
            Trials(
                score(own, other), recordings.people[own[0]] * same, recordings.people[other], len(own) * same,
                recordings.channels[other], recordings.altered[other],
            )
        )  # fmt: skip
    return Trials.join(found)


def _enrolments(recordings: Recordings) -> Iterator[Codes]:
    """Rows: every ordinary recording by itself, then a person's by threes, as far as they go."""
    ordinary = np.flatnonzero((recordings.channels == 0) & ~recordings.altered)
    for size in ENROLMENTS:
        groups = []
        for person in np.unique(recordings.people[ordinary]):
            own = ordinary[recordings.people[ordinary] == person]
            own = own[np.sort(np.unique(recordings.takes[own], return_index=True)[1])]  # a take once
            groups += [own[i : i + size] for i in range(0, len(own) - size + 1, size)]
        yield from (groups[i] for i in _space_evenly(np.arange(len(groups)), ENROLMENTS_MAX))


def _space_evenly(rows: Codes, most: int) -> Codes:
    """So many of them at most, evenly."""
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]


class _Known(NamedTuple):
    """Recordings as they are compared: (n, k), (n,), (n,)."""

    x: Numbers
    channel: Codes
    noise: Numbers

    def only(self, rows: Codes) -> "_Known":
        return _Known(self.x[rows], self.channel[rows], self.noise[rows])


def _llr(projection: Projection, enrolled: _Known, probes: _Known) -> Numbers:
    """(m,): one enrolled person against anybody. A person moves once between two channels, however often they were recorded."""
    between, shift = projection.between.astype(np.float64), projection.channels.shift.astype(np.float64)
    means, masses, groups = [], [], np.unique(enrolled.channel)
    for group in groups:
        weight = (enrolled.channel == group) / enrolled.noise
        masses.append(weight.sum())
        means.append(weight @ enrolled.x / weight.sum())
    llr = np.empty(len(probes.x))
    for channel in np.unique(probes.channel):
        here = probes.channel == channel
        x, noise = probes.x[here], probes.noise[here, None]
        weight = 1 / (1 / np.array(masses) + shift[groups, channel])
        precision = 1 / between + weight.sum()
        mean, variance = weight @ np.array(means) / precision, 1 / precision + noise
        anybody = between + noise
        llr[here] = 0.5 * (np.square(x) / anybody - np.square(x - mean) / variance + np.log(anybody / variance)).sum(1)
    return llr


# ---- measures


def equal_error_rate(trials: Trials) -> float:
    """Where as many mated trials are rejected as non-mated ones accepted."""
    mated = trials.mated[np.argsort(-trials.llr, kind="stable")]
    return _find_crossing(mated, np.ones(len(mated)))


def _find_crossing(mated: Flags, weights: Numbers) -> float:
    """Of trials from the greatest ratio down, each counted so often."""
    rejected = 1 - np.cumsum(weights * mated) / (weights @ mated)
    accepted = np.cumsum(weights * ~mated) / (weights @ ~mated)
    at = np.argmin(np.abs(rejected - accepted))
    return float(rejected[at] + accepted[at]) / 2


def interval(trials: Trials) -> tuple[float, float]:
    """The middle 90 % of equal error rates when the people are drawn anew, with replacement; some came and never enrolled.

    Of very many trials so many are looked at, evenly: they are of the same people.
    """
    trials = trials.only(_space_evenly(np.arange(len(trials.llr)), INTERVAL_MAX))
    order = np.argsort(-trials.llr, kind="stable")
    mated = trials.mated[order]
    rng, everybody = np.random.default_rng(0), np.union1d(trials.enrolled, trials.probe)
    one, other = (np.searchsorted(everybody, people[order]) for people in (trials.enrolled, trials.probe))
    rates = []
    for _ in range(RESAMPLED):
        drawn = np.bincount(rng.integers(len(everybody), size=len(everybody)), minlength=len(everybody)).astype(np.float64)
        weights = np.where(mated, drawn[one], drawn[one] * drawn[other])
        if weights @ mated and weights @ ~mated:
            rates.append(_find_crossing(mated, weights))
    low, high = np.quantile(rates, [0.05, 0.95])
    return float(low), float(high)


def cllr(llr: Numbers, mated: Flags) -> float:
    """Bits that log-likelihood ratios cost, at even odds; 1: they tell nothing."""
    return float(np.logaddexp(0, -llr[mated]).mean() + np.logaddexp(0, llr[~mated]).mean()) / 2 / float(np.log(2))


def min_cllr(llr: Numbers, mated: Flags) -> float:
    """The same after the best monotone calibration (pool adjacent violators)."""
    order = np.argsort(llr)
    equals = np.flatnonzero(np.diff(llr[order], append=np.inf))  # the last of each run of equal ratios
    of_mated = np.cumsum(mated[order] / mated.sum() / 2)[equals]
    whole = of_mated + np.cumsum(~mated[order] / (~mated).sum() / 2)[equals]
    share = np.diff(of_mated, prepend=0) / np.diff(whole, prepend=0)
    corners_at = np.diff(share, append=np.inf) != 0
    pools = [(0.0, 0.0)]  # mated and whole weight so far, at the corners of the convex hull below them
    for corner in zip(of_mated[corners_at].tolist(), whole[corners_at].tolist(), strict=True):
        while len(pools) > 1 and _slope(pools[-2], pools[-1]) >= _slope(pools[-1], corner):
            pools.pop()
        pools.append(corner)
    pooled = np.diff(np.array(pools), axis=0)
    p = np.clip(pooled[:, 0] / pooled[:, 1], 1e-12, 1 - 1e-12)
    return float(-(pooled[:, 0] * np.log2(p) + (pooled[:, 1] - pooled[:, 0]) * np.log2(1 - p)).sum())


def _slope(one: tuple[float, float], other: tuple[float, float]) -> float:
    return (other[0] - one[0]) / (other[1] - one[1])


def best_temperature(corpora: Sequence[Trials]) -> float:
    """What all log-likelihood ratios are best multiplied by: the least mean Cllr over corpora and sizes of enrolment."""
    sizes = [trials.only(trials.size == size) for trials in corpora for size in np.unique(trials.size)]
    told = [(of_size.llr, of_size.mated) for of_size in sizes if of_size.mated.any() and not of_size.mated.all()]
    low, high = TEMPERATURES
    for _ in range(BISECTIONS):  # Cllr is convex in it
        one, other = low + (high - low) / 3, high - (high - low) / 3
        if sum(cllr(one * llr, mated) - cllr(other * llr, mated) for llr, mated in told) < 0:
            high = other
        else:
            low = one
    return (low + high) / 2
