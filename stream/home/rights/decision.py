"""Whether an answer allows an action.

Law: a decision is a function of the answer, the action, the policy, what is forbidden and the time it is asked for; a forbid
beats any tier. Who asks is told the same of an answer that names somebody else as of one that names nobody.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple

import numpy as np

from stream.contract.policy import Policy
from stream.contract.units import HOUR_MS
from stream.home.rights.consents import Forbid
from stream.home.state.household import Household
from stream.home.state.layout import VOICE

__all__ = [
    "Answered", "Decision", "Outcome", "Reason", "answer_to", "answers_of", "decide", "is_forbidden", "latest_at", "redact_for",
]  # fmt: skip

Outcome = Literal["allow", "step_up", "deny"]
Reason = Literal["sure", "not_sure", "not_recognised", "second_factor", "too_old", "forbidden", "unknown_event", "unknown_action"]
PROTECTED: Final = 5  # the tier that a second factor gives
PROVEN_MS: Final = 24 * HOUR_MS  # for so long a second factor counts below that tier,
IDLE_MS: Final = 4 * HOUR_MS  # and for so long after its person was named last
NAMED: Final = 2  # the least tier at which somebody is named


class Answered(NamedTuple):
    """The latest answer to a recognition that a home still keeps; `person_id`: who was named, at tiers 2 to 5."""

    event_id: str
    device_id: str
    observed_at: int  # ms
    revision: int
    tier: int
    person_id: str | None
    voiced: bool = False  # a voice spoke for it
    proven_until: int | None = None  # ms: how long a second factor of that person still counts; None: none was given


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether an action may be done now, and for how long. Times in ms; None where nothing was answered, or nothing is allowed.

    `step_up`: not by this answer, but the same people may do something about it: say it again, or (`second_factor`) prove it.
    """

    outcome: Outcome
    reason: Reason
    required: int | None  # None: the policy does not know the action
    had: int
    authenticated_at: int | None = None
    expires_at: int | None = None


def decide(
    answer: Answered | None, action: str, policy: Policy, now_ms: int, forbids: Iterable[Forbid] = ()
) -> Decision:
    """Whether an answer allows an action at a time; `forbids`: what stands in the home then.

    >>> from stream.contract.policy import Action
    >>> policy = Policy(actions={"pharmacy.refill": Action(tier=5)})
    >>> answer = Answered("e-1", "kitchen", 1_763_690_000_000, 0, 4, "anna")
    >>> decide(answer, "pharmacy.refill", policy, 1_763_690_010_000).reason
    'second_factor'
    >>> decide(answer._replace(tier=5), "pharmacy.refill", policy, 1_763_690_010_000).outcome
    'allow'
    >>> decide(answer, "pharmacy.rob", policy, 1_763_690_010_000).outcome
    'deny'
    """
    asked = policy.actions.get(action)
    if asked is None:
        return Decision("deny", "unknown_action", None, 0)
    if answer is None:
        return Decision("deny", "unknown_event", asked.tier, 0)
    if is_forbidden(answer, action, policy, forbids):
        return Decision("deny", "forbidden", asked.tier, answer.tier, answer.observed_at)
    at, ends_at = answer.observed_at, answer.observed_at + 1_000 * asked.max_age_s
    if now_ms >= ends_at:
        return Decision("step_up", "too_old", asked.tier, answer.tier, at)
    lacking = asked.second_factor and now_ms >= (answer.proven_until or 0)
    if answer.tier >= asked.tier and not lacking:
        ends_at = min(ends_at, answer.proven_until or ends_at) if asked.second_factor else ends_at
        return Decision("allow", "sure", asked.tier, answer.tier, at, ends_at)
    if answer.tier == PROTECTED - 1 == asked.tier - 1 or (answer.tier >= max(asked.tier, NAMED) and lacking):
        return Decision("step_up", "second_factor", asked.tier, answer.tier, at)
    return Decision("step_up", "not_sure" if answer.tier >= NAMED else "not_recognised", asked.tier, answer.tier, at)


def is_forbidden(answer: Answered, action: str, policy: Policy, forbids: Iterable[Forbid]) -> bool:
    """Whether who was named may not do an action of the policy, whatever their tier."""
    tier = policy.actions[action].tier
    own = (one for one in forbids if one.person_id == answer.person_id)
    return any(action in one.actions or (one.tier is not None and tier >= one.tier) for one in own)


def redact_for(answer: Answered | None, person_id: str | None, forbidden: bool = False) -> Answered | None:
    """An answer as whoever is about one person alone may see it.

    Of somebody else, as if nobody had been named; if that somebody may not do it, as if it were nobody of the home. What the
    person may not do, as if the home kept no such event.
    """
    if answer is None or answer.person_id is None:
        return answer
    if answer.person_id == person_id:
        return None if forbidden else answer
    return answer._replace(tier=0 if forbidden else NAMED - 1, person_id=None, voiced=False, proven_until=None)


def answers_of(household: Household) -> dict[str, Answered]:
    """The answers that a home still keeps, by event id, oldest first; what left the ledger cannot be revised, nor asked for."""
    answers = (_answer_of(household, row) for row in household.record["rows"][: int(household.record["rows_used"])])
    return {answer.event_id: answer for answer in answers}


def answer_to(household: Household, event_id: str) -> Answered | None:
    """The answer to one event; None: it is not kept."""
    index = household.row(event_id)
    return None if index is None else _answer_of(household, household.record["rows"][index])


def latest_at(household: Household, device_id: str) -> Answered | None:
    """The latest answer of a device; None: none is kept."""
    rows, device = household.record["rows"][: int(household.record["rows_used"])], household.words.number(device_id)
    found = np.flatnonzero(rows["device_name"] == (device or -1))
    return _answer_of(household, rows[int(found[-1])]) if len(found) else None


def _answer_of(household: Household, row: Any) -> Answered:
    words, named = household.words, int(row["named"])
    person = household.record["people"][named - 1] if named else None
    return Answered(
        row["event_id"][: int(row["event_id_length"])].tobytes().decode(), words[int(row["device_name"])],
        int(row["observed_at"]), int(row["revision"]), int(row["tier"]),
        None if person is None else words[int(person["name"])], bool(row["modalities"] & 1 << VOICE),
        None if person is None else _proven_until(household.record, person, named),
    )  # fmt: skip


def _proven_until(home: Any, person: Any, place: int) -> int | None:
    """How long the latest second factor of a person counts, by the kept answers that named them."""
    used = given_at = int(person["last_pin_at"])
    if not given_at:
        return None
    rows = home["rows"][: int(home["rows_used"])]
    for at in sorted(rows["observed_at"][rows["named"] == place].tolist()):
        used = at if used < at < used + IDLE_MS else used
    return min(given_at + PROVEN_MS, used + IDLE_MS)
