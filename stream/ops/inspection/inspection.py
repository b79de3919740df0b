"""What is remembered of a home, told as numbers and names that a person can follow: no vectors unless they are asked for.

Law: an inspection is a function of the home alone, changes nothing of it, and says nothing that is not in it. Times are ms
since 1970 UTC, as in the records; a share is between 0 and 1.
"""

import base64
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from learners.precision import SHARE_STEP
from learners.recognition.gallery import ANCHOR, REST, SoftPrototypes
from learners.recognition.projection import Floats
from stream.contract.policy import Policy
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS, HOUR_MS
from stream.home.recognition.evidence import HOUR_BIN_MS
from stream.home.state.home import Home
from stream.home.state.ledger import Claim, Row

__all__ = [
    "ClaimView", "EventView", "GuestsView", "HomeInspection", "KeptVector", "PersonInspection", "PhoneView", "Recalibrated",
    "SenseView", "SourceView", "UsualView", "WaitingView", "inspect_home",
]  # fmt: skip

OWNED_MIN = 0.5  # share of a kept event from which it is called somebody's
SHOWN_MIN = 0.005  # smaller shares say that it was somebody else


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
    """What a feedback says of an event; `right`: as honest as it was counted, None if it was not."""

    feedback_id: str
    source: str
    kind: str
    person_id: str
    given_at: int
    right: float | None


@dataclass(frozen=True, slots=True)
class WaitingView:
    """A feedback that came before what it is about."""

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
    heard: Sequence[str] | None  # phones; None: the device did not scan
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


@dataclass(frozen=True, slots=True)
class _Look:
    """What is looked at, and how closely."""

    home: Home
    policy: Policy
    embeddings: bool


def inspect_home(
    home: Home, policy: Policy, size_bytes: int, person_id: str | None = None, embeddings: bool = False
) -> HomeInspection:
    """What is in a home, or of one person of it.

    Parameters
    ----------
    home, policy
        A home, and the policy it was decoded with.
    size_bytes
        What it weighs at rest.
    person_id
        Only this person, their phones, and the events that may have been theirs or that somebody said something of them.
    embeddings
        With the vectors that are kept.

    Raises
    ------
    KeyError
        Nobody of that name lives here, or did a short while ago.
    """
    if person_id is not None and home.column(person_id) is None:
        raise KeyError(person_id)
    look, phones = _Look(home, policy, embeddings), _phones(home)
    expected = [math.exp(x) for x in home.presence.log_prior([p.present for p in home.people])]
    events = [_event(home, row) for row in reversed(home.rows)]
    return HomeInspection(
        household_id=home.household_id,
        size_bytes=size_bytes,
        stream_time=home.stream_time,
        events=home.next_row,
        members=sum(person.present for person in home.people),
        people=[
            _person(look, column, phones, expected[column + 1])
            for column, person in enumerate(home.people)
            if person_id in (None, person.person_id)
        ],
        others_phones=[] if person_id else [phone for phone in phones if phone.person_id is None],
        guests=_guests(home, expected[0]),
        sources=[SourceView(s, h.predict_one(), (h.right_steps + h.wrong_steps) * SHARE_STEP) for s, h in home.honesty.items()],
        waiting=[WaitingView(w.event_id, _claim(w.claim)) for w in home.waiting if person_id in (None, w.claim.person_id)],
        ledger=[event for event in events if _concerns(event, person_id)],
    )


def _person(look: _Look, column: int, phones: Sequence[PhoneView], expected: float) -> PersonInspection:
    home, person = look.home, look.home.people[column]
    senses = [_sense(look, column, encoder) for encoder in sorted(home.spaces)]
    comparisons, offset, weights = person.live.state()
    return PersonInspection(
        person_id=person.person_id,
        here=person.present,
        left_at=person.left_at,
        first_event=person.joined_row,
        known_since=_known_since(home, column),
        last_seen_at=person.last_seen_at,
        last_pin_at=person.last_pin_at,
        events=person.events,
        share=expected,
        enrolments=len(person.enrolled),
        profile_revision=person.revision - 1 if person.revision else None,
        senses=[sense for sense in senses if sense.recordings],
        phones=[phone for phone in phones if phone.person_id == person.person_id],
        usual=_usual(home, column, person.person_id),
        calibration=Recalibrated(comparisons, offset, weights),
    )


def _sense(look: _Look, column: int, encoder: str) -> SenseView:
    space = look.home.spaces[encoder]
    own = [row for row in _rows_of(look.home, column) if row.number in space]
    times = [row.observed_at for row in own]
    tails = space.tails(column)
    return SenseView(
        encoder=encoder,
        modality=look.policy.encoders[encoder].modality,
        recordings=float(space.mass()[column]),
        kept=dict(Counter(row.device_id for row in own).most_common()),
        oldest_at=min(times, default=None),
        newest_at=max(times, default=None),
        enrolled=sum([tail.mass for tail in tails if tail.which == ANCHOR]),
        folded=sum([tail.mass for tail in tails if tail.which == REST]),
        vectors=_vectors(space, column, own) if look.embeddings else [],
    )


def _vectors(space: SoftPrototypes, column: int, own: Sequence[Row]) -> list[KeptVector]:
    folded = [
        KeptVector(None, None, round(tail.time * DAY_MS), tail.mass, _embedding(space, tail.vector))
        for tail in space.tails(column)
    ]
    vectors = [_embedding(space, space.vector(row.number)) for row in own]
    return folded + [
        KeptVector(row.event_id, row.device_id, row.observed_at, row.shares[column + 1], vector)
        for row, vector in zip(own, vectors, strict=True)
    ]


def _embedding(space: SoftPrototypes, vector: Floats) -> str:
    """As in a recognition: the encoder's own numbers, as far as they are kept."""
    return base64.b64encode(space.projection.restore(vector).astype("<f2").tobytes()).decode()


def _rows_of(home: Home, column: int) -> list[Row]:
    return [row for row in home.rows if row.shares[column + 1] >= OWNED_MIN]


def _known_since(home: Home, column: int) -> int | None:
    tails = [tail for space in home.spaces.values() for tail in space.tails(column)]
    times = [round(tail.since * DAY_MS) for tail in tails] + [row.observed_at for row in _rows_of(home, column)]
    return min(times, default=None)


def _phones(home: Home) -> list[PhoneView]:
    told = []
    for phone_id, phone in sorted(home.phones.items()):
        last = phone.registrations[-1]
        at_first = 1 / (1 + math.exp(-last.reliability.prior_log_odds))
        told.append(PhoneView(phone_id, last.person_id, at_first, last.reliability.predict_one()))
    return told


def _usual(home: Home, column: int, person_id: str) -> UsualView:
    shares = home.habits.of(person_id)
    hours = {int(bin_) * HOUR_BIN_MS // HOUR_MS: share for bin_, share in shares.get("hour", {}).items()}
    devices = Counter(row.device_id for row in _rows_of(home, column))
    return UsualView(
        dict(sorted(hours.items())),
        _most_first(shares.get("activity", {})),
        _most_first({device: number / devices.total() for device, number in devices.items()}),
    )


def _most_first(shares: dict[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _guests(home: Home, share: float) -> GuestsView:
    heard = home.strangers
    return GuestsView(
        share,
        home.presence.guest_steps * SHARE_STEP,
        heard.with_guest / heard.guests if heard.guests else None,
        heard.with_member / heard.members if heard.members else None,
    )


def _claim(claim: Claim) -> ClaimView:
    return ClaimView(claim.feedback_id, claim.source, claim.kind, claim.person_id, claim.given_at, claim.right)


def _event(home: Home, row: Row) -> EventView:
    names = [GUEST, *(person.person_id for person in home.people)]
    shares = {name: share for name, share in zip(names, row.shares, strict=True) if share >= SHOWN_MIN}
    return EventView(
        number=row.number,
        event_id=row.event_id,
        at=row.observed_at,
        device_id=row.device_id,
        activity=row.activity,
        heard=None if row.sightings is None else [sighting.phone_id for sighting in row.sightings],
        modalities=row.modalities,
        shares=_most_first(shares),
        named=row.named,
        tier=row.tier,
        revision=row.revision,
        label=row.label,
        claims=[_claim(claim) for claim in row.claims],
    )


def _concerns(event: EventView, person_id: str | None) -> bool:
    return person_id is None or person_id in event.shares or any(claim.person_id == person_id for claim in event.claims)
