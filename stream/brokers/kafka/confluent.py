"""The parts of a cluster's broker over confluent-kafka (librdkafka): the fast ones.

Law: with them a `ClusterBroker` passes `tests/brokers/conformance_broker.py` against real brokers. Nothing of an assignment is
fetched before the poll after it, so that a place sought in between loses and doubles no record.
"""

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

from confluent_kafka import OFFSET_STORED, Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from stream.contract.ports import Batch, BrokerError, Fenced, Offsets, Transaction
from stream.contract.records import Record
from stream.contract.settings import Wiring

from .cluster import POLL_INTERVAL_MAX_S, BrokerProbe, ClusterBroker, Membership, await_topics, join, within
from .identity import TopicWatch, input_topics
from .journals import Span
from .topics import Names, librdkafka, records_of, traceparents_of

__all__ = ["confluent_broker"]

_LOG = logging.getLogger(__name__)
_FENCED: Final = frozenset(
    {
        KafkaError._FENCED,
        KafkaError.PRODUCER_FENCED,
        KafkaError.INVALID_PRODUCER_EPOCH,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.REBALANCE_IN_PROGRESS,
    }
)
_REFUSED: Final = frozenset({KafkaError._AUTHENTICATION, KafkaError._SSL})  # to try again would be in vain
_HARMLESS: Final = frozenset({KafkaError._PARTITION_EOF, KafkaError._MAX_POLL_EXCEEDED})  # the latter: we are told by a callback
_AT_ONCE: Final = 1_000
_WAIT_S: Final = 0.1
_CLOSE_S: Final = 5.0


def confluent_broker(wiring: Wiring) -> ClusterBroker:
    """A member of the wiring's group. Raises ConfigError, or BrokerError when the brokers do not answer or refuse us."""
    return join(wiring, _Publisher, _Member, _Reader, _watch)


def _watch(wiring: Wiring) -> TopicWatch:
    ends = ExitStack()
    admin = ends.enter_context(AdminClient(librdkafka(wiring) | {"log_level": 0}))
    return TopicWatch(lambda: input_topics(wiring, admin), ends.close, wiring.accept_new_topics)


class _Refusal:
    """An error of the connections after which it is in vain to try again. librdkafka tells it beside the answers to calls."""

    def __init__(self) -> None:
        self._error: KafkaError | None = None

    def note(self, error: KafkaError) -> None:
        """The client's `error_cb`. librdkafka goes on trying, so most of it is only worth a log line."""
        _LOG.warning("%s", error.str())
        if error.fatal() or error.code() in _REFUSED:
            self._error = error

    def check(self) -> None:
        """Raises BrokerError when there was one."""
        if self._error is not None:
            raise BrokerError(f"the brokers refuse us: {self._error.str()}")


class _Member:
    """Consumes as a member of the group."""

    def __init__(self, wiring: Wiring) -> None:
        self.membership = Membership()
        self._names = Names(wiring.prefix)
        self._starts: dict[tuple[str, int], int] = {}  # where partitions of the share were told to begin
        self._moved = False
        self._traced = wiring.tracing.endpoint is not None
        self._refusal = _Refusal()
        session_ms = int(wiring.kafka.session_timeout_s * 1_000)
        settings = _consumer_settings(wiring) | {
            "error_cb": self._refusal.note,
            "partition.assignment.strategy": "range",
            "session.timeout.ms": session_ms,
            "heartbeat.interval.ms": session_ms // 5,
            "max.poll.interval.ms": max(int(POLL_INTERVAL_MAX_S * 1_000), session_ms),
        }
        self._consumer = Consumer(settings)
        self._patience_s = wiring.kafka.retries_s
        self._pulse = BrokerProbe(lambda: self._consumer.list_topics(timeout=_CLOSE_S), self._patience_s)
        with _explain_errors("asking for the topics"):
            known = await_topics(self._names, lambda: self._consumer.list_topics(timeout=self._patience_s).topics)
        self.membership.topics = known
        self._consumer.subscribe(
            [self._names.wire(topic) for topic in self.membership.topics],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_revoke,
        )

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        ends_at = time.monotonic() + timeout_s
        with _explain_errors("polling"):
            self._move()
            while True:
                messages = _take(self._consumer, records_max, max(0.0, ends_at - time.monotonic()))
                news = self.membership.news()
                if news is not None:
                    return news  # what came before it in this poll comes again, to whoever has the partition now
                sound = [message for message in messages if message.error() is None]
                records = records_of(sound, self._names)
                if records or time.monotonic() >= ends_at:
                    self._refusal.check()
                    self._pulse.check(bool(records))
                    headers = (message.headers() for message in sound) if self._traced else ()
                    return Batch(records, traceparents=traceparents_of(headers))

    def committed(self, partition: int) -> Offsets:
        with _explain_errors(f"reading the committed offsets of partition {partition}"):
            places = [TopicPartition(self._names.wire(topic), partition) for topic in self.membership.topics]
            known = self._consumer.committed(places, self._patience_s)
        return {self._names.ours(place.topic): max(place.offset, 0) for place in known}

    def seek(self, partition: int, offsets: Offsets) -> None:
        if not self._moved:
            self._starts, self._moved = self._next_offsets(), True
        for topic in self.membership.topics:
            self._starts[self._names.wire(topic), partition] = offsets.get(topic, 0)

    def lag(self) -> dict[int, int]:
        lag = dict.fromkeys(self.membership.share, 0)
        for (topic, partition), offset in self._next_offsets().items():
            _, end = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), cached=True)
            lag[partition] += max(0, end - max(0, offset))
        return lag

    def close(self) -> None:
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _move(self) -> None:
        """Fetch from where the partitions of the share are to begin or to go on."""
        if self._moved:
            self._consumer.assign([TopicPartition(*place, offset) for place, offset in self._starts.items()])
            self._moved = False

    def _next_offsets(self) -> dict[tuple[str, int], int]:
        """Of the share, by the names on the wire; where nothing came yet, what it was told to begin at."""
        if self._moved:
            return dict(self._starts)
        known = self._consumer.position([TopicPartition(*place) for place in self._starts])
        positions = {(place.topic, place.partition): place.offset for place in known}
        return {place: positions[place] if positions[place] >= 0 else start for place, start in self._starts.items()}

    def _on_assign(self, consumer: Consumer, places: list[TopicPartition]) -> None:
        consumer.assign([])  # nothing is fetched before the worker has recovered
        self._starts, self._moved = {(place.topic, place.partition): OFFSET_STORED for place in places}, True
        ours = [(self._names.ours(place.topic), place.partition) for place in places]
        self.membership.note_assigned(ours, consumer.consumer_group_metadata())

    def _on_revoke(self, consumer: Consumer, _: list[TopicPartition]) -> None:
        self.membership.note_revoked()
        consumer.unassign()
        self._starts, self._moved = {}, False


class _Publisher:
    """Publishes in transactions; a predecessor's open one is aborted at once."""

    def __init__(self, wiring: Wiring, transactional_id: str) -> None:
        self._names = Names(wiring.prefix)
        self._open = False
        self._patience_s = wiring.kafka.retries_s
        self._refusal = _Refusal()
        settings = librdkafka(wiring) | {
            "error_cb": self._refusal.note,
            "transactional.id": transactional_id,
            "transaction.timeout.ms": int(wiring.kafka.transaction_timeout_s * 1_000),
            "linger.ms": 1,
            # A transaction begun right after another is told to wait; librdkafka would do so for 100 ms, twenty times too long.
            "retry.backoff.ms": 1,
            "compression.type": "lz4",
            "partitioner": "murmur2_random",
            "queue.buffering.max.messages": 0,  # a batch has its own limit
            "queue.buffering.max.kbytes": 1_048_576,
        }
        self._producer = Producer(settings)
        self._begin()

    def publish(self, transaction: Transaction, metadata: Any) -> None:
        try:
            self._producer.begin_transaction()
            self._open = True
            self._send(transaction)
            places = [
                TopicPartition(self._names.wire(topic), partition, offset)
                for partition, offsets in transaction.offsets.items()
                for topic, offset in offsets.items()
            ]
            self._send_offsets(places, metadata)
            self._producer.commit_transaction(self._patience_s)
            self._open = False
        except KafkaException as error:
            self._abort()
            raise _as_ours("publishing", error) from error

    def close(self) -> None:
        self._abort()

    def _begin(self) -> None:
        """Wait for the coordinator, and be told early when it refuses us."""
        ends_at = time.monotonic() + self._patience_s
        while True:
            try:
                self._producer.init_transactions(_WAIT_S)
                return
            except KafkaException as error:
                self._producer.poll(0)
                self._refusal.check()
                if not error.args[0].retriable() or time.monotonic() > ends_at:
                    raise _as_ours("beginning transactions", error) from error

    def _send(self, transaction: Transaction) -> None:
        produce, wire = self._producer.produce, self._names.wire
        for output in transaction.outputs:
            produce(wire(output.topic), output.value, output.key, output.partition, timestamp=output.timestamp)
        for entry in transaction.journal:
            # Its time is now, whatever the times of the events: retention must not take it away at once.
            produce(wire("journal"), entry.model_dump_json().encode(), partition=entry.partition)

    def _send_offsets(self, places: list[TopicPartition], metadata: Any) -> None:
        """librdkafka 2.16 does not keep this one time-out when the group's coordinator went away.

        Its issues 5456 and 5511: the call then comes back late or never.
        """
        late = "publishing: the group's coordinator did not take the offsets"
        within(self._patience_s, lambda: self._producer.send_offsets_to_transaction(places, metadata, self._patience_s), late)

    def _abort(self) -> None:
        if self._open:
            with suppress(KafkaException):
                self._producer.abort_transaction(_CLOSE_S)
            self._open = False


class _Reader:
    """Reads partitions outside of the group."""

    def __init__(self, wiring: Wiring) -> None:
        self._names = Names(wiring.prefix)
        self._patience_s = wiring.kafka.retries_s + wiring.kafka.transaction_timeout_s
        self._refusal = _Refusal()
        self._consumer = Consumer(_consumer_settings(wiring) | {"error_cb": self._refusal.note, "fetch.wait.max.ms": 10})

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        with _explain_errors(f"asking for the bounds of {topic}[{partition}]"):
            place = TopicPartition(self._names.wire(topic), partition)
            first, end = self._consumer.get_watermark_offsets(place, self._patience_s)
        return first, end

    def read(self, span: Span, records_max: int | None = None) -> list[Record]:
        with _explain_errors(f"reading {span}"):
            self._consumer.assign([TopicPartition(self._names.wire(span.topic), span.partition, span.start)])
            try:
                return self._read(span, records_max)
            finally:
                self._consumer.unassign()

    def close(self) -> None:
        with suppress(KafkaException, RuntimeError):
            self._consumer.close()

    def _read(self, span: Span, records_max: int | None) -> list[Record]:
        ends_at = time.monotonic() + self._patience_s
        messages: list[Message] = []
        while time.monotonic() < ends_at:
            for message in _take(self._consumer, _AT_ONCE, _WAIT_S):
                ended = span.stop is not None and _offset(message) >= span.stop
                if message.error():
                    ended = ended or (span.stop is None and not self._is_open_at(message))
                elif not ended:
                    messages.append(message)
                if ended or len(messages) == records_max or (span.stop is not None and _offset(message) == span.stop - 1):
                    return records_of(messages, self._names)
            self._refusal.check()
        raise BrokerError(f"{span}: no end within {self._patience_s:.0f} s: the brokers are slow, or a transaction stays open")

    def _is_open_at(self, end: Message) -> bool:
        """Whether a transaction that is not decided stands where committed records end."""
        place = TopicPartition(end.topic() or "", end.partition() or 0)
        return _offset(end) < self._consumer.get_watermark_offsets(place, cached=True)[1]


def _take(consumer: Consumer, messages_max: int, wait_s: float) -> list[Message]:
    """What is there, at once; else what comes with the first message. To consume many with a wait is to wait all of it.

    Messages that say that a partition has no more stay among them; another error is raised.
    """
    messages = consumer.consume(messages_max, 0)
    if not messages:
        messages = consumer.consume(1, wait_s)
        if messages and messages_max > 1:
            messages += consumer.consume(messages_max - 1, 0)
    for message in messages:
        error = message.error()
        if error is not None and error.code() not in _HARMLESS:
            raise KafkaException(error)
    return messages


def _offset(message: Message) -> int:
    offset = message.offset()
    assert offset is not None, "what comes from a broker has its offset"
    return offset


@contextmanager
def _explain_errors(doing: str) -> Iterator[None]:
    """Around calls of the client: its errors become ours."""
    try:
        yield
    except KafkaException as error:
        raise _as_ours(doing, error) from error


def _as_ours(doing: str, error: KafkaException) -> Fenced | BrokerError:
    cause = error.args[0]
    kind = Fenced if cause.code() in _FENCED else BrokerError
    return kind(f"{doing}: {cause.str()}")


def _consumer_settings(wiring: Wiring) -> dict[str, Any]:
    """Settings of every consumer. `queued.min.messages` is left alone: to set it low makes consuming six times slower."""
    return librdkafka(wiring) | {
        "group.id": wiring.group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "enable.partition.eof": True,  # how else would one know that only markers of transactions are left
        "auto.offset.reset": "earliest",
        "isolation.level": "read_committed",  # also makes `committed` wait until no transaction holds other offsets
        "fetch.queue.backoff.ms": 5,
        "fetch.wait.max.ms": 100,  # a partition assigned anew is not fetched before the request under way has come back
    }
