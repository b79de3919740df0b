"""A recording of a real Kafka, made while two workers were being killed and restarted, replays to exactly what was published.

With a policy that publishes all there is to publish, who is at home too.
"""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from stream.brokers.log_files import LogReader
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import until
from tests.cli.test_cli import run
from tests.cli.test_record import logs_as_before  # noqa: F401
from tests.conftest import Running
from tests.runtime.test_live import PATIENCE_S, Site

KILLS = 3


@pytest.fixture
def site(kafka: Running, redis_url: str, topics: Callable[..., str], tmp_path: Path) -> Iterator[Site]:
    prefix = topics(4)
    with ExitStack() as ends:
        wiring = Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}group", store=redis_url)
        yield Site(wiring, tmp_path, ends)


def read(log: Path, topic: str) -> list[Record]:
    with closing(LogReader([str(log)], [topic])) as lines:
        return list(lines)


def kill_one(site: Site, number: int) -> None:
    """One of those who have partitions and still live: what a worker wrote of itself outlives it for some seconds."""
    living: list[int] = []

    def found() -> bool:
        living[:] = [note["pid"] for note in site.notes() if note["partitions"] and Path(f"/proc/{note['pid']}").exists()]
        return bool(living)

    assert until(found, PATIENCE_S)
    os.kill(living[number % len(living)], signal.SIGKILL)


@pytest.mark.timeout(600)  # a cluster, workers and three replays
def test_what_two_workers_published_while_they_were_killed_is_what_their_recording_replays_to(
    site: Site, dask: Any, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text("[presence]\npublish = true\n")
    site.start("--workers", "2", "--policy", str(policy), batch_records_max=10, kafka__session_timeout_s=6)
    assert until(lambda: sorted(len(note["partitions"]) for note in site.notes()) == [2, 2], PATIENCE_S)
    for number in range(KILLS):
        written = len(site.written("journal"))
        site.feed(300, seed=number + 1)
        assert until(lambda written=written: len(site.written("journal")) > written + 3, PATIENCE_S)  # type: ignore[misc]
        kill_one(site, number)
    assert until(lambda: site.done() and sum(note["restarts"] for note in site.notes()) >= KILLS, PATIENCE_S)
    assert site.complaints() == []
    log = tmp_path / "log.jsonl.zst"
    of_cluster = "--broker", site.wiring.broker, "--prefix", site.wiring.prefix
    run("record", "--from", "2020-01-01", *of_cluster, "--out", log, "--outputs")
    epochs = Counter(json.loads(entry.value or b"")["epoch"] for entry in read(log, "journal"))
    assert len(epochs) > 1, "whoever takes a partition over counts one more"
    published = {topic: len(read(log, topic)) for topic in ("identities", "presence")}
    assert published["identities"] > 200
    assert published["presence"] > 10
    ways: dict[str, list[str]] = {"one": [], "jobs": ["--jobs", "2"], "dask": ["--on", dask.scheduler_address]}
    for name, words in ways.items():
        told = run("replay", log, "--out", tmp_path / name, "--policy", policy, "--expect", log, *words)
        assert "As expected" in told
        for topic, count in published.items():
            assert len((tmp_path / name / f"{topic}.jsonl").read_bytes().splitlines()) == count
    for name in ways:
        assert (tmp_path / name / "manifest.json").read_bytes() == (tmp_path / "one" / "manifest.json").read_bytes()
