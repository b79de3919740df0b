"""A cluster of a test's own on servers that all share, and what is amiss with it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from stream.contract.settings import Wiring
from stream.ops.checks import Check, State, run_checks
from stream.ops.local_cluster.processes import until
from stream.ops.topics import administration, create, find_topics
from stream.stores import open_store
from tests.conftest import Running


@dataclass(frozen=True)
class Cluster:
    """Topics and states of this test's own on servers that all share."""

    wiring: Wiring

    def checks(self, **changed: Any) -> dict[str, Check]:
        """All checks by name; none that is amiss says nothing of what would be right."""
        checks = run_checks(self.wiring.model_copy(update=changed))
        assert all(bool(check.right) == (check.state != "ok") for check in checks)
        assert len({check.name for check in checks}) == len(checks)
        return {check.name: check for check in checks}

    def set(self, topic: str, **settings: str) -> None:
        """Change settings of a topic; a dot in a name is written `_`."""
        from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource  # type: ignore[attr-defined]

        entries = [
            ConfigEntry(name.replace("_", "."), value, incremental_operation=AlterConfigOpType.SET)  # type: ignore[no-untyped-call]
            for name, value in settings.items()
        ]
        changed = ConfigResource(ConfigResource.Type.TOPIC, self.wiring.prefix + topic, incremental_configs=entries)
        with administration(self.wiring) as admin:
            admin.incremental_alter_configs([changed])[changed].result(10)
            told = {name.replace("_", "."): value for name, value in settings.items()}
            assert until(lambda: told.items() <= find_topics(self.wiring, admin)[topic].settings.items(), 10)

    def delete(self, topic: str) -> None:
        with administration(self.wiring) as admin:
            admin.delete_topics([self.wiring.prefix + topic])[self.wiring.prefix + topic].result(10)
            assert until(lambda: topic not in find_topics(self.wiring, admin), 10)

    def make(self, topic: str, partitions: int) -> None:
        from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

        name = self.wiring.prefix + topic
        with administration(self.wiring) as admin:
            admin.create_topics([NewTopic(name, partitions, 1)])[name].result(10)
            assert until(lambda: topic in find_topics(self.wiring, admin), 10)

    def saved(self, partition: int, **offsets: int) -> None:
        """States that stand at those offsets."""
        store = open_store(self.wiring.store or "", self.wiring)
        store.save(partition, store.claim(partition).epoch, {}, offsets, {"h-1": b"state"})
        store.close()

    def committed(self, partition: int, **offsets: int) -> None:
        """The group's offsets."""
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition

        places = [TopicPartition(self.wiring.prefix + topic, partition, offset) for topic, offset in offsets.items()]
        with administration(self.wiring) as admin:
            for done in admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(self.wiring.group, places)]).values():
                done.result(10)

    def sent(self, topic: str, partition: int, count: int, deleted: int = 0) -> None:
        """Records in a partition, the first of which are deleted."""
        from confluent_kafka import Producer, TopicPartition

        producer = Producer({"log_level": 0, "bootstrap.servers": self.wiring.broker.partition("://")[2]})
        for _ in range(count):
            producer.produce(self.wiring.prefix + topic, b"{}", b"h-1", partition)
        producer.flush()
        place = TopicPartition(self.wiring.prefix + topic, partition, deleted)
        with administration(self.wiring) as admin:
            admin.delete_records([place])[place].result(10)


@pytest.fixture
def cluster(kafka: Running, redis_url: str) -> Cluster:
    name = f"t{uuid.uuid4().hex[:12]}"
    cluster = Cluster(Wiring(broker=f"confluent://{kafka.bootstrap}", store=redis_url, prefix=f"{name}.", group=name))
    create(cluster.wiring, partitions=2)
    return cluster


def amiss(checks: Mapping[str, Check]) -> dict[str, State]:
    """What is not right, but that there is one broker here."""
    return {name: check.state for name, check in checks.items() if check.state != "ok" and name != "replication"}
