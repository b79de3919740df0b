"""What is misspelt is told at once and before any advice: nothing is looked for, installed or started."""

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.contract.errors import _EXTRAS, ConfigError
from stream.ops.local_cluster.processes import until
from stream.runtime.fleet.webhook import Webhook

LOOKING = ("worker", "fleet", "status", "doctor", "feed --simulate 1", "identities", "alerts", "dead-letters list")


def plain(text: str) -> str:
    return " ".join(re.sub(r"\x1b\[[0-9;]*m|[│╭╮╰╯─]", " ", text).split())


@pytest.mark.parametrize("command", LOOKING)
@pytest.mark.parametrize("url", ["confluent://127.0.0.1:99999", "kafka:/127.0.0.1:9092", "confluent://127.0.0.1:0"])
@pytest.mark.parametrize("installed", [True, False], ids=["with a client", "without"])
def test_an_address_that_cannot_be_is_told_first(
    command: str, url: str, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not installed:
        monkeypatch.setitem(sys.modules, "confluent_kafka", None)
        monkeypatch.setitem(sys.modules, "kafka", None)
    began = time.monotonic()
    result = CliRunner().invoke(app, [*command.split(), "--broker", url])
    assert (result.exit_code, "confluent://HOST:PORT" in plain(result.output)) == (2, True), result.output
    assert "pip install" not in result.output
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("command", ["worker", "fleet"])
@pytest.mark.parametrize("store", ["redis://127.0.0.1:99999/0", "reddis://here", "states.txt"])
def test_a_store_that_cannot_be_is_told_before_anything_is_started(command: str, store: str) -> None:
    result = CliRunner().invoke(app, [command, "--store", store, "--broker", "confluent://127.0.0.1:1"])
    assert (result.exit_code, "redis://[NAME:PASSWORD@]HOST" in plain(result.output)) == (2, True), result.output


def test_workers_that_would_listen_beyond_the_last_port_are_refused() -> None:
    told = CliRunner().invoke(app, ["worker", "--listen", "127.0.0.1:65535", "--workers", "2", "--broker", "kafka://127.0.0.1:1"])
    assert (told.exit_code, "a port up to 65534" in plain(told.output)) == (2, True), told.output


@pytest.mark.parametrize("url", ["http://pager:99999/x", "http://pager:0", "http://pager:x", "ftp://pager", "pager"])
def test_a_webhook_that_cannot_be_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="a URL such as"):
        Webhook(url, "kithkin")


def listens(pid: int) -> bool:
    """Whether a process handles SIGTERM itself by now."""
    caught = re.search(r"^SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)


@pytest.mark.skipif(sys.platform != "linux", reason="Only Linux tells which signals a process handles.")
@pytest.mark.parametrize("restart", ["--restart", "--no-restart"])
@pytest.mark.parametrize("after_s", [0.2, 2.0, 5.0])
def test_a_worker_that_looks_for_a_broker_ends_at_once_when_asked(
    restart: str, after_s: float, root: Path, tmp_path: Path
) -> None:
    silent = socket.create_server(("127.0.0.1", 0))  # takes connections and says nothing, so that it is awaited for long
    broker = f"confluent://127.0.0.1:{silent.getsockname()[1]}"
    flags = ["--broker", broker, "--store", str(tmp_path / "states.db"), restart]
    command = [sys.executable, "-m", "stream.cli", "worker", *flags]
    with silent, subprocess.Popen(command, cwd=root, stderr=subprocess.DEVNULL) as worker:
        assert until(lambda: listens(worker.pid), 60)
        time.sleep(after_s)
        assert worker.poll() is None
        worker.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert worker.wait(20) == 0
        assert time.monotonic() - began < 2


# ---- what is not installed

LACKING = [
    *(("confluent_kafka", command) for command in ("worker --no-restart", "status", "feed --simulate 1", "alerts", "slo")),
    ("kafka", "trace e-1"), ("redis", "worker --no-restart"), ("redis", "inspect h-1"), ("faust", "fleet --no-restart"),
    ("fastapi", "api"), ("cryptography", "pin key here"), ("apprise", "alerts --notify ntfy://me"), ("jgo", "up"),
    ("optuna", "tune space.toml log.jsonl"), ("distributed", "replay log.jsonl --out here --on tcp://127.0.0.1:1"),
]  # fmt: skip


@pytest.mark.parametrize(("package", "command"), LACKING)
def test_a_missing_extra_is_one_sentence_in_every_command(package: str, command: str, root: Path, tmp_path: Path) -> None:
    """In a process of its own, where nothing has imported it before."""
    code = f"import sys; sys.modules[{package!r}] = None; from stream.cli import app; app({command.split()!r})"
    environment = os.environ | {"PYTHONPATH": str(root), "XDG_DATA_HOME": str(tmp_path), "TERM": "dumb"}
    command_line = [sys.executable, "-c", code]
    ended = subprocess.run(command_line, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=240)
    told = ended.stdout + ended.stderr
    assert (ended.returncode, "pip install" in told, "Traceback" in told) == (2, True, False), told
    assert len(told.splitlines()) == 1, told


def test_every_extra_that_is_told_is_one_that_there_is(root: Path) -> None:
    extras = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert set(_EXTRAS.values()) <= set(extras)
    assert [name for name in _EXTRAS if importlib.util.find_spec(name) is None] == []
