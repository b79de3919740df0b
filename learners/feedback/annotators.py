"""Claims: what somebody says about who it was, weighed by how reliable their way of saying it proved to be.

Law: a claim is a likelihood, never a label: it multiplies the odds by at most h / (1 - h) times the number of others,
and a claim of n nats moves at most tanh(n / 4) of an event, whoever the sensors hold it to be. What a source may say
in one day is bounded.

Theory: the one-coin model of Dawid and Skene (1979), one coin per source. A source's coin is a Beta count moved by
how likely each claim was honest, given what the sensors alone said; counts are whole share steps, so that taking a
claim back is exact.
"""

import math

import numpy as np

from learners.kernel import kernel
from learners.precision import SHARE_ONE, SHARE_STEP

__all__ = ["claim_nats", "expected_right", "learn_source", "reliability", "unlearn_source", "weigh_claim"]


@kernel
def reliability(source, prior_right, prior_wrong):
    """Probability that the next claim of a source is right."""
    right = prior_right + int(source.right) * SHARE_STEP
    return right / (right + prior_wrong + int(source.wrong) * SHARE_STEP)


@kernel
def claim_nats(places, honest, says_no):
    """By how much, in nats, a claim raises the odds of what it says against each of the others; a liar's claim says nothing."""
    others = 1 if says_no else max(1, places - 1)
    return max(0.0, math.log(honest * others / (1.0 - honest)))


@kernel
def weigh_claim(shares, places, named, nats):
    """The shares of an event with a claim of so many nats (negative: it was not `named`), in place."""
    shares[named] *= math.exp(nats)
    total = 0.0
    for place in range(places):
        total += shares[place]
    for place in range(places):
        shares[place] /= total


@kernel
def expected_right(posterior, places, named, honest):
    """Share steps: as right as a claim probably was, by the posterior of the sensors alone. `honest` negative: it was
    not `named`.
    """
    says_no, total, agreeing = honest < 0.0, 0.0, 0.0
    honest = abs(honest)
    other = (1.0 - honest) / max(1, places - 1)
    for place in range(places):
        if says_no:
            joint = posterior[place] * ((1.0 - honest) if place == named else honest)
            agreeing += 0.0 if place == named else joint
        else:
            joint = posterior[place] * (honest if place == named else other)
            agreeing += joint if place == named else 0.0
        total += joint
    return int(np.rint(agreeing / total * SHARE_ONE))


@kernel
def learn_source(source, right):
    """Count a claim as so far right (share steps)."""
    source.right += right
    source.wrong += SHARE_ONE - right


@kernel
def unlearn_source(source, right):
    """Take that back exactly."""
    source.right -= right
    source.wrong -= SHARE_ONE - right
