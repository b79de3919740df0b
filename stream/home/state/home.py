"""The state of one household: everything that is remembered, and nothing that could be derived.

Law: every number here is at stored precision, so that a home that was written and read back goes on as the one that
was not. Columns of people (of shares, evidence, prototypes) are numbered as in `people`; where a list has the guest, it is
first. `step` owns a Home and changes it in place.
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from learners.feedback.annotators import Allowance, Honesty
from learners.recognition.calibration import Recalibration
from learners.recognition.gallery import SoftPrototypes
from learners.recognition.habits import Habits
from learners.recognition.phones import PhoneReliability, StrangerPhones
from learners.recognition.presence import Presence
from learners.recognition.thresholds import Threshold
from stream.contract.policy import SOURCES, Policy
from stream.contract.records import GUEST, Source

from .ledger import Claim, Names, Row, Waiting
from .monitors import Watch
from .seen import SeenIds

__all__ = [
    "MEMBERSHIPS_MAX", "NAMES_MAX", "RELAPSE_STEP", "TIERS", "CalibrationState", "Disbelief", "Folded", "Home",
    "Membership", "Panel", "Person", "PhoneState", "Registration",
]  # fmt: skip

NAMES_MAX: Final = 256  # beyond that those no longer in use are forgotten
MEMBERSHIPS_MAX: Final = 4  # of one person: older ones can no longer be retracted
RELAPSE_STEP: Final = 1 / 16  # of evidence that a profile got worse
REGISTRATIONS_MAX: Final = 4  # of one phone: older ones can no longer be retracted

TIERS: Final = 4  # the fifth is the fourth and a PIN

CalibrationState = tuple[int, float, dict[str, float]]
Folded = tuple[int, list[str]]  # in which tails (ANCHOR, REST), and of whom, what was learnt by a claim stands


@dataclass(slots=True)
class Membership:
    """From one `join` on, until a `leave`; known by the feedback that said so, and ended at a time (ms)."""

    joined_by: str
    left_at: int | None = None
    left_by: str | None = None


@dataclass(slots=True)
class Person:
    """A member of the household, or one who left a short while ago."""

    person_id: str
    joined_row: int  # the number of the first event after the first `join`
    memberships: list[Membership]  # oldest first; more than one of who left and soon came back
    enrolled: list[str] = field(default_factory=list)  # guided enrolments that stand, by feedback id
    calibration: CalibrationState | None = None  # learnt from claims on events that have left the ledger
    events: float = 0.0  # how many events' worth was learnt, ever
    last_seen_at: int | None = None
    last_pin_at: int | None = None
    revision: int = 0  # of the next profile
    published_events: float = 0.0
    relapse: dict[str, float] = field(default_factory=dict)  # by modality: evidence that enrolment alone is the better profile
    live: Recalibration = field(default_factory=Recalibration, repr=False)  # `calibration` and the ledger's claims; derived

    def calibrated(self) -> Recalibration:
        """The calibration as it stood before the ledger's claims; a new one each time."""
        return Recalibration.restored(self.calibration) if self.calibration else Recalibration()

    @property
    def present(self) -> bool:
        """Belongs to the household now."""
        return self.memberships[-1].left_at is None

    @property
    def left_at(self) -> int | None:
        """When they left, ms; None of who is here."""
        return self.memberships[-1].left_at


@dataclass(slots=True)
class Registration:
    """From which event on a phone was said to be whose, and how far that proved true."""

    feedback_id: str
    from_row: int
    person_id: str | None
    reliability: PhoneReliability


@dataclass(slots=True)
class PhoneState:
    """What was said of one phone, oldest first."""

    registrations: list[Registration] = field(default_factory=list)

    def at(self, row: int) -> Registration | None:
        """The registration that held at an event."""
        for registration in reversed(self.registrations):
            if registration.from_row <= row:
                return registration
        return None

    def register(self, registration: Registration) -> None:
        self.registrations.append(registration)
        del self.registrations[:-REGISTRATIONS_MAX]


@dataclass(slots=True)
class Disbelief:
    """A source, or a person spoken of, whose claims contradict the sensors again and again; `told_at`: when last, ms."""

    source: Source | None
    person_id: str | None
    held: bool = False  # out: no claim of this run counts
    told_at: int = 0

    @property
    def key(self) -> tuple[Source | None, str | None]:
        """Which run it is."""
        return self.source, self.person_id

    def concerns(self, claim: Claim) -> bool:
        """Whether a claim is part of the run."""
        return claim.kind != "enrol" and (claim.source == self.source or claim.person_id == self.person_id)


class Panel(NamedTuple):
    """What an answer needs to know of people and phones, by column; derived, and the same until something is said of them."""

    names: list[str]
    present: list[bool]
    enrolled: list[bool]
    calibrated: list[tuple[int, Recalibration]]  # of whom claims have taught something
    phones: list[tuple[str, int, PhoneReliability]]  # registered to somebody of the home: id, column, trust
    unanchored: bool  # whether somebody present never enrolled


@dataclass(slots=True)
class Home:
    """Everything remembered about one household."""

    household_id: str
    presence: Presence
    seen: SeenIds = field(default_factory=SeenIds)
    stream_time: int = 0  # the greatest time of any record, ms
    next_row: int = 0  # the number of the next event
    next_rebuild: int = 0  # at that number everything is weighed anew (people who never enrolled)
    people: list[Person] = field(default_factory=list)
    phones: dict[str, PhoneState] = field(default_factory=dict)
    strangers: StrangerPhones = field(default_factory=StrangerPhones)
    rows: list[Row] = field(default_factory=list)  # the ledger: the last events, oldest first
    names: Names = field(default_factory=lambda: Names([GUEST]))  # that stand in packed rows
    waiting: list[Waiting] = field(default_factory=list)
    folded: dict[int, Folded] = field(default_factory=dict)  # by hashed feedback: claims that have left the ledger
    spaces: dict[str, SoftPrototypes] = field(default_factory=dict)  # by encoder
    habits: Habits = field(default_factory=Habits)
    honesty: dict[Source, Honesty] = field(default_factory=dict)
    allowances: dict[Source, Allowance] = field(default_factory=dict)
    disbelief: list[Disbelief] = field(default_factory=list)
    thresholds: list[tuple[Threshold, Threshold]] = field(  # by tier: of guests answered as members, of members as others
        default_factory=lambda: [(Threshold(), Threshold()) for _ in range(TIERS)]
    )
    watch: Watch = field(default_factory=Watch)  # for change
    known: Panel | None = field(default=None, repr=False)  # see `panel`; None since something was said

    @classmethod
    def new(cls, household_id: str, policy: Policy) -> "Home":
        """A household of which nothing is known."""
        p = policy.priors
        presence = Presence(p.guest_share, p.guest_weight, p.person_weight, p.presence_events_max)
        habits = Habits(policy.learning.habits_half_life_days)
        honesty, allowances = {s: policy.honesty(s) for s in SOURCES}, {s: Allowance() for s in SOURCES}
        return cls(household_id, presence, habits=habits, honesty=honesty, allowances=allowances)

    @property
    def panel(self) -> Panel:
        """People and phones as they now are. Whoever changes them sets `known` to None."""
        if self.known is None:
            columns = {p.person_id: column for column, p in enumerate(self.people)}
            latest = [(phone_id, phone.registrations[-1]) for phone_id, phone in self.phones.items()]
            self.known = Panel(
                list(columns), [p.present for p in self.people], [bool(p.enrolled) for p in self.people],
                [(column, p.live) for column, p in enumerate(self.people) if p.live.learnt],
                [(i, columns[r.person_id], r.reliability) for i, r in latest if r.person_id in columns],
                any(p.present and not p.enrolled for p in self.people),
            )  # fmt: skip
        return self.known

    def column(self, person_id: str) -> int | None:
        """The column of a person, also of one who left a short while ago."""
        for i, person in enumerate(self.people):
            if person.person_id == person_id:
                return i
        return None

    def member(self, person_id: str) -> int | None:
        """The column of a person who belongs to the household now."""
        column = self.column(person_id)
        return column if column is not None and self.people[column].present else None

    @property
    def unanchored(self) -> bool:
        """Whether somebody of the household never enrolled, so that kept events are weighed anew now and then."""
        return self.panel.unanchored

    def row(self, event_id: str) -> Row | None:
        """The ledger's row of an event."""
        return next((r for r in self.rows if r.event_id == event_id), None)

    def learn_names(self) -> None:
        """Number anew the names that stand in rows, and those of people; others are forgotten."""
        self.names = Names([])
        self.names.learn(GUEST, *(p.person_id for p in self.people))
        for row in self.rows:
            row.packed = None
            self.names.learn(*row.said)

    def space(self, encoder: str, policy: Policy) -> SoftPrototypes:
        """The kept vectors of an encoder; an empty space at its first vector."""
        if encoder not in self.spaces:
            self.spaces[encoder] = SoftPrototypes(policy.projection(encoder), len(self.people), policy.forgetting)
        return self.spaces[encoder]
