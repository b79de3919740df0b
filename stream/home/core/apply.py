"""The flow: a batch of events of many homes, one after the other, each answered, learnt, monitored and tidied up after.

Law: homes do not see each other: a batch of many homes equals one home after the other. The same events give the same
bytes, whatever batches they came in.
"""

from typing import Final

from learners.kernel import array, entry, kernel
from learners.precision import SHARE_ONE
from learners.recognition.presence import belongs
from stream.home.core.answer import answer, learn_tiers
from stream.home.core.drift.monitor import monitor_event
from stream.home.core.drift.rollback import judge_profiles
from stream.home.core.feedback.feedback import (
    ANSWERED,
    DUPLICATE,
    REFUSED,
    USED,
    add_outcome,
    apply_waiting,
    expire_waiting,
    give_feedback,
    was_retracted_early,
)
from stream.home.core.feedback.suspend import review
from stream.home.core.guests import is_exemplar, link
from stream.home.core.learn import add_row, fold, learn_event
from stream.home.core.posterior import ANSWER_TERMS, has_unenrolled, posterior
from stream.home.core.profile import add_profile
from stream.home.core.seen import add_seen, floor_of, is_seen
from stream.home.core.settle import infer_all, infer_one, settle, touch
from stream.home.core.work import WORK, add_result
from stream.home.messages import (
    ADMITTED,
    EVENT,
    FOLLOW_UP,
    OUT,
    POLICY,
    PROFILES_MAX,
    RECOGNITION,
    RESULTS_MAX,
    STATEMENT,
)
from stream.home.state.layout import HOME, PEOPLE_MAX

__all__ = ["apply"]

RESULTS_OF_ONE: Final = 2_560  # of one event, at most
REBUILD_EVENTS_MIN: Final = 2  # the least number of events between two times that all is inferred anew
PEOPLE_MIN, PEOPLE_COUNTED = 2, 4  # the ledger grows with the home between these
DAY_MS: Final = 86_400_000
TOO_OLD, FORGOTTEN, FUTURE = 1, 2, 3  # of messages.REFUSALS


@kernel
def _admit(home, event, policy, work, out):
    """Whether a record is to be done: it is new, its time can be, and nobody took it back before it came. If not, it
    is told why.
    """
    if event.kind != RECOGNITION and event.kind != STATEMENT and not event.first:
        return not work.skips
    work.skips = 1
    if is_seen(home, event.record):
        add_outcome(DUPLICATE, work, out)
        return False
    refusal = 0
    if home.stream_time != 0 and not event.erases:
        behind = home.stream_time - event.at
        if behind > policy.late_ms:
            refusal = TOO_OLD
        elif event.at <= floor_of(home, event.sender):
            refusal = FORGOTTEN
        elif -behind > policy.gap_ms:
            refusal = FUTURE
    if refusal > 0:
        result = out.results[add_result(out, 0, work.event, event.at)]
        result.outcome, result.refusal, result.observed_at = REFUSED, refusal, home.stream_time
        return False
    # An erasure is done by whatever clock, and moves none: neither the home's time nor what is too old of its sender.
    at = min(int(event.at), int(home.stream_time)) if event.erases else int(event.at)
    add_seen(home, event.record, at, event.sender)
    home.stream_time = max(int(home.stream_time), at)
    if event.kind != RECOGNITION and was_retracted_early(home, event.record) and not event.erases:
        add_outcome(USED, work, out)
        _tidy(home, policy, work, out)
        return False
    work.skips = 0
    if event.kind == STATEMENT:
        add_result(out, ADMITTED, work.event, event.at)
        return False
    return True


@kernel
def _recognise(home, event, policy, work, out):
    """Answer a recognition, learn from it, and apply what was said of it before it came."""
    index = add_row(home, event, policy)
    posterior(home, index, ANSWER_TERMS, policy, work)
    judge_profiles(home, index, policy, work, out)
    learn_event(home, index, policy, work)
    link(home, index, policy, work)
    answer(home, index, policy, work, out)
    monitor_event(home, event, policy, work, out)
    add_outcome(ANSWERED, work, out)
    for p in range(home.people_used):
        person = home.people[p]
        if home.rows[index].shares[p + 1] > SHARE_ONE // 2:
            person.last_seen_at = max(int(event.at), int(person.last_seen_at))
            if person.events - person.published >= policy.profile_events * SHARE_ONE:
                touch(home, p + 1, work)
    if home.waiting_used > 0:
        apply_waiting(home, index, policy, work, out)
    if not has_unenrolled(home):
        infer_one(home, policy, work, out)


@kernel
def _tidy(home, policy, work, out):
    """Keep every bound, infer anew when it is due, and publish the profiles that were touched."""
    if home.waiting_used > 0:
        expire_waiting(home, policy, work, out)
    review(home, policy, work, out)
    oldest = home.stream_time - policy.ledger_ms
    kept = policy.rows_per_person * max(PEOPLE_MIN, min(int(home.people_used), PEOPLE_COUNTED))
    while home.rows_used > 0 and (home.rows_used > kept or home.rows[0].observed_at < oldest):
        leaving = _leaving(home, oldest)
        learn_tiers(home, leaving, policy)
        fold(home, leaving, policy, work)
    due = home.next_row >= home.next_rebuild and has_unenrolled(home)
    if due:
        later = int(home.next_row * policy.rebuild_growth)
        home.next_rebuild = max(int(home.next_row) + REBUILD_EVENTS_MIN, later)
    if due or home.anew:
        home.anew = 0
        infer_all(home, policy, work, out)
    for p in range(home.people_used):
        person = home.people[p]
        if person.touched:
            person.touched = 0
            if belongs(person, 0):
                add_profile(home, p, policy, work, out)


@kernel
def _leaving(home, oldest):
    """The event that leaves the ledger next: the oldest, but for those by which recurring guests are known again."""
    if home.rows[0].unnamed >= 0 and home.rows[0].observed_at >= oldest:
        for index in range(home.rows_used):
            if not is_exemplar(home, index):
                return index
    return 0


@kernel
def _is_due(home, policy):
    """Whether somebody left long enough ago that nothing said of the past can reach them."""
    for p in range(home.people_used):
        person = home.people[p]
        left_at = person.memberships[person.memberships_used - 1].left_at
        if left_at != 0 and left_at < home.stream_time - policy.departed_ms:
            return True
    return False


@entry(array(HOME), array(EVENT), array(POLICY), array(WORK), array(OUT))
def apply(homes, events, policies, works, outs):
    """Apply events from out.next_event on, until they end or their results might find no room; out.next_event is
    where it stopped.

    It also stops after an event when somebody left a home so long ago that they are to be forgotten: out.purge is that home.
    """
    policy, work, out = policies[0], works[0], outs[0]
    out.purge = -1
    while out.next_event < len(events):
        if out.results_used > RESULTS_MAX - RESULTS_OF_ONE or out.profiles_used > PROFILES_MAX - PEOPLE_MAX:
            return
        event = events[out.next_event]
        home = homes[event.home]
        work.event, work.at, work.day, work.fresh = out.next_event, event.at, float(event.at) / DAY_MS, 0
        out.next_event += 1
        if event.kind == FOLLOW_UP:
            settle(home, -1, policy, work, out)
            _tidy(home, policy, work, out)
        elif _admit(home, event, policy, work, out):
            if event.kind == RECOGNITION:
                _recognise(home, event, policy, work, out)
            else:
                give_feedback(home, event, policy, work, out)
            if event.kind == RECOGNITION or event.last:
                _tidy(home, policy, work, out)
        if event.kind != STATEMENT and _is_due(home, policy):
            out.purge = event.home
            return
