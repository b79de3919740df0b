"""Homes as workers last saved them.

Law: it reads whole values and writes nothing; what it says is true as of the home's stream time. To ask for a home that there is
not, or for none, is as much work as for one that there is: by how long it takes nobody can tell what there is.
"""

from asyncio import Future, get_running_loop
from collections.abc import Iterable

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
        self._waiting: list[tuple[str, Future[bytes | None]]] = []

    def find(self, household_id: str | None) -> Household | None:
        """A home; None: nothing is known of it. Raises StoreError, and UnknownState."""
        name = _NOBODY if household_id is None else household_id
        return self._decode(self._read([name])[name])

    async def find_soon(self, household_id: str | None) -> Household | None:
        """The same, read together with all that are asked for meanwhile: what a read costs beside its bytes, it costs once."""
        loop = get_running_loop()
        if not self._waiting:
            loop.call_soon(self._read_waiting)
        read: Future[bytes | None] = loop.create_future()
        self._waiting.append((_NOBODY if household_id is None else household_id, read))
        return self._decode(await read)

    def _read_waiting(self) -> None:
        waiting, self._waiting = [(name, read) for name, read in self._waiting if not read.done()], []
        try:
            states = self._read(name for name, _ in waiting)
        except Exception as error:  # whatever it is, nobody waits for ever
            for _, read in waiting:
                read.set_exception(error)
            return
        for name, read in waiting:
            read.set_result(states[name])

    def _decode(self, state: bytes | None) -> Household | None:
        if state is not None:
            self._latest = state
        home = None if self._latest is None else decode_home(self._latest, self._policy)
        return home if state is not None else None

    def _read(self, names: Iterable[str]) -> dict[str, bytes | None]:
        """One read for all, but for the first of a name, which may need one of each partition."""
        wanted = dict.fromkeys(names)
        places = [(self._places[name], name) for name in wanted if name in self._places]
        states: dict[str, bytes | None] = {name: self._search(name) for name in wanted if name not in self._places}
        for (_, name), state in zip(places, self._store.read(places), strict=True):
            states[name] = state
            if state is not None:
                self._absent.discard(name)
            elif name not in self._absent:
                del self._places[name]
        return states

    def _search(self, name: str) -> bytes | None:
        """The state of a name that was not asked for before, from whichever partition has it."""
        partitions = [*self._store.partitions()]
        first = partition_of(name.encode(), len(partitions)) if partitions else 0
        for partition in sorted(partitions, key=lambda partition: partition != first):
            (state,) = self._store.read([(partition, name)])
            if state is not None:
                self._place(name, partition)
                return state
        if partitions == [*range(len(partitions))]:  # else a worker has yet to take some of them
            self._place(name, first)
            self._absent.add(name)
        return None

    def _place(self, name: str, partition: int) -> None:
        if len(self._places) >= _PLACES_MAX:
            self._places.clear()
            self._absent.clear()
        self._places[name] = partition
