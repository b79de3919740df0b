"""Whether the states and the group's offsets are of one history, so that a worker can go on from them.

Law: states are read before offsets. A worker that works meanwhile moves them in the other order, so it looks at most behind.
"""

import time
from collections.abc import Mapping
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from ..brokers.journals import on_both
from ..brokers.kafka import Names, librdkafka
from ..ports import Offsets, StoreError
from ..records import INPUT_TOPICS
from ..settings import Wiring
from ..stores import open_store
from ..topics import TIMEOUT_S, found
from .check import Check, judged
from .kafka import asked

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition
    from confluent_kafka.admin import AdminClient

__all__ = ["agreement_checks"]

_NAME: Final = "states and offsets"
_PATIENCE_S: Final = 2.0
_POLL_S: Final = 0.1


class _Place(NamedTuple):
    """Next offsets of one partition on both topics."""

    states: Offsets  # where the states stand
    committed: Offsets  # where the outputs stand
    retained: Offsets  # the first that can still be read


def agreement_checks(wiring: Wiring, store: str) -> list[Check]:
    """One check over all partitions of topics that are there. Raises ConfigError when the store's URL cannot be."""
    return list(asked(_NAME, wiring, lambda admin: [_check(wiring, store, admin)]))


def _check(wiring: Wiring, store: str, admin: "AdminClient") -> Check:
    partitions = found(wiring, admin)[INPUT_TOPICS[0]].partitions
    once = wiring.model_copy(update={"redis": wiring.redis.model_copy(update={"retries_s": 0.0})})
    try:
        with closing(open_store(store, once)) as opened:
            beyond = [partition for partition in opened.partitions() if partition >= partitions]
            states = {partition: on_both(opened.offsets(partition)) for partition in range(partitions)}
    except StoreError as error:
        return Check(_NAME, "failed", str(error), "a store that answers", passes=True)
    if beyond:
        right = f"the store of these topics: with {partitions} partitions nobody would go on with those states"
        return judged(_NAME, f"there are states of partition {max(beyond)}", failed=right)
    places = _places(wiring, states, "read_uncommitted")
    if any(_behind(place.committed, place.states) for place in places.values()):
        places = _places(wiring, states, "read_committed")  # the transaction that those states come from may just be ending
    return _judged(places)


def _places(wiring: Wiring, states: Mapping[int, Offsets], isolation: str) -> dict[int, _Place]:
    """Raises KafkaException.

    Read committed, an answer waits for the transaction that a dead worker has left open, which its successor is about to end.

    A consumer asks that has not joined: an AdminClient of librdkafka 2.16 ends the process when the group's coordinator is just
    moving, and does not ask again when a partition's leader is.
    """
    from confluent_kafka import Consumer, TopicPartition

    names = Names(wiring.prefix)
    topics = [TopicPartition(names.wire(topic), partition) for partition in states for topic in INPUT_TOPICS]
    settings: dict[str, Any] = {**librdkafka(wiring), "log_level": 0, "group.id": wiring.group, "isolation.level": isolation}
    consumer = Consumer(settings)
    try:
        committed = {(place.topic, place.partition): max(0, place.offset) for place in _committed(consumer, topics)}
        retained = {(place.topic, place.partition): consumer.get_watermark_offsets(place, TIMEOUT_S)[0] for place in topics}
    finally:
        consumer.close()

    def of(offsets: Mapping[tuple[str, int], int], partition: int) -> dict[str, int]:
        return {topic: offsets[names.wire(topic), partition] for topic in INPUT_TOPICS}

    return {partition: _Place(stand, of(committed, partition), of(retained, partition)) for partition, stand in states.items()}


def _committed(consumer: "Consumer", places: list["TopicPartition"]) -> list["TopicPartition"]:
    """The group's offsets, once its coordinator is ready to tell, which it may not be for seconds after the brokers are."""
    from confluent_kafka import KafkaError, KafkaException

    starting = (KafkaError.NOT_COORDINATOR, KafkaError.COORDINATOR_NOT_AVAILABLE, KafkaError.COORDINATOR_LOAD_IN_PROGRESS)
    until_s = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return consumer.committed(places, _PATIENCE_S)
        except KafkaException as error:
            heard = consumer.poll(_POLL_S)  # of a group it has not joined: why it is refused, if it is
            if heard and heard.error():
                raise KafkaException(heard.error()) from None
            if error.args[0].code() not in (*starting, KafkaError._TIMED_OUT) or time.monotonic() > until_s:
                raise


def _judged(places: Mapping[int, _Place]) -> Check:
    """The worst of the partitions."""
    behind = [partition for partition, place in places.items() if place.states != place.committed]
    deleted = {partition: missed for partition, place in places.items() if (missed := _behind(place.committed, place.retained))}
    for partition, place in places.items():
        told = f"partition {partition}: the states stand at {place.states}"
        if _behind(place.committed, place.states):
            right = "both of one history: the store is another log's, or the group's offsets were reset; restore either"
            return judged(_NAME, f"{told}, ahead of the committed offsets {place.committed}", failed=right)
        if partition in behind and _behind(place.states, place.retained):
            right = "a later copy of the store: it cannot be brought up from what is no longer there"
            return judged(_NAME, f"{told}, records are retained from {place.retained} on", failed=right)
    if deleted:
        told = ", ".join(f"{count:,} records of partition {partition}" for partition, count in deleted.items())
        right = "workers that keep up with retention: what was deleted unread stays unanswered"
        return judged(_NAME, f"never read: {told}", warning=right)
    if behind:
        return judged(_NAME, f"behind in partitions {', '.join(map(str, behind))}, which the journal will bring up")
    return judged(_NAME, f"agree in {len(places)} partitions")


def _behind(offsets: Offsets, others: Offsets) -> int:
    """By how many records the first stands behind the second."""
    return sum(max(0, others[topic] - offsets[topic]) for topic in INPUT_TOPICS)
