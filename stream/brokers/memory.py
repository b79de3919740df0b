"""A broker in memory: a log of partitions and a consumer group over it, for tests, the demo and trying things out.

Law: what a member publishes becomes visible whole or not at all, and not at all once its group has a newer generation.
The log keeps every record of the process's life, so it is for runs that end.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from heapq import merge
from itertools import islice

from stream.contract.errors import RecoveryError
from stream.contract.ports import Batch, BrokerError, Encoded, Fenced, InputTopic, Offsets, Transaction
from stream.contract.records import INPUT_TOPICS, REQUIRED_TOPICS, Journal, Position, Record

from .faults import Faults

__all__ = ["MemoryBroker", "MemoryLog"]

_REDELIVERED_MAX = 20


class MemoryLog:
    """The topics, and the group that reads them. Members of the group are `MemoryBroker`s of the same log.

    Parameters
    ----------
    partitions
        Of both input topics; outputs go to the partition of their cause.
    faults
        What goes wrong on the producers' side (`duplicate`).
    """

    def __init__(self, partitions: int = 1, faults: Faults | None = None) -> None:
        self.partitions = partitions
        self.generation = 0
        self.topics: dict[str, InputTopic] = {}  # which they are, where that matters
        self.sealed = False  # True: nothing will be appended any more, so readers may come to an end
        self._faults = faults or Faults(0, {})
        self._inputs: dict[tuple[str, int], list[tuple[int, Record]]] = {
            (topic, partition): [] for topic in INPUT_TOPICS for partition in range(partitions)
        }  # each record with its number of arrival, which orders the two topics
        self._arrived = 0
        self._outputs: dict[tuple[str, int], list[Encoded]] = defaultdict(list)
        self._journal: dict[int, list[Journal]] = defaultdict(list)
        self._committed: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(INPUT_TOPICS, 0))
        self._members: list[int] = []
        self._joined = 0

    # The producers' side

    def append(self, topic: str, partition: int, timestamp: int, key: bytes | None, value: bytes | None) -> Position:
        """A producer sends a record; its place."""
        stream = self._inputs[topic, partition]
        for _ in range(2 if self._faults.strike("duplicate") else 1):
            stream.append((self._arrived, Record(topic, partition, len(stream), timestamp, key, value)))
            self._arrived += 1
        return stream[-1][1].position

    def make_anew(self, topic: str) -> None:
        """Delete a topic and make it again: it is empty, has another id, and what the group had committed of it is forgotten."""
        self.topics[topic] = InputTopic(f"{topic}-{self._arrived}", self.partitions)
        for partition in range(self.partitions):
            self._inputs[topic, partition] = []
            self._committed[partition][topic] = 0

    # The readers' side

    def inputs(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> list[Record]:
        """Input records of a partition between next offsets, by topic and offset."""
        slices = (
            islice(self._inputs[topic, partition], offsets_from.get(topic, 0), offsets_to.get(topic, 0))
            for topic in sorted(INPUT_TOPICS)
        )
        return [record for one in slices for _, record in one]

    def outputs(self, topic: str, partition: int) -> Sequence[Encoded]:
        """What is visible in a partition of an output topic, in its order."""
        return tuple(self._outputs[topic, partition])

    def journal(self, partition: int) -> Sequence[Journal]:
        """The retained journal of a partition."""
        return tuple(self._journal[partition])

    def committed(self, partition: int) -> Offsets:
        """Next offsets that the group committed."""
        return dict(self._committed[partition])

    def end(self, partition: int) -> Offsets:
        """Next offsets after the last record of each topic."""
        return {topic: len(self._inputs[topic, partition]) for topic in INPUT_TOPICS}

    def arrivals(self, topic: str, partition: int, start: int, count: int) -> list[tuple[int, Record]]:
        """Up to `count` records from an offset on, each with its number of arrival."""
        return self._inputs[topic, partition][start : start + count]

    def forget_journal(self, partition: int, entries: int) -> None:
        """Retention takes the oldest entries away."""
        del self._journal[partition][:entries]

    # The group's side

    def join(self) -> int:
        """A new member, and with it a new generation."""
        self._joined += 1
        self._members.append(self._joined)
        self.generation += 1
        return self._joined

    def evict(self, member: int) -> None:
        """A member leaves, or its session times out; unknown ones are gone already."""
        if member in self._members:
            self._members.remove(member)
            self.generation += 1

    def rebalance(self) -> None:
        """A new generation with the members in another order, so that partitions move."""
        self._members.append(self._members.pop(0))
        self.generation += 1

    def is_member(self, member: int) -> bool:
        """Whether the group still counts on it."""
        return member in self._members

    def assignment(self, member: int) -> frozenset[int]:
        """Its share of the partitions: ranges, in the order of the members."""
        place, members = self._members.index(member), len(self._members)
        return frozenset(range(self.partitions * place // members, self.partitions * (place + 1) // members))

    def commit(self, transaction: Transaction) -> None:
        """Make a transaction visible, whole."""
        for output in transaction.outputs:
            self._outputs[output.topic, output.partition].append(output)
        for entry in transaction.journal:
            self._journal[entry.partition].append(entry)
        for partition, offsets in transaction.offsets.items():
            self._committed[partition].update(offsets)


class MemoryBroker:
    """One member of the group of a `MemoryLog`.

    Parameters
    ----------
    log
        Shared by the members.
    faults
        What goes wrong at this member.
    """

    def __init__(self, log: MemoryLog, faults: Faults | None = None) -> None:
        self._log, self._faults = log, faults or Faults(0, {})
        self.member = log.join()
        self._generation = -1
        self._assigned: frozenset[int] = frozenset()
        self._positions: dict[tuple[str, int], int] = {}

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        if self._faults.strike("broker_error_at_poll"):
            raise BrokerError("the broker does not answer a poll")
        if not self._log.is_member(self.member):
            self.member = self._log.join()
        if self._generation != self._log.generation:
            return self._reassign()
        streams = [self._log.arrivals(*stream, start, records_max) for stream, start in self._positions.items()]
        if self._faults.strike("hold_back"):
            held_back = REQUIRED_TOPICS[self._faults.choose(len(REQUIRED_TOPICS))]
            streams = [stream for stream in streams if stream and stream[0][1].topic != held_back]
        records = [record for _, record in islice(merge(*streams), records_max)]
        for record in records:
            self._positions[record.topic, record.partition] = record.offset + 1
        if self._faults.strike("rebalance_in_batch"):
            self._log.rebalance()
        return Batch(records, ended=self._log.sealed and self._at_end())

    def committed(self, partition: int) -> Offsets:
        return self._log.committed(partition)

    def journal(self, partition: int, offsets: Offsets) -> Iterable[Journal]:
        entries = self._log.journal(partition)
        for index in reversed(range(len(entries))):  # an earlier one was of a topic that was made anew since
            if entries[index].offsets_from == offsets:
                return entries[index:]
        if offsets == self._log.committed(partition):
            return ()
        raise RecoveryError(f"partition {partition}: the journal no longer holds the batch from {dict(offsets)}")

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        return self._log.inputs(partition, offsets_from, offsets_to)

    def seek(self, partition: int, offsets: Offsets) -> None:
        back = self._faults.choose(_REDELIVERED_MAX) if self._faults.strike("redeliver") else 0
        for topic in INPUT_TOPICS:
            self._positions[topic, partition] = max(0, offsets.get(topic, 0) - back)

    def lag(self) -> dict[int, int]:
        lag = dict.fromkeys(self._assigned, 0)
        for (topic, partition), offset in self._positions.items():
            lag[partition] += self._log.end(partition)[topic] - offset
        return lag

    def topics(self) -> Mapping[str, InputTopic]:
        return dict(self._log.topics)

    def publish(self, transaction: Transaction) -> None:
        self._faults.crash("crash_before_publish")
        if self._faults.strike("zombie_before_publish"):
            self._faults.stand_still()
        if self._generation != self._log.generation or not self._log.is_member(self.member):
            raise Fenced(f"member {self.member} has generation {self._generation}, the group is at {self._log.generation}")
        if transaction.generation not in (None, self._generation):
            raise Fenced(f"what was polled in generation {transaction.generation} came too late for {self._generation}")
        if not self._assigned.issuperset(transaction.offsets):
            raise BrokerError(f"partitions {sorted(transaction.offsets)} are not all assigned to member {self.member}")
        if self._faults.strike("broker_error_at_publish"):
            raise BrokerError("the broker aborted the transaction")
        self._faults.crash("crash_in_publish")
        self._log.commit(transaction)
        if self._faults.strike("lost_reply_of_publish"):
            raise BrokerError("the broker does not answer whether the transaction was committed")
        self._faults.crash("crash_after_publish")

    def close(self) -> None:
        self._log.evict(self.member)

    def _reassign(self) -> Batch:
        revoked, self._assigned = self._assigned, self._log.assignment(self.member)
        self._generation = self._log.generation
        self._positions = {}
        for partition in sorted(self._assigned):
            for topic, offset in self._log.committed(partition).items():
                self._positions[topic, partition] = offset
        return Batch(assigned=self._assigned, revoked=revoked, generation=self._generation)

    def _at_end(self) -> bool:
        ends = {partition: self._log.end(partition) for partition in self._assigned}
        return all(offset >= ends[partition][topic] for (topic, partition), offset in self._positions.items())
