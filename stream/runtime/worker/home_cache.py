"""Homes kept in memory in front of a store, so that a busy household is decoded once and not at every event.

Law: what is resident changes speed, never results. A home is loaded when its first event comes, leaves when others
were used more recently, and all leave when the assignment changes.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from stream.contract.policy import Policy
from stream.contract.ports import Offsets, StateStore, StoreError
from stream.home.codec import decode_home
from stream.home.state.home import Home

__all__ = ["HomeCache"]


@dataclass(slots=True)
class _CachedHome:
    home: Home
    size_bytes: int = 0  # of the home as it was last saved; the live object weighs a small multiple of it


class HomeCache:
    """The homes in memory, the least recently used leaving first.

    Parameters
    ----------
    store
        Where homes are loaded from; nothing is ever written to it here.
    policy
        Given to `decode_home` and `Home.new`.
    bytes_max
        The sum of encoded sizes kept after `trim`. One batch may pass it meanwhile: its homes are all needed at once.
    """

    def __init__(self, store: StateStore, policy: Policy, bytes_max: int) -> None:
        self._store, self._policy, self._bytes_max = store, policy, bytes_max
        self._cached: OrderedDict[tuple[int, str], _CachedHome] = OrderedDict()
        self._loaded: Mapping[str, bytes] = {}
        self.size_bytes = 0
        self.homes_new = 0
        self.homes_loaded = 0

    def __len__(self) -> int:
        return len(self._cached)

    def load(self, partition: int, households: Iterable[str], offsets: Offsets) -> None:
        """Load, in one request, the states of those households of one partition that are not resident.

        Raises
        ------
        StoreError
            They do not stand at `offsets`, on both topics, where their worker left them: an older copy of the store was put
            back, or a replica took over that lacked the last writes. What is made of them would be published before a save
            could be refused.
        """
        missing = [household for household in households if (partition, household) not in self._cached]
        if not missing:
            self._loaded = {}
            return
        self._loaded = self._store.load(partition, missing)
        found = self._store.offsets(partition)  # asked afterwards: then what was loaded is no older
        stands_at = {topic: found.get(topic, 0) for topic in offsets}
        if stands_at != offsets:
            raise StoreError(
                f"partition {partition}: the states stand at {stands_at}, their worker left them at {dict(offsets)}; "
                "the store was put back, or another worker has the partition"
            )

    def home(self, partition: int, household: str) -> Home:
        """The live home of a household brought before; a new one if the store has no state of it.

        Raises whatever `decode_home` raises on a state that cannot be read.
        """
        cached = self._cached.get((partition, household))
        if cached is None:
            raw = self._loaded.get(household)
            if raw is None:
                cached = _CachedHome(Home.new(household, self._policy))
                self.homes_new += 1
            else:
                cached = _CachedHome(decode_home(raw, self._policy), len(raw))
                self.homes_loaded += 1
            self._cached[partition, household] = cached
            self.size_bytes += cached.size_bytes
        return cached.home

    def touch(self, partition: int, states: Mapping[str, bytes]) -> None:
        """Note that these homes were saved as these bytes: they are now the most recently used."""
        for household, raw in states.items():
            cached = self._cached[partition, household]
            self.size_bytes += len(raw) - cached.size_bytes
            cached.size_bytes = len(raw)
            self._cached.move_to_end((partition, household))

    def evict(self) -> None:
        """Let the least recently used homes go until the rest fits. Only after everything was saved."""
        while self.size_bytes > self._bytes_max:
            _, cached = self._cached.popitem(last=False)
            self.size_bytes -= cached.size_bytes

    def drop(self, partition: int, household: str) -> None:
        """Forget a live home, if resident; its state in the store is as it was."""
        cached = self._cached.pop((partition, household), None)
        if cached is not None:
            self.size_bytes -= cached.size_bytes

    def clear(self) -> None:
        """Forget all live homes."""
        self._cached.clear()
        self._loaded = {}
        self.size_bytes = 0
