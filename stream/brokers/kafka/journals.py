"""Reading what was: the journal from one batch on, and the inputs of a batch.

Law: what is read was committed, and nothing that was committed before is left out, for a transaction that is still open is
waited for. Reading a journal costs what is read of it, however long it is kept.
"""

import logging
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol

from stream.contract.errors import RecoveryError, first_line
from stream.contract.ports import Offsets, on_both
from stream.contract.records import INPUT_TOPICS, Journal, Record

__all__ = ["PartitionReader", "Span", "read_batch", "read_journal"]

_LOG = logging.getLogger(__name__)
_FIRST_STEP: Final = 8
_AT_ONCE: Final = 256


class Span(NamedTuple):
    """Offsets of one partition of a topic, which is named as in the contract; `stop` None: up to the end."""

    topic: str
    partition: int
    start: int
    stop: int | None = None


class PartitionReader(Protocol):
    """Reads one partition at a time, outside of any group."""

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        """The first offset that is retained, and the next one after all that is decided. Raises BrokerError."""
        ...

    def read(self, span: Span, records_max: int | None = None) -> list[Record]:
        """The first records of a span that are committed and retained.

        Waits until a transaction that is open there is decided. Raises BrokerError when that takes too long.
        """
        ...

    def close(self) -> None:
        """Never raises."""
        ...


def read_journal(reader: PartitionReader, partition: int, offsets: Offsets) -> Iterator[Journal]:
    """Entries of a partition from those next offsets on.

    The search goes back from the end in steps that double and looks at one entry each, since entries stand in the order of
    their offsets: about as much is read as must then be applied again. The order begins anew where an input topic was made
    anew: the last entry that begins there is meant.

    Raises
    ------
    BrokerError
        The reader's.
    RecoveryError
        There is no entry that begins there.
    """
    wanted = on_both(offsets)
    found: list[Journal] = []
    for entry in _from(reader, partition, _at_or_before(reader, partition, wanted)):
        if on_both(entry.offsets_from) == wanted:
            found = []  # an earlier one was of a topic that was made anew since
        elif not found:
            continue
        found.append(entry)
    yield from found
    if not found:
        raise RecoveryError(
            f"partition {partition}: the journal has no batch from {wanted} on; either it is no longer retained, or the store "
            "belongs to another log: restore a later copy of the store"
        )


def read_batch(reader: PartitionReader, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> list[Record]:
    """Input records of a partition between next offsets, by topic and offset.

    There are fewer than there were when retention has taken the first of them; the journal tells how many there were.

    Raises
    ------
    BrokerError
        The reader's.
    RecoveryError
        The last ones are no longer retained either.
    """
    records: list[Record] = []
    for topic in sorted(INPUT_TOPICS):
        start, stop = offsets_from.get(topic, 0), offsets_to.get(topic, 0)
        if start < stop:
            part = reader.read(Span(topic, partition, start, stop))
            if not part or part[-1].offset != stop - 1:
                told = f"{topic}[{partition}]: the records from {start} to {stop - 1} are no longer retained"
                raise RecoveryError(f"{told}: restore a later copy of the store")
            records += part
    return records


def _at_or_before(reader: PartitionReader, partition: int, wanted: Offsets) -> int:
    """An offset of the journal after which the batch from `wanted` on stands, if it is there."""
    first, place = reader.bounds("journal", partition)
    step = _FIRST_STEP
    while place > first:
        place, step = max(first, place - step), step * 2
        probed = reader.read(Span("journal", partition, place), 1)
        if probed and (entry := _entry(probed[0])) and _begins_by(entry, wanted):
            break
    return place


def _begins_by(entry: Journal, wanted: Offsets) -> bool:
    begins = on_both(entry.offsets_from)
    return all(begins[topic] <= wanted[topic] for topic in INPUT_TOPICS)


def _from(reader: PartitionReader, partition: int, place: int) -> Iterator[Journal]:
    while records := reader.read(Span("journal", partition, place), _AT_ONCE):
        yield from filter(None, map(_entry, records))
        place = records[-1].offset + 1


def _entry(record: Record) -> Journal | None:
    """None: somebody else's record, of which the log tells. If it was ours, the worker finds that a batch is missing."""
    try:
        return Journal.model_validate_json(record.value or b"")
    except ValueError as error:
        _LOG.warning("%s is no entry of a journal, and is passed over: %s", record.position, first_line(error))
        return None
