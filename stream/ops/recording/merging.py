"""The records of many partitions in one order.

Law: the order is a pure function of what lies in the partitions: by (timestamp, topic, partition, offset), but never against the
offsets of a partition. So it is the same wherever it is begun again.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from stream.brokers.kafka.journals import PartitionReader, Span
from stream.contract.errors import RecoveryError
from stream.contract.records import Record

__all__ = ["merge_spans"]

_AT_ONCE: Final = 1_000  # records of one partition in memory


def merge_spans(reader: PartitionReader, spans: Sequence[Span], done: Mapping[tuple[str, int], int]) -> Iterator[Record]:
    """All records of the spans from the offsets on that are `done` up to.

    Raises
    ------
    BrokerError
        The reader's.
    RecoveryError
        Some are no longer retained.
    """
    sources = [_read(reader, span._replace(start=done.get((span.topic, span.partition), span.start))) for span in spans]
    heap: list[tuple[tuple[int, str, int, int], int, Record]] = []

    def advance(i: int) -> None:
        for record in sources[i]:
            heapq.heappush(heap, ((record.timestamp, record.topic, record.partition, record.offset), i, record))
            return

    for i in range(len(sources)):
        advance(i)
    while heap:
        _, i, record = heapq.heappop(heap)
        yield record
        advance(i)


def _read(reader: PartitionReader, span: Span) -> Iterator[Record]:
    """One partition, piece by piece."""
    place, stop = span.start, span.stop or 0
    while place < stop:
        first, _ = reader.bounds(span.topic, span.partition)
        if first > place:
            raise RecoveryError(
                f"{span.topic}[{span.partition}]: the records from {place} to {first - 1} are no longer retained: record a later "
                "time, into another file"
            )
        records = reader.read(span._replace(start=place), _AT_ONCE)
        yield from records
        place = records[-1].offset + 1 if len(records) == _AT_ONCE else stop
