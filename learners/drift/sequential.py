"""Sequential evidence that a stream of numbers is no longer what it was, good at any time, with no level told
beforehand.

Law: as long as nothing changes, evidence stays small: the e-value has a mean of at most 1 at any fixed time,
and the nats that come once in n values by chance are ln(0.75 n / STARTS) (what is proven and what is measured
of this: docs/drift.md). One value multiplies evidence by a bounded factor, and moves what is learnt by a
bounded amount. A record of zeros is a stream that saw nothing; what a stream has learnt stands at float32
precision at any time.

Theory: e-detectors after Shin, Ramdas and Rinaldo (2022), in the form of Shiryaev and Roberts. For every bet
k on a size of change, R_k ← (keep · R_k + 1) · f_k(x), where the factor f_k has a mean of at most 1 given the
past: the sum, over all moments at which the change may have begun, of what that bet has won since. The
evidence M is the weighted mean of the R_k. `keep` fades beginnings of long ago, so that E[M] ≤ STARTS always:
M / STARTS is an e-value at any fixed time, as a decision over a fleet needs it (e-BH). And M grows by at most
1 a value on average: mean time to a false M ≥ A is at least A. The change began when all bets together last
began to win (Page 1954).

What it was before is learnt from the same stream. Once there is evidence for a change, values are learnt by
less, as far as the evidence *before* each says: a weight that does not look at its own value leaves the mean
of what is learnt right.

A value must be independent of the ones before. Events of one session (what one device saw without a longer
break) are not: they share a voice with a cold, a place in the room, a mood. k events of which any two are
correlated by c are worth k / (1 + (k - 1) c) independent ones, so the mean of a session is one value of that
weight, learnt when the next session begins.
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel

__all__ = ["EQUAL", "RATE_SHARES", "STARTS", "evidence_of", "learn_rate", "learn_rise", "reset_stream"]

# Values: beginnings of longer ago are forgotten; less dulls slow changes, more dulls e-values.
STARTS: Final = 1000.0
KEEP: Final = 1 - 1 / STARTS
# Evidence at which a value is learnt by half: more notices a rate later, less alarms wrongly more often.
DOUBT: Final = 40.0
EVIDENCE_MAX: Final = 1e12  # of one bet: enough for any decision, far from what a float cannot hold

# Values that are learnt wholly, and from then on this part of all: a wrong first guess mends itself.
LEVEL_SURE: Final = 50.0
CLIP: Final = 2.5  # standard deviations: all that one value may say
LEARNT_MAX: Final = 4.0  # standard deviations: beyond, a value moves level and scale no further
STEP: Final = 0.45  # standard deviations; bets on a rise by one step, two, three

RATE_WEIGHT: Final = 10.0  # values' worth of the rate that is assumed at first
RATE_SURE: Final = 30.0  # as LEVEL_SURE, of what has less to learn: the more it learns, the later it notices
CALM: Final = 20.0  # values before a rate is bet on: until then its level is the fleet's, not this stream's
RATIOS: Final = (3.0, 5.0, 0.4)  # bets: the odds multiplied by that
GAINS: Final = tuple(ratio - 1 for ratio in RATIOS)
# Rises matter more; a third is held back, since a rate learnt from few ones is rough.
RATE_SHARES: Final = (0.3, 0.3, 0.06)
STAKE_MAX: Final = 0.9  # of what a bet has: what one value may lose it
EQUAL: Final = (1 / 3, 1 / 3, 1 / 3)

VALUE_STEP: Final = 1 / 256  # of values, so that the sum of a session is exact at float32
VALUE_MAX: Final = 256.0
EVENTS_MAX: Final = 255  # events of a session that count: more tell nothing new
CORRELATION: Final = 0.3  # of two events of one session, assumed


def _log_mgf(delta: float) -> float:
    """ln E exp(delta · Z), Z standard normal and cut at ±CLIP: the cost of a bet on a shift by delta."""
    below = [0.5 * math.erfc(x / math.sqrt(2)) for x in (CLIP - delta, CLIP + delta, CLIP)]
    inside = math.exp(delta * delta / 2) * (1 - below[0] - below[1])
    return math.log(inside + 2 * math.cosh(delta * CLIP) * below[2])


ONE_COST, TWO_COST, THREE_COST = (math.exp(-_log_mgf(k * STEP)) for k in (1, 2, 3))


@kernel
def count_value(session, value, number):
    """Count an event's value in session `number`: mean and weight of the one before, if that ended with this;
    else weight 0.

    Events of no session beyond EVENTS_MAX count.
    """
    events = int(session.events)
    mean, weight = 0.0, 0.0
    if session.session == number:
        if events >= EVENTS_MAX:
            return mean, weight
    else:
        if events > 0:
            mean = np.float64(session.total) / events
            weight = events / (1.0 + (events - 1) * CORRELATION)
        session.session, session.total, events = number, np.float32(0), 0
    kept = np.rint(min(max(value, -VALUE_MAX), VALUE_MAX) / VALUE_STEP) * VALUE_STEP
    session.total = np.float32(np.float64(session.total) + kept)
    session.events = events + 1
    return mean, weight


@kernel
def evidence_of(stakes, shares):
    """The evidence of a stream's three bets, which stand behind `since` and `run` in its stakes."""
    total = 0.0
    for k in range(3):
        total += np.float64(stakes[k + 2]) * shares[k]
    return total


@kernel
def settle(stakes, factors, shares, at):
    """Pay out every bet, old and new; note when all together last began to win."""
    before, evidence, new = 0.0, 0.0, 0.0
    for k in range(3):
        bet = np.float64(stakes[k + 2])
        before += bet * shares[k]
        bet = (bet * KEEP + 1.0) * factors[k]
        evidence += bet * shares[k]
        new += factors[k] * shares[k]
        stakes[k + 2] = np.float32(min(bet, EVIDENCE_MAX))
    run = np.float64(stakes[1])
    if before > 0.0:
        run *= (evidence - new) / (before * KEEP)
    if run <= 1.0:
        stakes[0], run = np.float32(at), 1.0
    stakes[1] = np.float32(min(run, EVIDENCE_MAX))


@kernel
def learn_rise(stream, value, session, at):
    """Count a real number that should not rise, of event `at` in a session; the e-value, which moves when a
    session has ended.

    Values are turned into recursive residuals (Brown, Durbin and Evans 1975): how far one is from the mean of
    those before it, in their standard deviations, as Student's t made normal (Wallace 1959). With normal
    values these are independent and standard normal whatever level and scale are, from the third on. They are
    cut at ±CLIP, so that tails count little.
    """
    x, worth = count_value(stream.session, value, session)
    numbers = stream.numbers
    stakes = numbers[4:]
    if worth > 0.0:
        count, weight = np.float64(numbers[0]), np.float64(numbers[1])
        mean, squares = np.float64(numbers[2]), np.float64(numbers[3])
        trust, off, unit = 1.0, x - mean, 0.0
        if count > LEVEL_SURE:
            trust = max(DOUBT / (DOUBT + evidence_of(stakes, EQUAL)), LEVEL_SURE / count)
        nu = count - 1.0
        if nu >= 1.0:
            unit = math.sqrt(squares / nu * (1.0 / worth + 1.0 / weight))
        if unit > 0.0:
            u = off / unit
            z = (8.0 * nu + 1.0) / (8.0 * nu + 3.0) * math.sqrt(nu * math.log1p(u * u / nu))
            up = math.exp(STEP * math.copysign(min(z, CLIP), u))
            settle(stakes, (ONE_COST * up, TWO_COST * up * up, THREE_COST * up * up * up), EQUAL, at)
            # A scale learnt from few is often far too small.
            wide = unit * LEARNT_MAX * (1.0 + 20.0 / (nu * nu))
            off = max(-wide, min(off, wide))
        learnt = trust * worth
        share = learnt / (weight + learnt)
        numbers[0], numbers[1] = np.float32(count + trust), np.float32(weight + learnt)
        numbers[2] = np.float32(mean + share * off)
        numbers[3] = np.float32(squares + weight * share * off * off)
    return evidence_of(stakes, EQUAL) / STARTS


@kernel
def learn_rate(stream, value, session, at, rate):
    """Count a share within 0 to 1 that should stay, of event `at` in a session; the e-value, as of
    `learn_rise`.

    A bet on other odds is fair whatever the distribution within 0 to 1, since it pays linearly: 1 + stake ·
    (x − p), the stake that of the likelihood ratio, as far as it is safe. The rate before is learnt from the
    stream, begun at the fleet's `rate`. Only bets on a rise raise doubt: who doubts a fall, too, never
    forgets a rise that was passing.
    """
    x, worth = count_value(stream.session, value, session)
    numbers = stream.numbers
    stakes = numbers[2:]
    if worth > 0.0:
        ones, weight, trust = np.float64(numbers[0]), np.float64(numbers[1]), 1.0
        if weight > RATE_SURE:
            rises = np.float64(stakes[2]) * RATE_SHARES[0] + np.float64(stakes[3]) * RATE_SHARES[1]
            trust = max(DOUBT / (DOUBT + rises), RATE_SURE / weight)
        if weight >= CALM:
            p = (rate * RATE_WEIGHT + ones) / (RATE_WEIGHT + weight)
            # Odds multiplied by r: one value's likelihood ratio is 1 + (r - 1) / (1 + p (r - 1)) · (x - p).
            least, most, off = -STAKE_MAX / (1.0 - p), STAKE_MAX / p, x - p
            one = 1.0 + max(least, min(worth * GAINS[0] / (1.0 + p * GAINS[0]), most)) * off
            two = 1.0 + max(least, min(worth * GAINS[1] / (1.0 + p * GAINS[1]), most)) * off
            fall = 1.0 + max(least, min(worth * GAINS[2] / (1.0 + p * GAINS[2]), most)) * off
            settle(stakes, (one, two, fall), RATE_SHARES, at)
        numbers[0], numbers[1] = np.float32(ones + trust * worth * x), np.float32(weight + trust * worth)
    return evidence_of(stakes, RATE_SHARES) / STARTS


@kernel
def reset_stream(session, numbers):
    """Begin anew, evidence and what was learnt: for after a change that was confirmed, and dealt with."""
    session.total, session.session, session.events = np.float32(0), 0, 0
    for k in range(len(numbers)):
        numbers[k] = np.float32(0)
