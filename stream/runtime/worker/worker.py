"""The worker: polls, steps, publishes, saves. It carries everything and decides nothing.

Law: the outputs and states equal a serial run of the journalled batches, wherever this process stops. A batch becomes
visible in one transaction (outputs, journal, offsets), only then are its states saved with the offsets they stand at, and
only then does the next become visible; a worker that finds states behind the outputs applies exactly the journalled batches
again and publishes nothing of them. Any error ends the worker: recovery, at the next assignment, is the only error path.
"""

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future
from typing import Final, NamedTuple

from stream.brokers.inputs import TOPICS, Placement, encode_topics, find_made_anew
from stream.contract.errors import NewerState, RecoveryError
from stream.contract.policy import Policy
from stream.contract.ports import Batch, Broker, StateStore, Transaction, on_both
from stream.contract.records import INPUT_TOPICS, Journal, Record
from stream.home.state.at_rest import STATE_VERSION
from stream.home.step import STEP_VERSION, step_batch
from stream.stores.moves import refuse_moving

from .applying import Applier, LocalApplier, Results
from .batch import BatchResult, BatchStep, PartitionState, StepFunction
from .counts import Counts, Progress, WorkerLimits
from .draining import LATEST, DrainLimits, LatestRecords
from .home_cache import HomeCache
from .quarantine import QUARANTINE, Quarantine

__all__ = ["Counts", "Progress", "Worker", "WorkerLimits"]

_LOG = logging.getLogger(__name__)
_USUAL: Final = WorkerLimits()
_QUIET: Final = 0.25  # of the records that a poll may bring: with fewer, the next poll asks for half as many
_UNLISTED_MAX: Final = 64  # encoders that are counted: a sender may name another in every record
_ANEW: Final = "anew"  # stands among a partition's offsets while topics are begun anew
_WRITTEN_BY: Final = "!state-version"  # in the store: the latest version of which a partition has states


class _Published(NamedTuple):
    """A batch that is being made visible."""

    results: Results
    visible: Future[None]


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
    step_function
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
        limits: WorkerLimits = _USUAL,
        step_function: StepFunction = step_batch,
    ) -> None:
        self._broker, self._store, self._policy, self._limits = broker, store, policy, limits
        self._owned: dict[int, PartitionState] = {}
        homes = HomeCache(store, policy, limits.resident_bytes_max)
        self._applier: Applier = LocalApplier(homes, BatchStep(homes, policy, limits.ordering, step_function))
        self._publishing: Executor | None = None
        self._published: _Published | None = None
        self._poll_records = min(limits.records_min, limits.records_max)
        self._generation = 0
        draining = DrainLimits(limits.dead_letters_window, limits.dead_letters_min, limits.dead_letters_share_max)
        self._latest = LatestRecords(draining, policy.policy_id)
        self._to_mark: dict[int, dict[str, bytes]] = {}  # what is to stand beside the states of a partition from its next save on
        self._placement, self._partitions = Placement(), 0  # of the input topics; 0: not known
        self._failed = False
        self._counts = Counts()

    @classmethod
    def with_applier(cls, applier: Applier, broker: Broker, store: StateStore, policy: Policy, limits: WorkerLimits) -> "Worker":
        """A worker that applies batches elsewhere, in the order that its broker gives; the caller closes the applier."""
        worker = cls(broker, store, policy, limits)
        worker._applier = applier
        return worker

    def publish_beside(self, publishing: Executor) -> None:
        """From now on, with a backlog, publish a batch in there while the next one is polled and applied. The caller ends it."""
        self._publishing = publishing

    @property
    def counts(self) -> Counts:
        """What was done so far; the same object each time, kept up to date."""
        counts, homes = self._counts, self._applier.residency
        counts.households_new, counts.households_loaded = homes.new, homes.loaded
        counts.resident_homes, counts.resident_bytes = homes.homes, homes.size_bytes
        counts.quarantined = sum(len(owned.quarantine.households) for owned in self._owned.values())
        return counts

    def run(self, stop: Callable[[], bool] = lambda: False) -> None:
        """Work until the log has ended or `stop()` says so, which is asked between batches. Raises as `run_once`."""
        while not stop():
            if self.run_once().ended:
                return
        self.finish()

    def run_once(self) -> Progress:
        """Poll once, and bring about all effects of it, or of batches polled before it when batches are begun ahead.

        Raises
        ------
        Fenced, BrokerError, StoreError
            From the ports.
        RecoveryError
            An assigned partition cannot be recovered.
        TooManyDeadLetters
            The share of dead letters is past the limit; the batch was not published.
        NewerState
            A newer version has worked here; nothing was published.

        After any exception this worker is of no more use, since its homes may be ahead of what was published: make a new one.
        """
        assert not self._failed, "this worker has failed before: its homes may be ahead of the log, so a new one must recover"
        try:
            batch = self._poll()
            if batch.assigned or batch.revoked:
                records = self._save_published()
                self._reassign(batch)
            else:
                self._begin(batch.records)
                records = self._bring_about(self._ahead if self._is_backlog(batch) else 0)
        except BaseException:
            self._failed = True
            raise
        return Progress(records, frozenset(self._owned), batch.ended)

    def finish(self) -> int:
        """Publish and save what `run_once` has begun ahead, before this worker is left; the records in it. Raises as it does."""
        try:
            return self._bring_about(begun=0)
        except BaseException:
            self._failed = True
            raise

    def _poll(self) -> Batch:
        """The next batch. When there is none because of an error, those begun before are brought about all the same."""
        try:
            return self._broker.poll(self._poll_records, self._limits.poll_timeout_s)
        except Exception:
            self._bring_about(begun=0)
            raise

    @property
    def _ahead(self) -> int:
        """So many batches may be begun and not yet saved while more are polled."""
        return self._applier.ahead if self._publishing is None else max(1, self._applier.ahead)

    def _is_backlog(self, batch: Batch) -> bool:
        """Whether more is sure to come at once. Sets how much the next poll asks for: much at once is faster, little sooner."""
        asked, limits = self._poll_records, self._limits
        full = len(batch.records) >= asked
        if full:
            self._poll_records = min(2 * asked, limits.records_max)
        elif len(batch.records) < _QUIET * asked:
            self._poll_records = max(asked // 2, min(limits.records_min, limits.records_max))
        return full and not batch.ended

    # Assignment and recovery

    def _reassign(self, batch: Batch) -> None:
        self._counts.rebalances += 1
        self._applier.clear()
        self._generation = batch.generation
        for partition in batch.revoked:
            self._owned.pop(partition, None)
            self._latest.forget(partition)
        for partition in sorted(batch.assigned):
            self._owned[partition] = self._claim(partition)

    def _claim(self, partition: int) -> PartitionState:
        """Take a partition over and bring its states to where its outputs stand."""
        refuse_moving(self._store, partition, self._store.offsets(partition))  # before: a claim would stop who moves them
        epoch, stands_at = self._store.claim(partition)  # first: from here on no older worker can save
        refuse_moving(self._store, partition, stands_at)
        if _ANEW in stands_at:  # who began its topics anew died in between
            self._store.save(partition, epoch, stands_at, on_both(stands_at), {})
        owned = PartitionState(partition, epoch, on_both(stands_at), Quarantine(epoch))
        self._read_beside(owned)
        committed = on_both(self._broker.committed(partition))
        if owned.offsets != committed:
            self._recover(owned, committed)
        self._broker.seek(partition, owned.offsets)
        _LOG.info("taken over", extra={"partition": partition, "epoch": epoch, "offsets": owned.offsets})
        return owned

    def _read_beside(self, owned: PartitionState) -> None:
        """What earlier workers left beside the states. Raises NewerState and NewTopics, before any record is taken."""
        partition, topics = owned.partition, self._broker.topics()
        self._partitions = max((topic.partitions for topic in topics.values()), default=0)
        beside = self._store.load(partition, [LATEST, _WRITTEN_BY, TOPICS])
        self._latest.restore(partition, beside.get(LATEST))
        version = int(beside.get(_WRITTEN_BY, b"0"))
        if version > STATE_VERSION:
            raise NewerState(version, STATE_VERSION, f"partition {partition}: the latest of its states")
        anew = find_made_anew(beside.get(TOPICS), topics, self._limits.accept_new_topics)
        wanted = {_WRITTEN_BY: b"%d" % STATE_VERSION, **({TOPICS: encode_topics(topics)} if topics else {})}
        self._to_mark[partition] = {name: raw for name, raw in wanted.items() if beside.get(name) != raw}
        if anew is not None:
            self._begin_anew(owned, anew)

    def _begin_anew(self, owned: PartitionState, topics: Sequence[str]) -> None:
        """Go on at the beginning of topics that are not those of the states: first the group's offsets, then the states'."""
        partition, to = owned.partition, {**owned.offsets, **dict.fromkeys(topics, 0)}
        if to != owned.offsets:
            self._broker.publish(Transaction((), (), {partition: to}, self._generation))
        between = {**to, _ANEW: 1}  # a save must move the offsets
        self._store.save(partition, owned.epoch, owned.offsets, between, self._to_mark.pop(partition))
        self._store.save(partition, owned.epoch, between, to, {})
        _LOG.warning("topics are not those of the states, and are begun anew", extra={"partition": partition, "topics": topics})
        owned.offsets = to

    def _recover(self, owned: PartitionState, committed: dict[str, int]) -> None:
        """Apply the journalled batches that the states lack.

        Batches that another version of the core or another policy had made are applied by this one: a warning tells it. To
        stop instead would make every upgrade after a crash a repair by hand, and what comes next is made by this version
        anyhow. The price: the states of those batches may differ from what was published of them.
        """
        partition = owned.partition
        if any(owned.offsets[topic] > committed[topic] for topic in INPUT_TOPICS):
            raise RecoveryError(
                f"partition {partition}: the states stand at {owned.offsets}, ahead of the committed offsets {committed}; "
                "the store belongs to another log or the group's offsets were reset: restore the store or the offsets"
            )
        stored = self._store.load(partition, [QUARANTINE]).get(QUARANTINE)
        if stored is not None:
            owned.quarantine = Quarantine.decode(stored)
        made_by: set[tuple[int, str]] = set()
        for entry in self._broker.journal(partition, owned.offsets):
            if on_both(entry.offsets_from) != owned.offsets:
                raise RecoveryError(
                    f"partition {partition}: the states stand at {owned.offsets}, the journal goes on at {entry.offsets_from}; "
                    "batches between them are missing: restore a later copy of the store"
                )
            self._apply_again(owned, entry)
            made_by.add((entry.step_version, entry.policy_id))
        if owned.offsets != committed:
            raise RecoveryError(
                f"partition {partition}: the journal ends at {owned.offsets} but {committed} is committed; "
                "its last batches are missing: restore a later copy of the store"
            )
        for version, policy_id in sorted(made_by - {(STEP_VERSION, self._policy.policy_id)}):
            _LOG.warning(
                "batches that version %d of the core made with policy %s were applied again by version %d with policy %s",
                *(version, policy_id, STEP_VERSION, self._policy.policy_id),
                extra={"partition": partition},
            )
        owned.quarantine = Quarantine(owned.epoch)

    def _apply_again(self, owned: PartitionState, entry: Journal) -> None:
        """One journalled batch: its states are saved, its outputs were published long ago."""
        if entry.epoch != owned.quarantine.epoch:
            owned.quarantine = Quarantine(entry.epoch)
        records = self._broker.fetch(owned.partition, entry.offsets_from, entry.offsets_to)
        if len(records) != entry.count:
            raise RecoveryError(
                f"partition {owned.partition}: the batch from {entry.offsets_from} to {entry.offsets_to} had {entry.count} "
                f"records, of which the broker still has {len(records)}: restore a later copy of the store"
            )
        self._applier.begin([(owned, records)])
        self._save(owned, self._applier.results()[owned.partition])
        self._applier.note_saved()
        self._counts.recoveries += 1

    # One batch

    def _begin(self, records: Sequence[Record]) -> None:
        parts = self._parts(records)
        if parts:
            self._applier.begin([(self._owned[partition], part) for partition, part in parts.items()])

    def _bring_about(self, begun: int) -> int:
        """Publish and save batches, the oldest first, until so many are begun and no more; the records in them."""
        records = 0
        while self._applier.begun > begun:
            self._publish_next()
            records += self._save_published()
        if self._applier.begun and self._publishing is not None:
            self._publish_next()
        return records

    def _publish_next(self) -> None:
        """Begin to make the oldest batch visible, unless that was begun."""
        if self._published is None:
            self._published = self._publish(self._applier.results())

    def _publish(self, results: Results) -> _Published:
        """Begin to make a batch visible."""
        self._note_unlisted(results)
        self._refuse_draining(results)
        journal = [self._entry(self._owned[partition], one) for partition, one in results.items()]
        outputs = [output for one in results.values() for settled in one.settled for output in settled.outputs]
        offsets = {partition: self._owned[partition].offsets | one.offsets for partition, one in results.items()}
        transaction = Transaction(outputs, journal, offsets, self._generation)
        if self._publishing is not None:
            return _Published(results, self._publishing.submit(self._broker.publish, transaction))
        self._broker.publish(transaction)
        visible: Future[None] = Future()
        visible.set_result(None)
        return _Published(results, visible)

    def _save_published(self) -> int:
        """Wait until the batch that is being published is visible, and save its states; the records in it."""
        if self._published is None:
            return 0
        results, visible = self._published
        visible.result()
        self._published = None
        for partition, one in results.items():
            self._save(self._owned[partition], one)
            if one.erases:
                self._store.forget_overwritten()
        self._applier.note_saved()
        self._count(results)
        return sum(len(one.settled) for one in results.values())

    def _parts(self, records: Sequence[Record]) -> dict[int, list[Record]]:
        """The records by partition, without those that a broker gives again although they were published."""
        parts: dict[int, list[Record]] = {partition: [] for partition in sorted(self._owned)}
        for record in records:
            assert record.partition in parts, f"the broker gave {record.position}, whose partition is not assigned to this worker"
            if record.offset >= self._owned[record.partition].offsets[record.topic]:
                parts[record.partition].append(record)
        return {partition: part for partition, part in parts.items() if part}

    def _save(self, owned: PartitionState, result: BatchResult) -> None:
        partition, states = owned.partition, result.states
        latest = self._latest.encode(partition) if partition in self._latest.kept else None
        beside: dict[str, bytes | None] = {QUARANTINE: result.quarantine, LATEST: latest}
        beside |= self._to_mark.pop(partition, {})
        if added := {name: raw for name, raw in beside.items() if raw is not None}:
            states = {**states, **added}
        offsets = owned.offsets | result.offsets
        self._store.save(partition, owned.epoch, owned.offsets, offsets, states)
        owned.offsets = offsets

    def _entry(self, owned: PartitionState, result: BatchResult) -> Journal:
        return Journal(
            partition=owned.partition,
            offsets_from=owned.offsets,
            offsets_to=owned.offsets | result.offsets,
            count=len(result.settled),
            epoch=owned.epoch,
            step_version=STEP_VERSION,
            policy_id=self._policy.policy_id,
        )

    # Counting

    def _note_unlisted(self, results: Results) -> None:
        """Count vectors of encoders that the policy does not list, whatever becomes of the batch."""
        counts = self._counts
        for one in results.values():
            counts.recognitions += one.recognitions
            for unlisted in (each for settled in one.settled for each in settled.unlisted):
                if unlisted in counts.unlisted or len(counts.unlisted) < _UNLISTED_MAX:
                    counts.unlisted[unlisted] += 1

    def _refuse_draining(self, results: Results) -> None:
        """Stop before publishing when what cannot be used is too much of what comes."""
        batch = [(p, one.household, one.reason) for p, result in results.items() for one in result.settled if one.household]
        self._latest.noted.extend(batch)
        if any(reason for *_, reason in batch):
            self._latest.judge(batch)

    def _count(self, results: Results) -> None:
        counts, settled = self._counts, [settled for one in results.values() for settled in one.settled]
        dead = [one.reason for one in settled if one.reason is not None]
        counts.batches += 1
        counts.records += len(settled)
        counts.events += len(settled) - len(dead)
        counts.dead_letters.update(dead)
        counts.outcomes.update(word for one in settled for word in one.outcomes)
        counts.outputs.update(output.topic for one in settled for output in one.outputs)
        counts.left_out.update(word for one in settled for word in one.left_out)
        self._note_places(results)

    def _note_places(self, results: Results) -> None:
        """Tell of homes whose records come to another partition than their key's: their states would be halved in silence."""
        if not self._partitions:
            return
        partitions, known = self._partitions, self._placement.misplaced
        for partition, result in results.items():
            self._placement.note(partition, partitions, (one.household for one in result.settled))
        self._counts.misplaced = self._placement.misplaced
        if self._counts.misplaced and not known:
            _LOG.warning(
                "homes have records in another partition than their key's: a sender uses another partitioner than Kafka's own "
                "(librdkafka needs partitioner=murmur2_random), or partitions were added; such a home may be known in two halves"
            )
