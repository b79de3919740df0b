"""Homes as workers last saved them.

Law: it reads whole values and writes nothing; what it says is true as of the home's stream time.
"""

from stream.contract.policy import Policy
from stream.contract.ports import StateStore
from stream.home.state.at_rest import decode_home
from stream.home.state.household import Household

__all__ = ["Homes"]

_PLACES_MAX = 100_000


class Homes:
    """Reads homes from a store, each time anew."""

    def __init__(self, store: StateStore, policy: Policy) -> None:
        self._store, self._policy = store, policy
        self._places: dict[str, int] = {}  # partition, which does not change

    def find(self, household_id: str) -> Household | None:
        """A home; None: nothing is known of it. Raises StoreError, and UnknownState."""
        known = self._places.get(household_id)
        for partition in self._store.partitions() if known is None else (known,):
            state = self._store.load(partition, [household_id]).get(household_id)
            if state is not None:
                if len(self._places) >= _PLACES_MAX:
                    self._places.clear()
                self._places[household_id] = partition
                return decode_home(state, self._policy)
        self._places.pop(household_id, None)
        return None
