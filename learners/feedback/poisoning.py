"""Suspicion: claims that contradict the sensors again and again.

Law: evidence is a product of factors whose mean is at most 1 as long as at most LIES of the claims are false, the sensors'
posteriors are calibrated, and a claim is not made *because* the sensors were wrong. Then the sum over all beginnings of a run
grows by at most 1 a claim on average: mean claims until it reaches A are at least A. One claim multiplies it by FACTOR_MAX at
most, and by 1 - STAKE at least.

Theory: a claim "it was k" contradicts the sensors by c = 1 - p_k. A true one does so by u = 1 - Σ p² on average, a false one by
at most 1; the factor is a bet on c - u being more than LIES, with a stake that is known before the claim. The sum over
beginnings is Shiryaev and Roberts's (e-detectors: Shin, Ramdas and Rinaldo 2022), as in `drift`.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

__all__ = ["LIES", "STAKE", "Suspicion", "evidence_most", "surprise", "suspicion"]

LIES: Final = 0.2  # of the claims: so many are put up with
STAKE: Final = 0.5  # of what a bet has: what one claim may lose it
FACTOR_MAX: Final = 1 + STAKE * (1 - LIES) / LIES


class Suspicion(NamedTuple):
    """Evidence of a run of false claims: the sum over its possible beginnings, and how many there are."""

    evidence: float
    claims: int

    @property
    def log_e_value(self) -> float:
        """Nats: of the mean over beginnings, whose exponential has a mean of at most 1."""
        return math.log(self.evidence / self.claims) if self.claims else 0.0


def surprise(posterior: Sequence[float], named: int, says_no: bool) -> float:
    """The factor of one claim, given what the sensors alone say.

    >>> round(surprise([0.01, 0.01, 0.98], 0, False), 2), round(surprise([0.01, 0.01, 0.98], 2, False), 2)
    (2.57, 0.54)
    """
    contradicted = posterior[named] if says_no else 1 - posterior[named]
    usual = 1 - sum(p * p for p in posterior)
    return 1 + STAKE * (contradicted - usual - LIES) / (usual + LIES)


def evidence_most(claims: int) -> float:
    """The most that so many claims can be evidence for.

    >>> evidence_most(2) == suspicion([3.0, 3.0]).evidence
    True
    """
    return FACTOR_MAX * (FACTOR_MAX**claims - 1) / (FACTOR_MAX - 1)


def suspicion(factors: Iterable[float]) -> Suspicion:
    """Of claims in their order.

    >>> suspicion([2.5, 2.5, 2.5])
    Suspicion(evidence=24.375, claims=3)
    """
    evidence, claims = 0.0, 0
    for factor in factors:
        evidence, claims = (evidence + 1) * factor, claims + 1
    return Suspicion(evidence, claims)
