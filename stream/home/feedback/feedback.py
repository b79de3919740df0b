"""Feedback: what each kind does, and the one outcome of every oddity.

Law: a claim changes one event's shares and through them what was learnt from it; nothing said is believed outright but
guided enrolment, and nothing said cannot be taken back but erasure.
"""

from typing import Final

from learners.recognition.phones import PhoneReliability
from stream.contract.records import GUEST, Confirm, Correct, Enrol, Erase, Feedback, Join, Leave, Phone, Reject, Retract
from stream.contract.units import DAY_MS

from ..context import Outcome, Turn
from ..drift.monitor import watch_claim
from ..learning.claims import count_claim, repeated, shares_of, uncount_claim
from ..learning.learning import REBUILD_HEATS, calibrate, rebuild, recalibrate, reshare
from ..recognition.guests import names, of_the_same
from ..recognition.publish import revise, tombstone
from ..state.home import MEMBERSHIPS_MAX, Home, Membership, Person, PhoneState, Registration
from ..state.ledger import CLAIMS_MAX, Claim, Row, Waiting, contradict, rank
from ..state.seen import hashed
from . import erasure

__all__ = ["ENROLMENTS_MAX", "apply", "apply_waiting", "expire_waiting", "retracted_early", "weigh_anew"]

ENROLMENTS_MAX: Final = 4  # guided enrolments of a person that are known by name: older ones cannot be taken back


def apply(turn: Turn, value: Feedback) -> None:
    """Do what a feedback asks for, or say in one outcome why not."""
    turn.outcomes.append(_outcome(turn, value))


def _outcome(turn: Turn, value: Feedback) -> Outcome:
    match value:
        case Join():
            return _join(turn, value)
        case Leave():
            return _leave(turn, value)
        case Phone():
            return _phone(turn, value)
        case Enrol():
            return _enrol(turn, value)
        case Confirm():
            return _claim(turn, value.event_id, Claim(value.feedback_id, value.source, "confirm", "", value.given_at))
        case Reject() | Correct():
            return _name(turn, value)
        case Retract():
            return _retract(turn, value)
        case Erase():
            return _erase(turn, value)


# ---- people and phones


def _join(turn: Turn, value: Join) -> Outcome:
    home = turn.home
    column = home.column(value.person_id)
    if value.person_id == GUEST or (column is None and len(home.people) >= turn.policy.limits.members_max):
        return "rejected"
    if column is None:
        home.people.append(Person(value.person_id, home.next_row, [Membership(value.feedback_id)]))
        home.presence.steps.append(0)
        home.names.learn(value.person_id)
        for row in home.rows:
            row.add_column()
        for space in home.spaces.values():
            space.add_person()
    elif home.people[column].present:
        return "rejected"
    else:  # comes back soon after leaving: is still known
        home.people[column].memberships.append(Membership(value.feedback_id))
        del home.people[column].memberships[:-MEMBERSHIPS_MAX]
    home.known, home.next_rebuild = None, 0
    turn.touch(value.person_id)
    return "used"


def _leave(turn: Turn, value: Leave) -> Outcome:
    column = turn.home.member(value.person_id)
    if column is None:
        return "unknown_person"
    membership = turn.home.people[column].memberships[-1]
    membership.left_at, membership.left_by = turn.at, value.feedback_id
    turn.home.known = None
    tombstone(turn, value.person_id)
    return "used"


def _phone(turn: Turn, value: Phone) -> Outcome:
    home = turn.home
    if value.person_id is not None and home.member(value.person_id) is None:
        return "unknown_person"
    if value.phone_id not in home.phones and len(home.phones) >= turn.policy.limits.phones_max:
        return "rejected"
    phone = home.phones.setdefault(value.phone_id, PhoneState())
    trust = PhoneReliability.of(turn.policy.phones.trust)
    before = phone.registrations[-1].person_id if phone.registrations else None
    phone.register(Registration(value.feedback_id, home.next_row, value.person_id, trust))
    home.known = None
    for person_id in {before: None, value.person_id: None}:
        if person_id is not None:
            turn.touch(person_id)
    return "used"


def _erase(turn: Turn, value: Erase) -> Outcome:
    if value.person_id is None:
        erasure.erase_home(turn)
        return "used"
    return "used" if erasure.erase_person(turn, value.person_id) else "unknown_person"


# ---- claims about events


def _enrol(turn: Turn, value: Enrol) -> Outcome:
    column = turn.home.member(value.person_id)
    if column is None:
        return "unknown_person"
    found = [
        _claim(turn, event, Claim(value.feedback_id, value.source, "enrol", value.person_id, value.given_at))
        for event in dict.fromkeys(value.event_ids)
    ]
    turn.touch(value.person_id)
    return next((o for o in ("contradictory", "used", "early", "expired") if o in found), "used")


def _name(turn: Turn, value: Reject | Correct) -> Outcome:
    if value.person_id != GUEST and turn.home.column(value.person_id) is None:
        return "unknown_person"
    return _claim(turn, value.event_id, Claim(value.feedback_id, value.source, value.kind, value.person_id, value.given_at))


def _claim(turn: Turn, event_id: str, claim: Claim) -> Outcome:
    """Apply a claim to its event, or let it wait for it."""
    row = turn.home.row(event_id)
    if row is not None:
        return _claim_row(turn, row, claim)
    if hashed("event", event_id) in turn.home.seen or claim.given_at <= turn.home.seen.forgotten_until:
        return "expired"
    return _wait(turn, event_id, claim)


def _wait(turn: Turn, event_id: str, claim: Claim) -> Outcome:
    turn.home.waiting.append(Waiting(event_id, claim))
    if len(turn.home.waiting) > turn.policy.limits.waiting_max:
        del turn.home.waiting[0]
        turn.outcomes.append("unknown_event")
    return "early"


def _claim_row(turn: Turn, row: Row, claim: Claim) -> Outcome:
    home = turn.home
    if claim.kind == "confirm":
        if row.named is None:
            return "rejected"
        claim.person_id = row.named
    outcome: Outcome = "contradictory" if any(contradict(claim, other) for other in row.claims) else "used"
    newest = not row.claims and not any(r.claims for r in home.rows[home.rows.index(row) :])
    row.claims += (claim,)
    if len(row.claims) > CLAIMS_MAX:
        weakest = min(row.claims, key=rank)
        uncount_claim(home, weakest)
        row.claims = tuple(c for c in row.claims if c is not weakest)
        if weakest is claim:
            return outcome
    if claim.kind == "enrol":
        _note_enrolment(home, claim)
    else:
        count_claim(home, turn.policy, row, claim)
    _note_pin(home, claim)
    _settle(turn, row, newest)
    watch_claim(home, row, claim)
    if names(claim):
        _name_the_same(turn, row, claim)
    return outcome


def _name_the_same(turn: Turn, row: Row, claim: Claim) -> None:
    """Say of all events of an unnamed person what was said of one; of how honest its source is they tell nothing."""
    for other in of_the_same(turn.home, row):
        other.claims = (repeated(turn.home, turn.policy, claim),)
        _settle(turn, other)


def _note_enrolment(home: Home, claim: Claim) -> None:
    """Who has enrolled is anchored, as long as one of their last enrolments stands."""
    column = home.column(claim.person_id)
    if column is not None and claim.feedback_id not in home.people[column].enrolled:
        home.people[column].enrolled.append(claim.feedback_id)
        del home.people[column].enrolled[:-ENROLMENTS_MAX]
        home.known = None


def _note_pin(home: Home, claim: Claim) -> None:
    """A PIN says who is there now, whatever event it is about."""
    column = home.member(claim.person_id) if claim.source == "pin" and claim.kind in ("confirm", "correct") else None
    if column is not None:
        home.people[column].last_pin_at = max(claim.given_at, home.people[column].last_pin_at or 0)


def _settle(turn: Turn, row: Row, newest: bool = False) -> None:
    """Let an event's claims, as they now are, take effect on its shares and on what was learnt from it.

    `newest`: it has its first claim, and no event after it has one, so that calibrations only learn one lesson more.
    """
    home, before = turn.home, row.shares
    reshare(home, row, shares_of(home, row, row.evidence))
    if newest:
        calibrate(home, row)
    else:
        recalibrate(home)
    revise(turn, row, before)
    for person, old, new in zip(home.people, before[1:], row.shares[1:], strict=True):
        if person.present and abs(new - old) >= turn.policy.publishing.revision_change_min:
            turn.touch(person.person_id)
    if home.unanchored:
        home.next_rebuild = 0


# ---- taking back


def _retract(turn: Turn, value: Retract) -> Outcome:
    home, target = turn.home, value.retracts
    undone = [
        undo(turn, target)
        for undo in (_retract_claims, _retract_waiting, _retract_folded, _retract_phone, _retract_membership)
    ]
    claims, _, *others = undone
    if any(others) or (claims and not all(p.enrolled for p in home.people)):
        weigh_anew(turn)
    if any(undone):
        return "used"
    if hashed("feedback", target) in home.seen:
        return "rejected"  # it had no effect, has expired, or was an erasure or a retraction itself
    return _wait(turn, target, Claim(value.feedback_id, value.source, "retract", "", value.given_at))


def _retract_claims(turn: Turn, target: str) -> bool:
    home = turn.home
    found = [row for row in home.rows if any(c.feedback_id == target for c in row.claims)]
    for person in home.people:
        if target in person.enrolled:
            person.enrolled.remove(target)
            home.known = None
            turn.touch(person.person_id)
    for row in found:
        for claim in [c for c in row.claims if c.feedback_id == target]:
            uncount_claim(home, claim)
            _forget_pin(home, claim)
        row.claims = tuple(c for c in row.claims if c.feedback_id != target)
        _settle(turn, row)
    return bool(found)


def _forget_pin(home: Home, claim: Claim) -> None:
    column = home.column(claim.person_id) if claim.source == "pin" else None
    if column is not None and home.people[column].last_pin_at == claim.given_at:
        home.people[column].last_pin_at = None


def _retract_waiting(turn: Turn, target: str) -> bool:
    kept = [w for w in turn.home.waiting if w.claim.feedback_id != target]
    found = len(kept) < len(turn.home.waiting)
    turn.home.waiting = kept
    return found


def _retract_folded(turn: Turn, target: str) -> bool:
    """What was folded cannot be told apart: its owners are rebuilt from what the ledger still keeps of them."""
    folded = turn.home.folded.pop(hashed("feedback", target), None)
    if folded is None:
        return False
    which, owners = folded
    for person_id in owners:
        column = turn.home.column(person_id)
        if column is not None:
            turn.home.people[column].calibration = None
            for space in turn.home.spaces.values():
                space.forget_tail(column, which)
            turn.touch(person_id)
    recalibrate(turn.home)
    return True


def _retract_phone(turn: Turn, target: str) -> bool:
    for phone_id, phone in list(turn.home.phones.items()):
        for registration in [r for r in phone.registrations if r.feedback_id == target]:
            phone.registrations.remove(registration)
            turn.home.known = None
            for person_id in (registration.person_id, phone.registrations[-1].person_id if phone.registrations else None):
                if person_id is not None:
                    turn.touch(person_id)
            if not phone.registrations:
                erasure.forget_phone(turn.home, phone_id)
            return True
    return False


def _retract_membership(turn: Turn, target: str) -> bool:
    for person in turn.home.people:
        for membership in person.memberships:
            if membership.left_by == target:
                membership.left_at = membership.left_by = None
                turn.home.known = None
                turn.touch(person.person_id)
                return True
            if membership.joined_by == target:
                _end(turn, person, membership)
                return True
    return False


def _end(turn: Turn, person: Person, membership: Membership) -> None:
    """Take one membership back; with the last of them goes the person."""
    if len(person.memberships) == 1:
        erasure.erase_person(turn, person.person_id)
        return
    person.memberships.remove(membership)
    turn.home.known = None
    if not person.present:
        tombstone(turn, person.person_id)


def weigh_anew(turn: Turn) -> None:
    """Infer the kept events anew from what is believed now, and publish those answers again that moved."""
    home = turn.home
    heats = (1.0,) if all(p.enrolled for p in home.people) else REBUILD_HEATS
    changed = rebuild(home, turn.policy, heats)
    recalibrate(home)
    for row in home.rows:
        if row.number in changed:
            revise(turn, row, changed[row.number])


# ---- what came early


def apply_waiting(turn: Turn, row: Row) -> None:
    """Apply what was said of an event before it came, right after it was answered."""
    home = turn.home
    due = [w for w in home.waiting if w.event_id == row.event_id and w.claim.kind != "retract"]
    if due:
        home.waiting = [w for w in home.waiting if w not in due]
        turn.outcomes.extend(_claim_row(turn, row, w.claim) for w in due)


def retracted_early(turn: Turn, feedback_id: str) -> bool:
    """Whether a feedback was taken back before it came; then it does nothing, and nothing waits any more."""
    home = turn.home
    kept = [w for w in home.waiting if not (w.claim.kind == "retract" and w.event_id == feedback_id)]
    found = len(kept) < len(home.waiting)
    home.waiting = kept
    return found


def expire_waiting(turn: Turn) -> None:
    """Give up on events that never came."""
    oldest = turn.home.stream_time - turn.policy.limits.waiting_days * DAY_MS
    kept = [w for w in turn.home.waiting if w.claim.given_at >= oldest]
    turn.outcomes.extend(["unknown_event"] * (len(turn.home.waiting) - len(kept)))
    turn.home.waiting = kept

