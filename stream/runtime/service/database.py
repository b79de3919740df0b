"""What the service keeps in a SQLite file of its own."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

__all__ = ["Database"]


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
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.execute("PRAGMA secure_delete = ON").fetchall()
        self._connection.executescript(schema)

    def one(self, query: str, *values: str | int) -> Any:
        """The first row of a query; None: there is none."""
        with closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchone()

    def all(self, query: str, *values: str | int) -> list[Any]:
        """All rows of a query."""
        with closing(self._connection.execute(query, values)) as cursor:
            return cursor.fetchall()

    def write(self, statement: str, *values: str | int) -> None:
        """Do a statement, at once."""
        self._connection.execute(statement, values)

    def write_all(self, statement: str, rows: Iterable[tuple[str | int, ...]]) -> None:
        """Do a statement for each row of values."""
        self._connection.executemany(statement, rows)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()
