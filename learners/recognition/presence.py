"""Presence: who is usually met, the prior of every answer.

Law: learnt in whole steps of SHARE_STEP, so that giving an event another owner takes exactly the old one back.

Theory: Dirichlet-multinomial; the guest's share a Beta of its own, since who comes as a guest says nothing of who lives here.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from ..precision import SHARE_STEP

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

    def log_prior(self, present: Sequence[bool]) -> list[float]:
        """Log probabilities: guest, then each column; minus infinity for who is not `present` (does not belong any more)."""
        mass, counted = 0.0, self.guest_steps
        for steps, here in zip(self.steps, present, strict=True):
            if here:
                mass += self.person_weight + steps * SHARE_STEP
                counted += steps
        if not mass:
            return [0.0] + [-math.inf] * len(present)
        guest = self.guest_share * self.guest_weight + self.guest_steps * SHARE_STEP
        share = guest / (self.guest_weight + counted * SHARE_STEP)
        part = (1 - share) / mass
        prior = [math.log(share)]
        for steps, here in zip(self.steps, present, strict=True):
            prior.append(math.log(part * (self.person_weight + steps * SHARE_STEP)) if here else -math.inf)
        return prior

    def learn_one(self, shares: Sequence[float]) -> None:
        """Count an event's shares (guest, then each column), or by how much they changed; what is negative is taken back."""
        self.guest_steps = max(0, self.guest_steps + int(shares[0] / SHARE_STEP))
        self.steps = [max(0, n + int(s / SHARE_STEP)) for n, s in zip(self.steps, shares[1:], strict=True)]
        if (self.guest_steps + sum(self.steps)) * SHARE_STEP > self.total_max:
            self.guest_steps //= 2
            self.steps = [n // 2 for n in self.steps]
