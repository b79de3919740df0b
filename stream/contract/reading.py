"""Recognitions read fast: the same record as `records.Recognition`, decoded in one go where nothing about it is odd.

Law: what is accepted here, the model in `records` accepts too, with the same meaning; of everything else nothing is
said here. So the model alone says what is wrong with a record, and a record that only it accepts is read by it.
"""

import re
from typing import Annotated, Final, Literal

import msgspec
import numpy as np

from .records import (
    DEVICE_ATTRIBUTES_MAX,
    EMBEDDING_NORM_MAX,
    OBSERVED_AT_MS_MAX,
    OBSERVED_AT_MS_MIN,
    PHONES_MAX,
    QUALITIES_MAX,
    Recognition,
)

__all__ = ["RECOGNITIONS", "SensedPart", "SensedPhone", "SensedRecognition", "read_recognition"]

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Time = Annotated[int, msgspec.Meta(ge=OBSERVED_AT_MS_MIN, lt=OBSERVED_AT_MS_MAX)]
_Signal = Annotated[float, msgspec.Meta(ge=-200, le=50)]
_Qualities = Annotated[dict[_Text, float], msgspec.Meta(max_length=QUALITIES_MAX)]
_Attributes = Annotated[dict[_Text, _Text], msgspec.Meta(max_length=DEVICE_ATTRIBUTES_MAX)]
_IDS: Final = re.compile(r"[A-Za-z0-9._:-]+(?:\n[A-Za-z0-9._:-]+)*").fullmatch
_LONGEST: Final = 64
_NORM_MAX: Final = EMBEDDING_NORM_MAX**2
_HALF, _FLOAT = np.dtype("<f2"), np.dtype("f4")


class SensedPart(msgspec.Struct, gc=False):
    """A voice or a face; `embedding`: little-endian float16."""

    encoder: str
    embedding: bytes
    quality: _Qualities | None = None


class SensedPhone(msgspec.Struct, gc=False):
    """One phone that was heard."""

    phone_id: str
    rssi_dbm: _Signal


class SensedRecognition(msgspec.Struct, gc=False):
    """As `records.Recognition`."""

    v: Literal[1]
    event_id: str
    household_id: str
    device_id: str
    observed_at: _Time
    voice: SensedPart | None = None
    face: SensedPart | None = None
    phones: Annotated[list[SensedPhone], msgspec.Meta(max_length=PHONES_MAX)] | None = None
    activity: str | None = None
    device: _Attributes | None = None

    @property
    def at(self) -> int:
        """Event time, ms."""
        return self.observed_at

    @property
    def sender(self) -> str:
        """Whose clock that is."""
        return self.device_id


RECOGNITIONS: Final = (SensedRecognition, Recognition)  # however a recognition was read
_decode: Final = msgspec.json.Decoder(SensedRecognition).decode


def read_recognition(raw: bytes, lengths: dict[str, tuple[str, int]]) -> SensedRecognition | None:
    """The recognition in these bytes, or None: it is to be looked at closely.

    Parameters
    ----------
    raw
        JSON.
    lengths
        By encoder that the policy lists: its modality, and how many numbers it gives.
    """
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    ids = [value.event_id, value.household_id, value.device_id]
    if value.activity is not None:
        ids.append(value.activity)
    if value.phones:
        ids += [phone.phone_id for phone in value.phones]
    text = "\n".join(ids)
    if _IDS(text) is None or text.count("\n") != len(ids) - 1 or max(map(len, ids)) > _LONGEST:
        return None
    voice, face = value.voice, value.face
    if voice is None and face is None:
        return None if value.phones is None and value.activity is None else value
    if (voice is None or _is_sound(voice, "voice", lengths)) and (face is None or _is_sound(face, "face", lengths)):
        return value
    return None


def _is_sound(part: SensedPart, modality: str, lengths: dict[str, tuple[str, int]]) -> bool:
    """Whether a vector is of a known encoder, as long as its, finite, not all zero, and of a sane length."""
    known = lengths.get(part.encoder)
    if known is None or known[0] != modality or len(part.embedding) != 2 * known[1]:
        return False
    vector = np.frombuffer(part.embedding, _HALF).astype(_FLOAT)
    return bool(0 < vector.dot(vector) < _NORM_MAX)  # NaN is neither
