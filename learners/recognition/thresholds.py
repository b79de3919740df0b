"""Thresholds: how sure an answer must be in this home, so that what is answered wrongly stays within its budget.

Law: caution stays between `lower_nats` below and `higher_nats` above 0, and one event moves it by at most
`tier_rate`. Whatever the events, as long as it never reached its upper bound: errors <= aim * (events that could be
errors) + (lower + caution) / rate, all of them counted in shares.

Theory: adaptive conformal inference (Gibbs and Candès 2021) about a threshold that was fitted on many homes. Labels are soft, the
share of the event that is in the class, since nobody says who it was: the budget is held as far as those shares are
right, which is why a home may lower a threshold by little.
"""

from typing import Final

import numpy as np

from learners.kernel import kernel

__all__ = ["CAUTION_STEP", "move_threshold"]

CAUTION_STEP: Final = 1 / 4096  # nats


@kernel
def move_threshold(steps, wrong, share, aim, policy):
    """Caution (steps) after one event: `share` of it is in the class, `wrong` was answered wrongly; `aim`: what may
    be, of the class.
    """
    moved = steps + int(np.rint(policy.tier_rate * (wrong - aim * share) / CAUTION_STEP))
    return max(-int(policy.lower_nats / CAUTION_STEP), min(moved, int(policy.higher_nats / CAUTION_STEP)))
