"""The brokers over real Kafka: what every broker promises, and what the two clients taught."""

import uuid
from collections.abc import Iterator, Sequence

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.admin import KafkaAdminClient, MemberToRemove

from stream.brokers import open_broker
from stream.brokers.kafka import reader
from stream.ports import Broker, Encoded
from stream.records import MODELS
from stream.settings import Wiring

from .conformance_broker import BrokerConformance, Cluster
from .conftest import Running


class KafkaCluster:
    """Topics of the senders' time, so that a record is seen to be given as it was sent."""

    def __init__(self, bootstrap: str, wiring: Wiring) -> None:
        self.bootstrap, self.wiring = bootstrap, wiring
        self.admin = AdminClient({"bootstrap.servers": bootstrap})
        new = [NewTopic(wiring.prefix + topic, 2, 1, config={"message.timestamp.type": "CreateTime"}) for topic in MODELS]
        for made in self.admin.create_topics(new).values():
            made.result(20)
        self.producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 0})
        self._members: list[Broker] = []

    def append(self, topic: str, partition: int, timestamp: int, key: bytes | None, value: bytes | None) -> None:
        self.producer.produce(self.wiring.prefix + topic, value, key, partition, timestamp=timestamp)

    def join(self, slot: str | None = None) -> Broker:
        self.producer.flush()
        wiring = self.wiring.model_copy(update={"slot": slot or f"slot-{len(self._members)}"})
        self._members.append(open_broker(wiring))
        return self._members[-1]

    def expire(self, broker: Broker) -> None:
        (member,) = self.admin.describe_consumer_groups([self.wiring.group])[self.wiring.group].result(20).members
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        admin.remove_group_members(self.wiring.group, [MemberToRemove(member_id=member.member_id)])
        admin.close()

    def outputs(self, topic: str, partition: int) -> Sequence[Encoded]:
        records = [record for record in reader(self.wiring, [topic]) if record.partition == partition]
        return [Encoded(topic, partition, record.timestamp, record.key, record.value) for record in records]

    def close(self) -> None:
        for member in self._members:
            member.close()


class OverKafka(BrokerConformance):
    scheme: str

    @pytest.fixture
    def cluster(self, kafka: Running) -> Iterator[Cluster]:
        prefix = f"t{uuid.uuid4().hex[:12]}."
        wiring = Wiring(broker=f"{self.scheme}://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}g")
        cluster = KafkaCluster(kafka.bootstrap, wiring)
        yield cluster
        cluster.close()


class TestConfluent(OverKafka):
    scheme = "confluent"


class TestKafkaPython(OverKafka):
    scheme = "kafka"
