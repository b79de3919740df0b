"""Claims, runs of claims and thresholds, and the fusion that they are weighed into: against their formulas, within bounds."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import types

from learners.estimators import ClaimRun, ErrorThreshold, SourceReliability
from learners.kernel import array, entry_at_first_use
from learners.precision import SHARE_ONE, SHARE_STEP
from learners.recognition.fusion import log_odds, quantise, softmax
from learners.recognition.thresholds import CAUTION_STEP
from tests.naive import recognition as naive

posteriors = st.lists(st.floats(1e-4, 1), min_size=2, max_size=6).map(lambda found: [x / sum(found) for x in found])
claims = st.lists(st.tuples(posteriors, st.integers(0, 5), st.booleans()), max_size=20)
f8, i8 = types.float64, types.int64
_floats = array(np.dtype("f8"))


@entry_at_first_use(_floats, _floats)
def soften(logits: Any, out: Any) -> None:
    softmax(logits, len(logits), out)


@entry_at_first_use(_floats, array(np.dtype("i2")))
def round_shares(probabilities: Any, out: Any) -> None:
    quantise(probabilities, len(probabilities), out)


@entry_at_first_use(f8, result=f8)
def log_odds_of(p: float) -> float:
    return log_odds(p)  # type: ignore[no-any-return]


# ---- fusion


@given(st.lists(st.floats(-700, 700), min_size=1, max_size=20))
def test_a_posterior_sums_to_1_and_at_stored_precision_nearly(logits: list[float]) -> None:
    found, steps = np.empty(len(logits) + 1), np.empty(len(logits) + 1, "i2")
    soften(np.array([*logits, -math.inf]), found)
    assert found.tolist() == pytest.approx(naive.softmax([*logits, -math.inf]), abs=1e-12)
    assert found.sum() == pytest.approx(1)
    assert found[-1] == 0
    round_shares(found, steps)
    assert (np.abs(steps * SHARE_STEP - found) <= SHARE_STEP / 2).all()
    again = steps.copy()
    round_shares(steps * SHARE_STEP, again)
    assert again.tolist() == steps.tolist()


@given(st.floats(0, 1))
def test_log_odds_are_finite_between_0_and_1(p: float) -> None:
    assert log_odds_of(p) == pytest.approx(naive.log_odds(p), abs=1e-9)
    assert (log_odds_of(1.0000001), log_odds_of(-1e-9)) == (math.inf, -math.inf)


# ---- sources


@given(claims)
def test_reliability_is_a_beta_count_that_is_taken_back_exactly(told: list[tuple[list[float], int, bool]]) -> None:
    source, counted, right, wrong = SourceReliability(0.9, 20), [], 18.0, 2.0
    fresh = source.to_bytes()
    for posterior, who, no in told:
        named, before = who % len(posterior), source.predict_one()
        assert before == pytest.approx(right / (right + wrong))
        counted.append(source.learn_one(posterior, named, no))
        assert counted[-1] == pytest.approx(naive.expected_right(posterior, named, before, no), abs=SHARE_STEP)
        right, wrong = right + counted[-1], wrong + 1 - counted[-1]
        assert abs(source.predict_one() - before) <= 1 / 21
    for value in reversed(counted):
        source.unlearn_one(value)
    assert source.to_bytes() == fresh


@given(posterior=posteriors, who=st.integers(0, 5), no=st.booleans(), honesty=st.floats(0.01, 0.99))
def test_a_claim_multiplies_the_odds_of_what_it_says(posterior: list[float], who: int, no: bool, honesty: float) -> None:
    source, named = SourceReliability(honesty), who % len(posterior)
    nats = source.nats_one(len(posterior), no)
    assert nats == pytest.approx(naive.claim_nats(len(posterior), source.predict_one(), no), abs=1e-9)
    found = source.predict_proba_one(posterior, named, no)
    assert found == pytest.approx(naive.weighed(posterior, named, math.exp(-nats if no else nats)))
    assert 0.5 * sum(abs(a - b) for a, b in zip(found, posterior, strict=True)) <= math.tanh(nats / 4) + 1e-9


@given(claims)
def test_evidence_of_a_run_is_the_sum_over_all_beginnings(told: list[tuple[list[float], int, bool]]) -> None:
    run, factors = ClaimRun(), []
    for posterior, who, no in told:
        run.learn_one(posterior, who % len(posterior), no)
        factors.append(naive.surprise(posterior, who % len(posterior), no))
    assert run.evidence == pytest.approx(naive.evidence_of_run(factors), rel=1e-6)
    expected = math.log(naive.evidence_of_run(factors) / len(factors)) if factors else 0.0
    assert run.log_e_value == pytest.approx(expected, abs=1e-6)


# ---- thresholds


@given(
    told=st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60), aim=st.floats(0.001, 0.5), rate=st.floats(0.01, 4),
    bounds=st.tuples(st.floats(0, 1), st.floats(0, 4)),
)  # fmt: skip
def test_a_threshold_moves_by_its_formula_within_its_bounds(
    told: list[tuple[float, bool]], aim: float, rate: float, bounds: tuple[float, float]
) -> None:
    lower, higher = bounds
    threshold = ErrorThreshold(aim, rate, lower, higher)
    for share, wrong in told:
        before = threshold.predict_one()
        threshold.learn_one(share * wrong, share)
        expected = naive.threshold_moved(before, share * wrong, share, aim, rate)
        assert threshold.predict_one() == pytest.approx(max(-lower, min(expected, higher)), abs=CAUTION_STEP)
        assert -lower <= threshold.predict_one() <= higher


def test_steps_of_shares_are_a_whole() -> None:
    assert SHARE_ONE * SHARE_STEP == 1
