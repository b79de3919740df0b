"""Whether vectors moved, in whatever direction: the way from where they usually were to where they lately
were, looked back on.

Law: a vector is scored along a direction that was learnt from the ones before it, so that as long as nothing
moves its score is as often above zero as below, whatever the vectors are like. A record of zeros has seen
nothing.

Theory: if the mean of vectors moves, the mean of the latest of them is soon off the mean of all in just that
direction, and so are those to come. Their scores along it rise, which is a change that `sequential` knows how
to bet on; nobody has to know the direction beforehand, nor a scale. Numbers in which people differ least say
most: there, who came is of no matter.
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.precision import MEAN_STEP, MEAN_STEPS_MAX

__all__ = ["follow", "learn_mean_shift", "score_mean_shift"]

LATELY: Final = 12  # vectors in the mean of the latest
USUALLY: Final = 100  # and in that of what is usual


@kernel
def follow(steps, x, rate):
    """A mean, in steps of MEAN_STEP, moved by `rate` towards a number."""
    mean = np.float64(steps) * MEAN_STEP
    moved = np.rint((mean + rate * (x - mean)) / MEAN_STEP)
    return int(min(max(moved, -MEAN_STEPS_MAX), MEAN_STEPS_MAX))


@kernel
def score_mean_shift(ear, vector, numbers):
    """How far a vector (k,) is from the usual, the way that the latest went; NaN as long as there is no such
    way.

    `numbers`, of the encoder: `heading`, the dimensions that are looked at, and `heading_scale`, what they
    are multiplied by.
    """
    if ear.seen <= LATELY:
        return math.nan
    along, square = 0.0, 0.0
    for k in range(numbers.heading_used):
        x = np.float64(vector[numbers.heading[k]]) * np.float64(numbers.heading_scale[k])
        way = np.float64(ear.lately[k]) - np.float64(ear.usual[k])
        along += (x - np.float64(ear.usual[k]) * MEAN_STEP) * way
        square += way * way
    return along / math.sqrt(square) if square > 0.0 else 0.0


@kernel
def learn_mean_shift(ear, vector, numbers):
    """Count a vector in; of several that are alike (those of a session) only one."""
    seen = min(int(ear.seen) + 1, USUALLY)
    usually = 1.0 / seen
    lately = max(usually, 1.0 / LATELY)
    ear.seen = seen
    for k in range(numbers.heading_used):
        x = np.float64(vector[numbers.heading[k]]) * np.float64(numbers.heading_scale[k])
        ear.lately[k] = follow(ear.lately[k], x, lately)
        ear.usual[k] = follow(ear.usual[k], x, usually)
