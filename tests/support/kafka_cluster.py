"""Topics and a group on a real Kafka, for the tests of what works upon it."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from kafka.admin import KafkaAdminClient, MemberToRemove

from stream.brokers import open_broker
from stream.brokers.kafka.topics import reader
from stream.contract.ports import Broker, Encoded
from stream.contract.records import MODELS
from stream.contract.settings import KafkaWiring, Wiring

__all__ = ["ANSWER_S", "KafkaCluster"]

ANSWER_S = 20


class KafkaCluster:
    """Two partitions of each topic, under a prefix of its own; of the senders' time, so that records are given as they were sent.

    Parameters
    ----------
    scheme
        Of the wiring's URL: which client the brokers of `join` use.
    bootstrap
        Of the Kafka.
    partitions
        By topic, where it is not 2.
    without
        Topics that there are not.
    kafka
        Further settings of the wiring.
    """

    def __init__(
        self, scheme: str, bootstrap: str, partitions: Mapping[str, int] = {}, without: Sequence[str] = (), **kafka: Any
    ) -> None:
        prefix = f"t{uuid.uuid4().hex[:12]}."
        self.bootstrap = bootstrap
        self.wiring = Wiring(broker=f"{scheme}://{bootstrap}", prefix=prefix, group=f"{prefix}g", kafka=KafkaWiring(**kafka))
        self.admin = AdminClient({"log_level": 0, "bootstrap.servers": bootstrap})
        config = {"message.timestamp.type": "CreateTime"}
        new = [NewTopic(prefix + topic, partitions.get(topic, 2), 1, config=config) for topic in MODELS if topic not in without]
        for made in self.admin.create_topics(new).values():
            made.result(ANSWER_S)
        self.producer = self.sender(**{"linger.ms": 0})
        self._members: list[Broker] = []

    def append(self, topic: str, partition: int, timestamp: int, key: bytes | None, value: bytes | None) -> None:
        self.producer.produce(self.wiring.prefix + topic, value, key, partition, timestamp=timestamp)

    def join(self, slot: str | None = None) -> Broker:
        """With a slot of its own, unless one is named."""
        self.producer.flush(ANSWER_S)
        wiring = self.wiring.model_copy(update={"slot": slot or f"slot-{len(self._members)}"})
        self._members.append(open_broker(wiring))
        return self._members[-1]

    def expire(self, broker: Broker) -> None:
        """The one member, which `broker` must be."""
        (member,) = self.admin.describe_consumer_groups([self.wiring.group])[self.wiring.group].result(ANSWER_S).members
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap)
        admin.remove_group_members(self.wiring.group, [MemberToRemove(member_id=member.member_id)])
        admin.close()

    def outputs(self, topic: str, partition: int) -> Sequence[Encoded]:
        records = [record for record in reader(self.wiring, [topic]) if record.partition == partition]
        return [Encoded(topic, partition, record.timestamp, record.key, record.value) for record in records]

    def sender(self, transactional_id: str | None = None, **settings: Any) -> Producer:
        """A producer of somebody else; with an id, one that has begun no transaction yet."""
        ours = {"transactional.id": transactional_id} if transactional_id else {}
        made = Producer({"log_level": 0, "bootstrap.servers": self.bootstrap, **ours, **settings})
        if transactional_id:
            made.init_transactions(ANSWER_S)
        return made

    def close(self) -> None:
        self.producer.flush(ANSWER_S)
        for member in self._members:
            member.close()
