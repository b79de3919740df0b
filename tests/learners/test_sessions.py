"""Streams, shifts and strays against their laws: as the classes of `drift`, kept and brought back, blind to what stays."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.drift.edetectors import EVIDENCE_MAX, Rate, Rise, threshold
from learners.drift.localise import evidence_of_shift, named_shares
from learners.drift.mean_shift import LATELY, Shift
from learners.drift.person_shift import SEEN_MIN, Stray
from learners.drift.sessions import VISIT_MAX, Rates, Rises, Stream
from learners.kernels import plain, plain_drift

compiled: Any = pytest.importorskip("learners.kernels.compiled_drift", reason="Numba is not installed here: there is one kind.")
both_kinds = pytest.mark.parametrize("kind", [plain_drift, compiled], ids=["plain", "compiled"])
seeds = st.integers(0, 2**32 - 1)
streams = pytest.mark.parametrize("make", [Rises, lambda: Rates(0.2)], ids=["rises", "rates"])
ALARM = threshold(73_000)


def told(stream: Stream, values: Any, first: int = 1) -> Stream:
    """The same stream, having heard each value in a visit of its own."""
    for n, x in enumerate(values, first):
        stream.learn_one(float(x), visit=n, at=n)
    return stream


def values_of(make: Any, seed: int, n: int, moved: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.normal(moved, 1, n) if make is Rises else (rng.random(n) < 0.2 + moved / 5).astype(float)


# ---- as the classes


@both_kinds
@given(seed=seeds, moved=st.sampled_from([0.0, 0.8]), n=st.integers(0, 150))
def test_a_rise_on_bare_numbers_is_the_class(kind: Any, seed: int, moved: float, n: int) -> None:
    state, detector = np.array(Rise().state(), "f4"), Rise()
    for at, x in enumerate([*values_of(Rises, seed, n), *values_of(Rises, seed + 1, 30, moved)]):
        w = 1 + at % 3
        evidence = kind.learn_rise(state, x, at, w)
        detector.learn_one(x, at, w)
        assert state.tolist() == pytest.approx(detector.state(), rel=2e-3, abs=2e-3)
        assert evidence == plain_drift.evidence_of(state, Rise.SHARES)
        detector.load(state.tolist())


@both_kinds
@given(seed=seeds, moved=st.sampled_from([0.0, 2.0]), n=st.integers(0, 150), rate=st.sampled_from([0.05, 0.3]))
def test_a_rate_on_bare_numbers_is_the_class(kind: Any, seed: int, moved: float, n: int, rate: float) -> None:
    state, detector = np.array(Rate().state(), "f4"), Rate(rate)
    for at, x in enumerate([*values_of(Rates, seed, n), *values_of(Rates, seed + 1, 30, moved)]):
        evidence = kind.learn_rate(state, x, at, 1.0, rate)
        detector.learn_one(x, at)
        assert state.tolist() == pytest.approx(detector.state(), rel=2e-3, abs=2e-3)
        assert evidence == plain_drift.evidence_of(state, Rate.SHARES)
        detector.load(state.tolist())


@both_kinds
def test_evidence_on_bare_numbers_has_the_limit_of_the_class(kind: Any) -> None:
    state = np.array(Rise().state(), "f4")
    for at, x in enumerate([*values_of(Rises, 1, 200), *values_of(Rises, 2, 60, 4.0)]):
        evidence = kind.learn_rise(state, x, at, 1.0)
    assert 1e9 < evidence <= EVIDENCE_MAX * 1.001


@given(seed=seeds, people=st.integers(1, 4), kept=st.integers(0, 9))
def test_both_kinds_see_the_same_stray(seed: int, people: int, kept: int) -> None:
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(20)[:6])
    usual, vector = rng.normal(0, 1, 6).astype("f4"), rng.normal(0, 1, 20).astype("f4")
    rows = rng.integers(-40, 40, (kept, 20)).astype("i1"), rng.random((kept, people)).astype("f4")
    one, other = (kind.stray(usual, chosen, rows, people - 1, vector) for kind in (plain_drift, compiled))
    assert one == pytest.approx(other, abs=1e-4, nan_ok=True)


@given(seed=seeds, people=st.integers(0, 4), kept=st.integers(0, 9))
def test_both_kinds_leave_the_same_beside_those_who_made_it(seed: int, people: int, kept: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.integers(-40, 40, (kept, 20)).astype("i1"), rng.random((kept, people)).astype("f4")
    tails = rng.normal(0, 1, (2 * people, 20)).astype("f4"), rng.integers(0, 3, 2 * people).astype("f4")
    vector, between, shares = rng.normal(0, 1, 20).astype("f4"), rng.uniform(0.2, 4, 20).astype("f4"), rng.random(people)
    one, other = (kind.beside(vector, shares.astype("f4"), rows, tails, between) for kind in (plain_drift, compiled))
    np.testing.assert_allclose(one, other, atol=1e-4)


@both_kinds
def test_what_a_device_adds_is_the_same_whoever_speaks(kind: Any) -> None:
    rng = np.random.default_rng(0)
    places, added = rng.normal(0, 2, (2, 20)), rng.normal(0, 1, 20)
    whose, between = np.eye(2, dtype="f4")[np.arange(100) % 2], np.full(20, 4, "f4")
    rows = np.rint((whose @ places + 0.3 * rng.normal(0, 1, (100, 20))) * 16).clip(-127, 127).astype("i1"), whose
    none = np.zeros((4, 20), "f4"), np.zeros(4, "f4")
    for place, shares in zip(places, np.eye(2, dtype="f4"), strict=True):
        left = kind.beside((place + added).astype("f4"), shares, rows, none, between)
        np.testing.assert_allclose(left, added, atol=0.3)


@given(seed=seeds, seen=st.integers(1, 30))
def test_both_kinds_follow_alike_and_keep_float16(seed: int, seen: int) -> None:
    from learners.kernels import compiled as fast  # beside the module that is checked for

    rng, found = np.random.default_rng(seed), []
    way = np.sort(rng.permutation(20)[:6]), rng.uniform(0.3, 1, 6).astype("f4")
    vectors = rng.normal(0, 1, (seen, 20)).astype("f4")
    for kind in (plain, fast):
        means, heading, origin = np.zeros((2, 6), "f4"), np.zeros(6, "f4"), 0.0
        for n, vector in enumerate(vectors, 1):
            origin = kind.follow(vector, way, means, heading, (max(1 / n, 0.2), 1 / n))
        assert means.astype("f2").astype("f4").tolist() == means.tolist()
        found.append((means, heading, origin))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=5e-3)
    assert found[0][1] @ found[1][1] == pytest.approx(found[0][1] @ found[0][1], abs=0.05)


# ---- streams


@streams
@given(seed=seeds, cut=st.integers(0, 160))
def test_a_stream_brought_back_goes_on_as_if_it_had_never_stopped(make: Any, seed: int, cut: int) -> None:
    values = [*values_of(make, seed, 120), *values_of(make, seed + 1, 40, 1.5)]
    whole, again = told(make(), values), make()
    again.load(told(make(), values[:cut]).state())
    assert told(again, values[cut:], cut + 1).state() == whole.state()
    assert (again.e_value, again.since) == (whole.e_value, whole.since)


@streams
def test_a_visit_is_one_value_however_many_events_it_has(make: Any) -> None:
    one, many = make(), make()
    for visit, x in enumerate(values_of(make, 3, 150), 1):
        one.learn_one(x, visit, visit)
        for _ in range(3 * VISIT_MAX if visit == 100 else 1):
            many.learn_one(x, visit, visit)
    assert many.e_value < 10 * max(one.e_value, 0.1)
    assert len(many.state()) == len(one.state()) <= 48


@streams
def test_a_stream_notices_a_change_and_not_a_calm(make: Any) -> None:
    calm = told(make(), values_of(make, 5, 400))
    assert calm.e_value < math.exp(ALARM)
    told(calm, values_of(make, 6, 150, 1.5), 401)
    assert calm.e_value > math.exp(ALARM)
    assert abs(calm.since - 400) < 40
    calm.reset()
    assert calm.state() == make().state()


def test_a_value_beyond_all_measure_moves_no_more_than_a_great_one() -> None:
    one, other = told(Rises(), [*values_of(Rises, 1, 50), 1e30]), told(Rises(), [*values_of(Rises, 1, 50), 256.0])
    assert one.state() == other.state()


# ---- vectors


def moving(seed: int, n: int, moved: float, k: int = 40) -> np.ndarray:
    """Vectors about zero, then about a place that lies `moved` from there in each dimension."""
    rng = np.random.default_rng(seed)
    return (rng.normal(0, 1, (n, k)) + moved * rng.choice([-1, 1], k)).astype("f4")


def scores(shift: Shift, vectors: np.ndarray) -> list[float]:
    found = []
    for vector in vectors:
        score = shift.score_one(vector)
        if score is not None:
            found.append(score)
        shift.learn_one(vector)
    return found


@given(seed=seeds)
def test_what_does_not_move_is_scored_about_zero_and_what_moves_far_above(seed: int) -> None:
    shift = Shift(np.linspace(3, 1, 40).astype("f4"))
    calm = scores(shift, moving(seed, 300, 0.0))
    assert len(calm) == 300 - LATELY - 1
    assert abs(np.mean(calm)) < 0.5
    assert np.mean(scores(shift, moving(seed + 1, 60, 0.8))[20:]) > np.mean(calm) + 1


@given(seed=seeds, cut=st.integers(0, 60))
def test_a_shift_brought_back_goes_on_as_if_it_had_never_stopped(seed: int, cut: int) -> None:
    between, vectors = np.linspace(3, 1, 40).astype("f4"), moving(seed, 60, 0.0)
    whole, part = Shift(between), Shift(between)
    scores(whole, vectors)
    scores(part, vectors[:cut])
    again = Shift.restored(between, *part.state())
    scores(again, vectors[cut:])
    assert again.state() == whole.state()
    assert again.score_one(vectors[0]) == whole.score_one(vectors[0])


def test_a_stray_is_told_once_there_is_something_usual_and_something_lately() -> None:
    rng, place = np.random.default_rng(0), Stray(40)
    usual, changed = (rng.normal(0, 1, (20, 40)).astype("f4") + x for x in (0, 2))
    kept = (np.clip(changed[:5] * 16, -127, 127)).astype("i1"), np.ones((5, 1), "f4")
    for seen, vector in enumerate(usual):
        assert (place.score_one(vector, kept, 0) is None) == (seen < SEEN_MIN)
        place.learn_one(vector)
    assert place.score_one(changed[9], (kept[0][:1], kept[1][:1]), 0) is None  # fewer than LATELY_MIN are kept
    assert plain_drift.LATELY_MIN > 1
    strayed, stayed = (place.score_one(x, kept, 0) for x in (changed[9], usual[9]))
    assert None not in (strayed, stayed)
    assert strayed > stayed + 3
    again = Stray.restored(40, *place.state())
    assert again.score_one(changed[9], kept, 0) == strayed


# ---- causes


@given(seed=seeds)
def test_a_shift_of_one_person_is_theirs_and_a_shift_of_all_is_the_devices(seed: int) -> None:
    rng = np.random.default_rng(seed)
    noise, shift = rng.normal(0, 1, (30, 24)), 1.2 * rng.choice([-1, 1], 24)
    whose = np.arange(30) % 3
    everybody, person = np.ones(30), (whose == 0).astype(float)
    of_one = (noise + shift * person[:, None]).astype("f4")
    of_all = (noise + shift).astype("f4")
    assert evidence_of_shift(of_one, person) > evidence_of_shift(of_one, everybody)
    assert evidence_of_shift(of_all, everybody) > evidence_of_shift(of_all, person)
    assert evidence_of_shift(noise.astype("f4"), everybody) < 0


def test_beliefs_are_shares_of_what_is_known() -> None:
    assert named_shares([]) == []
    assert named_shares([1.0, 1.0]) == [0.5, 0.5]
    assert sum(named_shares([700.0, -700.0, 3.0])) == pytest.approx(1)
