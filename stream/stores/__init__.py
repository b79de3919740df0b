"""Stores of states: where the homes stand between events, with the offsets they stand at.

Law: every store passes `tests/conformance_store.py`; which one is behind a worker changes nothing but where bytes lie.
"""

from ..errors import ConfigError
from ..ports import StateStore
from ..settings import Wiring
from .memory import MemoryStore
from .sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore", "open_store"]


def open_store(url: str, wiring: Wiring | None = None) -> StateStore:
    """The store that a URL or path names.

    Parameters
    ----------
    url
        `memory:`, or the path of a SQLite file, which ends in `.db` and is made if it is missing.

    Raises
    ------
    ConfigError
        It names neither.

    >>> type(open_store("memory:")).__name__
    'MemoryStore'
    """
    if url == "memory:":
        return MemoryStore()
    if url.endswith(".db"):
        return SqliteStore(url)
    raise ConfigError("store", url, "the store to open", 'the path of a SQLite file ending in ".db", or "memory:"')
