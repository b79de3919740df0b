"""Where the people of a home lie: what all of its recordings have in common is not taken for likeness."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.estimators import Gallery

K = 64
GUEST = "guest"


def learnt(seed: int, offset: float, spread: float) -> tuple[Gallery, np.ndarray, np.ndarray]:
    """A home of four who enrolled three times, with eight guests' recordings; then one more of each, and of others."""
    rng = np.random.default_rng(seed)
    common = offset * rng.standard_normal(K)
    gallery = Gallery(between=1.5, temperature=0.3, centre_spread=spread)

    def recording(place: np.ndarray) -> np.ndarray:
        return common + place + rng.standard_normal(K)

    places = np.sqrt(1.5) * rng.standard_normal((24, K))
    for person in range(4):
        for _ in range(3):
            gallery.learn_one(recording(places[person]).tolist(), f"p{person}")
    for guest in range(4, 12):
        gallery.learn_one(recording(places[guest]).tolist(), GUEST)
    return gallery, np.array([recording(place) for place in places[:4]]), np.array([recording(place) for place in places[12:]])


def likeness(gallery: Gallery, vectors: np.ndarray) -> float:
    """Nats of the member that a vector is most like, on average."""
    return float(np.mean([max(gallery.llr_one(vector.tolist()).values()) for vector in vectors]))


@pytest.mark.parametrize("offset", [1.0, 1.5])
def test_guests_are_no_more_like_members_for_what_every_device_adds_from_the_first_day(offset: float) -> None:
    told = {
        name: np.mean([likeness(learnt(seed, *how)[0], learnt(seed, *how)[2]) for seed in range(8)])
        for name, how in {"plain": (0.0, 0.25), "found": (offset, 0.25), "not sought": (offset, 0.0)}.items()
    }
    assert told["found"] < told["plain"] + 1.0
    assert told["found"] < told["not sought"] - 1.0


def test_members_stay_who_they_are() -> None:
    for offset in (0.0, 1.5):
        gallery, members, _ = learnt(3, offset, 0.25)
        assert [gallery.predict_one(vector.tolist()) for vector in members] == ["p0", "p1", "p2", "p3"]


@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_taken_back_leaves_no_trace_in_where_people_lie(seed: int) -> None:
    gallery, members, _ = learnt(seed, 1.0, 0.25)
    before = gallery.llr_one(members[0].tolist())
    gallery.learn_one(members[1].tolist(), GUEST)
    gallery.unlearn_one(members[1].tolist(), GUEST)
    assert gallery.llr_one(members[0].tolist()) == before
