"""Testimony: what is said of an event, how far it counts there, and what it tells of who said it.

Law: what a claim weighs is fixed when it comes, by how honest its source was held to be, and bounded: by the policy's nats for
one claim, and for all claims that a source makes within a day of stream time. So a claim moves at most tanh(nats / 4) of
its event, and a source at most a quarter of its daily nats of events. Guided enrolment alone is taken as it is.
"""

from typing import Final

from learners.feedback.annotators import claim_likelihood, claim_nats, weigh_claim
from learners.precision import quantise
from stream.contract.policy import Policy
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS

from ..state.home import Home
from ..state.ledger import Claim, Row, Shares, rank

__all__ = ["count_claim", "floored", "heeded", "let_go", "position", "repeated", "shares_of", "teaches", "uncount_claim"]

LEAST: Final = 1 / 8192
AGREED_MIN: Final = 0.5  # of an event: the sensors' share from which they agree with a claim


def shares_of(home: Home, row: Row, evidence: Shares) -> Shares:
    """The evidence of an event and the claim that holds, together: guest, then every column."""
    claim = heeded(home, row)
    if claim is None:
        return evidence
    named = position(home, claim)
    if claim.kind == "enrol":
        return tuple([float(i == named) for i in range(len(evidence))])
    return quantise(weigh_claim(floored(evidence), named, claim.nats, claim.kind == "reject"))


def heeded(home: Home, row: Row) -> Claim | None:
    """The claim that counts: the highest in rank of those that weigh anything and are not part of a run that is held out."""
    if not row.claims:
        return None
    held = [doubt for doubt in home.disbelief if doubt.held]
    heard = [c for c in row.claims if (c.nats or c.kind == "enrol") and not any(doubt.concerns(c) for doubt in held)]
    return max(heard, key=rank, default=None)


def let_go(home: Home, row: Row) -> bool:
    """Before an event is folded, which cannot be undone: claims that the sensors never came to agree with weigh nothing any more.

    Only where the sensors know whom a claim names. Returns whether there were such claims.
    """
    gone = [c for c in row.claims if c.nats and _is_known(home, c) and not _agree(row.evidence[position(home, c)], c)]
    for claim in gone:
        claim.nats = 0.0
    return bool(gone)


def _agree(share: float, claim: Claim) -> bool:
    return (share >= AGREED_MIN) != (claim.kind == "reject")


def _is_known(home: Home, claim: Claim) -> bool:
    """Whether sensors know whom a claim names without it: who enrolled, or guests where everybody did."""
    column = home.column(claim.person_id)
    return not home.unanchored if column is None else bool(home.people[column].enrolled)


def teaches(home: Home, row: Row) -> bool:
    """Whether calibration may learn from an event: somebody said who it was who did not just repeat the answer."""
    claim = heeded(home, row)
    return claim is not None and claim.right is not None


def position(home: Home, claim: Claim) -> int:
    """Where the person that a claim names stands in a list of shares."""
    if claim.person_id == GUEST:
        return 0
    column = home.column(claim.person_id)
    assert column is not None, "claims about who was forgotten are forgotten with them"
    return column + 1


def floored(evidence: Shares) -> list[float]:
    """Evidence is kept to 1/4096: what is below half a step is little, not impossible."""
    return [max(p, LEAST) for p in evidence]


def count_claim(home: Home, policy: Policy, row: Row, claim: Claim) -> None:
    """Fix what a claim weighs, and let it tell how honest its source is, by what the sensors alone said of the event.

    Who only repeats the answer tells nothing of their honesty: so do those whom it took for somebody else.
    """
    source, evidence = home.honesty[claim.source], floored(row.evidence)
    named, says_no = position(home, claim), claim.kind == "reject"
    honest, echo = source.predict_one(), not says_no and claim.person_id == row.first_named
    nats = min(claim_nats(len(evidence), honest, says_no), _nats_max(home, policy, claim, echo))
    _allow(home, policy, claim, nats)
    if not echo:
        claim.right = source.learn_one(evidence, claim_likelihood(len(evidence), named, honest, says_no), named, says_no)


def repeated(home: Home, policy: Policy, claim: Claim) -> Claim:
    """A claim as said of one more event of the same unnamed person: it weighs as much, and tells no more of its source."""
    more = Claim(claim.feedback_id, claim.source, "correct", claim.person_id, claim.given_at)
    _allow(home, policy, more, claim.nats)
    return more


def _allow(home: Home, policy: Policy, claim: Claim, nats: float) -> None:
    """Let a claim weigh so many nats, as far as its source may still say something today."""
    limits = policy.claims
    claim.day = home.stream_time // DAY_MS
    claim.nats = home.allowances[claim.source].spend(claim.day, nats, limits.daily_nats.get(claim.source, limits.nats_max))


def _nats_max(home: Home, policy: Policy, claim: Claim, echo: bool) -> float:
    """What one claim may weigh: little where sensors know whom it names, less if it only repeats the answer."""
    limits = policy.claims
    if echo:
        return limits.echo_nats
    return limits.nats_enrolled if _is_known(home, claim) else limits.nats_max


def uncount_claim(home: Home, claim: Claim) -> None:
    """Take back what `count_claim` counted."""
    if claim.right is not None:
        home.honesty[claim.source].unlearn_one(claim.right)
        claim.right = None
    home.allowances[claim.source].give_back(claim.day, claim.nats)
    claim.nats = 0.0
