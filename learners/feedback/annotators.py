"""Claims: what somebody says about who it was, weighed by how honest their way of saying it proved to be.

Law: a claim is a likelihood, never a label: it multiplies the odds by at most h / (1 - h) times the number of others, and a claim
of n nats moves at most tanh(n / 4) of an event, whoever the sensors hold it to be. What a source may say in one day is bounded.

Theory: the one-coin model of Dawid and Skene (1979), one coin per source. A source's coin is a Beta count moved by how
likely each claim was honest, given what the sensors alone said; counts are whole steps of SHARE_STEP, so that taking a
claim back is exact.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ..precision import SHARE_STEP

__all__ = ["NATS_STEP", "Allowance", "Honesty", "claim_likelihood", "claim_nats", "weigh_claim"]

NATS_STEP: Final = 1 / 256  # of what a claim weighs, so that giving it back is exact


def claim_likelihood(people: int, named: int, honesty: float, says_no: bool) -> list[float]:
    """Likelihood of a claim given that each of `people` (guest included) spoke; `says_no`: "it was not `named`".

    >>> [round(x, 3) for x in claim_likelihood(3, 1, 0.9, False)]
    [0.05, 0.9, 0.05]
    """
    other = (1 - honesty) / max(1, people - 1)
    if says_no:
        return [1 - honesty if p == named else honesty for p in range(people)]
    return [honesty if p == named else other for p in range(people)]


def claim_nats(people: int, honesty: float, says_no: bool) -> float:
    """By how much, in nats, a claim raises the odds of what it says against each of the others; a liar's claim says nothing.

    >>> round(claim_nats(3, 0.9, False), 2), claim_nats(3, 0.2, False)
    (2.89, 0.0)
    """
    others = 1 if says_no else people - 1
    return max(0.0, math.log(honesty * max(1, others) / (1 - honesty)))


def weigh_claim(shares: Sequence[float], named: int, nats: float, says_no: bool) -> list[float]:
    """The shares of an event with a claim of so many nats.

    >>> [round(x, 2) for x in weigh_claim([0.5, 0.25, 0.25], 1, 2.0, False)]
    [0.19, 0.71, 0.1]
    """
    joint = list(shares)
    joint[named] *= math.exp(-nats if says_no else nats)
    total = sum(joint)
    return [x / total for x in joint]


@dataclass(slots=True)
class Allowance:
    """What the claims of one source have weighed on one day (a number that never falls), in steps of NATS_STEP.

    Examples
    --------
    >>> app = Allowance()
    >>> [app.spend(day=7, nats=3.0, most=5.0) for _ in range(3)]
    [3.0, 2.0, 0.0]
    >>> app.give_back(day=7, nats=2.0)
    >>> app.spend(day=7, nats=3.0, most=5.0), app.spend(day=8, nats=3.0, most=5.0)
    (2.0, 3.0)
    """

    day: int = 0
    steps: int = 0

    def spend(self, day: int, nats: float, most: float) -> float:
        """How much of `nats` a claim may weigh that comes on a day, of which `most` is all there is."""
        if day > self.day:
            self.day, self.steps = day, 0
        granted = max(0, min(int(nats / NATS_STEP), int(most / NATS_STEP) - self.steps))
        self.steps += granted
        return granted * NATS_STEP

    def give_back(self, day: int, nats: float) -> None:
        """Take back what `spend` granted; of an earlier day nothing is left to give."""
        if day == self.day:
            self.steps -= round(nats / NATS_STEP)


@dataclass(slots=True)
class Honesty:
    """A source's reliability: Beta(right, wrong), counts in steps of SHARE_STEP beside the prior's.

    Examples
    --------
    >>> app = Honesty(prior_right=18, prior_wrong=2)
    >>> app.predict_one()
    0.9
    >>> app.learn_one([0.01, 0.01, 0.98], claim_likelihood(3, 1, 0.9, False), named=1, says_no=False) < 0.5
    True
    """

    prior_right: float
    prior_wrong: float
    right_steps: int = 0
    wrong_steps: int = 0

    def predict_one(self) -> float:
        """Probability that the next claim is honest."""
        right = self.prior_right + self.right_steps * SHARE_STEP
        return right / (right + self.prior_wrong + self.wrong_steps * SHARE_STEP)

    def learn_one(self, posterior: Sequence[float], likelihood: Sequence[float], named: int, says_no: bool) -> float:
        """Count a claim as right as it probably was, by the `posterior` of the sensors alone; returns that probability.

        `unlearn_one` with the returned value takes it back exactly.
        """
        joint = [p * x for p, x in zip(posterior, likelihood, strict=True)]
        agreeing = sum(joint) - joint[named] if says_no else joint[named]
        right = round(agreeing / sum(joint) / SHARE_STEP)
        self._count(right, 1)
        return right * SHARE_STEP

    def unlearn_one(self, right: float) -> None:
        """Take back what `learn_one` counted."""
        self._count(round(right / SHARE_STEP), -1)

    def _count(self, right: int, sign: int) -> None:
        self.right_steps += sign * right
        self.wrong_steps += sign * (round(1 / SHARE_STEP) - right)
