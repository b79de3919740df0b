"""Bytes <-> records: what comes in is read here, what goes out is written here. States are in `stream/home/state/at_rest.py`.

Law: `decode` raises InvalidRecord and nothing else, whatever the bytes, and changes nothing. What it lets through, `step`
can handle.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from .fields.embedding import looks_like_float32
from .fields.scalars import OBSERVED_AT_MS_MIN
from .policy import Policy
from .ports import Encoded
from .reading import read_parts, read_recognitions
from .records import FEEDBACK, Consent, Erase, Event, InvalidRecord, Output, Proof, Record, Sighting, Unlisted, Voice
from .rights.signature import fault_of_signature
from .units import DAY_MS, HOUR_MS

__all__ = [
    "VALUE_BYTES_MAX", "decode", "decode_batch", "encode_output", "fault_of_vector", "household_of",
    "household_of_key", "invalid_of",
]  # fmt: skip

VALUE_BYTES_MAX: Final = 131_072  # the largest record that the contract allows has about 20 KB
DETAIL_MAX: Final = 500
_SAID: Final[dict[str, TypeAdapter[Any]]] = {
    "feedback": FEEDBACK, "consents": TypeAdapter(Consent), "proofs": TypeAdapter(Proof), "sightings": TypeAdapter(Sighting),
}  # fmt: skip


def decode(record: Record, policy: Policy) -> Event:
    """As `decode_batch`, of one record.

    Raises
    ------
    InvalidRecord
        Something makes its identity or order unclear, or nothing that can be read is left to recognise by: with a reason of a
        closed set (`empty`, `too_large`, `json`, `version`, `field`, `key`, `encoder`, `embedding`,
        `future`, `proof`) and a sentence that says what is wrong.
    """
    (event,) = decode_batch([record], policy)
    if isinstance(event, InvalidRecord):
        raise event
    return event


def decode_batch(records: Sequence[Record], policy: Policy) -> list[Event | InvalidRecord]:
    """The events in records of the input topics, or why one has none.

    Parts of an event that cannot be read are left out, and named in it.
    """
    values = read_recognitions([_quickly_read(record) for record in records], policy.vector_lengths)
    events: list[Event | InvalidRecord] = []
    for record, value in zip(records, values, strict=True):
        try:
            events.append(_event(record, value, policy))
        except InvalidRecord as invalid:
            events.append(invalid)
    return events


def _quickly_read(record: Record) -> bytes | None:
    """What may be a recognition without anything odd."""
    raw = record.value
    return raw if raw is not None and record.topic == "recognitions" and len(raw) <= VALUE_BYTES_MAX else None


def _event(record: Record, value: Any, policy: Policy) -> Event:
    """`value`: what was quickly read of it. Raises InvalidRecord."""
    left_out: tuple[str, ...] = ()
    unlisted: tuple[Unlisted, ...] = ()
    if value is None:
        value, left_out, unlisted = _read_closely(record, policy)
    if record.key != value.household_id.encode():
        key = "no key" if record.key is None else repr(record.key[:80])
        raise InvalidRecord(record.position, "key", f"the record's key is {key}, its household_id {value.household_id!r}")
    ahead = value.at - record.timestamp
    timed = record.timestamp >= OBSERVED_AT_MS_MIN  # else it has no timestamp (-1), or none in milliseconds
    if timed and ahead > policy.limits.ahead_hours * HOUR_MS and not isinstance(value, Erase):
        raise InvalidRecord(record.position, "future", f"its time is {ahead / DAY_MS:.1f} days after the record's own timestamp")
    if isinstance(value, Proof) and (fault := fault_of_signature(from_json(record.value or b""), value.at, policy.proofs.keys)):
        raise InvalidRecord(record.position, "proof", fault)
    return Event(record, value, left_out, unlisted)


def household_of_key(key: bytes | None) -> str:
    """The household that a record's key names: it alone, or with a person of it; empty: none.

    >>> household_of_key(b"h-1/anna"), household_of_key(None)
    ('h-1', '')
    """
    return (key or b"").decode(errors="replace").partition("/")[0]


def household_of(record: Record) -> str:
    """Whose a record is that cannot be read: the household that its key and its value both name; empty: nobody's.

    >>> household_of(Record("recognitions", 0, 7, 0, b"h-1", b'{"v": 2, "household_id": "h-1"}'))
    'h-1'
    >>> household_of(Record("recognitions", 0, 8, 0, b"sensor-3", b'{"temperature": 21.5}'))
    ''
    """
    try:
        named = msgspec.json.decode(record.value or b"", type=_Named)
    except (msgspec.DecodeError, UnicodeDecodeError):  # the second: of a text that is none
        return ""
    return named.household_id if record.key == named.household_id.encode() else ""


class _Named(msgspec.Struct):
    """Of any version of a record, whose it is."""

    household_id: str


def _read_closely(record: Record, policy: Policy) -> tuple[Any, tuple[str, ...], tuple[Unlisted, ...]]:
    """What the models make of a record, what of it was left out, and vectors of unlisted encoders among that.

    The models alone say what is wrong with a record.
    """
    raw = record.value
    if raw is None:
        raise InvalidRecord(record.position, "empty", "the record has no value (a tombstone has no meaning here)")
    if len(raw) > VALUE_BYTES_MAX:
        raise InvalidRecord(record.position, "too_large", f"{len(raw)} bytes; at most {VALUE_BYTES_MAX} are read")
    try:
        if record.topic != "recognitions":
            return _SAID[record.topic].validate_json(raw), (), ()
        value, left_out = read_parts(raw)
    except ValidationError as error:
        raise invalid_of(record, error) from None
    faults: list[tuple[str, str]] = []
    unlisted: list[Unlisted] = []
    for modality in ("voice", "face"):
        part = getattr(value, modality)
        if part is not None and (fault := fault_of_vector(modality, part, policy)):
            faults.append(fault)
            if fault[0] == "encoder":
                unlisted.append(Unlisted(modality, part.encoder, len(part.embedding)))
            setattr(value, modality, None)
    if faults and value.is_empty:
        invalid = InvalidRecord(record.position, *faults[0])
        invalid.unlisted = tuple(unlisted)
        raise invalid
    return value, (*left_out, *(reason for reason, _ in faults)), tuple(unlisted)


def fault_of_vector(modality: str, part: Voice, policy: Policy) -> tuple[str, str] | None:
    """Reason and sentence why a vector says nothing: of no encoder that the policy lists, or of another length."""
    encoder = policy.encoders.get(part.encoder)
    if encoder is None or encoder.modality != modality:
        known = ", ".join(name for name, e in policy.encoders.items() if e.modality == modality) or "none"
        return "encoder", f"{modality} vectors of {part.encoder!r} are of no encoder that the policy lists; known: {known}"
    if len(part.embedding) == encoder.length:
        return None
    hint = ""
    if len(part.embedding) == 2 * encoder.length and looks_like_float32(_bytes(part.embedding)):
        hint = "; its bytes look like float32, where float16 is asked for"
    return "embedding", f"{part.encoder!r} gives {encoder.length} numbers, this vector has {len(part.embedding)}{hint}"


def _bytes(vector: Any) -> bytes:
    """A vector as it stood on the wire."""
    raw: bytes = vector.astype("<f2").tobytes()
    return raw


def invalid_of(record: Record, error: ValidationError) -> InvalidRecord:
    """pydantic's findings as one reason and one sentence."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return InvalidRecord(record.position, "json", f"not JSON: {message}"[:DETAIL_MAX])
    reason = "version" if where.split(".")[-1] == "v" else "embedding" if where.endswith("embedding") else "field"
    if not where and (record.value or b"").lstrip().startswith(b'"'):
        message += "; it is a text, as tools write that wrap JSON in a string"
    more = error.error_count() - 1
    rest = f" (and {more} more)" if more else ""
    return InvalidRecord(record.position, reason, f"{where or 'the record'}: {message}{rest}"[:DETAIL_MAX])


def encode_output(output: Output, partition: int, timestamp: int) -> Encoded:
    """Canonical JSON bytes of an output; None stays a tombstone."""
    key = output.key.encode() if isinstance(output.key, str) else output.key
    value = None if output.value is None else output.value.__pydantic_serializer__.to_json(output.value)
    return Encoded(output.topic, partition, timestamp, key, value)
