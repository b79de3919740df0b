"""Detectors of drift against their laws: fair bets, few false alarms whatever the stream, and soon enough.

Formulas are pinned in `test_sequential`; here are the detectors that a user has, and that `bench.drift` measures.
"""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm

from bench.drift import CHANGES, METHODS, delays, quick_ks
from learners.drift.edetectors import threshold
from learners.drift.sequential import (
    CLIP,
    DOUBT,
    EQUAL,
    EVIDENCE_MAX,
    GAINS,
    KEEP,
    LEARNT_MAX,
    ONE_COST,
    RATE_SHARES,
    STAKE_MAX,
    STARTS,
    STEP,
    THREE_COST,
    TWO_COST,
)
from learners.estimators import MeanRise, RateChange

Detector = MeanRise | RateChange
ALARM, COSTS = threshold(73_000), (ONE_COST, TWO_COST, THREE_COST)
NEVER = 1e15  # values to a false alarm: more evidence than there can be, so that a detector does not begin anew
EVENTS_A_YEAR = 7_300
seeds = st.integers(0, 2**32 - 1)
kinds = pytest.mark.parametrize("make", [MeanRise, RateChange], ids=["rise", "rate"])


def told(detector: Detector, values: Any) -> Any:
    """The same detector, having learnt values one after the other; the last when the next one comes."""
    for x in values:
        detector.update(float(x))
    return detector


def patient(make: type) -> Any:
    """A detector that never alarms, whose evidence can be looked at."""
    return make(false_alarm_events=NEVER)


def stream(make: type, seed: int, n: int, moved: float = 0.0) -> np.ndarray:
    """What a kind of detector is for: values about `moved`, or ones at a rate of .05 + moved."""
    rng = np.random.default_rng(seed)
    return rng.normal(moved, 1, n) if make is MeanRise else (rng.random(n) < 0.05 + moved).astype(float)


# ---- against their definitions


def plain_evidence(factors: list[list[float]], shares: tuple[float, ...]) -> float:
    """The sum over all beginnings of what each bet has won since, faded by the beginning's age."""
    total = 0.0
    for k, share in enumerate(shares):
        for begun in range(len(factors)):
            total += share * KEEP ** (len(factors) - 1 - begun) * math.prod(f[k] for f in factors[begun:])
    return total


def plain_trust(sure: float, learnt: float, evidence: float) -> float:
    return 1.0 if learnt <= sure else max(sure / learnt, 1 / (1 + evidence / DOUBT))


def in_sessions(detector: Detector, values: list[tuple[float, int]]) -> list[float]:
    """The worth of sessions of so many equal values, each counted when the next begins."""
    for session, (x, events) in enumerate([*values, (0.0, 1)], 1):
        for _ in range(events):
            detector.update(x, session)
    return [events / (1 + 0.3 * (events - 1)) for _, events in values]


@given(st.lists(st.tuples(st.integers(-2560, 2560), st.integers(1, 6)), max_size=25))
def test_the_evidence_of_a_rise_is_as_its_definition_says(steps: list[tuple[int, int]]) -> None:
    detector, factors, evidence = patient(MeanRise), [], 0.0
    values = [(step / 256, events) for step, events in steps]
    learnt: list[tuple[float, float, float]] = []  # value, weight, part of a value
    for (x, _), w in zip(values, in_sessions(detector, values), strict=True):
        count, weight = sum(part for *_, part in learnt), sum(v for _, v, _ in learnt)
        mean = sum(y * v for y, v, _ in learnt) / weight if learnt else 0.0
        squares = sum(v * (y - mean) ** 2 for y, v, _ in learnt)
        trust, y = plain_trust(50, count, evidence), x
        if 0 < squares < 1e-6:
            return  # nothing but rounding
        if count >= 2 and squares > 0:
            nu = count - 1
            unit = math.sqrt(squares / nu * (1 / w + 1 / weight))
            z = (8 * nu + 1) / (8 * nu + 3) * math.sqrt(nu * math.log(1 + ((x - mean) / unit) ** 2 / nu))
            z = min(z, CLIP) * (1 if x >= mean else -1)
            factors.append([c * math.exp(k * STEP * z) for k, c in enumerate(COSTS, 1)])
            evidence = plain_evidence(factors, EQUAL)
            wide = LEARNT_MAX * unit * (1 + 20 / nu**2)
            y = mean + max(-wide, min(x - mean, wide))
        learnt.append((y, trust * w, trust))
    assert detector.e_value == pytest.approx(evidence / STARTS, rel=1e-3, abs=1e-6)


@given(st.lists(st.tuples(st.integers(0, 256), st.integers(1, 6)), max_size=30))
def test_the_evidence_about_a_rate_is_as_its_definition_says(steps: list[tuple[int, int]]) -> None:
    detector = RateChange(0.1, NEVER)
    factors, evidence, ones, weight = [], 0.0, 1.0, 10.0
    values = [(step / 256, events) for step, events in steps]
    for (x, _), w in zip(values, in_sessions(detector, values), strict=True):
        p, trust = ones / weight, plain_trust(30, weight - 10, plain_evidence(factors, (*RATE_SHARES[:2], 0.0)))
        if weight - 10 >= 20:
            stakes = []
            for gain in GAINS:
                q = (1 + gain) * p / (1 - p) / (1 + (1 + gain) * p / (1 - p))  # the odds multiplied
                stakes.append(max(-STAKE_MAX / (1 - p), min(w * (q - p) / (p * (1 - p)), STAKE_MAX / p)))
            factors.append([1 + stake * (x - p) for stake in stakes])
            evidence = plain_evidence(factors, RATE_SHARES)
        ones, weight = ones + trust * w * x, weight + trust * w
    assert detector.e_value == pytest.approx(evidence / STARTS, rel=1e-3, abs=1e-6)
    assert detector.predict_one() == pytest.approx(ones / weight, rel=1e-5)


# ---- fair bets


def test_a_bet_on_a_rise_costs_what_it_wins_on_average() -> None:
    z = np.linspace(-12, 12, 400_001)
    for k, cost in enumerate(COSTS, 1):
        won = np.exp(k * STEP * np.clip(z, -CLIP, CLIP)) * norm.pdf(z)
        assert cost * won.sum() * (z[1] - z[0]) == pytest.approx(1, abs=1e-6)


@given(rate=st.floats(0.01, 0.99), seed=seeds)
def test_a_bet_on_a_rate_is_fair_at_that_rate_and_is_never_lost_whole(rate: float, seed: int) -> None:
    won = []
    for x in (0.0, 1.0):
        detector = told(RateChange(rate, NEVER), np.random.default_rng(seed).random(60) < rate)
        told(detector, [x])
        p, before = detector.predict_one(), detector._record["numbers"][0, -3:].astype("f8")
        told(detector, [0.0])
        won.append(detector._record["numbers"][0, -3:] / (before * KEEP + 1))
    assert p * won[1] + (1 - p) * won[0] == pytest.approx(np.ones(3), abs=1e-5)
    assert np.min(won) >= 1 - STAKE_MAX - 1e-6


@kinds
def test_evidence_of_nothing_is_small_on_average_at_any_time(make: type) -> None:
    e_values: dict[int, list[float]] = {50: [], 100: [], 200: []}
    for seed in range(500):
        detector, values = patient(make), stream(make, seed, 200)
        for n, found in e_values.items():
            told(detector, values[n // 2 if n > 50 else 0 : n])
            found.append(detector.e_value)
    assert max(np.mean(found) for found in e_values.values()) <= 1


# ---- false alarms


def alarms(detector: Detector, values: np.ndarray, sessions: np.ndarray | None = None) -> int:
    """How often it alarms, beginning anew each time."""
    found = 0
    for n, x in enumerate(values.tolist()):
        detector.update(x, None if sessions is None else int(sessions[n]) + 1)
        found += detector.drift_detected
    return found


def in_visits(rng: np.random.Generator, n: int, carried: float) -> tuple[np.ndarray, np.ndarray]:
    """Values that follow an autoregression within a session, begun anew with each; sessions of 1 to 6 events."""
    sessions = np.repeat(np.arange(n), rng.integers(1, 7, n))[:n]
    values = rng.standard_normal(n)
    for i in np.flatnonzero(np.diff(sessions) == 0):
        values[i + 1] = carried * values[i] + math.sqrt(1 - carried**2) * values[i + 1]
    return values, sessions


NULLS: dict[str, tuple[type, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "normal": (MeanRise, lambda rng, n: rng.normal(40, 1, n)),
    "t3": (MeanRise, lambda rng, n: rng.standard_t(3, n)),
    "Cauchy": (MeanRise, lambda rng, n: rng.standard_cauchy(n)),
    "uniform": (MeanRise, lambda rng, n: rng.random(n)),
    "skewed to the right": (MeanRise, lambda rng, n: rng.exponential(1, n)),
    "skewed to the left": (MeanRise, lambda rng, n: -np.exp(0.75 * rng.standard_normal(n))),
    "two humps": (MeanRise, lambda rng, n: rng.choice([-1, 1], n) + 0.3 * rng.standard_normal(n)),
    "falling": (MeanRise, lambda rng, n: rng.standard_normal(n) - np.linspace(0, 9, n)),
    "errors .02": (RateChange, lambda rng, n: rng.random(n) < 0.02),
    "errors .05": (RateChange, lambda rng, n: rng.random(n) < 0.05),
    "errors .2": (RateChange, lambda rng, n: rng.random(n) < 0.2),
    "errors .4": (RateChange, lambda rng, n: rng.random(n) < 0.4),
    "no errors": (RateChange, lambda rng, n: np.zeros(n)),
}


@pytest.mark.parametrize("name", NULLS)
def test_false_alarms_stay_within_the_budget_whatever_does_not_change(name: str) -> None:
    make, draw = NULLS[name]
    found = sum(alarms(make(), draw(np.random.default_rng(seed), EVENTS_A_YEAR)) for seed in range(20))
    assert found <= 7  # a budget of 2: that many and more come once in a thousand times by chance


@pytest.mark.parametrize("carried", [0.2, 0.5, 0.9])
def test_events_that_depend_on_each_other_within_a_session_raise_no_alarm(carried: float) -> None:
    streams = [in_visits(np.random.default_rng(seed), EVENTS_A_YEAR, carried) for seed in range(10)]
    assert sum(alarms(MeanRise(), values, sessions) for values, sessions in streams) <= 4
    ones = [((values > 1.64).astype(float), sessions) for values, sessions in streams]
    assert sum(alarms(RateChange(), values, sessions) for values, sessions in ones) <= 4


def test_without_sessions_dependent_events_would_raise_alarms() -> None:
    streams = [in_visits(np.random.default_rng(seed), EVENTS_A_YEAR, 0.9)[0] for seed in range(3)]
    assert min(alarms(MeanRise(), values) for values in streams) > 5


# ---- soon enough


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_is_noticed_about_as_soon_as_asked(change: Any) -> None:
    ours = METHODS[0]
    for history, asked in change.asked.items():
        median = float(asked.partition("/")[0])
        found = np.median(delays(ours, change, history, range(1000, 1060)))
        assert found <= 1.2 * median  # of sixty streams; docs/drift.md has two hundred


SIZES = {MeanRise: (0.5, 1.0, 2.0, 4.0), RateChange: (0.1, 0.2, 0.4, 0.8)}


@kinds
@given(seed=seeds)
def test_a_greater_change_is_noticed_no_later(make: type, seed: int) -> None:
    noticed = []
    for size in SIZES[make]:
        detector, before = patient(make), stream(make, seed, 200)
        values = stream(make, seed + 1, 600, size)
        told(detector, before)
        noticed.append(next((n for n, x in enumerate(values) if told(detector, [x]).log_e_value >= ALARM), 600))
    assert noticed == sorted(noticed, reverse=True)


@kinds
def test_it_says_since_when(make: type) -> None:
    errors = []
    for seed in range(60):
        detector = told(make(), stream(make, seed, 300))
        for x in stream(make, 1000 + seed, 500, 1.0 if make is MeanRise else 0.3):
            if told(detector, [x]).drift_detected:
                break
        errors.append(detector.since - 300)
    assert abs(np.median(errors)) <= 5
    assert np.median(np.abs(errors)) <= 10


@kinds
def test_after_an_alarm_it_begins_anew(make: type) -> None:
    detector = told(make(), stream(make, 1, 300))
    while not detector.drift_detected:
        told(detector, stream(make, 2, 1, 1.0))
    assert detector.log_e_value >= ALARM
    alarmed = make().from_bytes(detector.to_bytes())
    assert alarmed.drift_detected
    for one in (detector, alarmed):
        told(one, [0.0])
        assert (one.drift_detected, one.e_value) == (False, 0.0)
    assert alarmed.to_bytes() == detector.to_bytes()


# ---- one value, and strange ones


@kinds
@given(seed=seeds, x=st.floats(-1e99, 1e99), moved=st.sampled_from([0.0, 0.3]))
def test_one_value_adds_a_bounded_amount(make: type, seed: int, x: float, moved: float) -> None:
    detector = told(patient(make), [*stream(make, seed, 60), *stream(make, seed, 20, moved)])
    most = math.exp(3 * STEP * CLIP) if make is MeanRise else 1 + max(GAINS)
    told(detector, [float(x > 0) if make is RateChange else x])
    before = detector.e_value * STARTS
    told(detector, [0.0])
    assert detector.e_value * STARTS <= (before + 1) * most * (1 + 1e-6)
    assert math.isfinite(detector.log_e_value)


@given(seed=seeds, outlier=st.sampled_from([1e9, -1e9, 1e99]))
def test_after_an_outlier_a_change_is_still_noticed(seed: int, outlier: float) -> None:
    detector = told(patient(MeanRise), [*stream(MeanRise, seed, 200), outlier, *stream(MeanRise, seed + 1, 100)])
    assert abs(detector._record["numbers"][0, 2]) < 0.6
    assert told(detector, stream(MeanRise, seed + 2, 100, 2.0)).log_e_value >= ALARM


@given(seed=seeds, scale=st.integers(-8, 8), shift=st.integers(-100, 100))
def test_evidence_of_a_rise_knows_no_unit_and_no_origin_and_none_of_a_fall(seed: int, scale: int, shift: int) -> None:
    values = np.concatenate([stream(MeanRise, seed, 100), stream(MeanRise, seed + 1, 40, 3.0)])
    values = np.rint(values * 256) / 256
    plain, unit = told(patient(MeanRise), values).log_e_value, 2.0**scale
    other = told(MeanRise(NEVER, unit), (values + shift) * unit).log_e_value
    assert other == pytest.approx(plain, abs=2e-3)
    assert plain > ALARM
    fallen, quiet = told(patient(MeanRise), -values).log_e_value, told(patient(MeanRise), -values[:100]).log_e_value
    assert fallen <= max(quiet, 0.0)  # which chance may have raised, the fall not


@kinds
def test_a_cold_start_answers(make: type) -> None:
    detector = make()
    assert (detector.e_value, detector.log_e_value, detector.since, detector.drift_detected) == (0.0, -math.inf, 0, False)
    assert told(detector, [1.0]).log_e_value < ALARM
    assert RateChange(0.2).predict_one() == pytest.approx(0.2)


def test_a_level_that_never_varies_is_no_evidence() -> None:
    assert alarms(MeanRise(), np.full(300, 0.1)) == 0


@kinds
def test_evidence_has_a_limit_and_goes_when_the_change_does(make: type) -> None:
    back = 0
    for seed in range(1, 81, 4):
        detector = told(patient(make), [*stream(make, seed, 300), *stream(make, seed + 1, 80, 0.9)])
        assert ALARM < detector.log_e_value <= math.log(EVIDENCE_MAX / STARTS) + 1e-6
        assert told(detector, stream(make, seed + 2, 400)).log_e_value < ALARM
        back += told(detector, stream(make, seed + 3, 600)).log_e_value >= ALARM
    assert back <= 2  # of twenty: the old level was not unlearnt


@kinds
@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf])
def test_what_is_no_value_is_refused_and_changes_nothing(make: type, x: float) -> None:
    detector = told(make(), stream(make, 1, 50))
    before = detector.to_bytes()
    with pytest.raises(ValueError, match="was given"):
        detector.update(x)
    for session in (0, -1, 2**31):
        with pytest.raises(ValueError, match="no session"):
            detector.update(0.5, session)
    assert detector.to_bytes() == before


def test_all_detectors_of_a_person_fit_into_512_bytes() -> None:
    assert MeanRise().memory_bytes + 2 * RateChange().memory_bytes <= 512


# ---- the benchmark


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=30, max_size=30))
def test_the_quick_test_of_kolmogorov_and_smirnov_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = ([float(x) for x in side] for side in zip(*pairs, strict=True))
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of samples too alike for SciPy's exact way
        expected = ks_2samp(first, second)
    assert quick_ks(first, second) == pytest.approx((expected.statistic, expected.pvalue))
