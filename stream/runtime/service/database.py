"""What the service keeps in a SQLite file of its own."""

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import RLock
from typing import Any, Final

from stream.stores.sqlite import in_transaction

__all__ = ["Database"]

_BUSY_S: Final = 10.0  # for so long one waits for another to write


class Database:
    """A SQLite file for its user alone, which several threads and processes may use; what is deleted is overwritten.

    Parameters
    ----------
    path
        Made if it is missing.
    schema
        Statements that make what is missing in it.
    """

    def __init__(self, path: Path, schema: str) -> None:
        if not path.exists():
            path.touch(mode=0o600)
        self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
        self._lock = RLock()  # the connection is one: what another thread does meanwhile would be of the same transaction
        self._connection.execute("PRAGMA secure_delete = ON").fetchall()
        self._connection.executescript(schema)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Nobody else writes in it: what it reads is still so when it writes. After an error nothing was written."""
        with self._lock, in_transaction(self._connection):
            yield

    def one(self, query: str, *values: str | int) -> Any:
        """The first row of a query; None: there is none."""
        with self._lock, closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchone()

    def all(self, query: str, *values: str | int) -> list[Any]:
        """All rows of a query."""
        with self._lock, closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    def write(self, statement: str, *values: str | int) -> None:
        """Do a statement, at once."""
        with self._lock:
            self._connection.execute(statement, values)

    def write_all(self, statement: str, rows: Iterable[tuple[str | int, ...]]) -> None:
        """Do a statement for each row of values."""
        with self._lock:
            self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
