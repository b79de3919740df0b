"""Published records for whoever acts on them: of one topic, typed, and a group goes on where it stood.

Law: a record has been dealt with once the next one is asked for. What a group dealt with does not come again to it; what
it was dealing with when it was killed does, and so may what came shortly before that, up to `at_once` records of a partition. A
record that cannot be read is logged and passed over, for it would stop every subscriber for ever.
"""

import logging
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final, TypeVar

import msgspec
from pydantic import BaseModel

from stream.brokers.kafka.security import kafka_python_security
from stream.brokers.kafka.topics import Names, address, require_client
from stream.contract.errors import ConfigError, first_line
from stream.contract.ports import BrokerError
from stream.contract.settings import Wiring

__all__ = ["read_model", "subscription"]

_LOG = logging.getLogger(__name__)
_WAIT_MS: Final = 200
_AT_ONCE: Final = 500
Model = TypeVar("Model", bound=BaseModel)


def subscription(
    wiring: Wiring, topic: str, group: str | None, stop: Callable[[], bool] | None, at_once: int = _AT_ONCE
) -> Generator[Any, None, None]:
    """Committed records of a topic, as kafka-python has them. `close` it where it is not read to its end, to leave the group.

    Parameters
    ----------
    wiring
        Where, and under which prefix.
    topic
        As the contract calls it.
    group
        Its name in Kafka: it goes on after the last record that was dealt with. None: all that is kept.
    stop
        Asked about five times a second: True ends it. None: it ends where the topic ended when it began.
    at_once
        After so many records of a partition the group's place is written down; 1: after each.

    Raises
    ------
    ConfigError
        The wiring cannot be, a client library is missing, or there is no such topic.
    BrokerError
        The brokers do not answer, or refuse.
    """
    with require_client(wiring):
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError
    name = Names(wiring.prefix).wire(topic)
    try:
        consumer = KafkaConsumer(**_settings(wiring, group))
        try:
            for place, records in _polls(consumer, name, group, stop):
                for first in range(0, len(records), at_once):
                    yield from _deal(consumer, place, records[first : first + at_once], group is not None)
        finally:
            consumer.close(autocommit=False)
    except KafkaError as error:
        raise BrokerError(f"reading {name}: {error}") from error


def _deal(consumer: Any, place: Any, records: Any, committing: bool) -> Iterator[Any]:
    """Hand over records of a partition; then, or when nothing more is asked for, write down how far that came."""
    done = None
    try:
        for record in records:
            yield record
            done = record.offset + 1
    finally:
        if committing and done is not None:
            _commit(consumer, place, done)


def read_model(record: Any, model: type[Model]) -> Model | None:
    """What a record says, without fields that a later version added; None: there is none in it that can be read."""
    if not record.value:
        return None
    try:
        told = msgspec.json.decode(record.value, type=dict[str, Any])
        return model(**{name: told[name] for name in model.model_fields.keys() & told.keys()})
    except (msgspec.DecodeError, ValueError) as error:
        place, what = f"{record.topic}[{record.partition}]@{record.offset}", model.__name__.lower()
        _LOG.warning("%s is no %s that can be read, and is passed over: %s", place, what, first_line(error))
        return None


def _settings(wiring: Wiring, group: str | None) -> dict[str, Any]:
    session_ms = int(wiring.kafka.session_timeout_s * 1_000)
    return {
        "bootstrap_servers": address(wiring)[1].split(","),
        "client_id": "kithkin",
        **kafka_python_security(wiring.kafka),
        "group_id": group,
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": session_ms // 5,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": 100,
    }


def _polls(consumer: Any, name: str, group: str | None, stop: Callable[[], bool] | None) -> Iterator[tuple[Any, Any]]:
    """Places and their next records, until `stop()` or the end."""
    from kafka import TopicPartition

    partitions = consumer.partitions_for_topic(name)
    if not partitions:
        raise ConfigError("prefix", name, "the brokers do not have it", "the prefix of existing topics")
    places = [TopicPartition(name, partition) for partition in sorted(partitions)]
    if group is None:
        consumer.assign(places)
    else:
        consumer.subscribe([name])
    ends = consumer.end_offsets(places) if stop is None else {}
    while not stop() if stop else not _is_at_end(consumer, ends):
        yield from consumer.poll(timeout_ms=_WAIT_MS, max_records=_AT_ONCE).items()


def _is_at_end(consumer: Any, ends: Mapping[Any, int]) -> bool:
    """Whether all was read that lay there at first; of a group, others may read the rest."""
    assigned = consumer.assignment()
    return bool(assigned) and all(consumer.position(place) >= ends[place] for place in assigned)


def _commit(consumer: Any, place: Any, offset: int) -> None:
    from kafka import OffsetAndMetadata
    from kafka.errors import CommitFailedError, RebalanceInProgressError

    with suppress(CommitFailedError, RebalanceInProgressError):  # whoever has the partition next begins at the last commit
        consumer.commit({place: OffsetAndMetadata(offset, "", -1)})
