"""Fitting a fleet pack: labelled recordings of many people in, a projection with its channels out.

Law: the same recordings give the same bytes; who is not among them leaves no trace; and every scale (noise, shift, spread of
people, temperature) is measured on people whom the directions were not fitted on.

Theory: two covariances, within a person and between people, diagonalised together (Ioffe 2006). Few people cannot tell a
covariance, so each is shrunk: that within a person towards a sphere; that between people towards the covariance of all
recordings, for where an encoder puts anything at all is where it was trained to tell people apart. Other people's mean voices
(a cohort) count as a tenth of a person each (supervised adaptation, after Garcia-Romero and McCree 2014). The channel of a
vector is told by Fisher's linear discriminant.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from ..recognition.projection import CENTRE_SPREAD, DIMENSIONS, NOBODY_MAX, Channels, Nobody, Projection, Quality
from .recordings import Codes, Numbers, Recordings
from .trials import Trials, best_temperature, present, trials_of

__all__ = ["FOLDS", "PEOPLE_MIN", "check", "fit", "folds_of", "is_enough"]

SHRINK_WITHIN: Final = 0.5
ALTERED_SHARE: Final = 0.3  # of that within a person: more, and other channels are told worse; less, and altered people are
SHRINK_CLASSIFIER: Final = 0.5
PRIOR_PEOPLE: Final = 100.0  # people's worth of the covariance of all recordings, as a prior of that between people
COHORT_WEIGHT: Final = 0.1  # people's worth of a cohort's person, of whom one channel and often one day is known
CORPUS_WORTH: Final = 10.0  # people with whom a corpus counts half
FOLDS: Final = 5
PEOPLE_MIN: Final = 6  # with at least two takes each: fewer cannot be held out by twos
LIVES: Final = 0.85  # of the best temperature of trials: recordings in one home share days, rooms and moods, as takes do not
SHIFT: Final = 0.75  # of a move that nobody was seen to make, in ordinary noises: those that were measured have .45 to 1.3
QUALITY_BINS: Final = 6
QUALITY_MIN: Final = 120  # recordings of known quality: 20 a bin


Held = tuple[Projection, Recordings]  # directions, and people whom they were not fitted on


def folds_of(people: Codes, folds: int = FOLDS) -> list[Codes]:
    """Everybody in one of so many groups, or fewer so that each has two people: in turn, by their numbers."""
    everybody = np.unique(people)
    number = max(1, min(folds, len(everybody) // 2))
    return [everybody[i::number] for i in range(number)]


def fit(recordings: Recordings) -> Projection:
    """A fleet pack of an encoder.

    Raises
    ------
    ValueError
        Telling what there is too little of, or what is wrong with the vectors.
    """
    check(recordings, PEOPLE_MIN)
    folds = [(_directions(rest), judged) for rest, judged in _people_held_out(recordings)]
    scales = _pooled_scales(folds)
    quality = _quality_law([(_scale(directions, scales), judged) for directions, judged in folds])
    final = replace(_scale(_directions(recordings), scales), quality=quality)
    apart = [(_directions(rest), judged) for rest, judged in _corpora_held_out(recordings)] or folds
    scaled = [(replace(_scale(directions, scales), quality=quality), judged) for directions, judged in apart]
    trials: dict[tuple[int, int], list[Trials]] = {}
    for directions, judged in scaled:
        for group, own in _groups(judged, recordings):
            trials.setdefault(group, []).append(trials_of(directions, own))
    temperature = LIVES * best_temperature([Trials.join(of) for _, of in sorted(trials.items())])
    return replace(final, temperature=temperature, centre_spread=_centre_spread(scaled), nobody=_nobody(recordings))


def _groups(judged: Recordings, whole: Recordings) -> Iterator[tuple[tuple[int, int], Recordings]]:
    """Those of one corpus that are compared with each other, by corpus and channel (-1: all).

    Where no take came through two channels, as in homes, whose microphone is theirs, each channel is judged by itself too: others
    are told by theirs alone, which says nothing of how sure one may be in a home.
    """
    corpus = int(judged.corpora[0])
    yield (corpus, -1), judged
    if len(whole.names) > 1 and len(np.unique(whole.takes)) == len(whole.takes):
        for channel in np.unique(judged.channels):
            own = judged.only(judged.channels == channel)
            yield (corpus, int(channel)), replace(own, channels=np.zeros_like(own.channels))


def _nobody(recordings: Recordings) -> Nobody:
    """What is no person, and half as far around each as the nearest recording of one; of many, those farthest from each other."""
    found, chosen = recordings.nobody, list[int]()
    apart = np.full(len(found), np.inf)
    while len(chosen) < min(NOBODY_MAX, len(found)) and apart.max() > 0:
        chosen.append(int(apart.argmax()))
        apart = np.minimum(apart, np.linalg.norm(found - found[chosen[-1]], axis=1))
    vectors = found[chosen]
    radius = np.array([np.linalg.norm(recordings.vectors - vector, axis=1).min() / 2 for vector in vectors])
    return Nobody(vectors.astype(np.float32), radius.astype(np.float32))


def _centre_spread(held: list[Held]) -> float:
    """How far whole corpora lie from where fits on the others expect people: variance a dimension, beyond chance."""
    apart = []
    for directions, judged in held:
        plain = judged.only(~judged.altered)
        x, channel = present(directions, plain.vectors)
        people = np.unique(plain.people[channel == 0])
        places = np.array([x[(plain.people == person) & (channel == 0)].mean(0) for person in people])
        if len(places) > 1:
            apart.append(float((np.square(places.mean(0)) - places.var(0, ddof=1) / len(places)).mean()))
    corpora = {judged.corpora[0] for _, judged in held}
    return max(float(np.mean(apart)), 0.0) if len(held) == len(corpora) > 1 else CENTRE_SPREAD


def _people_held_out(recordings: Recordings) -> Iterator[tuple[Recordings, Recordings]]:
    """Who is fitted on, and who of one corpus is judged: a fifth of all people at a time, if others are heard in all channels."""
    for fold in folds_of(recordings.people):
        held = np.isin(recordings.people, fold)
        rest = recordings.only(~held)
        for judged in recordings.only(held).by_corpus() if _has_channels(rest, recordings) else ():
            yield rest, judged


def _corpora_held_out(recordings: Recordings) -> Iterator[tuple[Recordings, Recordings]]:
    """Who is fitted on, and who is judged: whole corpora in turn; nothing where what is left of one would not do."""
    corpora = np.unique(recordings.corpora)
    apart = [recordings.only(recordings.corpora != corpus) for corpus in corpora] if len(corpora) > 1 else []
    if apart and all(is_enough(rest, recordings) for rest in apart):
        yield from zip(apart, recordings.by_corpus(), strict=True)


def is_enough(rest: Recordings, whole: Recordings) -> bool:
    """Whether all channels of the whole, and people enough, are in what is left of it."""
    try:
        check(rest, PEOPLE_MIN)
    except ValueError:
        return False
    return _has_channels(rest, whole)


def _has_channels(rest: Recordings, whole: Recordings) -> bool:
    return set(rest.channels[~rest.altered].tolist()) == set(whole.channels[~whole.altered].tolist())


def check(recordings: Recordings, people_min: int) -> None:
    """Raise ValueError when the vectors are wrong, or fewer people than that have two takes, or a channel has hardly any."""
    if not np.isfinite(recordings.vectors).all() or not np.isfinite(recordings.cohort).all():
        raise ValueError("there are vectors with NaN or infinite numbers")
    takes = np.unique(np.stack([recordings.people, recordings.takes])[:, ~recordings.altered], axis=1)
    able = int((np.unique(takes[0], return_counts=True)[1] >= 2).sum())
    if able < people_min:
        of = len(np.unique(recordings.people))
        raise ValueError(f"of {of} people {able} have two recordings or more; at least {people_min} are needed")
    if np.ptp(recordings.vectors, axis=0).max() == 0:
        raise ValueError("all vectors are the same")
    for channel, name in enumerate(recordings.names):
        heard = len(np.unique(recordings.people[(recordings.channels == channel) & ~recordings.altered]))
        if heard < people_min // 2:
            raise ValueError(f"the channel {name!r} has recordings of {heard} people; at least {people_min // 2} are needed")


# ---- directions


def _directions(recordings: Recordings) -> Projection:
    """Where people differ most against how one person varies; in units of the latter, whatever they are worth.

    Each corpus by its own means and levels; the covariances' shapes are pooled so that none dominates.
    """
    corpora = recordings.by_corpus()
    own_means = [_channel_means(corpus) for corpus in corpora]
    worth = np.array([_worth(len(np.unique(corpus.people))) for corpus in corpora])
    means = _pooled_means(own_means, worth)
    found = [_spreads(corpus, own) for corpus, own in zip(corpora, own_means, strict=True)]
    level = np.average([np.trace(of.within) for of in found], weights=worth)
    within = level * np.average([of.within / np.trace(of.within) for of in found], axis=0, weights=worth)
    ratio = np.average([np.trace(of.between) / np.trace(of.within) for of in found], weights=worth)
    own = level * ratio * np.average([of.between / np.trace(of.between) for of in found], axis=0, weights=worth)
    if changing := [(of, one) for of, one in zip(found, worth, strict=True) if of.altered is not None]:
        parts = [of.altered / np.trace(of.within) for of, _ in changing]
        altered = level * np.average(parts, axis=0, weights=[one for _, one in changing])
        within = (1 - ALTERED_SHARE) * within + ALTERED_SHARE * altered
    people = len(np.unique(recordings.people))
    cohort = recordings.cohort - recordings.cohort.mean(0) if len(recordings.cohort) else recordings.cohort
    between = people * _level(own) + PRIOR_PEOPLE * _level(within + own)
    if len(cohort):
        between += COHORT_WEIGHT * len(cohort) * _level(_covariance(cohort))
    values, axes = np.linalg.eigh(_shrunk(within, SHRINK_WITHIN))
    whiten = axes / np.sqrt(values)
    spread, turn = np.linalg.eigh(whiten.T @ between @ whiten)
    best = np.argsort(-spread)[:DIMENSIONS]
    matrix = (whiten @ turn[:, best]).T
    matrix *= np.sign(matrix[np.arange(len(matrix)), np.abs(matrix).argmax(1)])[:, None]  # eigenvectors have no sign
    plain = recordings.only(~recordings.altered)
    weights, bias = _classifier(plain.vectors - means[plain.channels], means)
    number = len(recordings.names)
    channels = Channels(
        recordings.names, _single((means - means[0]) @ matrix.T), _single(np.ones(number)), _single(np.zeros((number, number))),
        _single(weights), _single(bias),
    )  # fmt: skip
    return Projection(recordings.metric, _single(matrix), _single(means[0]), _single(spread[best]), 1.0, channels)


def _worth(people: int) -> float:
    """Of a corpus with so many people: nearly alike, so that none dominates, but for those of a handful."""
    return people / (people + CORPUS_WORTH)


class _Spreads(NamedTuple):
    """Of one corpus: covariance within a person in plain recordings, in altered ones if there are any, and between people."""

    within: Numbers
    altered: Numbers | None
    between: Numbers


def _spreads(corpus: Recordings, means: Numbers) -> _Spreads:
    moved = corpus.vectors - means[corpus.channels]
    people, who = np.unique(corpus.people, return_inverse=True)
    places = np.array([moved[(who == i) & ~corpus.altered].mean(0) for i in range(len(people))])
    residuals, altered = moved - places[who], corpus.altered
    changed = _covariance(residuals[altered]) if altered.any() else None
    return _Spreads(_covariance(residuals[~altered]), changed, _covariance(places - places.mean(0)))


def _pooled_means(own: list[Numbers], worth: Numbers) -> Numbers:
    """(C, d): the middle of the corpora's ordinary means, and from it as far as a channel is from its corpus' ordinary one."""
    table = np.array(own)
    ordinary = np.average(table[:, 0], axis=0, weights=worth)
    means = [ordinary]
    for channel in range(1, table.shape[1]):
        there = np.isfinite(table[:, channel, 0])
        means.append(ordinary + np.average(table[there, channel] - table[there, 0], axis=0, weights=worth[there]))
    return np.array(means)


def _channel_means(corpus: Recordings) -> Numbers:
    """(C, d): in each channel the mean of people's means; NaN where nobody of the corpus was recorded."""
    means = np.full((len(corpus.names), corpus.vectors.shape[1]), np.nan)
    for channel in range(len(corpus.names)):
        here = (corpus.channels == channel) & ~corpus.altered
        vectors, people = corpus.vectors[here], corpus.people[here]
        if len(people):
            means[channel] = np.mean([vectors[people == person].mean(0) for person in np.unique(people)], axis=0)
    return means


def _classifier(residuals: Numbers, means: Numbers) -> tuple[Numbers, Numbers]:
    """(C, d) and (C,): Fisher's discriminant for channels that are equally likely."""
    middle = means.mean(0)
    weights = np.linalg.solve(_shrunk(_covariance(residuals), SHRINK_CLASSIFIER), (means - middle).T).T
    return weights, -0.5 * ((means + middle) * weights).sum(1)


def _covariance(rows: Numbers) -> Numbers:
    result: Numbers = rows.T @ rows / len(rows)
    return result


def _level(matrix: Numbers) -> Numbers:
    """The same shape with a mean variance of 1."""
    result: Numbers = matrix * (len(matrix) / np.trace(matrix))
    return result


def _shrunk(matrix: Numbers, share: float) -> Numbers:
    result: Numbers = (1 - share) * matrix + share * np.trace(matrix) / len(matrix) * np.eye(len(matrix))
    return result


def _single(numbers: Numbers) -> npt.NDArray[np.float32]:
    return numbers.astype(np.float32)


# ---- scales, of people held out

@dataclass(frozen=True, eq=False)
class _Scales:
    """Mean variances a dimension: noise (C,), shift (C, C); and what the fitted spread of people is to be multiplied by."""

    noise: Numbers
    shift: Numbers
    spread: float


def _pooled_scales(held: list[Held]) -> _Scales:
    """The scales of each corpus in units of its own ordinary noise, pooled by how many people tell them."""
    corpora = np.unique([judged.corpora[0] for _, judged in held])
    own = [[one for one in held if one[1].corpora[0] == corpus] for corpus in corpora]
    told = [(scales, sum(len(np.unique(judged.people)) for _, judged in some)) for some in own if (scales := _scales(some))]
    if not told:
        raise ValueError("no person has two recordings in the ordinary channel")
    found, worth = [scales for scales, _ in told], np.array([_worth(number) for _, number in told])
    unit = float(np.average([scales.noise[0] for scales in found], weights=worth))

    def pool(parts: list[Numbers], unknown: Numbers) -> Numbers:
        table = np.array(parts)
        known = np.isfinite(table) * worth.reshape(-1, *[1] * (table.ndim - 1))
        total = known.sum(0)
        return np.where(total > 0, (known * np.nan_to_num(table)).sum(0) / np.where(total > 0, total, 1), unknown)

    noise = pool([scales.noise / scales.noise[0] for scales in found], np.ones(len(found[0].noise)))
    shift = pool([scales.shift / scales.noise[0] for scales in found], SHIFT * (1 - np.eye(len(noise))))
    spread = np.average([scales.spread / scales.noise[0] for scales in found], weights=worth)
    return _Scales(unit * noise, unit * shift, unit * float(spread))


def _scales(held: list[Held]) -> _Scales | None:
    """From the squares between pairs: one person's hold twice the noise and the shift, two people's their spread too.

    NaN where nobody of the people, who are of one corpus, was recorded. None: nobody has two recordings in the ordinary channel.
    """
    channels = len(held[0][1].names)
    apart, pairs = np.zeros((channels, channels)), np.zeros((channels, channels))
    of_two, number, fitted = 0.0, 0.0, 0.0
    for directions, judged in held:
        plain = judged.only(~judged.altered)
        x, channel = present(directions, plain.vectors)
        for distances, kind in _own_pairs(plain, x, channel):
            np.add.at(apart, kind, distances)
            np.add.at(pairs, kind, 1.0)
        ordinary = channel == 0
        total, count = _strangers(x[ordinary], plain.people[ordinary])
        of_two, number, fitted = of_two + total, number + count, fitted + count * float(directions.between.mean())
    if pairs[0, 0] == 0 or number == 0:
        return None
    apart = np.where(pairs > 0, apart / np.maximum(pairs, 1), np.nan)
    noise = np.diag(apart) / 2
    shift = np.maximum(apart - noise[:, None] - noise, 0)
    np.fill_diagonal(shift, 0)
    spread = max(of_two / number / 2 - noise[0], noise[0] / 16)  # people do differ, if little
    return _Scales(noise, shift, spread * number / fitted)


def _own_pairs(recordings: Recordings, x: Numbers, channel: Codes) -> Iterator[tuple[Numbers, tuple[Codes, Codes]]]:
    """Of each person: mean square per dimension between two takes, both ways round, and the channels of the two."""
    for person in np.unique(recordings.people):
        own = recordings.people == person
        one, other = np.nonzero(recordings.takes[own][:, None] != recordings.takes[own])
        yield np.square(x[own][one] - x[own][other]).mean(-1), (channel[own][one], channel[own][other])


def _strangers(x: Numbers, people: Codes) -> tuple[float, float]:
    """Sum over the pairs of two different people of the mean square per dimension between them, and how many pairs."""

    def all_pairs(rows: Numbers) -> tuple[float, float]:
        total = len(rows) * np.square(rows).sum() - np.square(rows.sum(0)).sum()
        return float(total) / x.shape[1], len(rows) * (len(rows) - 1) / 2

    total, count = all_pairs(x)
    for person in np.unique(people):
        own, number = all_pairs(x[people == person])
        total, count = total - own, count - number
    return total, count


def _scale(directions: Projection, scales: _Scales) -> Projection:
    """The space in units of the noise of an ordinary recording, with everything measured in them."""
    one, channels = scales.noise[0], directions.channels
    root, noise, shift = np.float32(np.sqrt(one)), _single(scales.noise / one), _single(scales.shift / one)
    channels = replace(channels, mean=channels.mean / root, noise=noise, shift=shift)
    between = _single(directions.between.astype(np.float64) * scales.spread / one)
    return replace(directions, matrix=directions.matrix / root, between=between, channels=channels)


def _quality_law(held: list[Held]) -> Quality:
    """How much noisier a recording is than others of its channel, by its quality; in bins of as many recordings each."""
    qualities, noises, kinds = [np.zeros(0)], [np.zeros(0)], [np.zeros(0, np.int64)]
    for directions, judged in held:
        plain = judged.only(~judged.altered & np.isfinite(judged.quality))
        x, channel = present(directions, plain.vectors)
        for person in np.unique(plain.people):
            own = plain.people == person
            comparable = (channel[own][:, None] == channel[own]) & (plain.takes[own][:, None] != plain.takes[own])
            some = comparable.any(1)
            apart = np.square(x[own][:, None] - x[own]).mean(-1)
            mean = (apart * comparable).sum(1)[some] / comparable.sum(1)[some]
            qualities.append(plain.quality[own][some])
            noises.append(mean)
            kinds.append(channel[own][some] + len(plain.names) * plain.corpora[own][some])
    quality, noise, kind = np.concatenate(qualities), np.concatenate(noises), np.concatenate(kinds)
    if len(quality) < QUALITY_MIN:
        return Quality.unknown()
    usual = np.bincount(kind, noise) / np.maximum(np.bincount(kind), 1)
    relative = 2 * noise / usual[kind] - 1  # half of a square between two recordings is the other's
    bins = np.array_split(np.argsort(quality, kind="stable"), QUALITY_BINS)
    knots = np.array([np.median(quality[chosen]) for chosen in bins])
    distinct = np.flatnonzero(np.diff(knots, prepend=-np.inf) > 0)
    levels = np.array([relative[chosen].mean() for chosen in bins])[distinct]
    return Quality(held[0][1].quality_name, _single(knots[distinct]), _single(np.maximum(levels, 0.1)))
