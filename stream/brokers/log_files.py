"""Log files: records of any topic as JSON Lines, to be replayed, recorded and read by people.

Law: every line is one record, whole or not there (`log_lines`), and lines of one file are given in the order they stand in.
Several files are merged by time, but never against the offsets of a partition: parts of one log are one log, in whatever order
they are named. What was whole before a fault is given before the fault is told.
"""

import base64
import heapq
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from io import BufferedReader
from typing import Any, Final, cast

import msgspec

from stream.contract.ports import Encoded
from stream.contract.records import INPUT_TOPICS, MODELS, Record

from .digests import DigestedFile, FileDigest
from .log_forms.bare import COUNTED
from .log_forms.forms import Form, form_of
from .log_forms.packings import DAMAGED, unpack
from .log_lines import InvalidLog, records_of

__all__ = ["STDIN", "InvalidLog", "LogReader", "encode_line", "encode_record"]

STDIN: Final = "-"
LINE_BYTES_MAX: Final = 64 * 2**20  # six times the largest record a broker is likely to be set up for
_KEPT: Final = 4_096  # parts of lines that come again and again
BLANK_LINES_MAX: Final = 1_000_000  # beyond ten a record: a small packed file may hold very many
_BLANK_A_RECORD: Final = 10
_BUFFER: Final = 2**16
_encode_text = msgspec.json.Encoder().encode
_decode_whole = msgspec.json.Decoder().decode
_Place = tuple[str, int]  # topic and partition


class LogReader:
    """The records of one or several log files, in arrival order.

    Lines of one file are given in the order they stand in. Several are merged by (timestamp, topic, partition, offset); where one
    has only lower offsets of a partition than another, as parts of one log have, it comes first there whatever the timestamps.

    Parameters
    ----------
    names
        Paths, or `-` for standard input. Forms and packings are known by their content (docs/logs.md); so is a byte order mark.
    topics
        Which are read: those of inputs, unless others are named. Other topics of the contract are passed over.
    prefix
        May stand before a topic's name. None: whatever does, before every one the same.
    say
        Given a sentence, once a file, of what was guessed of its form, and of what is passed over.
    digested
        Whether `digests` will be asked for.

    Raises
    ------
    InvalidLog
        At once when a file cannot be opened or is of another kind; while iterating, after all that was whole before, when a line
        is no record of these topics, when a file ends in the middle, or when the offsets of a topic's partition do not rise.
    """

    def __init__(
        self,
        names: Sequence[str],
        topics: Sequence[str] = INPUT_TOPICS,
        prefix: str | None = "",
        say: Callable[[str], object] = lambda _: None,
        digested: bool = False,
    ) -> None:
        self._names, self._topics = names, _Topics(topics, prefix)
        self._raws: list[BufferedReader] = []
        self._digested = digested
        self._logs: list[_Log] = []
        try:
            for name in names:
                self._raws.append(BufferedReader(DigestedFile(_open(name, 0)), _BUFFER) if digested else _open(name))
                self._logs.append(_Log(name, self._raws[-1], self._topics, say))
        except InvalidLog:
            self.close()
            raise
        sizes = [os.fstat(raw.fileno()).st_size for raw in self._raws]
        self.bytes_total = None if STDIN in names else sum(sizes)

    @property
    def bytes_read(self) -> int:
        """Bytes of the files, as they lie on disk, that were read so far. 0 of standard input, which has no place."""
        return sum(raw.tell() for raw in self._raws if raw.seekable())

    def __iter__(self) -> Iterator[Record]:
        logs = self._logs
        if len(logs) == 1:
            return _refuse_repeats((logs[0], record) for record in logs[0].records())
        spans = [{} if name == STDIN else _spans_of(name, self._topics) for name in self._names]
        return _refuse_repeats(_merge(logs, spans))

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Number, from 1, and bytes of each line that is not blank, whatever stands in it, log after log.

        Raises
        ------
        InvalidLog
            After all that was whole before: a file ends in the middle, or a line is too long.
        """
        for log in self._logs:
            yield from ((log.number, line) for line in log.lines())

    def records_in(self, line: bytes) -> Iterator[Record]:
        """The records of a line; raises InvalidLog, without a place, after those before the fault."""
        return records_of(line, self._topics)

    def digests(self) -> list[FileDigest]:
        """Of each file in the order they are named; made while records were read, so that only what is left is read now."""
        assert self._digested, "it was not told to"
        return [cast(DigestedFile, raw.raw).digest() for raw in self._raws]

    def close(self) -> None:
        """Close the files."""
        for name, raw in zip(self._names, self._raws, strict=False):  # fewer were opened than named if one cannot be
            if name != STDIN:
                raw.close()


def encode_line(output: Encoded, offset: int) -> bytes:
    r"""One line, with its newline, of an output that stands at this offset of its partition.

    The value must be what the codec gives: JSON without line breaks. It is embedded as it is.

    >>> encode_line(Encoded("labels", 2, 1763690000123, b"h-042", b'{"v":1}'), 7)
    b'{"topic":"labels","partition":2,"offset":7,"timestamp":1763690000123,"key":"h-042","value":{"v":1}}\n'
    """
    topic, partition, timestamp, key, value = output
    head = _head(topic, partition)
    return b'%b%d,"timestamp":%d,%b,"value":%b}\n' % (head, offset, timestamp, _key(key), b"null" if value is None else value)


def _list_names(names: Iterable[str], word: str) -> str:
    """Several names as people write them: "a, b and c"."""
    *others, last = sorted(names)
    return f"{', '.join(others)} {word} {last}" if others else last


def encode_record(record: Record) -> bytes:
    r"""One line, with its newline, of any record: what is read back of it is that record, to the byte.

    >>> encode_record(Record("feedback", 2, 7, 1763690000123, None, b"torn {"))
    b'{"topic":"feedback","partition":2,"offset":7,"timestamp":1763690000123,"key":null,"value_base64":"dG9ybiB7"}\n'
    """
    topic, partition, value = record.topic, record.partition, record.value
    if value is None or _stands_as_it_is(value):
        return encode_line(Encoded(topic, partition, record.timestamp, record.key, value), record.offset)
    head = _head(topic, partition)
    packed = base64.b64encode(value)
    return b'%b%d,"timestamp":%d,%b,"value_base64":"%b"}\n' % (head, record.offset, record.timestamp, _key(record.key), packed)


def _stands_as_it_is(value: bytes) -> bool:
    """Whether a value is one of whole JSON on one line. A `null` would be read as a tombstone, and space around it be lost."""
    try:
        _decode_whole(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return value != b"null" and value.strip() == value and b"\n" not in value and b"\r" not in value


@lru_cache(maxsize=_KEPT)
def _head(topic: str, partition: int) -> bytes:
    """A line's beginning, up to its offset."""
    return b'{"topic":"%b","partition":%d,"offset":' % (topic.encode(), partition)


@lru_cache(maxsize=_KEPT)
def _key(key: bytes | None) -> bytes:
    """The key's member of a line. Only a dead letter's key can be other bytes than UTF-8, which no JSON string can hold."""
    if key is None:
        return b'"key":null'
    try:
        return b'"key":%b' % _encode_text(key.decode())
    except UnicodeDecodeError:
        return b'"key_base64":"%b"' % base64.b64encode(key)


def _open(name: str, buffering: int = -1) -> BufferedReader:
    if name == STDIN:
        return cast(BufferedReader, sys.stdin.buffer)
    try:
        return cast(BufferedReader, open(name, "rb", buffering))
    except OSError as error:
        raise InvalidLog(f"{name}: cannot be opened ({error.strerror})") from None


class _Topics(dict[str, str]):
    """Topics that are read by the names that they have in a log; `get` knows the contract's others too."""

    def __init__(self, topics: Sequence[str], prefix: str | None) -> None:
        super().__init__({name: name for name in topics} | {f"{prefix or ''}{name}": name for name in topics})
        others = [name for name in MODELS if name not in topics]
        self.wanted = frozenset(topics)
        self._others = {name: name for name in others} | {f"{prefix or ''}{name}": name for name in others}
        self._found_out = prefix is None

    def get(self, name: str, default: Any = None) -> Any:
        """The topic of that name; the first with a prefix tells it, where it is to be found out."""
        found = super().get(name) or self._others.get(name, default)
        own = next((own for own in self.values() if name.endswith(own)), None) if found is None and self._found_out else None
        if own is not None:
            self._found_out = False
            before = name.removesuffix(own)
            self.update({f"{before}{topic}": topic for topic in set(self.values())})
            self._others |= {f"{before}{topic}": topic for topic in set(self._others.values())}
            found = own
        return found


class _Log:
    """One file: its records, and the line that it is at."""

    def __init__(self, name: str, raw: BufferedReader, topics: _Topics, say: Callable[[str], object]) -> None:
        self.name, self.number = name, 0
        self._topics, self._say = topics, say
        self._form: Form | None = None
        self._passed_over: dict[str, None] = {}  # topics, each once, in order
        try:
            self._file = unpack(name, raw)
        except DAMAGED as error:
            raise InvalidLog(f"{name}: {error}") from None

    @property
    def place(self) -> str:
        return f"{self.name}, line {self.number}"

    def records(self) -> Iterator[Record]:
        given = False
        for line in self.lines():
            try:
                for record in self._records(line):
                    given = True
                    yield record
            except InvalidLog as error:
                raise InvalidLog(f"{self.place}: {error}") from None
        if self._passed_over and not given:
            has, wanted = ", ".join(self._passed_over), _list_names(self._topics.wanted, "or")
            raise InvalidLog(f"{self.name}: it has only {has}, where it should have {wanted}")

    def lines(self) -> Iterator[bytes]:
        """Those that are not blank, whatever stands in them."""
        blank = given = 0
        try:
            while line := self._file.readline(LINE_BYTES_MAX):
                self.number += 1
                if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                    raise InvalidLog(_too_long(line))
                if line.isspace():
                    blank += 1
                    if blank > BLANK_LINES_MAX + _BLANK_A_RECORD * given:
                        raise InvalidLog(f"{blank:,} of the lines so far are blank, so this is hardly a log")
                    continue
                given += 1
                yield line
        except InvalidLog as error:
            raise InvalidLog(f"{self.place}: {error}") from None
        except DAMAGED as error:
            why = f"the file is cut or damaged there ({error}); the whole lines before were read"
            raise InvalidLog(f"{self.name}, after line {self.number}: {why}") from None

    def _records(self, line: bytes) -> Iterator[Record]:
        """Of a line those that are read."""
        if self._form is None:
            self._form = form_of(line, self.name, self._topics)
            if self._form.said:
                self._say(f"{self.name}: {self._form.said}.")
        for record in self._form.records(line):
            if record.topic in self._topics.wanted:
                yield record
            elif record.topic not in self._passed_over:
                if not self._passed_over:
                    wanted = _list_names(self._topics.wanted, "and")
                    self._say(f"{self.name}: {wanted} are read, and other topics, such as {record.topic}, are passed over.")
                self._passed_over[record.topic] = None


def _too_long(line: bytes) -> str:
    why = f"the line is longer than {LINE_BYTES_MAX // 2**20} MiB, so this is hardly a log"
    return f"{why}; it has ends of lines of CR alone (then: tr '\\r' '\\n')" if b"\r" in line else why


# ---- several logs


def _spans_of(name: str, topics: _Topics) -> dict[_Place, tuple[int, int]]:
    """The first and the last offset of each partition in a file, as far as it can be read."""
    spans: dict[_Place, tuple[int, int]] = {}
    raw = _open(name)
    try:
        for record in _Log(name, raw, topics, lambda _: None).records():
            place = record.topic, record.partition
            if record.offset == COUNTED:
                continue
            first, last = spans.get(place, (record.offset, record.offset))
            spans[place] = min(first, record.offset), max(last, record.offset)
    except InvalidLog:
        pass  # it is told when the log is given
    finally:
        raw.close()
    return spans


def _merge(logs: Sequence[_Log], spans: Sequence[dict[_Place, tuple[int, int]]]) -> Iterator[tuple[_Log, Record]]:
    """The records of several logs by arrival, each of a partition after those of logs that have only lower offsets of it."""

    def before_it(place: _Place, first: int) -> list[int]:
        return [j for j, other in enumerate(spans) if place in other and other[place][1] < first]

    before = [{place: before_it(place, first) for place, (first, _) in own.items()} for own in spans]
    given: list[dict[_Place, int]] = [{} for _ in logs]
    sources = [log.records() for log in logs]
    heads: dict[int, Record] = {}
    heap: list[tuple[tuple[int, str, int, int], int]] = []

    def advance(i: int) -> None:
        heads.pop(i, None)
        for record in sources[i]:
            heads[i] = record
            heapq.heappush(heap, (_arrival(record), i))
            return

    def next_in_turn(i: int) -> int:
        """Follow what a log waits for; a circle has no right order, so that it is left as it is."""
        met = {i}
        while True:
            place = heads[i].topic, heads[i].partition
            waited_for = (j for j in before[i].get(place, ()) if j in heads and given[j].get(place, -1) < spans[j][place][1])
            found = next(waited_for, None)
            if found is None or found in met:
                return i
            met.add(found)
            i = found

    for i in range(len(logs)):
        advance(i)
    while heap:
        key, least = heap[0]
        if least not in heads or _arrival(heads[least]) != key:
            heapq.heappop(heap)  # it was given before its turn
            continue
        i = next_in_turn(least)
        record = heads[i]
        given[i][record.topic, record.partition] = record.offset
        yield logs[i], record
        advance(i)


def _arrival(record: Record) -> tuple[int, str, int, int]:
    return record.timestamp, record.topic, record.partition, record.offset


def _refuse_repeats(records: Iterable[tuple[_Log, Record]]) -> Iterator[Record]:
    """The same records, as long as no offset comes a second time or falls: `cause` must name one record for ever.

    Offsets that a form does not carry are counted here, from 0 or after the record before.
    """
    latest: dict[_Place, tuple[int, _Log, int]] = {}
    for log, record in records:
        place = record.topic, record.partition
        before = latest.get(place)
        if record.offset == COUNTED:
            record = replace(record, offset=before[0] + 1 if before else 0)
        if before is not None and record.offset <= before[0]:
            raise InvalidLog(_not_rising(log, record, before))
        latest[place] = record.offset, log, log.number
        yield record


def _not_rising(log: _Log, record: Record, before: tuple[int, _Log, int]) -> str:
    offset, other, number = before
    comes = f"{record.topic}[{record.partition}]@{record.offset} comes after @{offset} of {other.name}, line {number}"
    if record.offset == offset or log is not other:
        return f"{log.place}: {comes}: offsets of a partition must rise, so these logs overlap or are of different streams"
    return (
        f"{log.place}: {comes}: offsets of a partition must rise, so something else sorted this log (time, perhaps), or it is of "
        f"two streams. Sorted: make a file of each topic by jq -cs 'map(select(.topic == \"{record.topic}\")) | "
        "sort_by(.partition, .offset)[]', and give them together; they are merged by time"
    )
