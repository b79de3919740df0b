"""What is remembered of a home, told as numbers and names that a person can follow: no vectors unless they are asked for.

Law: an inspection is a function of the home alone, changes nothing of it, and says nothing that is not in it.
"""

import base64
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, TypeVar

import numpy as np

from learners.precision import MEAN_STEP, SHARE_ONE, SHARE_STEP, VECTOR_STEP
from learners.recognition.projection import Projection
from stream.contract.policy import SOURCES, Policy
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS
from stream.home.messages import CLAIM_KINDS, RETRACT
from stream.home.numbers import policy_numbers
from stream.home.profiles import HABIT_SHARE_MIN
from stream.home.state.household import Household
from stream.home.state.layout import ACTIVITIES_MAX, HOURS, NOT_COUNTED, UNKNOWN
from stream.home.state.names import HASH_BYTES

from .views import (
    ClaimView,
    EventView,
    GuestsView,
    HomeInspection,
    KeptVector,
    PersonInspection,
    PhoneView,
    Recalibrated,
    SenseView,
    SourceView,
    UsualView,
    WaitingView,
)

__all__ = ["inspect_home"]

OWNED_MIN = 0.5  # share of a kept event from which it is called somebody's
SHOWN_MIN = 0.005  # smaller shares say that it was somebody else
_MODALITIES: Final = ("voice", "face", "phone", "habit")  # by the bits of a row's `modalities`
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class _Look:
    """What is looked at, and how closely."""

    household: Household
    home: Any  # its record
    rows: Any  # (kept events,) oldest first
    names: Sequence[str]  # by place: guest first
    policy: Policy
    embeddings: bool

    def word(self, number: int) -> str | None:
        """A word by its number; 0: none."""
        return self.household.words[int(number)] if number else None


def inspect_home(
    household: Household, policy: Policy, size_bytes: int, person_id: str | None = None, embeddings: bool = False
) -> HomeInspection:
    """What is in a home, or of one person of it.

    Parameters
    ----------
    household, policy
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
    if person_id is not None and household.column(person_id) is None:
        raise KeyError(person_id)
    home = household.record
    look = _Look(household, home, _used_entries(home, "rows"), [GUEST, *household.people], policy, embeddings)
    phones, expected = _phones(look), _expected_shares(home, policy)
    waiting = [WaitingView(_hash(entry["event"]), _claim(look, entry["claim"])) for entry in _used_entries(home, "waiting")]
    events = [_event(look, row) for row in look.rows[::-1]]
    return HomeInspection(
        household_id=household.household_id,
        size_bytes=size_bytes,
        stream_time=int(home["stream_time"]),
        events=int(home["next_row"]),
        members=len(household.members),
        people=[
            _person(look, column, phones, expected[column + 1])
            for column, name in enumerate(household.people)
            if person_id in (None, name)
        ],
        others_phones=[] if person_id else [phone for phone in phones if phone.person_id is None],
        guests=_guests(home, expected[0]),
        sources=_sources(home, policy),
        waiting=[one for one in waiting if person_id in (None, one.claim.person_id)],
        ledger=[event for event in events if _concerns(event, person_id)],
    )


def _used_entries(entry: Any, name: str) -> Any:
    """The entries of a list that it has."""
    return entry[name][: int(entry[f"{name}_used"])]


def _hash(number: int) -> str:
    return f"{int(number):0{2 * HASH_BYTES}x}"


def _expected_shares(home: Any, policy: Policy) -> list[float]:
    """Of each place, guest first: the share of the next events that is expected (`presence.log_prior`, written plainly)."""
    people, priors, guests = _used_entries(home, "people"), policy.priors, int(home["guest_presence"]) * SHARE_STEP
    own = [priors.person_weight + int(p["presence"]) * SHARE_STEP if not _departure(p) else 0.0 for p in people]
    if not any(own):
        return [1.0] + [0.0] * len(own)
    counted = guests + sum(int(p["presence"]) * SHARE_STEP for p in people if not _departure(p))
    guest = (priors.guest_share * priors.guest_weight + guests) / (priors.guest_weight + counted)
    return [guest, *((1 - guest) * weight / sum(own) for weight in own)]


def _departure(person: Any) -> int:
    """When somebody left; 0 of who is here."""
    return int(person["memberships"]["left_at"][int(person["memberships_used"]) - 1])


def _person(look: _Look, column: int, phones: Sequence[PhoneView], expected: float) -> PersonInspection:
    home, person, name = look.home, look.home["people"][column], look.names[column + 1]
    senses = [_sense(look, column, gallery) for gallery in range(int(home["galleries_used"]))]
    live = person["live"]
    weights = {
        modality: float(w) for modality, w, known in zip(_MODALITIES, live["weights"], live["known"], strict=False) if known
    }
    return PersonInspection(
        person_id=name,
        here=not _departure(person),
        left_at=_departure(person) or None,
        first_event=int(person["joined_row"]),
        known_since=_known_since(look, column),
        last_seen_at=int(person["last_seen_at"]) or None,
        last_pin_at=int(person["last_pin_at"]) or None,
        events=int(person["events"]) * SHARE_STEP,
        share=expected,
        enrolments=int(person["enrolments_used"]),
        profile_revision=int(person["revision"]) - 1 if person["revision"] else None,
        senses=sorted((sense for sense in senses if sense.recordings), key=attrgetter("encoder")),
        phones=[phone for phone in phones if phone.person_id == name],
        usual=_usual(look, column),
        calibration=Recalibrated(int(live["learnt"]), float(live["offset"]), dict(sorted(weights.items()))),
    )


def _sense(look: _Look, column: int, gallery: int) -> SenseView:
    encoder = str(look.word(look.home["galleries"]["name"][gallery]))
    tails = [tail for tail in _used_entries(look.home["people"][column], "tails") if tail["encoder"] == gallery]
    with_vector = look.rows[(look.rows["encoders"] == gallery + 1).any(axis=1)]
    own = _rows_of(with_vector, column)
    times = own["observed_at"].tolist()
    masses = [float(tail["mass"]) for tail in tails]
    enrolled = sum([mass for tail, mass in zip(tails, masses, strict=True) if not tail["learnt"]])
    return SenseView(
        encoder=encoder,
        modality=look.policy.encoders[encoder].modality,
        recordings=sum(masses) + int(with_vector["shares"][:, column + 1].sum()) * SHARE_STEP,
        kept=dict(Counter(str(look.word(row["device_name"])) for row in own).most_common()),
        oldest_at=min(times, default=None),
        newest_at=max(times, default=None),
        enrolled=enrolled,
        folded=sum(masses) - enrolled,
        vectors=_vectors(look, column, gallery, tails, own) if look.embeddings else [],
    )


def _vectors(look: _Look, column: int, gallery: int, tails: Sequence[Any], own: Any) -> list[KeptVector]:
    projection = look.policy.projection(str(look.word(look.home["galleries"]["name"][gallery])))
    folded = [
        KeptVector(None, None, _ms(tail["day"]), float(tail["mass"]), _embedding(projection, tail["vector"], MEAN_STEP))
        for tail in tails
    ]
    kept = []
    for row in own:
        vector = _embedding(projection, row["vectors"][int(row["encoders"][1] == gallery + 1)], VECTOR_STEP)
        share = int(row["shares"][column + 1]) * SHARE_STEP
        kept.append(KeptVector(_event_id(row), look.word(row["device_name"]), int(row["observed_at"]), share, vector))
    return folded + kept


def _embedding(projection: Projection, steps: Any, step: float) -> str:
    """As in a recognition: the encoder's own numbers, as far as they are kept."""
    vector = steps[: projection.dimensions].astype(np.float32) * np.float32(step)
    return base64.b64encode(projection.restore(vector).astype("<f2").tobytes()).decode()


def _event_id(row: Any) -> str:
    return bytes(row["event_id"][: int(row["event_id_length"])]).decode()


def _ms(day: float) -> int:
    return round(float(day) * DAY_MS)


def _rows_of(rows: Any, column: int) -> Any:
    """Those that are somebody's."""
    return rows[rows["shares"][:, column + 1] >= OWNED_MIN * SHARE_ONE]


def _known_since(look: _Look, column: int) -> int | None:
    tails, own = _used_entries(look.home["people"][column], "tails"), _rows_of(look.rows, column)
    return min([*map(_ms, tails["since"]), *own["observed_at"].tolist()], default=None)


def _phones(look: _Look) -> list[PhoneView]:
    """What was registered last of each."""
    found = []
    for phone in _used_entries(look.home, "phones"):
        last = phone["registrations"][int(phone["registrations_used"]) - 1]
        at_first, person = float(last["prior_log_odds"]), int(last["person"])
        now = at_first + float(last["log_odds"])
        owner = look.names[person] if person else None
        found.append(PhoneView(str(look.word(phone["name"])), owner, _probability(at_first), _probability(now)))
    return sorted(found, key=attrgetter("phone_id"))


def _probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-log_odds))


def _usual(look: _Look, column: int) -> UsualView:
    counts = look.home["people"]["habits"][column].tolist()
    hours, activities = counts[:HOURS], counts[HOURS : HOURS + ACTIVITIES_MAX]
    names = [look.word(number) for number in look.home["activities"].tolist()]
    devices = Counter(str(look.word(row["device_name"])) for row in _rows_of(look.rows, column))
    return UsualView(
        _habits(dict(zip(range(0, 24, 24 // HOURS), hours, strict=True)), counts[-2]),
        _most_first(_habits({name: n for name, n in zip(names, activities, strict=True) if name is not None}, counts[-1])),
        _most_first({device: number / devices.total() for device, number in devices.items()}),
    )


def _habits(counts: dict[Key, float], total: float) -> dict[Key, float]:
    """Shares of what is not too rare to be in a profile."""
    return {key: round(count / total, 4) for key, count in counts.items() if total > 0 and count > HABIT_SHARE_MIN * total}


def _most_first(shares: dict[str, float]) -> dict[str, float]:
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _guests(home: Any, share: float) -> GuestsView:
    with_guest, guests, with_member, members = home["strangers"].tolist()
    return GuestsView(
        share,
        int(home["guest_presence"]) * SHARE_STEP,
        with_guest / guests if guests else None,
        with_member / members if members else None,
    )


def _sources(home: Any, policy: Policy) -> list[SourceView]:
    numbers, found = policy_numbers(policy)[0], []
    for number, source in enumerate(SOURCES):
        right, wrong = (int(home["sources"][name][number]) * SHARE_STEP for name in ("right", "wrong"))
        prior, against = float(numbers["prior_right"][number]), float(numbers["prior_wrong"][number])
        found.append(SourceView(source, (prior + right) / (prior + right + against + wrong), right + wrong))
    return found


def _claim(look: _Look, claim: Any) -> ClaimView:
    person, right = int(claim["person"]), int(claim["right"])
    return ClaimView(
        feedback=_hash(claim["feedback"]),
        source=SOURCES[int(claim["source"])],
        kind=CLAIM_KINDS[int(claim["kind"])],
        person_id=None if person == UNKNOWN or claim["kind"] == RETRACT else look.names[person],
        given_at=int(claim["given_at"]),
        right=None if right == NOT_COUNTED else right * SHARE_STEP,
    )


def _event(look: _Look, row: Any) -> EventView:
    shares = {name: int(steps) * SHARE_STEP for name, steps in zip(look.names, row["shares"], strict=False)}
    named, label, bits = int(row["named"]), int(row["label"]), int(row["modalities"])
    heard = [str(look.word(look.home["phones"]["name"][phone])) for phone in _used_entries(row, "sightings")["phone"]]
    return EventView(
        number=int(row["number"]),
        event_id=_event_id(row),
        at=int(row["observed_at"]),
        device_id=str(look.word(row["device_name"])),
        activity=look.word(row["activity"]),
        heard=heard if row["scanned"] else None,
        stranger=bool(row["stranger"]),
        modalities=[modality for number, modality in enumerate(_MODALITIES) if bits >> number & 1],
        shares=_most_first({name: share for name, share in shares.items() if share >= SHOWN_MIN}),
        named=look.names[named] if named else None,
        tier=int(row["tier"]),
        revision=int(row["revision"]),
        label=look.names[label - 1] if label else None,
        claims=[_claim(look, claim) for claim in _used_entries(row, "claims")],
    )


def _concerns(event: EventView, person_id: str | None) -> bool:
    return person_id is None or person_id in event.shares or any(claim.person_id == person_id for claim in event.claims)
