"""What a device adds to everybody's recordings: it is learnt as far as it is sure, and taken off before people are compared."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import types

from learners.kernel import array, entry_at_first_use
from learners.precision import MEAN_STEP, SHARE_ONE, VECTOR_STEP, VECTOR_STEPS_MAX
from stream.home.core.learn import OFFSET_GAIN, _learn_offset
from stream.home.core.posterior import ALIGNED, VOICE_TERM, row_logits
from stream.home.core.work import WORK
from stream.home.messages import POLICY
from stream.home.state.layout import HOME, ROWS_MAX, VOICE

KITCHEN, HALL, PEOPLE, K = 1, 2, 4, 40
LAST = ROWS_MAX - 1
seeds = st.integers(0, 2**32 - 1)
_home, _policy, _work, i8 = array(HOME), array(POLICY), array(WORK), types.int64


@entry_at_first_use(_home, i8, _policy, _work)
def align(home: Any, index: int, policy: Any, work: Any) -> None:
    """work.raw and work.aligned: a row's voice as it came, and less what its device adds."""
    row_logits(home[0], index, VOICE_TERM | ALIGNED, policy[0], work[0])


@entry_at_first_use(_home, i8, _policy, _work)
def learn_offset(home: Any, index: int, policy: Any, work: Any) -> None:
    """Learn from a row's voice, and from whose it is (work.shares), what its device adds."""
    _learn_offset(home[0], index, VOICE, policy[0], work[0])


class Room:
    """A home of four people who are well known from the kitchen; the last row is a voice that was just heard."""

    def __init__(self, seed: int) -> None:
        self.home, self.policy, self.work = np.zeros(1, HOME), np.zeros(1, POLICY), np.zeros(1, WORK)
        self.rng = np.random.default_rng(seed)
        self.places = self.rng.normal(0, 2, (PEOPLE, K))
        numbers = self.policy[0]["encoders"][0]
        numbers["dimensions"], numbers["channels"], numbers["fitted"], numbers["temperature"] = K, 1, 1, 1.0
        numbers["between"][:K], numbers["noise"][0] = 3.0, 1.0
        home = self.home[0]
        home["people_used"], home["galleries_used"], home["rows_used"] = PEOPLE, 1, ROWS_MAX
        for n in range(ROWS_MAX):
            self.put(n, KITCHEN, self.places[n % PEOPLE] + self.rng.normal(0, 1, K))
            home["rows"][n]["shares"][1 + n % PEOPLE] = SHARE_ONE if n < LAST else 0

    def put(self, index: int, device: int, vector: Any) -> None:
        row = self.home[0]["rows"][index]
        row["device_name"], row["encoders"][VOICE], row["noises"][VOICE] = device, 1, 32
        row["vectors"][VOICE][:K] = np.clip(np.rint(vector / VECTOR_STEP), -VECTOR_STEPS_MAX, VECTOR_STEPS_MAX)

    def hear(self, device: int, person: int, added: float) -> None:
        """A voice that is learnt from, and then is no row any more."""
        self.put(LAST, device, self.places[person] + self.rng.normal(0, 1, K) + added)
        align(self.home, LAST, self.policy, self.work)
        self.work[0]["shares"][: PEOPLE + 1] = 0
        self.work[0]["shares"][person + 1] = SHARE_ONE
        learn_offset(self.home, LAST, self.policy, self.work)

    def taken_off(self, device: int) -> Any:
        """(K,) What is taken off a voice that a device hears."""
        self.put(LAST, device, np.ones(K))
        align(self.home, LAST, self.policy, self.work)
        return (self.work[0]["raw"] - self.work[0]["aligned"])[VOICE][:K]

    def offsets(self) -> dict[int, Any]:
        gallery = self.home[0]["galleries"][0]
        return {int(o["device_name"]): o["vector"][:K] * MEAN_STEP for o in gallery["offsets"][: int(gallery["offsets_used"])]}


@given(seed=seeds)
def test_what_a_device_adds_to_everybody_is_taken_off_and_what_is_chance_is_not(seed: int) -> None:
    moved, still = Room(seed), Room(seed)
    for n in range(40):
        moved.hear(HALL, n % PEOPLE, 1.0)
        still.hear(HALL, n % PEOPLE, 0.0)
    assert moved.taken_off(HALL).mean() == pytest.approx(1.0, abs=0.35)
    assert np.square(still.taken_off(HALL)).mean() < 0.25
    assert not moved.taken_off(KITCHEN).any()


@given(seed=seeds)
def test_one_recording_moves_a_devices_offset_by_its_gain_at_most(seed: int) -> None:
    room = Room(seed)
    for n in range(10):
        room.hear(HALL, n % PEOPLE, 0.0)
    before = room.offsets()[HALL]
    room.hear(HALL, 0, 30.0)
    assert np.abs(room.offsets()[HALL] - before).max() <= OFFSET_GAIN * 16


def test_the_devices_whose_offset_is_kept_are_the_latest() -> None:
    room = Room(0)
    for device in (3, 4, 5, 6, 5):
        room.hear(device, 0, 0.0)
    assert list(room.offsets()) == [6, 5]


def test_a_guests_voice_tells_nothing_of_the_device() -> None:
    room = Room(0)
    room.hear(HALL, 0, 1.0)
    before = room.offsets()[HALL].tolist()
    room.work[0]["shares"][: PEOPLE + 1] = [SHARE_ONE, 0, 0, 0, 0]
    learn_offset(room.home, LAST, room.policy, room.work)
    assert room.offsets()[HALL].tolist() == before
