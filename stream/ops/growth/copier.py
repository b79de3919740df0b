"""Records of topics under one prefix, copied to those under another, each exactly once.

Law: copies and the offsets of what was copied become visible in one transaction, and of several who copy the same only the newest
goes on. Key, value, headers and time of a record stay, and so does the order of a partition of a topic; the new partition is the
one to which every producer of Kafka's sends the key.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from stream.brokers.kafka.cluster import within
from stream.brokers.kafka.groups import committed_offsets, onlooker
from stream.brokers.kafka.producer import explain_errors
from stream.brokers.kafka.topics import Names, librdkafka, partitions_of, require_client
from stream.brokers.partitioning import partition_of
from stream.contract.codec import household_of_key
from stream.contract.ports import BrokerError
from stream.contract.records import INPUT_TOPICS
from stream.contract.settings import Wiring
from stream.stores.moves import Growth

from ..topics import TIMEOUT_S, TOPICS

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message, TopicPartition
    from confluent_kafka.admin import AdminClient

__all__ = ["COPIED", "COPYING", "Copier", "group_of", "places_of"]

_COMPACTED: Final = tuple(topic.name for topic in TOPICS if topic.cleanup == "compact")  # is read from the beginning, by whoever
COPIED: Final = (*INPUT_TOPICS, *_COMPACTED)
COPYING: Final = ("copying", "somebody else has begun to copy the same")  # for `explain_errors`
_NEEDED: Final = ("recognitions", "feedback")
_LOG = logging.getLogger(__name__)
_WAIT_S: Final = 0.1
_KEPT_ALIVE_S: Final = 3_600.0  # brokers forget the offsets of a group without members after days in which none was committed
_BYTES_MAX: Final = 100_000_000  # the brokers have their own limit, which a record has passed once

Place = tuple[str, int]  # topic as on the wire, partition


def places_of(client: "Consumer | AdminClient", wiring: Wiring, topics: Sequence[str] = COPIED) -> list["TopicPartition"]:
    """All partitions of those of the topics that are there. Raises ConfigError without the two of all workers; KafkaException."""
    there = client.list_topics(timeout=TIMEOUT_S).topics
    wanted = [topic for topic in topics if topic in _NEEDED or wiring.prefix + topic in there]
    return partitions_of(client, wiring, wanted, TIMEOUT_S)


def group_of(wiring: Wiring, growth: Growth) -> str:
    """The group whose offsets say what was copied; it has no members."""
    return f"{wiring.group}-to-{growth.to_prefix}"


class Copier:
    """Copies what is to be copied of a move.

    Parameters
    ----------
    wiring
        Of the old prefix.
    growth
        From where to where.

    Raises
    ------
    ConfigError
        The wiring cannot be, a topic is missing, or the client library.
    BrokerError, Fenced
        The brokers do not answer. From all methods; Fenced when somebody else has begun to copy the same.
    """

    def __init__(self, wiring: Wiring, growth: Growth) -> None:
        with require_client(wiring):
            from confluent_kafka import Consumer, Producer
        self._wiring, self._growth, self._patience_s = wiring, growth, wiring.kafka.retries_s
        self._from, self._to = Names(growth.from_prefix), Names(growth.to_prefix)
        self._kept_s = time.monotonic()
        quiet = librdkafka(wiring) | {"error_cb": lambda _: None}  # what matters is raised by the next call
        self._producer = Producer(
            quiet
            | {
                "transactional.id": f"{growth.to_prefix}{wiring.group}-grow",
                "transaction.timeout.ms": int(wiring.kafka.transaction_timeout_s * 1_000),
                "compression.type": "lz4",
                "message.max.bytes": _BYTES_MAX,
                "retry.backoff.ms": 1,
            }
        )
        self._consumer = Consumer(
            quiet
            | {
                "group.id": group_of(wiring, growth),
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "fetch.queue.backoff.ms": 5,
                "fetch.wait.max.ms": 100,
            }
        )
        with explain_errors(*COPYING):
            self._producer.init_transactions(self._patience_s)  # ends what a predecessor left open, and it can go on no more
            self._places = {(p.topic, p.partition): p.partition for p in places_of(self._consumer, wiring)}
        self._offsets: dict[Place, int] = {}

    def begin(self, offsets: Mapping[Place, int]) -> None:
        """Put down from where on inputs are to be copied (topics as on the wire), and profiles from their beginning.

        In a transaction, so that one who was stopped here and wakes up when somebody else copies changes nothing.
        """
        with explain_errors(*COPYING):
            self._transact([], {place: offsets.get(place, 0) for place in self._places})

    def copy(self, stop: Callable[[], bool] | None = None) -> Iterator[Counter[str]]:
        """Copy from where it stands to the end of all topics, or, asked about ten times a second, until `stop`.

        After each transaction, how many of which topic it had. Raises BrokerError also where it is not known how far it came.
        """
        from confluent_kafka import KafkaError, KafkaException, TopicPartition

        with explain_errors(*COPYING):
            self._offsets = self._stands_at()
            self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._offsets.items()])
        unread = set(self._offsets)
        while not stop() if stop else unread:
            with explain_errors(*COPYING):
                at_once = self._wiring.batch_records_max
                messages = self._consumer.consume(at_once, 0) or self._consumer.consume(1, _WAIT_S)
                for message in messages:
                    error = message.error()
                    if error and error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                    if error:
                        unread.discard((message.topic() or "", message.partition() or 0))
                records = [message for message in messages if not message.error()]
                if records or time.monotonic() - self._kept_s > _KEPT_ALIVE_S:
                    self._publish(records)
            if records:
                yield Counter(self._from.ours(message.topic() or "") for message in records)

    def close(self) -> None:
        """Never raises."""
        from confluent_kafka import KafkaException

        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _stands_at(self) -> dict[Place, int]:
        from confluent_kafka import TopicPartition

        own = self._wiring.model_copy(update={"group": group_of(self._wiring, self._growth)})
        with onlooker(own, "read_committed") as client:
            places = [TopicPartition(*place) for place in self._places]
            known = committed_offsets(client, places, self._patience_s, missing=-1)
        if -1 in known.values():
            raise BrokerError(
                f"the group {own.group} has no offsets any more, so nobody knows which records were copied: brokers forget them "
                "after offsets.retention.minutes without a copy. What came since, its senders must send again, to the new topics"
            )
        return known

    def _publish(self, records: Sequence["Message"]) -> None:
        """Copies; without any, the offsets are only put down anew."""
        moved = {_place(record): (record.offset() or 0) + 1 for record in records}
        self._transact(records, moved or self._offsets)
        self._offsets, self._kept_s = self._offsets | moved, time.monotonic()

    def _transact(self, records: Sequence["Message"], offsets: Mapping[Place, int]) -> None:
        """One transaction: copies, and from where on the next ones are made."""
        from confluent_kafka import KafkaException, TopicPartition

        places = [TopicPartition(*place, offset) for place, offset in offsets.items()]
        self._producer.begin_transaction()
        try:
            for record in records:
                self._produce(record)
            group, late = self._consumer.consumer_group_metadata(), "copying: the group's coordinator did not take the offsets"
            send = self._producer.send_offsets_to_transaction
            within(self._patience_s, lambda: send(places, group, self._patience_s), late)
            self._producer.commit_transaction(self._patience_s)
        except (KafkaException, BufferError):
            with suppress(KafkaException):
                self._producer.abort_transaction(self._patience_s)
            raise

    def _produce(self, record: "Message") -> None:
        topic, key = self._from.ours(record.topic() or ""), record.key()
        if key is None:
            partition = (record.partition() or 0) % self._growth.partitions
        else:
            of_home = household_of_key(key).encode() if topic in _COMPACTED else key
            partition = partition_of(of_home, self._growth.partitions)
        more: dict[str, Any] = {"timestamp": max(0, record.timestamp()[1]), "headers": record.headers() or []}
        self._producer.produce(self._to.wire(topic), record.value(), key, partition, **more)


def _place(record: "Message") -> Place:
    return record.topic() or "", record.partition() or 0
