"""What a replay and its jobs say to each other, as bytes.

Law: whoever wrote a message, the other side reads the same. A message is its length in eight bytes, then MessagePack.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.home.step import step_batch
from stream.runtime.worker.applying import Residency
from stream.runtime.worker.batch import Settled, StepFunction

__all__ = [
    "HEAD_BYTES", "Answer", "Applied", "AppliedPart", "Apply", "Clear", "Loaded", "Missing", "PartOfJob", "Request", "Setup",
    "decode_answer", "decode_request", "frame", "unframe",
]  # fmt: skip

HEAD_BYTES: Final = 8
_ROOM_BYTES: Final = 2**16

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Setup:
    """What a job must know before its first request; it comes pickled, by itself."""

    policy: Policy
    resident_bytes_max: int
    step_function: StepFunction = step_batch


class PartOfJob(msgspec.Struct, array_like=True, gc=False):
    """Records of one partition, and who is left out of it, as the replay knows at the beginning of that epoch."""

    partition: int
    epoch: int
    quarantined: dict[str, str]
    records: list[Record]


class Apply(msgspec.Struct, array_like=True, tag=0, gc=False):
    """A job's share of a batch."""

    parts: list[PartOfJob]


class Clear(msgspec.Struct, array_like=True, tag=1, gc=False):
    """All homes are to be forgotten."""


class Loaded(msgspec.Struct, array_like=True, tag=2, gc=False):
    """The states that were asked for, of the households that have one."""

    states: dict[str, bytes]


class AppliedPart(msgspec.Struct, array_like=True, gc=False):
    """What became of a `PartOfJob`; `quarantined`: all who are left out, if there are more than before."""

    partition: int
    settled: list[Settled]
    states: dict[str, bytes]
    quarantined: dict[str, str] | None
    lifted: list[str]


class Applied(msgspec.Struct, array_like=True, tag=3, gc=False):
    """What became of an `Apply`."""

    parts: list[AppliedPart]
    residency: Residency


class Missing(msgspec.Struct, array_like=True, tag=4, gc=False):
    """States that a job asks for before it can go on; `Loaded` will come, if need be after other requests."""

    partition: int
    households: list[str]


Request = Apply | Clear | Loaded
Answer = Applied | Missing

_encode_into: Final = msgspec.msgpack.Encoder().encode_into
decode_request: Final = msgspec.msgpack.Decoder(Request).decode
decode_answer: Final = msgspec.msgpack.Decoder(Answer).decode


def frame(message: Request | Answer | bytes) -> bytearray:
    """A message as it is written; of bytes, those bytes."""
    buffer = bytearray(_ROOM_BYTES)
    if isinstance(message, bytes):
        buffer[HEAD_BYTES:] = message
    else:
        _encode_into(message, buffer, HEAD_BYTES)
    buffer[:HEAD_BYTES] = (len(buffer) - HEAD_BYTES).to_bytes(HEAD_BYTES, "little")
    return buffer


def unframe(received: memoryview) -> tuple[list[memoryview], int]:
    """The messages in what was received that are whole, and where they end."""
    whole, end = list[memoryview](), 0
    while len(received) >= end + HEAD_BYTES:
        begin = end + HEAD_BYTES
        length = int.from_bytes(received[end:begin], "little")
        if len(received) < begin + length:
            break
        end = begin + length
        whole.append(received[begin:end])
    return whole, end
