"""Fusion: log-likelihood ratios of whatever is present, and a prior, into a posterior over guest and people.

Law: what is missing adds 0 to everybody; the posterior sums to 1. Sensors are taken as independent given the person
(their residual dependence is in their own temperatures).
"""

import math

import numpy as np

from learners.kernel import kernel
from learners.precision import SHARE_ONE

__all__ = ["log_odds", "quantise", "softmax", "steps_of"]


@kernel
def softmax(logits, count, out):
    """Fill the first `count` of `out` with probabilities proportional to exp(logits); at least one is finite, minus
    infinity gives 0.
    """
    most = logits[0]
    for place in range(1, count):
        most = max(most, logits[place])
    total = 0.0
    for place in range(count):
        out[place] = math.exp(logits[place] - most)
        total += out[place]
    for place in range(count):
        out[place] /= total


@kernel
def steps_of(share):
    """A share in whole steps."""
    return int(np.rint(share * SHARE_ONE))


@kernel
def quantise(probabilities, count, out):
    """Each at stored precision: whole share steps (their sum may miss 1 by a few)."""
    for place in range(count):
        out[place] = steps_of(probabilities[place])


@kernel
def log_odds(p):
    """Nats; infinite at 0 and 1, and for what rounding left beyond."""
    if p <= 0.0:
        return -math.inf
    return math.log(p / (1.0 - p)) if p < 1.0 else math.inf
