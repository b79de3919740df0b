"""Steps in which numbers are kept: what is learnt in whole steps can be taken back exactly.

Law: a share or a log-likelihood ratio that is kept is a whole multiple of its step.
"""

from collections.abc import Sequence
from typing import Final

__all__ = ["LLR_STEP", "SHARE_STEP", "quantise"]

SHARE_STEP: Final = 1 / 4096  # shares of a row are whole multiples of it
LLR_STEP: Final = 1 / 16  # nats: log-likelihood ratios as they are kept, in int8


def quantise(probabilities: Sequence[float]) -> tuple[float, ...]:
    """Each at stored precision: a whole multiple of SHARE_STEP (their sum may miss 1 by a few steps).

    >>> quantise([1 / 3, 2 / 3])
    (0.333251953125, 0.666748046875)
    """
    return tuple([round(p / SHARE_STEP) * SHARE_STEP for p in probabilities])
