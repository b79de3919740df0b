"""Which cause explains a pattern of residuals: whose vectors moved together.

Law: a cause is judged by the residuals that it says moved, all of them and no others; numbers only, no names.
Twice the residuals of one event are no more than one.

Theory: a cause predicts that its residuals share one shift, N(0, τ²) a dimension, and are N(0, 1) about it;
against none the log Bayes factor is ½ Σ_k [S_k² τ² / (1 + n τ²) − ln(1 + n τ²)], S their weighted sum and n
their weight. Dimensions are not independent, hence the power. What moved for one person only is diluted among
all of the device; what moved for all is only in part each one's: the right cause has the greatest factor. A
cause moves one encoder's vectors, or those of several: its factor is the mean over each alone and all
together.
"""

import math
from typing import Final

from learners.kernel import kernel

__all__ = ["evidence_of_shift", "evidence_of_some"]

SHIFT_VARIANCE: Final = 0.5  # of a dimension, in units of that within a person
POWER: Final = 0.3


@kernel
def evidence_of_shift(square, mass, dimensions):
    """Nats for a shift that residuals share: from the square of their weighted sum (k,), and their weight."""
    gain = 1.0 + mass * SHIFT_VARIANCE
    return POWER * 0.5 * (square * SHIFT_VARIANCE / gain - dimensions * math.log(gain))


@kernel
def evidence_of_some(nats, count):
    """Nats of one cause from those in each of some encoders (`count`; NaN: not known); 0 where none is."""
    known, total, most = 0, 0.0, -math.inf
    for i in range(count):
        if not math.isnan(nats[i]):
            known += 1
            total += nats[i]
            most = max(most, nats[i])
    if known < 2:
        return total
    most = max(most, total)
    mean = math.exp(total - most)
    for i in range(count):
        if not math.isnan(nats[i]):
            mean += math.exp(nats[i] - most)
    return most + math.log(mean / (known + 1))
