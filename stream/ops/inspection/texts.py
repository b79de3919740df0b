"""An inspection in words, in sections, for whoever runs the system or lives in the home.

Law: every word is about something in the inspection; what is not there is not told, and what is unusual is not rounded away.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from stream.contract.units import DAY_MS, HOUR_MS

from .views import (
    ClaimView,
    EventView,
    HomeInspection,
    PersonInspection,
    PhoneView,
    Recalibrated,
    SenseView,
    SourceView,
    WaitingView,
)

__all__ = ["Section", "texts_of"]

_SHOWN_MAX: Final = 4  # of habits, or of the people an event may have been of: the rest is little
_RECORDINGS_MIN: Final = 0.05  # less would be told as 0
_TIERS: Final = ("unknown", "present", "personal", "private", "purchase", "protected")


class Section(NamedTuple):
    """A heading with lines."""

    title: str
    lines: Sequence[str]


def texts_of(inspection: HomeInspection, events_max: int = 10) -> Iterator[Section]:
    """The sections of an inspection; those with nothing to tell are left out.

    Parameters
    ----------
    events_max
        How many rows of the ledger are told, the latest first.
    """
    yield Section(f"Household {inspection.household_id}", list(_home(inspection)))
    for person in inspection.people:
        yield Section(_who(person), list(_person(person, inspection.stream_time)))
    if not inspection.people:
        yield Section("People", ["nobody has joined yet, so everybody is a guest"])
    yield Section("Guests", list(_guests(inspection)))
    yield Section("How honest feedback is held to be", [_source(source) for source in inspection.sources])
    if inspection.waiting:
        yield Section("Feedback that waits", [_describe_waiting(waiting) for waiting in inspection.waiting])
    if inspection.ledger:
        shown = inspection.ledger[:events_max]
        lines = [line for event in shown for line in _event(event)]
        yield Section(f"Latest events ({len(shown)} of {len(inspection.ledger)} kept), times in UTC", lines)


def _home(inspection: HomeInspection) -> Iterator[str]:
    yield f"{_number(inspection.events, 'event')} answered, the latest record of {_time(inspection.stream_time)}"
    yield f"{_number(inspection.members, 'member')}; {inspection.size_bytes:,} bytes at rest"


def _who(person: PersonInspection) -> str:
    return person.person_id if person.here else f"{person.person_id} (left {_time(person.left_at)})"


def _person(person: PersonInspection, now: int) -> Iterator[str]:
    joined = f"there since the home's event {person.first_event}"
    known = f"; known since {_time(person.known_since)}" if person.known_since is not None else "; nothing is known of them"
    enrolled = f"; {_number(person.enrolments, 'guided enrolment')}" if person.enrolments else "; never enrolled"
    yield f"{joined}{known}{enrolled}"
    met = f", last met {_time(person.last_seen_at)}" if person.last_seen_at is not None else ", never met"
    expected = f"; {_share(person.share)} of the home's events are expected to be theirs" if person.here else ""
    yield f"{_number(person.events, 'event')} learnt from{met}{expected}"
    if person.last_pin_at is not None:
        yield f"last PIN {_time(person.last_pin_at)}"
    for sense in (sense for sense in person.senses if sense.recordings >= _RECORDINGS_MIN):
        yield f"{sense.modality}: {_sense(sense, now)}"
        for vector in sense.vectors:
            yield f"  {vector.event_id or 'mean'}: {vector.embedding}"
    for phone in person.phones:
        yield _phone(phone)
    usual = person.usual
    if usual.hours:
        yield f"usually at {_shares({f'{hour:02}–{(hour + 3) % 24:02} h': share for hour, share in usual.hours.items()})} (UTC)"
    if usual.activities:
        yield f"usually for {_shares(usual.activities)}"
    if usual.devices:
        yield f"lately by {_shares(usual.devices)}"
    yield _calibration(person.calibration)


def _sense(sense: SenseView, now: int) -> str:
    told = []
    if sense.kept and sense.oldest_at is not None and sense.newest_at is not None:
        devices = ", ".join(f"{device} {number}" for device, number in sense.kept.items())
        ages = " to ".join(dict.fromkeys([_age(now - sense.newest_at), _age(now - sense.oldest_at)]))
        told.append(f"{_number(sum(sense.kept.values()), 'kept event')} ({devices}; {ages} old)")
    if sense.enrolled >= _RECORDINGS_MIN:
        told.append(f"{_number(sense.enrolled, 'enrolled recording')} as a mean")
    if sense.folded >= _RECORDINGS_MIN:
        told.append(f"{_number(sense.folded, 'earlier recording')} as a mean")
    weight = f"{_number(sense.recordings, 'recording')} in all"
    return f"{'; '.join([*told, weight])} ({sense.encoder})"


def _phone(phone: PhoneView) -> str:
    moved = abs(phone.trust - phone.trust_at_first) >= 0.005
    change = f"at first {_share(phone.trust_at_first)}" if moved else "as when it was registered"
    return f"phone {phone.phone_id}: goes with them at {_share(phone.trust)} ({change})"


def _calibration(own: Recalibrated) -> str:
    if not own.comparisons:
        return "evidence counts as everybody's: nobody has said yet how right it is"
    weights = ", ".join(f"{name} × {weight:.2f}" for name, weight in own.weights.items())
    return f"evidence counts {weights}, {own.offset:+z.2f} nats; from {_number(own.comparisons, 'comparison')} with what was said"


def _guests(inspection: HomeInspection) -> Iterator[str]:
    guests = inspection.guests
    yield f"{_share(guests.share)} of the home's events are expected to be theirs, after {_number(guests.events, 'event')}"
    if guests.phone_with_guest is not None and guests.phone_with_member is not None:
        both = f"{_share(guests.phone_with_guest)} of guests' events and at {_share(guests.phone_with_member)} of members'"
        yield f"a phone that nobody registered is heard at {both}"
    for phone in inspection.others_phones:
        yield f"phone {phone.phone_id}: said to be nobody's"


def _source(source: SourceView) -> str:
    compared = f"{_number(source.claims, 'claim')} compared with the sensors" if source.claims else "as assumed at first"
    return f"{source.source}: {_share(source.honesty)}, {compared}"


def _describe_waiting(waiting: WaitingView) -> str:
    what = "a feedback" if waiting.claim.kind == "retract" else "an event"
    return f"{_claim(waiting.claim)}; given {_time(waiting.claim.given_at)} about {what} that has not come ({waiting.about})"


def _event(event: EventView) -> Iterator[str]:
    who = ", ".join(f"{name} {_share(share)}" for name, share in list(event.shares.items())[:_SHOWN_MAX])
    answered = f"{event.named or 'nobody'} named, tier {event.tier} ({_TIERS[event.tier]})"
    revised = f", revised {event.revision} ×" if event.revision else ""
    labelled = f", labelled {event.label}" if event.label else ""
    yield f"{_time(event.at)}  {event.device_id}  {event.activity or 'no activity'}: {who}; {answered}{revised}{labelled}"
    phones = [*(event.heard or ()), *(["one that nobody registered"] if event.stranger else ())]
    heard = f"; phones heard: {', '.join(phones)}" if phones else ""
    yield f"    {event.event_id}, by {', '.join(event.modalities) or 'nothing but who is usually there'}{heard}"
    for claim in event.claims:
        yield f"    {_claim(claim)}"


def _claim(claim: ClaimView) -> str:
    who = claim.person_id or "whoever will be named"
    words = {
        "confirm": f"yes, it was {who}",
        "reject": f"no, not {who}",
        "correct": f"it was {who}",
        "enrol": f"{who} enrolled",
        "retract": "taken back",
    }
    right = "" if claim.right is None else f" (held right {_share(claim.right)})"
    return f"{claim.source}: {words.get(claim.kind, claim.kind)}{right}"


def _shares(shares: Mapping[str, float]) -> str:
    most = sorted(shares.items(), key=lambda item: -item[1])[:_SHOWN_MAX]
    return ", ".join(f"{name} ({_share(share)})" for name, share in most)


def _share(share: float) -> str:
    """Percent; what is nearly all or nothing keeps the digits that say so."""
    return f"{share:.0%}" if 0.01 <= share <= 0.99 or share in (0, 1) else f"{share:.2%}"


def _number(number: float, noun: str) -> str:
    shown = f"{number:,.1f}".removesuffix(".0")
    return f"{shown} {noun}{'' if shown == '1' else 's'}"


def _time(at: int | None) -> str:
    return "never" if at is None else f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M}"


def _age(age_ms: int) -> str:
    return f"{age_ms // DAY_MS} days" if age_ms >= 2 * DAY_MS else f"{max(age_ms, 0) // HOUR_MS} h"
