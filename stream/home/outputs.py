"""Outputs: fields of a record of the contract, as bytes or as its model.

Law: both are made of the same fields, in the contract's order.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from pydantic import BaseModel

from stream.contract.ports import Encoded
from stream.contract.records import (
    Cause,
    DeadLetter,
    Decay,
    EncoderProfile,
    Health,
    Identity,
    Label,
    Output,
    Presence,
    Profile,
    Prototype,
    Record,
    Signal,
    construct,
)

__all__ = ["CauseFields", "Emit", "Fields", "dead_letter_fields", "encode", "encode_output", "output", "round_out"]

VALUE_BYTES_MAX: Final = 65_536  # of a dead letter's value
DECIMALS: Final = 6  # of what leaves: so that bytes agree between processors

Fields = dict[str, Any]
Emit = Callable[[str, str | bytes | None, Any, Record], Any]
_new: Final = tuple.__new__  # a NamedTuple of what is known to be right, in half the time
encode: Final = msgspec.json.Encoder().encode


class CauseFields(msgspec.Struct, gc=False):
    """As in the contract."""

    topic: str
    partition: int
    offset: int


def round_out(x: float) -> float:
    """As it leaves."""
    return round(float(x), DECIMALS) + 0.0  # no -0.0


def dead_letter_fields(record: Record, reason: str, detail: str) -> Fields:
    """Of a record that could not be used: the first 64 KiB of its value, and why."""
    return {
        "v": 1, "topic": record.topic, "partition": record.partition, "offset": record.offset, "timestamp": record.timestamp,
        "key_base64": _base64(record.key), "value_base64": _base64(record.value), "value_bytes": len(record.value or b""),
        "reason": reason, "detail": detail,
    }  # fmt: skip


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else b64encode(raw[:VALUE_BYTES_MAX]).decode()


def encode_output(topic: str, key: str | bytes | None, fields: Any, record: Record) -> Encoded:
    """Canonical JSON bytes of what a record leads to, of a tombstone none; partition and time are those of the record."""
    value = fields if fields is None or type(fields) is bytes else encode(fields)
    return _new(Encoded, (topic, record.partition, record.timestamp, key.encode() if isinstance(key, str) else key, value))


def output(topic: str, key: str | bytes | None, fields: Any, record: Record) -> Output:
    """The same as a model."""
    return Output(topic, key, None if fields is None else _MODELS[topic](_builtins(fields)))


def _builtins(fields: Any) -> Fields:
    made_of: Fields = msgspec.json.decode(fields) if type(fields) is bytes else msgspec.to_builtins(fields)
    return made_of


def _with_cause(model: type[BaseModel]) -> Any:
    return lambda fields: construct(model, fields | {"cause": construct(Cause, fields["cause"])})


def _profile_model(fields: Fields) -> Profile:
    encoders = {
        name: construct(EncoderProfile, own | {"prototypes": [construct(Prototype, one) for one in own["prototypes"]]})
        for name, own in fields["encoders"].items()
    }
    health, cause = construct(Health, fields["health"]), construct(Cause, fields["cause"])
    return construct(Profile, fields | {"encoders": encoders, "health": health, "cause": cause})


def _presence_model(fields: Fields) -> Presence:
    return construct(Presence, fields | {"decay": construct(Decay, fields["decay"]), "cause": construct(Cause, fields["cause"])})


_MODELS: Final[Mapping[str, Any]] = {
    "identities": _with_cause(Identity), "labels": _with_cause(Label), "drift-signals": _with_cause(Signal),
    "profiles": _profile_model, "presence": _presence_model, "dead-letters": lambda fields: construct(DeadLetter, fields),
}  # fmt: skip
