"""What there is to see from outside: topics as a read_committed reader gets them, committed offsets, and Redis as it stands.

Law: none of the worker's code reads here; only clients of the libraries, and the contract's names.
"""

import json
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec
from redis import Redis

from stream.contract.records import INPUT_TOPICS
from stream.ops.local_cluster.processes import until

__all__ = ["INPUTS", "OUTPUTS", "Evidence", "Seen", "States"]

INPUTS: Final = tuple(sorted(INPUT_TOPICS))
OUTPUTS: Final = ("identities", "profiles", "labels", "drift-signals", "drift-alerts", "dead-letters")
_TOPICS: Final = (*INPUTS, *OUTPUTS, "journal")
_PATIENCE_S: Final = 30.0
_READING: Final = {
    "group.id": "drill.evidence",  # demanded by the library; nothing is joined or committed
    "enable.auto.commit": False,
    "enable.partition.eof": True,
    "isolation.level": "read_committed",
    "auto.offset.reset": "error",
}


class Seen(NamedTuple):
    """A record as it lies in a topic."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class States(NamedTuple):
    """A partition in Redis: next offsets, and the states by household."""

    offsets: dict[str, int]
    homes: dict[str, bytes]


class Evidence:
    """Looks at a cluster.

    Parameters
    ----------
    settings
        Of librdkafka: where the brokers are.
    redis_url
        Where the states are.
    names
        The topics' prefix and the group.
    partitions
        Of every topic.
    """

    def __init__(self, settings: dict[str, Any], redis_url: str, names: tuple[str, str], partitions: int) -> None:
        self._settings, self._redis_url, self.partitions = settings, redis_url, partitions
        self._prefix, self._group = names
        self._read: dict[tuple[str, int], int] = defaultdict(int)  # up to where, by the name on the wire

    def news(self) -> dict[str, list[list[Seen]]]:
        """What was committed since this was last asked: by topic, by partition, in order.

        Waits until no transaction is open, so that nothing that was published before is left out.
        """
        ends = self._decided_ends()
        news: dict[str, list[list[Seen]]] = {topic: [[] for _ in range(self.partitions)] for topic in _TOPICS}
        consumer = Consumer(self._settings | _READING)
        try:
            unread = {place for place, end in ends.items() if self._read[place] < end}
            consumer.assign([TopicPartition(*place, self._read[place]) for place in unread])
            while unread:
                for message in consumer.consume(1_000, 1.0) if len(unread) > 1 else consumer.consume(100, 0.1):
                    place = message.topic(), message.partition()
                    if message.error() is None:
                        seen = Seen(message.offset(), message.timestamp()[1], message.key(), message.value())
                        news[message.topic().removeprefix(self._prefix)][message.partition()].append(seen)
                    if message.offset() + (message.error() is None) >= ends[place]:
                        unread.discard(place)
        finally:
            consumer.close()
        self._read.update(ends)
        return news

    def committed(self) -> list[dict[str, int]]:
        """The group's next offsets by partition and topic."""
        asked = ConsumerGroupTopicPartitions(self._group)
        (answer,) = self._asked(lambda admin: admin.list_consumer_group_offsets([asked])).values()
        offsets = {(place.topic, place.partition): place.offset for place in answer.topic_partitions}
        return [
            {topic: max(0, offsets.get((self._prefix + topic, partition), 0)) for topic in INPUTS}
            for partition in range(self.partitions)
        ]

    def coordinator(self) -> int:
        """The node that coordinates the group."""
        return int(self._group_described().coordinator.id)

    def busy(self) -> int:
        """How many members of the group have partitions."""
        return sum(bool(member.assignment.topic_partitions) for member in self._group_described().members)

    def states(self, partition: int) -> States:
        """What Redis holds of a partition."""
        root = f"{{kithkin:{self._prefix}:{self._group}:{partition}}}"
        with Redis.from_url(self._redis_url) as redis:
            offsets = json.loads(redis.hget(f"{root}:head", "offsets") or "{}")
            members = sorted(name.decode() for name in redis.smembers(f"{root}:homes"))
            names = [name for name in members if not name.startswith("!")]  # others are what the worker notes for itself
            homes = redis.mget([f"{root}:home:{name}" for name in names]) if names else []
        return States({topic: offsets.get(topic, 0) for topic in INPUTS}, dict(zip(names, homes, strict=True)))

    def _decided_ends(self) -> dict[tuple[str, int], int]:
        """Where each partition ends, when nothing is undecided there."""
        ends: dict[tuple[str, int], int] = {}

        def decided() -> bool:
            ends.update(self._ends(IsolationLevel.READ_COMMITTED))
            return ends == self._ends(IsolationLevel.READ_UNCOMMITTED)

        assert until(decided, _PATIENCE_S), "a transaction stays open, so that readers wait for ever"
        return ends

    def _ends(self, isolation: IsolationLevel) -> dict[tuple[str, int], int]:
        places = {
            TopicPartition(self._prefix + topic, partition): OffsetSpec.latest()
            for topic in _TOPICS
            for partition in range(self.partitions)
        }
        found = self._asked(lambda admin: admin.list_offsets(places, isolation_level=isolation, request_timeout=_PATIENCE_S))
        return {(place.topic, place.partition): end.offset for place, end in found.items()}

    def _group_described(self) -> Any:
        (group,) = self._asked(lambda admin: admin.describe_consumer_groups([self._group])).values()
        return group

    def _asked(self, ask: Callable[[AdminClient], dict[Any, Any]]) -> dict[Any, Any]:
        """The answers of the brokers, who may have just changed: each time a client asks that knows nothing of before."""
        answers: dict[Any, Any] = {}

        def answered() -> bool:
            admin = AdminClient(self._settings)  # held, or what is asked of it ends with it
            with suppress(KafkaException):
                answers.update({one: answer.result(_PATIENCE_S) for one, answer in ask(admin).items()})
            return bool(answers)

        assert until(answered, _PATIENCE_S), "the brokers do not answer"
        return answers
