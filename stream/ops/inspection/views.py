"""What an inspection consists of: numbers and names that a person can follow.

Law: times are ms since 1970 UTC, as in the records; a share is between 0 and 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

__all__ = [
    "ClaimView", "EventView", "GuestsView", "HomeInspection", "KeptVector", "PersonInspection", "PhoneView", "Recalibrated",
    "SenseView", "SourceView", "UsualView", "WaitingView",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class KeptVector:
    """One vector that is kept. `event_id` None: the mean of `mass` recordings that are no longer kept one by one."""

    event_id: str | None
    device_id: str | None
    at: int
    mass: float
    embedding: str  # base64 of little-endian float16, as in a recognition


@dataclass(frozen=True, slots=True)
class SenseView:
    """What is known of one person to one encoder.

    `recordings` weighs everything; of the kept events (theirs by at least half) there is the number by device and the oldest
    and newest. `enrolled` and `folded`: recordings' worth of what was enrolled by hand, and of all else, kept only as a mean.
    """

    encoder: str
    modality: str
    recordings: float
    kept: dict[str, int]
    oldest_at: int | None
    newest_at: int | None
    enrolled: float
    folded: float
    vectors: Sequence[KeptVector] = ()


@dataclass(frozen=True, slots=True)
class PhoneView:
    """A phone, whose it was said to be last, and how surely it goes with them: when it was registered, and now."""

    phone_id: str
    person_id: str | None
    trust_at_first: float
    trust: float


@dataclass(frozen=True, slots=True)
class UsualView:
    """Habits: shares of what a person did by the hour it began at (UTC), by activity; and of the kept events by device."""

    hours: dict[int, float]
    activities: dict[str, float]
    devices: dict[str, float]


@dataclass(frozen=True, slots=True)
class Recalibrated:
    """How this person's evidence is weighed, learnt from so many comparisons; 0: as everybody's (weights 1, offset 0 nats)."""

    comparisons: int
    offset: float
    weights: dict[str, float]


@dataclass(frozen=True, slots=True)
class PersonInspection:
    """A member, or one who left a short while ago (`left_at`)."""

    person_id: str
    here: bool
    left_at: int | None
    first_event: int  # the number of the home's first event after they joined
    known_since: int | None  # the oldest thing that is still known of them; None: nothing is
    last_seen_at: int | None
    last_pin_at: int | None
    events: float  # how many events' worth was learnt, ever
    share: float  # of the home's next events that are expected to be theirs
    enrolments: int
    profile_revision: int | None
    senses: Sequence[SenseView]
    phones: Sequence[PhoneView]
    usual: UsualView
    calibration: Recalibrated


@dataclass(frozen=True, slots=True)
class GuestsView:
    """What is expected of guests: their share of events, and how often an unregistered phone is heard with them, or without."""

    share: float
    events: float
    phone_with_guest: float | None
    phone_with_member: float | None


@dataclass(frozen=True, slots=True)
class SourceView:
    """How honest a way of giving feedback is held to be, after so many claims that could be compared with the sensors."""

    source: str
    honesty: float
    claims: float


@dataclass(frozen=True, slots=True)
class ClaimView:
    """What a feedback says of an event.

    `feedback`: the hash of its id (`home.state.names.hashed`), which is all that is kept of it. `person_id` None: whoever
    will be named when the event comes. `right`: as right as it was counted, None if it was not.
    """

    feedback: str
    source: str
    kind: str
    person_id: str | None
    given_at: int
    right: float | None


@dataclass(frozen=True, slots=True)
class WaitingView:
    """A feedback that came before what it is about; `about`: the hash of that event's id, of a retraction of that feedback's."""

    about: str
    claim: ClaimView


@dataclass(frozen=True, slots=True)
class EventView:
    """A row of the ledger: one answered event, as it stands now. `shares`: who it was, by name, but for the smallest."""

    number: int
    event_id: str
    at: int
    device_id: str
    activity: str | None
    heard: Sequence[str] | None  # registered phones; None: the device did not scan
    stranger: bool  # a phone was heard that nobody had registered
    modalities: Sequence[str]
    shares: dict[str, float]
    named: str | None
    tier: int
    revision: int
    label: str | None
    claims: Sequence[ClaimView]


@dataclass(frozen=True, slots=True)
class HomeInspection:
    """A home of so many `members` now. `events` were answered in all; the ledger has the last of them, newest first."""

    household_id: str
    size_bytes: int
    stream_time: int
    events: int
    members: int
    people: Sequence[PersonInspection]
    others_phones: Sequence[PhoneView]
    guests: GuestsView
    sources: Sequence[SourceView]
    waiting: Sequence[WaitingView]
    ledger: Sequence[EventView] = field(repr=False)
