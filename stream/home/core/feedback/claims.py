"""Claims: what is said of an event, how far it counts there, and what it tells of who said it.

Law: what a claim weighs is fixed when it comes, by how reliable its source was held to be, and bounded: by the
policy's nats for one claim, and for all claims that a source makes within a day of stream time. So a claim moves at
most tanh(nats / 4) of its event, and a source at most a quarter of its daily nats of events. Guided enrolment alone
is taken as it is.
"""

from typing import Final

from learners.feedback.annotators import claim_nats, expected_right, learn_source, reliability, unlearn_source, weigh_claim
from learners.kernel import kernel
from learners.precision import NATS_STEP, SHARE_ONE, SHARE_STEP
from learners.recognition.fusion import quantise
from stream.home.core.posterior import has_unenrolled
from stream.home.messages import CORRECT, ENROL, REJECT
from stream.home.state.layout import CLAIMS_MAX, NOT_COUNTED

__all__ = [
    "LEAST", "add_claim", "contradicts", "count_claim", "distrust", "floor_evidence", "find_heeded", "is_known",
    "remove_claim", "repeat_claim", "share_event", "is_suspended", "uncount_claim",
]  # fmt: skip

LEAST: Final = 1 / 8192  # of an event: what is below half a step is little, not impossible
AGREED_MIN: Final = 0.5  # of an event: the sensors' share from which they agree with a claim
DAY_MS: Final = 86_400_000


@kernel
def outranks(one, other):
    """Of two claims about one event the greater holds: enrolment, then the source, then the later one."""
    if (one.kind == ENROL) != (other.kind == ENROL):
        return one.kind == ENROL
    if one.source != other.source:
        return one.source > other.source
    return one.given_at > other.given_at


@kernel
def contradicts(row, claim):
    """Whether a claim and one that was made before about the event cannot both be true."""
    for c in range(row.claims_used):
        other = row.claims[c]
        if (claim.kind == REJECT) == (other.kind == REJECT):
            if claim.kind != REJECT and claim.person != other.person:
                return True
        elif claim.person == other.person:
            return True
    return False


@kernel
def is_suspended(home, claim):
    """Whether a claim is part of a run that is suspended."""
    if claim.kind == ENROL:
        return False
    for d in range(home.doubts_used):
        doubt = home.doubts[d]
        if doubt.suspended and (doubt.source == claim.source or doubt.person == claim.person):
            return True
    return False


@kernel
def find_heeded(home, row):
    """Index of the claim that counts: the highest in rank of those that weigh anything and are not suspended; -1: none."""
    best = -1
    for c in range(row.claims_used):
        claim = row.claims[c]
        if (claim.nats > 0 or claim.kind == ENROL) and not is_suspended(home, claim):
            if best < 0 or outranks(claim, row.claims[best]):
                best = c
    return best


@kernel
def share_event(home, index, work):
    """work.shares: the evidence of an event and the claim that holds, together."""
    row, places = home.rows[index], home.people_used + 1
    best = find_heeded(home, row)
    for place in range(places):
        work.shares[place] = row.evidence[place]
    if best < 0:
        return
    claim = row.claims[best]
    if claim.kind == ENROL:
        for place in range(places):
            work.shares[place] = SHARE_ONE if place == claim.person else 0
        return
    floor_evidence(row, places, work.parts)
    weigh_claim(work.parts, places, claim.person, claim.nats * NATS_STEP * (-1.0 if claim.kind == REJECT else 1.0))
    quantise(work.parts, places, work.shares)


@kernel
def floor_evidence(row, places, out):
    """The evidence of an event: what is below half a step is little, not impossible."""
    for place in range(places):
        out[place] = max(float(row.evidence[place]) * SHARE_STEP, LEAST)


@kernel
def is_known(home, place):
    """Whether sensors know somebody without being told: who enrolled, or guests where everybody did."""
    return not has_unenrolled(home) if place == 0 else home.people[place - 1].enrolments_used > 0


@kernel
def distrust(home, row):
    """Before an event is folded, which cannot be undone: claims that the sensors never came to agree with weigh nothing any more.

    Only where the sensors know whom a claim names. Returns whether there were such claims.
    """
    found = False
    for c in range(row.claims_used):
        claim = row.claims[c]
        if claim.nats > 0 and is_known(home, claim.person):
            agrees = float(row.evidence[claim.person]) * SHARE_STEP >= AGREED_MIN
            if agrees == (claim.kind == REJECT):
                claim.nats, found = 0, True
    return found


@kernel
def add_claim(home, row, claim):
    """Keep a claim about an event; its index, or -1 when all kept ones outrank it. Of too many the lowest in rank goes."""
    if row.claims_used == CLAIMS_MAX:
        weakest = 0
        for c in range(1, CLAIMS_MAX):
            if outranks(row.claims[weakest], row.claims[c]):
                weakest = c
        if outranks(row.claims[weakest], claim):
            return -1
        uncount_claim(home, row.claims[weakest])
        remove_claim(row, weakest)
    row.claims[row.claims_used] = claim
    row.claims_used += 1
    return int(row.claims_used) - 1


@kernel
def remove_claim(row, index):
    """Those behind it move up."""
    for c in range(index, row.claims_used - 1):
        row.claims[c] = row.claims[c + 1]
    row.claims_used -= 1


@kernel
def count_claim(home, row, index, policy, work):
    """Fix what a claim weighs, and let it tell how reliable its source is, by what the sensors alone said of the event.

    Who only repeats the answer tells nothing of that: so do those whom it took for somebody else.
    """
    claim, places = row.claims[index], home.people_used + 1
    source, says_no = home.sources[claim.source], claim.kind == REJECT
    honest = reliability(source, policy.prior_right[claim.source], policy.prior_wrong[claim.source])
    named = -1 if row.first_named == 0 else row.first_named
    echo = not says_no and claim.person == named
    most = policy.echo_nats if echo else policy.nats_enrolled if is_known(home, claim.person) else policy.nats_max
    _spend(home, claim, min(claim_nats(places, honest, says_no), most), policy)
    claim.right = NOT_COUNTED
    if not echo:
        floor_evidence(row, places, work.parts)
        right = expected_right(work.parts, places, claim.person, honest * (-1.0 if says_no else 1.0))
        claim.right = right
        learn_source(source, right)


@kernel
def _spend(home, claim, nats, policy):
    """Let a claim weigh so many nats, as far as its source may still say something today."""
    source = home.sources[claim.source]
    claim.day = home.stream_time // DAY_MS
    if claim.day > source.day:
        source.day, source.spent = claim.day, 0
    left = int(policy.daily_nats[claim.source] / NATS_STEP) - int(source.spent)
    granted = max(0, min(int(nats / NATS_STEP), left))
    source.spent += granted
    claim.nats = granted


@kernel
def uncount_claim(home, claim):
    """Take back what `count_claim` counted."""
    source = home.sources[claim.source]
    if claim.right != NOT_COUNTED:
        unlearn_source(source, int(claim.right))
        claim.right = NOT_COUNTED
    if claim.day == source.day:
        source.spent -= int(claim.nats)
    claim.nats = 0


@kernel
def repeat_claim(home, row, claim, policy):
    """A claim as said of one more event of the same recurring guest: it weighs as much, and tells no more of its source."""
    nats = claim.nats * NATS_STEP
    row.claims[0] = claim
    row.claims_used = 1
    again = row.claims[0]
    again.kind, again.right = CORRECT, NOT_COUNTED
    _spend(home, again, nats, policy)
