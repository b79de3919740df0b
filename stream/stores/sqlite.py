"""A store in one SQLite file, for a home server, a replay that can go on later, or a test of both.

Law: a save is one transaction of the file; after a power cut it happened or it did not. The file may be opened by
several processes: the epoch decides who saves, not who has it open.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

from stream.contract.ports import Claimed, Offsets, StoreError

from .fencing import is_household, is_news

__all__ = ["SqliteStore", "in_transaction"]

_APPLICATION_ID = 0x6B69_7468  # "kith": tells our files from other SQLite files
_VERSION = 1
_SCHEMA = (
    f"PRAGMA application_id = {_APPLICATION_ID}",
    f"PRAGMA user_version = {_VERSION}",
    "CREATE TABLE partitions (partition INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, offsets TEXT NOT NULL)",
    "CREATE TABLE states (partition INTEGER NOT NULL, household TEXT NOT NULL, state BLOB NOT NULL, "
    "PRIMARY KEY (partition, household)) WITHOUT ROWID",
)
_NAMES_MAX = 500  # of one SELECT; old builds of SQLite take at most 999 variables
_BUSY_S = 10.0
_PAUSE_S = 0.002


def _open_private(path: str, flags: int) -> int:
    """An opener; a store may well be named by a link."""
    return os.open(path, flags, 0o600)


@contextmanager
def in_transaction(connection: sqlite3.Connection, begin: Literal["IMMEDIATE", "DEFERRED"] = "IMMEDIATE") -> Iterator[None]:
    """Nobody else writes in the file: what is read is still so when it is written. After an error nothing was written.

    `DEFERRED`: it is only read, all as of one moment. The connection has `isolation_level=None`.
    """
    connection.execute(f"BEGIN {begin}")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


class SqliteStore:
    """States in a file.

    Parameters
    ----------
    path
        The file; made if it is missing.
    synchronous
        `FULL` keeps what was saved through a power cut. `NORMAL` may lose the last saves then, which the journal of a
        lasting broker makes good.

    Raises
    ------
    StoreError
        The file cannot be opened, is not a store, or was written by a newer version.
    """

    def __init__(self, path: str | Path, synchronous: Literal["FULL", "NORMAL"] = "FULL") -> None:
        self._path = Path(path)
        with suppress(OSError), open(self._path, "ab", opener=_open_private):
            """It is made before SQLite would make it for everybody to read; what SQLite puts beside it is as private."""
        with self._explain_errors():
            self._connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            with self._explain_errors():
                self._prepare(synchronous)
        except StoreError:
            self.close()
            raise

    def claim(self, partition: int) -> Claimed:
        with self._explain_errors(), in_transaction(self._connection):
            epoch, offsets = self._stands_at(partition)
            self._write(partition, epoch + 1, offsets)
        return Claimed(epoch + 1, offsets)

    def offsets(self, partition: int) -> Offsets:
        with self._explain_errors():
            return self._stands_at(partition)[1]

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        with self._explain_errors():
            for start in range(0, len(households), _NAMES_MAX):
                names = households[start : start + _NAMES_MAX]
                marks = ",".join("?" * len(names))
                query = f"SELECT household, state FROM states WHERE partition = ? AND household IN ({marks})"
                found.update(self._connection.execute(query, (partition, *names)))
        return found

    def read(self, places: Sequence[tuple[int, str]]) -> list[bytes | None]:
        query = "SELECT state FROM states WHERE partition = ? AND household = ?"
        with self._explain_errors():
            rows = [self._connection.execute(query, place).fetchone() for place in places]
        return [None if row is None else row[0] for row in rows]

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        with self._explain_errors(), in_transaction(self._connection):
            newest, stands_at = self._stands_at(partition)
            if is_news(partition, (epoch, newest), stands_at, offsets_from, offsets_to):
                rows = ((partition, household, state) for household, state in states.items())
                self._connection.executemany("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", rows)
                self._write(partition, epoch, offsets_to)

    def forget_overwritten(self) -> None:
        """Pages are wiped as they are freed; the write-ahead log, in which older ones stand, is emptied."""
        with suppress(sqlite3.Error):  # another process reads: then at the next erasure, or when the file is closed
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def households(self, partition: int) -> Iterable[str]:
        with self._explain_errors():
            rows = self._connection.execute("SELECT household FROM states WHERE partition = ?", (partition,)).fetchall()
        return sorted(household for (household,) in rows if is_household(household))

    def partitions(self) -> Sequence[int]:
        with self._explain_errors():
            return [partition for (partition,) in self._connection.execute("SELECT partition FROM partitions ORDER BY 1")]

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()

    def _prepare(self, synchronous: str) -> None:
        with in_transaction(self._connection, "DEFERRED"):
            made = self._is_made()
        if not made:
            with in_transaction(self._connection):
                for statement in () if self._is_made() else _SCHEMA:  # another may have made it meanwhile
                    self._connection.execute(statement)
        self._journal_ahead()
        self._connection.execute(f"PRAGMA synchronous = {synchronous}")
        self._connection.execute("PRAGMA secure_delete = ON").fetchall()

    def _is_made(self) -> bool:
        """Whether the file has our tables; asked in a transaction, for others may make them now. Raises StoreError."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        (tables,) = self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if application != _APPLICATION_ID and tables:
            raise StoreError(
                f"{self._path} is a SQLite file of something else; name a file that kithkin made, or one that does not exist"
            )
        if version > _VERSION:
            raise StoreError(f"{self._path} has version {version}, this kithkin reads up to {_VERSION}: use a newer kithkin")
        return bool(tables)

    def _journal_ahead(self) -> None:
        """Turn to a write-ahead log; SQLite does not wait by itself for others who do so too."""
        until = time.monotonic() + _BUSY_S
        while True:
            try:
                self._connection.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > until:
                    raise
                time.sleep(_PAUSE_S)

    def _stands_at(self, partition: int) -> tuple[int, dict[str, int]]:
        row = self._connection.execute("SELECT epoch, offsets FROM partitions WHERE partition = ?", (partition,)).fetchone()
        return (0, {}) if row is None else (row[0], json.loads(row[1]))

    def _write(self, partition: int, epoch: int, offsets: Offsets) -> None:
        stored = json.dumps(dict(offsets), sort_keys=True)
        self._connection.execute("INSERT OR REPLACE INTO partitions VALUES (?, ?, ?)", (partition, epoch, stored))

    @contextmanager
    def _explain_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(f"{self._path}: {error}") from error
