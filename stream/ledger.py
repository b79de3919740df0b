"""The ledger: the last events of a home as they were answered, each waiting for what may yet be said about it.

Law: what was learnt from an event is a function of its row, so that a claim, its replacement or its retraction undoes
exactly what the earlier one had done. Bounded in number and in age; what leaves is folded into its owners' tails.
"""

from dataclasses import dataclass, field
from typing import Final

from learners.prototypes import SHARE_STEP

from .records import Source

__all__ = ["CLAIMS_MAX", "Claim", "Names", "Row", "Sighting", "Waiting", "contradict", "rank"]

CLAIMS_MAX: Final = 6  # kept per event; beyond that the lowest in rank goes
_RANKS: Final[dict[Source, int]] = {"voice": 0, "app": 1, "pin": 2, "annotator": 3}


class Names:
    """Names that recur in rows (people, devices, activities, phones), each kept once under a number."""

    def __init__(self, names: list[str]) -> None:
        self.listed = names
        self._numbers = {name: i for i, name in enumerate(names)}

    def learn(self, *names: str) -> None:
        """Give each name that has none the next number."""
        for name in names:
            if name not in self._numbers:
                self._numbers[name] = len(self.listed)
                self.listed.append(name)

    def number(self, name: str) -> int:
        """The number of a name that was learnt."""
        return self._numbers[name]


@dataclass(slots=True)
class Claim:
    """What a feedback says about one event: it was (or was not) `person_id`; `right`: as honest as it was counted."""

    feedback_id: str
    source: Source
    kind: str  # confirm, reject, correct or enrol
    person_id: str
    given_at: int
    right: float | None = None  # None: not counted towards its source's honesty
    believed: float = 1.0  # how honest its source was held to be when it came


def rank(claim: Claim) -> tuple[bool, int, int]:
    """Of two claims about one event the greater holds: enrolment, then the source, then the later one."""
    return claim.kind == "enrol", _RANKS[claim.source], claim.given_at


def contradict(one: Claim, other: Claim) -> bool:
    """Whether two claims about one event cannot both be true."""
    if (one.kind == "reject") == (other.kind == "reject"):
        return one.kind != "reject" and one.person_id != other.person_id
    return one.person_id == other.person_id


@dataclass(slots=True)
class Sighting:
    """A registered phone and its signal, dBm."""

    phone_id: str
    rssi_dbm: float


@dataclass(slots=True)
class Row:
    """One answered event.

    `evidence` is the posterior of the sensors and the prior alone, `shares` with the claims: guest first, then every column,
    multiples of SHARE_STEP. `llr` has each modality's log-likelihood ratios by column, as they were at the answer.
    """

    number: int
    event_id: str
    observed_at: int
    device_id: str
    activity: str | None
    encoders: list[str]  # whose vectors are kept under this row's number
    sightings: list[Sighting] | None  # None: the device did not scan
    stranger: bool  # a phone that nobody had registered was heard
    evidence: list[float]
    shares: list[float]
    llr: dict[str, list[float]]
    counted: bool = False  # its shares are in presence and habits (guided enrolment is neither)
    tier: int = 0
    named: str | None = None
    revision: int = 0
    label: str | None = None
    label_revision: int = -1  # of the last label published
    claims: list[Claim] = field(default_factory=list)
    packed: bytes | None = field(default=None, repr=False, compare=False)  # as it is kept; None since it changed

    @property
    def said(self) -> list[str]:
        """The names that stand in the row as it is kept, but for those of people."""
        phones = [s.phone_id for s in self.sightings or ()]
        activity = [] if self.activity is None else [self.activity]
        return [self.device_id, *activity, *self.encoders, *self.llr, *phones]

    @property
    def holding(self) -> Claim | None:
        """The claim that counts, of all that were made."""
        return max(self.claims, key=rank, default=None)

    @property
    def enrolled(self) -> bool:
        holding = self.holding
        return holding is not None and holding.kind == "enrol"

    @property
    def modalities(self) -> list[str]:
        return [*self.llr]

    def add_column(self) -> None:
        """One more person, who has no share of this event."""
        self.packed = None
        self.evidence.append(0.0)
        self.shares.append(0.0)
        for values in self.llr.values():
            values.append(0.0)

    def remove_column(self, column: int) -> None:
        """Take a person out; what was theirs is a guest's."""
        self.packed = None
        for shares in (self.evidence, self.shares):
            shares[0] = min(1.0, round((shares[0] + shares.pop(column + 1)) / SHARE_STEP) * SHARE_STEP)
        for values in self.llr.values():
            values.pop(column)


@dataclass(slots=True)
class Waiting:
    """A claim (or a retraction: `event_id` is then the feedback it takes back) that came before its object."""

    event_id: str
    claim: Claim
