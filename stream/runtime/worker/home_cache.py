"""Homes kept in memory in front of a store, so that a busy household is loaded once and not at every event.

Law: what is resident changes speed, never results. A home is loaded when its first event comes, leaves when others were used more
recently, and all leave when the assignment changes.

Theory of operation: what is worked on stands live in slots of contiguous arrays, each a whole record; what was worked
on lately is kept as the bytes that it was saved as, a tenth of that. Both count by the bytes that they take.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

import numpy as np

from stream.contract.policy import Policy
from stream.contract.ports import Offsets, StoreError
from stream.home.state.at_rest import decode_home
from stream.home.state.household import Household, Slot
from stream.home.state.layout import HOME

__all__ = ["LIVE_SHARE", "HomeCache", "Origin", "states_at"]

LIVE_SHARE: Final = 0.5  # of the bytes: for homes in slots
SLOTS_IN_ARRAY: Final = 256
OVERHEAD_BYTES: Final = 512  # of one kept state: its bytes object, its name and its place in the table

Key = tuple[int, str]  # partition, household


class Origin(Protocol):
    """What homes are loaded from: as much of a store as that takes."""

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]: ...

    def offsets(self, partition: int) -> Offsets: ...


def states_at(origin: Origin, partition: int, households: Sequence[str], offsets: Offsets) -> dict[str, bytes]:
    """States of those households of one partition that have one, in one request.

    Raises
    ------
    StoreError
        They do not stand at `offsets`, where their worker left them: an older copy of the store was put back, or
        a replica took over that lacked the last writes. What is made of them would be published before a save
        could be refused.
    """
    states = origin.load(partition, households)
    found = origin.offsets(partition)  # asked afterwards: then what was loaded is no older
    stands_at = {topic: found.get(topic, 0) for topic in offsets}
    if stands_at != offsets:
        raise StoreError(
            f"partition {partition}: the states stand at {stands_at}, their worker left them at {dict(offsets)}; "
            "the store was put back, or another worker has the partition"
        )
    return states


class HomeCache:
    """The homes in memory, the least recently used leaving first.

    Parameters
    ----------
    store
        Where homes are loaded from; nothing is ever written to it here.
    policy
        Given to `decode_home`.
    bytes_max
        The most bytes kept after `touch`. One batch may pass it meanwhile: its homes are all needed at once.
    """

    def __init__(self, store: Origin, policy: Policy, bytes_max: int) -> None:
        self._store, self._policy, self._bytes_max = store, policy, bytes_max
        self._live_max = max(1, int(bytes_max * LIVE_SHARE) // HOME.itemsize)
        self._live: OrderedDict[Key, Household] = OrderedDict()
        self._free: list[Slot] = []
        self._kept: OrderedDict[Key, bytes] = OrderedDict()
        self._kept_bytes = 0
        self.unsaved: deque[Mapping[int, Mapping[str, bytes]]] = deque()  # states that the store lacks, by partition
        self._loaded: dict[str, bytes] = {}
        self.homes_new = 0
        self.homes_loaded = 0

    def __len__(self) -> int:
        return len(self._live.keys() | self._kept.keys())

    @property
    def size_bytes(self) -> int:
        """What the homes in memory weigh: whole records of those in slots, and what is kept of others."""
        return len(self._live) * HOME.itemsize + self._kept_bytes

    def load(self, partition: int, households: Iterable[str], offsets: Offsets) -> None:
        """Load the states of those households of one partition that are not resident. Raises as `states_at`."""
        keys = ((partition, household) for household in households)
        missing = [key[1] for key in keys if key not in self._live and key not in self._kept]
        unsaved = [states[partition] for states in self.unsaved if partition in states] if missing else []
        self._loaded = {household: states[household] for states in unsaved for household in missing if household in states}
        absent = [household for household in missing if household not in self._loaded]
        if absent:
            self._loaded |= states_at(self._store, partition, absent, offsets)

    def home(self, partition: int, household: str) -> Household:
        """The live home of a household loaded before; a new one if the store has no state of it.

        Raises whatever `decode_home` raises on a state that cannot be read.
        """
        key = partition, household
        live = self._live.get(key)
        if live is None:
            raw = self._kept.get(key) or self._loaded.get(household)
            slot = self._slot()
            try:
                live = Household.new(household, slot) if raw is None else decode_home(raw, self._policy, slot)
            except BaseException:
                self._free.append(slot)
                raise
            if raw is None:
                self.homes_new += 1
            elif key not in self._kept:
                self.homes_loaded += 1
            self._live[key] = live
        return live

    def renew(self, partition: int, household: str) -> Household:
        """A new home in the place of one, of which nothing is read."""
        self.drop(partition, household)
        self._forget((partition, household))
        self.homes_new += 1
        home = self._live[partition, household] = Household.new(household, self._slot())
        return home

    def _slot(self) -> Slot:
        if not self._free:
            homes = np.zeros(SLOTS_IN_ARRAY, HOME)
            self._free = [homes[i : i + 1] for i in reversed(range(SLOTS_IN_ARRAY))]
        return self._free.pop()

    def touch(self, states: Mapping[int, Mapping[str, bytes]]) -> None:
        """Note that these homes, by partition, are to be saved as these bytes. They are now the most recently used, and
        others go for them; whoever goes before it was saved is found among the unsaved, from which the caller takes them.
        """
        self.unsaved.append(states)
        for partition, household, raw in ((partition, *one) for partition, of in states.items() for one in of.items()):
            key = partition, household
            if key in self._live:
                self._live.move_to_end(key)
            self._forget(key)
            self._kept[key] = raw
            self._kept_bytes += len(raw) + OVERHEAD_BYTES
        self._evict()

    def _forget(self, key: Key) -> None:
        raw = self._kept.pop(key, None)
        if raw is not None:
            self._kept_bytes -= len(raw) + OVERHEAD_BYTES

    def _evict(self) -> None:
        """Let the least recently used homes go until the rest fits."""
        while len(self._live) > self._live_max:
            _, home = self._live.popitem(last=False)
            self._free.append(home.slot)
        while self._kept and self.size_bytes > self._bytes_max:
            key = next(iter(self._kept))
            self._forget(key)
            gone = self._live.pop(key, None)
            if gone is not None:
                self._free.append(gone.slot)

    def drop(self, partition: int, household: str) -> None:
        """Forget a live home, if resident; what was kept of it, and its state in the store, are as they were."""
        live = self._live.pop((partition, household), None)
        if live is not None:
            self._free.append(live.slot)

    def clear(self) -> None:
        """Forget all homes."""
        self._free.extend(home.slot for home in self._live.values())
        self._live.clear()
        self._kept.clear()
        self._kept_bytes = 0
        self.unsaved.clear()
        self._loaded = {}
