"""What a home's page shows, and what it lets people take with them.

Law: it is of one home, as of its stream time, and holds no vector.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from stream.home.presence import presences_of
from stream.home.rights.consents import consents_of, forbids_of, handle_of
from stream.ops.inspection.inspection import inspect_home

from ..handles import Handles, Person

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stream.contract.policy import Policy
    from stream.home.state.household import Household
    from stream.ops.inspection.views import EventView, PhoneView

    from ..decisions import Challenge
    from ..verifier import Verifier

__all__ = ["Told", "export_of", "home_told", "who_is_home"]

_EVENTS_MAX = 33  # a home keeps no more


class Told(NamedTuple):
    """What else than the home's state is told."""

    policy: "Policy"
    verifier: "Verifier"
    handles: Handles
    clients: "Sequence[str]"


def who_is_home(household: "Household", policy: "Policy", now_ms: int) -> list[dict[str, Any]] | None:
    """Each member with how likely they are home now, and where they were last; None: the policy publishes no presence."""
    if not policy.presence.publish:
        return None
    return [
        {"person_id": one.person_id, "home": round(one.home_at(now_ms), 3), "room": one.device_id}
        for one in presences_of(household, policy)
    ]


def home_told(household: "Household", beside: Told, challenges: "dict[str, Challenge]", now_ms: int) -> dict[str, Any]:
    """All that the page shows, as JSON; times in ms."""
    seen = inspect_home(household, beside.policy, 0)
    phones = [phone for person in seen.people for phone in person.phones]
    pins, locked = beside.verifier.people(seen.household_id), beside.verifier.find_locked(seen.household_id)
    return {
        "household_id": seen.household_id,
        "as_of": seen.stream_time,
        "people": [
            {
                "person_id": person.person_id, "last_seen_at": person.last_seen_at, "has_pin": person.person_id in pins,
                "locked_at": [device for name, device in locked if name == person.person_id],
            }
            for person in seen.people if person.here
        ],
        "who_is_home": who_is_home(household, beside.policy, now_ms),
        "events": [_event(event, phones) for event in seen.ledger[:_EVENTS_MAX]],
        "challenges": [
            {
                "challenge_id": name, "client_id": one.client_id, "person_id": one.person_id, "device_id": one.device_id,
                "event_id": one.event_id, "until": one.until_ms,
            }
            for name, one in challenges.items()
        ],
        "consents": _consents(household, beside.handles, now_ms),
        "forbids": _forbids(household, now_ms),
        "clients": [*beside.clients],
        "actions": {name: action.tier for name, action in beside.policy.actions.items()},
    }  # fmt: skip


def export_of(household: "Household", beside: Told, person_id: str | None, now_ms: int) -> dict[str, Any]:
    """All that is kept of a home, or of one person, but the vectors. Raises KeyError: there is no such person."""
    seen = asdict(inspect_home(household, beside.policy, 0, person_id))
    for name in ("size_bytes", *(("sources", "guests", "members", "events") if person_id else ())):
        del seen[name]
    consents = _consents(household, beside.handles, now_ms)
    pins = beside.verifier.people(household.household_id)
    return seen | {
        "exported_at": now_ms,
        "consents": [one for one in consents if person_id in (None, one["person_id"])],
        "forbids": [one for one in _forbids(household, now_ms) if person_id in (None, one["person_id"])],
        "pins": sorted(name for name in pins if person_id in (None, name)),
    }


def _event(event: "EventView", phones: "Sequence[PhoneView]") -> dict[str, Any]:
    owners = {phone.phone_id: phone.person_id for phone in phones}
    return {
        "event_id": event.event_id, "at": event.at, "device_id": event.device_id, "activity": event.activity,
        "named": event.named, "tier": event.tier, "shares": event.shares, "modalities": [*event.modalities],
        "phones": [{"phone_id": phone, "person_id": owners.get(phone)} for phone in event.heard or ()],
        "unknown_phone": event.stranger, "revision": event.revision,
        "claims": [
            {"source": one.source, "kind": one.kind, "person_id": one.person_id, "given_at": one.given_at, "right": one.right}
            for one in event.claims
        ],
    }  # fmt: skip


def _consents(household: "Household", handles: Handles, now_ms: int) -> list[dict[str, Any]]:
    return [
        {
            "consent_id": handle_of(one.number), "person_id": one.person_id, "client_id": one.client_id,
            "scopes": sorted(one.scopes), "actions": sorted(one.actions), "given_at": one.given_at, "expires_at": one.expires_at,
            "home": handles.home_of(one.client_id, household.household_id),
            "sub": handles.sub(one.client_id, Person(household.household_id, one.number)),
        }
        for one in consents_of(household, None, now_ms)
    ]  # fmt: skip


def _forbids(household: "Household", now_ms: int) -> list[dict[str, Any]]:
    return [
        {
            "consent_id": handle_of(one.number), "person_id": one.person_id, "actions": sorted(one.actions), "tier": one.tier,
            "given_at": one.given_at, "expires_at": one.expires_at,
        }
        for one in forbids_of(household, now_ms)
    ]  # fmt: skip
