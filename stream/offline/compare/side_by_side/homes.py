"""The homes of one policy, in memory, and the reading of records that policies have in common.

Law: a home does what it does in a replay: what decodes, orders and steps, and what puts a home in quarantine, is the worker's.
"""

from collections.abc import Sequence

from stream.contract.codec import decode_batch
from stream.contract.policy import Policy
from stream.contract.ports import Offsets
from stream.contract.records import Event, InvalidRecord, Record
from stream.home.step import step_batch
from stream.runtime.worker.batch import BatchStep, PartitionState, Settled, as_arrived
from stream.runtime.worker.home_cache import HomeCache, Origin
from stream.runtime.worker.quarantine import Quarantine

__all__ = ["Decoder", "PolicyHomes", "codec_of"]

_Key = tuple[int, str]  # partition and household


def codec_of(policy: Policy) -> tuple[object, ...]:
    """All of a policy that tells what a record says: of two with the same each reads what the other does."""
    return tuple(policy.vector_lengths.items()), policy.limits.ahead_hours, repr(policy.proofs)


class Decoder:
    """Reads the records of a batch, each once."""

    def __init__(self) -> None:
        self._read: dict[int, Event | InvalidRecord] = {}  # by the identity of a record, which lives as long as its batch

    def __call__(self, records: Sequence[Record], policy: Policy) -> Sequence[Event | InvalidRecord]:
        """The events in records, as `decode_batch`; all callers have a policy of one reading."""
        new = [record for record in records if id(record) not in self._read]
        self._read.update(zip(map(id, new), decode_batch(new, policy), strict=True))
        return [self._read[id(record)] for record in records]

    def clear(self) -> None:
        """Another batch begins."""
        self._read.clear()


class PolicyHomes:
    """Homes under one policy.

    Parameters
    ----------
    policy
        Theirs.
    first
        The states that homes begin with.
    bytes_max
        Memory for homes that are live; the states at rest of all of them come on top.
    decode
        What reads records.
    """

    def __init__(self, policy: Policy, first: Origin, bytes_max: int, decode: Decoder) -> None:
        self.states: dict[_Key, bytes] = {}  # of every home that had a record
        self._first, self._homes = first, HomeCache(self, policy, bytes_max)
        self._step = BatchStep(self._homes, policy, as_arrived, step_batch, decode)
        self._partitions: dict[int, PartitionState] = {}

    def apply(self, partition: int, records: Sequence[Record]) -> list[Settled]:
        """What becomes of the next records of a partition."""
        result = self._step.apply(self._partition(partition), records)
        self.states.update(((partition, household), raw) for household, raw in result.states.items())
        self._homes.touch({partition: result.states})
        self._homes.unsaved.clear()
        return result.settled

    def take_over(self, partition: int, household: str, other: "PolicyHomes") -> None:
        """From now on have a home as it stands under another policy, which agreed with this one until now."""
        raw = other.states.get((partition, household))
        if raw is not None:
            self.states[partition, household] = raw
        reason = other._partition(partition).quarantine.households.get(household)
        if reason is not None:
            self._partition(partition).quarantine.households[household] = reason

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        """As of a store."""
        found = {household: raw for household in households if (raw := self.states.get((partition, household))) is not None}
        missing = [household for household in households if household not in found]
        return {**self._first.load(partition, missing), **found} if missing else found

    def offsets(self, partition: int) -> Offsets:
        """None are known here: one reads the log for all."""
        return {}

    def _partition(self, partition: int) -> PartitionState:
        if partition not in self._partitions:
            self._partitions[partition] = PartitionState(partition, 0, {}, Quarantine(0))
        return self._partitions[partition]
