"""The two ports through which the worker touches the world: a broker of records and a store of states.

Law: Kafka (or what stands for it) holds the truth about outputs, the store about states; the journal ties them.
Every adapter passes the same conformance suite (`tests/*/conformance_*.py`).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from .records import INPUT_TOPICS, Journal, Record

__all__ = [
    "Batch", "Broker", "BrokerError", "Claimed", "Encoded", "Fenced", "InputTopic", "Offsets", "StateStore", "StoreError",
    "Transaction", "on_both",
]  # fmt: skip

Offsets = Mapping[str, int]  # topic -> next offset of one partition


def on_both(offsets: Offsets) -> dict[str, int]:
    """Next offsets with an entry for each input topic, also for one that is not there, so that they compare.

    >>> on_both({"feedback": 7})
    {'recognitions': 0, 'feedback': 7, 'consents': 0, 'proofs': 0, 'sightings': 0}
    """
    return {topic: offsets.get(topic, 0) for topic in INPUT_TOPICS}


class BrokerError(RuntimeError):
    """The broker failed in a way that ends this worker; offsets are safe."""


class StoreError(RuntimeError):
    """The store failed in a way that ends this worker; what was saved before is safe."""


class Fenced(RuntimeError):
    """A newer worker owns the partition: this one must stop at once and has changed nothing."""


class Encoded(NamedTuple):
    """An output as bytes, with its place to go."""

    topic: str
    partition: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What a poll gave. After `assigned` or `revoked` changed, `records` is empty: the worker recovers first.

    `assigned` and `revoked` are partition numbers (both input topics of a number go together).
    """

    records: Sequence[Record] = ()
    assigned: frozenset[int] = frozenset()
    revoked: frozenset[int] = frozenset()
    ended: bool = False  # a finite log has no more; never true of a live broker
    generation: int = 0  # of a change of assignment: another each time
    traceparents: Sequence[str] = ()  # W3C trace contexts that its records came with; looked for where batches are traced


class InputTopic(NamedTuple):
    """Which topic a name means: the id that the brokers gave it (empty: they give none), and its number of partitions."""

    topic_id: str
    partitions: int

    def is_other_than(self, before: "InputTopic") -> bool:
        """Whether it was deleted and made anew."""
        return self.topic_id != before.topic_id and "" not in (self.topic_id, before.topic_id)

    def differs(self, name: str, before: "InputTopic") -> str:
        """What became of it since, as a sentence; empty: it is as it was.

        >>> InputTopic("b", 4).differs("recognitions", InputTopic("a", 4))
        'the topic recognitions was deleted and made anew: its id was a and is b'
        """
        if self.is_other_than(before):
            return f"the topic {name} was deleted and made anew: its id was {before.topic_id} and is {self.topic_id}"
        if self.partitions != before.partitions:
            told = f"the topic {name} had {before.partitions} partitions and has {self.partitions}"
            return f"{told}: most homes' next records go to another one, away from their states (docs/cluster.md)"
        return ""


@dataclass(frozen=True, slots=True)
class Transaction:
    """All that becomes visible at once: outputs, one journal entry and the next input offsets of each partition."""

    outputs: Sequence[Encoded]
    journal: Sequence[Journal]
    offsets: Mapping[int, Offsets]  # partition -> topic -> next offset
    generation: int | None = None  # that its records were polled in; None: in the present one


class Broker(Protocol):
    """A consumer group's member that can publish atomically with its offsets (KIP-447)."""

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        """Next records of the assigned partitions, per topic and partition in offset order; or a change of assignment."""
        ...

    def committed(self, partition: int) -> Offsets:
        """Committed next offsets of both topics; 0 for a topic without a commit."""
        ...

    def journal(self, partition: int, offsets: Offsets) -> Iterable[Journal]:
        """Journal entries of a partition from those next offsets on, in order. Raises RecoveryError when not retained."""
        ...

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        """Exactly the input records of one journalled batch, by topic and offset."""
        ...

    def seek(self, partition: int, offsets: Offsets) -> None:
        """The next poll goes on from here on both topics."""
        ...

    def lag(self) -> Mapping[int, int]:
        """Records not yet polled, by assigned partition, as far as is known without asking: a measure, not a promise."""
        ...

    def topics(self) -> Mapping[str, InputTopic]:
        """Which topics the input topics are, by name, as far as is known without asking; nothing of a log or a file."""
        ...

    def publish(self, transaction: Transaction) -> None:
        """All or nothing. Raises Fenced when the member or the transaction is of an older generation, else BrokerError.

        It may be called in another thread than the rest, while a `poll` is made; one call at a time.
        """
        ...

    def close(self) -> None:
        """Leave the group. Never raises."""
        ...


class Claimed(NamedTuple):
    """What a store says when a partition is claimed: the new epoch and the next offsets that its states stand at."""

    epoch: int
    offsets: Offsets


class StateStore(Protocol):
    """States of households by partition, with the offsets they stand at."""

    def claim(self, partition: int) -> Claimed:
        """Raise the partition's epoch and read its offsets in one step; older epochs can save no more."""
        ...

    def offsets(self, partition: int) -> Offsets:
        """The next offsets that a partition's states stand at, without claiming it; empty if nothing was saved."""
        ...

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        """States of those households that have one."""
        ...

    def read(self, places: Sequence[tuple[int, str]]) -> list[bytes | None]:
        """The state of each household of a partition, in one request; None: it has none there."""
        ...

    def save(
        self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]
    ) -> None:
        """Write whole states and the new offsets in one atomic step.

        Does nothing when the offsets already stand at `offsets_to` (a retry after a lost reply).
        Raises Fenced when `epoch` is not the newest, StoreError when the offsets stand anywhere but at `offsets_from`.
        """
        ...

    def forget_overwritten(self) -> None:
        """Something was erased: have what saves have overwritten gone from the disk as well, soon. Never raises."""
        ...

    def households(self, partition: int) -> Iterable[str]:
        """Ids of all households with a state, sorted."""
        ...

    def partitions(self) -> Sequence[int]:
        """Partitions that were ever claimed, sorted."""
        ...

    def close(self) -> None:
        """Release files and connections. Never raises."""
        ...
