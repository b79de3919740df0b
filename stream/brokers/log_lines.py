"""Lines of a log: the records that stand in one, and what a line looks like that holds none.

Law: no record of a line is lost in silence. A *value* of any content is data, which the codec judges, and its bytes pass
through untouched; a *line* that is no record has no place in any stream, so it is an error of the operator, which says what it
looks like.

A line of whole JSON is decoded in one go. Of any other the members are cut out by their quotes and braces alone, so that a value
that is not quite JSON ends where it ends wherever it stands, and a second record on the line is seen.
"""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, Final

import msgspec

from stream.contract.records import Record

__all__ = ["LINE_SCHEMA", "NO_TIME", "InvalidLog", "members_of", "records_of"]

_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Milliseconds = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[{}\[\],:"]', re.DOTALL)
_BETWEEN: Final = re.compile(rb"[\s,]*")  # records on one line; of commas and ends of lines that others use nothing is lost
_BEGUN: Final = re.compile(rb'\{\s*"(?:topic|partition|offset|timestamp|key|value)"\s*:')
_BEGUN_MAX: Final = 8  # tried, of one line
_SHOWN: Final = 40  # bytes
_HEAD: Final = ("topic", "partition", "offset", "timestamp", "key", "key_base64", "value_base64", "ts")
NO_TIME: Final = -1  # as Kafka has it


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


_BASE64: Final = {"type": "string", "contentEncoding": "base64"}
LINE_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Line of a log",
    "description": "One record of a topic, with the place that its broker gave it. Other members are passed over.",
    "type": "object",
    "required": ["topic", "partition", "offset", "timestamp"],
    "anyOf": [{"required": ["value"]}, {"required": ["value_base64"]}],
    "properties": {
        "topic": {"type": "string", "description": "Of the contract, perhaps with a prefix. A replay reads the inputs' alone."},
        "partition": {"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        "offset": {
            "type": "integer", "minimum": 0, "maximum": 2**63 - 1,
            "description": "Rises from line to line of a topic's partition.",
        },
        "timestamp": {
            "type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1,
            "description": "When it came, ms since the Unix epoch, UTC; -1: nobody knows.",
        },
        "key": {"type": ["string", "null"], "description": "The household's id. Absent or null: the record has none."},
        "key_base64": {**_BASE64, "description": "Instead of key, where its bytes are no UTF-8."},
        "value": {"description": "The record: `kithkin schema TOPIC`. Its bytes stand here as they are; null: a tombstone."},
        "value_base64": {**_BASE64, "description": "Instead of value, where its bytes are no JSON."},
    },
}  # fmt: skip

_decode_line = msgspec.json.Decoder(_Line).decode
_decode = msgspec.json.Decoder().decode


def records_of(raw: bytes, topics: Mapping[str, str]) -> Iterator[Record]:
    """The records of a line, of which there is one unless lines were joined.

    Parameters
    ----------
    raw
        The line, not blank, with its end if it has one.
    topics
        Those that may stand there, by the name that they have there.

    Raises
    ------
    InvalidLog
        After the records before the fault were given.
    """
    try:
        line = _decode_line(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        yield from _records_closely(raw, topics)
    else:
        yield _record(line, topics)


def _records_closely(raw: bytes, topics: Mapping[str, str]) -> Iterator[Record]:
    """The records of a line that is not one whole JSON object, one after the other."""
    at, number = _after_separators(raw, 0), 1
    while at < len(raw):
        if raw[at : at + 1] != b"{":
            raise InvalidLog(f"not a record of a log: {_nth(number)}{_look(raw[at:])}")
        end = _end_of_object(raw, at)
        if not end or (not _is_json(raw[at:end]) and _find_beginning(raw, at, end, topics)):
            raise InvalidLog(f"not a record of a log: {_nth(number)}{_describe_torn(raw, at, end, topics)}")
        yield _record_closely(raw[at:end], topics)
        at, number = _after_separators(raw, end), number + 1


def _is_json(raw: bytes) -> bool:
    try:
        _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _nth(number: int) -> str:
    return f"after {number - 1} whole on this line, " if number > 1 else ""


def _after_separators(raw: bytes, at: int) -> int:
    found = _BETWEEN.match(raw, at)
    return found.end() if found else at


def _end_of_object(raw: bytes, at: int) -> int:
    """Where the object that begins there ends; 0: it does not."""
    depth = 0
    for token in _TOKEN.finditer(raw, at):
        match token.group():
            case b"{" | b"[":
                depth += 1
            case b"}" | b"]":
                depth -= 1
            case b'"':  # a string without an end
                return 0
        if not depth:
            return token.end()
    return 0


def members_of(raw: bytes) -> dict[str, bytes]:
    """An object's members as they stand there, values unread; nothing where it has none."""
    found: dict[str, bytes] = {}
    depth, begun, name = 0, 0, b""
    for token in _TOKEN.finditer(raw):
        sign = token.group()
        depth += (sign in (b"{", b"[")) - (sign in (b"}", b"]"))
        if depth == 1 and sign == b":" and not name:
            name, begun = raw[begun : token.start()].strip(), token.end()
        elif name and (depth == 0 or (depth == 1 and sign == b",")):
            key = _decode(name) if _is_json(name) else None
            if isinstance(key, str):
                found[key] = raw[begun : token.start()].strip()
            name, begun = b"", token.end()
        elif depth == 1 and sign in (b"{", b","):
            begun = token.end()
    return found


def _member(name: str, raw: bytes) -> Any:
    """A member of the head; a whole number is one however it is written."""
    if not _is_json(raw):
        raise InvalidLog(f"not a record of a log: its {name} is not JSON: {raw[:_SHOWN]!r}")
    found = _decode(raw)
    return int(found) if type(found) is float and found.is_integer() else found


def _record_closely(raw: bytes, topics: Mapping[str, str]) -> Record:
    """The record of an object that is not quite JSON, that writes its numbers otherwise, or that kcat wrote."""
    members = members_of(raw)
    if "topic" not in members:
        raise InvalidLog(f"not a record of a log: {_look(raw, members)}")
    head = {name: _member(name, members[name]) for name in _HEAD if name in members}
    value = members.get("value")
    if value is None and "payload" in members:
        head.setdefault("timestamp", head.get("ts", NO_TIME))
        value = _payload(members["payload"])
    try:
        line = msgspec.convert(head, _Line)
    except msgspec.ValidationError as error:
        raise InvalidLog(f"not a record of a log: {error}") from None
    if value is not None:
        line.value = msgspec.Raw(value)
    return _record(line, topics)


def _payload(raw: bytes) -> bytes:
    """The value that kcat -J wrote as text, or as JSON itself where it knew the form."""
    text = _decode(raw) if _is_json(raw) else None
    return text.encode() if isinstance(text, str) else raw


def _record(line: _Line, topics: Mapping[str, str]) -> Record:
    topic = topics.get(line.topic)
    if topic is None:
        raise InvalidLog(_foreign(line.topic, topics))
    return Record(topic, line.partition, line.offset, line.timestamp, _key(line), _value(line))


def _foreign(topic: str, topics: Mapping[str, str]) -> str:
    own = list(dict.fromkeys(topics.values()))
    behind = next((name for name in own if topic.endswith(name)), None)
    why = f"the topic is {topic!r}, where it should be {' or '.join(own)}"
    if behind is None:
        return why
    return f'{why}; with prefix = "{topic.removesuffix(behind)}" in the wiring (--wiring FILE) it is read'


def _key(line: _Line) -> bytes | None:
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
    except (binascii.Error, ValueError) as error:
        raise InvalidLog(f"{name} is not base64 ({error})") from None


# ---- what it looks like


def _describe_torn(raw: bytes, at: int, end: int, topics: Mapping[str, str]) -> str:
    """What is said of an object that does not end, or in which another record begins."""
    inside = _find_beginning(raw, at, end, topics)
    if inside:
        return (
            f"it is torn, and after its first {inside - at} bytes another record begins: whoever wrote it was stopped, and began "
            "anew on the same line; without those bytes the line can be read"
        )
    if not raw.endswith(b"\n"):
        return f"the file ends in the middle of a record, {len(raw) - at} bytes after it began: whoever wrote it was stopped"
    return "it does not end on this line: it is torn, or one record was written over several lines (then: jq -c . FILE)"


def _find_beginning(raw: bytes, at: int, end: int, topics: Mapping[str, str]) -> int:
    """Where a whole record begins within the object at `at`, which is no JSON; 0: nowhere."""
    for begun in islice(_BEGUN.finditer(raw, at + 1, end or len(raw)), _BEGUN_MAX):
        members = members_of(raw[begun.start() : _end_of_object(raw, begun.start())])
        topic = members.get("topic", b"")
        if {"partition", "offset"} <= members.keys() and _is_json(topic) and _decode(topic) in topics:
            return begun.start()
    return 0


def _look(raw: bytes, members: Mapping[str, bytes] | None = None) -> str:
    """What a line looks like that is no record."""
    if members is not None:
        if {"event_id", "feedback_id"} & members.keys():
            return (
                "it looks like the value alone, as kafka-console-consumer prints it; topic, partition, offset, timestamp and key "
                "belong to a line too: kcat -J prints them all"
            )
        return "Object missing required field `topic`" + (f"; it has {', '.join(list(members)[:5])}" if members else "")
    start = raw[:_SHOWN].strip()
    for begins, what in _LOOKS:
        if start.startswith(begins):
            return what
    if b"\0" in raw:
        return f"it has NUL bytes, as UTF-16 has, or a file after a loss of power: {start!r}"
    return f"malformed: it begins with {start!r}, where it should with a brace"


_LOOKS: Final = (
    (b"[", "expected `object`, got `array`; it looks like one list of all (then: jq -c '.[]' FILE)"),
    (b"\0", "it is of NUL bytes, as a file system leaves them after a loss of power; without those the log can be read"),
    (b"<", "malformed: it looks like XML or HTML"),
    (b'"', "malformed: it looks like CSV, or JSON within a string"),
    (b"topic,", "malformed: it looks like CSV"),
    (b"#", "malformed: it looks like a comment"),
)
