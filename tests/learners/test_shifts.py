"""Shifts of means and of persons, residuals and what explains them, against a plain reference in float64."""

import hashlib
import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import types

from learners.drift.localise import evidence_of_shift, evidence_of_some
from learners.drift.mean_shift import LATELY, learn_mean_shift, score_mean_shift
from learners.drift.person_shift import SEEN_MIN, learn_person_shift, score_person_shift
from learners.drift.residual import residual, residuals_in
from learners.kernel import array, entry_at_first_use
from learners.precision import MEAN_STEP, MEAN_STEPS_MAX, SHARE_ONE, VECTOR_STEP
from stream.home.core.work import WORK
from stream.home.messages import POLICY
from stream.home.state.layout import DIMENSIONS, EAR, HEADING, HOME, USUAL
from tests.naive import drift as naive

seeds = st.integers(0, 2**32 - 1)
f8, i8 = types.float64, types.int64
_home, _policy, _work, _ear = array(HOME), array(POLICY), array(WORK), array(EAR)
_vector = array(np.dtype("f4"))
K = 40


@entry_at_first_use(_ear, _vector, _policy, result=f8)
def score_mean(ear: Any, vector: Any, policy: Any) -> float:
    return score_mean_shift(ear[0], vector, policy[0].encoders[0])


@entry_at_first_use(_ear, _vector, _policy)
def learn_mean(ear: Any, vector: Any, policy: Any) -> None:
    learn_mean_shift(ear[0], vector, policy[0].encoders[0])


@entry_at_first_use(_home, i8, i8, _vector, _policy, result=f8)
def score_person(home: Any, column: int, before: int, vector: Any, policy: Any) -> float:
    return score_person_shift(home[0], (0, column), before, vector, policy[0].encoders[0])


@entry_at_first_use(_home, i8, _vector, _policy)
def learn_person(home: Any, column: int, vector: Any, policy: Any) -> None:
    learn_person_shift(home[0].people[column].places[0], vector, policy[0].encoders[0])


@entry_at_first_use(_home, i8, _policy, _work)
def leave(home: Any, before: int, policy: Any, work: Any) -> None:
    residual(home[0], 0, before, policy[0], work[0])


@entry_at_first_use(_home, i8, i8, _work)
def leave_in(home: Any, first: int, dimension: int, work: Any) -> None:
    residuals_in(home[0], 0, first, dimension, work[0])


@entry_at_first_use(f8, f8, i8, result=f8)
def shift_nats(square: float, mass: float, dimensions: int) -> float:
    return evidence_of_shift(square, mass, dimensions)


@entry_at_first_use(array(np.dtype("f8")), result=f8)
def some_nats(nats: Any) -> float:
    return evidence_of_some(nats, len(nats))


def policy_of(between: Any) -> Any:
    policy = np.zeros(1, POLICY)
    numbers = policy[0]["encoders"][0]
    numbers["dimensions"], numbers["between"][: len(between)] = len(between), between
    chosen = np.sort(np.argsort(between, kind="stable")[:HEADING])
    numbers["heading"], numbers["heading_used"] = chosen, HEADING
    numbers["heading_scale"] = 1 / np.sqrt(1 + between[chosen])
    numbers["usual"], numbers["usual_used"] = np.linspace(0, len(between) - 1, USUAL).astype(int), USUAL
    return policy


def kept_home(seed: int, people: int, rows: int) -> tuple[Any, list[tuple[list[float], list[Any]]]]:
    """A home with some kept rows and tails of gallery 0, and (weights, vectors) of each person."""
    rng, home = np.random.default_rng(seed), np.zeros(1, HOME)
    known: list[tuple[list[float], list[Any]]] = [([], []) for _ in range(people)]
    one = home[0]
    one["people_used"], one["rows_used"], one["galleries_used"] = people, rows, 1
    for i in range(rows):
        row = one["rows"][i]
        row["number"], row["encoders"][0] = i + 1, 1
        row["vectors"][0][:K] = rng.integers(-60, 60, K)
        row["shares"][: people + 1] = rng.multinomial(SHARE_ONE, rng.dirichlet(np.full(people + 1, 0.4)))
        for p, (weights, vectors) in enumerate(known):
            weights.append(row["shares"][p + 1] / SHARE_ONE)
            vectors.append(row["vectors"][0][:K] * VECTOR_STEP)
    for p, (weights, vectors) in enumerate(known):
        person = one["people"][p]
        person["tails_used"] = p % 3
        for t in range(p % 3):
            tail = person["tails"][t]
            tail["mass"], tail["vector"][:K] = rng.uniform(0.5, 9), rng.integers(-9000, 9000, K)
            weights.append(float(tail["mass"]))
            vectors.append(tail["vector"][:K] * MEAN_STEP)
    return home, known


def before_row(known: Any, rows: int, count: int) -> list[tuple[list[float], list[Any]]]:
    """What is known of each person by the first rows, and by tails."""
    return [((w[:count] + w[rows:]) or [0.0], (v[:count] + v[rows:]) or [np.zeros(K)]) for w, v in known]


def moving(seed: int, n: int, moved: float) -> Any:
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, (n, K)) + moved * rng.choice([-1, 1], K)).astype("f4")


@given(seed=seeds)
def test_a_mean_shift_is_the_formulas(seed: int) -> None:
    policy, ear = policy_of(np.linspace(3, 1, K).astype("f4")), np.zeros(1, EAR)
    numbers = policy[0]["encoders"][0]
    plain = naive.MeanShift(numbers["heading"], numbers["heading_scale"])
    for n, vector in enumerate([*moving(seed, 120, 0.0), *moving(seed, 40, 0.8)]):
        score = score_mean(ear, vector, policy)
        assert math.isnan(score) == (n <= LATELY)
        assert score == pytest.approx(plain.score(vector), abs=1e-6, nan_ok=True)
        learn_mean(ear, vector, policy)
        plain.learn(vector)
        kept = ear[0]["lately"] * MEAN_STEP, ear[0]["usual"] * MEAN_STEP
        np.testing.assert_allclose(kept, (plain.lately, plain.usual), rtol=0, atol=MEAN_STEP / 2 + 1e-9)
        plain.lately, plain.usual = kept
    assert ear[0]["seen"] == plain.seen == 100


def test_a_mean_keeps_within_what_is_kept_of_it() -> None:
    policy, ear = policy_of(np.ones(K, "f4")), np.zeros(1, EAR)
    learn_mean(ear, np.full(K, 90.0, "f4"), policy)
    learn_mean(ear, np.full(K, -900.0, "f4"), policy)
    assert set(ear[0]["lately"].tolist()) == {-MEAN_STEPS_MAX}


def test_what_does_not_move_is_scored_about_zero_and_what_moves_far_above() -> None:
    policy, ear, found = policy_of(np.linspace(3, 1, K).astype("f4")), np.zeros(1, EAR), []
    for vector in [*moving(1, 300, 0.0), *moving(2, 60, 0.8)]:
        found.append(score_mean(ear, vector, policy))
        learn_mean(ear, vector, policy)
    assert abs(np.mean(found[13:300])) < 0.5
    assert np.mean(found[320:]) > np.mean(found[13:300]) + 1


@given(seed=seeds, rows=st.integers(0, 33), before=st.integers(1, 34))
def test_a_person_shift_is_the_formulas(seed: int, rows: int, before: int) -> None:
    policy, (home, known) = policy_of(np.ones(K, "f4")), kept_home(seed, 2, rows)
    plain = naive.PersonShift(policy[0]["encoders"][0]["usual"])
    there = min(rows, before - 1)
    for n, vector in enumerate(moving(seed, 20, 0.0)):
        score = score_person(home, 1, before, vector, policy)
        expected = plain.score(vector, known[1][1][:there], known[1][0][:there])
        assert score == pytest.approx(expected, abs=1e-6, nan_ok=True)
        assert math.isnan(score) or n >= SEEN_MIN
        learn_person(home, 1, vector, policy)
        plain.learn(vector)
        kept = home[0]["people"][1]["places"][0]["usual"] * MEAN_STEP
        np.testing.assert_allclose(kept, plain.usual, rtol=0, atol=MEAN_STEP / 2 + 1e-9)
        plain.usual = kept


@given(seed=seeds, people=st.integers(0, 4), rows=st.integers(0, 33), before=st.integers(1, 34))
def test_a_residual_is_what_is_left_beside_places(seed: int, people: int, rows: int, before: int) -> None:
    between = np.linspace(0.2, 3, K).astype("f4")
    policy, (home, known), work = policy_of(between), kept_home(seed, people, rows), np.zeros(1, WORK)
    rng = np.random.default_rng(seed)
    vector, posterior = rng.normal(0, 2, K).astype("f4"), rng.dirichlet(np.full(people + 1, 0.4))
    work[0]["raw"][0][:K], work[0]["posterior"][: people + 1] = vector, posterior
    leave(home, before, policy, work)
    expected = naive.residual(vector, posterior[1:], before_row(known, rows, min(rows, before - 1)), between)
    np.testing.assert_allclose(work[0]["expected"][:K], expected, atol=2e-4)


@given(seed=seeds, people=st.integers(1, 4), rows=st.integers(1, 33))
def test_residuals_of_kept_rows_are_the_same_by_dimension(seed: int, people: int, rows: int) -> None:
    between = np.linspace(0.2, 3, K).astype("f4")
    (home, known), work, first = kept_home(seed, people, rows), np.zeros(1, WORK), rows // 2 + 1
    owned = np.random.default_rng(seed).dirichlet(np.full(people + 1, 0.4), rows)
    owned[:, 1:][owned[:, 1:] < 1 / 64] = 0  # of whom there is less, one formula takes no place off
    work[0]["tables"][2][:rows, : people + 1], work[0]["inverse"][:K] = owned, 1 / between
    earlier = before_row(known, rows, first - 1)
    for dimension in (0, K - 1):
        leave_in(home, first, dimension, work)
        for i in range(first - 1, rows):
            vector = home[0]["rows"][i]["vectors"][0][:K] * VECTOR_STEP
            expected = naive.residual(vector, owned[i, 1:], earlier, between)
            assert work[0]["own"][i] == pytest.approx(expected[dimension], abs=2e-4)


@given(seed=seeds)
def test_evidence_of_a_shift_is_the_formula_and_the_right_cause_has_most(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shift, whose = 1.2 * rng.choice([-1, 1], 24), np.arange(30) % 3 == 0
    noise, everybody, one = rng.normal(0, 1, (30, 24)), np.ones(30), whose.astype(float)
    nats = {}
    for name, residuals in {"one": noise + shift * one[:, None], "all": noise + shift, "none": noise}.items():
        for cause, weights in {"one": one, "all": everybody}.items():
            total = weights @ residuals
            nats[name, cause] = shift_nats(float(total @ total), float(weights.sum()), 24)
            assert nats[name, cause] == pytest.approx(naive.evidence_of_shift(residuals, weights))
    assert nats["one", "one"] > nats["one", "all"]
    assert nats["all", "all"] > nats["all", "one"]
    assert nats["none", "all"] < 0


def test_evidence_in_some_encoders_is_the_mean_over_each_alone_and_all_together() -> None:
    nan = math.nan
    assert some_nats(np.array([nan, nan])) == 0
    assert some_nats(np.array([nan, 3.0])) == 3
    expected = math.log((math.exp(2) + math.exp(3) + math.exp(5)) / 3)
    assert some_nats(np.array([2.0, nan, 3.0])) == pytest.approx(expected)
    assert some_nats(np.array([900.0, -900.0])) == pytest.approx(900 - math.log(3))


def digest() -> str:
    """Of everything here, on one seed."""
    found, policy = hashlib.blake2b(digest_size=16), policy_of(np.linspace(0.2, 3, K).astype("f4"))
    (home, _), ear, work = kept_home(3, 3, 30), np.zeros(1, EAR), np.zeros(1, WORK)
    for vector in moving(4, 40, 0.3):
        scores = score_mean(ear, vector, policy), score_person(home, 2, 25, vector, policy)
        found.update(np.array(scores).tobytes())
        learn_mean(ear, vector, policy)
        learn_person(home, 2, vector, policy)
    work[0]["raw"][0][:K], work[0]["posterior"][:4] = moving(5, 1, 0.0)[0], (0.1, 0.2, 0.3, 0.4)
    leave(home, 25, policy, work)
    found.update(work[0]["expected"].tobytes())
    work[0]["tables"][2][:30, 1:4], work[0]["inverse"] = 0.3, 0.7
    leave_in(home, 20, 5, work)
    for part in (work[0]["own"], home, ear):
        found.update(part.tobytes())
    assert DIMENSIONS >= K
    return found.hexdigest()


def test_interpreted_shifts_are_the_compiled_ones_to_the_byte() -> None:
    told = "from tests.learners.test_shifts import digest; print(digest())"
    interpreted = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    other = subprocess.run([sys.executable, "-c", told], env=interpreted, capture_output=True, text=True)
    assert other.stdout.strip() == digest(), other.stderr
