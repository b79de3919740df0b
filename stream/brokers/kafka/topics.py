"""Kafka as all of ours meet it: addresses and names, the settings of librdkafka, reading and sending outside of a group.

Law: a topic has its prefix on the wire and nowhere else; what is read was committed; what is sent goes where every Java
producer would send it.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, Self

from stream.contract.errors import ConfigError, how_to_install
from stream.contract.ports import BrokerError
from stream.contract.records import Record
from stream.contract.settings import Wiring, is_port

from .security import librdkafka_security

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition
    from confluent_kafka.admin import AdminClient

__all__ = [
    "PATIENCE_S", "Names", "Sender", "address", "librdkafka", "partitions_of", "producer", "reader", "records_of",
    "require_client", "traceparents_of",
]  # fmt: skip

PATIENCE_S: Final = 30.0  # what the brokers do not answer for so long ends the process; one that restarts is back in less

_LOG = logging.getLogger(__name__)
_FORMS: Final = "confluent://HOST:PORT[,HOST:PORT…] or kafka://HOST:PORT[,HOST:PORT…], with ports from 1 to 65535"
_TRACEPARENT: Final = "traceparent"
_AT_ONCE: Final = 1_000
_WAIT_S: Final = 0.1
_REPORT_S: Final = 1.0  # later than at the end of its patience a client does not tell what was not delivered


def address(wiring: Wiring) -> tuple[str, str]:
    """The URL's scheme, which names the client, and the brokers as HOST:PORT[,HOST:PORT…].

    Raises
    ------
    ConfigError
        The URL has another form.

    Examples
    --------
    >>> address(Wiring(broker="kafka://a.example:9092,b.example:9092"))
    ('kafka', 'a.example:9092,b.example:9092')
    """
    scheme, _, servers = wiring.broker.partition("://")
    if "@" in servers:  # before it may stand a password, which is not to be shown
        raise ConfigError("broker", f"{scheme}://…@…", "the wiring", f"{_FORMS}; a name and password stand in [kafka]")
    places = [server.rpartition(":") for server in servers.removesuffix("/").split(",")]
    if scheme not in ("confluent", "kafka") or not all(host and "/" not in host and is_port(port) for host, _, port in places):
        raise ConfigError("broker", wiring.broker, "the wiring", _FORMS)
    return scheme, servers.removesuffix("/")


@contextmanager
def require_client(wiring: Wiring) -> Iterator[None]:
    """Around the import of a client library: what is missing becomes a ConfigError that says how to get it.

    Before that a ConfigError tells of an address of no form: for such a one no library need be installed.
    """
    address(wiring)
    try:
        yield
    except ImportError as error:
        raise ConfigError("broker", error.name, "not installed", f"installed: {how_to_install('cluster')}") from error


class Names:
    """Names of topics: on the wire, where they have the prefix, and as the contract calls them."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def wire(self, topic: str) -> str:
        """The name that brokers know."""
        return self._prefix + topic

    def ours(self, topic: str) -> str:
        """The name that the contract knows."""
        return topic.removeprefix(self._prefix)


def librdkafka(wiring: Wiring) -> dict[str, Any]:
    """What all our clients of confluent-kafka are set to. Raises ConfigError."""
    return {
        "bootstrap.servers": address(wiring)[1],
        "client.id": "kithkin",
        "reconnect.backoff.max.ms": 1_000,
        "logger": _LOG,
        **librdkafka_security(wiring.kafka),
    }


def partitions_of(
    client: "Consumer | AdminClient", wiring: Wiring, topics: Sequence[str], timeout_s: float = PATIENCE_S,
    optional: Sequence[str] = (),
) -> list["TopicPartition"]:  # fmt: skip
    """All partitions of some topics, by their names on the wire; of an `optional` one that is missing, none.

    Raises ConfigError when another is missing, and KafkaException.
    """
    from confluent_kafka import TopicPartition

    wires = [Names(wiring.prefix).wire(topic) for topic in topics]
    known = client.list_topics(timeout=timeout_s).topics
    missing = [Names(wiring.prefix).wire(topic) for topic in topics if topic not in optional]
    missing = [wire for wire in missing if wire not in known]
    if missing:
        right = "that of topics which exist; `kithkin topics create` makes them"
        raise ConfigError("prefix", wiring.prefix, f"{wiring.broker} has no {' and no '.join(missing)}", right)
    return [TopicPartition(wire, partition) for wire in wires if wire in known for partition in known[wire].partitions]


def records_of(messages: Sequence["Message"], names: Names) -> list[Record]:
    """Messages without an error as records."""
    return [
        Record(
            names.ours(message.topic()),  # type: ignore[arg-type]  # a message from a broker has its place
            message.partition(),  # type: ignore[arg-type]
            message.offset(),  # type: ignore[arg-type]
            message.timestamp()[1],
            message.key(),
            message.value(),
        )
        for message in messages
    ]


def traceparents_of(headers: Iterable[Any]) -> list[str]:
    """What senders say their records are part of, each once, in order: the header `traceparent` of W3C Trace Context.

    `headers`: of each record, pairs of name and bytes, or None.

    >>> traceparents_of([None, [("traceparent", b"00-1-2-01"), ("other", b"x")], [("traceparent", b"00-1-2-01")]])
    ['00-1-2-01']
    """
    told = {raw: None for own in headers if own for name, raw in own if name == _TRACEPARENT and raw is not None}
    return [raw.decode("ascii", "replace") for raw in told]


def reader(
    wiring: Wiring,
    topics: Sequence[str],
    start: Literal["beginning", "end"] | int = "beginning",
    stop: Callable[[], bool] | None = None,
) -> Iterator[Record]:
    """Committed records of all partitions of some topics, whichever client the wiring names.

    Only the records of one partition come in their order.

    Parameters
    ----------
    wiring
        Where, and under which prefix.
    topics
        As the contract calls them.
    start
        From the first record that is kept; from now on; or from a time, ms since the Unix epoch.
    stop
        Asked about ten times a second: True ends it. None: it ends where the topics end.

    Raises
    ------
    ConfigError
        A topic does not exist, or the wiring cannot be.
    BrokerError
        The brokers do not answer, or refuse.
    """
    with require_client(wiring):
        from confluent_kafka import Consumer, KafkaException
    settings = {
        **librdkafka(wiring),
        "group.id": "kithkin.reader",  # demanded by the library; nothing is joined or committed
        "enable.auto.commit": False,
        "enable.partition.eof": True,
        "isolation.level": "read_committed",
        "auto.offset.reset": "earliest",
        "fetch.queue.backoff.ms": 5,
        "fetch.wait.max.ms": 100,  # the end of a topic is known no sooner
    }
    consumer = Consumer(settings)
    try:
        places = partitions_of(consumer, wiring, topics)
        yield from _read(consumer, Names(wiring.prefix), _starts(consumer, places, start), stop)
    except KafkaException as error:
        raise BrokerError(f"reading {', '.join(topics)}: {error.args[0].str()}") from error
    finally:
        consumer.close()


def _starts(
    consumer: "Consumer", places: list["TopicPartition"], start: Literal["beginning", "end"] | int
) -> list["TopicPartition"]:
    """Partitions with the offsets to begin at."""
    from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, TopicPartition

    offset = {"beginning": OFFSET_BEGINNING, "end": OFFSET_END}[start] if isinstance(start, str) else start
    starts = [TopicPartition(place.topic, place.partition, offset) for place in places]
    return starts if isinstance(start, str) else consumer.offsets_for_times(starts, PATIENCE_S)


def _read(
    consumer: "Consumer", names: Names, starts: list["TopicPartition"], stop: Callable[[], bool] | None
) -> Iterator[Record]:
    from confluent_kafka import KafkaError, KafkaException

    consumer.assign(starts)
    unread = {(start.topic, start.partition) for start in starts}
    while not stop() if stop else unread:
        messages = consumer.consume(_AT_ONCE, 0) or consumer.consume(1, _WAIT_S)
        for message in messages:
            error = message.error()
            if error and error.code() != KafkaError._PARTITION_EOF:
                raise KafkaException(error)
            if error:
                unread.discard((message.topic(), message.partition()))
        yield from records_of([message for message in messages if not message.error()], names)


def producer(wiring: Wiring) -> "Sender":
    """Sends input records as devices and apps would. Raises ConfigError."""
    with require_client(wiring):
        from confluent_kafka import Producer
    patience_ms = int(wiring.kafka.retries_s * 1_000)
    settings = {
        **librdkafka(wiring),
        "enable.idempotence": True,
        "linger.ms": 1,
        "partitioner": "murmur2_random",  # librdkafka's own would send nine in ten keys elsewhere than Java's
        "delivery.timeout.ms": patience_ms,
        "topic.metadata.propagation.max.ms": patience_ms,  # how long a topic that there is not is waited for
    }
    return Sender(lambda: Producer(settings), Names(wiring.prefix), wiring.kafka.retries_s)


class Sender:
    """Sends records without waiting for each; made by `producer`. As a context manager it flushes at the end.

    After a BrokerError it goes on with a new client: one failure is told once. What was under way with the old one may be lost.
    """

    def __init__(self, connect: "Callable[[], Producer]", names: Names, patience_s: float) -> None:
        self._connect, self._client, self._names, self._patience_s = connect, connect(), names, patience_s
        self._failed: str | None = None

    def send(self, record: Record) -> None:
        """Send key, value and timestamp to the topic; the partition is the key's, whatever the record says.

        Waits only while too much is under way. Raises BrokerError when an earlier record could not be delivered, or this one
        is not taken.
        """
        from confluent_kafka import KafkaException

        topic = self._names.wire(record.topic)
        while True:
            try:
                self._client.produce(topic, record.value, record.key, timestamp=record.timestamp, on_delivery=self._note_delivery)
                break
            except BufferError:
                self._client.poll(_WAIT_S)
            except KafkaException as error:  # a client that has failed for good takes nothing more
                self._failed = f"{topic}: a record was not taken: {error.args[0].str()}"
                break
        self._client.poll(0)
        self._raise_failed()

    def flush(self) -> None:
        """Wait until all is delivered. Raises BrokerError when something was not."""
        left = self._client.flush(self._patience_s + _REPORT_S)
        if left and not self._failed:
            self._failed = f"{left} records were not delivered within {self._patience_s:.0f} s"
        self._raise_failed()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if error is None:
            self.flush()

    def _note_delivery(self, error: "KafkaError | None", message: "Message") -> None:
        if error is not None:
            self._failed = f"{message.topic()}: a record was not delivered: {error.str()}"

    def _raise_failed(self) -> None:
        if self._failed:
            failed, self._failed = self._failed, None
            self._client.purge()  # what it still had would come twice, once its sender tries again
            self._client = self._connect()
            raise BrokerError(failed)
