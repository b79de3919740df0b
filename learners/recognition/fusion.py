"""Fusion: log-likelihood ratios of whatever is present, and a prior, into a posterior over people and guest.

Law: what is missing adds 0 to everybody; the posterior sums to 1. Sensors are taken as independent given the person
(their residual dependence is in their own temperatures).
"""

import math
from collections.abc import Sequence

__all__ = ["softmax"]


def softmax(logits: Sequence[float]) -> list[float]:
    """Probabilities proportional to exp(logits); at least one logit is finite, minus infinity gives 0.

    >>> softmax([0.0, 0.0])
    [0.5, 0.5]
    """
    top = max(logits)
    weights = [math.exp(x - top) for x in logits]
    total = sum(weights)
    return [w / total for w in weights]
