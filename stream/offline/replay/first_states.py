"""States to begin with, from a file that a run with `--store` made.

Law: the file is copied and never changed; what of it cannot be read is told before a log is.
"""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

from stream.contract.errors import ConfigError, NewerState, UnknownState
from stream.contract.policy import Policy
from stream.contract.ports import StateStore
from stream.home.state.at_rest import decode_home

__all__ = ["copy_states", "refuse_unreadable", "states_of"]

_LOG = logging.getLogger(__name__)
_NAMED: Final = 5  # homes in a sentence
_LOOKED_AT_ONCE: Final = 500  # households: so that looking at a large store takes little memory


def refuse_unreadable(origin: Path, source: StateStore, policy: Policy) -> None:
    """Before a log is read: say which homes of a store are damaged. Raises ConfigError when all are, or one is newer."""
    damaged, sound = list[str](), 0
    try:
        for _, household, raw in states_of(source):
            try:
                decode_home(raw, policy)
                sound += 1
            except NewerState:
                raise
            except UnknownState:
                damaged.append(household)
    except NewerState as newer:
        raise ConfigError("from", str(origin), str(newer), "states of this version or an earlier one") from None
    if damaged and not sound:
        raise ConfigError("from", str(origin), "none of whose states can be read", "a file of states that --store made")
    if damaged:
        named = ", ".join(damaged[:_NAMED]) + (", …" if len(damaged) > _NAMED else "")
        told = "%d of %d homes in %s cannot be read: %s. Their records become dead letters; the others are answered"
        _LOG.warning(told, len(damaged), len(damaged) + sound, origin, named)


def states_of(store: StateStore) -> Iterator[tuple[int, str, bytes]]:
    """Partition, household and state of all homes."""
    for partition in store.partitions():
        names = list(store.households(partition))
        for start in range(0, len(names), _LOOKED_AT_ONCE):
            loaded = store.load(partition, names[start : start + _LOOKED_AT_ONCE])
            yield from ((partition, household, raw) for household, raw in loaded.items())


def copy_states(origin: Path, folder: Path) -> str:
    """A copy of a SQLite file, opened only for reading, what stands in its write-ahead log included."""
    copy = str(folder / "states.db")
    try:
        with (
            closing(sqlite3.connect(f"{origin.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(copy)) as target,
        ):
            source.backup(target)
    except sqlite3.Error as error:
        raise ConfigError("from", str(origin), str(error), "a file of states that --store made") from None
    return copy
