"""Logs at s3:// and gs://, fetched from servers that speak as those do; and what is wrong there, in a sentence."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.registry import _registry

from stream.ops.local_cluster.processes import free_ports
from tests.cli.test_cli import plain, run
from tests.conftest import needs
from tests.support.recorded import recorded_lines, write_log

LOG = "logs/monday.jsonl"
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE")
Put = Callable[[bytes], None]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return Path(write_log(tmp_path / "log.jsonl", recorded_lines()))


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Put]:
    """Puts the log into a bucket of a server that speaks S3."""
    needs("moto", "dev")
    needs("s3fs", "s3")
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    for name in KEYS:
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_PROFILE")
    try:
        yield put_by("s3")
    finally:
        server.stop()


@pytest.fixture
def gs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Put]:
    """Puts the log into a bucket of a server that speaks as Google's storage does."""
    needs("gcp_storage_emulator", "dev")
    needs("gcsfs", "gs")
    from gcp_storage_emulator.server import create_server

    [port] = free_ports(1)
    server = create_server("127.0.0.1", port, in_memory=True)
    server.start()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{port}")
    try:
        yield put_by("gs")
    finally:
        server.stop()


def put_by(protocol: str) -> Put:
    fsspec.get_filesystem_class(protocol).clear_instance_cache()  # of another server

    def put(content: bytes) -> None:
        files: Any = fsspec.filesystem(protocol)
        if not files.exists("logs"):
            files.mkdir("logs")
        files.pipe(LOG, content)

    return put


@pytest.mark.parametrize("protocol", ["s3", "gs"])
def test_a_log_in_a_bucket_is_replayed_as_if_it_lay_here(
    protocol: str, log: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(protocol)(log.read_bytes())
    run("replay", log, "--out", tmp_path / "here")
    told = run("replay", f"{protocol}://{LOG}", "--out", tmp_path / "there")
    assert f"fetching {protocol}://{LOG}" in plain(told)
    for topic in ("identities", "profiles", "labels"):
        assert (tmp_path / "there" / f"{topic}.jsonl").read_bytes() == (tmp_path / "here" / f"{topic}.jsonl").read_bytes()


@pytest.mark.parametrize("protocol", ["s3", "gs"])
def test_what_is_not_in_a_bucket_is_told(
    protocol: str, log: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(protocol)(log.read_bytes())
    for name in ("logs/tuesday.jsonl", "attic/monday.jsonl"):
        told = plain(run("replay", f"{protocol}://{name}", "--out", tmp_path / "out", code=2))
        assert f"{protocol}://{name}: cannot be fetched (there is no such file or bucket)" in told
    assert not list((tmp_path / "out").rglob("*.jsonl"))


def test_without_credentials_it_is_told_where_they_are_looked_for(
    s3: Put, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s3(log.read_bytes())
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    for name in KEYS:
        monkeypatch.delenv(name, raising=False)
    told = plain(run("replay", f"s3://{LOG}", "--out", tmp_path / "out", code=2))
    assert f"s3://{LOG}: cannot be fetched (no credentials were found: set AWS_PROFILE" in told


@pytest.mark.parametrize(("protocol", "module"), [("s3", "s3fs"), ("gs", "gcsfs")])
def test_without_the_extra_it_is_told_which(protocol: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.delitem(_registry, protocol, raising=False)  # what was imported before
    told = plain(run("replay", f"{protocol}://{LOG}", "--out", tmp_path / "out", code=2))
    assert f".[{protocol}]" in told
