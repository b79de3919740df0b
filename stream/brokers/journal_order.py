"""The order in which recorded records were applied: batch by batch of the journal that a log holds beside them.

Law: the records of a partition come in the order in which a worker applied them, whenever they stand in the log: the batches as
the journal has them, and within one by what the records say (`by_content`). A record of no batch, because the journal no longer
or not yet had it, comes where its offset lies, before or after the batches. The order of a log is a function of the log.

Homes are of one partition each, so how partitions stand among each other changes no answer. What comes may have lower offsets
after higher ones, but never beyond the batch; so a batch is not to be cut (`missing`).
"""

from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from operator import attrgetter
from typing import Final

from stream.contract.records import INPUT_TOPICS, Journal, Record

from .digests import RecordDigests
from .log_files import STDIN, InvalidLog, LogReader

__all__ = ["JOURNALLED", "JournalOrder", "read_order", "with_journal"]

_JOURNAL: Final = "journal"
JOURNALLED: Final = (*INPUT_TOPICS, _JOURNAL)  # topics of a log that is to be ordered
_HEAD_BYTES: Final = 256  # of a line, in which its topic is named
_OFFSET: Final = attrgetter("topic", "offset")
Ordering = Callable[[Sequence[Record]], Sequence[Record]]
_Place = tuple[str, int]  # topic and partition


class JournalOrder:
    """The batches of a log.

    Parameters
    ----------
    entries
        By partition those of the journal, in order.
    offsets
        By place those of the records that the log has: of a batch at the edge of a recording some are missing.
    """

    def __init__(self, entries: dict[int, list[Journal]], offsets: dict[_Place, "array[int]"]) -> None:
        self.arrived = RecordDigests()  # of the records in the order in which they stand in the log
        self._begins: defaultdict[_Place, list[int]] = defaultdict(list)
        self._ends: defaultdict[_Place, list[int]] = defaultdict(list)
        self._sizes: dict[int, list[int]] = {partition: [0] * len(own) for partition, own in entries.items()}
        for partition, own in entries.items():
            for topic in INPUT_TOPICS:
                end = 0
                for entry in own:
                    self._begins[topic, partition].append(entry.offsets_from.get(topic, end))
                    end = entry.offsets_to.get(topic, end)
                    self._ends[topic, partition].append(end)
        self.left_over = 0  # records of no batch
        for (topic, partition), known in offsets.items():
            for offset in known:
                number, is_in = self._find(topic, partition, offset)
                self.left_over += not is_in
                if is_in:
                    self._sizes[partition][number] += 1

    def count_missing(self, given: Sequence[Record]) -> int:
        """How many records are still to come of the batch that the last of those given is of; it began among them."""
        count, batch = 0, self._batch_of(given[-1]) if given else None
        if batch is None:
            return 0
        for record in reversed(given):
            if self._batch_of(record) != batch:
                break
            count += 1
        partition, number = batch
        return self._sizes[partition][number] - count

    def in_applied_order(self, records: Iterable[Record], ordering: Ordering) -> Iterator[Record]:
        """The log's records, of all topics of `JOURNALLED`, as they were applied, by `ordering` within a batch."""
        lanes: dict[int, _Lane] = {}
        for record in records:
            if record.topic == _JOURNAL:
                continue
            self.arrived.note([record])
            partition = record.partition
            lane = lanes.setdefault(partition, _Lane(self._sizes.get(partition, []), ordering))
            yield from lane.take(record, *self._find(record.topic, partition, record.offset))

    def _batch_of(self, record: Record) -> tuple[int, int] | None:
        number, is_in = self._find(record.topic, record.partition, record.offset)
        return (record.partition, number) if is_in else None

    def _find(self, topic: str, partition: int, offset: int) -> tuple[int, bool]:
        """The batch in or before which an offset lies, and whether it is in it."""
        ends = self._ends.get((topic, partition), ())
        number = bisect_right(ends, offset)
        return number, number < len(ends) and offset >= self._begins[topic, partition][number]


class _Lane:
    """One partition: what waits until its batch is whole and those before it were given."""

    def __init__(self, sizes: Sequence[int], ordering: Ordering) -> None:
        self._sizes, self._ordering, self._next = sizes, ordering, 0
        self._batches: defaultdict[int, list[Record]] = defaultdict(list)
        self._before: defaultdict[int, list[Record]] = defaultdict(list)  # a batch: those of none

    def take(self, record: Record, number: int, is_in: bool) -> Iterator[Record]:
        """One more record; what can be given now."""
        if not is_in and number <= self._next:
            yield record
            return
        (self._batches if is_in else self._before)[number].append(record)
        while self._next < len(self._sizes) and len(self._batches.get(self._next, ())) == self._sizes[self._next]:
            yield from self._ordering(self._batches.pop(self._next, []))
            self._next += 1
            yield from self._before.pop(self._next, ())


def read_order(names: Sequence[str], prefix: str | None) -> JournalOrder | None:
    """The batches that the journal in these logs tells; None: there is none, or it is standard input, which is read only once.

    The logs are read up to a fault, which is told when their records are read.
    """
    if STDIN in names or not _mentions_journal(names):
        return None
    entries: defaultdict[int, list[Journal]] = defaultdict(list)
    offsets: defaultdict[_Place, array[int]] = defaultdict(lambda: array("q"))
    try:
        with closing(LogReader(names, JOURNALLED, prefix)) as log:
            for record in log:
                if record.topic != _JOURNAL:
                    offsets[record.topic, record.partition].append(record.offset)
                elif (entry := _entry(record)) is not None:
                    own = entries[entry.partition]
                    if own and _goes_back(own[-1], entry):
                        own.clear()  # an input topic was made anew since
                    own.append(entry)
    except InvalidLog:
        pass
    return JournalOrder(entries, offsets) if entries else None


def with_journal(records: Sequence[Record]) -> list[Record]:
    """Records in the order in which they were applied as a log that tells that order: unchanged, if their offsets rise.

    Else they stand by offset, with a journal of the shortest batches. Where offsets fall, records must stand by content.
    """
    if _rise(records):
        return list(records)
    by_partition: defaultdict[int, list[Record]] = defaultdict(list)
    for record in records:
        by_partition[record.partition].append(record)
    return [record for own in by_partition.values() for record in _in_journal_order(own)]


def _rise(records: Sequence[Record]) -> bool:
    latest: dict[_Place, int] = {}
    for record in records:
        if latest.get((record.topic, record.partition), -1) >= record.offset:
            return False
        latest[record.topic, record.partition] = record.offset
    return True


def _in_journal_order(own: Sequence[Record]) -> Iterator[Record]:
    """One partition's records with their journal: a batch ends where no lower offset follows."""
    ranks: dict[tuple[str, int], int] = {}
    seen = Counter[str]()
    for record in sorted(own, key=_OFFSET):
        ranks[_OFFSET(record)] = seen[record.topic]
        seen[record.topic] += 1
    count, highest, number = Counter[str](), Counter[str](), 0
    before, batch = dict.fromkeys(INPUT_TOPICS, 0), list[Record]()
    for record in own:
        batch.append(record)
        count[record.topic] += 1
        highest[record.topic] = max(highest[record.topic], ranks[_OFFSET(record)] + 1)
        if highest == count:
            batch.sort(key=_OFFSET)
            after = before | {one.topic: one.offset + 1 for one in batch}
            made = {"epoch": 0, "step_version": 0, "policy_id": ""}
            entry = Journal(partition=record.partition, offsets_from=before, offsets_to=after, count=len(batch), **made)
            yield from batch
            yield Record(_JOURNAL, record.partition, number, record.timestamp, None, entry.model_dump_json().encode())
            before, batch, number = after, [], number + 1


def _mentions_journal(names: Sequence[str]) -> bool:
    """Whether some line seems to be of the journal, so that a log without one is not decoded twice."""
    try:
        with closing(LogReader(names)) as log:
            return any(b'journal"' in line[:_HEAD_BYTES] for _, line in log.lines())
    except InvalidLog:
        return False


def _entry(record: Record) -> Journal | None:
    try:
        return Journal.model_validate_json(record.value or b"")
    except ValueError:  # somebody else's record
        return None


def _goes_back(before: Journal, after: Journal) -> bool:
    return any(after.offsets_from.get(topic, end) < end for topic, end in before.offsets_to.items())
