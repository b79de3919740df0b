"""What is wrong with records, line by line, before they are sent.

Law: of a recognition or a feedback it says what a worker would say, for it asks the same reader: the same reasons of dead
letters, and the same parts left out. It remembers no home: what depends on one (a duplicate, an unknown person) it cannot see.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple, get_args

import msgspec
from pydantic import ValidationError
from pydantic_core import from_json

from stream.brokers.log_files import InvalidLog, LogReader
from stream.brokers.log_lines import members_of
from stream.contract.codec import decode, fault_of_vector, invalid_of
from stream.contract.policy import Policy
from stream.contract.reading import read_parts
from stream.contract.records import INPUT_TOPICS, MODELS, Command, InvalidRecord, Recognition, Record, Unlisted

from .schemas import TOPICS

__all__ = ["Check", "Finding", "Tally"]

What = Literal["dead letter", "left out", "no record"]
_SENTENCES_MAX: Final = 4  # of one record
_NO_TIME: Final = -1
_OF_A_LOG: Final = b'{"topic":'
_split: Final = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_COMMANDS: Final = "drift-commands"


class Finding(NamedTuple):
    """What is wrong with one record, or with a line that holds none.

    `what`: a worker makes it a dead letter, or answers it with parts left out, or cannot have it at all. `reasons`: the worker's
    own words, or of a line that is no record `line`, `topic` or `offset`. `detail`: the same in a sentence.
    """

    line: int
    topic: str
    what: What
    reasons: tuple[str, ...]
    detail: str


@dataclass(slots=True)
class Tally:
    """How many there were."""

    lines: int = 0
    records: Counter[str] = field(default_factory=Counter)  # by topic
    wrong: Counter[str] = field(default_factory=Counter)  # records and lines, by What
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)  # by What and reason
    bare: int = 0  # records of which only the value was there
    unlisted: Counter[Unlisted] = field(default_factory=Counter)


class Check:
    """Goes through the lines of a file.

    Parameters
    ----------
    log
        The file, of lines that are each a record of a log, or a value alone.
    policy
        By which records are read.
    topic
        That of values alone; None: guessed from their fields, one by one.
    """

    def __init__(self, log: LogReader, policy: Policy, topic: str | None = None) -> None:
        self._log, self._policy, self._topic = log, policy, topic
        self._latest: dict[tuple[str, int], int] = {}  # offset
        self.tally = Tally()

    def findings(self) -> Iterator[Finding | None]:
        """What is wrong, in order; None after each line, so that somebody may look how far it is."""
        try:
            for number, line in self._log.lines():
                self.tally.lines += 1
                for finding in self._of_line(number, line):
                    self._count(finding)
                    yield finding
                yield None
        except InvalidLog as cut:
            finding = Finding(self.tally.lines + 1, "", "no record", ("line",), str(cut))
            self._count(finding)
            yield finding

    def _count(self, finding: Finding) -> None:
        self.tally.wrong[finding.what] += 1
        self.tally.reasons.update((finding.what, reason) for reason in finding.reasons)

    def _of_line(self, number: int, line: bytes) -> Iterator[Finding]:
        try:
            fields = _fields_of_value(line)
            if fields is not None:
                yield from self._of_value(number, line.strip(), fields)
                return
            for record in self._log.records_in(line):
                yield from self._of_record(number, record)
        except InvalidLog as error:
            yield Finding(number, "", "no record", ("line",), str(error))

    def _of_value(self, number: int, raw: bytes, fields: frozenset[str]) -> Iterator[Finding]:
        """A value alone has no key and no timestamp: it is taken to be sent as it should be."""
        topic = self._topic or _guess(fields)
        if topic is None:
            named = ", ".join(sorted(fields)[:5]) or "none"
            told = f"its fields ({named}) are those of no record; --topic tells which it is"
            yield Finding(number, "", "no record", ("topic",), told)
            return
        self.tally.bare += 1
        yield from self._judge(number, Record(topic, 0, number - 1, _NO_TIME, _household_of(raw), raw))

    def _of_record(self, number: int, record: Record) -> Iterator[Finding]:
        place = record.topic, record.partition
        before = self._latest.get(place, -1)
        self._latest[place] = max(before, record.offset)
        if record.offset <= before:
            told = f"{record.position} comes after @{before}: offsets of a partition must rise, so a replay would stop here"
            yield Finding(number, record.topic, "no record", ("offset",), told)
        yield from self._judge(number, record)

    def _judge(self, number: int, record: Record) -> Iterator[Finding]:
        """As whoever reads that topic would."""
        topic, tally = record.topic, self.tally
        tally.records[topic] += 1
        if not TOPICS[topic].comes_in:
            told = f"{topic} is written by kithkin and read by you; nothing of it is to be sent"
            yield Finding(number, topic, "no record", ("topic",), told)
            return
        try:
            if topic == _COMMANDS:
                _read_command(record)
                return
            event = decode(record, self._policy)
        except InvalidRecord as invalid:
            tally.unlisted.update(invalid.unlisted)
            yield Finding(number, topic, "dead letter", (invalid.reason,), invalid.detail)
            return
        tally.unlisted.update(event.unlisted)
        if event.left_out:
            yield Finding(number, topic, "left out", tuple(event.left_out), _why_left_out(record.value or b"", self._policy))


def _fields_of_value(line: bytes) -> frozenset[str] | None:
    """The names of its fields, if a line is the value of a record alone; None: it is something else."""
    raw = line.strip()
    if not raw.startswith(b"{") or not raw.endswith(b"}"):
        return None
    if raw.startswith(_OF_A_LOG):
        return None
    try:
        names = frozenset(_split(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        names = frozenset(members_of(raw))
    return names if names and "topic" not in names else None


def _fields_of(topic: str) -> frozenset[str]:
    """All fields that a topic's values may have."""
    model = MODELS[topic]
    kinds: list[Any] = [model] if isinstance(model, type) else list(get_args(get_args(model._type)[0]))
    return frozenset(name for kind in kinds for name in kind.model_fields)


_FIELDS: Final = {topic: _fields_of(topic) for topic in MODELS}


def _guess(fields: frozenset[str]) -> str | None:
    """The topic whose values have most of these fields, and fewest others; None: nothing but fields that many have."""
    topic = max(_FIELDS, key=lambda topic: (len(_FIELDS[topic] & fields), topic in INPUT_TOPICS, -len(_FIELDS[topic] - fields)))
    return topic if _FIELDS[topic] & (fields - {"v", "household_id"}) else None


def _household_of(raw: bytes) -> bytes:
    """As the models read it, which is less strict than JSON; empty: they cannot."""
    try:
        return str(from_json(raw)["household_id"]).encode()
    except (KeyError, ValueError):
        return b""


def _read_command(record: Record) -> None:
    """Raises InvalidRecord."""
    if record.value is None:
        raise InvalidRecord(record.position, "empty", "the record has no value")
    try:
        Command.model_validate_json(record.value)
    except ValidationError as error:
        raise invalid_of(record, error) from None


def _why_left_out(raw: bytes, policy: Policy) -> str:
    """A sentence for each part of a recognition that cannot be read."""
    sentences = list[str]()
    try:
        Recognition.model_validate_json(raw)
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_context=False, include_input=False):
            where = ".".join(str(part) for part in fault["loc"])
            sentences.append(f"{where}: {fault['msg'].removeprefix('Value error, ')}")
    value, _ = read_parts(raw)
    for modality in ("voice", "face"):
        part = getattr(value, modality)
        if part is not None and (fault_found := fault_of_vector(modality, part, policy)):
            sentences.append(fault_found[1])
    more = len(sentences) - _SENTENCES_MAX
    return "; ".join(sentences[:_SENTENCES_MAX]) + (f"; and {more} more" if more > 0 else "")
