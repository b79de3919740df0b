"""Detectors of drift against their laws: fair bets, few false alarms whatever the stream, small states, and soon enough."""

import json
import math
import warnings
from array import array
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ks_2samp, norm

from bench.drift import CHANGES, METHODS, delays, quick_ks
from learners.drift.edetectors import (
    CLIP,
    COSTS,
    DOUBT,
    EVIDENCE_MAX,
    GAINS,
    KEEP,
    LEARNT_MAX,
    SHARES,
    STAKE_MAX,
    STARTS,
    STEP,
    Level,
    Rate,
    VisitMean,
    threshold,
)

Detector = Level | Rate
ALARM = threshold(73_000)
EVENTS_A_YEAR = 7_300
seeds = st.integers(0, 2**32 - 1)
reals = st.floats(-1e6, 1e6)
weighted = st.tuples(reals, st.floats(1, 4))
kinds = pytest.mark.parametrize("make", [Level, Rate], ids=["level", "rate"])


def told(detector: Detector, values: Any, first: int = 0) -> Detector:
    """The same detector, having learnt values one after the other."""
    for at, x in enumerate(values, first):
        detector.learn_one(float(x), at)
    return detector


def stream(make: type, seed: int, n: int, moved: float = 0.0) -> np.ndarray:
    """What a kind of detector is for: values about `moved`, or ones at a rate of .05 + moved."""
    rng = np.random.default_rng(seed)
    return rng.normal(moved, 1, n) if make is Level else (rng.random(n) < 0.05 + moved).astype(float)


# ---- against plain, slow versions of themselves


def plain_evidence(factors: list[list[float]], shares: tuple[float, ...]) -> float:
    """The sum over all beginnings of what each bet has won since, faded by the beginning's age."""
    total = 0.0
    for k, share in enumerate(shares):
        for begun in range(len(factors)):
            total += share * KEEP ** (len(factors) - 1 - begun) * math.prod(f[k] for f in factors[begun:])
    return total


def plain_trust(sure: float, learnt: float, evidence: float) -> float:
    return 1.0 if learnt <= sure else max(sure / learnt, 1 / (1 + evidence / DOUBT))


@given(st.lists(weighted, max_size=25))
def test_the_evidence_about_a_level_is_as_its_definition_says(values: list[tuple[float, float]]) -> None:
    detector, factors, evidence = Level(), [], 0.0
    learnt: list[tuple[float, float, float]] = []  # value, weight, part of a value
    for x, w in values:
        count, weight = sum(part for *_, part in learnt), sum(v for _, v, _ in learnt)
        mean = sum(y * v for y, v, _ in learnt) / weight if learnt else 0.0
        squares = sum(v * (y - mean) ** 2 for y, v, _ in learnt)
        trust, y = plain_trust(50, count, evidence), x
        if count >= 2 and detector.squares > 0:
            nu = count - 1
            unit = math.sqrt(squares / nu * (1 / w + 1 / weight))
            z = (8 * nu + 1) / (8 * nu + 3) * math.sqrt(nu * math.log(1 + ((x - mean) / unit) ** 2 / nu))
            z = min(z, CLIP) * (1 if x >= mean else -1)
            factors.append([c * math.exp(s * k * STEP * z) for s in (1, -1) for k, c in enumerate(COSTS, 1)])
            evidence = plain_evidence(factors, (0.25,) * 4)
            wide = LEARNT_MAX * unit * (1 + 20 / nu**2)
            y = mean + max(-wide, min(x - mean, wide))
        learnt.append((y, trust * w, trust))
        # Values that differ in the last digits only have no scale that two ways of summing would agree on.
        if any(abs(a - b) < 1e-3 * max(1, abs(a)) for a, *_ in learnt for b, *_ in learnt if a != b) or squares > 1e14:
            return
        detector.learn_one(x, w=w)
        if factors:
            assert detector.log_e_value == pytest.approx(math.log(evidence / STARTS), rel=1e-4, abs=1e-4)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1, 4)), max_size=30))
def test_the_evidence_about_a_rate_is_as_its_definition_says(values: list[tuple[float, float]]) -> None:
    detector, factors, evidence, ones, weight = Rate(0.1, 5.0), [], 0.0, 0.5, 5.0
    for x, w in values:
        p, trust = ones / weight, plain_trust(30, weight - 5, plain_evidence(factors, (*SHARES[:2], 0.0)))
        if weight - 5 >= 20:
            stakes = []
            for gain in GAINS:
                q = (1 + gain) * p / (1 - p) / (1 + (1 + gain) * p / (1 - p))  # the odds multiplied
                stakes.append(max(-STAKE_MAX / (1 - p), min(w * (q - p) / (p * (1 - p)), STAKE_MAX / p)))
            factors.append([1 + stake * (x - p) for stake in stakes])
            evidence = plain_evidence(factors, SHARES)
        ones, weight = ones + trust * w * x, weight + trust * w
        detector.learn_one(x, w=w)
        if factors:
            assert detector.log_e_value == pytest.approx(math.log(evidence / STARTS), abs=1e-6)
    assert detector.predict_one() == pytest.approx(ones / weight)


# ---- fair bets


def test_a_bet_on_a_level_costs_what_it_wins_on_average() -> None:
    z = np.linspace(-12, 12, 400_001)
    for k, cost in enumerate(COSTS, 1):
        won = np.exp(k * STEP * np.clip(z, -CLIP, CLIP)) * norm.pdf(z)
        assert cost * won.sum() * (z[1] - z[0]) == pytest.approx(1, abs=1e-6)


@given(rate=st.floats(0.001, 0.999), w=st.floats(1, 10))
def test_a_bet_on_a_rate_is_fair_at_that_rate_and_is_never_lost_whole(rate: float, w: float) -> None:
    detector = Rate(rate)
    for one, zero in zip(detector._factors(1.0, w), detector._factors(0.0, w), strict=True):
        assert rate * one + (1 - rate) * zero == pytest.approx(1)
        assert min(one, zero) >= 1 - STAKE_MAX - 1e-9


@kinds
def test_evidence_of_nothing_is_small_on_average_at_any_time(make: type) -> None:
    e_values: dict[int, list[float]] = {50: [], 100: [], 200: []}
    for seed in range(500):
        detector, values = make(), stream(make, seed, 200)
        for n, found in e_values.items():
            told(detector, values[n // 2 if n > 50 else 0 : n])
            found.append(math.exp(detector.log_e_value))
    assert max(np.mean(found) for found in e_values.values()) <= 1


# ---- false alarms


def alarms(detector: Detector, values: np.ndarray, visits: np.ndarray | None = None) -> int:
    """How often it alarms, beginning anew each time."""
    found, mean = 0, VisitMean()
    for n, x in enumerate(values.tolist()):
        done = (x, 1.0) if visits is None else mean.learn_one(x, int(visits[n]))
        if done is not None:
            detector.learn_one(done[0], n, done[1])
            if detector.log_e_value >= ALARM:
                found += 1
                detector.reset()
    return found


def in_visits(rng: np.random.Generator, n: int, carried: float) -> tuple[np.ndarray, np.ndarray]:
    """Values that follow an autoregression within a visit, begun anew with each; visits of 1 to 6 events."""
    visits = np.repeat(np.arange(n), rng.integers(1, 7, n))[:n]
    values = rng.standard_normal(n)
    for i in np.flatnonzero(np.diff(visits) == 0):
        values[i + 1] = carried * values[i] + math.sqrt(1 - carried**2) * values[i + 1]
    return values, visits


NULLS: dict[str, tuple[type, Callable[[np.random.Generator, int], np.ndarray]]] = {
    "normal": (Level, lambda rng, n: rng.normal(40, 0.01, n)),
    "t3": (Level, lambda rng, n: rng.standard_t(3, n)),
    "Cauchy": (Level, lambda rng, n: rng.standard_cauchy(n)),
    "uniform": (Level, lambda rng, n: rng.random(n)),
    "skewed to the right": (Level, lambda rng, n: rng.exponential(1, n)),
    "skewed to the left": (Level, lambda rng, n: -np.exp(0.75 * rng.standard_normal(n))),
    "two humps": (Level, lambda rng, n: rng.choice([-1, 1], n) + 0.3 * rng.standard_normal(n)),
    "errors .02": (Rate, lambda rng, n: rng.random(n) < 0.02),
    "errors .05": (Rate, lambda rng, n: rng.random(n) < 0.05),
    "errors .2": (Rate, lambda rng, n: rng.random(n) < 0.2),
    "errors .4": (Rate, lambda rng, n: rng.random(n) < 0.4),
    "no errors": (Rate, lambda rng, n: np.zeros(n)),
}


@pytest.mark.parametrize("name", NULLS)
def test_false_alarms_stay_within_the_budget_whatever_does_not_change(name: str) -> None:
    make, draw = NULLS[name]
    found = sum(alarms(make(), draw(np.random.default_rng(seed), EVENTS_A_YEAR)) for seed in range(20))
    assert found <= 7  # a budget of 2: that many and more come once in a thousand times by chance


@pytest.mark.parametrize("carried", [0.2, 0.5, 0.9])
def test_events_that_depend_on_each_other_within_a_visit_raise_no_alarm(carried: float) -> None:
    streams = [in_visits(np.random.default_rng(seed), EVENTS_A_YEAR, carried) for seed in range(10)]
    assert sum(alarms(Level(), values, visits) for values, visits in streams) <= 4
    ones = [((values > 1.64).astype(float), visits) for values, visits in streams]
    assert sum(alarms(Rate(), values, visits) for values, visits in ones) <= 4


def test_without_visits_dependent_events_would_raise_alarms() -> None:
    streams = [in_visits(np.random.default_rng(seed), EVENTS_A_YEAR, 0.9)[0] for seed in range(3)]
    assert min(alarms(Level(), values) for values in streams) > 5


# ---- soon enough


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_a_change_is_noticed_about_as_soon_as_asked(change: Any) -> None:
    ours = METHODS[0]
    for history, asked in change.asked.items():
        median = float(asked.partition("/")[0])
        found = np.median(delays(ours, change, history, range(1000, 1060)))
        assert found <= 1.2 * median  # of sixty streams; docs/drift.md has two hundred


@pytest.mark.parametrize(("make", "sizes"), [(Level, (0.5, 1.0, 2.0, 4.0)), (Rate, (0.1, 0.2, 0.4, 0.8))], ids=["level", "rate"])
@given(seed=seeds)
def test_a_greater_change_is_noticed_no_later(make: type, sizes: tuple[float, ...], seed: int) -> None:
    noticed = []
    for size in sizes:
        detector = told(make(), stream(make, seed, 200))
        values = stream(make, seed + 1, 600, size)
        noticed.append(next((n for n, x in enumerate(values) if told(detector, [x], 200 + n).log_e_value >= ALARM), 600))
    assert noticed == sorted(noticed, reverse=True)


@kinds
def test_it_says_since_when(make: type) -> None:
    errors = []
    for seed in range(60):
        detector = told(make(), stream(make, seed, 300))
        for n, x in enumerate(stream(make, 1000 + seed, 500, 1.0 if make is Level else 0.3), 300):
            if told(detector, [x], n).log_e_value >= ALARM:
                break
        errors.append(detector.since - 300)
    assert abs(np.median(errors)) <= 5
    assert np.median(np.abs(errors)) <= 10


# ---- states


@kinds
@given(seed=seeds, cut=st.integers(0, 120), moved=st.sampled_from([0.0, 0.5]))
def test_restored_it_goes_on_as_if_it_had_never_stopped(make: type, seed: int, cut: int, moved: float) -> None:
    values = np.concatenate([stream(make, seed, 60), stream(make, seed, 60, moved)])
    whole = told(make(), values)
    again = told(make.restored(json.loads(json.dumps(told(make(), values[:cut]).state()))), values[cut:], cut)
    assert again.state() == whole.state()
    assert again.log_e_value == whole.log_e_value


@given(st.lists(st.tuples(reals, st.integers(0, 3)), max_size=40), st.integers(0, 40))
def test_visits_restored_go_on_and_give_every_event_once(events: list[tuple[float, int]], cut: int) -> None:
    own, again, given_out = VisitMean(), VisitMean(), 0.0
    for n, (x, visit) in enumerate(events):
        if n == cut:
            again = VisitMean.restored(json.loads(json.dumps(again.state())))
        done = own.learn_one(x, visit)
        assert again.learn_one(x, visit) == done
        if done:
            k = done[1] * 0.7 / (1 - 0.3 * done[1])  # of its worth of independent events
            given_out += done[0] * k
    last = own.flush()
    if last:
        given_out += last[0] * last[1] * 0.7 / (1 - 0.3 * last[1])
    assert given_out == pytest.approx(sum(x for x, _ in events), abs=1e-3)


def test_all_detectors_of_a_person_fit_into_512_bytes() -> None:
    person = [told(Level(), stream(Level, 1, 500)) for _ in range(2)], [told(Rate(), stream(Rate, 1, 500)) for _ in range(2)]
    states = [detector.state() for kind in person for detector in kind] + [VisitMean().state() for _ in range(4)]
    assert sum(len(array("d", state).tobytes()) for state in states) <= 512


@kinds
def test_reset_leaves_nothing_of_before(make: type) -> None:
    detector = told(make(), stream(make, 3, 400, 0.5))
    detector.reset()
    assert detector.state() == make().state()


# ---- one value, and strange ones


@kinds
@given(seed=seeds, x=st.floats(-1e99, 1e99), moved=st.sampled_from([0.0, 0.3]))
def test_one_value_adds_a_bounded_amount(make: type, seed: int, x: float, moved: float) -> None:
    detector = told(make(), [*stream(make, seed, 60), *stream(make, seed, 20, moved)])
    if make is Rate:
        x = float(x > 0)
    before = math.exp(detector.log_e_value) * STARTS
    most = math.exp(2 * STEP * CLIP) if isinstance(detector, Level) else max(detector._factors(x, 1.0))
    detector.learn_one(x)
    assert math.exp(detector.log_e_value) * STARTS <= (before + 1) * most
    assert math.isfinite(detector.log_e_value)


@given(seed=seeds, outlier=st.sampled_from([1e9, -1e9, 1e99]))
def test_after_an_outlier_a_change_is_still_noticed(seed: int, outlier: float) -> None:
    detector = told(Level(), [*stream(Level, seed, 200), outlier, *stream(Level, seed + 1, 100)])
    assert abs(detector.mean) < 0.6
    assert told(detector, stream(Level, seed + 2, 100, 2.0)).log_e_value >= ALARM


@given(seed=seeds, scale=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_evidence_about_a_level_knows_no_unit_no_origin_and_no_direction(seed: int, scale: float, shift: float) -> None:
    values = np.concatenate([stream(Level, seed, 100), stream(Level, seed + 1, 10, 1.0)])
    plain = told(Level(), values).log_e_value
    assert told(Level(), values * scale + shift).log_e_value == pytest.approx(plain, abs=1e-6)
    assert told(Level(), -values).log_e_value == pytest.approx(plain, abs=1e-9)


@kinds
def test_a_cold_start_answers(make: type) -> None:
    detector = make()
    assert (detector.log_e_value, detector.since) == (-math.inf, 0.0)
    assert told(detector, [1.0]).log_e_value < ALARM
    assert Rate(0.2).predict_one() == pytest.approx(0.2)


def test_a_level_that_never_varies_is_no_evidence() -> None:
    assert told(Level(), [0.1] * 300).log_e_value < ALARM


@kinds
def test_evidence_has_a_limit_and_goes_when_the_change_does(make: type) -> None:
    back = 0
    for seed in range(1, 81, 4):
        detector = told(make(), [*stream(make, seed, 300), *stream(make, seed + 1, 80, 0.9)])
        assert ALARM < detector.log_e_value <= math.log(EVIDENCE_MAX / STARTS)
        assert told(detector, stream(make, seed + 2, 400)).log_e_value < ALARM
        back += told(detector, stream(make, seed + 3, 600)).log_e_value >= ALARM
    assert back <= 2  # of twenty: the old level was not unlearnt


@pytest.mark.parametrize("x", [math.nan, math.inf, -math.inf, 1e200])
def test_what_is_no_value_is_refused_and_changes_nothing(x: float) -> None:
    for detector in (told(Level(), stream(Level, 1, 50)), told(Rate(), stream(Rate, 1, 50))):
        before = detector.state()
        with pytest.raises(ValueError, match="was given"):
            detector.learn_one(x)
        assert detector.state() == before


# ---- the benchmark


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), min_size=30, max_size=30))
def test_the_quick_test_of_kolmogorov_and_smirnov_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = ([float(x) for x in side] for side in zip(*pairs, strict=True))
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of samples too alike for SciPy's exact way
        expected = ks_2samp(first, second)
    assert quick_ks(first, second) == pytest.approx((expected.statistic, expected.pvalue))
