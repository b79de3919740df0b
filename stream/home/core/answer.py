"""Answers: what is published of an event, at first and again, with its tier and its label.

Law: every answer's posterior sums to 1 over the members of that moment and `guest`; a revision never raises a tier, but from 4
to 5 where it was proven. A tier is given by sensors and prior alone; no claim raises one, nor lowers what is asked for it. Tier
3 needs a voice or a face, tier 4 two sensors that agree (of which a phone that was only reported is none), tier 5 also a proof:
of that event, or of that person minutes before.

What is asked of an answer is the policy's, fitted on many homes, moved a little by what became of this home's own
answers: an event that leaves the ledger has the last word on who it was.
"""

from typing import Final

from learners.kernel import kernel
from learners.precision import LLR_STEP, NATS_STEP, SHARE_STEP
from learners.recognition.fusion import log_odds
from learners.recognition.gallery import is_enrolled
from learners.recognition.phones import REPORTED
from learners.recognition.presence import belongs
from learners.recognition.thresholds import CAUTION_STEP, move_threshold
from learners.recognition.visits import is_sensed
from stream.home.core.guests import returns
from stream.home.core.work import add_result
from stream.home.messages import ANSWER, LABEL, REJECT
from stream.home.state.layout import NOT_COUNTED, PHONE, TIERS

__all__ = ["answer", "label", "learn_tiers", "list_members", "log_odds_asked", "nats_disputed", "revise"]

AGREEING_MIN: Final = 2  # sensors, for tier 4
PURCHASE, PROTECTED = 4, 5  # tiers
PROVEN: Final = 2  # of `unsettled`
DISPUTED_MAX: Final = 3.0  # nats: a liar can make a home that strict about somebody, and no stricter
SENSORS: Final = PHONE + 1
RETURNED: Final = 8  # bit of what supports a label: the guest was here before


@kernel
def answer(home, index, policy, work, out):
    """Publish revision 0 of an event, and its label if there is one; work has its posterior."""
    row, work.members = home.rows[index], 0
    for p in range(home.people_used):
        if belongs(home.people[p], 0):
            work.members |= 1 << p
    for place in range(home.people_used + 1):
        work.parts[place] = work.posterior[place]
    row.tier, row.named = _tier(home, index, policy, work)
    row.first_tier, row.first_named = row.tier, row.named
    _say(home, index, work, out, ANSWER)
    label(home, index, policy, work, out)


@kernel
def revise(home, index, policy, work, out):
    """Publish an event's answer again when its shares moved enough from what they were (work.before), or it was proven to be of
    who was named; and its label.
    """
    row, most = home.rows[index], 0
    proven = row.unsettled == PROVEN and row.tier == PURCHASE
    for place in range(home.people_used + 1):
        most = max(most, abs(int(row.shares[place]) - int(work.before[index, place])))
    if proven or most * SHARE_STEP >= policy.revision_change_min:
        row.revision += 1
        list_members(home, index, row.evidence, work)
        tier, named = _tier(home, index, policy, work)
        best = list_members(home, index, row.shares, work)
        protected = proven or row.tier == PROTECTED  # what was proven stays proven, of that person
        row.tier = PROTECTED if protected and tier >= PURCHASE and named == row.named else min(row.tier, tier, PURCHASE)
        row.named = named if row.tier >= 2 and named == best else 0
        if row.named == 0:
            row.tier = min(row.tier, 1)
        _say(home, index, work, out, ANSWER)
    label(home, index, policy, work, out)


@kernel
def list_members(home, index, steps, work):
    """work.parts and work.members: shares of who belonged to the home at the event or does now; what is left over is a guest's.

    Returns the place of the greatest, a member before the guest.
    """
    row, guest, there, work.members = home.rows[index], float(steps[0]) * SHARE_STEP, 0.0, 0
    for p in range(home.people_used):
        share = float(steps[p + 1]) * SHARE_STEP
        if belongs(home.people[p], row.observed_at):
            work.members |= 1 << p
            work.parts[p + 1], there = share, there + share
        else:
            guest += share
            work.parts[p + 1] = 0.0
    total, best = guest + there, 0
    work.parts[0] = guest / total
    for p in range(home.people_used):
        work.parts[p + 1] /= total
        if work.members & (1 << p) and (best == 0 or work.parts[p + 1] > work.parts[best]):
            best = p + 1
    return 0 if work.parts[0] > work.parts[best] else best


@kernel
def _say(home, index, work, out, kind):
    """A result about an event: an answer with the probabilities in work.parts."""
    row, at = home.rows[index], add_result(out, kind, work.event, 0)
    result = out.results[at]
    result.observed_at, result.revision, result.tier, result.named = row.observed_at, row.revision, row.tier, row.named
    result.modalities, result.members = row.modalities, work.members
    for place in range(home.people_used + 1):
        result.posterior[place] = work.parts[place]
    result.event_id_length = row.event_id_length
    for i in range(row.event_id_length):
        result.event_id[i] = row.event_id[i]
    return at


# ---- tiers


@kernel
def _tier(home, index, policy, work):
    """(tier, place of the member named at tier 2 or above) of an answer with the probabilities work.parts of work.members."""
    row, best = home.rows[index], 0
    for p in range(home.people_used):
        if work.members & (1 << p) and (best == 0 or work.parts[p + 1] > work.parts[best]):
            best = p + 1
    if best == 0 or work.parts[0] > work.parts[best]:
        return (1 if log_odds(1.0 - work.parts[0]) >= log_odds_asked(home, policy, 1) else 0), 0
    sure = log_odds(work.parts[best]) - nats_disputed(home, best)
    if sure < log_odds_asked(home, policy, 2):
        return (1 if log_odds(1.0 - work.parts[0]) >= log_odds_asked(home, policy, 1) else 0), 0
    if sure < log_odds_asked(home, policy, 3) or not is_sensed(row):
        return 2, best
    agreeing = 0
    for sensor in range(SENSORS):
        if _has_sensor(row, sensor) and row.llr[sensor, best - 1] > 0:
            agreeing += 1
    if sure < log_odds_asked(home, policy, 4) or agreeing < AGREEING_MIN:
        return 3, best
    pin_at = home.people[best - 1].last_pin_at
    return (5 if pin_at != 0 and 0 <= row.observed_at - pin_at <= policy.pin_ms else 4), best


@kernel
def _has_sensor(row, sensor):
    """Whether a sensor of the home told something of an event by itself; phones that were reported by others do not count."""
    return (row.modalities & (1 << sensor)) != 0 and not (sensor == PHONE and row.scanned & REPORTED)


@kernel
def log_odds_asked(home, policy, tier):
    """The least log odds of a tier in this home."""
    caution = max(home.thresholds[tier - 1, 0], home.thresholds[tier - 1, 1])
    return policy.least_log_odds[tier - 1] + caution * CAUTION_STEP


@kernel
def nats_disputed(home, place):
    """Nats by which kept claims that somebody was this person, against the sensors, may have raised their odds elsewhere."""
    against = 0.0
    for i in range(home.rows_used):
        row = home.rows[i]
        for c in range(row.claims_used):
            claim = row.claims[c]
            if claim.person == place and claim.kind != REJECT and claim.right != NOT_COUNTED:
                against += claim.nats * NATS_STEP * (1.0 - float(row.evidence[place]) * SHARE_STEP)
    return min(against, DISPUTED_MAX)


@kernel
def learn_tiers(home, index, policy):
    """Learn from an event that leaves the ledger how far its first answer was right, as far as anybody can tell now.

    Of what sensors and claims say of it the worse counts: what is claimed can make thresholds stricter, never laxer.
    """
    row = home.rows[index]
    if is_enrolled(row):
        return
    evidence, shares = float(row.evidence[0]) * SHARE_STEP, float(row.shares[0]) * SHARE_STEP
    for tier in range(1, TIERS + 1):
        reached, aim = 1.0 if row.first_tier >= tier else 0.0, policy.aims[tier - 1]
        guest = max(evidence, shares) if reached > 0.0 else min(evidence, shares)
        caution = home.thresholds[tier - 1]
        caution[0] = move_threshold(int(caution[0]), guest * reached, guest, aim, policy)
        if tier > 1:  # at tier 1 nobody is named
            other = 0.0
            if row.first_named > 0:
                named = row.first_named
                seen = 1.0 - evidence - float(row.evidence[named]) * SHARE_STEP
                owned = 1.0 - shares - float(row.shares[named]) * SHARE_STEP
                other = max(seen, owned)
            caution[1] = move_threshold(int(caution[1]), other * reached, 1.0 - guest, aim, policy)


# ---- labels


@kernel
def label(home, index, policy, work, out):
    """Publish the label of an event that the sensors alone are sure of, two of them agreeing; or correct it, or take it back.

    That a guest was here before counts for none: the same voice or face tells it.
    """
    row, best = home.rows[index], 0
    for place in range(1, home.people_used + 1):
        if row.evidence[place] > row.evidence[best]:
            best = place
    p = float(row.evidence[best]) * SHARE_STEP
    if row.label == 0 and p < policy.label_min:
        return
    supporting, count = _support_bits(home, index, best, policy), 0
    for bit in range(SENSORS):
        count += (supporting >> bit) & 1
    if p >= policy.label_min and count >= 2:
        if best + 1 != row.label:
            row.label = best + 1
            _say_label(home, index, min(p, 1.0), work, out)
            out.results[out.results_used - 1].modalities = supporting
    elif row.label != 0 and (best + 1 != row.label or p < policy.label_withdrawn_below):
        _say_label(home, index, 0.0 if best + 1 != row.label else p, work, out)
        out.results[out.results_used - 1].withdrawn = 1
        row.label = 0


@kernel
def _say_label(home, index, probability, work, out):
    row = home.rows[index]
    row.label_revision += 1
    result = out.results[_say(home, index, work, out, LABEL)]
    result.probability, result.named, result.label_revision = probability, row.label - 1, row.label_revision
    result.modalities = 0
    if row.label == 1 and returns(home, index):
        result.unnamed = row.unnamed


@kernel
def _support_bits(home, index, best, policy):
    """Bits of the sensors that speak for a person by themselves (or, for a guest, against everybody), or RETURNED."""
    row, bits, least = home.rows[index], 0, policy.label_llr_min / LLR_STEP
    for sensor in range(SENSORS):
        if _has_sensor(row, sensor):
            if best > 0:
                bits |= (1 << sensor) if row.llr[sensor, best - 1] >= least else 0
            elif home.people_used > 0:
                most = row.llr[sensor, 0]
                for p in range(1, home.people_used):
                    most = max(most, row.llr[sensor, p])
                bits |= (1 << sensor) if most <= -least else 0
    if best == 0 and returns(home, index):
        bits |= RETURNED
    return bits
