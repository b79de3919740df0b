"""The core: one function that decides everything.

Law: `step` is synchronous, total on valid input, and knows no clock, no chance, no network and no log: time comes from
the records, ids from positions. The live worker, the replay tool and the tests run this same function. The same log gives
the same bytes; a duplicate changes nothing; households do not see each other.
"""

from typing import Final

from stream.contract.policy import Policy
from stream.contract.records import Erase, Event, Recognition, dead_letter
from stream.contract.units import DAY_MS

from .context import OUTCOMES, Outcome, Step, Turn
from .drift.monitor import watch_event
from .drift.rollback import judge_profiles
from .feedback.erasure import purge_departed
from .feedback.feedback import apply, apply_waiting, expire_waiting, retracted_early, weigh_anew
from .feedback.poisoning import review
from .learning.learning import capacity, fold, keep, weigh_one
from .recognition.evidence import look, weigh
from .recognition.guests import exemplars, tie
from .recognition.publish import answer, publish_profile, revise
from .recognition.tiers import learn_tiers
from .state.home import Home
from .state.ledger import Row
from .state.seen import hashed, hashed_sender

__all__ = ["OUTCOMES", "STEP_VERSION", "Outcome", "Step", "step"]

STEP_VERSION: Final = 3  # raised whenever the same log gives other outputs or states
REBUILD_EVENTS_MIN: Final = 2  # the least number of events between two rebuilds


def step(home: Home, event: Event, policy: Policy) -> Step:
    """Apply one event to a household, in place.

    Returns
    -------
    Step
        The outputs in the order they are published, and what happened (words of OUTCOMES, for counting). Both may be
        empty lists of nothing but a `duplicate`.
    """
    record, value = event
    number = hashed("event", value.event_id) if isinstance(value, Recognition) else hashed("feedback", value.feedback_id)
    sender = hashed_sender(value.sender)
    if number in home.seen:
        return Step([], ["duplicate"])
    turn = Turn(home, policy, record, value.at)
    refusal = None if isinstance(value, Erase) else _refusal(turn, sender)  # the right to be forgotten hangs on no clock
    if refusal is not None:
        return Step([dead_letter(record, *refusal)], ["refused"])
    home.seen.add(number, value.at, sender, len(home.people))
    home.stream_time = max(home.stream_time, value.at)
    if isinstance(value, Recognition):
        _recognise(turn, value)
    elif retracted_early(turn, value.feedback_id) and not isinstance(value, Erase):
        turn.outcomes.append("used")
    else:
        apply(turn, value)
    _tidy(turn)
    return Step(turn.outputs, turn.outcomes)


def _refusal(turn: Turn, sender: int) -> tuple[str, str] | None:
    """(reason, detail) when a record's time makes it impossible to answer it rightly, or surely once."""
    home, limits, at = turn.home, turn.policy.limits, turn.at
    if not home.stream_time:
        return None
    behind = (home.stream_time - at) / DAY_MS
    if behind > limits.late_days:
        return "too_old", f"{behind:.0f} days before the newest record of this household; {limits.late_days} are allowed"
    if at <= home.seen.floor(sender):
        return "too_old", "so far back that it cannot be told whether it was answered already"
    if -behind > limits.gap_days:
        return "future", f"{-behind:.0f} days after the newest record of this household; {limits.gap_days} are allowed"
    return None


def _recognise(turn: Turn, value: Recognition) -> None:
    """Answer a recognition, learn from it, and apply what was said of it before it came."""
    home, policy = turn.home, turn.policy
    probe = look(home, policy, value)
    weighed = weigh(home, policy, probe)
    judge_profiles(turn, probe, weighed)
    row = keep(home, policy, value, probe, weighed)
    tie(home, policy, row, weighed.alike)
    answer(turn, row, weighed.posterior)
    watch_event(turn, value, probe, weighed)
    turn.outcomes.append("answered")
    for person, share in zip(home.people, row.shares[1:], strict=True):
        if share > 0.5:
            person.last_seen_at = max(row.observed_at, person.last_seen_at or 0)
            if person.events - person.published_events >= policy.publishing.profile_events:
                turn.touch(person.person_id)
    if home.waiting:
        apply_waiting(turn, row)
    changed = None if home.unanchored else weigh_one(home, policy)
    if changed is not None:
        revise(turn, *changed)


def _tidy(turn: Turn) -> None:
    """Keep every bound, weigh anew when it is due, and publish the profiles that were touched."""
    home, policy = turn.home, turn.policy
    if home.waiting:
        expire_waiting(turn)
    purge_departed(turn)
    review(turn)
    oldest, kept = home.stream_time - policy.limits.ledger_days * DAY_MS, capacity(home, policy)
    while home.rows and (len(home.rows) > kept or home.rows[0].observed_at < oldest):
        leaving = _leaving(home, oldest)
        learn_tiers(home, policy, leaving)
        fold(home, leaving)
    if home.next_row >= home.next_rebuild and home.unanchored:
        home.next_rebuild = max(home.next_row + REBUILD_EVENTS_MIN, int(home.next_row * policy.learning.rebuild_growth))
        weigh_anew(turn)
    for person in home.people if turn.touched else ():
        if person.present and person.person_id in turn.touched:
            publish_profile(turn, person)


def _leaving(home: Home, oldest: int) -> Row:
    """The event that leaves the ledger next: the oldest, but for those by which unnamed people are known again."""
    kept = exemplars(home) if home.rows[0].unnamed is not None and home.rows[0].observed_at >= oldest else ()
    return next((row for row in home.rows if row.number not in kept), home.rows[0])
