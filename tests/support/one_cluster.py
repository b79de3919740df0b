"""One Kafka and one Redis for a whole run of tests: made by the first process that asks, ended with the run."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from stream.ops.local_cluster.kafka import Kafka
from stream.ops.local_cluster.processes import NotHere, is_free, until
from stream.ops.local_cluster.redis import Redis

END_S = 10
_RUNNING: list[Kafka | Redis] = []  # those that this process made for all


class Run:
    """The controller's part: a folder that all workers know, and the pipe that ends every server with the run."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kithkin-tests-"))
        os.mkfifo(self.folder / "parent-pipe")
        self._parent_pipe = os.open(self.folder / "parent-pipe", os.O_RDWR)

    def end(self) -> None:
        os.close(self._parent_pipe)
        addresses = [path.read_text() for path in self.folder.glob("*.address")]
        until(lambda: all(is_free(int(address.rpartition(":")[2])) for address in addresses), END_S)
        shutil.rmtree(self.folder, ignore_errors=True)


def kafka_of(run: Path) -> str:
    """Bootstrap of the run's Kafka."""

    def start() -> str:
        kafka = Kafka(run / "kafka", parent_pipe=run / "parent-pipe")
        kafka.start()
        _RUNNING.append(kafka)
        return kafka.bootstrap

    return _once(run, "kafka", start)


def redis_of(run: Path) -> str:
    """Host and port of the run's Redis."""

    def start() -> str:
        redis = Redis(run / "redis", parent_pipe=run / "parent-pipe")
        redis.start()
        _RUNNING.append(redis)
        return f"127.0.0.1:{redis.port}"

    return _once(run, "redis", start)


def _once(run: Path, name: str, start: Callable[[], str]) -> str:
    """What the first who asked was given, also if it was a refusal."""
    with (run / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        address, refused = run / f"{name}.address", run / f"{name}.refused"
        if refused.exists():
            raise NotHere(refused.read_text())
        if not address.exists():
            try:
                address.write_text(start())
            except NotHere as error:
                refused.write_text(str(error))
                raise
        return address.read_text()
