"""The measures of recognition, on columns of judged events.

Law: on one world each measure equals that of `score.py` of the tools, whose docstring has the definitions. All are in %,
but for Cllr (bits) and ECE; NaN where there is nothing to measure.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from .judged import Columns, take

__all__ = ["TIERS", "Figures", "attacked", "believed", "det", "measure", "of_tier", "recognised", "reliability", "top1"]

Array = npt.NDArray[Any]
Figures = dict[str, float]
TIERS = (1, 2, 3, 4)  # the fifth asks for a PIN, which the worlds have not
SMALLEST = 1e-6  # probabilities are clipped to [SMALLEST, 1 - SMALLEST]
ECE_BINS = 15


def measure(c: Columns) -> Figures:
    """Every figure of some events."""
    labelled = c["label"] >= 0
    figures = recognised(c) | believed(c) | {"worst_tenth": worst_tenth(c)}
    figures |= {"labels_right": 100 * _share(c["label"] == 1, labelled), "labels_covered": 100 * float(labelled.mean())}
    for tier in TIERS:
        figures |= of_tier(c, tier)
    return figures | (attacked(c) if c["attack"].any() else {})


def recognised(c: Columns) -> Figures:
    """Whether the right one comes first, and whether members are told from guests."""
    ieer, fnir = _open_set(c)
    return {"top1": top1(c), "last_top1": top1(last_phase(c)), "ieer": ieer, "fnir5": fnir}


def believed(c: Columns) -> Figures:
    """Whether the probabilities can be believed."""
    cllr, least = _calibration(c)
    return {"cllr_loss": cllr - least, "min_cllr": least, "ece": _expected_calibration_error(c)}


def top1(c: Columns) -> float:
    """Of members' events, those whose most probable member is the right one."""
    return 100 * _share(c["right"], ~c["guest"])


def last_phase(c: Columns) -> Columns:
    return take(c, c["phase"] == c["phase"].max())


def worst_tenth(c: Columns) -> float:
    """Mean top-1 of the worst tenth of the homes."""
    member = ~c["guest"]
    events, right = np.bincount(c["home"][member]), np.bincount(c["home"][member], c["right"][member])
    rates = np.sort(right[events > 0] / events[events > 0])
    return 100 * float(rates[: max(1, round(len(rates) / 10))].mean())


def _rates(c: Columns) -> tuple[Array, Array]:
    """FPIR and FNIR at every threshold; empty without guests or without members."""
    guest, score = c["guest"], c["score"]
    if not guest.any() or guest.all():
        return np.empty(0), np.empty(0)
    thresholds = np.r_[np.unique(score), np.inf]
    false, good = np.sort(score[guest]), np.sort(score[~guest & c["right"]])
    fnir = 1 - (len(good) - np.searchsorted(good, thresholds)) / (~guest).sum()
    return 1 - np.searchsorted(false, thresholds) / len(false), np.asarray(fnir)


def _open_set(c: Columns) -> tuple[float, float]:
    """IEER, and FNIR at FPIR 5 %."""
    fpir, fnir = _rates(c)
    if not len(fpir):
        return np.nan, np.nan
    meet, strict = np.argmin(np.abs(fpir - fnir)), fpir <= 0.05
    return 50 * float(fpir[meet] + fnir[meet]), 100 * float(fnir[np.argmax(strict)]) if strict.any() else 100.0


def det(c: Columns, points: int = 80) -> list[tuple[float, float]]:
    """(FPIR, FNIR) along the curve, at most `points` and evenly spread in the rank of the threshold's FPIR."""
    fpir, fnir = _rates(c)
    asked = np.geomspace(1e-3, 1, points)
    at = sorted({int(np.argmax(fpir <= x)) for x in asked if (fpir <= x).any()})
    return [(float(fpir[i]), float(fnir[i])) for i in at]


def _calibration(c: Columns) -> tuple[float, float]:
    """Cllr and minCllr; NaN where all trials are mated, or none."""
    there = ~np.isnan(c["p"])
    size = np.broadcast_to(there.sum(1)[:, None], there.shape)[there]
    target, p = c["target"][there], c["p"][there]
    if not target.any() or target.all():
        return np.nan, np.nan
    prior = np.bincount(size, target) / np.maximum(np.bincount(size), 1)
    llr = _logit(p) - _logit(prior[size])
    _, which = np.unique(llr, return_inverse=True)
    weight = np.where(target, 0.5 / target.sum(), 0.5 / (~target).sum())
    mass = np.bincount(which, weight)
    best = isotonic_regression(np.bincount(which, weight * target) / mass, weights=mass).x
    return _cllr(llr, target), _cllr(_logit(best)[which], target)


def _cllr(llr: Array, target: Array) -> float:
    bits = np.logaddexp(0, np.where(target, -llr, llr)) / np.log(2)
    return float((bits[target].mean() + bits[~target].mean()) / 2)


def _bins(c: Columns) -> list[Array]:
    """The events in bins of equal mass, by how probable the most probable answer was, guest included."""
    return np.array_split(np.argsort(c["confidence"], kind="stable"), ECE_BINS)


def _expected_calibration_error(c: Columns) -> float:
    gap = c["hit"] - c["confidence"]
    return float(sum(abs(gap[rows].sum()) for rows in _bins(c)) / len(gap))


def reliability(c: Columns) -> list[tuple[float, float]]:
    """(mean probability of the most probable answer, share of right ones) of each bin, as shares of 1."""
    return [(float(c["confidence"][rows].mean()), float(c["hit"][rows].mean())) for rows in _bins(c) if len(rows)]


def of_tier(c: Columns, tier: int) -> Figures:
    """Guests and members that were wrongly answered at a tier or above, and members that were rightly (tier 1: at all)."""
    guest, reached = c["guest"], c["tier"] >= tier
    if tier == 1:
        return {"tier1_guests": 100 * _share(reached, guest), "tier1_covered": 100 * _share(reached, ~guest)}
    right = reached & c["named_right"]
    wrong = reached & c["named"] & ~c["named_right"]
    shares = {"guests": _share(wrong, guest), "members": _share(wrong, ~guest), "covered": _share(right, ~guest)}
    return {f"tier{tier}_{what}": 100 * share for what, share in shares.items()}


def attacked(c: Columns) -> Figures:
    """Of the last phase: how often an attacker is taken for the victim, is named so, and how often the victim comes first."""
    c = last_phase(c)
    return {
        "attack_top": 100 * _share(c["attack_top"], c["attack"]),
        "attack_tier2": 100 * _share(c["attack_named"] & (c["tier"] >= 2), c["attack"]),
        "victim_top1": top1(take(c, c["victim"])),
    }


def _share(what: Array, among: Array) -> float:
    return float(what[among].mean()) if among.any() else float("nan")


def _logit(p: Array) -> Array:
    p = np.clip(p, SMALLEST, 1 - SMALLEST)
    return np.asarray(np.log(p / (1 - p)))
