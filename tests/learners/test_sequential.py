"""Sequential evidence, against a plain reference in float64, and compiled against interpreted."""

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

from learners.drift.sequential import EVIDENCE_MAX, learn_rate, learn_rise, reset_stream
from learners.kernel import array, entry_at_first_use
from stream.home.state.layout import RATE, RISE
from tests.naive.drift import MeanRise, RateChange

ALARM = math.log(0.75 * 73_000 / 1000)
seeds = st.integers(0, 2**32 - 1)
f8, i8 = types.float64, types.int64


@entry_at_first_use(array(RISE), f8, i8, i8, result=f8)
def rise(stream: Any, x: float, session: int, at: int) -> float:
    return learn_rise(stream[0], x, session, at)


@entry_at_first_use(array(RATE), f8, i8, i8, f8, result=f8)
def rate(stream: Any, x: float, session: int, at: int, usual: float) -> float:
    return learn_rate(stream[0], x, session, at, usual)


@entry_at_first_use(array(RATE))
def reset(stream: Any) -> None:
    reset_stream(stream[0].session, stream[0].numbers[:])


class Rise:
    """A MeanRise on its record."""

    def __init__(self) -> None:
        self.record, self.naive = np.zeros(1, RISE), MeanRise()

    def learn(self, x: float, session: int, at: int) -> float:
        return rise(self.record, float(x), session, at)


class Rate:
    """A RateChange on its record."""

    def __init__(self) -> None:
        self.record, self.naive = np.zeros(1, RATE), RateChange(0.2)

    def learn(self, x: float, session: int, at: int) -> float:
        return rate(self.record, float(x), session, at, 0.2)


streams = pytest.mark.parametrize("make", [Rise, Rate])


def values_of(make: Any, seed: int, n: int, moved: float = 0.0) -> list[float]:
    rng = np.random.default_rng(seed)
    values = rng.normal(moved, 1, n) if make is Rise else rng.random(n) < 0.2 + moved / 5
    return values.astype(float).tolist()


@streams
@given(seed=seeds, moved=st.sampled_from([0.0, 1.2]), n=st.integers(0, 150), length=st.integers(1, 4))
def test_a_stream_is_the_formulas(make: Any, seed: int, moved: float, n: int, length: int) -> None:
    stream = make()
    stream.naive.stand(stream.record[0])
    stream.naive.run = 1.0  # a record of zeros is a stream that saw nothing
    for at, x in enumerate([*values_of(make, seed, n), *values_of(make, seed + 1, 40, moved)], 1):
        e_value = stream.learn(x, at - at % length, at)
        stream.naive.learn(x, at - at % length, at)
        expected = [*stream.naive.numbers()[:-4], *stream.naive.numbers()[-3:]]
        found = stream.record[0]["numbers"].tolist()
        assert [*found[:-4], *found[-3:]] == pytest.approx(expected, rel=1e-5, abs=1e-5)
        assert e_value == pytest.approx(stream.naive.e_value, rel=1e-5)
        stream.naive.stand(stream.record[0])
        stream.naive.run = stream.naive.run or 1.0


def test_evidence_has_a_limit() -> None:
    stream = Rise()
    for at, x in enumerate([*values_of(Rise, 1, 200), *values_of(Rise, 2, 60, 4.0)], 1):
        e_value = stream.learn(x, at, at)
    assert 1e6 < e_value <= EVIDENCE_MAX / 1000 * 1.001


@streams
def test_a_stream_notices_a_change_and_not_a_calm(make: Any) -> None:
    stream = make()
    for at, x in enumerate(values_of(make, 5, 400), 1):
        e_value = stream.learn(x, at, at)
    assert e_value < math.exp(ALARM)
    for at, x in enumerate(values_of(make, 6, 150, 1.5), 401):
        e_value = stream.learn(x, at, at)
    assert e_value > math.exp(ALARM)
    assert abs(stream.record[0]["numbers"][-5] - 400) < 40


@streams
def test_a_session_is_one_value_however_many_events_it_has(make: Any) -> None:
    one, many = make(), make()
    for session, x in enumerate(values_of(make, 3, 150), 1):
        e_value = one.learn(x, session, session)
        for _ in range(800 if session == 100 else 1):
            other = many.learn(x, session, session)
    assert other < 10 * max(e_value, 0.1)
    assert many.record[0]["session"]["events"] <= 255


def test_a_value_beyond_all_measure_moves_no_more_than_a_great_one() -> None:
    found = []
    for great in (1e30, 256.0):
        stream = Rise()
        for at, x in enumerate([*values_of(Rise, 1, 50), great, 0.0], 1):
            stream.learn(x, at, at)
        found.append(stream.record.tobytes())
    assert found[0] == found[1]


def test_what_is_reset_has_seen_nothing() -> None:
    stream = Rate()
    for at, x in enumerate(values_of(Rate, 7, 90), 1):
        stream.learn(x, at, at)
    reset(stream.record)
    assert stream.record.tobytes() == np.zeros(1, RATE).tobytes()


def digest() -> str:
    """Of some lives of both kinds of stream."""
    found = hashlib.blake2b(digest_size=16)
    for make in (Rise, Rate):
        for seed in range(6):
            stream = make()
            for at, x in enumerate([*values_of(make, seed, 100), *values_of(make, seed + 9, 60, 1.5)], 1):
                found.update(np.float64(stream.learn(x, at // 2, at)).tobytes())
            found.update(stream.record.tobytes())
    return found.hexdigest()


def test_interpreted_streams_are_the_compiled_ones_to_the_byte() -> None:
    told = "from tests.learners.test_sequential import digest; print(digest())"
    interpreted = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    other = subprocess.run([sys.executable, "-c", told], env=interpreted, capture_output=True, text=True)
    assert other.stdout.strip() == digest(), other.stderr
