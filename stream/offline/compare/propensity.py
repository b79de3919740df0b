"""How likely an answer was to be spoken of: people correct what they see, so what they said is no even sample of all answers.

Law: weights are bounded, and average one; where too little was said to tell, all are one, and it is said so.

An answer of A is put into a class by what a person saw of it: whether it was a member or a guest, and how doubtful. In each class
the share of answers that were spoken of is the propensity, drawn to the overall share where there are few; a claim weighs the
inverse (Horvitz & Thompson, 1952; bounded as in Ionides, 2008). Within a class it is taken for chance whether somebody speaks;
that people speak more of wrong answers than of right ones with the same doubt cannot be seen from A's answers, and stays.
"""

from collections.abc import Collection
from typing import Final, NamedTuple

import numpy as np

from .columns import Array

__all__ = ["WEIGHT_MAX", "Propensity", "weigh"]

WEIGHT_MAX: Final = 5.0
CLAIMS_MIN: Final = 100  # fewer tell nothing of ten classes
_DOUBTS: Final = 5  # classes of doubt, of as many answers each
_PRIOR: Final = 20.0  # answers' worth of the overall share in each class


class Propensity(NamedTuple):
    """The weight of each claim, by row; whether it could be estimated; and how many even claims they are worth (Kish)."""

    weights: dict[int, float]
    estimated: bool
    worth: float


def weigh(confidence: Array, guest: Array, claims: Collection[int]) -> Propensity:
    """Weights of claims on some rows, from A's first answers to all.

    Parameters
    ----------
    confidence
        Probability of the most probable of each row's answer; rows with NaN have none, and no part in it.
    guest
        Whether that was the guest.
    claims
        Rows that were spoken of.
    """
    rows = [row for row in claims if not np.isnan(confidence[row])]
    if len(rows) < CLAIMS_MIN:
        return Propensity(dict.fromkeys(claims, 1.0), False, float(len(claims)))
    kinds = _classes(confidence, guest)
    spoken = np.zeros(len(confidence), bool)
    spoken[rows] = True
    answered = kinds >= 0
    overall = spoken.sum() / answered.sum()
    size = np.bincount(kinds[answered], minlength=2 * _DOUBTS)
    told = np.bincount(kinds[answered & spoken], minlength=2 * _DOUBTS)
    propensity = (told + _PRIOR * overall) / (size + _PRIOR)
    bounded = np.clip(overall / propensity, 1 / WEIGHT_MAX, WEIGHT_MAX)
    bounded *= len(rows) / bounded[kinds[rows]].sum()
    weights = {row: float(bounded[kinds[row]]) if kinds[row] >= 0 else 1.0 for row in claims}
    values = np.array(list(weights.values()))
    return Propensity(weights, True, float(values.sum() ** 2 / (values**2).sum()))


def _classes(confidence: Array, guest: Array) -> Array:
    """Of each row: guest or member, and a fifth of doubt; -1 without an answer."""
    answered = ~np.isnan(confidence)
    ends = np.quantile(confidence[answered], np.linspace(0, 1, _DOUBTS + 1)[1:-1])
    doubt = np.searchsorted(ends, confidence, side="right").clip(0, _DOUBTS - 1)
    return np.asarray(np.where(answered, doubt + _DOUBTS * guest, -1))
