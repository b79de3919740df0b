"""What belongs to a recording: offsets of each topic's partitions, which are fixed when it begins.

Law: inputs are those that came from one time to before another. The journal and outputs are what was made of those inputs,
however much later: an output is known by its `cause`, a journal entry by the offsets of its batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple, Protocol

import msgspec

from stream.brokers.kafka.journals import PartitionReader, Span
from stream.contract.errors import ConfigError
from stream.contract.records import INPUT_TOPICS, OPTIONAL_TOPICS, OUTPUT_TOPICS, Journal, Record

__all__ = ["Between", "History", "belongs_to", "find_spans"]

_JOURNAL: Final = "journal"
_Place = tuple[str, int]


class Between(NamedTuple):
    """From a time, ms since the Unix epoch, to before another."""

    from_ms: int
    to_ms: int


class History(PartitionReader, Protocol):
    """A reader that knows its topics' partitions, and where a time begins."""

    def partitions(self, topic: str) -> int:
        """How many there are. Raises ConfigError when there is no such topic."""
        ...

    def offset_at(self, topic: str, partition: int, at_ms: int) -> int | None:
        """The first offset whose record came then or later; None: there is none."""
        ...


class _Cause(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _Output(msgspec.Struct):
    """What made an output; a dead letter has it as its own fields."""

    cause: _Cause | None = None
    topic: str | None = None
    partition: int | None = None
    offset: int | None = None


_decode_output = msgspec.json.Decoder(_Output).decode


def find_spans(history: History, between: Between, outputs: bool) -> list[Span]:
    """Spans that are not empty, of inputs, the journal and, where asked, outputs. Raises ConfigError and BrokerError."""
    spans = []
    for topic in (*INPUT_TOPICS, _JOURNAL, *(OUTPUT_TOPICS if outputs else ())):
        for partition in range(_partitions(history, topic)):
            first, end = history.bounds(topic, partition)
            start = history.offset_at(topic, partition, between.from_ms)
            stop = history.offset_at(topic, partition, between.to_ms) if topic in INPUT_TOPICS else None
            begin, until = end if start is None else max(first, start), end if stop is None else min(stop, end)
            if begin < until:
                spans.append(Span(topic, partition, begin, until))
    return spans


def _partitions(history: History, topic: str) -> int:
    """How many there are; of an optional topic that is missing, none. Raises ConfigError for another, and BrokerError."""
    try:
        return history.partitions(topic)
    except ConfigError:
        if topic in OPTIONAL_TOPICS or topic == "presence":
            return 0
        raise


def belongs_to(record: Record, spans: Mapping[_Place, Span], between: Between) -> bool:
    """Whether a record of a span is part of the recording whose inputs these are."""
    if record.topic in INPUT_TOPICS:
        return True
    if record.topic == _JOURNAL:
        return _is_of_a_batch(record, spans)
    cause = _cause(record)
    if cause is None:  # an alert, which has many, or a tombstone
        return between.from_ms <= record.timestamp < between.to_ms
    span = spans.get((cause.topic, cause.partition))
    return span is not None and span.start <= cause.offset < (span.stop or 0)


def _is_of_a_batch(record: Record, spans: Mapping[_Place, Span]) -> bool:
    try:
        entry = Journal.model_validate_json(record.value or b"")
    except ValueError:  # somebody else's record
        return False
    own: Iterable[tuple[str, Span]] = ((t, spans[t, entry.partition]) for t in INPUT_TOPICS if (t, entry.partition) in spans)
    return any(entry.offsets_from.get(t, 0) < (s.stop or 0) and s.start < entry.offsets_to.get(t, 0) for t, s in own)


def _cause(record: Record) -> _Cause | None:
    try:
        told = _decode_output(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    own: Sequence[object] = (told.topic, told.partition, told.offset)
    if told.cause is None and None not in own:
        return msgspec.convert({"topic": own[0], "partition": own[1], "offset": own[2]}, _Cause)
    return told.cause
