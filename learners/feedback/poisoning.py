"""Poisoning: claims that contradict the sensors again and again.

Law: evidence is a product of factors whose mean is at most 1 as long as at most LIES of the claims are false, the
sensors' posteriors are calibrated, and a claim is not made *because* the sensors were wrong. Then the sum over all
beginnings of a run grows by at most 1 a claim on average: mean claims until it reaches A are at least A. One claim
multiplies it by FACTOR_MAX at most, and by 1 - STAKE at least.

Theory: a claim "it was k" contradicts the sensors by c = 1 - p_k. A true one does so by u = 1 - sum p² on average, a
false one by at most 1; the factor is a bet on c - u being more than LIES, with a stake that is known before the
claim. The sum over beginnings is Shiryaev and Roberts's (e-detectors: Shin, Ramdas and Rinaldo 2022), as in `drift`.
"""

from typing import Final

from learners.kernel import kernel

__all__ = ["FACTOR_MAX", "LIES", "STAKE", "evidence_most", "surprise"]

LIES: Final = 0.2  # of the claims: so many are put up with
STAKE: Final = 0.5  # of what a bet has: what one claim may lose it
FACTOR_MAX: Final = 1 + STAKE * (1 - LIES) / LIES


@kernel
def surprise(posterior, places, named, says_no):
    """The factor of one claim, given what the sensors alone say."""
    contradicted = posterior[named] if says_no else 1.0 - posterior[named]
    square = 0.0
    for place in range(places):
        square += posterior[place] * posterior[place]
    usual = 1.0 - square
    return 1.0 + STAKE * (contradicted - usual - LIES) / (usual + LIES)


@kernel
def evidence_most(claims):
    """The most that so many claims can be evidence for."""
    most = 0.0
    for _ in range(claims):
        most = (most + 1.0) * FACTOR_MAX
    return most
