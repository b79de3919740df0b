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
_SCOPES_OF: Final = [frozenset(scope for bit, scope in enumerate(SCOPES) if bits >> bit & 1) for bits in range(1 << len(SCOPES))]


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
    clients, words = _entries_of(household)["client"], household.words
    wanted = clients > 0 if client_id is None else clients == (words.number(client_id) or -1)
    for entry in _iterate(household, wanted, now_ms):
        scopes = _SCOPES_OF[entry.scopes % len(_SCOPES_OF)]
        yield Granted(entry.number, entry.person_id, words[entry.client], scopes, entry.actions, entry.given_at, entry.expires_at)


def forbids_of(household: Household, now_ms: int) -> Iterator[Forbid]:
    """What is forbidden at a time to people who belong to the home."""
    for entry in _iterate(household, _entries_of(household)["client"] == 0, now_ms):
        yield Forbid(entry.number, entry.person_id, entry.actions, entry.scopes or None, entry.given_at, entry.expires_at)


class _Entry(NamedTuple):
    """One of the list, as it stands there; `scopes`: bits, or the tier of a forbid."""

    number: int
    person_id: str
    client: int
    scopes: int
    actions: frozenset[str]
    given_at: int
    expires_at: int | None


def _entries_of(household: Household) -> Any:
    return household.record["consents"][: int(household.record["consents_used"])]


def _iterate(household: Household, wanted: Any, now_ms: int) -> Iterator[_Entry]:
    """Those wanted that stand."""
    entries, words = _entries_of(household)[wanted], household.words
    people, members = (household.people, {*household.members}) if len(entries) else ([], set())
    columns = (entries[name].tolist() for name in ("consent", "person", "client", "scopes", "actions", "given_at", "expires_at"))
    for number, place, client, scopes, actions, given_at, expires_at in zip(*columns, strict=True):
        person_id = people[place - 1]
        if person_id in members and (not expires_at or expires_at > now_ms):
            named = frozenset(words[action] for action in actions if action)
            yield _Entry(number, person_id, client, scopes, named, given_at, expires_at or None)
