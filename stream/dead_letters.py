"""Dead letters: records that could not be read, kept with their bytes and their place."""

import base64
from typing import Final

from .records import DeadLetter, Output, Record

__all__ = ["dead_letter"]

VALUE_BYTES_MAX: Final = 65_536


def dead_letter(record: Record, reason: str, detail: str) -> Output:
    """The `dead-letters` output of a record: the first 64 KiB of its value, and why."""
    value = DeadLetter.model_construct(
        v=1, topic=record.topic, partition=record.partition, offset=record.offset, timestamp=record.timestamp,
        key_base64=_base64(record.key), value_base64=_base64(record.value), value_bytes=len(record.value or b""),
        reason=reason, detail=detail,
    )  # fmt: skip
    return Output("dead-letters", record.key, value)


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw[:VALUE_BYTES_MAX]).decode()
