"""Presence: who is usually met, the prior of every answer.

Law: learnt in whole steps of SHARE_STEP, so that giving an event another owner takes exactly the old one back.

Theory: Dirichlet-multinomial; the guest's share a Beta of its own, since who comes as a guest says nothing of who lives here.
"""

import math
from dataclasses import dataclass, field

from .prototypes import SHARE_STEP

__all__ = ["Presence"]


@dataclass(slots=True)
class Presence:
    """Counts of a home's events by person, in steps of SHARE_STEP.

    Parameters
    ----------
    guest_share, guest_weight
        The share of guests that is assumed at first, and how many events' worth that is.
    person_weight
        How many events' worth of "everybody is met as often" there is for each person.
    total_max
        When so many events are counted all counts are halved: old presence fades.
    """

    guest_share: float
    guest_weight: float
    person_weight: float
    total_max: float
    guest_steps: int = 0
    steps: list[int] = field(default_factory=list)  # by column

    def log_prior(self, present: list[bool]) -> list[float]:
        """Log probabilities: guest, then each column; minus infinity for who is not `present` (does not belong any more)."""
        guest = self.guest_share * self.guest_weight + self.guest_steps * SHARE_STEP
        mass = [self.person_weight + n * SHARE_STEP if here else 0.0 for n, here in zip(self.steps, present, strict=True)]
        counted = sum(n for n, here in zip(self.steps, present, strict=True) if here) * SHARE_STEP
        share = guest / (self.guest_weight + counted + self.guest_steps * SHARE_STEP)
        total = sum(mass)
        if total == 0:
            return [0.0] + [-math.inf] * len(mass)
        return [math.log(share)] + [math.log((1 - share) * m / total) if m else -math.inf for m in mass]

    def learn_one(self, shares: list[float], sign: int = 1) -> None:
        """Count (or, with sign -1, take back) an event's shares: guest, then each column."""
        steps = [sign * round(s / SHARE_STEP) for s in shares]
        self.guest_steps = max(0, self.guest_steps + steps[0])
        self.steps = [max(0, n + s) for n, s in zip(self.steps, steps[1:], strict=True)]
        if (self.guest_steps + sum(self.steps)) * SHARE_STEP > self.total_max:
            self.guest_steps //= 2
            self.steps = [n // 2 for n in self.steps]
