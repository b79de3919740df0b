"""Fusion: log-likelihood ratios of whatever is present, and a prior, into a posterior over people and guest.

Law: what is missing adds 0 to everybody; the posterior sums to 1. Sensors are taken as independent given the person
(their residual dependence is in their own temperatures).
"""

import math
from collections.abc import Sequence

from .prototypes import SHARE_STEP

__all__ = ["quantise", "softmax"]


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities proportional to exp(logits); at least one logit is finite, minus infinity gives 0.

    >>> softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    top = max(logits)
    weights = [math.exp(x - top) for x in logits]
    total = sum(weights)
    return [w / total for w in weights]


def quantise(probabilities: Sequence[float]) -> tuple[float, ...]:
    """Each at stored precision: a whole multiple of SHARE_STEP (their sum may miss 1 by a few steps).

    >>> quantise([1 / 3, 2 / 3])
    (0.333251953125, 0.666748046875)
    """
    return tuple([round(p / SHARE_STEP) * SHARE_STEP for p in probabilities])
