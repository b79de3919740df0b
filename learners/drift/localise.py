"""Which cause explains a pattern of residuals: whose vectors moved together.

Law: a cause is judged by the residuals that it says moved, all of them and no others; numbers only, no names. Twice the residuals
of one event are no more than one.

Theory: a cause predicts that its residuals share one shift, N(0, τ²) a dimension, and are N(0, 1) about it; against none the log
Bayes factor is ½ Σ_k [S_k² τ² / (1 + n τ²) − ln(1 + n τ²)], S their weighted sum and n their weight. Dimensions are not
independent, hence the power. What moved for one person only is diluted among all of the device; what moved for all is only in
part each one's: the right cause has the greatest factor.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from ..kernels.plain import Days, Floats

__all__ = ["evidence_of_shift", "named_shares"]

SHIFT_VARIANCE: Final = 0.5  # of a dimension, in units of that within a person
POWER: Final = 0.3


def evidence_of_shift(residuals: Floats, weights: npt.ArrayLike) -> float:
    """Nats for a shift that residuals (n, k) share, each as far as its weight (n,), 0 to 1, says that it belongs to the cause.

    >>> rng = np.random.default_rng(0)
    >>> moved = rng.normal(0, 1, (12, 8)) + np.array([3, 0, 0, 0, 0, 0, 0, 0])
    >>> evidence_of_shift(moved, np.ones(12)) > 5 > 0 > evidence_of_shift(rng.normal(0, 1, (12, 8)), np.ones(12))
    True
    """
    own: Days = np.asarray(weights, np.float64)
    total, n = own @ residuals, float(own.sum())
    gain = 1 + n * SHIFT_VARIANCE
    return POWER * 0.5 * float((total @ total) * SHIFT_VARIANCE / gain - len(total) * np.log(gain))


def named_shares(log_parts: Sequence[float]) -> list[float]:
    """What is believed of each cause, from the log of prior times evidence; nothing of nothing."""
    if not log_parts:
        return []
    logs = np.array(log_parts)
    parts = np.exp(logs - logs.max())
    shares: list[float] = (parts / parts.sum()).tolist()
    return shares
