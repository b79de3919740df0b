"""Fitting: a synthetic encoder is found again, scales are honest on people not fitted on, and measures are what they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.estimators import Gallery
from learners.fit.fitting import fit, folds_of
from learners.fit.recordings import OF_EACH, Recordings, unit
from learners.fit.trials import (
    Trials,
    best_temperature,
    cllr,
    equal_error_rate,
    min_cllr,
    plain_trials_of,
    present,
    trials_of,
)
from learners.recognition.projection import NOBODY_MAX, Channels, Floats, Projection
from stream.contract.packs import arrays_of
from stream.offline.fit import judge
from tests.support.encoders import LENGTH, Encoder, recordings_of


def same(one: Projection, other: Projection) -> bool:
    a, b = arrays_of(one), arrays_of(other)
    return all(a[key].tobytes() == b[key].tobytes() for key in a)


def moved_corpora(by: float) -> Recordings:
    """Two corpora of one encoder, the second lying elsewhere as a whole."""
    encoder, rng = Encoder.drawn(1), np.random.default_rng(3)
    one, other = recordings_of(encoder, 2, 40, 4), recordings_of(encoder, 5, 20, 5)
    away = by * rng.standard_normal(LENGTH)
    other = replace(other, people=other.people + 40, takes=other.takes + 160, corpora=other.corpora + 1)
    other = replace(other, vectors=other.vectors + away)
    return replace(one, **{key: np.concatenate([getattr(one, key), getattr(other, key)]) for key in OF_EACH})


# ---- corpora


def test_where_a_corpus_lies_is_nothing_in_which_people_differ() -> None:
    beside, apart = fit(moved_corpora(0)), fit(moved_corpora(5))
    assert apart.matrix == pytest.approx(beside.matrix, rel=1e-3, abs=1e-4)
    assert apart.between == pytest.approx(beside.between, rel=1e-3)
    assert apart.channels.noise == pytest.approx(beside.channels.noise, rel=1e-3)
    assert apart.centre_spread > 10 * beside.centre_spread


def test_no_corpus_dominates() -> None:
    """Where people lie in general is nearly half way between two corpora, though one has six times the people."""
    both = moved_corpora(5)
    first, second = both.by_corpus()
    copies = [replace(first, people=first.people + 1000 * i, takes=first.takes + 1000 * i) for i in range(3)]
    larger = replace(first, **{key: np.concatenate([getattr(one, key) for one in (*copies, second)]) for key in OF_EACH})
    middle = (first.vectors.mean(0) + second.vectors.mean(0)) / 2
    gap = np.linalg.norm(first.vectors.mean(0) - second.vectors.mean(0))
    assert np.linalg.norm(fit(larger).mean - middle) < 0.15 * gap  # by numbers it would be .36 of it


def test_each_corpus_is_judged_by_a_fit_on_the_others_and_people_by_their_own_corpus_alone() -> None:
    beside, apart = judge(moved_corpora(0)), judge(moved_corpora(2))  # further apart than corpora of voices are
    assert set(beside.corpora) == set(apart.corpora) == {0, 1}
    for one, other in zip(beside.rows, apart.rows, strict=True):
        assert (one.mated, one.non_mated) == (other.mated, other.non_mated)
        assert other.eer < one.eer + 0.05
        assert other.plain_eer == pytest.approx(one.plain_eer, abs=1e-9)


# ---- what is found


@pytest.fixture(scope="module")
def one_channel() -> tuple[Encoder, Projection]:
    encoder = Encoder.drawn(1)
    return encoder, fit(recordings_of(encoder, 2, people=150, takes=6))


def test_directions_are_those_in_which_people_differ_most(one_channel: tuple[Encoder, Projection]) -> None:
    encoder, fitted = one_channel
    matrix = fitted.matrix.astype(float)
    ratio = np.diag(matrix @ encoder.between @ matrix.T) / np.diag(matrix @ encoder.within @ matrix.T)
    assert np.corrcoef(ratio, np.arange(LENGTH))[0, 1] < -0.7  # the first tell most
    assert ratio[0] > 3 * np.trace(encoder.between) / np.trace(encoder.within)


def test_the_noise_of_an_ordinary_recording_is_one_and_the_spread_of_people_is_theirs(
    one_channel: tuple[Encoder, Projection],
) -> None:
    encoder, fitted = one_channel
    matrix = fitted.matrix.astype(float)
    noise, spread = (np.trace(matrix @ m @ matrix.T) / LENGTH for m in (encoder.within, encoder.between))
    assert fitted.channels.noise.tolist() == [1.0]
    assert noise == pytest.approx(1, rel=0.05)
    assert float(fitted.between.mean()) == pytest.approx(spread, rel=0.15)


def test_new_people_are_told_almost_as_well_as_the_true_covariances_tell_them(one_channel: tuple[Encoder, Projection]) -> None:
    encoder, fitted = one_channel
    strangers = recordings_of(encoder, 3, people=80, takes=4)
    values, axes = np.linalg.eigh(encoder.within)
    whiten = axes / np.sqrt(values)
    spread, turn = np.linalg.eigh(whiten.T @ encoder.between @ whiten)
    told = Projection(
        "euclidean", (whiten @ turn).T.astype("f4"), encoder.mean.astype("f4"), np.maximum(spread, 1e-3).astype("f4"), 1.0
    )
    best, ours, plain = (
        equal_error_rate(trials.only(trials.size == 1))
        for trials in (trials_of(told, strangers), trials_of(fitted, strangers), plain_trials_of(strangers))
    )
    assert best <= ours + 0.005
    assert ours < best + 0.2 * (plain - best)


def test_each_channel_has_its_mean_noise_and_move() -> None:
    encoder = Encoder.drawn(4, channels=4)
    fitted = fit(recordings_of(encoder, 5, people=120, takes=5))
    channels = fitted.channels
    assert channels.mean[0].tolist() == [0.0] * LENGTH
    assert channels.noise == pytest.approx(encoder.channel_noises, rel=0.1)
    moved = encoder.move * (1 - np.eye(4)) * np.array([[1, 1, 1, 1], [1, 2, 2, 2], [1, 2, 2, 2], [1, 2, 2, 2]])
    assert channels.shift == pytest.approx(moved, abs=0.15)
    assert np.array_equal(channels.shift, channels.shift.T)
    expected = encoder.channel_means @ fitted.matrix.T.astype(float)
    assert channels.mean == pytest.approx(expected, abs=0.6)


def test_the_channel_of_a_new_persons_recording_is_told() -> None:
    encoder = Encoder.drawn(4, channels=4)
    fitted = fit(recordings_of(encoder, 5, people=60, takes=5))
    strangers = recordings_of(encoder, 6, people=40, takes=3)
    _, channel = present(fitted, strangers.vectors)
    assert (channel == strangers.channels).mean() > 0.95


def test_noise_by_quality_is_found() -> None:
    encoder, rng = Encoder.drawn(7), np.random.default_rng(8)
    recordings = recordings_of(encoder, 9, people=120, takes=8)
    quality = rng.uniform(1, 5, len(recordings.vectors))
    more = rng.multivariate_normal(np.zeros(LENGTH), encoder.within, len(quality)) * np.sqrt(5 - quality)[:, None]
    fitted = fit(replace(recordings, vectors=recordings.vectors + more, quality=quality, quality_name="seconds"))
    assert fitted.quality.name == "seconds"
    found, true = fitted.quality.noise_of(np.array([1.5, 4.5])), np.array([4.5, 1.5])
    assert found[0] / found[1] == pytest.approx(true[0] / true[1], rel=0.2)
    assert fitted.quality.noise_of(np.array([np.nan])).tolist() == [1.0]


def test_an_altered_person_tells_nothing_of_channels() -> None:
    recordings = recordings_of(Encoder.drawn(1, channels=2), 2, people=30, takes=4)
    strange = replace(recordings, vectors=recordings.vectors + 3, altered=recordings.takes % 2 == 0)
    plain = strange.only(~strange.altered)
    fitted, without = fit(strange).channels, fit(plain).channels
    assert fitted.noise[1] == pytest.approx(without.noise[1], rel=0.35)
    assert np.array_equal(fitted.weights, without.weights)


# ---- laws of a fit


def test_a_fit_of_the_same_recordings_is_the_same_to_the_byte() -> None:
    recordings = recordings_of(Encoder.drawn(1, channels=2), 2, people=12, takes=3)
    assert same(fit(recordings), fit(replace(recordings, vectors=recordings.vectors.copy())))


def test_scales_do_not_depend_on_the_unit_of_the_encoder() -> None:
    recordings = recordings_of(Encoder.drawn(1, channels=2), 2, people=20, takes=3)
    one, thousand = fit(recordings), fit(replace(recordings, vectors=1000 * recordings.vectors))
    assert one.between == pytest.approx(thousand.between, rel=1e-4)
    assert one.channels.shift == pytest.approx(thousand.channels.shift, abs=1e-4)


def test_of_a_cosine_encoder_only_directions_count() -> None:
    recordings = recordings_of(Encoder.drawn(1), 2, people=20, takes=3)
    cosine = replace(recordings, metric="cosine", vectors=unit(recordings.vectors))
    fitted = fit(cosine)
    assert fitted.metric == "cosine"
    long = fitted.project((7 * cosine.vectors[0]).astype("f4"))
    assert np.array_equal(long[0], fitted.project(cosine.vectors[0].astype("f4"))[0])


def test_what_a_fit_projects_is_what_the_core_projects() -> None:
    recordings = recordings_of(Encoder.drawn(4, channels=3), 2, people=20, takes=3)
    fitted = fit(recordings)
    x, channel = present(fitted, recordings.vectors)
    for row in range(0, len(x), 17):
        projected = fitted.project(recordings.vectors[row].astype("f4"))
        assert projected[1] == channel[row]
        assert projected[0] == pytest.approx(np.clip(x[row], -7.9375, 7.9375), abs=1 / 16)


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda r: r.only(r.people < 5), "of 5 people 5 have two recordings or more; at least 6 are needed"),
        (lambda r: r.only(r.takes % 3 == 0), "of 20 people 0 have two"),
        (lambda r: replace(r, vectors=np.where(r.vectors > 2, np.nan, r.vectors)), "NaN"),
        (lambda r: replace(r, vectors=np.ones_like(r.vectors)), "all vectors are the same"),
        (lambda r: r.only((r.channels == 0) | (r.people == 0)), "the channel 'far' has recordings of 1 people"),
    ],
)
def test_too_little_or_wrong_is_told_in_a_sentence(spoil: object, sentence: str) -> None:
    recordings = recordings_of(Encoder.drawn(1, channels=2), 2, people=20, takes=3)
    with pytest.raises(ValueError, match=sentence):
        fit(spoil(recordings))  # type: ignore[operator]


# ---- cross-validation


@given(people=st.lists(st.integers(-5, 200), min_size=2, max_size=60), folds=st.integers(2, 7))
def test_everybody_is_held_out_once_and_never_alone(people: list[int], folds: int) -> None:
    found = folds_of(np.array(people), folds)
    assert sorted(person for fold in found for person in fold.tolist()) == sorted(set(people))
    assert len(set(people)) == 1 or min(map(len, found)) >= 2


def test_people_who_are_only_names_are_not_told_apart() -> None:
    # Whoever judged people that it was fitted on would tell these: a fit finds something in any noise.
    rng = np.random.default_rng(3)
    names_only = Recordings.plain("euclidean", rng.standard_normal((160, 200)), np.repeat(np.arange(40), 4))
    rows = judge(names_only).rows
    assert [row.eer == pytest.approx(0.5, abs=0.06) for row in rows] == [True] * len(rows)
    fitted = trials_of(fit(names_only), names_only)
    assert equal_error_rate(fitted.only(fitted.size == 1)) < 0.45


def test_a_judgement_has_a_row_for_everything_that_can_come() -> None:
    recordings = recordings_of(Encoder.drawn(4, channels=3), 2, people=15, takes=5)
    judgement = judge(replace(recordings, altered=(recordings.channels == 0) & (recordings.takes % 5 == 0)))
    kinds = ["clean", "far", "near", "altered", "all together"]
    assert [(row.size, row.probe) for row in judgement.rows] == [(size, kind) for size in (1, 3) for kind in kinds]
    assert all(row.eer_low <= row.eer <= row.eer_high and row.min_cllr <= row.cllr + 1e-9 for row in judgement.rows)
    assert all(0.8 < share <= 1 for share in judgement.channels_right.values())


def test_no_recording_is_compared_with_its_own_take() -> None:
    recordings = recordings_of(Encoder.drawn(4, channels=3), 2, people=6, takes=4)
    trials = plain_trials_of(recordings)
    single = trials.only(trials.size == 1)
    assert len(single.llr) == 24 * (24 - 1) * 3  # of 24 takes each, but for its own, through three channels
    assert single.mated.sum() == 24 * 3 * 3


# ---- the likelihood ratio, against the joint normal density


def test_a_ratio_is_that_of_the_joint_densities() -> None:
    """One dimension: recordings of one channel share the person's move into it."""
    between, noise, shift = 3.0, np.array([1.0, 0.6]), 0.8
    channels = Channels(
        ("clean", "far"), np.zeros((2, 1), "f4"), noise.astype("f4"), np.array([[0, shift], [shift, 0]], "f4"),
        np.array([[0], [1]], "f4"), np.array([0, -5], "f4"),  # far: from 5 on
    )  # fmt: skip
    projection = Projection("euclidean", np.eye(1, dtype="f4"), np.zeros(1, "f4"), np.array([between], "f4"), 1.0, channels)
    vectors = np.array([1.2, 0.4, 2.0, 6.5, -1.0])[:, None]
    recordings = replace(Recordings.plain("euclidean", vectors, np.array([0, 0, 0, 0, 1])), names=("clean", "far"))
    trials = trials_of(projection, replace(recordings, channels=np.array([0, 0, 0, 1, 0])))
    far = trials.only((trials.size == 3) & (trials.channel == 1))

    enrolled, probe = vectors[:3, 0], float(vectors[3, 0])
    together = np.full((4, 4), between) + np.diag([*np.full(3, noise[0]), noise[1]])
    together[:3, :3] += shift
    apart = together.copy()
    apart[3, :3] = apart[:3, 3] = 0

    def log_density(covariance: np.ndarray) -> float:
        x = np.append(enrolled, probe)
        return float(-0.5 * (x @ np.linalg.solve(covariance, x) + np.linalg.slogdet(covariance)[1]))

    assert far.llr.tolist() == [pytest.approx(log_density(together) - log_density(apart), abs=1e-5)]


# ---- measures


def trials(mated: list[float], non_mated: list[float]) -> Trials:
    llr, same_person = np.array(mated + non_mated, float), np.array([True] * len(mated) + [False] * len(non_mated))
    nobody = np.zeros(len(llr), np.int64)
    return Trials(llr, nobody, np.where(same_person, 0, 1), nobody + 1, nobody, nobody > 0)


def test_an_equal_error_rate_is_where_both_errors_are() -> None:
    assert equal_error_rate(trials([3, 2, 1], [0, -1, -2])) == 0
    assert equal_error_rate(trials([4, 3, 2, -1], [1, 0, -2, -3])) == 0.25
    assert equal_error_rate(trials([-1, -2], [1, 2])) == 1


ratios = st.lists(st.floats(-20, 20), min_size=1, max_size=12)


@given(mated=ratios, non_mated=ratios)
def test_no_calibration_costs_less_than_the_least(mated: list[float], non_mated: list[float]) -> None:
    found = trials(mated, non_mated)
    least = min_cllr(found.llr, found.mated)
    assert -1e-9 <= least <= cllr(found.llr, found.mated) + 1e-9
    for scale in (0.1, 1.0, 3.0):
        assert least <= cllr(scale * found.llr + 0.3, found.mated) + 1e-9
    assert least == pytest.approx(slow_min_cllr(mated, non_mated), abs=1e-6)


def slow_min_cllr(mated: list[float], non_mated: list[float]) -> float:
    """Pool adjacent violators, pool by pool."""
    pools: list[tuple[float, float]] = []  # weight of mated and of non-mated
    for ratio in sorted({*mated, *non_mated}):
        pools.append((mated.count(ratio) / 2 / len(mated), non_mated.count(ratio) / 2 / len(non_mated)))
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            a, b = pools.pop(), pools.pop()
            pools.append((a[0] + b[0], a[1] + b[1]))
    return -sum(x * math.log2(x / sum(pool)) for pool in pools for x in pool if x)


def test_ratios_that_are_too_sure_are_cooled_to_what_they_are_worth() -> None:
    rng = np.random.default_rng(0)
    mated, non_mated = rng.normal(2, 2, 20_000), rng.normal(-2, 2, 20_000)  # as they should be: a mean of half the variance
    found = trials((4 * mated).tolist(), (4 * non_mated).tolist())
    assert best_temperature([found]) == pytest.approx(0.25, rel=0.05)
    assert cllr(np.zeros(4), np.array([True, False, True, False])) == 1


# ---- without a fit


def test_an_encoder_without_a_pack_is_believed_where_people_are_plainly_apart() -> None:
    """Directions with much in common, as of people; nine recordings of three of them, then one more of each and of a guest."""
    projection, rng = Projection.generic("cosine", 256, 0.05), np.random.default_rng(0)

    def near(middle: Floats, apart: float) -> Floats:
        away = rng.normal(size=256)
        vector = middle + apart * away / np.linalg.norm(away)
        return np.asarray(vector / np.linalg.norm(vector), np.float32)

    margins, guests = [], []
    for _ in range(40):
        common = near(np.zeros(256, np.float32), 1.0)
        *members, guest = [near(common, 0.8) for _ in range(4)]
        between, temperature = float(projection.between[0]), projection.temperature
        gallery = Gallery(between=between, temperature=temperature, fitted=bool(projection.fitted))
        for number in range(9):
            gallery.learn_one(projection.project(near(members[number % 3], 0.5)).vector, number % 3, day=0)
        for number, member in enumerate(members):
            llr = gallery.llr_one(projection.project(near(member, 0.5)).vector)
            margins.append(llr.pop(number) - max(llr.values()))
        guests.append(max(gallery.llr_one(projection.project(near(guest, 0.5)).vector).values()))
    assert np.median(margins) > 5  # nats
    assert np.median(guests) < -1


def test_nobody_is_half_as_far_around_as_the_nearest_recording_of_a_person() -> None:
    people = recordings_of(Encoder.drawn(0), 0, 20, 4)
    centre = people.vectors.mean(0)
    nobody = np.stack([centre + 50 + 0.1 * n for n in range(NOBODY_MAX)] + [centre - 80, centre - 80])
    found = fit(replace(people, nobody=nobody)).nobody
    assert len(found.radius) == NOBODY_MAX
    assert {round(float(v[0] - centre[0])) for v in found.vectors} >= {50, -80}  # those farthest from each other
    for vector, radius in zip(found.vectors, found.radius, strict=True):
        assert np.linalg.norm(people.vectors - vector, axis=1).min() == pytest.approx(2 * radius, rel=1e-4)
    assert len(fit(people).nobody.radius) == 0
