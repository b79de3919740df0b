"""The broker of a real cluster, put together from three parts that each client library gives in its own way.

Law: the callbacks of a group only note what changed; the worker hears of it from the poll they happened in, which then gives
no records. What is published stands on the group's metadata as it was when the partitions were assigned: read at the time of
the commit it would let a member publish that has been replaced.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from threading import Lock, Thread
from typing import Any, Final, Protocol

from stream.contract.ports import Batch, BrokerError, Fenced, InputTopic, Offsets, Transaction, on_both
from stream.contract.records import OPTIONAL_TOPICS, REQUIRED_TOPICS, Journal, Record
from stream.contract.settings import Wiring

from .identity import TopicWatch
from .journals import PartitionReader, read_batch, read_journal
from .slots import Slot
from .topics import Names

__all__ = [
    "POLL_INTERVAL_MAX_S", "ClusterBroker", "Member", "Membership", "Publisher", "BrokerProbe", "await_topics", "join", "within",
]  # fmt: skip

_LOG = logging.getLogger(__name__)
POLL_INTERVAL_MAX_S: Final = 600.0  # a worker that hangs is ended by its own watch long before the group gives it up
_REBALANCE_MAX_S: Final = POLL_INTERVAL_MAX_S + 60
_NEWS_S: Final = 5.0  # what one broker knows, all know within


class BrokerProbe:
    """Tells brokers that have nothing to say from brokers that are gone, which a poll alone does not.

    Parameters
    ----------
    ask
        Puts a question to the brokers, and raises when they do not answer within a few seconds.
    after_s
        So long without records it is asked.
    """

    def __init__(self, ask: Callable[[], object], after_s: float) -> None:
        self._ask, self._after_s = ask, after_s
        self._felt_at = time.monotonic()

    def check(self, felt: bool) -> None:
        """Called with every poll, `felt` when records came. Raises what `ask` raises."""
        now = time.monotonic()
        if felt:
            self._felt_at = now
        elif now - self._felt_at > self._after_s:
            self._ask()
            self._felt_at = time.monotonic()


class Membership:
    """What a group has told one of its members."""

    def __init__(self) -> None:
        self.topics: Sequence[str] = REQUIRED_TOPICS  # that are consumed, by the contract's names
        self.kept = Lock()  # held while something is published: what was told stays true meanwhile
        self.share: frozenset[int] = frozenset()
        self.joined = False  # has a share of the present generation, be it an empty one
        self.generation = 0  # our own count
        self.metadata: Any = None  # the client's own, of the latest generation
        self._since = time.monotonic()
        self._told: frozenset[int] = frozenset()
        self._changed = False
        self._unpaired = ""

    def note_assigned(self, places: Iterable[tuple[str, int]], metadata: Any) -> None:
        """The whole new share: partitions by the contract's topic names."""
        by_topic = {topic: {partition for name, partition in places if name == topic} for topic in self.topics}
        first, *others = by_topic.values()
        paired = all(other == first for other in others)
        self._unpaired = "" if paired else str({topic: sorted(partitions) for topic, partitions in by_topic.items()})
        self.share, self.metadata = frozenset(first), metadata
        self.generation += 1
        self.joined = self._changed = True

    def note_revoked(self) -> None:
        """All of the share is taken away, by a rebalance or because the group gave this member up.

        Called where the client waits for it, so that what is being published becomes visible in the old generation.
        """
        with self.kept:
            self.generation += 1
            self.share, self.joined, self._changed = frozenset(), False, True
        self._since = time.monotonic()

    def news(self) -> Batch | None:
        """What the worker was not told yet; None: nothing. Raises BrokerError when the group does not let us in."""
        if not self.joined and time.monotonic() - self._since > _REBALANCE_MAX_S:
            raise BrokerError(f"the group gave no share for {_REBALANCE_MAX_S:.0f} s, longer than any rebalance takes")
        if not self._changed:
            return None
        if self._unpaired:
            raise BrokerError(f"partitions do not pair: {self._unpaired}; the input topics need the same number of partitions")
        revoked, self._told, self._changed = self._told, self.share, False
        return Batch(assigned=self.share, revoked=revoked, generation=self.generation)


def await_topics(names: Names, known: Callable[[], Iterable[str]]) -> list[str]:
    """Wait until the brokers know the input topics, for those that were just made; these, and the optional ones that are there.

    Raises BrokerError when they do not.
    """
    wanted, ends_at = {names.wire(topic) for topic in REQUIRED_TOPICS}, time.monotonic() + _NEWS_S
    while missing := wanted.difference(there := {*known()}):
        if time.monotonic() > ends_at:
            raise BrokerError(f"the brokers have no topic {' and no topic '.join(sorted(missing))}")
        time.sleep(_NEWS_S / 50)
    return [*REQUIRED_TOPICS, *(topic for topic in OPTIONAL_TOPICS if names.wire(topic) in there)]


def within(seconds: float, doing: Callable[[], object], late: str) -> None:
    """Do what a client gives no time-out, or does not keep it; who is left waiting in it ends with the process.

    Raises what `doing` raises, and BrokerError when it takes too long: what `late` says, within so many seconds.
    """
    failed: list[BaseException] = []

    def run() -> None:
        try:
            doing()
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise BrokerError(f"{late} within {seconds:.0f} s")
    if failed:
        raise failed[0]


class Member(Protocol):
    """Consumes the input topics as a member of the group. All but `close` raise BrokerError."""

    membership: Membership

    def poll(self, records_max: int, timeout_s: float) -> Batch: ...
    def committed(self, partition: int) -> Offsets: ...
    def seek(self, partition: int, offsets: Offsets) -> None: ...
    def lag(self) -> Mapping[int, int]: ...
    def close(self) -> None: ...


class Publisher(Protocol):
    """Publishes in transactions of its own id."""

    def publish(self, transaction: Transaction, metadata: Any) -> None:
        """As `Broker.publish`, on the group's metadata as kept."""
        ...

    def close(self) -> None:
        """An open transaction is aborted. Never raises."""
        ...


def join(
    wiring: Wiring,
    publisher: Callable[[Wiring, str], Publisher],
    member: Callable[[Wiring], Member],
    reader: Callable[[Wiring], PartitionReader],
    watch: Callable[[Wiring], TopicWatch],
) -> "ClusterBroker":
    """A member of the wiring's group, made of one client's parts. Raises what they raise, and leaves nothing open then.

    The publisher comes first, with its transactional id: it ends the transaction that the slot's last owner left open.
    """
    with ExitStack() as undo:
        slot = Slot(wiring)
        undo.callback(slot.release)
        publishes = publisher(wiring, slot.transactional_id)
        undo.callback(publishes.close)
        consumes = member(wiring)
        undo.callback(consumes.close)
        watches = watch(wiring)
        undo.callback(watches.close)
        broker = ClusterBroker(slot, consumes, publishes, reader(wiring), watches)
        undo.pop_all()
    return broker


class ClusterBroker:
    """The port over one client's parts. It owns them, and the slot whose transactional id the publisher has."""

    def __init__(
        self, slot: Slot, member: Member, publisher: Publisher, reader: PartitionReader, watch: TopicWatch
    ) -> None:
        self._slot, self._member, self._publisher, self._reader, self._watch = slot, member, publisher, reader, watch

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        self._watch.check()
        return self._member.poll(records_max, timeout_s)

    def committed(self, partition: int) -> Offsets:
        return self._member.committed(partition)

    def journal(self, partition: int, offsets: Offsets) -> Iterable[Journal]:
        return () if on_both(offsets) == on_both(self.committed(partition)) else read_journal(self._reader, partition, offsets)

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        return read_batch(self._reader, partition, offsets_from, offsets_to)

    def seek(self, partition: int, offsets: Offsets) -> None:
        for topic in self._member.membership.topics:
            offset = offsets.get(topic, 0)
            first, _ = self._reader.bounds(topic, partition)
            if first > offset:  # nothing brings them back: to stop would only lose more
                lost = f"{topic}[{partition}]@{offset}-{first - 1}"
                _LOG.error("records were deleted before they were read", extra={"lost": lost})
        self._member.seek(partition, offsets)

    def lag(self) -> Mapping[int, int]:
        return self._member.lag()

    def topics(self) -> Mapping[str, InputTopic]:
        return self._watch.topics

    def publish(self, transaction: Transaction) -> None:
        self._watch.check()
        membership = self._member.membership
        with membership.kept:
            if transaction.generation not in (None, membership.generation):
                raise Fenced("the group has a new generation: what was polled in an older one is not published")
            if not membership.share.issuperset(transaction.offsets):
                raise BrokerError(f"partitions {sorted(transaction.offsets)} are not all assigned to this member")
            there = {
                partition: {topic: offset for topic, offset in offsets.items() if topic in membership.topics}
                for partition, offsets in transaction.offsets.items()
            }
            self._publisher.publish(replace(transaction, offsets=there), membership.metadata)

    def close(self) -> None:
        for part in (self._publisher, self._member, self._reader, self._watch):
            part.close()
        self._slot.release()
