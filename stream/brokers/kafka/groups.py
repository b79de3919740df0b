"""What a group of consumers has committed, and what there is for it to read: asked by one who never joins it.

Law: looking changes nothing. What passes by itself, because brokers still agree on who leads a partition or keeps the group's
books, is asked again for a while.

An administrator's client would do too, but librdkafka's (2.16) ends the process when it is asked about a group that the brokers
have just made or are just moving (confluent-kafka-python, issue 1982), and does not ask again when a partition's leader moves.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from stream.contract.settings import Wiring

from .topics import librdkafka, require_client

if TYPE_CHECKING:
    from confluent_kafka import Consumer, TopicPartition

__all__ = ["bounds", "committed_offsets", "onlooker"]

Answer = TypeVar("Answer")
_ATTEMPT_S: Final = 2.0
_HEARING_S: Final = 0.1


@contextmanager
def onlooker(wiring: Wiring, isolation: Literal["read_uncommitted", "read_committed"]) -> Iterator["Consumer"]:
    """A client that asks about the wiring's group. It raises KafkaException.

    Read committed, an answer about offsets waits for the transaction that a dead worker has left open.
    """
    with require_client(wiring):
        from confluent_kafka import Consumer
    settings: dict[str, Any] = {
        **librdkafka(wiring),
        "group.id": wiring.group,
        "enable.auto.commit": False,
        "isolation.level": isolation,
    }
    consumer = Consumer(settings)
    try:
        yield consumer
    finally:
        consumer.close()


def committed_offsets(
    consumer: "Consumer", places: Sequence["TopicPartition"], patience_s: float, missing: int = 0
) -> dict[tuple[str, int], int]:
    """Next offsets by topic (as on the wire) and partition; `missing` where nothing is committed. Raises KafkaException."""
    answer = _ask_patiently(consumer, lambda: consumer.committed([*places], _ATTEMPT_S), patience_s)
    return {(place.topic, place.partition): place.offset if place.offset >= 0 else missing for place in answer}


def bounds(consumer: "Consumer", place: "TopicPartition", patience_s: float) -> tuple[int, int]:
    """The first offset of a partition that is retained, and the next one after the last. Raises KafkaException."""
    return _ask_patiently(consumer, lambda: consumer.get_watermark_offsets(place, _ATTEMPT_S), patience_s)


def _ask_patiently(consumer: "Consumer", ask: Callable[[], Answer], patience_s: float) -> Answer:
    from confluent_kafka import KafkaError, KafkaException

    passing = (
        KafkaError._TIMED_OUT,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
    )
    until_s = time.monotonic() + patience_s
    while True:
        try:
            return ask()
        except KafkaException as error:
            heard = consumer.poll(_HEARING_S)  # of a group it has not joined: why it is refused, if it is
            fault = (heard and heard.error()) or error.args[0]
            if fault.code() not in passing or time.monotonic() > until_s:
                raise KafkaException(fault) from None
