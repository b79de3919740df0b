"""Whether the states and the group's offsets are of one history, so that a worker can go on from them.

Law: states are read before offsets. A worker that works meanwhile moves them in the other order, so it looks at most behind.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from stream.brokers.inputs import TOPICS, find_made_anew
from stream.brokers.kafka.groups import bounds, committed_offsets, onlooker
from stream.brokers.kafka.identity import input_topics
from stream.brokers.kafka.topics import partitions_of
from stream.contract.errors import Moved, NewTopics
from stream.contract.ports import InputTopic, Offsets, StateStore, StoreError, on_both
from stream.contract.records import INPUT_TOPICS, OPTIONAL_TOPICS
from stream.contract.settings import Wiring
from stream.stores import open_store
from stream.stores.moves import refuse_moving
from stream.stores.redis.heartbeats import open_heartbeats

from ..topics import TIMEOUT_S
from .check import Check, judge
from .kafka import make_checks

if TYPE_CHECKING:
    from confluent_kafka import TopicPartition
    from confluent_kafka.admin import AdminClient

__all__ = ["agreement_checks"]

_NAME: Final = "states and offsets"


class _Place(NamedTuple):
    """Next offsets of one partition on both topics."""

    states: Offsets  # where the states stand
    committed: Offsets  # where the outputs stand
    retained: Offsets  # the first that can still be read


def agreement_checks(wiring: Wiring, store: str) -> list[Check]:
    """One check over all partitions of topics that are there. Raises ConfigError when the store's URL cannot be."""
    return [*make_checks(_NAME, wiring, lambda admin: [_check(wiring, store, admin)]), *_placement(wiring, store)]


def _placement(wiring: Wiring, store: str) -> Iterator[Check]:
    """What the workers say of where homes' records lie."""
    once = wiring.model_copy(update={"redis": wiring.redis.model_copy(update={"retries_s": 0.0})})
    heartbeats = open_heartbeats(store, once)
    if heartbeats is None:
        return
    with closing(heartbeats), suppress(StoreError):
        told = [note.get("misplaced", 0) for note in heartbeats.all().values()]
        misplaced = sum(count for count in told if isinstance(count, int))
        right = "Kafka's own partitioner (murmur2) in all senders: such homes are known in two halves; see docs/cluster.md"
        found = f"{misplaced} homes have records in another partition than their key's" if misplaced else "none seen elsewhere"
        yield judge("homes and partitions", found, warning=right if misplaced else "")


def _check(wiring: Wiring, store: str, admin: "AdminClient") -> Check:
    inputs = partitions_of(admin, wiring, INPUT_TOPICS, TIMEOUT_S, OPTIONAL_TOPICS)
    partitions = max(place.partition for place in inputs) + 1
    once = wiring.model_copy(update={"redis": wiring.redis.model_copy(update={"retries_s": 0.0})})
    try:
        with closing(open_store(store, once)) as opened:
            beyond = [partition for partition in opened.partitions() if partition >= partitions]
            states = {partition: on_both(opened.offsets(partition)) for partition in range(partitions)}
            changed = _describe_change(opened, range(partitions), input_topics(wiring, admin))
            for partition in range(partitions):
                refuse_moving(opened, partition, opened.offsets(partition))
    except Moved as error:
        return judge(_NAME, str(error), failed="read under the prefix to which they were moved")
    except StoreError as error:
        return Check(_NAME, "failed", str(error), "a store that answers", passes=True)
    if beyond:
        right = f"the store of these topics: with {partitions} partitions nobody would go on with those states"
        return judge(_NAME, f"there are states of partition {max(beyond)}", failed=right)
    if changed:
        if wiring.accept_new_topics:
            right = "meant: accept_new_topics says to begin them anew"
            return judge("input topics", "others than the states were made of", warning=right)
        return judge("input topics", changed, failed="the topics that the states were made of, or accept_new_topics = true")
    places = _places(wiring, inputs, states, "read_uncommitted")
    if any(_behind(place.committed, place.states) for place in places.values()):
        # The transaction that those states come from may just be ending.
        places = _places(wiring, inputs, states, "read_committed")
    return _judge(places)


def _describe_change(store: StateStore, partitions: Sequence[int], topics: Mapping[str, InputTopic]) -> str:
    """What became of the input topics since the states were made, as a sentence; empty: nothing."""
    for partition in partitions:
        try:
            find_made_anew(store.load(partition, [TOPICS]).get(TOPICS), topics, accept=False)
        except NewTopics as error:
            return str(error)
    return ""


def _places(
    wiring: Wiring,
    inputs: Sequence["TopicPartition"],
    states: Mapping[int, Offsets],
    isolation: Literal["read_uncommitted", "read_committed"],
) -> dict[int, _Place]:
    """Raises KafkaException."""
    with onlooker(wiring, isolation) as consumer:
        outputs = committed_offsets(consumer, inputs, TIMEOUT_S)
        retained = {(place.topic, place.partition): bounds(consumer, place, TIMEOUT_S)[0] for place in inputs}

    def of(offsets: Mapping[tuple[str, int], int], partition: int) -> dict[str, int]:
        return {topic: offsets.get((wiring.prefix + topic, partition), 0) for topic in INPUT_TOPICS}

    return {partition: _Place(stand, of(outputs, partition), of(retained, partition)) for partition, stand in states.items()}


def _judge(places: Mapping[int, _Place]) -> Check:
    """The worst of the partitions."""
    behind = [partition for partition, place in places.items() if place.states != place.committed]
    deleted = {partition: missed for partition, place in places.items() if (missed := _behind(place.committed, place.retained))}
    for partition, place in places.items():
        told = f"partition {partition}: the states stand at {place.states}"
        if _behind(place.committed, place.states):
            right = "both of one history: the store is another log's, or the group's offsets were reset; restore either"
            return judge(_NAME, f"{told}, ahead of the committed offsets {place.committed}", failed=right)
        if partition in behind and _behind(place.states, place.retained):
            right = "a later copy of the store: it cannot be brought up from what is no longer there"
            return judge(_NAME, f"{told}, records are retained from {place.retained} on", failed=right)
    if deleted:
        told = ", ".join(f"{count:,} records of partition {partition}" for partition, count in deleted.items())
        right = "workers that keep up with retention: what was deleted unread stays unanswered"
        return judge(_NAME, f"never read: {told}", warning=right)
    if behind:
        return judge(_NAME, f"behind in partitions {', '.join(map(str, behind))}, which the journal will bring up")
    return judge(_NAME, f"agree in {len(places)} partitions")


def _behind(offsets: Offsets, others: Offsets) -> int:
    """By how many records the first stands behind the second."""
    return sum(max(0, others[topic] - offsets[topic]) for topic in INPUT_TOPICS)
