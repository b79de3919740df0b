"""At how much evidence to alarm, of the detectors in `sequential`.

Law: a detector's evidence reaches `threshold(n)` about once in n values of a stream in which nothing changes (what is proven
and what is measured of this: docs/drift.md).
"""

import math
from typing import Final

from learners.drift.sequential import STARTS

__all__ = ["threshold"]

OVERSHOOT: Final = 0.75  # evidence does not stop at a threshold but jumps over it: that much lower, it is as rare as asked for


def threshold(values_between_false_alarms: float) -> float:
    """The `log_e_value` at which to alarm, for at most one false alarm in so many values of a stream.

    Promised for 0.75 of that (E[M] grows by at most 1 a value), measured to hold for all of it (docs/drift.md).

    >>> round(threshold(73_000), 2)
    4.0
    """
    return math.log(OVERSHOOT * values_between_false_alarms / STARTS)
