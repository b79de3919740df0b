"""Thresholds: how sure an answer must be in this home, so that what is answered wrongly stays within its budget.

Law: caution stays between `lower_max` below and `higher_max` above 0, and one event moves it by at most `rate`. Whatever the
events, as long as it never reached its upper bound: errors <= aim * (events that could be errors) + (lower_max + caution) / rate,
all of them counted in shares.

Theory: adaptive conformal inference (Gibbs and Candès 2021) about a threshold that was fitted on many homes. Labels are soft, the
share of the event that is in the class, since nobody says who it was: the budget is held as far as those shares are right, which
is why a home may lower a threshold by little.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

__all__ = ["NATS_STEP", "Control", "Threshold"]

NATS_STEP: Final = 1 / 4096  # caution is kept in whole steps


class Control(NamedTuple):
    """How fast (nats an error), and how far down and up (nats), a home's own experience moves a threshold."""

    rate: float
    lower_max: float
    higher_max: float


@dataclass(slots=True)
class Threshold:
    """How much more careful than with homes in general (nats of log odds) to be of one kind of error; in steps of NATS_STEP.

    Examples
    --------
    >>> guests, control = Threshold(), Control(rate=1.0, lower_max=0.25, higher_max=1.5)
    >>> guests.learn_one(wrong=0.5, share=0.5, aim=0.02, control=control)
    >>> round(guests.caution, 2)
    0.49
    >>> for _ in range(100):
    ...     guests.learn_one(wrong=0.0, share=1.0, aim=0.02, control=control)
    >>> guests.caution
    -0.25
    """

    steps: int = 0

    @property
    def caution(self) -> float:
        """Nats to add to the log odds that are asked of an answer."""
        return self.steps * NATS_STEP

    def learn_one(self, wrong: float, share: float, aim: float, control: Control) -> None:
        """Learn from one event: `share` of it is in the class, `wrong` was answered wrongly; `aim`: what may be, of the class."""
        moved = self.steps + round(control.rate * (wrong - aim * share) / NATS_STEP)
        self.steps = max(-int(control.lower_max / NATS_STEP), min(moved, int(control.higher_max / NATS_STEP)))
