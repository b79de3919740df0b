"""Proofs: what a second factor that a verifier saw does for an answer.

Law: a proof counts once, for the person who was named in the event that it names, and only while it is fresh: given within the
policy's minutes after the event, and come within as many after it was given. One of the factor `event` also needs sightings
that bear it out; these alone prove nothing. A key proves what the policy lets it prove. That its signature is right was seen to
before.
"""

from stream.contract.policy import Policy
from stream.contract.records import Proof
from stream.contract.units import MINUTE_MS
from stream.home.core.admission.seen import FEEDBACK
from stream.home.core.answer import PROVEN
from stream.home.rights.nonces import is_first
from stream.home.rights.sightings import was_sighted
from stream.home.state.household import Household

__all__ = ["prove"]


def prove(household: Household, value: Proof, policy: Policy, arrived: int) -> str:
    """Mark the event of a proof as proven; the outcome.

    `used`, or why not: `other_factor` (not one that its key may prove), `nonce` (its challenge was met before), `stale`,
    `unknown_person` (no member), `unknown_event` (not answered, or long past), `other_person` (somebody else was named in it,
    or nobody), `no_sighting` (of the factor `event`: no pair of theirs around that event). `arrived`: ms, 0 where it is not
    known.
    """
    fresh_ms = policy.tiers.pin_minutes * MINUTE_MS
    if value.factor not in policy.proofs.keys[value.kid].factors:  # before its nonce counts, which may be another key's
        return "other_factor"
    if not is_first(household, FEEDBACK, value.nonce, value):
        return "nonce"
    if value.person_id not in household.members:
        return "unknown_person"
    index = household.row(value.event_id)
    if index is None:
        return "unknown_event"
    row = household.record["rows"][index]
    late_ms = arrived - value.given_at if arrived else 0
    if not 0 <= value.given_at - int(row["observed_at"]) <= fresh_ms or late_ms > fresh_ms:
        return "stale"
    column = household.column(value.person_id)
    if column is None or row["named"] != column + 1:
        return "other_person"
    if value.factor == "event" and not was_sighted(household, column + 1, int(row["observed_at"]), fresh_ms):
        return "no_sighting"
    person = household.record["people"][column]
    person["last_pin_at"] = max(int(person["last_pin_at"]), value.given_at)
    row["unsettled"] = PROVEN
    return "used"
