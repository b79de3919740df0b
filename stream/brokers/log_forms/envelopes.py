"""What other programs wrap around a record: CloudEvents, Debezium's change events, and Connect's JSON with a schema.

Law: of what is wrapped the record's bytes pass through untouched; what the envelope tells of its key and time is used where the
line tells none. An envelope is only looked for around a record, and only in files whose first line has one.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from ..log_lines import InvalidLog
from .bare import fields_of

__all__ = ["ENVELOPES", "Unwrapped", "envelope_of", "members_if_whole"]

_decode = msgspec.json.decode
_Members = Mapping[str, msgspec.Raw]
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Unwrapped(NamedTuple):
    """What stood in an envelope; `value` None: nothing, for it tells that a row was deleted."""

    value: bytes | None
    key: bytes | None = None
    at_ms: int | None = None


def members_if_whole(raw: bytes) -> _Members:
    """An object's members, whose values are as they stand there; none where it is no object of whole JSON."""
    try:
        return _decode_members(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _text_or_object(raw: bytes) -> bytes:
    """A record that stands there as an object, or as text of one."""
    text = _decode(raw)
    return text.encode() if isinstance(text, str) else bytes(raw)


def _cloudevents(members: _Members) -> Unwrapped | None:
    if not {"specversion", "type", "source"} <= members.keys() or not {"data", "data_base64"} & members.keys():
        return None
    key = _decode(members["partitionkey"]) if "partitionkey" in members else None
    at_ms = None
    if "time" in members:
        text = _decode(members["time"])
        try:
            at_ms = round(datetime.fromisoformat(text).timestamp() * 1000) if text is not None else None
        except (TypeError, ValueError):
            raise InvalidLog(f"not a record of a log: the time of this CloudEvent is {text!r}, not one of RFC 3339") from None
    try:
        value = _text_or_object(members["data"]) if "data" in members else base64.b64decode(_decode(members["data_base64"]))
    except (binascii.Error, TypeError, ValueError) as error:
        raise InvalidLog(f"not a record of a log: data_base64 is not base64 ({error})") from None
    return Unwrapped(value, key.encode() if isinstance(key, str) else None, at_ms)


def _debezium(members: _Members) -> Unwrapped | None:
    if not {"op", "after"} <= members.keys() or not {"before", "source"} & members.keys():
        return None
    at = _decode(members["ts_ms"]) if "ts_ms" in members else None
    value = None if bytes(members["after"]) == b"null" else _text_or_object(members["after"])
    return Unwrapped(value, None, at if type(at) is int else None)


def _connect(members: _Members) -> Unwrapped | None:
    if members.keys() != {"schema", "payload"}:
        return None
    inner = _text_or_object(members["payload"])
    return _debezium(members_if_whole(inner)) or Unwrapped(None if inner == b"null" else inner)


ENVELOPES: Final[Mapping[str, Callable[[_Members], Unwrapped | None]]] = {
    "CloudEvents": _cloudevents, "Debezium's change events": _debezium, "Connect's JSON with a schema": _connect,
}  # fmt: skip


def envelope_of(value: bytes) -> str | None:
    """The name of the envelope that stands around a record; None: there is none, or no record in it."""
    members = members_if_whole(value)
    for name, unwrap in ENVELOPES.items():
        found = unwrap(members)
        if found is not None and found.value is not None and fields_of(found.value).topic:
            return name
    return None
