import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from threading import Barrier
from typing import Literal

import pytest

from stream.contract.errors import ConfigError
from stream.contract.ports import StateStore, StoreError
from stream.stores import MemoryStore, SqliteStore, open_store
from tests.stores.conformance_store import OpenStore, StoreConformance


class TestMemoryStore(StoreConformance):
    @pytest.fixture
    def open_store(self) -> OpenStore:
        store = MemoryStore()
        return lambda: store


class TestSqliteStore(StoreConformance):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Iterator[OpenStore]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(closing(SqliteStore(tmp_path / "states.db")))

    def test_states_survive_a_process_that_did_not_close(self, open_store: OpenStore, tmp_path: Path) -> None:
        crashed = open_store()
        crashed.save(3, crashed.claim(3).epoch, {}, {"feedback": 7}, {"h-1": b"one"})
        for file in tmp_path.glob("states.db*"):  # as they lie on the disk at this moment
            (tmp_path / file.name.replace("states", "found")).write_bytes(file.read_bytes())
        with closing(SqliteStore(tmp_path / "found.db")) as found:
            assert found.load(3, ["h-1"]) == {"h-1": b"one"}
            assert found.claim(3) == (2, {"feedback": 7})

    @pytest.mark.parametrize(("synchronous", "level"), [("FULL", 2), ("NORMAL", 1)])
    def test_a_save_is_flushed_as_asked(self, tmp_path: Path, synchronous: Literal["FULL", "NORMAL"], level: int) -> None:
        with closing(SqliteStore(tmp_path / "states.db", synchronous)) as store:
            assert [_pragma(store, "synchronous"), _pragma(store, "journal_mode")] == [level, "wal"]

    def test_a_file_that_is_no_database_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "states.db"
        path.write_bytes(b"this is not a database, but long enough to have a header of one " * 10)
        with pytest.raises(StoreError, match=r"states\.db: file is not a database"):
            SqliteStore(path)

    def test_a_database_of_something_else_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "photos.db"
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE photos (name TEXT)")
        other.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="SQLite file of something else"):
            SqliteStore(path)
        assert path.read_bytes() == before

    def test_a_file_of_a_newer_version_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "states.db"
        SqliteStore(path).close()
        with sqlite3.connect(path) as newer:
            newer.execute("PRAGMA user_version = 2")
        newer.close()
        with pytest.raises(StoreError, match="use a newer kithkin"):
            SqliteStore(path)

    def test_a_missing_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="unable to open database file"):
            SqliteStore(tmp_path / "missing" / "states.db")

    def test_a_new_file_may_be_opened_by_several_at_once(self, tmp_path: Path) -> None:
        together = Barrier(4)

        def opened(number: int) -> str:
            together.wait()
            with closing(SqliteStore(tmp_path / f"{number}.db")) as store:
                return str(_pragma(store, "journal_mode"))

        with ThreadPoolExecutor(together.parties) as pool:
            for number in range(30):
                assert list(pool.map(opened, [number] * together.parties)) == ["wal"] * together.parties

    def test_a_closed_store_says_so_as_a_store(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "states.db")
        store.close()
        with pytest.raises(StoreError, match="closed"):
            store.claim(0)


def _pragma(store: SqliteStore, name: str) -> object:
    return store._connection.execute(f"PRAGMA {name}").fetchone()[0]


@pytest.mark.parametrize(("url", "kind"), [("memory:", MemoryStore), ("states.db", SqliteStore), ("./a b/c.db", SqliteStore)])
def test_a_store_is_opened_by_its_name(url: str, kind: type[StateStore], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    monkeypatch.chdir(tmp_path)
    store = open_store(url)
    assert type(store) is kind
    store.close()


@pytest.mark.parametrize("url", ["", "states", "redis:/here", "states.db/", "memory"])
def test_a_name_of_no_store_says_what_would_be_right(url: str) -> None:
    with pytest.raises(ConfigError, match=r"it should be the path of a SQLite file ending in"):
        open_store(url)
