"""The ledger: the last events of a home as they were answered, each waiting for what may yet be said about it.

Law: what was learnt from an event is a function of its row, so that a claim, its replacement or its retraction undoes
exactly what the earlier one had done. Bounded in number and in age; what leaves is folded into its owners' tails.
"""

from dataclasses import dataclass
from typing import Final

import msgspec

from learners.precision import SHARE_STEP
from stream.contract.records import Source

__all__ = ["CLAIMS_MAX", "Claim", "Names", "Row", "Shares", "Sighting", "Waiting", "contradict", "rank"]

Shares = tuple[float, ...]  # guest, then every column
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


class Claim(msgspec.Struct, gc=False):
    """What a feedback says about one event: it was (or was not) `person_id`; `right`: as honest as it was counted."""

    feedback_id: str
    source: Source
    kind: str  # confirm, reject, correct or enrol
    person_id: str
    given_at: int
    right: float | None = None  # None: not counted towards its source's honesty
    nats: float = 0.0  # what it weighs, fixed when it was counted
    day: int = 0  # of stream time, when it was counted


def rank(claim: Claim) -> tuple[bool, int, int]:
    """Of two claims about one event the greater holds: enrolment, then the source, then the later one."""
    return claim.kind == "enrol", _RANKS[claim.source], claim.given_at


def contradict(one: Claim, other: Claim) -> bool:
    """Whether two claims about one event cannot both be true."""
    if (one.kind == "reject") == (other.kind == "reject"):
        return one.kind != "reject" and one.person_id != other.person_id
    return one.person_id == other.person_id


class Sighting(msgspec.Struct, frozen=True, gc=False):
    """A registered phone and its signal, dBm."""

    phone_id: str
    rssi_dbm: float


class Row(msgspec.Struct, gc=False):
    """One answered event. A town has millions of them: what they hold is immutable, so that no garbage collection looks at them.

    `evidence` is the posterior of the sensors and the prior alone, `shares` with the claims: guest first, then every column,
    multiples of SHARE_STEP. `llr` has each modality's log-likelihood ratios by column, as they were at the answer.
    """

    number: int
    event_id: str
    observed_at: int
    device_id: str
    activity: str | None
    encoders: tuple[str, ...]  # whose vectors are kept under this row's number
    sightings: tuple[Sighting, ...] | None  # None: the device did not scan
    stranger: bool  # a phone that nobody had registered was heard
    evidence: Shares
    shares: Shares
    llr: dict[str, tuple[float, ...]]
    unnamed: int | None = None  # of the first event of the same unnamed person; None: nobody like them was here
    weighed: int = 0  # the number of the next event when it was last inferred
    counted: bool = False  # its shares are in presence and habits (guided enrolment is neither)
    tier: int = 0
    named: str | None = None
    revision: int = 0
    label: str | None = None
    label_revision: int = -1  # of the last label published
    claims: tuple[Claim, ...] = ()
    first_tier: int = 0  # of the first answer
    first_named: str | None = None  # by the first answer
    packed: msgspec.Raw | None = None  # as it is kept; None since it changed

    @property
    def said(self) -> list[str]:
        """The names that stand in the row as it is kept, but for those of people."""
        phones = [s.phone_id for s in self.sightings or ()]
        activity = [] if self.activity is None else [self.activity]
        return [self.device_id, *activity, *self.encoders, *self.llr, *phones]

    @property
    def holding(self) -> Claim | None:
        """The claim that counts, of all that were made."""
        return max(self.claims, key=rank) if self.claims else None

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
        self.evidence, self.shares = (*self.evidence, 0.0), (*self.shares, 0.0)
        self.llr = {modality: (*values, 0.0) for modality, values in self.llr.items()}

    def remove_column(self, column: int) -> None:
        """Take a person out; what was theirs is a guest's."""
        self.packed = None
        self.evidence, self.shares = _without(self.evidence, column), _without(self.shares, column)
        self.llr = {modality: values[:column] + values[column + 1 :] for modality, values in self.llr.items()}


def _without(shares: Shares, column: int) -> Shares:
    guest = min(1.0, round((shares[0] + shares[column + 1]) / SHARE_STEP) * SHARE_STEP)
    return (guest, *shares[1 : column + 1], *shares[column + 2 :])


@dataclass(slots=True)
class Waiting:
    """A claim (or a retraction: `event_id` is then the feedback it takes back) that came before its object."""

    event_id: str
    claim: Claim
