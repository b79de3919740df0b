"""The contract as types: every record that crosses the border, with its limits.

Law: what these models accept is what `step` can handle; nothing is checked twice. Inputs forbid nothing extra
(unknown fields are ignored), but an unknown version, a wrong type or a value out of bounds is an error: of the whole record,
or of a part that may be absent, which is then left out (`reading.read_parts`). Ids of households, events, devices and people
are strict; names that come from the world (of phones, activities, attributes) are any text without control characters.
Embeddings are decoded here, once, into read-only float32 arrays.
"""

import base64
import math
from binascii import a2b_base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, TypeAdapter, WithJsonSchema

__all__ = [
    "CLOCK", "ENROLMENT", "ENROL_ANEW", "ERASED", "FEEDBACK", "GUEST", "INPUT_TOPICS", "MODELS", "OUTPUT_TOPICS",
    "Alert", "Cause", "Command", "Confirm", "Correct", "DeadLetter", "Enrol", "Erase", "Event", "Face", "Feedback",
    "FeedbackKind", "Identity", "InvalidRecord", "Join", "Journal", "Label", "Leave", "Output", "Phone",
    "PhoneSighting", "Position", "Profile", "Prototype", "Recognition", "Record", "Reject", "Retract", "Signal",
    "Source", "Vector", "Voice", "dead_letter", "construct",
]  # fmt: skip

GUEST: Final = "guest"
ENROLMENT: Final = "enrolment"  # the kind of a signal that tells of bad recordings in one; it is no evidence of change
ENROL_ANEW: Final = "enrol anew"  # stands in `adapted` of a signal where that helps
CLOCK: Final = "clock"  # the kind of a signal that tells of a wrong clock; it is no evidence of change
ERASED: Final = "erased"  # the kind of a signal that asks to forget a person, or with no person the home
INPUT_TOPICS: Final = ("recognitions", "feedback")
OUTPUT_TOPICS: Final = ("identities", "profiles", "labels", "drift-signals", "drift-alerts", "dead-letters")

EMBEDDING_LENGTH_MAX = 1024
EMBEDDING_TEXT_MAX: Final = 2732  # 1024 numbers of 2 bytes in base64
PHONES_MAX = 64
DEVICE_ATTRIBUTES_MAX = 8
DEAD_LETTER_BYTES_MAX: Final = 65_536
QUALITIES_MAX = 16
ENROL_EVENTS_MAX = 64
OBSERVED_AT_MS_MIN = 946_684_800_000  # the year 2000: a clock that was never set says 1970
OBSERVED_AT_MS_MAX = 4_102_444_800_000  # the year 2100
ABSURD = "the embedding has NaN, infinite or absurd numbers"
EMBEDDING_NORM_MAX = 1e4  # float16 itself ends at 65,504; encoders stay near 1
QUALITY_MAX = 1e9  # either way: beyond it a number measures nothing, and sums of such lose all else
# What a name may not hold: control characters ("\0" parts a home's words), ends of lines, and what turns writing round.
CONTROLS: Final = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069"
_FLOAT32_SQUARE_MIN, _FLOAT32_SQUARE_MAX = 1e-3, 1e6  # of vectors as encoders give them

Vector = npt.NDArray[np.float32]
Model = TypeVar("Model", bound=BaseModel)


def construct(model: type[Model], fields: dict[str, Any]) -> Model:
    """A record of all its `fields`, which are known to be right: what `model_construct` gives, in a third of the time."""
    record = object.__new__(model)
    write = object.__setattr__
    write(record, "__dict__", fields)
    write(record, "__pydantic_fields_set__", set(fields))
    write(record, "__pydantic_extra__", None)
    write(record, "__pydantic_private__", None)
    return record


class Position(NamedTuple):
    """The place of a record: the only identity that an input surely has."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


@dataclass(frozen=True, slots=True)
class Record:
    """A record of an input topic as the broker gave it, not yet looked into; `timestamp` in ms."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None

    @property
    def position(self) -> Position:
        return Position(self.topic, self.partition, self.offset)


class InvalidRecord(ValueError):
    """The sender's fault: a record that cannot be read. It goes to `dead-letters` and changes nothing else.

    `reason` is one short word of a closed set (counted, alerted on), `detail` a sentence for people.
    """

    def __init__(self, position: Position, reason: str, detail: str) -> None:
        super().__init__(f"{position.topic}[{position.partition}]@{position.offset}: {reason}: {detail}")
        self.position, self.reason, self.detail = position, reason, detail


def _embedding(text: str) -> Vector:
    """Base64 of little-endian float16 -> float32 array; refuses what no encoder can mean."""
    if len(text) > EMBEDDING_TEXT_MAX:  # before anything is decoded
        raise ValueError(f"the embedding is longer than {EMBEDDING_LENGTH_MAX} numbers of 2 bytes (float16)")
    try:
        raw = a2b_base64(text, strict_mode=True)
    except ValueError as error:
        alphabet = ": it is of the alphabet of URLs, with - and _" if "-" in text or "_" in text else ""
        raise ValueError(f"the embedding is not base64 ({error}){alphabet}") from None
    if not raw or len(raw) % 2:
        raise ValueError(f"the embedding has {len(raw)} bytes, which is not a whole number of float16 values above 0")
    vector = np.frombuffer(raw, "<f2").astype(np.float32)
    square = float(vector.dot(vector)) if np.isfinite(vector).all() else math.nan
    if not 0 < square < EMBEDDING_NORM_MAX**2:
        hint = "; its bytes look like float32, where float16 is asked for" if looks_like_float32(raw) else ""
        raise ValueError("the embedding is all zeros" if square == 0 else ABSURD + hint)
    vector.flags.writeable = False
    result: Vector = vector
    return result


def looks_like_float32(raw: bytes) -> bool:
    """Whether the bytes of a vector are more likely little-endian float32: read so, its length is that of an encoder's vectors.

    >>> looks_like_float32(np.full(4, 0.5, "<f4").tobytes()), looks_like_float32(np.full(8, 0.5, "<f2").tobytes())
    (True, False)
    """
    if len(raw) % 4:
        return False
    with np.errstate(all="ignore"):
        vector = np.frombuffer(raw, "<f4").astype(np.float64)
        return bool(_FLOAT32_SQUARE_MIN < vector.dot(vector) < _FLOAT32_SQUARE_MAX)


def _whole(value: Any) -> Any:
    """1763690000123.0 is a whole number too, as JSON Schema has it."""
    return int(value) if type(value) is float and value.is_integer() else value


def _one(value: Any) -> Any:
    """Neither true nor 1.0 is a version, though both are equal to 1."""
    if type(value) is not int:
        raise ValueError("the version is the whole number 1")
    return value


_EMBEDDING_SCHEMA = {
    "type": "string", "contentEncoding": "base64", "maxLength": EMBEDDING_TEXT_MAX,
    "description": f"base64 of little-endian IEEE float16, 1 to {EMBEDDING_LENGTH_MAX} numbers, finite, not all zero",
}  # fmt: skip
Embedding = Annotated[str, AfterValidator(_embedding), WithJsonSchema(_EMBEDDING_SCHEMA)]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
PersonId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=f"^[^{CONTROLS}]*$")]  # of the world: any text
Time = Annotated[
    int,
    BeforeValidator(_whole),
    Field(strict=True, ge=OBSERVED_AT_MS_MIN, lt=OBSERVED_AT_MS_MAX, description="ms since the Unix epoch, UTC"),
]
Quality = Annotated[float, Field(strict=True, ge=-QUALITY_MAX, le=QUALITY_MAX, allow_inf_nan=False)]
Version = Annotated[Literal[1], BeforeValidator(_one)]
Source = Literal["app", "voice", "pin", "annotator"]


class _Input(BaseModel):
    model_config = ConfigDict(extra="ignore", arbitrary_types_allowed=True, frozen=False, ser_json_inf_nan="null")


class Voice(_Input):
    """What a voice encoder made of an utterance. After validation `embedding` is a float32 array."""

    encoder: Id
    embedding: Embedding
    quality: Annotated[dict[Name, Quality], Field(max_length=QUALITIES_MAX)] | None = None


class Face(Voice):
    """What a face encoder made of a picture."""


class PhoneSighting(_Input):
    """One phone whose Bluetooth the device heard at that moment; without `rssi_dbm`: how strongly is not known."""

    phone_id: Name
    rssi_dbm: Annotated[float, Field(strict=True, ge=-200, le=50, allow_inf_nan=False)] | None = None


class Recognition(_Input):
    """What the sensors of one device saw of one interaction."""

    v: Version
    event_id: Id
    household_id: Id
    device_id: Id
    observed_at: Time
    voice: Voice | None = None
    face: Face | None = None
    phones: Annotated[list[PhoneSighting], Field(max_length=PHONES_MAX)] | None = None
    activity: Name | None = None
    device: Annotated[dict[Name, Name], Field(max_length=DEVICE_ATTRIBUTES_MAX)] | None = None

    @property
    def at(self) -> int:
        """Event time, ms."""
        return self.observed_at

    @property
    def sender(self) -> str:
        """Whose clock that is."""
        return self.device_id

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to recognise by."""
        return self.voice is None and self.face is None and self.phones is None and self.activity is None

    def model_post_init(self, _context: Any) -> None:
        if self.is_empty:
            raise ValueError("none of voice, face, phones and activity is present: there is nothing to recognise")


class _Feedback(_Input):
    v: Version
    feedback_id: Id
    household_id: Id
    given_at: Time
    source: Source

    @property
    def at(self) -> int:
        """Event time, ms."""
        return self.given_at

    @property
    def sender(self) -> str:
        """Whose clock that is; no device has such an id."""
        return f"feedback/{self.source}"


class Join(_Feedback):
    """A person belongs to the household from now on."""

    kind: Literal["join"]
    person_id: PersonId


class Leave(_Feedback):
    """The person belongs to the household no longer."""

    kind: Literal["leave"]
    person_id: PersonId


class Phone(_Feedback):
    """Whose phone it is; `person_id` null: nobody's."""

    kind: Literal["phone"]
    phone_id: Name
    person_id: PersonId | None


class Enrol(_Feedback):
    """Guided enrolment: those recognitions are this person's."""

    kind: Literal["enrol"]
    person_id: PersonId
    event_ids: Annotated[list[Id], Field(min_length=1, max_length=ENROL_EVENTS_MAX)]


class Confirm(_Feedback):
    """Yes: the published person was right."""

    kind: Literal["confirm"]
    event_id: Id


class Reject(_Feedback):
    """No: it was not this person; who it was is not said."""

    kind: Literal["reject"]
    event_id: Id
    person_id: PersonId


class Correct(_Feedback):
    """It was this person (or `guest`)."""

    kind: Literal["correct"]
    event_id: Id
    person_id: PersonId


class Retract(_Feedback):
    """Takes an earlier feedback back."""

    kind: Literal["retract"]
    retracts: Id


class Erase(_Feedback):
    """Forget a person, or (null) the whole household."""

    kind: Literal["erase"]
    person_id: PersonId | None


Feedback = Join | Leave | Phone | Enrol | Confirm | Reject | Correct | Retract | Erase
FeedbackKind = Literal["join", "leave", "phone", "enrol", "confirm", "reject", "correct", "retract", "erase"]
FEEDBACK: TypeAdapter[Feedback] = TypeAdapter(Annotated[Feedback, Discriminator("kind")])


class Event(NamedTuple):
    """A decoded record: where it stood, what it says, and which parts of that could not be read (words of `reading.LEFT_OUT`)."""

    record: Record
    value: Recognition | Feedback
    left_out: Sequence[str] = ()


class _Output(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cause(_Output):
    """The input record that made an output."""

    topic: str
    partition: int
    offset: int


Probability = Annotated[float, Field(ge=0, le=1)]


class Identity(_Output):
    """Who it was: one per recognition, and another `revision` when a later fact changes the answer."""

    v: Version = 1
    event_id: str
    household_id: str
    observed_at: int
    revision: Annotated[int, Field(ge=0)]
    posterior: dict[str, Probability]
    person_id: str | None
    tier: Annotated[int, Field(ge=0, le=5)]
    modalities: list[str]
    policy_id: str
    cause: Cause


class Label(_Output):
    """Cross-modal ground truth: an event labelled without asking anyone.

    `withdrawn`: the label no longer holds, and there is none in its place. `unnamed_id`: of a guest who was here before and whom
    nobody has named, the same at every visit; a home may ask "who is this?".
    """

    v: Version = 1
    event_id: str
    household_id: str
    person_id: str
    probability: Probability
    evidence: list[str]
    revision: Annotated[int, Field(ge=0)]
    cause: Cause
    withdrawn: bool = False
    unnamed_id: str | None = None


class Prototype(_Output):
    """One reference vector of a person; `embedding` as in `recognitions`, `since` in ms."""

    embedding: str
    weight: float
    device_id: str | None
    since: int


class EncoderProfile(_Output):
    """What is known of a person in one vector space."""

    prototypes: list[Prototype]
    calibration: dict[str, float]


class Health(_Output):
    """How a profile fares: events learnt from, when last met, how far it has moved, how far to trust it (0 to 1).

    `enrolment`: what was wrong with recordings that were enrolled, and so left out where it was clear which they are.
    """

    events: float
    last_seen_at: int | None
    drift: float
    trust: float
    enrolment: list[Literal["repeated", "apart", "of_another", "of_nobody"]] = []


class Profile(_Output):
    """The refreshed profile of one person, enough for a device to recognise on its own."""

    v: Version = 1
    household_id: str
    person_id: str
    revision: int
    updated_at: int
    encoders: dict[str, EncoderProfile]
    habits: dict[str, dict[str, float]]
    phones: list[str]
    health: Health
    policy_id: str
    cause: Cause


class Signal(_Output):
    """Statistical evidence of change in one household, for the fleet stage; `stream/fleet/step.py` says when one is due.

    `streams`: how many subjects the home is watched for, this one included. `evidence`: of an alarm, what is believed of each
    kind of cause, 0 to 1. `adapted`: of a change that was confirmed, what was done about it.
    """

    v: Version = 1
    signal_id: str
    household_id: str
    person_id: str | None
    device_id: str | None
    encoder: str | None
    attributes: dict[str, str]
    kind: str
    log_e_value: float
    observed_at: int
    cause: Cause
    streams: int | None = None
    evidence: dict[str, float] = {}
    adapted: str | None = None


class Alert(_Output):
    """The state of a drift alert. With `revision` it is identified for ever; an acknowledged alert says no more until it ends."""

    v: Version = 1
    alert_id: str
    household_id: str | None
    state: Literal["opened", "updated", "resolved", "expired"]
    cause_kind: str
    opened_at: int
    updated_at: int
    severity: str
    summary: str
    suggested_action: str
    members: list[str]
    evidence: dict[str, Any]
    revision: int
    person_id: str | None = None
    device_id: str | None = None
    attributes: dict[str, str] = {}
    acknowledged_by: str | None = None


class Command(_Input):
    """What an operator says of an alert: `acknowledge` (seen: no more updates) or `resolve` (dealt with)."""

    v: Version
    command_id: Id
    alert_id: Id
    kind: Literal["acknowledge", "resolve"]
    given_at: Time
    by: Name


class DeadLetter(_Output):
    """A record that could not be read: its place, its bytes (the first 64 KiB of the value) and why."""

    v: Version = 1
    topic: str
    partition: int
    offset: int
    timestamp: int
    key_base64: str | None
    value_base64: str | None
    value_bytes: int
    reason: str
    detail: str


class Journal(_Output):
    """A batch as it was really made: next offsets before and after on both topics of one partition."""

    v: Version = 1
    partition: int
    offsets_from: dict[str, int]
    offsets_to: dict[str, int]
    count: int
    epoch: int
    step_version: int
    policy_id: str


class Output(NamedTuple):
    """What `step` gives: a topic, a key and a model (None: a tombstone). Its partition is that of its cause."""

    topic: str
    key: str | bytes | None
    value: BaseModel | None


MODELS: Final[dict[str, Any]] = {
    "recognitions": Recognition, "feedback": FEEDBACK, "identities": Identity, "profiles": Profile, "labels": Label,
    "drift-signals": Signal, "drift-alerts": Alert, "drift-commands": Command, "journal": Journal, "dead-letters": DeadLetter,
}  # fmt: skip


def dead_letter(record: Record, reason: str, detail: str) -> Output:
    """The `dead-letters` output of a record: the first 64 KiB of its value, and why."""
    value = DeadLetter.model_construct(
        v=1, topic=record.topic, partition=record.partition, offset=record.offset, timestamp=record.timestamp,
        key_base64=_base64(record.key), value_base64=_base64(record.value), value_bytes=len(record.value or b""),
        reason=reason, detail=detail,
    )  # fmt: skip
    return Output("dead-letters", record.key, value)


def _base64(raw: bytes | None) -> str | None:
    return None if raw is None else base64.b64encode(raw[:DEAD_LETTER_BYTES_MAX]).decode()
