"""Which records were seen: none twice, and none that is new is taken for one that came."""

import numpy as np
import pytest

from learners.kernel import array, entry_at_first_use
from stream.home.core.admission.seen import FEEDBACK, RECOGNISED, add_seen, is_seen
from stream.home.state.household import new_slot
from stream.home.state.layout import HOME, SEEN_PER_FILTER
from stream.home.state.names import HASH_BYTES

OTHERS = 500_000
COUNT = np.dtype(np.int64)


@entry_at_first_use(array(HOME), array(COUNT), array(COUNT))
def see(homes, told, at):
    """Let a home remember ids: `told` is their kind, then the ids, of one sender, whose times are `at` and on."""
    for i in range(1, len(told)):
        add_seen(homes[0], told[0], told[i], np.uint64(1), at[0] + i)


@entry_at_first_use(array(HOME), array(COUNT), array(COUNT))
def count_seen(homes, asked, at):
    """How many ids of a kind, the first of `asked`, are taken for seen, each as of the time `at`: becomes that."""
    found = 0
    for i in range(1, len(asked)):
        if is_seen(homes[0], asked[0], asked[i], np.uint64(1), at[0]):
            found += 1
    at[0] = found


def ids(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 8 * HASH_BYTES, count)


def seen_of(home: np.ndarray, kind: int, numbers: np.ndarray, at: int) -> int:
    found = np.array([at])
    count_seen(home, np.array([kind, *numbers]), found)
    return int(found[0])


@pytest.mark.parametrize(("kind", "most"), [(RECOGNISED, OTHERS // 250_000), (FEEDBACK, OTHERS // 12_000)])
def test_a_new_record_is_hardly_ever_taken_for_seen(kind: int, most: int) -> None:
    home, own = new_slot(), ids(SEEN_PER_FILTER, 1)
    see(home, np.array([kind, *own]), np.array([1_000]))
    assert int(home["seen"][0, kind, 0]["ids"]) == SEEN_PER_FILTER, "it is as full as one gets"
    for at in (1_001, 10_000):
        assert seen_of(home, kind, own, at) == len(own)
        assert seen_of(home, kind, ids(OTHERS, 2), at) <= most


def test_what_is_no_longer_in_the_youngest_filter_is_known_as_long_as_its_sender_is_no_later() -> None:
    home, own = new_slot(), ids(2 * SEEN_PER_FILTER, 3)
    see(home, np.array([RECOGNISED, *own]), np.array([0]))
    assert seen_of(home, RECOGNISED, own, SEEN_PER_FILTER) == len(own)
    assert seen_of(home, RECOGNISED, own, 10_000) == SEEN_PER_FILTER
