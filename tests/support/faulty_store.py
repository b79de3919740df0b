"""A store that fails on demand, around any other."""

from collections.abc import Iterable, Mapping, Sequence

from stream.brokers import Faults
from stream.contract.ports import Claimed, Offsets, StateStore, StoreError

__all__ = ["FaultyStore"]


class FaultyStore:
    """One worker's handle on a store that several share."""

    def __init__(self, store: StateStore, faults: Faults) -> None:
        self._store, self._faults = store, faults

    def claim(self, partition: int) -> Claimed:
        claimed = self._store.claim(partition)  # the epoch is raised even when the reply is lost
        if self._faults.strike("store_error_at_claim"):
            raise StoreError("the store does not answer a claim")
        return claimed

    def offsets(self, partition: int) -> Offsets:
        return self._store.offsets(partition)

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        if self._faults.strike("store_error_at_load"):
            raise StoreError("the store does not answer a load")
        return self._store.load(partition, households)

    def read(self, places: Sequence[tuple[int, str]]) -> list[bytes | None]:
        return self._store.read(places)

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        self._faults.crash("crash_before_save")
        if self._faults.strike("store_error_at_save"):
            raise StoreError("the store refuses to save")
        if self._faults.strike("zombie_before_save"):
            self._faults.stand_still()
        self._store.save(partition, epoch, offsets_from, offsets_to, states)
        self._faults.crash("crash_after_save")
        if self._faults.strike("lost_reply_of_save"):
            raise StoreError("the store does not answer whether it saved")

    def forget_overwritten(self) -> None:
        self._store.forget_overwritten()

    def households(self, partition: int) -> Iterable[str]:
        return self._store.households(partition)

    def partitions(self) -> Sequence[int]:
        return self._store.partitions()

    def close(self) -> None:
        self._store.close()
