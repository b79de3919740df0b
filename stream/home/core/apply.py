"""The flow: a batch of events of many homes, one after the other, each answered, learnt, monitored and tidied up after.

Law: homes do not see each other: a batch of many homes equals one home after the other. The same events give the same
bytes, whatever batches they came in.
"""

from typing import Final

import numpy as np

from learners.kernel import array, entry, kernel
from learners.precision import SHARE_ONE
from learners.recognition.levels import hold_models
from learners.recognition.phones import hear_witnesses
from learners.recognition.presence import belongs
from stream.home.core.admission.clock import FORGOTTEN, believe
from stream.home.core.admission.seen import FEEDBACK, RECOGNISED, add_seen, floor_of, is_seen
from stream.home.core.answer import answer, learn_tiers
from stream.home.core.drift.monitor import monitor_event
from stream.home.core.drift.rollback import judge_profiles
from stream.home.core.feedback.crosswise import exchange_unenrolled
from stream.home.core.feedback.feedback import (
    ANSWERED,
    DUPLICATE,
    REFUSED,
    USED,
    WRONG_CLOCK,
    add_outcome,
    apply_waiting,
    expire_waiting,
    give_feedback,
    leave_out_repeated,
    was_retracted_early,
)
from stream.home.core.feedback.suspend import review
from stream.home.core.guests import is_exemplar, link
from stream.home.core.learn import add_row, fold, learn_event
from stream.home.core.posterior import ANSWER_TERMS, add_reported, has_unenrolled, posterior
from stream.home.core.presence import fold_presence, tell_presence
from stream.home.core.profile import add_profile
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


@kernel
def _admit(home, event, policy, work, out):
    """Whether a record is to be done: it is new, its time can be, and nobody took it back before it came. If not, it
    is told why.
    """
    if event.kind != RECOGNITION and event.kind != STATEMENT and not event.first:
        _bound_time(home, event, policy, work)
        return not work.skips
    work.skips = 1
    kind, said_at = RECOGNISED if event.kind == RECOGNITION or event.sensed else FEEDBACK, np.int64(event.at)
    if is_seen(home, kind, event.record, event.sender, 0 if event.erases else said_at):
        add_outcome(DUPLICATE, work, out)
        return False
    if event.erases:
        # An erasure is done by whatever clock, and moves none: neither the home's time nor what is too old of its sender.
        said_at = min(said_at, np.int64(home.stream_time))
    else:
        refusal, told = FORGOTTEN, 0
        if said_at > floor_of(home, event.sender):
            refusal, told = believe(home, event, policy)
        if refusal > 0 or told > 0:
            _tell_of_time(home, event, (refusal, told, said_at), work, out)
        if refusal > 0:
            return False
        _bound_time(home, event, policy, work)
    add_seen(home, kind, event.record, event.sender, said_at)
    if event.kind != RECOGNITION and was_retracted_early(home, event.record) and not event.erases:
        add_outcome(USED, work, out)
        _tidy(home, policy, work, out)
        return False
    work.skips = 0
    if event.kind == STATEMENT:
        _admit_statement(home, event, policy, work, out)
        return False
    return True


@kernel
def _bound_time(home, event, policy, work):
    """Nothing is done as of a time that a home does not believe: `event.at`, work.at and work.day are its own instead."""
    if event.at - home.stream_time > policy.late_ms:
        event.at = home.stream_time
    work.at, work.day = event.at, float(event.at) / DAY_MS


@kernel
def _admit_statement(home, event, policy, work, out):
    """Let a statement be done as of its own time, or, of one from before everything that could follow on it, from now on."""
    at = np.int64(event.at)
    if home.stream_time - at > policy.late_ms and not event.erases:
        at = np.int64(home.stream_time)
        _tell_of_time(home, event, (0, 1, event.at), work, out)
    add_result(out, ADMITTED, work.event, at)


@kernel
def _tell_of_time(home, event, found, work, out):
    """Say that a record is refused for its time, or that its clock is wrong, and by how much; the latter only when it is news."""
    refusal, told, said_at = found
    result = out.results[add_result(out, 0, work.event, said_at)]
    result.outcome = REFUSED if refusal > 0 else WRONG_CLOCK
    result.refusal, result.observed_at, result.held = refusal, home.stream_time, told
    result.name = event.device_name


@kernel
def _recognise(home, event, policy, work, out):
    """Answer a recognition, learn from it, and apply what was said of it before it came."""
    index = add_row(home, event, policy)
    if home.witnesses_used > 0:
        hear_witnesses(home, home.rows[index], policy)
    leave_out_repeated(home, index, policy, work, out)
    hold_models(work, 1)
    posterior(home, index, ANSWER_TERMS, policy, work)
    judge_profiles(home, index, policy, work, out)
    learn_event(home, index, policy, work)
    hold_models(work, 0)
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
    """Keep every bound, infer anew when it is due, and publish the profiles that were touched, and presence."""
    if home.waiting_used > 0:
        expire_waiting(home, policy, work, out)
    review(home, policy, work, out)
    oldest = home.stream_time - policy.ledger_ms
    kept = policy.rows_per_person * max(PEOPLE_MIN, min(int(home.people_used), PEOPLE_COUNTED))
    while home.rows_used > 0 and (home.rows_used > kept or home.rows[0].observed_at < oldest):
        leaving = _next_to_leave(home, oldest)
        learn_tiers(home, leaving, policy)
        if policy.presence:
            fold_presence(home, leaving, policy, work)
        fold(home, leaving, policy, work)
    due = home.next_row >= home.next_rebuild and has_unenrolled(home)
    if due:
        later = int(home.next_row * policy.rebuild_growth)
        home.next_rebuild = max(int(home.next_row) + REBUILD_EVENTS_MIN, later)
    if due or home.anew:
        home.anew = 0
        infer_all(home, policy, work, out)
        if due and exchange_unenrolled(home, policy, work, out):
            settle(home, -1, policy, work, out)
    for p in range(home.people_used):
        person = home.people[p]
        if person.touched:
            person.touched = 0
            if belongs(person, 0):
                add_profile(home, p, policy, work, out)
    if policy.presence:
        tell_presence(home, policy, work, out)


@kernel
def _next_to_leave(home, oldest):
    """The event that leaves the ledger next: the oldest, but for those by which recurring guests are known again."""
    if home.rows[0].unnamed >= 0 and home.rows[0].observed_at >= oldest:
        for index in range(home.rows_used):
            if not is_exemplar(home, index):
                return index
    return 0


@kernel
def _is_due(home, policy):
    """Whether it was said so long ago that somebody left that nothing said of the past can reach them."""
    for p in range(home.people_used):
        person = home.people[p]
        last = person.memberships[person.memberships_used - 1]
        if last.left_at != 0 and last.told_at < home.stream_time - policy.departed_ms:
            return True
    return False


@entry(array(HOME), array(EVENT), array(POLICY), array(WORK), array(OUT))
def apply(homes, events, policies, works, outs):
    """Apply events from out.next_event on, until they end or their results might find no room; out.next_event is
    where it stopped.

    It also stops after an event when somebody left a home so long ago that they are to be forgotten: out.purge is that home.
    """
    policy, work, out = policies[0], works[0], outs[0]
    out.purge, work.holds = -1, 0
    while out.next_event < len(events):
        if out.results_used > RESULTS_MAX - RESULTS_OF_ONE or out.profiles_used > PROFILES_MAX - PEOPLE_MAX:
            return
        event = events[out.next_event]
        home = homes[event.home]
        work.event, work.at, work.day, work.fresh = out.next_event, event.at, float(event.at) / DAY_MS, 0
        out.next_event += 1
        if event.kind == FOLLOW_UP:
            _bound_time(home, event, policy, work)
            if home.witnesses_used > 0:
                for index in range(home.rows_used):
                    add_reported(home, index, policy, work)
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
