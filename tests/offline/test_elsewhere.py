"""Logs that lie elsewhere: fetched once, whole, and replayed to the same bytes as if they lay here."""

import sys
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import fsspec
import pytest
from typer.testing import CliRunner

from stream.brokers.log_files import InvalidLog
from stream.cli import app
from stream.contract.errors import ConfigError
from stream.offline.replay.elsewhere import fetch
from stream.offline.simulation.sample import Sample, write_sample
from tests.support.recorded import recorded_lines, write_log


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "far").mkdir()
    return Path(write_log(tmp_path / "far" / "log.jsonl", recorded_lines()))


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture
def served(log: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(log.parent)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def memory(log: Path) -> Iterator[str]:
    files: Any = fsspec.filesystem("memory")
    files.pipe("/logs/log.jsonl", log.read_bytes())
    yield "memory://logs/log.jsonl"
    files.rm("/logs", recursive=True)


def replayed(*words: str) -> str:
    told = CliRunner().invoke(app, ["replay", *words])
    assert told.exit_code == 0, told.output
    return told.output


def test_a_log_at_an_address_is_replayed_as_if_it_lay_here(served: str, memory: str, log: Path, tmp_path: Path) -> None:
    replayed(str(log), "--out", str(tmp_path / "here"))
    for name, address in (("http", f"{served}/log.jsonl"), ("memory", memory)):
        assert f"fetching {address}" in replayed(address, "--out", str(tmp_path / name)).replace("\n", "")
        for topic in ("identities", "profiles", "labels", "drift-signals", "dead-letters"):
            file = f"{topic}.jsonl"
            assert (tmp_path / name / file).read_bytes() == (tmp_path / "here" / file).read_bytes()
    report = CliRunner().invoke(app, ["report", str(tmp_path / "http")])
    assert report.exit_code == 0, report.output


def test_what_was_fetched_is_not_fetched_again_unless_the_run_begins_anew(memory: str, log: Path, tmp_path: Path) -> None:
    said: list[str] = []
    [first] = fetch([memory], tmp_path / "out", say=said.append)
    fsspec.filesystem("memory").pipe("/logs/log.jsonl", b"another")
    assert fetch([memory], tmp_path / "out", say=said.append) == [first]
    assert Path(first).read_bytes() == log.read_bytes()
    assert fetch([memory], tmp_path / "out", fresh=True, say=said.append) == [first]
    assert Path(first).read_bytes() == b"another"
    assert len(said) == 2
    assert Path(first).stat().st_mode & 0o077 == 0


def test_files_here_and_there_keep_their_order_and_two_of_a_name_are_two(memory: str, log: Path, tmp_path: Path) -> None:
    found = fetch([memory, str(log), memory], tmp_path / "out")
    assert found[1] == str(log)
    assert len(set(found)) == 3


def test_what_cannot_be_fetched_leaves_nothing_and_says_so_without_a_secret(
    served: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InvalidLog, match="there is no such file") as told:
        fetch([f"{served.replace('//', '//me:secret@')}/none.jsonl?key=hidden"], tmp_path / "out")
    assert "secret" not in str(told.value)
    assert "hidden" not in str(told.value)
    with pytest.raises(InvalidLog, match="Protocol not known"):
        fetch(["nothing://x/log.jsonl"], tmp_path / "out")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ConfigError, match=r"\.\[remote\]"):
        fetch(["https://x/log.jsonl"], tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*"))


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "one log file or more"), (["log.jsonl", "--since", "2h"], "without log files"),
        (["log.jsonl", "--broker", "kafka://127.0.0.1:1"], "given with --since"), (["--since", "yesterday"], "since"),
    ],
)  # fmt: skip
def test_a_replay_is_of_files_or_of_a_cluster(words: list[str], told: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["replay", *words, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert told in " ".join(result.output.split())


def test_policies_are_compared_and_tuned_on_a_log_at_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sample(Sample(homes=4, days=4, seed=3), tmp_path / "try")
    files: Any = fsspec.filesystem("memory")
    files.pipe("/street/log.jsonl", (tmp_path / "try" / "log.jsonl").read_bytes())
    policies = [tmp_path / name for name in ("live.toml", "bold.toml")]
    for path, text in zip(policies, ("", "[tiers]\npersonal = 0.91\n"), strict=True):
        path.write_text(text)
    (tmp_path / "space.toml").write_text("[tiers]\npersonal = {low = 0.9, high = 0.95}\n")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    kept = str(tmp_path / "tune.db")
    tuned = ["tune", str(tmp_path / "space.toml"), "--storage", kept, "--trials", "1", "--jobs", "1", "--json"]
    for words, code in ((["compare", *map(str, policies), "--json"], (0,)), (tuned, (0, 1))):
        here, there = (
            CliRunner().invoke(app, [*words, log]) for log in (str(tmp_path / "try" / "log.jsonl"), "memory://street/log.jsonl")
        )
        assert here.exit_code == there.exit_code
        assert there.exit_code in code, there.output
        assert here.output.splitlines()[-1] == there.output.splitlines()[-1]
        assert "fetching memory://street/log.jsonl" in there.output
    assert not list((tmp_path / "temporary").iterdir()), "nothing is left of it"
