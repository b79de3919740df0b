"""Log files: records of any topic as JSON Lines, to be replayed, recorded and read by people.

Law: every line is one record, whole or not there, and a value's bytes pass through untouched. A *value* of any content
is data, which the codec judges; a *line* that is no record has no place in any stream, so it is an error of the operator.
"""

import base64
import binascii
import gzip
import heapq
import os
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from io import BufferedReader
from typing import Annotated, Final, cast

import msgspec

from stream.contract.ports import Encoded
from stream.contract.records import INPUT_TOPICS, Record

__all__ = ["STDIN", "InvalidLog", "LogReader", "encode_line"]

STDIN: Final = "-"
LINE_BYTES_MAX: Final = 64 * 2**20  # six times the largest record a broker is likely to be set up for
_GZIP_MAGIC: Final = b"\x1f\x8b"
_KEPT: Final = 4_096  # parts of lines that come again and again

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class InvalidLog(ValueError):
    """The operator's fault: a file that is not a log of records, with the place and what is wrong there."""


class _Line(msgspec.Struct, gc=False):
    """A line; `value` stays the bytes that stood there, never parsed."""

    topic: str
    partition: _Natural
    offset: _Natural
    timestamp: _Milliseconds
    key: str | None = None
    value: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    value_base64: str | msgspec.UnsetType = msgspec.UNSET
    key_base64: str | msgspec.UnsetType = msgspec.UNSET


_decode_line = msgspec.json.Decoder(_Line).decode
_encode_text = msgspec.json.Encoder().encode


class LogReader:
    """The records of one or several log files, in arrival order.

    Lines of one file are given in the order they stand in; several files are merged by (timestamp, topic, partition, offset).

    Parameters
    ----------
    names
        Paths, or `-` for standard input. Gzip is known by its content, not by the name.
    topics
        Which may stand in them: those of inputs, unless others are named.

    Raises
    ------
    InvalidLog
        At once when a file cannot be opened; while iterating when a line is no record of these topics, or when the offsets
        of a topic's partition do not rise (the files overlap or are of different streams).
    """

    def __init__(self, names: Sequence[str], topics: Sequence[str] = INPUT_TOPICS) -> None:
        self._names, self._topics = names, topics
        self._raws: list[BufferedReader] = []
        try:
            for name in names:
                self._raws.append(_open(name))
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
        logs = [_records(name, raw, self._topics) for name, raw in zip(self._names, self._raws, strict=True)]
        return _rising(logs[0] if len(logs) == 1 else heapq.merge(*logs, key=_arrival))

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


def _open(name: str) -> BufferedReader:
    if name == STDIN:
        return cast(BufferedReader, sys.stdin.buffer)
    try:
        return open(name, "rb")
    except OSError as error:
        raise InvalidLog(f"{name}: cannot be opened ({error.strerror})") from None


def _records(name: str, raw: BufferedReader, topics: Sequence[str]) -> Iterator[Record]:
    number = 0
    try:
        for line in _lines(raw):
            number += 1
            if not line.isspace():
                yield _record(line, topics)
    except (InvalidLog, zlib.error, EOFError, OSError) as error:
        place = f"{name}, line {number}" if isinstance(error, InvalidLog) else f"{name}, after line {number}"
        raise InvalidLog(f"{place}: {error}") from None


def _lines(raw: BufferedReader) -> Iterator[bytes]:
    """Lines of bounded length of a file that may be gzipped."""
    packed = raw.peek(len(_GZIP_MAGIC)).startswith(_GZIP_MAGIC)
    file = gzip.GzipFile(fileobj=raw) if packed else raw
    while line := file.readline(LINE_BYTES_MAX):
        if len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
            raise InvalidLog(f"the line is longer than {LINE_BYTES_MAX // 2**20} MiB, so this is hardly a log")
        yield line


def _record(raw: bytes, topics: Sequence[str]) -> Record:
    try:
        line = _decode_line(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        line = _decode_around_value(raw, error)
    if line.topic not in topics:
        raise InvalidLog(f"the topic is {line.topic!r}, where it should be {' or '.join(topics)}")
    return Record(line.topic, line.partition, line.offset, line.timestamp, _line_key(line), _value(line))


def _decode_around_value(raw: bytes, error: Exception) -> _Line:
    """A line whose value is not quite JSON (NaN, lone surrogates, nested without end): data all the same, cut out unread."""
    head, found, tail = raw.rstrip().partition(b',"value":')
    if not found:
        head, found, tail = raw.rstrip().partition(b', "value": ')
    if not found or isinstance(error, msgspec.ValidationError) or not tail.endswith(b"}"):
        raise InvalidLog(f"not a record of a log: {error}") from None
    try:
        line = _decode_line(head + b"}")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise InvalidLog(f"not a record of a log: {error}") from None
    line.value = msgspec.Raw(tail[:-1])
    return line


def _line_key(line: _Line) -> bytes | None:
    if isinstance(line.key_base64, str):
        return _decode_base64("key_base64", line.key_base64)
    return None if line.key is None else line.key.encode()


def _value(line: _Line) -> bytes | None:
    if isinstance(line.value_base64, str):
        return _decode_base64("value_base64", line.value_base64)
    if isinstance(line.value, msgspec.UnsetType):
        raise InvalidLog("it has neither value nor value_base64")
    value = bytes(line.value)
    return None if value == b"null" else value


def _decode_base64(name: str, text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise InvalidLog(f"{name} is not base64 ({error})") from None


def _arrival(record: Record) -> tuple[int, str, int, int]:
    return record.timestamp, record.topic, record.partition, record.offset


def _rising(records: Iterable[Record]) -> Iterator[Record]:
    """The same records, as long as no offset comes a second time or falls: `cause` must name one record for ever."""
    latest: dict[tuple[str, int], int] = {}
    for record in records:
        place = (record.topic, record.partition)
        before = latest.get(place, -1)
        if record.offset <= before:
            raise InvalidLog(
                f"{record.topic}[{record.partition}]@{record.offset} comes after @{before}: offsets of a partition must rise, "
                "so these logs overlap or are of different streams"
            )
        latest[place] = record.offset
        yield record
