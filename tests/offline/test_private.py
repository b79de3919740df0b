"""Who may read what is made, and what is never written over: files for their owner alone, and only where a replay stood."""

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from stream.brokers.files import FILES
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay
from stream.offline.replay.report import replay_report
from stream.ops.local_cluster.place import Place
from stream.ops.local_cluster.processes import Server
from stream.stores import SqliteStore
from tests.support.recorded import recorded_lines, write_log


@pytest.fixture(autouse=True)
def an_open_umask() -> object:
    before = os.umask(0o022)
    yield
    os.umask(before)


def _replay(tmp_path: Path, fresh: bool = False, out: str = "out") -> Replay:
    log = write_log(tmp_path / "log.jsonl", recorded_lines())
    return Replay([log], tmp_path / out, Policy(), Wiring(store=str(tmp_path / f"{out}.db")), fresh=fresh)


def _modes(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode)) for path in sorted(folder.rglob("*"))}


def test_what_a_replay_and_its_report_write_is_for_their_owner_alone(tmp_path: Path) -> None:
    replay(_replay(tmp_path))
    replay_report(tmp_path / "out", tmp_path / "pages" / "report.html")
    modes = _modes(tmp_path)
    del modes["log.jsonl"]
    folders = {name for name in modes if (tmp_path / name).is_dir()}
    assert folders == {"out", "pages"}
    assert {modes[name] for name in folders} == {"0o700"}
    assert {name: mode for name, mode in modes.items() if name not in folders and mode != "0o600"} == {}


def test_a_store_and_what_stands_beside_it_is_for_its_owner_alone(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "run.db")) as store:
        store.claim(0)
        assert set(_modes(tmp_path).values()) == {"0o600"}
        assert "run.db-wal" in _modes(tmp_path)


def test_the_folder_of_a_local_cluster_is_for_its_owner_alone_also_one_of_before(tmp_path: Path) -> None:
    (tmp_path / "up").mkdir(mode=0o755)
    with Place(tmp_path / "up").hold():
        assert oct(stat.S_IMODE((tmp_path / "up").stat().st_mode)) == "0o700"
    Server(["/bin/true"], tmp_path / "said.log").wait(5)
    assert _modes(tmp_path)["said.log"] == "0o600"


@pytest.mark.parametrize("name", FILES)
def test_fresh_empties_nothing_that_no_replay_has_made(name: str, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("mine")
    with pytest.raises(ConfigError):
        replay(_replay(tmp_path, fresh=True))
    assert (tmp_path / "out" / name).read_text() == "mine"


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("fresh", [True, False])
def test_nothing_is_written_through_a_link(name: str, fresh: bool, tmp_path: Path) -> None:
    replay(_replay(tmp_path))
    before = (tmp_path / "out" / name).read_bytes()
    (tmp_path / "out" / name).rename(tmp_path / "mine")
    (tmp_path / "out" / name).symlink_to(tmp_path / "mine")
    with pytest.raises(ConfigError):
        replay(_replay(tmp_path, fresh))
    assert (tmp_path / "mine").read_bytes() == before


def test_nor_through_one_that_leads_nowhere_or_the_draft_of_the_mark(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "labels.jsonl").symlink_to(tmp_path / "later")
    with pytest.raises(ConfigError):
        replay(_replay(tmp_path, fresh=True))
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / ".progress.tmp").symlink_to(tmp_path / "mine")
    with pytest.raises(OSError, match="symbolic links"):
        replay(_replay(tmp_path, out="other"))
    assert (tmp_path / "mine").read_text() == "mine"
    assert not (tmp_path / "later").exists()


def test_fresh_begins_anew_where_a_replay_stood(tmp_path: Path) -> None:
    replay(_replay(tmp_path))
    assert replay(_replay(tmp_path, fresh=True)).records_before == 0
