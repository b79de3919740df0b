"""Where a drill takes place: a Kafka and a Redis behind gates, the topics, the load, the workers, and those who watch.

Law: everything that was started here ends here, and nothing listens but on 127.0.0.1.
"""

import random
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stream.contract.settings import KafkaWiring, RedisWiring, Wiring, toml_of
from stream.ops.local_cluster.kafka import Kafka
from stream.ops.local_cluster.processes import until
from stream.ops.local_cluster.redis import Redis
from stream.ops.topics import create

from .checker import Checker
from .crew import Crew, prepare
from .evidence import Evidence
from .gate import Gate
from .load import Feeder, load
from .points import Orders
from .progress import Progress

__all__ = ["CREW", "Scene", "Site", "opened"]

CREW: Final = ("w0", "w1")
SESSION_S: Final = 1.5  # a worker that is silent for so long is replaced
_PREFIX, _GROUP = "drill.", "drill"
_DRAIN_S: Final = 90.0
_LAG_MAX: Final = 4_000  # then the load waits, or a fault would never be recovered from


@dataclass(frozen=True)
class Scene:
    """What a site is to be like.

    Parameters
    ----------
    folder
        For data and logs; made if it is not there.
    broker
        The workers' client: confluent or kafka.
    seed
        Of the load and of all chance.
    rate
        Of the load, records a second.
    nodes
        Of Kafka; three have no gate before them.
    sabotage
        What is wrong with the workers.
    more
        Settings of the wiring that are not the drill's usual ones.
    """

    folder: Path
    broker: str = "confluent"
    seed: int = 1
    rate: float = 1_000.0
    nodes: int = 1
    partitions: int = 4
    gated: bool = True
    sabotage: str | None = None
    more: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class Site:
    """What runs."""

    scene: Scene
    kafka: Kafka
    redis: Redis
    kafka_gate: Gate
    redis_gate: Gate
    wiring: Wiring
    feeder: Feeder
    progress: Progress
    crew: Crew
    orders: Orders
    evidence: Evidence
    checker: Checker
    chance: random.Random

    def caught_up(self, patience_s: float = _DRAIN_S) -> bool:
        """Wait until all records that lie in the topics now are done, or a worker is beyond repair; whether they are done."""
        marks = self.progress.marks()
        until(lambda: self.progress.reached(marks) or bool(self.crew.complaints), patience_s)
        return self.progress.reached(marks)

    def redis_copy(self) -> Path:
        """A copy of Redis's files as they are at this moment."""
        copy = self.scene.folder / "redis.copy"
        shutil.rmtree(copy, ignore_errors=True)
        self.redis.pause()
        try:
            shutil.copytree(self.scene.folder / "redis", copy)
        finally:
            self.redis.resume()
        return copy

    def redis_put_back(self, copy: Path) -> None:
        """Redis dies and comes back with older files."""
        self.redis.kill()
        shutil.rmtree(self.scene.folder / "redis")
        copy.rename(self.scene.folder / "redis")
        self.redis.restart()


@contextmanager
def opened(scene: Scene) -> Iterator[Site]:
    """Start everything but the workers; it ends with the block."""
    scene.folder.mkdir(parents=True, exist_ok=True)
    prepare()
    with ExitStack() as ends:
        gates = [ends.enter_context(Gate()) for _ in range(2)]
        advertised = {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{gates[0].port}"} if scene.gated else {}
        kafka = ends.enter_context(Kafka(scene.folder / "kafka", nodes=scene.nodes, settings=advertised))
        redis = ends.enter_context(Redis(scene.folder / "redis", {"enable-debug-command": "local"}))
        gates[0].target, gates[1].target = int(kafka.bootstrap.rpartition(":")[2]), redis.port
        direct = Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=_PREFIX, group=_GROUP)
        create(direct, scene.partitions)
        wiring = _wiring(scene, kafka, redis, gates)
        (scene.folder / "wiring.toml").write_text(toml_of(wiring))
        settings = {"bootstrap.servers": kafka.bootstrap, "reconnect.backoff.max.ms": 500, "log_level": 0}
        feeder = Feeder(settings, _PREFIX, load(scene.seed), scene.rate)
        ends.callback(feeder.close)
        progress = Progress(settings, f"{_PREFIX}journal", scene.partitions, feeder)
        ends.callback(progress.close)
        feeder.held = lambda: progress.lag > _LAG_MAX
        crew = Crew(scene.folder, scene.sabotage)
        ends.callback(crew.close)
        evidence = Evidence(settings, redis.url, (_PREFIX, _GROUP), scene.partitions)
        yield Site(
            scene, kafka, redis, *gates, wiring, feeder, progress, crew, Orders(scene.folder), evidence, Checker(evidence),
            random.Random(scene.seed),
        )  # fmt: skip


def _wiring(scene: Scene, kafka: Kafka, redis: Redis, gates: list[Gate]) -> Wiring:
    """Of the workers: impatient, so that a fault is over soon, and with small batches, so that there are many."""
    behind = f"127.0.0.1:{gates[0].port}" if scene.gated else kafka.bootstrap
    settings: dict[str, Any] = {
        "broker": f"{scene.broker}://{behind}",
        "store": f"redis://127.0.0.1:{gates[1].port if scene.gated else redis.port}/0",
        "prefix": _PREFIX,
        "group": _GROUP,
        "batch_records_max": 200,
        "stall_s": 30.0,
        "kafka": KafkaWiring(session_timeout_s=SESSION_S, transaction_timeout_s=6.0, retries_s=8.0),
        "redis": RedisWiring(timeout_s=1.5, retries_s=4.0),
    }
    return Wiring(**settings | dict(scene.more))
