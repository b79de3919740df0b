"""What every store of states must do. An adapter's tests subclass `StoreConformance` and say how it is opened.

A difference that an adapter cannot help is that test overridden in the subclass with `xfail(strict=True, reason=…)`.
"""

import random
from collections.abc import Callable, Iterator

import pytest

from stream.contract.ports import Claimed, Fenced, Offsets, StateStore, StoreError

__all__ = ["OpenStore", "StoreConformance"]

OpenStore = Callable[[], StateStore]  # another handle on the same states, as another worker has one

START: Offsets = {}
FIRST: Offsets = {"recognitions": 3, "feedback": 1}
SECOND: Offsets = {"recognitions": 5, "feedback": 1}


class StoreConformance:
    """The port's promises. `open_store` is the adapter's; states are empty at the beginning of each test."""

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError("the adapter's test class says how its store is opened")

    @pytest.fixture
    def store(self, open_store: OpenStore) -> Iterator[StateStore]:
        store = open_store()
        yield store
        store.close()

    def test_the_first_claim_gives_epoch_1_and_no_offsets(self, store: StateStore) -> None:
        assert store.claim(0) == Claimed(1, {})

    def test_a_claim_raises_the_epoch_of_its_partition_only(self, store: StateStore) -> None:
        store.claim(0)
        assert (store.claim(0).epoch, store.claim(1).epoch) == (2, 1)

    def test_a_claim_tells_where_the_states_stand(self, store: StateStore) -> None:
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-1": b"one"})
        assert store.claim(0).offsets == FIRST

    def test_where_the_states_stand_can_be_asked_without_a_claim(self, store: StateStore) -> None:
        assert store.offsets(0) == {}
        epoch = store.claim(0).epoch
        assert store.offsets(0) == {}
        store.save(0, epoch, START, FIRST, {})
        assert (store.offsets(0), store.offsets(1)) == (FIRST, {})
        store.save(0, epoch, FIRST, SECOND, {})  # the epoch that was claimed is still the newest

    def test_what_was_saved_is_loaded(self, store: StateStore) -> None:
        states = {"h-1": bytes(range(256)), "h-2": b"", "H:2.-_": b"x" * 100_000}
        store.save(0, store.claim(0).epoch, START, FIRST, states)
        assert store.load(0, list(states)) == states

    def test_what_is_loaded_is_bytes_also_when_asked_for_twice_at_once(self, store: StateStore) -> None:
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-1": b"one"})
        loaded = store.load(0, ["h-1", "h-1"])
        assert loaded == {"h-1": b"one"}
        assert type(loaded["h-1"]) is bytes

    def test_a_household_may_have_any_name_that_the_contract_allows(self, store: StateStore) -> None:
        names = ["head", "homes", "home:h-1", ":", "0:head", "partitions", "-._", "x" * 64, "H-1", "h-1"]
        states = {name: name.encode() for name in names}
        store.save(0, store.claim(0).epoch, START, FIRST, states)
        assert store.load(0, names) == states
        assert list(store.households(0)) == sorted(names)
        assert store.claim(0) == Claimed(2, FIRST)

    def test_a_batch_of_1000_homes_of_8_kib_is_one_save(self, store: StateStore) -> None:
        epoch = store.claim(0).epoch
        for number, (start, end) in enumerate([(START, FIRST), (FIRST, SECOND)]):
            states = {f"h-{home}": bytes([number, home % 256]) * 4096 for home in range(1_000)}
            store.save(0, epoch, start, end, states)
            assert store.load(0, list(states)) == states

    def test_offsets_are_exact_however_large(self, store: StateStore) -> None:
        epoch, high = store.claim(0).epoch, 2**63 - 2
        store.save(0, epoch, START, {"recognitions": high}, {})
        with pytest.raises(StoreError):
            store.save(0, epoch, {"recognitions": high - 1}, {"recognitions": high + 1}, {})
        store.save(0, epoch, {"recognitions": high}, {"recognitions": high + 1}, {})
        assert store.claim(0).offsets == {"recognitions": high + 1}

    def test_nothing_is_known_of_a_partition_that_nobody_claimed(self, store: StateStore) -> None:
        assert (store.load(0, ["h-1"]), list(store.households(0)), list(store.partitions())) == ({}, [], [])

    def test_a_household_without_a_state_is_absent(self, store: StateStore) -> None:
        assert store.load(0, ["h-1"]) == {}
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-1": b"one"})
        assert store.load(0, ["h-2", "h-1"]) == {"h-1": b"one"}
        assert store.load(0, []) == {}

    def test_partitions_do_not_see_each_other(self, store: StateStore) -> None:
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-1": b"one"})
        assert store.load(1, ["h-1"]) == {}
        assert store.claim(1).offsets == {}
        assert list(store.households(1)) == []

    def test_homes_of_several_partitions_are_read_at_once(self, store: StateStore) -> None:
        for partition in range(5):
            states = {name: f"{name} {partition}".encode() for name in ("h-1", f"h-{partition + 2}")}
            store.save(partition, store.claim(partition).epoch, START, FIRST, states)
        places = [(4, "h-1"), (0, "h-1"), (3, "h-5"), (3, "h-4"), (9, "h-1"), (1, "h-3"), (0, "h-1")]
        assert store.read(places) == [b"h-1 4", b"h-1 0", b"h-5 3", None, None, b"h-3 1", b"h-1 0"]
        assert store.read([]) == []

    def test_a_later_state_replaces_an_earlier_and_leaves_the_others(self, store: StateStore) -> None:
        epoch = store.claim(0).epoch
        store.save(0, epoch, START, FIRST, {"h-1": b"one", "h-2": b"two"})
        store.save(0, epoch, FIRST, SECOND, {"h-1": b"uno"})
        assert store.load(0, ["h-1", "h-2"]) == {"h-1": b"uno", "h-2": b"two"}

    def test_offsets_go_on_even_when_no_state_changed(self, store: StateStore) -> None:
        store.save(0, store.claim(0).epoch, START, FIRST, {})
        assert store.claim(0).offsets == FIRST

    def test_a_save_said_twice_does_nothing_the_second_time(self, store: StateStore) -> None:
        epoch = store.claim(0).epoch
        store.save(0, epoch, START, FIRST, {"h-1": b"one"})
        store.save(0, epoch, START, FIRST, {"h-1": b"other bytes"})
        assert store.load(0, ["h-1"]) == {"h-1": b"one"}
        assert store.claim(0).offsets == FIRST

    def test_an_older_epoch_saves_nothing(self, open_store: OpenStore) -> None:
        zombie, successor = open_store(), open_store()
        old = zombie.claim(0).epoch
        successor.claim(0)
        with pytest.raises(Fenced):
            zombie.save(0, old, START, FIRST, {"h-1": b"one"})
        assert successor.load(0, ["h-1"]) == {}
        assert successor.claim(0).offsets == {}

    def test_an_older_epoch_is_fenced_even_when_it_repeats_what_stands(self, store: StateStore) -> None:
        old = store.claim(0).epoch
        store.save(0, old, START, FIRST, {"h-1": b"one"})
        store.claim(0)
        with pytest.raises(Fenced):
            store.save(0, old, START, FIRST, {"h-1": b"one"})

    def test_who_never_claimed_saves_nothing(self, store: StateStore) -> None:
        with pytest.raises(Fenced):
            store.save(0, 1, START, FIRST, {"h-1": b"one"})
        assert store.load(0, ["h-1"]) == {}

    def test_an_epoch_that_was_never_given_saves_nothing(self, store: StateStore) -> None:
        epoch = store.claim(0).epoch
        for strange in (0, epoch + 1):
            with pytest.raises(Fenced):
                store.save(0, strange, START, FIRST, {"h-1": b"one"})
        assert store.load(0, ["h-1"]) == {}

    def test_a_save_to_where_the_states_stand_writes_nothing(self, store: StateStore) -> None:
        epoch = store.claim(0).epoch
        store.save(0, epoch, START, FIRST, {"h-1": b"one"})
        store.save(0, epoch, FIRST, FIRST, {"h-1": b"uno"})
        assert store.load(0, ["h-1"]) == {"h-1": b"one"}

    @pytest.mark.parametrize("offsets_from", [SECOND, {"recognitions": 3}, {"recognitions": 2, "feedback": 1}, START])
    def test_a_save_that_does_not_continue_is_refused_whole(self, store: StateStore, offsets_from: Offsets) -> None:
        epoch = store.claim(0).epoch
        store.save(0, epoch, START, FIRST, {"h-1": b"one"})
        with pytest.raises(StoreError):
            store.save(0, epoch, offsets_from, {"recognitions": 9, "feedback": 9}, {"h-1": b"uno", "h-2": b"two"})
        assert store.load(0, ["h-1", "h-2"]) == {"h-1": b"one"}
        assert list(store.households(0)) == ["h-1"]
        store.save(0, epoch, FIRST, SECOND, {"h-1": b"uno"})
        assert store.claim(0).offsets == SECOND

    def test_a_topic_that_is_absent_stands_at_0(self, store: StateStore) -> None:
        epoch = store.claim(0).epoch
        store.save(0, epoch, {"recognitions": 0, "feedback": 0}, {"recognitions": 2}, {"h-1": b"one"})
        store.save(0, epoch, {"recognitions": 2, "feedback": 0}, FIRST, {"h-1": b"uno"})
        assert store.load(0, ["h-1"]) == {"h-1": b"uno"}

    def test_households_are_sorted_and_without_what_is_not_a_household(self, store: StateStore) -> None:
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-2": b"", "h-10": b"", "!quarantine": b"{}", "h-1": b""})
        assert list(store.households(0)) == ["h-1", "h-10", "h-2"]
        assert store.load(0, ["!quarantine"]) == {"!quarantine": b"{}"}

    def test_partitions_are_those_ever_claimed_in_order(self, store: StateStore) -> None:
        for partition in (11, 2, 11):
            store.claim(partition)
        store.load(5, ["h-1"])
        assert list(store.partitions()) == [2, 11]

    def test_many_households_are_loaded_at_once(self, store: StateStore) -> None:
        states = {f"h-{number}": str(number).encode() for number in range(2_500)}
        store.save(0, store.claim(0).epoch, START, FIRST, states)
        assert store.load(0, list(states)) == states

    def test_closing_twice_is_no_error(self, open_store: OpenStore) -> None:
        store = open_store()
        store.close()
        store.close()

    def test_another_handle_sees_what_one_saved(self, open_store: OpenStore) -> None:
        one, other = open_store(), open_store()
        one.save(0, one.claim(0).epoch, START, FIRST, {"h-1": b"one"})
        one.close()
        assert other.load(0, ["h-1"]) == {"h-1": b"one"}
        assert other.claim(0) == Claimed(2, FIRST)

    @pytest.mark.parametrize("seed", range(5))
    def test_any_history_reads_back_as_from_a_plain_dictionary(self, open_store: OpenStore, seed: int) -> None:
        chance, handles = random.Random(seed), [open_store(), open_store()]
        epochs = {(handle, partition): 0 for handle in range(2) for partition in range(2)}
        newest, stands_at, states = [0, 0], [0, 0], {}
        for turn in range(60):
            handle, partition, household = chance.randrange(2), chance.randrange(2), f"h-{chance.randrange(4)}"
            if chance.random() < 0.2:
                claimed = handles[handle].claim(partition)
                newest[partition] += 1
                epochs[handle, partition] = newest[partition]
                assert claimed.epoch == newest[partition]
                assert claimed.offsets.get("feedback", 0) == stands_at[partition]
                continue
            start = chance.choice([stands_at[partition], stands_at[partition], stands_at[partition] + 1])
            outcome: type[Exception] | None = None
            if epochs[handle, partition] != newest[partition] or not newest[partition]:
                outcome = Fenced
            elif start != stands_at[partition]:
                outcome = StoreError
            save = (partition, epochs[handle, partition], {"feedback": start}, {"feedback": start + 2}, {household: b"%d" % turn})
            if outcome is None:
                handles[handle].save(*save)
                stands_at[partition], states[partition, household] = start + 2, b"%d" % turn
            else:
                with pytest.raises(outcome):
                    handles[handle].save(*save)
            expected = {name: state for (home, name), state in states.items() if home == partition}
            assert handles[1 - handle].load(partition, [f"h-{number}" for number in range(4)]) == expected
