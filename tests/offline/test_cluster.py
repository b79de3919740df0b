"""`kithkin replay --on`: a Dask cluster of two workers gives the bytes of one process, and whatever is wrong with one is told."""

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stream.brokers.files import FILES
from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.offline.replay.jobs import cluster as cluster_module
from stream.offline.replay.jobs.cluster import connect
from stream.offline.replay.jobs.processes import JobLost
from stream.offline.replay.manifest import MANIFEST, Made, describe_program
from stream.offline.replay.replay import Replay, replay
from tests.cli.test_cli import plain, run
from tests.offline.test_jobs import odd_records
from tests.offline.test_journal_order import late_and_crashed, recorded_to
from tests.support.recorded import line_of, write_log

BATCH = 20


def written(out: Path) -> dict[str, bytes]:
    """What stands in a directory, the journal aside, which counts how often the run was begun."""
    return {name: (out / name).read_bytes() for name in (*FILES, MANIFEST) if name.endswith("s.jsonl") or name == MANIFEST}


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write_log(tmp_path / "log.jsonl", tuple(map(line_of, odd_records(1))))


def test_a_cluster_gives_the_bytes_of_one_process(dask: Any, log: str, tmp_path: Path) -> None:
    run("replay", log, "--out", tmp_path / "one")
    run("replay", log, "--out", tmp_path / "many", "--on", dask.scheduler_address)
    assert written(tmp_path / "many") == written(tmp_path / "one")


def test_a_recording_of_killed_workers_replays_on_a_cluster_to_what_was_published(dask: Any, tmp_path: Path) -> None:
    [records] = late_and_crashed(1)
    log = recorded_to(tmp_path / "log.jsonl", records)
    run("replay", log, "--out", tmp_path / "run", "--expect", log, "--on", dask.scheduler_address)


def test_a_replay_on_a_cluster_goes_on_where_one_process_stopped(dask: Any, log: str, tmp_path: Path) -> None:
    wiring = Wiring(store=str(tmp_path / "whole.db"), batch_records_max=BATCH)
    whole = Replay([log], tmp_path / "whole", Policy(), wiring)
    parts = replace(whole, out=tmp_path / "parts", wiring=Wiring(store=str(tmp_path / "parts.db"), batch_records_max=BATCH))
    replay(whole)
    done = [0]
    assert not replay(parts, lambda: done[0] >= 3 * BATCH, lambda sofar: done.__setitem__(0, sofar.records)).finished
    with connect(dask.scheduler_address) as cluster:
        assert replay(parts, jobs=cluster).finished
    assert written(parts.out) == written(whole.out)


def test_a_worker_of_another_version_is_named_before_anything_is_written(
    dask: Any, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = describe_program()

    def other() -> Made:
        return Made(here.versions | {"kithkin": "0.0.1"}, here.code, here.processor)

    monkeypatch.setattr(cluster_module, "describe_program", other)
    client_runs = cluster_module._unlike
    assert client_runs(here, other()) == f"kithkin {here.versions['kithkin']} and not 0.0.1"
    monkeypatch.setattr(cluster_module, "_unlike", lambda made, _: client_runs(here, other()))
    told = plain(run("replay", log, "--out", tmp_path / "run", "--on", dask.scheduler_address, code=2))
    assert "and not 0.0.1" in told
    assert "workers with the kithkin of this machine" in told
    assert not (tmp_path / "run").exists()


def test_where_no_scheduler_answers_it_is_told(dask: Any, log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "_PATIENCE_S", 1)
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{taken.getsockname()[1]}"
        told = plain(run("replay", log, "--out", tmp_path / "run", "--on", address, code=2))
    assert "where no Dask scheduler answers" in told
    assert not (tmp_path / "run").exists()


def test_a_worker_that_is_lost_ends_the_replay_with_what_to_do(dask: Any, log: str, tmp_path: Path) -> None:
    from distributed import LocalCluster

    task = Replay([log], tmp_path / "run", Policy(), Wiring(store="memory:", batch_records_max=BATCH))
    with LocalCluster(n_workers=1, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0") as made:

        def kill(_: object) -> None:
            for worker in made.workers.values():
                worker.process.process._process.kill()

        with connect(made.scheduler_address) as cluster, pytest.raises(JobLost, match="give the same command again"):
            replay(task, watch=kill, jobs=cluster)


def test_without_dask_it_is_told_how_to_install_it(log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "distributed", None)
    told = plain(run("replay", log, "--out", tmp_path / "run", "--on", "tcp://127.0.0.1:1", code=2))
    assert "[dask]" in told


def test_processes_here_and_a_cluster_are_one_too_many(log: str, tmp_path: Path) -> None:
    told = plain(run("replay", log, "--out", tmp_path / "run", "--on", "tcp://127.0.0.1:1", "--jobs", "2", code=2))
    assert "one of the two" in told
