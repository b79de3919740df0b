"""Feedback: what a claim about an event does, and the one outcome of every oddity.

Law: a claim changes one event's shares and through them what was learnt from it; nothing said is believed outright but guided
enrolment. Who only says that a PIN was given is believed no more than the app.
"""


from learners.kernel import kernel
from learners.recognition.presence import belongs
from stream.home.core.admission.seen import RECOGNISED, forgotten_until, is_seen
from stream.home.core.drift.monitor import monitor_claim
from stream.home.core.feedback.claims import add_claim, contradicts, count_claim, repeat_claim
from stream.home.core.feedback.enrolment import REPEATED, is_repeated, judge_enrolment
from stream.home.core.settle import settle, touch
from stream.home.core.work import add_result
from stream.home.messages import CONFIRM, CORRECT, ENROL, OUTCOME, RETRACT
from stream.home.state.layout import ENROLMENTS_MAX, NOT_COUNTED, UNKNOWN

__all__ = [
    "ANSWERED", "CONTRADICTORY", "DUPLICATE", "EARLY", "EXPIRED", "REFUSED", "REJECTED", "UNKNOWN_EVENT",
    "UNKNOWN_PERSON", "USED", "WRONG_CLOCK", "add_outcome", "apply_waiting", "expire_waiting", "give_feedback",
    "leave_out_repeated", "was_retracted_early",
]  # fmt: skip

# Of messages.OUTCOMES
ANSWERED, USED, CONTRADICTORY, EARLY, DUPLICATE, EXPIRED, UNKNOWN_PERSON, UNKNOWN_EVENT, REJECTED, REFUSED = range(10)
WRONG_CLOCK, BAD_ENROLMENT = 10, 11
APP, PIN = 1, 2  # sources


@kernel
def add_outcome(outcome, work, out):
    """Say what became of a record."""
    out.results[add_result(out, OUTCOME, work.event, work.at)].outcome = outcome


@kernel
def give_feedback(home, event, policy, work, out):
    """Do what a claim asks for; its outcome. Of an enrolment, one event at a time, together at the last."""
    if event.kind != ENROL:
        add_outcome(_claim(home, event, policy, work, out), work, out)
        return
    if event.first:
        work.enrol_outcomes = 0
    if event.person == UNKNOWN or not belongs(home.people[event.person - 1], 0):
        work.enrol_outcomes |= 1 << UNKNOWN_PERSON
    else:
        work.enrol_outcomes |= 1 << _claim(home, event, policy, work, out)
        touch(home, event.person, work)
    if event.last:
        found = USED
        for outcome in (EXPIRED, EARLY, USED, CONTRADICTORY, UNKNOWN_PERSON):
            if work.enrol_outcomes & (1 << outcome):
                found = outcome
        add_outcome(found, work, out)


@kernel
def _claim(home, event, policy, work, out):
    """Apply a claim to its event, or let it wait for it; the outcome."""
    if event.person == UNKNOWN and event.kind != CONFIRM:
        return UNKNOWN_PERSON
    for index in range(home.rows_used):
        if home.rows[index].event == event.event:
            _write_claim(work.claim, event)
            return _claim_row(home, index, policy, work, out)
    if is_seen(home, RECOGNISED, event.event, 0, 0) or event.at <= forgotten_until(home):
        return EXPIRED
    wait_for(home, event, policy, work, out)
    return EARLY


@kernel
def _write_claim(claim, event):
    claim.feedback, claim.given_at, claim.source, claim.kind = event.record, event.at, event.source, event.kind
    claim.person, claim.right, claim.nats, claim.day = event.person, NOT_COUNTED, 0, 0
    for i in range(5):
        claim.reserved[i] = 0


@kernel
def wait_for(home, event, policy, work, out):
    """Keep a claim until its event comes; of too many the oldest goes."""
    if home.waiting_used >= policy.waiting_max:
        _remove_waiting(home, 0)
        add_outcome(UNKNOWN_EVENT, work, out)
    entry = home.waiting[home.waiting_used]
    home.waiting_used += 1
    entry.event = event.event
    _write_claim(entry.claim, event)


@kernel
def _remove_waiting(home, index):
    for w in range(index, home.waiting_used - 1):
        home.waiting[w] = home.waiting[w + 1]
    home.waiting_used -= 1


@kernel
def _claim_row(home, index, policy, work, out):
    """Apply work.claim to its event; the outcome."""
    row, claim = home.rows[index], work.claim
    if claim.kind == CONFIRM:
        if row.named == 0:
            return REJECTED
        claim.person = row.named
    if claim.source == PIN and not _is_proven(home, claim, policy):
        claim.source = APP
    outcome = CONTRADICTORY if contradicts(row, claim) else USED
    newest = index
    for i in range(index, home.rows_used):
        if home.rows[i].claims_used > 0:
            newest = -1
    at = add_claim(home, row, claim)
    if at < 0:
        return outcome
    if claim.kind == ENROL:
        _note_enrolment(home, claim)
    else:
        count_claim(home, row, at, policy, work)
    row.unsettled = 1
    settle(home, newest, policy, work, out)
    if claim.kind == ENROL:
        _judge(home, int(claim.person), policy, work, out)
    monitor_claim(home, index, at, policy, work)
    if row.unnamed >= 0 and claim.person > 0 and (claim.kind == CORRECT or claim.kind == ENROL):
        for i in range(home.rows_used):
            other = home.rows[i]
            if i != index and other.unnamed == row.unnamed and other.claims_used == 0:
                repeat_claim(home, other, row.claims[at], policy)
                other.unsettled = 1
        settle(home, -1, policy, work, out)
    return outcome


@kernel
def _is_proven(home, claim, policy):
    """Whether a second factor of the person whom a claim names was proven within so many minutes of it."""
    if claim.person <= 0:
        return False
    pin_at = home.people[claim.person - 1].last_pin_at
    return pin_at != 0 and abs(int(claim.given_at) - int(pin_at)) <= policy.pin_ms


@kernel
def _judge(home, place, policy, work, out):
    """Leave out recordings of an enrolment that are not the person's, and tell what was wrong when that is news."""
    _tell_of_enrolment(home, place, judge_enrolment(home, place, policy, work), work, out)
    settle(home, -1, policy, work, out)


@kernel
def leave_out_repeated(home, index, policy, work, out):
    """Leave out of a new event a vector that was enrolled from another: it is no recording of this one."""
    for modality in range(2):
        place = is_repeated(home, index, modality, policy, work)
        if place > 0:
            _tell_of_enrolment(home, place, REPEATED, work, out)
            home.rows[index].unsettled = 0  # it is not answered yet
            settle(home, -1, policy, work, out)


@kernel
def _tell_of_enrolment(home, place, faults, work, out):
    person = home.people[place - 1]
    if faults & ~int(person.enrol_faults):
        person.enrol_faults |= faults
        result = out.results[add_result(out, OUTCOME, work.event, work.at)]
        result.outcome, result.name, result.held = BAD_ENROLMENT, person.name, faults
        touch(home, place, work)


@kernel
def _note_enrolment(home, claim):
    """Who has enrolled is anchored, as long as one of their last enrolments stands."""
    person = home.people[claim.person - 1]
    for e in range(person.enrolments_used):
        if person.enrolments[e] == claim.feedback:
            return
    if person.enrolments_used == ENROLMENTS_MAX:
        for e in range(ENROLMENTS_MAX - 1):
            person.enrolments[e] = person.enrolments[e + 1]
        person.enrolments_used -= 1
    person.enrolments[person.enrolments_used] = claim.feedback
    person.enrolments_used += 1


# ---- what came early


@kernel
def apply_waiting(home, index, policy, work, out):
    """Apply what was said of an event before it came, right after it was answered."""
    event, w = home.rows[index].event, 0
    while w < home.waiting_used:
        if home.waiting[w].event == event and home.waiting[w].claim.kind != RETRACT:
            _copy_claim(home.waiting[w].claim, work.claim)
            _remove_waiting(home, w)
            add_outcome(_claim_row(home, index, policy, work, out), work, out)
        else:
            w += 1


@kernel
def _copy_claim(source, target):
    target.feedback, target.given_at, target.source, target.kind = source.feedback, source.given_at, source.source, source.kind
    target.person, target.right, target.nats, target.day = source.person, NOT_COUNTED, 0, 0
    for i in range(5):
        target.reserved[i] = 0


@kernel
def was_retracted_early(home, feedback):
    """Whether a feedback was taken back before it came; then it does nothing, and nothing waits any more."""
    found, w = False, 0
    while w < home.waiting_used:
        if home.waiting[w].claim.kind == RETRACT and home.waiting[w].event == feedback:
            _remove_waiting(home, w)
            found = True
        else:
            w += 1
    return found


@kernel
def expire_waiting(home, policy, work, out):
    """Give up on events that never came."""
    w = 0
    while w < home.waiting_used:
        if home.waiting[w].claim.given_at < home.stream_time - policy.waiting_ms:
            _remove_waiting(home, w)
            add_outcome(UNKNOWN_EVENT, work, out)
        else:
            w += 1
