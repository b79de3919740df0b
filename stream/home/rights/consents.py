"""Consents: which client may ask what about whom.

Law: a consent stands from its grant until it is revoked, expires, or its person leaves or is erased; what was revoked does not
stand again, and another grant is another consent.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from stream.contract.records import SCOPES, Consent, Scope
from stream.home.state.household import Household, append, take_out
from stream.home.state.layout import CONSENTS_MAX
from stream.home.state.names import hash_id

__all__ = ["Granted", "consent", "consents_of", "handle_of"]

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
    granted["client"], granted["person"] = learn(value.client_id), column + 1
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
    home, words, members = household.record, household.words, {*household.members}
    for entry in home["consents"][: int(home["consents_used"])]:
        person_id, expires_at = household.people[int(entry["person"]) - 1], int(entry["expires_at"]) or None
        client = words[int(entry["client"])]
        if client_id not in (None, client) or person_id not in members or (expires_at and expires_at <= now_ms):
            continue
        yield Granted(
            int(entry["consent"]), person_id, client,
            frozenset(scope for bit, scope in enumerate(SCOPES) if int(entry["scopes"]) >> bit & 1),
            frozenset(words[number] for number in entry["actions"].tolist() if number), int(entry["given_at"]), expires_at,
        )  # fmt: skip
