"""The worker: polls, steps, publishes, saves. It carries everything and decides nothing.

Law: the outputs and states equal a serial run of the journalled batches, wherever this process stops. A batch becomes
visible in one transaction (outputs, journal, offsets) and only then are its states saved with the offsets they stand at;
a worker that finds states behind the outputs applies exactly the journalled batches again and publishes nothing of them.
Any error ends the worker: recovery, at the next assignment, is the only error path.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from .codec import dead_letter, decode, encode_home, encode_output
from .errors import RecoveryError, TooManyDeadLetters
from .household import Home
from .policy import Policy
from .ports import Batch, Broker, Encoded, Offsets, StateStore, Transaction
from .records import INPUT_TOPICS, DeadLetter, InvalidRecord, Journal, Record
from .step import STEP_VERSION, Event, Step, step
from .stores.quarantine import QUARANTINE, Quarantine
from .stores.residents import Residents

__all__ = ["Counts", "Progress", "Worker", "WorkerLimits", "as_arrived", "by_content"]

_LOG = logging.getLogger(__name__)

Ordering = Callable[[Sequence[Record]], Sequence[Record]]
Stepping = Callable[[Home, Event, Policy], Step]


def by_content(records: Sequence[Record]) -> Sequence[Record]:
    """Order of a live batch: by what the records say (timestamp, topic, offset), not by how the poll mixed the topics."""
    return sorted(records, key=attrgetter("timestamp", "topic", "offset"))


def as_arrived(records: Sequence[Record]) -> Sequence[Record]:
    """Order of a replayed log: the lines of a file apply as they stand. The broker must `fetch` in that order too."""
    return records


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much a worker takes at once, and when it gives up. None of it changes what a journalled batch gives."""

    records_max: int = 1_000  # of one poll: what is lost at most when a process dies in the middle
    poll_timeout_s: float = 0.02  # sets the latency at low rates
    resident_bytes_max: int = 128 * 2**20  # encoded; live objects weigh a small multiple
    dead_letters_window: int = 1_000  # latest records among which dead letters are counted
    dead_letters_min: int = 200  # so many before the share is looked at: a quiet topic may well begin with rubbish
    dead_letters_share_max: float = 0.5
    ordering: Ordering = by_content


@dataclass(slots=True)
class Counts:
    """What a worker has done since it started. Batches applied again in a recovery count only as `recoveries`."""

    batches: int = 0
    records: int = 0  # polled and published: events and dead letters
    events: int = 0  # records that are no dead letters
    recoveries: int = 0  # journalled batches of one partition applied again
    households_new: int = 0  # homes begun because the store had no state of them
    households_loaded: int = 0  # homes decoded from the store; the same home again after it had to leave memory
    outcomes: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)  # by reason
    outputs: Counter[str] = field(default_factory=Counter)  # by topic


class Progress(NamedTuple):
    """What one `run_once` did: `records` published in it, partitions now owned, and whether the log has ended."""

    records: int
    partitions: frozenset[int]
    ended: bool


@dataclass(slots=True)
class _Owned:
    """A partition while it is ours: the epoch of our claim and the next offsets on both topics."""

    partition: int
    epoch: int
    offsets: dict[str, int]
    quarantine: Quarantine


class _Answer(NamedTuple):
    """What the core made of one event."""

    outputs: Sequence[Encoded]
    outcomes: Sequence[str]
    refusal: str | None  # the reason, when the core gave the record to `dead-letters` itself


@dataclass(slots=True)
class _Made:
    """What one partition's part of a batch came to, before anything of it is visible or saved."""

    offsets: dict[str, int]
    outputs: list[Encoded] = field(default_factory=list)
    states: dict[str, bytes] = field(default_factory=dict)
    quarantine: bytes | None = None  # set when it changed
    outcomes: list[str] = field(default_factory=list)
    reasons: list[str | None] = field(default_factory=list)  # per record: why it is a dead letter, or None


class Worker:
    """Applies the records of the assigned partitions to the homes of their households.

    Parameters
    ----------
    broker, store
        The two ports. The worker closes neither.
    policy
        Given to the core; its hash is stamped on the journal.
    limits
        Sizes and bounds, and the order within a batch.
    stepping
        The core. Anything but `step` is for tests of what happens when it fails.

    Notes
    -----
    An exception of the core on one household quarantines that household: its state stays as it was before the batch, and
    its records of this batch and of later ones go to `dead-letters` with the reason `quarantined`. A quarantine ends when
    the partition is assigned anew, for instance because a corrected version was deployed. The dead letters hold what was
    left out meanwhile, which may be an erasure: they are to be sent to the input topics again.
    """

    def __init__(
        self,
        broker: Broker,
        store: StateStore,
        policy: Policy,
        limits: WorkerLimits = WorkerLimits(),
        stepping: Stepping = step,
    ) -> None:
        self._broker, self._store, self._policy, self._limits, self._step = broker, store, policy, limits, stepping
        self._owned: dict[int, _Owned] = {}
        self._residents = Residents(store, policy, limits.resident_bytes_max)
        self._latest_dead: deque[bool] = deque(maxlen=limits.dead_letters_window)
        self._failed = False
        self._counts = Counts()

    @property
    def counts(self) -> Counts:
        """What was done so far; the same object each time, kept up to date."""
        self._counts.households_new = self._residents.homes_new
        self._counts.households_loaded = self._residents.homes_loaded
        return self._counts

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Work until the log has ended or `stop()` says so, which is asked between batches. Raises as `run_once`."""
        while not stop() and not self.run_once().ended:
            pass

    def run_once(self) -> Progress:
        """Poll once and bring all effects of it about.

        Raises
        ------
        Fenced, BrokerError, StoreError
            From the ports.
        RecoveryError
            An assigned partition cannot be recovered.
        TooManyDeadLetters
            The share of dead letters is past the limit; the batch was not published.

        After any exception this worker is of no more use, since its homes may be ahead of what was published: make a new one.
        """
        assert not self._failed, "this worker has failed before: its homes may be ahead of the log, so a new one must recover"
        try:
            batch = self._broker.poll(self._limits.records_max, self._limits.poll_timeout_s)
            if batch.assigned or batch.revoked:
                self._reassign(batch)
            records = self._apply(batch.records) if batch.records else 0
        except BaseException:
            self._failed = True
            raise
        return Progress(records, frozenset(self._owned), batch.ended)

    # Assignment and recovery

    def _reassign(self, batch: Batch) -> None:
        self._residents.clear()
        for partition in batch.revoked:
            self._owned.pop(partition, None)
        for partition in sorted(batch.assigned):
            self._owned[partition] = self._claim(partition)

    def _claim(self, partition: int) -> _Owned:
        """Take a partition over and bring its states to where its outputs stand."""
        epoch, stands_at = self._store.claim(partition)  # first: from here on no older worker can save
        owned = _Owned(partition, epoch, _on_both(stands_at), Quarantine(epoch))
        committed = _on_both(self._broker.committed(partition))
        if owned.offsets != committed:
            self._recover(owned, committed)
        self._broker.seek(partition, owned.offsets)
        return owned

    def _recover(self, owned: _Owned, committed: dict[str, int]) -> None:
        partition = owned.partition
        if any(owned.offsets[topic] > committed[topic] for topic in INPUT_TOPICS):
            raise RecoveryError(
                f"partition {partition}: the states stand at {owned.offsets}, ahead of the committed offsets {committed}; "
                "the store belongs to another log or the group's offsets were reset: restore the store or the offsets"
            )
        stored = self._store.load(partition, [QUARANTINE]).get(QUARANTINE)
        if stored is not None:
            owned.quarantine = Quarantine.decode(stored)
        for entry in self._broker.journal(partition, owned.offsets):
            if _on_both(entry.offsets_from) != owned.offsets:
                raise RecoveryError(
                    f"partition {partition}: the states stand at {owned.offsets}, the journal goes on at {entry.offsets_from}; "
                    "batches between them are missing: restore a later copy of the store"
                )
            self._apply_again(owned, entry)
        if owned.offsets != committed:
            raise RecoveryError(
                f"partition {partition}: the journal ends at {owned.offsets} but {committed} is committed; "
                "its last batches are missing: restore a later copy of the store"
            )
        owned.quarantine = Quarantine(owned.epoch)

    def _apply_again(self, owned: _Owned, entry: Journal) -> None:
        """One journalled batch: its states are saved, its outputs were published long ago."""
        if entry.epoch != owned.quarantine.epoch:
            owned.quarantine = Quarantine(entry.epoch)
        records = self._broker.fetch(owned.partition, entry.offsets_from, entry.offsets_to)
        if len(records) != entry.count:
            raise RecoveryError(
                f"partition {owned.partition}: the batch from {entry.offsets_from} to {entry.offsets_to} had {entry.count} "
                f"records, of which the broker still has {len(records)}: restore a later copy of the store"
            )
        self._save(owned, self._make(owned, records))
        self._residents.trim()
        self._counts.recoveries += 1

    # One batch

    def _apply(self, records: Sequence[Record]) -> int:
        parts = self._parts(records)
        made = {partition: self._make(self._owned[partition], part) for partition, part in parts.items()}
        self._refuse_draining(made)
        journal = [self._entry(self._owned[partition], one) for partition, one in made.items()]
        outputs = [output for one in made.values() for output in one.outputs]
        self._broker.publish(Transaction(outputs, journal, {partition: one.offsets for partition, one in made.items()}))
        for partition, one in made.items():
            self._save(self._owned[partition], one)
        self._residents.trim()
        self._count(made)
        return sum(entry.count for entry in journal)

    def _parts(self, records: Sequence[Record]) -> dict[int, list[Record]]:
        """The records by partition, without those that a broker gives again although they were published."""
        parts: dict[int, list[Record]] = {partition: [] for partition in sorted(self._owned)}
        for record in records:
            assert record.partition in parts, f"the broker gave {record.position}, whose partition is not assigned to this worker"
            if record.offset >= self._owned[record.partition].offsets[record.topic]:
                parts[record.partition].append(record)
        return {partition: part for partition, part in parts.items() if part}

    def _make(self, owned: _Owned, records: Sequence[Record]) -> _Made:
        """Apply one partition's records to its homes, up to what is to be published and saved."""
        made = _Made(dict(owned.offsets))
        for record in records:
            made.offsets[record.topic] = record.offset + 1
        ordered = self._limits.ordering(records)
        events = [self._read(record) for record in ordered]
        quarantined = owned.quarantine.households
        before = len(quarantined)
        households = dict.fromkeys(event.value.household_id for event in events if isinstance(event, Event))
        self._residents.bring(owned.partition, [household for household in households if household not in quarantined])

        answers = [self._answer(owned, event) for event in events]
        for household in households:
            if household not in quarantined:
                self._encode(owned, household, made)
        for record, event, answer in zip(ordered, events, answers, strict=True):
            self._settle(owned, made, record, event, answer)
        if len(quarantined) > before:
            made.quarantine = owned.quarantine.encode()
        return made

    def _read(self, record: Record) -> Event | InvalidRecord:
        try:
            return decode(record, self._policy)
        except InvalidRecord as invalid:
            return invalid

    def _answer(self, owned: _Owned, event: Event | InvalidRecord) -> _Answer | None:
        """Outputs and outcomes of one event; None if it has none because it is unreadable or its household quarantined."""
        if isinstance(event, InvalidRecord):
            return None
        household = event.value.household_id
        if household in owned.quarantine.households:
            return None
        try:
            stepped = self._step(self._residents.home(owned.partition, household), event, self._policy)
            encoded = [encode_output(output, owned.partition, event.record.timestamp) for output in stepped.outputs]
            refusal = next((output.value.reason for output in stepped.outputs if isinstance(output.value, DeadLetter)), None)
            return _Answer(encoded, stepped.outcomes, refusal)
        except BaseException as error:  # a panic of a native learner is not an Exception
            self._isolate(owned, household, f"at {_place(event.record)}", error)
            return None

    def _encode(self, owned: _Owned, household: str, made: _Made) -> None:
        """The state to be saved, before anything is published: a home that cannot be encoded is quarantined as well."""
        try:
            made.states[household] = encode_home(self._residents.home(owned.partition, household))
        except BaseException as error:
            self._isolate(owned, household, "encoding its state", error)

    def _isolate(self, owned: _Owned, household: str, where: str, error: BaseException) -> None:
        """Quarantine a household, unless the error is of the process and not of the household."""
        if not _of_the_core(error):
            raise error
        _LOG.error("partition %d: household %s is quarantined: failed %s", owned.partition, household, where, exc_info=error)
        owned.quarantine.households[household] = f"{type(error).__name__} {where}"
        self._residents.drop(owned.partition, household)

    def _settle(
        self,
        owned: _Owned,
        made: _Made,
        record: Record,
        event: Event | InvalidRecord,
        answer: _Answer | None,
    ) -> None:
        """One record's outputs: those of its event, unless it or its household turned out to be unusable."""
        if isinstance(event, InvalidRecord):
            reason, detail = event.reason, event.detail
        elif event.value.household_id in owned.quarantine.households:
            reason, detail = "quarantined", f"its household failed: {owned.quarantine.households[event.value.household_id]}"
        else:
            assert answer is not None, "an event of a household in good standing has an answer"
            made.outputs.extend(answer.outputs)
            made.outcomes.extend(answer.outcomes)
            made.reasons.append(answer.refusal)
            return
        made.outputs.append(encode_output(dead_letter(record, reason, detail), owned.partition, record.timestamp))
        made.reasons.append(reason)

    def _save(self, owned: _Owned, made: _Made) -> None:
        states = made.states if made.quarantine is None else {**made.states, QUARANTINE: made.quarantine}
        self._store.save(owned.partition, owned.epoch, owned.offsets, made.offsets, states)
        self._residents.used(owned.partition, made.states)
        owned.offsets = made.offsets

    def _entry(self, owned: _Owned, made: _Made) -> Journal:
        return Journal(
            partition=owned.partition,
            offsets_from=owned.offsets,
            offsets_to=made.offsets,
            count=len(made.reasons),
            epoch=owned.epoch,
            step_version=STEP_VERSION,
            policy_id=self._policy.policy_id,
        )

    # Counting

    def _refuse_draining(self, made: dict[int, _Made]) -> None:
        """Stop before publishing when too many of the latest records are dead letters."""
        for one in made.values():
            self._latest_dead.extend(reason is not None for reason in one.reasons)
        dead, latest = sum(self._latest_dead), len(self._latest_dead)
        if dead >= self._limits.dead_letters_min and dead > self._limits.dead_letters_share_max * latest:
            reasons = Counter(reason for one in made.values() for reason in one.reasons if reason is not None)
            raise TooManyDeadLetters(
                f"{dead} of the latest {latest} records could not be used. Not published: the last batch, with {dict(reasons)}. "
                "Look at `dead-letters` and at what was deployed last; then start again, or raise the limit"
            )

    def _count(self, made: dict[int, _Made]) -> None:
        counts = self._counts
        counts.batches += 1
        for one in made.values():
            dead = [reason for reason in one.reasons if reason is not None]
            counts.records += len(one.reasons)
            counts.events += len(one.reasons) - len(dead)
            counts.outcomes.update(one.outcomes)
            counts.dead_letters.update(dead)
            counts.outputs.update(output.topic for output in one.outputs)


def _on_both(offsets: Offsets) -> dict[str, int]:
    """Next offsets with an entry for each input topic, so that they compare."""
    return {topic: offsets.get(topic, 0) for topic in INPUT_TOPICS}


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _of_the_core(error: BaseException) -> bool:
    """Whether an error says something about a household, and would come again. Lack of memory, or a wish to stop, does not."""
    return (isinstance(error, Exception) and not isinstance(error, MemoryError)) or type(error).__name__ == "PanicException"
