"""The contract as types: every record that crosses the border, with its limits.

Law: what these models accept is what `step` can handle; nothing is checked twice. Inputs forbid nothing extra
(unknown fields are ignored), but an unknown version, a wrong type or a value out of bounds is an error: of the whole record,
or of a part that may be absent, which is then left out (`reading.read_parts`). Ids of households, events, devices and people
are strict; names that come from the world (of phones, activities, attributes) are any text without control characters.
Embeddings are decoded here, once, into read-only float32 arrays.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Discriminator, Field, TypeAdapter, model_validator

from .fields.embedding import Embedding
from .fields.scalars import ID_PATTERN, Id, Name, PersonId, Quality, Time, Version
from .rights.sighting import Sighting

__all__ = [
    "CLOCK", "ENROLMENT", "ENROL_ANEW", "ERASED", "FACTORS", "FEEDBACK", "GUEST", "ID_PATTERN", "INPUT_TOPICS", "MODELS",
    "OPTIONAL_TOPICS", "OUTPUT_TOPICS", "REQUIRED_TOPICS", "Alert", "Cause", "Command", "Confirm", "Consent", "Correct",
    "DeadLetter", "Decay", "Decided", "Enrol", "Erase", "Event", "Face", "Factor", "Feedback", "FeedbackKind", "Identity",
    "InvalidRecord", "Join", "Journal", "Label", "Leave", "Output", "Phone", "PhoneSighting", "Position", "Presence",
    "Profile", "Proof", "Prototype", "SCOPES", "Scope", "Recognition", "Sighting", "Record", "Reject", "Session", "Retract",
    "Signal", "Source", "Unlisted", "Voice", "dead_letter", "construct",
]  # fmt: skip

GUEST: Final = "guest"
ENROLMENT: Final = "enrolment"  # the kind of a signal that tells of bad recordings in one; it is no evidence of change
ENROL_ANEW: Final = "enrol anew"  # stands in `adapted` of a signal where that helps
CLOCK: Final = "clock"  # the kind of a signal that tells of a wrong clock; it is no evidence of change
ERASED: Final = "erased"  # the kind of a signal that asks to forget a person, or with no person the home
REQUIRED_TOPICS: Final = ("recognitions", "feedback")
OPTIONAL_TOPICS: Final = ("consents", "proofs", "sightings")  # inputs that a cluster may lack
INPUT_TOPICS: Final = REQUIRED_TOPICS + OPTIONAL_TOPICS
OUTPUT_TOPICS: Final = ("identities", "profiles", "labels", "presence", "drift-signals", "drift-alerts", "dead-letters")

PHONES_MAX = 64
DEVICE_ATTRIBUTES_MAX = 8
DEAD_LETTER_BYTES_MAX: Final = 65_536
QUALITIES_MAX = 16
ENROL_EVENTS_MAX = 64

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


class Unlisted(NamedTuple):
    """A vector of an encoder that the policy does not list: the part it stands in, the encoder's name, how many numbers."""

    modality: str
    encoder: str
    length: int


class InvalidRecord(ValueError):
    """The sender's fault: a record that cannot be read. It goes to `dead-letters` and changes nothing else.

    `reason` is one short word of a closed set (counted, alerted on), `detail` a sentence for people.
    """

    unlisted: Sequence[Unlisted] = ()

    def __init__(self, position: Position, reason: str, detail: str) -> None:
        super().__init__(f"{position.topic}[{position.partition}]@{position.offset}: {reason}: {detail}")
        self.position, self.reason, self.detail = position, reason, detail


Source = Literal["app", "voice", "pin", "annotator"]
Factor = Literal["pin", "phone", "event"]
FACTORS: Final[tuple[Factor, ...]] = get_args(Factor)
Scope = Literal["person", "presence", "activity"]
SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


class _Input(BaseModel):
    model_config = ConfigDict(extra="ignore", arbitrary_types_allowed=True, frozen=False, ser_json_inf_nan="null")


class Voice(_Input):
    """What a voice encoder made of an utterance. After validation `embedding` is a float32 array."""

    encoder: Id = Field(description="name of the vector space; vectors of different encoders are never compared")
    embedding: Embedding = Field(description="base64 of little-endian IEEE float16: as many as the encoder gives, at most 1024")
    quality: Annotated[dict[Name, Quality], Field(max_length=QUALITIES_MAX)] | None = Field(
        None, description="measures of the recording, such as duration_s (seconds) or detection_score; units as their names say"
    )


class Face(Voice):
    """What a face encoder made of a picture."""


class PhoneSighting(_Input):
    """One phone whose Bluetooth the device heard at that moment; without `rssi_dbm`: how strongly is not known."""

    phone_id: Name = Field(description="the phone, by a name that stays the same")
    rssi_dbm: Annotated[float, Field(strict=True, ge=-200, le=50, allow_inf_nan=False)] | None = Field(
        None, description="strength of its signal, dBm, -200 to 50; absent: it was heard, not known how strongly"
    )


class Session(_Input):
    """On whose behalf a device acts at that moment: who unlocked it, or whose profile was chosen."""

    session_id: Id = Field(description="names it")
    person_id: PersonId | None = Field(None, description="who the device takes it to be; absent: nobody in particular")
    device_class: Literal["personal", "communal"] = Field(description="personal: somebody's own; communal: the home's")


class Recognition(_Input):
    """What the sensors of one device saw of one interaction."""

    v: Version = Field(description="version of this form of record")
    event_id: Id = Field(description="names this interaction, once in its household; the same id again is a duplicate")
    household_id: Id = Field(description="whose home it is; also the record's key")
    device_id: Id = Field(description="which device of the home; its clock is what observed_at was read from")
    observed_at: Time = Field(description="when it happened, ms since the Unix epoch, UTC")
    voice: Voice | None = Field(None, description="what was heard; absent: nothing was said")
    face: Face | None = Field(None, description="what was seen; absent: no face")
    phones: Annotated[list[PhoneSighting], Field(max_length=PHONES_MAX)] | None = Field(
        None, description="phones heard at that moment; absent: the device did not scan; []: it did, and heard none"
    )
    activity: Name | None = Field(None, description="what was asked or done, a dotted name such as music.play")
    input: Literal["touch", "voice", "remote"] | None = Field(None, description="how it was asked for")
    session: Session | None = Field(None, description="on whose behalf the device acts; identities then have `acts_for`")
    device: Annotated[dict[Name, Name], Field(max_length=DEVICE_ATTRIBUTES_MAX)] | None = Field(
        None, description="what the device is: model, firmware, room, …; drift is attributed to these"
    )

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


class _Given(_Input):
    v: Version = Field(description="version of this form of record")
    household_id: Id = Field(description="whose home it is; also the record's key")
    given_at: Time = Field(description="when it was said, ms since the Unix epoch, UTC")

    @property
    def at(self) -> int:
        """Event time, ms."""
        return self.given_at


class _Feedback(_Given):
    feedback_id: Id = Field(description="names this feedback, once in its household; the same id again is a duplicate")
    source: Source = Field(description="how; annotator outranks pin, app and voice; pin without a proof of the person is app")

    @property
    def sender(self) -> str:
        """Whose clock that is; no device has such an id."""
        return f"feedback/{self.source}"


class Join(_Feedback):
    """A person belongs to the household from now on."""

    kind: Literal["join"] = Field(description="what is said")
    person_id: PersonId = Field(description="who")


class Leave(_Feedback):
    """The person belongs to the household no longer."""

    kind: Literal["leave"] = Field(description="what is said")
    person_id: PersonId = Field(description="who")


class Phone(_Feedback):
    """Whose phone it is; `person_id` null: nobody's."""

    kind: Literal["phone"] = Field(description="what is said")
    phone_id: Name = Field(description="the phone, as recognitions name it")
    person_id: PersonId | None = Field(description="its owner; null: nobody")


class Enrol(_Feedback):
    """Guided enrolment: those recognitions are this person's."""

    kind: Literal["enrol"] = Field(description="what is said")
    person_id: PersonId = Field(description="who spoke in all of them")
    event_ids: Annotated[list[Id], Field(min_length=1, max_length=ENROL_EVENTS_MAX)] = Field(
        description="recognitions of the enrolment, 1 to 64"
    )


class Confirm(_Feedback):
    """Yes: the published person was right."""

    kind: Literal["confirm"] = Field(description="what is said")
    event_id: Id = Field(description="the recognition that was answered")


class Reject(_Feedback):
    """No: it was not this person; who it was is not said."""

    kind: Literal["reject"] = Field(description="what is said")
    event_id: Id = Field(description="the recognition that was answered")
    person_id: PersonId = Field(description="who it was not")


class Correct(_Feedback):
    """It was this person (or `guest`)."""

    kind: Literal["correct"] = Field(description="what is said")
    event_id: Id = Field(description="the recognition that was answered")
    person_id: PersonId = Field(description="who it was, or guest")


class Retract(_Feedback):
    """Takes an earlier feedback back."""

    kind: Literal["retract"] = Field(description="what is said")
    retracts: Id = Field(description="the feedback_id that is taken back")


class Erase(_Feedback):
    """Forget a person, or (null) the whole household."""

    kind: Literal["erase"] = Field(description="what is said")
    person_id: PersonId | None = Field(description="whom to forget; null: the whole household")


Feedback = Join | Leave | Phone | Enrol | Confirm | Reject | Correct | Retract | Erase
FeedbackKind = Literal["join", "leave", "phone", "enrol", "confirm", "reject", "correct", "retract", "erase"]
FEEDBACK: TypeAdapter[Feedback] = TypeAdapter(Annotated[Feedback, Discriminator("kind")])


class Consent(_Given):
    """A person lets a client ask about them, or does so no longer; or the home forbids a person what no tier then allows."""

    consent_id: Id = Field(
        description="names what is granted; the same is revoked (or what the home's page calls it), and another grant has another"
    )
    person_id: PersonId = Field(description="who grants it, or to whom it is forbidden: a member")
    client_id: Id | None = Field(description="to whom; null: of a forbid, which holds whichever client asks")
    kind: Literal["grant", "revoke", "forbid"] = Field(description="grant, revoke (either of the others), or forbid")
    scopes: list[Scope] = Field(description="what may be known of the person; of a forbid: none")
    actions: Annotated[list[Id], Field(max_length=8)] = Field(
        description="actions that may be asked for, or that the person may not do; at most 8"
    )
    tier: Annotated[int, Field(ge=1, le=5)] | None = Field(
        None, description="of a forbid: nor any action that asks for this tier (of 0 to 5) or more"
    )
    expires_at: Time | None = Field(description="until when, ms since the Unix epoch, UTC; null: until it is revoked")

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        if self.kind == "forbid" and (self.client_id is not None or self.scopes or not (self.actions or self.tier)):
            raise ValueError("a forbid names actions, a tier or both, and neither a client nor scopes")
        if self.kind == "grant" and (self.client_id is None or self.tier is not None):
            raise ValueError("a grant names a client, and no tier")
        return self

    @property
    def sender(self) -> str:
        """Whose clock that is."""
        return "consents"


class Proof(_Given):
    """A second factor of a person that a verifier saw, signed by it."""

    proof_id: Id = Field(description="names this proof, once in its household; the same id again is a duplicate")
    person_id: PersonId = Field(description="whose second factor it was")
    factor: Factor = Field(description="what it was")
    event_id: Id = Field(description="the recognition that is proven to be theirs")
    nonce: Id = Field(description="of the challenge that was met; the same again proves nothing")
    kid: Id = Field(description="which of the policy's keys signed it")
    signature: str = Field(description="Ed25519 over the canonical JSON (RFC 8785) of all other fields, base64")

    @property
    def sender(self) -> str:
        """Whose clock that is."""
        return f"proofs/{self.kid}"


class Event(NamedTuple):
    """A decoded record: where it stood, what it says, and which parts of that could not be read (words of `reading.LEFT_OUT`)."""

    record: Record
    value: Recognition | Feedback | Consent | Proof | Sighting
    left_out: Sequence[str] = ()
    unlisted: Sequence[Unlisted] = ()


class _Output(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cause(_Output):
    """The input record that made an output."""

    topic: str = Field(description="input topic")
    partition: int = Field(description="its partition, from 0")
    offset: int = Field(description="its offset there, from 0")


Probability = Annotated[float, Field(ge=0, le=1)]


_ACTS_FOR: Final = (
    "only where the recognition named a session: for whom the device acts; up to tier 2 on a personal device the "
    "session's person, else who is named; null: nobody"
)


class Identity(_Output):
    """Who it was: one per recognition, and another `revision` when a later fact changes the answer."""

    v: Version = Field(1, description="version of this form of record")
    event_id: str = Field(description="the recognition that is answered")
    household_id: str = Field(description="whose home it is")
    observed_at: int = Field(description="as in the recognition, ms since the Unix epoch, UTC")
    revision: Annotated[int, Field(ge=0)] = Field(
        description="0: the first answer; each later one is one higher and replaces those before"
    )
    posterior: dict[str, Probability] = Field(description="probability, 0 to 1, of each member and of guest; they add up to 1")
    person_id: str | None = Field(description="the member who is named, at tiers 2 to 5; null at tiers 0 and 1")
    tier: Annotated[int, Field(ge=0, le=5)] = Field(description="authentication confidence level, 0 to 5")
    modalities: list[str] = Field(description="sensors that were used: voice, face, phone")
    policy_id: str = Field(description="16 hex digits that name the policy it was made under")
    cause: Cause = Field(description="the input record that made it")
    acts_for: str | None = Field(None, description=_ACTS_FOR)

    @property
    def likeliest(self) -> str:
        """A member or guest, whether or not the evidence suffices to name them."""
        return max(self.posterior, key=self.posterior.__getitem__)


class Decay(_Output):
    """How a probability moves with time alone: p(t) = to + (p - to) 2^(-(t - since) / half_life_s)."""

    to: Probability = Field(description="where it goes, 0 to 1")
    half_life_s: int = Field(description="in how many seconds it is half way there")


class Presence(_Output):
    """Whether a person is at home and where, as a function of time; each replaces the one before."""

    v: Version = Field(1, description="version of this form of record")
    household_id: str = Field(description="whose home it is")
    person_id: str = Field(description="who, a member")
    home: Probability = Field(description="probability that they are at home, as of `since`, 0 to 1")
    present: bool = Field(description="they are taken to be at home; it does not flap as the probability does")
    rooms: dict[str, Probability] = Field(description="by device: probability that they are there, as of `since`, 0 to 1")
    since: int = Field(description="the home's time when that was so, ms since the Unix epoch, UTC")
    decay: Decay = Field(description="how `home` moves from then on, as long as nothing is seen")
    evidence: list[str] = Field(description="what spoke for them in the hour before: voice, face, phone, activity")
    revision: Annotated[int, Field(ge=0)] = Field(description="0: the first of this person; each later one is one higher")
    cause: Cause = Field(description="the input record that made it")


class Label(_Output):
    """Cross-modal ground truth: an event labelled without asking anyone.

    `withdrawn`: the label no longer holds, and there is none in its place. `unnamed_id`: of a guest who was here before and whom
    nobody has named, the same at every visit; a home may ask "who is this?".
    """

    v: Version = Field(1, description="version of this form of record")
    event_id: str = Field(description="the recognition that is labelled")
    household_id: str = Field(description="whose home it is")
    person_id: str = Field(description="who it was, or guest")
    probability: Probability = Field(description="that the label is right, 0 to 1")
    evidence: list[str] = Field(description="sensors that agreed, two or more; returning: was here before; none if withdrawn")
    revision: Annotated[int, Field(ge=0)] = Field(
        description="0: the first label of this event; each later one is one higher and replaces those before"
    )
    cause: Cause = Field(description="the input record that made it")
    withdrawn: bool = Field(False, description="the label no longer holds, and none takes its place")
    unnamed_id: str | None = Field(
        None, description="a guest who was here before and whom nobody has named, the same at every visit; null: none"
    )


class Prototype(_Output):
    """One reference vector of a person; `embedding` as in `recognitions`, `since` in ms."""

    embedding: str = Field(description="base64 of little-endian IEEE float16, as in recognitions")
    weight: float = Field(description="recordings' worth that stand behind it")
    device_id: str | None = Field(description="the device it is from; null: the folded past of several")
    since: int = Field(description="of the first of them, ms since the Unix epoch, UTC")


class EncoderProfile(_Output):
    """What is known of a person in one vector space."""

    prototypes: list[Prototype] = Field(description="vectors that the person was heard or seen with")
    calibration: dict[str, float] = Field(description="numbers by which a score becomes log odds, nats")


class Health(_Output):
    """How a profile fares: events learnt from, when last met, how far it has moved, how far to trust it (0 to 1).

    `enrolment`: what was wrong with recordings that were enrolled, and so left out where it was clear which they are.
    """

    events: float = Field(description="recognitions' worth that was learnt from")
    last_seen_at: int | None = Field(description="when the person was last met, ms since the Unix epoch, UTC; null: never")
    drift: float = Field(description="how far voice or face has moved, in standard deviations between recordings of one person")
    trust: float = Field(description="how far to rely on it, 0 to 1")
    enrolment: list[Literal["repeated", "apart", "of_another", "of_nobody"]] = Field(
        [], description="what was wrong with recordings that were enrolled"
    )


class Profile(_Output):
    """The refreshed profile of one person, enough for a device to recognise on its own."""

    v: Version = Field(1, description="version of this form of record")
    household_id: str = Field(description="whose home it is")
    person_id: str = Field(description="whose profile")
    revision: int = Field(description="one higher each time it is published")
    updated_at: int = Field(description="of the record that changed it, ms since the Unix epoch, UTC")
    encoders: dict[str, EncoderProfile] = Field(description="by name of the encoder: what is known in its vector space")
    habits: dict[str, dict[str, float]] = Field(
        description="by feature (activity; hour: 0 to 7, of 3 hours each): share of the person's events, 0 to 1"
    )
    phones: list[str] = Field(description="ids of the person's phones")
    health: Health = Field(description="how it fares")
    policy_id: str = Field(description="16 hex digits that name the policy it was made under")
    cause: Cause = Field(description="the input record that made it")


class Signal(_Output):
    """Statistical evidence of change in one household, for the fleet stage; `stream/fleet/step.py` says when one is due.

    `streams`: how many subjects the home is watched for, this one included. `evidence`: of an alarm, what is believed of each
    kind of cause, 0 to 1. `adapted`: of a change that was confirmed, what was done about it.
    """

    v: Version = Field(1, description="version of this form of record")
    signal_id: str = Field(description="names it; the same id again is the same signal")
    household_id: str = Field(description="in whose home")
    person_id: str | None = Field(description="whom it is about; null: nobody")
    device_id: str | None = Field(description="which device it is about; null: none")
    encoder: str | None = Field(description="which vector space it is about; null: none")
    attributes: dict[str, str] = Field(description="of the device, as recognitions tell them")
    kind: str = Field(description="kind of the cause")
    log_e_value: float = Field(description="evidence of change, nats (natural logarithm of an e-value)")
    observed_at: int = Field(description="up to when, ms since the Unix epoch, UTC")
    cause: Cause = Field(description="the input record that made it")
    streams: int | None = Field(None, description="how many subjects the home is watched for, this one included; null: not told")
    evidence: dict[str, float] = Field({}, description="of an alarm: what is believed of each kind of cause, 0 to 1")
    adapted: str | None = Field(None, description="of a change that was confirmed: what was done about it; null: nothing")


class Alert(_Output):
    """The state of a drift alert. With `revision` it is identified for ever; an acknowledged alert says no more until it ends."""

    v: Version = Field(1, description="version of this form of record")
    alert_id: str = Field(description="names the alert; also the record's key")
    household_id: str | None = Field(description="in whose home; null: in several")
    state: Literal["opened", "updated", "resolved", "expired"] = Field(description="what became of it")
    cause_kind: str = Field(description="kind of the cause")
    opened_at: int = Field(description="event time of its beginning, ms since the Unix epoch, UTC")
    updated_at: int = Field(description="event time of this state, ms since the Unix epoch, UTC")
    severity: str = Field(description="low, medium or high")
    summary: str = Field(description="what happened, a sentence")
    suggested_action: str = Field(description="what to do about it, a sentence")
    members: list[str] = Field(description="homes that it is about, as many as are listed")
    evidence: dict[str, Any] = Field(description="what it rests on; e-values are in nats, shares 0 to 1")
    revision: int = Field(description="0: as opened; each later state is one higher")
    person_id: str | None = Field(None, description="whom it is about; null: nobody")
    device_id: str | None = Field(None, description="which device it is about; null: none")
    attributes: dict[str, str] = Field({}, description="what its homes have in common")
    acknowledged_by: str | None = Field(None, description="who has seen it; null: nobody yet")
    change: str | None = Field(None, description="what this state changed or why it ended, a sentence; null: it opened")
    silenced_until: int | None = Field(
        None, description="event time until which it says no more and does not open again, ms since the Unix epoch; null: never"
    )


class Command(_Input):
    """What an operator says of an alert: `acknowledge` (no updates any more), `resolve` or `silence` (not now)."""

    v: Version = Field(description="version of this form of record")
    command_id: Id = Field(description="names this command; the same id again is a duplicate")
    alert_id: Id = Field(description="which alert")
    kind: Literal["acknowledge", "resolve", "silence"] = Field(description="acknowledge, resolve or silence")
    given_at: Time = Field(description="when it was said, ms since the Unix epoch, UTC")
    by: Name = Field(description="who said it")
    until: Time | None = Field(None, description="of silence: until when, ms since the Unix epoch, UTC; null: for a day")


class Decided(_Output):
    """An answer of the decisions API, as it is kept for an audit."""

    v: Version = Field(1, description="version of this form of record")
    decision_id: str = Field(description="names it; one that is withdrawn comes again")
    household_id: str = Field(description="in whose home; also the record's key")
    client_id: str = Field(description="who asked")
    action: str = Field(description="for what")
    event_id: str | None = Field(description="by which recognition; null: there was none")
    revision: int | None = Field(None, description="and by which revision of its answer, from 0; null: there was none")
    required: int | None = Field(description="the least tier of the action, 0 to 5; null: the policy has no such action")
    had: int = Field(description="the tier of the answer, 0 to 5, as far as the client may know it")
    outcome: Literal["allow", "step_up", "deny"] = Field(description="what was decided")
    sub: str | None = Field(description="the person, by the client's own id for them; null: nobody whom it may know of")
    at: int = Field(description="when, ms since the Unix epoch, UTC")
    withdrawn_at: int | None = Field(None, description="when it was taken back, ms since the Unix epoch, UTC; null: it was not")
    cause: Cause | None = Field(None, description="the input record that took it back; null: it was not")


class DeadLetter(_Output):
    """A record that could not be read: its place, its bytes (the first 64 KiB of the value) and why."""

    v: Version = Field(1, description="version of this form of record")
    topic: str = Field(description="input topic of the record")
    partition: int = Field(description="its partition, from 0")
    offset: int = Field(description="its offset there, from 0")
    timestamp: int = Field(description="its own timestamp, ms since the Unix epoch, UTC; -1: it has none")
    key_base64: str | None = Field(description="its key, base64; null: it has none")
    value_base64: str | None = Field(description="its value, base64, the first 64 KiB; null: it has none")
    value_bytes: int = Field(description="how long the value is, bytes")
    reason: str = Field(description="why it could not be used, one word of a closed set")
    detail: str = Field(description="the same as a sentence")


class Journal(_Output):
    """A batch as it was really made: next offsets before and after on both topics of one partition."""

    v: Version = Field(1, description="version of this form of record")
    partition: int = Field(description="of the input topics, from 0")
    offsets_from: dict[str, int] = Field(description="by input topic: next offset before the batch")
    offsets_to: dict[str, int] = Field(description="by input topic: next offset after it")
    count: int = Field(description="records in the batch")
    epoch: int = Field(description="of the worker's claim on the partition; a later claim is higher")
    step_version: int = Field(description="version of the core that made it")
    policy_id: str = Field(description="16 hex digits that name the policy it was made under")

    @property
    def places(self) -> list[str]:
        """Its records, by topic.

        >>> before, after = {"recognitions": 812, "feedback": 2}, {"recognitions": 900, "feedback": 2}
        >>> made = {"partition": 3, "count": 88, "epoch": 1, "step_version": 1, "policy_id": "p"}
        >>> Journal(offsets_from=before, offsets_to=after, **made).places
        ['recognitions[3]@812-899']
        """
        first, end = self.offsets_from, self.offsets_to
        taken = ((topic, first.get(topic, 0), end.get(topic, 0)) for topic in INPUT_TOPICS)
        return [f"{topic}[{self.partition}]@{start}-{stop - 1}" for topic, start, stop in taken if start < stop]


class Output(NamedTuple):
    """What `step` gives: a topic, a key and a model (None: a tombstone). Its partition is that of its cause."""

    topic: str
    key: str | bytes | None
    value: BaseModel | None


MODELS: Final[dict[str, Any]] = {
    "recognitions": Recognition, "feedback": FEEDBACK, "consents": Consent, "proofs": Proof, "sightings": Sighting,
    "identities": Identity, "profiles": Profile, "labels": Label, "presence": Presence,
    "drift-signals": Signal, "drift-alerts": Alert, "drift-commands": Command, "decisions": Decided,
    "journal": Journal, "dead-letters": DeadLetter,
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
