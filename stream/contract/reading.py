"""Recognitions read: fast where nothing about them is odd (`read_recognitions`), else part by part (`read_parts`).

Law: what the fast reader accepts, the model in `records` accepts too, with the same meaning; of everything else it says
nothing. So the model alone says what is wrong with a record, and with which part of it. What makes identity or order unclear
is wrong with the record; a part that may be absent is left out, the smallest that the fault lies in, and the rest is read.

A phone whose signal cannot be read was heard all the same, so only the signal goes. Of a scan of which nothing can be read, it
is not said that nobody was there.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from pydantic import ValidationError
from pydantic_core import from_json

from .fields.embedding import EMBEDDING_NORM_MAX
from .fields.scalars import CONTROLS, OBSERVED_AT_MS_MAX, OBSERVED_AT_MS_MIN, QUALITY_MAX
from .records import DEVICE_ATTRIBUTES_MAX, ID_PATTERN, PHONES_MAX, QUALITIES_MAX, Recognition

__all__ = [
    "LEFT_OUT", "RECOGNITIONS", "SensedPart", "SensedPhone", "SensedRecognition", "SensedSession", "read_parts",
    "read_recognitions",
]  # fmt: skip

LEFT_OUT: Final = (  # why a part was left out: the field in which the fault lies
    "voice", "face", "encoder", "embedding", "quality", "phones", "phone_id", "rssi_dbm", "activity", "device", "input",
    "session",
)  # fmt: skip

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Time = Annotated[int, msgspec.Meta(ge=OBSERVED_AT_MS_MIN, lt=OBSERVED_AT_MS_MAX)]
_Signal = Annotated[float, msgspec.Meta(ge=-200, le=50)]
_Quality = Annotated[float, msgspec.Meta(ge=-QUALITY_MAX, le=QUALITY_MAX)]
_Qualities = Annotated[dict[_Text, _Quality], msgspec.Meta(max_length=QUALITIES_MAX)]
_Attributes = Annotated[dict[_Text, _Text], msgspec.Meta(max_length=DEVICE_ATTRIBUTES_MAX)]
_STRICT: Final = r"[A-Za-z0-9._:-]+"
_IDS: Final = re.compile(rf"{_STRICT}\n{_STRICT}\n{_STRICT}").fullmatch
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]").search  # one alone is no character, and two are read by the model
_CONTROL: Final = re.compile(f"[{CONTROLS}]").search
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
    rssi_dbm: _Signal | None = None


class SensedSession(msgspec.Struct, gc=False):
    """On whose behalf a device acts."""

    session_id: str
    device_class: Literal["personal", "communal"]
    person_id: str | None = None


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
    input: Literal["touch", "voice", "remote"] | None = None
    session: SensedSession | None = None

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


def read_recognitions(raws: Sequence[bytes | None], lengths: dict[str, tuple[str, int]]) -> list[SensedRecognition | None]:
    """The recognition in each of these, or None: it is to be looked at closely.

    Parameters
    ----------
    raws
        JSON; None stays None.
    lengths
        By encoder that the policy lists: its modality, and how many numbers it gives.
    """
    values = [None if raw is None else _read(raw, lengths) for raw in raws]
    for number in _unsound(values):
        values[number] = None
    return values


def _read(raw: bytes, lengths: dict[str, tuple[str, int]]) -> SensedRecognition | None:
    """A recognition whose vectors are still to be looked at."""
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    voice, face = value.voice, value.face
    if _IDS(f"{value.event_id}\n{value.household_id}\n{value.device_id}") is None:
        return None
    if value.session is not None and not _is_named(value.session):
        return None
    names = [value.event_id, value.household_id, value.device_id]
    if value.activity is not None:
        names.append(value.activity)
    if value.phones:
        names += [phone.phone_id for phone in value.phones]
    if max(map(len, names)) > _LONGEST or not all(names):
        return None
    if not (raw.isascii() and b"\\" not in raw and b"\x7f" not in raw) and not _is_text(raw, value, names):
        return None
    if voice is None and face is None:
        return None if value.phones is None and value.activity is None else value
    if (voice is None or _fits(voice, "voice", lengths)) and (face is None or _fits(face, "face", lengths)):
        return value
    return None


def _is_named(session: SensedSession) -> bool:
    """Whether the ids of a session are ids."""
    ids = (session.session_id, session.session_id if session.person_id is None else session.person_id)
    return all(ID_PATTERN.fullmatch(one) for one in ids)


def _is_text(raw: bytes, value: SensedRecognition, names: list[str]) -> bool:
    """Whether no name has a control character, and what is passed over, which msgspec does not look into, is Unicode too."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return _SURROGATE(raw) is None and _CONTROL("".join(_texts(value, names))) is None


def _texts(value: SensedRecognition, names: list[str]) -> Iterator[str]:
    """All that may be any text but for control characters; JSON in ASCII without escapes can hold none but DEL."""
    yield from names
    for texts in (value.device, value.voice and value.voice.quality, value.face and value.face.quality):
        if texts:
            yield from texts
    if value.device:
        yield from value.device.values()


def _fits(part: SensedPart, modality: str, lengths: dict[str, tuple[str, int]]) -> bool:
    """Whether a vector is of a known encoder, and has as many numbers as its."""
    known = lengths.get(part.encoder)
    return known is not None and known[0] == modality and len(part.embedding) == 2 * known[1]


def _unsound(values: Sequence[SensedRecognition | None]) -> Iterator[int]:
    """Which of them have a vector that is not finite, all zero, or not of a sane length; those of one size at once."""
    by_size: dict[int, tuple[list[bytes], list[int]]] = {}
    for number, value in enumerate(values):
        if value is not None:
            for part in (value.voice, value.face):
                if part is not None:
                    vectors, owners = by_size.setdefault(len(part.embedding), ([], []))
                    vectors.append(part.embedding)
                    owners.append(number)
    for vectors, owners in by_size.values():
        numbers = np.frombuffer(b"".join(vectors), _HALF).reshape(len(vectors), -1).astype(_FLOAT)
        squares = np.einsum("ij,ij->i", numbers, numbers)
        sound = (squares > 0) & (squares < _NORM_MAX)  # NaN is neither
        yield from (owners[i] for i in np.flatnonzero(~sound))


# ---- part by part


_Place = tuple[str | int, ...]  # from the root of a record to a part of it


def read_parts(raw: bytes) -> tuple[Recognition, tuple[str, ...]]:
    """The recognition in these bytes without the parts that cannot be read, and a word of LEFT_OUT for each of those.

    Raises
    ------
    ValidationError
        The record cannot be read: its JSON, what makes its identity or order, or all that there was to recognise by.
    """
    try:
        return Recognition.model_validate_json(raw), ()
    except ValidationError as invalid:
        first = found = invalid
        if invalid.errors(include_input=False)[0]["type"] == "json_invalid":
            raise
    tree, left_out = from_json(raw), list[str]()
    for _ in range(_PASSES_MAX):
        faults = {_part_of(tuple(fault["loc"])): fault["type"] for fault in found.errors(include_url=False, include_input=False)}
        if () in faults:  # of the record itself
            raise first
        for place in sorted(faults, key=lambda place: (place[0], len(place), place[1:]), reverse=True):
            left_out.append(_leave_out(tree, place, faults[place]))
        try:
            return Recognition.model_validate(tree), tuple(left_out)
        except ValidationError as invalid:
            found = invalid
    raise first


_PASSES_MAX: Final = 4  # what is too long hides what is wrong inside


def _part_of(place: _Place) -> _Place:
    """The smallest part that may be absent of those around a place; (): none."""
    match place:
        case ("voice" | "face", "quality", str(), *_) | ("phones", int(), "rssi_dbm", *_):
            return place[:3]
        case ("voice" | "face", "quality" | "encoder" | "embedding", *_) | ("phones", int(), *_) | ("device", str(), *_):
            return place[:2]
        case ("voice" | "face" | "phones" | "activity" | "device" | "input" | "session", *_):
            return place[:1]
    return ()


def _leave_out(tree: dict[str, Any], place: _Place, fault: str) -> str:
    """Take a part out of a record; the word that says which it was."""
    name, inside = str(place[0]), place[1:]
    part: Any = tree.get(name)
    match place:
        case (_, "quality", quality):
            part["quality"].pop(quality, None)
        case (_, "quality") if fault == "too_long":
            part["quality"] = _first(part["quality"], QUALITIES_MAX)
        case (_, "quality"):
            del part["quality"]
        case ("phones", number, "rssi_dbm"):
            del part[number]["rssi_dbm"]
        case ("phones", number):
            del part[number]
            tree["phones"] = part or None
            return "phone_id"
        case ("phones",) if fault == "too_long":
            tree["phones"] = _strongest(part)
        case ("device", attribute):
            part.pop(attribute, None)
        case ("device",) if fault == "too_long":
            tree["device"] = _first(part, DEVICE_ATTRIBUTES_MAX)
        case _:
            tree[name] = None
    return str(inside[-1] if name == "phones" and inside else inside[0] if name in ("voice", "face") and inside else name)


def _first(names: Mapping[str, Any], names_max: int) -> dict[str, Any]:
    return dict(list(names.items())[:names_max])


def _strongest(phones: list[Any]) -> list[Any]:
    """As many as may stand there, in their order: a phone of the home is nearer than the neighbours'."""

    def strength(number: int) -> float:
        phone = phones[number]
        rssi_dbm: Any = phone.get("rssi_dbm") if isinstance(phone, dict) else None
        return float(rssi_dbm) if type(rssi_dbm) in (int, float) and -200 <= rssi_dbm <= 50 else -200.0

    kept = sorted(range(len(phones)), key=strength, reverse=True)[:PHONES_MAX]
    return [phones[number] for number in sorted(kept)]
