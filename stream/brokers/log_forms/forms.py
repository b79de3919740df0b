"""Which form a log file has, told from its first line, and the records of each.

Law: only what is surely of another form is taken for one; everything else is read as our own lines, whose faults are told by what
they look like. What was guessed is one sentence, `said`; of our lines and kcat's nothing is guessed.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Final, Protocol

import msgspec

from stream.contract.records import INPUT_TOPICS, Record

from ..log_lines import NO_TIME, InvalidLog, records_of
from .bare import COUNTED, PARTITIONS, Fields, fields_of, partition_for, refuse_other_units
from .console import Console, Head, console_of
from .envelopes import ENVELOPES, Unwrapped, envelope_of, members_if_whole

__all__ = ["Form", "form_of"]

_NULL: Final = b"null"


class Form(Protocol):
    """How the lines of one file are read."""

    @property
    def said(self) -> str | None:
        """What was guessed, as a sentence that goes on after the file's name; None: nothing."""
        ...

    def records(self, raw: bytes) -> Iterator[Record]:
        """Of a line; offsets that it cannot carry are `bare.COUNTED`. Raises InvalidLog, after the records before the fault."""
        ...


@dataclass(slots=True)
class _Lines:
    """Our own lines, and those of kcat -J; around a value of kcat's there may be an envelope."""

    topics: Mapping[str, str]
    envelope: str | None = None

    @property
    def said(self) -> str | None:
        return f"read as lines of kcat -J, each with a record in an envelope of {self.envelope}" if self.envelope else None

    def records(self, raw: bytes) -> Iterator[Record]:
        for record in records_of(raw, self.topics):
            if self.envelope is None or record.value is None:
                yield record
                continue
            inner = _unwrap(self.envelope, record.value)
            if inner.value is not None:
                at_ms = inner.at_ms if record.timestamp == NO_TIME and inner.at_ms is not None else record.timestamp
                key = record.key if record.key is not None else inner.key or fields_of(inner.value).key
                yield Record(record.topic, record.partition, record.offset, at_ms, key, inner.value)


@dataclass(slots=True)
class _Bare:
    """Records by themselves, or behind what kafka-console-consumer prints before them; perhaps each in an envelope."""

    topics: Mapping[str, str]
    own_topic: str | None  # of records that do not tell theirs
    console: Console | None = None
    envelope: str | None = None
    _latest_ms: int = field(default=NO_TIME, init=False)
    _checked: bool = field(default=False, init=False)

    @property
    def said(self) -> str:
        parts = self.console.parts if self.console else ()
        what = "output of kafka-console-consumer, with " + ", ".join((*parts, "value")) if self.console else "bare records"
        wrapped = f", each in an envelope of {self.envelope}" if self.envelope else ""
        time = "the envelope's, else the record's own" if self.envelope else "the record's own"
        put: dict[str, str] = {
            "topic": "by their fields" + (f", else {self.own_topic}" if self.own_topic else ""), "key": "the household_id",
            "partition": f"of the key, among {PARTITIONS}", "offset": "counted", "timestamp": time,
        }  # fmt: skip
        missing = "; ".join(f"{name}: {rule}" for name, rule in put.items() if name not in parts)
        return f"read as {what}{wrapped}. Put in place of what is not there: {missing}" if missing else f"read as {what}{wrapped}"

    def records(self, raw: bytes) -> Iterator[Record]:
        text = raw.rstrip(b"\r\n")
        parted = self.console.split(text) if self.console else (Head(), text.strip())
        if parted is None:
            return
        head, value = parted
        inner = _unwrap(self.envelope, value) if self.envelope else Unwrapped(None if value.strip() == _NULL else value)
        if self.envelope and inner.value is None:
            return
        fields = fields_of(inner.value or b"")
        if not raw.endswith(b"\n") and inner.value is not None and not members_if_whole(value):
            where = f"{len(value)} bytes after it began"
            raise InvalidLog(f"the file ends in the middle of a record, {where}: whoever wrote it was stopped")
        yield self._record(head, inner, fields)

    def _record(self, head: Head, inner: Unwrapped, fields: Fields) -> Record:
        has_key = self.console is not None and "key" in self.console.parts
        key = head.key if has_key else inner.key or fields.key
        partition = head.partition if head.partition is not None else partition_for(key)
        offset = head.offset if head.offset is not None else COUNTED
        return Record(self._topic(head, fields), partition, offset, self._time(head, inner, fields), key, inner.value)

    def _topic(self, head: Head, fields: Fields) -> str:
        if head.topic is not None:
            name = head.topic.decode(errors="replace").removeprefix("Topic:")
            found = self.topics.get(name)
            if found is None:
                raise InvalidLog(f"not a record of a log: the topic is {name!r}, where it should be {' or '.join(INPUT_TOPICS)}")
            return found
        topic = fields.topic or self.own_topic
        if topic is None:
            right = "name the file after its topic, such as recognitions.jsonl"
            raise InvalidLog(f"not a record of a log: neither its fields nor the file's name tell its topic; {right}")
        return topic

    def _time(self, head: Head, inner: Unwrapped, fields: Fields) -> int:
        carried = self.console is not None and "timestamp" in self.console.parts
        if not self._checked:
            self._checked = True
            name, time = ("timestamp", head.timestamp) if carried else fields.time
            refuse_other_units(name, time, (fields.time[1] or NO_TIME) if carried else None)
        if carried:
            return NO_TIME if head.timestamp is None else head.timestamp
        found = inner.at_ms if inner.at_ms is not None else fields.at_ms
        self._latest_ms = self._latest_ms if found is None else found
        return self._latest_ms


def form_of(raw: bytes, name: str, topics: Mapping[str, str]) -> Form:
    """The form of a file by its first line that is not blank.

    Parameters
    ----------
    raw
        The line, with its end if it has one.
    name
        The file's: where records do not tell their topic, it may.
    topics
        Those that may stand there, by the name that they have there.
    """
    text = raw.strip()
    members: Mapping[str, Any] = members_if_whole(text)
    if "topic" in members:
        first = _first(raw, topics)
        _refuse_other_units_of(members, first)
        wrapped = first.value if first and "payload" in members else None
        return _Lines(topics, envelope_of(wrapped) if wrapped else None)
    own_topic = next((topic for topic in INPUT_TOPICS if topic in PurePath(name).name), None)
    if members:
        envelope = envelope_of(text)
        if envelope or fields_of(text).topic:
            return _Bare(topics, own_topic, None, envelope)
        return _Lines(topics)
    console = None if text.startswith(b"{") else console_of(raw.rstrip(b"\r\n"), frozenset(t.encode() for t in INPUT_TOPICS))
    if console is None:
        return _Lines(topics)
    parted = console.split(raw.rstrip(b"\r\n"))
    assert parted is not None, "a first line with a layout has a value"
    return _Bare(topics, own_topic, console, envelope_of(parted[1]))


def _refuse_other_units_of(members: Mapping[str, Any], first: Record | None) -> None:
    """Of our lines and kcat's: a first record whose time is its own one in another unit, or text."""
    time = members.get("timestamp", members.get("ts"))
    if time is not None:
        own = fields_of(first.value or b"").time[1] or NO_TIME if first else None  # None: it cannot be read in any case
        refuse_other_units("timestamp" if "timestamp" in members else "ts", msgspec.json.decode(time), own)


def _first(raw: bytes, topics: Mapping[str, str]) -> Record | None:
    """The first record of a line, if it has one; what is wrong with the line is told when it is read."""
    try:
        return next(records_of(raw, topics))
    except (InvalidLog, StopIteration):
        return None


def _unwrap(envelope: str, value: bytes) -> Unwrapped:
    """What stands in the envelope; where a line has none of this kind, its value as it is, which the codec judges."""
    found = ENVELOPES[envelope](members_if_whole(value))
    return Unwrapped(value) if found is None else found
