"""The parts of a cluster's broker over kafka-python: the one without a compiled library.

Law: with them a `ClusterBroker` passes `tests/brokers/conformance_broker.py` against real brokers. The listener only notes: it
runs on the client's own thread, which also sends the heartbeats.
"""

import logging
import math
import re
import time
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Any, Final
from uuid import UUID

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    CommitFailedError,
    FencedInstanceIdError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    KafkaError,
    KafkaTimeoutError,
    ProducerFencedError,
    RebalanceInProgressError,
    UnknownMemberIdError,
    UnsupportedCodecError,
)

from stream.contract.errors import ConfigError, how_to_install
from stream.contract.ports import Batch, BrokerError, Fenced, InputTopic, Offsets, Transaction
from stream.contract.records import INPUT_TOPICS, Record
from stream.contract.settings import Wiring

from .cluster import POLL_INTERVAL_MAX_S, BrokerProbe, ClusterBroker, Membership, await_topics, join, within
from .identity import TopicWatch
from .journals import Span
from .security import kafka_python_security
from .topics import Names, address, traceparents_of

__all__ = ["KafkaPythonReader", "kafka_python_broker", "open_reader"]

_LOG = logging.getLogger(__name__)
for _name in ("kafka.net", "kafka.protocol", "kafka.admin.client"):  # at DEBUG they write requests and settings with the password
    logging.getLogger(_name).setLevel(logging.INFO)
_FENCED: Final = (
    CommitFailedError,  # of another generation, or no member any more
    FencedInstanceIdError,
    IllegalGenerationError,
    InvalidProducerEpochError,
    ProducerFencedError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)
_WISHED: Final = {
    "crc32c": "checksums are computed in Python, so that consuming is seven times slower",
    "lz4": "records that were compressed with lz4 cannot be read, such as the journal of a worker on confluent://",
    "snappy": "records that were compressed with snappy cannot be read",
    "zstandard": "records that were compressed with zstd cannot be read",
}
_WAIT_MS: Final = 100
_JOIN_MS: Final = 300
_AT_ONCE: Final = 1_000
_CLOSE_MS: Final = 5_000
_FAILED: Final = re.compile(r"failed: (.+?)(?: \(backoff .*)?$")
_ENDED: Final = "socket disconnected"  # all that it mostly hears of a refusal, whose reason it is sent just before
_MEANT: Final = f"{_ENDED}, as brokers do that refuse a name and password, or plain text"
_LATE: Final = "the brokers did not answer"  # of transactions, whose calls have no time-out of their own


def kafka_python_broker(wiring: Wiring) -> ClusterBroker:
    """A member of the wiring's group. Raises ConfigError, or BrokerError when the brokers do not answer or refuse us."""
    for module, lack in _WISHED.items():
        if find_spec(module) is None:
            _LOG.warning("the package %s is not installed: %s", module, lack)
    with _explain_from_log(), _explain_errors("connecting"):
        return join(wiring, _Publisher, _Member, KafkaPythonReader, _watch)


def _watch(wiring: Wiring) -> TopicWatch:
    settings = _client_settings(wiring)
    del settings["metrics_enabled"]  # an administrator has none
    names, admin = Names(wiring.prefix), KafkaAdminClient(**settings)
    wires = [names.wire(topic) for topic in INPUT_TOPICS]

    def ask() -> dict[str, InputTopic]:
        described = [topic for topic in admin.describe_topics(wires) if not topic["error_code"]]
        ids = [_topic_id(topic.get("topic_id")) for topic in described]
        return {
            names.ours(topic["name"]): InputTopic(known, len(topic["partitions"]))
            for topic, known in zip(described, ids, strict=True)
        }

    return TopicWatch(ask, admin.close, wiring.accept_new_topics)


def _topic_id(told: UUID | str | None) -> str:
    """Empty where brokers give none (before 2.8: zeros)."""
    known = UUID(str(told)) if told else None
    return urlsafe_b64encode(known.bytes).decode().rstrip("=") if known and known.int else ""


class _Member(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """Consumes as a member of the group."""

    def __init__(self, wiring: Wiring) -> None:
        self.membership = Membership()
        self._names = Names(wiring.prefix)
        session_ms = int(wiring.kafka.session_timeout_s * 1_000)
        self._consumer = KafkaConsumer(
            **_consumer_settings(wiring),
            group_id=wiring.group,
            partition_assignment_strategy=(RangePartitionAssignor,),
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 5,
            max_poll_interval_ms=max(int(POLL_INTERVAL_MAX_S * 1_000), session_ms),
            fetch_max_wait_ms=_WAIT_MS,
        )
        self._unsought: set[Any] = set()
        self._traced = wiring.tracing.endpoint is not None
        self._patience_ms = int(wiring.kafka.retries_s * 1_000)
        self._pulse = BrokerProbe(self._ask, wiring.kafka.retries_s)
        self.membership.topics = await_topics(self._names, self._consumer.topics)
        self._consumer.subscribe([self._names.wire(topic) for topic in self.membership.topics], listener=self)
        self._consumer.topics()  # before joining: a member that does not know its topics joins twice

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        with _explain_errors("polling"):
            self._begin()
            polled = self._consumer.poll(timeout_ms=timeout_s * 1_000, max_records=records_max)
            if not self.membership.joined:  # what joining came to between two polls is lost, and all members join again
                polled = self._consumer.poll(timeout_ms=_JOIN_MS, max_records=records_max)
            news = self.membership.news()
            if news is not None:
                self._unsought = self._consumer.assignment() if self.membership.joined else set()
                return news  # what came in this poll comes again, to whoever has the partition now
            self._pulse.check(bool(polled))
        headers = (record.headers for records in polled.values() for record in records) if self._traced else ()
        return Batch(_records_of(polled, self._names), traceparents=traceparents_of(headers))

    def committed(self, partition: int) -> Offsets:
        with _explain_errors(f"reading the committed offsets of partition {partition}"):
            return {
                topic: self._consumer.committed(self._place(topic, partition), timeout_ms=self._patience_ms) or 0
                for topic in self.membership.topics
            }

    def seek(self, partition: int, offsets: Offsets) -> None:
        for topic in self.membership.topics:
            place = self._place(topic, partition)
            self._consumer.seek(place, offsets.get(topic, 0))
            self._unsought.discard(place)

    def lag(self) -> dict[int, int]:
        lag = dict.fromkeys(self.membership.share, 0)
        for place in self._consumer.assignment():
            end, offset = self._consumer.highwater(place), self._consumer.position(place, timeout_ms=0)
            if end is not None and offset is not None:
                lag[place.partition] += max(0, end - offset)
        return lag

    def close(self) -> None:
        with suppress(Exception):  # whatever it is, we are leaving
            self._consumer.close(autocommit=False, timeout_ms=_CLOSE_MS)

    def on_partitions_assigned(self, assigned: set[Any]) -> None:
        """The client's call."""
        ours = [(self._names.ours(place.topic), place.partition) for place in assigned]
        self.membership.note_assigned(ours, self._consumer.group_metadata())

    def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """The client's call."""
        self.membership.note_revoked()

    def on_partitions_lost(self, lost: set[Any]) -> None:
        """The client's call."""
        self.membership.note_revoked()

    def _begin(self) -> None:
        """Where nothing was sought after an assignment, begin at what is committed: the client would go on where it stood."""
        for place in self._unsought:
            offset = self._consumer.committed(place, timeout_ms=self._patience_ms)
            if offset is None:
                self._consumer.seek_to_beginning(place)
            else:
                self._consumer.seek(place, offset)
        self._unsought = set()

    def _place(self, topic: str, partition: int) -> Any:
        return TopicPartition(self._names.wire(topic), partition)

    def _ask(self) -> None:
        self._consumer.end_offsets([self._place(INPUT_TOPICS[0], 0)], timeout_ms=_CLOSE_MS)


class _Publisher:
    """Publishes in transactions; a predecessor's open one is aborted at once."""

    def __init__(self, wiring: Wiring, transactional_id: str) -> None:
        self._names = Names(wiring.prefix)
        self._open = False
        self._patience_s = wiring.kafka.retries_s
        patience_ms = int(self._patience_s * 1_000)
        self._producer = KafkaProducer(
            **_client_settings(wiring),
            transactional_id=transactional_id,
            transaction_timeout_ms=int(wiring.kafka.transaction_timeout_s * 1_000),
            delivery_timeout_ms=patience_ms,
            request_timeout_ms=patience_ms // 2,
            max_block_ms=patience_ms,
            linger_ms=50,  # it never lasts so long: all is flushed at once when all is sent
            batch_size=256 * 1_024,
            retry_backoff_ms=5,  # a transaction begun right after another is told to wait, but not for long
        )
        self._producer.init_transactions()

    def publish(self, transaction: Transaction, metadata: Any) -> None:
        try:
            with _explain_errors("publishing"):
                within(self._patience_s, lambda: self._publish(transaction, metadata), _LATE)
        except (Fenced, BrokerError):
            self._abort()
            raise

    def close(self) -> None:
        self._abort()
        with suppress(Exception):
            self._producer.close(timeout=_CLOSE_MS / 1_000)

    def _publish(self, transaction: Transaction, metadata: Any) -> None:
        send, wire = self._producer.send, self._names.wire
        self._producer.begin_transaction()
        self._open = True
        sent = [
            send(wire(output.topic), output.value, output.key, None, output.partition, output.timestamp)
            for output in transaction.outputs
        ]
        # The journal's time is now, whatever the times of the events: retention must not take it away at once.
        sent += [
            send(wire("journal"), entry.model_dump_json().encode(), partition=entry.partition) for entry in transaction.journal
        ]
        offsets = {
            TopicPartition(wire(topic), partition): OffsetAndMetadata(offset, "", -1)
            for partition, ours in transaction.offsets.items()
            for topic, offset in ours.items()
        }
        self._producer.send_offsets_to_transaction(offsets, metadata)
        self._producer.flush(self._patience_s)
        for future in sent:  # the commit succeeds without a record whose delivery only took too long
            if not future.succeeded():
                raise future.exception or KafkaTimeoutError("a record was not delivered in time")
        self._producer.commit_transaction()
        self._open = False

    def _abort(self) -> None:
        if self._open:
            with suppress(KafkaError, BrokerError):
                within(_CLOSE_MS / 1_000, self._producer.abort_transaction, _LATE)
            self._open = False


def open_reader(wiring: Wiring) -> "KafkaPythonReader":
    """Reads what was committed, outside of any group, whichever client the URL names. Raises ConfigError."""
    address(wiring)
    return KafkaPythonReader(wiring)


class KafkaPythonReader:
    """Reads partitions outside of the group; connected when it is first asked."""

    def __init__(self, wiring: Wiring) -> None:
        self._names = Names(wiring.prefix)
        self._patience_s = wiring.kafka.retries_s + wiring.kafka.transaction_timeout_s
        self._patience_ms = int(wiring.kafka.retries_s * 1_000)
        self._settings = _consumer_settings(wiring) | {"fetch_max_wait_ms": 10}
        self._connected: Any = None

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        place = TopicPartition(self._names.wire(topic), partition)
        with _explain_errors(f"asking for the bounds of {topic}[{partition}]"):
            first = self._consumer.beginning_offsets([place], timeout_ms=self._patience_ms)[place]
            return first, self._consumer.end_offsets([place], timeout_ms=self._patience_ms)[place]

    def partitions(self, topic: str) -> int:
        """How many there are. Raises ConfigError when there is no such topic, and BrokerError."""
        wire = self._names.wire(topic)
        with _explain_from_log(), _explain_errors(f"asking for the partitions of {topic}"):
            found = self._consumer.partitions_for_topic(wire)
        if not found:
            right = "that of topics which exist; `kithkin topics create` makes them"
            raise ConfigError("prefix", wire.removesuffix(topic), f"the brokers have no {wire}", right)
        return len(found)

    def offset_at(self, topic: str, partition: int, at_ms: int) -> int | None:
        """The first offset whose record came then or later; None: there is none. Raises BrokerError."""
        place = TopicPartition(self._names.wire(topic), partition)
        with _explain_errors(f"asking where {at_ms} is in {topic}[{partition}]"):
            found = self._consumer.offsets_for_times({place: at_ms}, timeout_ms=self._patience_ms)[place]
        return None if found is None or found.offset < 0 else int(found.offset)

    def read(self, span: Span, records_max: int | None = None) -> list[Record]:
        place = TopicPartition(self._names.wire(span.topic), span.partition)
        ends_at = time.monotonic() + self._patience_s
        records: list[Record] = []
        with _explain_errors(f"reading {span}"):
            self._consumer.assign([place])
            self._consumer.seek(place, span.start)
            while time.monotonic() < ends_at:
                polled = self._consumer.poll(timeout_ms=_WAIT_MS, max_records=_AT_ONCE)
                records += [r for r in _records_of(polled, self._names) if span.stop is None or r.offset < span.stop]
                if records_max is not None and len(records) >= records_max:
                    return records[:records_max]
                if self._position(place) >= (span.stop if span.stop is not None else self._end(place)):
                    return records
        raise BrokerError(f"{span}: no end within {self._patience_s:.0f} s: the brokers are slow, or a transaction stays open")

    def close(self) -> None:
        if self._connected is not None:
            with suppress(Exception):
                self._connected.close(timeout_ms=_CLOSE_MS)

    @property
    def _consumer(self) -> Any:
        if self._connected is None:
            self._connected = KafkaConsumer(**self._settings)
        return self._connected

    def _position(self, place: Any) -> float:
        position = self._consumer.position(place, timeout_ms=self._patience_ms)
        return -1 if position is None else position

    def _end(self, place: Any) -> float:
        """Of all that is written, also in a transaction that is open; infinite before the first answer."""
        end = self._consumer.highwater(place)
        return math.inf if end is None else end


def _client_settings(wiring: Wiring) -> dict[str, Any]:
    """Settings of every client."""
    return {
        "bootstrap_servers": address(wiring)[1].split(","),
        "bootstrap_timeout_ms": int(wiring.kafka.retries_s * 1_000),
        "client_id": "kithkin",
        "reconnect_backoff_max_ms": 1_000,
        "metrics_enabled": False,
        **kafka_python_security(wiring.kafka),
    }


def _consumer_settings(wiring: Wiring) -> dict[str, Any]:
    """Settings of every consumer."""
    return _client_settings(wiring) | {
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "isolation_level": "read_committed",  # also makes `committed` wait until no transaction holds other offsets
        "allow_auto_create_topics": False,
    }


def _records_of(polled: Mapping[Any, list[Any]], names: Names) -> list[Record]:
    return [
        Record(names.ours(place.topic), place.partition, record.offset, record.timestamp, record.key, record.value)
        for place, records in polled.items()
        for record in records
    ]


@contextmanager
def _explain_errors(doing: str) -> Iterator[None]:
    """Around calls of the client: its errors become ours."""
    try:
        yield
    except UnsupportedCodecError as error:
        right = f"installed: {how_to_install('cluster')}; or confluent://, which reads all that Kafka has"
        raise ConfigError("broker", "kafka://", f"{doing}: what records were compressed with: {error}", right) from error
    except KafkaError as error:
        fenced = any(isinstance(cause, _FENCED) for cause in (error, *error.args))  # an error may come wrapped in another
        raise (Fenced if fenced else BrokerError)(f"{doing}: {error}") from error


class _Reasons(logging.Handler):
    """Why connections failed, as a logger is told."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: dict[str, None] = {}  # each once, in order

    def emit(self, record: logging.LogRecord) -> None:
        if found := _FAILED.search(record.getMessage()):
            self.told[found[1]] = None


@contextmanager
def _explain_from_log() -> Iterator[None]:
    """Around connecting: the client tells its log alone why it was refused, and raises only that time is up."""
    log, reasons = logging.getLogger("kafka.net.manager"), _Reasons()
    log.addHandler(reasons)
    try:
        yield
    except BrokerError as error:
        why = "; ".join(told for told in reasons.told if told not in str(error))
        raise BrokerError(f"{error}, because of {why.replace(_ENDED, _MEANT)}" if why else str(error)) from error.__cause__
    finally:
        log.removeHandler(reasons)
