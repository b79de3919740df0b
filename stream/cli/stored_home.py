"""One household's state, as commands that look at it find it: in the store of workers, or of a replay.

Law: it looks and changes nothing.
"""

import difflib
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from stream.contract.policy import Policy
    from stream.contract.ports import StateStore
    from stream.contract.settings import Wiring
    from stream.home.state.household import Household

__all__ = ["StoredHome", "find_home", "unknown"]

_COMPARED_MAX: Final = 20_000  # ids that an unknown one is compared with: enough for a slip of the pen, and quick
_NEAREST_MAX: Final = 5


class StoredHome(NamedTuple):
    """A household's state, its partition, and why it was left out of the last batches, if it was."""

    household: str
    partition: int
    state: bytes
    left_out: str | None

    def decode(self, policy: "Policy") -> "Household":
        """The home itself. Raises StoreError when it cannot be read."""
        from stream.contract.ports import StoreError
        from stream.home.state.at_rest import decode_home

        try:
            return decode_home(self.state, policy)
        except ValueError as error:
            raise StoreError(f"the state of {self.household} cannot be read: {error}") from error


def find_home(wiring: "Wiring", household: str) -> StoredHome:
    """What the store of a wiring has of a household. Raises ConfigError when it has none, and names those alike."""
    from stream.contract.settings import store_of
    from stream.stores import open_store

    with closing(open_store(_require_existing(store_of(wiring)), wiring)) as store:
        for partition in store.partitions():
            state = store.load(partition, [household]).get(household)
            if state is not None:
                return StoredHome(household, partition, state, _why_left_out(store, partition, household))
        raise unknown("HOUSEHOLD", household, list(islice(_all_households(store), _COMPARED_MAX)), "a household with a state")


def _require_existing(url: str) -> str:
    """The same, unless it is a file that is not there, which to open would make."""
    from stream.contract.errors import ConfigError

    if "://" not in url and not Path(url).exists():
        raise ConfigError("store", url, "a file that does not exist", "the --store of a replay, or the Redis of workers")
    return url


def _why_left_out(store: "StateStore", partition: int, household: str) -> str | None:
    from stream.runtime.worker.quarantine import QUARANTINE, Quarantine

    stored = store.load(partition, [QUARANTINE]).get(QUARANTINE)
    return None if stored is None else Quarantine.decode(stored).households.get(household)


def _all_households(store: "StateStore") -> Iterator[str]:
    return (household for partition in store.partitions() for household in store.households(partition))


def unknown(key: str, name: str, known: Sequence[str], wanted: str) -> Exception:
    """The error of a name that is not among those known, with the nearest of these."""
    from stream.contract.errors import ConfigError

    near = difflib.get_close_matches(name, known, n=_NEAREST_MAX, cutoff=0.5) or known[:_NEAREST_MAX]
    right = f"{wanted}, such as {', '.join(near)}" if near else f"{wanted}, and there is none"
    return ConfigError(key, name, "which is unknown", right)
