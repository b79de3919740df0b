"""Consents: which client may ask what about whom; and forbids, which stand in the same list: what somebody may not do.

Law: a consent stands from its grant until it is revoked, expires, or its person leaves or is erased; what was revoked does not
stand again, and another grant is another consent. A forbid stands by the same rules, of no client.
"""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import numpy as np

from stream.contract.records import SCOPES, Consent, Scope
from stream.home.state.household import Household, append, take_out
from stream.home.state.layout import CONSENTS_MAX
from stream.home.state.names import hash_id

__all__ = ["Forbid", "Granted", "consent", "consents_of", "forbids_of", "handle_of"]

_HANDLE: Final = "consent:"


class Granted(NamedTuple):
    """A consent that stands; `number`: 48 bits of its id's hash. Times in ms."""

    number: int
    person_id: str
    client_id: str
    scopes: frozenset[Scope]
    actions: frozenset[str]
    given_at: int
    expires_at: int | None


class Forbid(NamedTuple):
    """What a person may not do, whatever their tier: some actions, and all that ask for `tier` or more (None: no others)."""

    number: int
    person_id: str
    actions: frozenset[str]
    tier: int | None
    given_at: int
    expires_at: int | None


def consent(household: Household, value: Consent) -> str:
    """Do what a consent says; the outcome: `used`, or `unknown_person` (no member), or `rejected` (no such, or no room)."""
    home, own = household.record, hash_id("consent", value.consent_id)
    if value.kind == "revoke":
        revoked = np.isin(home["consents"]["consent"], np.array([own, *_number_of(value.consent_id)], np.uint64))
        return "used" if take_out(home, "consents", revoked) else "rejected"
    column = household.column(value.person_id)
    if column is None or value.person_id not in household.members:
        return "unknown_person"
    expires_at = home["consents"]["expires_at"]
    take_out(home, "consents", (expires_at > 0) & (expires_at <= int(home["stream_time"])))
    if home["consents_used"] >= CONSENTS_MAX:
        return "rejected"
    granted, learn = append(home, "consents"), household.words.learn
    granted["consent"], granted["given_at"], granted["expires_at"] = own, value.given_at, value.expires_at or 0
    granted["person"] = column + 1
    if value.client_id is None:
        granted["scopes"] = value.tier or 0
    else:
        granted["client"] = learn(value.client_id)
        granted["scopes"] = sum(1 << SCOPES.index(scope) for scope in {*value.scopes})
    for place, action in enumerate(dict.fromkeys(value.actions)):
        granted["actions"][place] = learn(action)
    return "used"


def handle_of(number: int) -> str:
    """What a consent can be revoked by where its id is no longer known: a home keeps only the number.

    >>> handle_of(7)
    'consent:000000000007'
    """
    return f"{_HANDLE}{number:012x}"


def _number_of(handle: str) -> list[int]:
    """The number that a handle names; none of another id."""
    digits = handle.removeprefix(_HANDLE)
    try:
        return [int(digits, 16)] if handle == handle_of(int(digits, 16)) else []
    except ValueError:
        return []


def consents_of(household: Household, client_id: str | None, now_ms: int) -> Iterator[Granted]:
    """What stands for a client (None: for any) at a time, of people who belong to the home."""
    entries = household.record["consents"][: int(household.record["consents_used"])]
    wanted = entries["client"] > 0 if client_id is None else entries["client"] == (household.words.number(client_id) or -1)
    for entry, person_id in _iterate(household, entries[wanted], now_ms):
        client = household.words[int(entry["client"])]
        scopes = frozenset(scope for bit, scope in enumerate(SCOPES) if int(entry["scopes"]) >> bit & 1)
        yield Granted(int(entry["consent"]), person_id, client, scopes, *_rest_of(household, entry))


def forbids_of(household: Household, now_ms: int) -> Iterator[Forbid]:
    """What is forbidden at a time to people who belong to the home."""
    entries = household.record["consents"][: int(household.record["consents_used"])]
    for entry, person_id in _iterate(household, entries[entries["client"] == 0], now_ms):
        actions, given_at, expires_at = _rest_of(household, entry)
        yield Forbid(int(entry["consent"]), person_id, actions, int(entry["scopes"]) or None, given_at, expires_at)


def _iterate(household: Household, entries: Any, now_ms: int) -> Iterator[tuple[Any, str]]:
    """Those that stand, and of whom they are."""
    people, members = (household.people, {*household.members}) if len(entries) else ([], set())
    for entry in entries:
        person_id = people[int(entry["person"]) - 1]
        if person_id in members and (not entry["expires_at"] or int(entry["expires_at"]) > now_ms):
            yield entry, person_id


def _rest_of(household: Household, entry: Any) -> tuple[frozenset[str], int, int | None]:
    """The actions of an entry, and from when until when it stands."""
    actions = frozenset(household.words[number] for number in entry["actions"].tolist() if number)
    return actions, int(entry["given_at"]), int(entry["expires_at"]) or None
