"""People under each other's names.

Who enrolled so: what is said of each is what the sensors hold of the other, again and again. Who never enrolled: voices and faces
tell them apart, but which of them is whom their phones alone say, and the first few events may have had it wrong.

Law: names of who enrolled are exchanged where claims and phones agree, both ways; of claims alone it is told, and nothing is
done, for who lies about two people says the same. Names of who never enrolled are exchanged where their phones are so much
likelier then, and the more was learnt under the names the more it takes. What was learnt stays with who it was learnt of; what
is somebody's by name (memberships, phones, claims, what was published) goes with the name.
"""

import math
from typing import Final

from learners.drift.sequential import reset_stream
from learners.feedback.annotators import expected_right, learn_source, reliability, unlearn_source
from learners.kernel import kernel
from learners.precision import LLR_STEP, NATS_STEP, SHARE_STEP
from learners.recognition.fusion import softmax
from learners.recognition.levels import hold_models
from learners.recognition.phones import REPORTED, hear_phones, phone_llr
from stream.home.core.answer import revise
from stream.home.core.feedback.claims import find_heeded, floor_evidence
from stream.home.core.posterior import FACE_TERM, RETURNING, VOICE_TERM, is_unenrolled, row_logits
from stream.home.messages import CORRECT, ENROL, REJECT
from stream.home.state.layout import FACE, NOT_COUNTED, PHONE, VOICE

__all__ = ["are_crosswise", "exchange_crosswise", "exchange_unenrolled"]

CROSSWISE_MIN: Final = 2  # events of each of two people, of which the other is said
PHONES_MIN, PHONES_BOTH_MIN = 2, 5  # of them that phones agree with more than contradict: of each, and of both together
LIKER_NATS: Final = 1.0  # by so much voice and face are rather the other's
NEARER_DB: Final = 6  # so much stronger one phone is heard than another: half as far away
UNHEARD: Final = -127  # dBm
LIKELIER_NATS: Final = 6.0  # by so much phones must be likelier under exchanged names,
KNOWN_NATS: Final = 0.1  # and by so much more for each event of either that has left the ledger


@kernel
def are_crosswise(home):
    """Whether two people are each called the other: they were enrolled under each other's names, or somebody says so."""
    for one in range(1, home.people_used + 1):
        for other in range(1, one):
            if _count_taken_for(home, one, other)[0] >= CROSSWISE_MIN and _count_taken_for(home, other, one)[0] >= CROSSWISE_MIN:
                return True
    return False


@kernel
def exchange_crosswise(home, policy, work, out):
    """Exchange the names of two people whom claims and phones take for each other, and publish kept answers again; whether there
    were such.
    """
    for one in range(1, home.people_used + 1):
        for other in range(1, one):
            agree, too = _count_taken_for(home, one, other)[1], _count_taken_for(home, other, one)[1]
            if min(agree, too) >= PHONES_MIN and agree + too >= PHONES_BOTH_MIN:
                _exchange(home, (one, other), policy, work, out)
                return True
    return False


@kernel
def _count_taken_for(home, said, sensed):
    """Of how many events somebody is said to have made them whom the sensors take for one other member; and how many more phones
    agree with than contradict, of those whose voice and face are the other's.
    """
    events, agree = 0, 0
    for index in range(home.rows_used):
        row, says = home.rows[index], False
        for c in range(row.claims_used):
            says = says or (row.claims[c].kind == CORRECT and row.claims[c].person == said)
        if says and row.evidence[sensed] * SHARE_STEP > 1.0 / 2:
            events += 1
        if says and _looks_like(row, sensed) - _looks_like(row, said) >= LIKER_NATS:
            nearer = _rssi_dbm(home, row, said) - _rssi_dbm(home, row, sensed)
            agree += int(nearer >= NEARER_DB) - int(nearer <= -NEARER_DB)
    return events, agree


@kernel
def _looks_like(row, place):
    """Nats for somebody by voice and face alone, as they were at the answer."""
    nats = 0.0
    for modality in (VOICE, FACE):
        if row.modalities & (1 << modality):
            nats += float(row.llr[modality, place - 1]) * LLR_STEP
    return nats


@kernel
def _rssi_dbm(home, row, place):
    """How strong the strongest phone of somebody's was heard; UNHEARD: none was, or others tell so."""
    strongest = UNHEARD
    if row.scanned & REPORTED:
        return strongest
    for s in range(row.sightings_used):
        phone = home.phones[row.sightings[s].phone]
        if phone.registrations_used > 0 and phone.registrations[phone.registrations_used - 1].person == place:
            strongest = max(strongest, int(row.sightings[s].rssi_dbm))
    return strongest


@kernel
def _exchange(home, places, policy, work, out):
    """Exchange everything that is of a name between two places, and publish kept answers again; rows are to be settled."""
    one, other = places
    first, second = home.people[one - 1], home.people[other - 1]
    first.name, second.name = second.name, first.name
    first.revision, second.revision = second.revision, first.revision
    first.joined_row, second.joined_row = second.joined_row, first.joined_row
    first.last_pin_at, second.last_pin_at = second.last_pin_at, first.last_pin_at
    first.touched, second.touched, work.fresh = 1, 1, 1
    _exchange_memberships(first, second)
    for phone in range(home.phones_used):
        state = home.phones[phone]
        for r in range(state.registrations_used):
            registration = state.registrations[r]
            if registration.person == one or registration.person == other:
                registration.person = _other(registration.person, one, other)
                registration.log_odds = 0.0  # what was learnt is of the other
    for index in range(home.rows_used):
        _exchange_row(home, index, places, policy, work)
    for w in range(home.waiting_used):
        _exchange_claim(home.waiting[w].claim, one, other)
    for c in range(home.consents_used):
        home.consents[c].person = _other(home.consents[c].person, one, other)
    for v in range(home.witnesses_used):
        home.witnesses[v].person = _other(home.witnesses[v].person, one, other)
    for n in range(home.presences_used):
        home.presences[n].person = _other(home.presences[n].person, one, other)
    for d in range(home.doubts_used):
        home.doubts[d].person = _other(home.doubts[d].person, one, other)
    for place in (one, other):
        reset_stream(home.people[place - 1].phone.session, home.people[place - 1].phone.numbers[:])
    for index in range(home.rows_used):
        _set_before(home, index, places, work)
        revise(home, index, policy, work, out)


@kernel
def _set_before(home, index, places, work):
    """work.before of an event: its shares by the names of before."""
    one, other = places
    for place in range(home.people_used + 1):
        work.before[index, place] = home.rows[index].shares[place]
    work.before[index, one], work.before[index, other] = work.before[index, other], work.before[index, one]


@kernel
def _other(place, one, other):
    """Of two places the one that this is not; any other place as it is."""
    return one + other - place if place in (one, other) else place


@kernel
def _exchange_memberships(first, second):
    for m in range(first.memberships.shape[0]):
        own, its = first.memberships[m], second.memberships[m]
        own.joined_by, its.joined_by = its.joined_by, own.joined_by
        own.left_by, its.left_by = its.left_by, own.left_by
        own.left_at, its.left_at = its.left_at, own.left_at
        own.told_at, its.told_at = its.told_at, own.told_at
    first.memberships_used, second.memberships_used = second.memberships_used, first.memberships_used


@kernel
def _exchange_row(home, index, places, policy, work):
    """What was answered and said of a kept event, and what phones said, by the places of now; it is to be settled."""
    (one, other), row = places, home.rows[index]
    row.unsettled = 1
    row.named, row.first_named = _other(row.named, one, other), _other(row.first_named, one, other)
    row.label = _other(row.label - 1, one, other) + 1
    llr = row.llr[PHONE]
    llr[one - 1], llr[other - 1] = llr[other - 1], llr[one - 1]
    count = int(home.people_used) + 1
    for c in range(row.claims_used):
        claim = row.claims[c]
        if not _exchange_claim(claim, one, other) or claim.right == NOT_COUNTED:
            continue
        source = home.sources[claim.source]
        unlearn_source(source, int(claim.right))
        honest = reliability(source, policy.prior_right[claim.source], policy.prior_wrong[claim.source])
        floor_evidence(row, count, work.parts)
        claim.right = expected_right(work.parts, count, claim.person, -honest if claim.kind == REJECT else honest)
        learn_source(source, claim.right)


@kernel
def _exchange_claim(claim, one, other):
    """Whether a claim speaks of either; then it does of the other place. An enrolment stays with what it taught."""
    if claim.kind == ENROL or not (claim.person == one or claim.person == other):
        return False
    claim.person = _other(claim.person, one, other)
    return True


# ---- who never enrolled


@kernel
def exchange_unenrolled(home, policy, work, out):
    """Exchange the names of those two people who never enrolled whose phones are most the likelier then; whether there were such.

    In scratch, of every kept event: tables[1] how far it is whose by voice and face, tables[2] the likelihood of its phones if it
    is, tables[0, event, 0] that of its phones in all.
    """
    hold_models(work, 1)
    for index in range(home.rows_used):
        _weigh_phones(home, index, policy, work)
    hold_models(work, 0)
    most, one, other = 0.0, 0, 0
    for first in range(1, home.people_used + 1):
        for second in range(1, first):
            if is_unenrolled(home.people[first - 1]) and is_unenrolled(home.people[second - 1]):
                known = _count_folded(home, first) + _count_folded(home, second)
                gain = _gain(home, first, second, work) - LIKELIER_NATS - KNOWN_NATS * known
                if gain > most:
                    most, one, other = gain, first, second
    if one > 0:
        _exchange(home, (one, other), policy, work, out)
    return one > 0


@kernel
def _weigh_phones(home, index, policy, work):
    row, places = home.rows[index], int(home.people_used) + 1
    row_logits(home, index, VOICE_TERM | FACE_TERM | RETURNING, policy, work)
    softmax(work.parts, places, work.posterior)
    for place in range(places):
        work.tables[1, index, place], work.tables[2, index, place] = work.posterior[place], 1.0
    if row.scanned:  # what was learnt of the phones rests on the names
        hear_phones(home, row, row.number, policy, work)
        phone_llr(home, row.number, 0.0, work, work.found)
        for place in range(1, places):
            work.tables[2, index, place] = math.exp(work.found[place - 1])
    likely = 0.0
    for place in range(places):
        likely += work.tables[1, index, place] * work.tables[2, index, place]
    work.tables[0, index, 0] = likely


@kernel
def _gain(home, one, other, work):
    """Nats by which the phones are likelier if two names are exchanged; claims only speak against it."""
    nats, said = 0.0, 0.0
    for index in range(home.rows_used):
        owned, told = work.tables[1, index], work.tables[2, index]
        apart = owned[one] - owned[other]
        nats += math.log1p(apart * (told[other] - told[one]) / work.tables[0, index, 0])
        best = find_heeded(home, home.rows[index])
        if best >= 0:
            claim = home.rows[index].claims[best]
            if claim.person == one or claim.person == other:
                rather = -apart if claim.person == one else apart
                said += claim.nats * NATS_STEP * (-rather if claim.kind == REJECT else rather)
    return nats + min(said, 0.0)


@kernel
def _count_folded(home, place):
    """Events' worth of somebody that have left the ledger."""
    steps = int(home.people[place - 1].events)
    for index in range(home.rows_used):
        steps -= int(home.rows[index].shares[place])
    return max(steps, 0) * SHARE_STEP
