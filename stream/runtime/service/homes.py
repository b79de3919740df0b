"""Homes as workers last saved them.

Law: it reads whole values and writes nothing; what it says is true as of the home's stream time. To ask for a home that there is
not, or for none, is as much work as for one that there is: by how long it takes nobody can tell what there is.
"""

from stream.brokers.partitioning import partition_of
from stream.contract.policy import Policy
from stream.contract.ports import StateStore
from stream.home.state.at_rest import decode_home
from stream.home.state.household import Household

__all__ = ["Homes"]

_PLACES_MAX = 100_000
_NOBODY = "?"  # the name of no home


class Homes:
    """Reads homes from a store, each time anew."""

    def __init__(self, store: StateStore, policy: Policy) -> None:
        self._store, self._policy = store, policy
        self._places: dict[str, int] = {}  # partition, which does not change
        self._absent: set[str] = set()  # of these, those that were in none
        self._latest: bytes | None = None  # a state that is decoded in the place of one that there is not

    def find(self, household_id: str | None) -> Household | None:
        """A home; None: nothing is known of it. Raises StoreError, and UnknownState."""
        name = _NOBODY if household_id is None else household_id
        state = self._read(name)
        if state is not None:
            self._latest = state
        home = None if self._latest is None else decode_home(self._latest, self._policy)
        return home if state is not None else None

    def _read(self, name: str) -> bytes | None:
        """One read, but for the first of a name, which may need one of each partition."""
        known = self._places.get(name)
        for partition in self._likely(name) if known is None else (known,):
            state = self._store.load(partition, [name]).get(name)
            if state is not None:
                self._place(name, partition)
                self._absent.discard(name)
                return state
        if known is not None and name not in self._absent:
            del self._places[name]
        return None

    def _likely(self, name: str) -> list[int]:
        """All partitions, that which Kafka's partitioner gives a name first."""
        partitions = [*self._store.partitions()]
        first = partition_of(name.encode(), len(partitions)) if partitions else 0
        if partitions == [*range(len(partitions))]:  # else a worker has yet to take some of them
            self._place(name, first)
            self._absent.add(name)
        return sorted(partitions, key=lambda partition: partition != first)

    def _place(self, name: str, partition: int) -> None:
        if len(self._places) >= _PLACES_MAX:
            self._places.clear()
            self._absent.clear()
        self._places[name] = partition
