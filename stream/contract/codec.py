"""Bytes <-> records: what comes in is read here, what goes out is written here. States are in `stream/home/state/at_rest.py`.

Law: `decode` raises InvalidRecord and nothing else, whatever the bytes, and changes nothing. What it lets through, `step`
can handle.
"""

from typing import Any, Final

from pydantic import ValidationError

from .policy import Policy
from .ports import Encoded
from .reading import read_recognition
from .records import FEEDBACK, Erase, Event, Feedback, InvalidRecord, Output, Position, Recognition, Record, Voice
from .units import DAY_MS, HOUR_MS

__all__ = ["VALUE_BYTES_MAX", "decode", "encode_output"]

VALUE_BYTES_MAX: Final = 131_072  # the largest record that the contract allows has about 20 KB
DETAIL_MAX: Final = 500


def decode(record: Record, policy: Policy) -> Event:
    """The event in a record of `recognitions` or `feedback`.

    Raises
    ------
    InvalidRecord
        With a reason of a closed set (`empty`, `too_large`, `json`, `version`, `field`, `key`, `encoder`, `embedding`,
        `future`) and a sentence that says what is wrong.
    """
    raw = record.value
    if raw is None:
        raise InvalidRecord(record.position, "empty", "the record has no value (a tombstone has no meaning here)")
    if len(raw) > VALUE_BYTES_MAX:
        raise InvalidRecord(record.position, "too_large", f"{len(raw)} bytes; at most {VALUE_BYTES_MAX} are read")
    sensed = read_recognition(raw, policy.vector_lengths) if record.topic == "recognitions" else None
    value: Any = sensed or _validate(record, raw)
    if record.key != value.household_id.encode():
        key = "no key" if record.key is None else repr(record.key[:80])
        raise InvalidRecord(record.position, "key", f"the record's key is {key}, its household_id {value.household_id!r}")
    ahead = value.at - record.timestamp
    if ahead > policy.limits.ahead_hours * HOUR_MS and not isinstance(value, Erase):
        raise InvalidRecord(record.position, "future", f"its time is {ahead / DAY_MS:.1f} days after the record's own timestamp")
    if sensed is None and isinstance(value, Recognition):
        for modality, part in (("voice", value.voice), ("face", value.face)):
            if part is not None:
                _check_vector(record.position, modality, part, policy)
    return Event(record, value)


def _validate(record: Record, raw: bytes) -> Recognition | Feedback:
    """What the model makes of a record; it alone says what is wrong with one."""
    try:
        return Recognition.model_validate_json(raw) if record.topic == "recognitions" else FEEDBACK.validate_json(raw)
    except ValidationError as error:
        raise _invalid(record, error) from None


def _check_vector(position: Position, modality: str, part: Voice, policy: Policy) -> None:
    """Refuse a vector of no encoder that the policy lists, or of another length."""
    encoder = policy.encoders.get(part.encoder)
    if encoder is None or encoder.modality != modality:
        known = ", ".join(name for name, e in policy.encoders.items() if e.modality == modality) or "none"
        detail = f"{modality} vectors of {part.encoder!r} are of no encoder that the policy lists; known: {known}"
        raise InvalidRecord(position, "encoder", detail)
    if len(part.embedding) != encoder.length:
        detail = f"{part.encoder!r} gives {encoder.length} numbers, this vector has {len(part.embedding)}"
        raise InvalidRecord(position, "embedding", detail)


def _invalid(record: Record, error: ValidationError) -> InvalidRecord:
    """pydantic's findings as one reason and one sentence."""
    first = error.errors(include_url=False, include_context=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] == "json_invalid":
        return InvalidRecord(record.position, "json", f"not JSON: {message}"[:DETAIL_MAX])
    reason = "version" if where.split(".")[-1] == "v" else "embedding" if where.endswith("embedding") else "field"
    more = error.error_count() - 1
    rest = f" (and {more} more)" if more else ""
    return InvalidRecord(record.position, reason, f"{where or 'the record'}: {message}{rest}"[:DETAIL_MAX])


def encode_output(output: Output, partition: int, timestamp: int) -> Encoded:
    """Canonical JSON bytes of an output; None stays a tombstone."""
    key = output.key.encode() if isinstance(output.key, str) else output.key
    value = None if output.value is None else output.value.__pydantic_serializer__.to_json(output.value)
    return Encoded(output.topic, partition, timestamp, key, value)
