"""How good answers were: right first, calibration, tiers against their budgets, by day and by home.

Law: an answer is judged as it stood before anybody spoke of it (by truth: the first), and none of guided enrolment is; hindsight
counts for nothing. Intervals are over homes, for answers of one home depend on each other (`compare.intervals`).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from stream.contract.units import DAY_MS
from stream.home.numbers import BUDGETS

from ..compare.columns import Answer as Judgeable
from ..compare.columns import Array, Case, Columns, judge
from ..compare.figures import sums_of
from ..compare.intervals import Interval, interval, levels
from .run import EventKey, Reading

__all__ = [
    "TIERS", "Judged", "calibration", "confusion", "days", "home_order", "judge_by_truth", "right_by_home", "share_right",
    "tiers",
]  # fmt: skip

BINS: Final = 10
TIERS: Final = (  # name, and what it is good for: CONTRACT, authentication confidence levels
    ("present", "shared lists"), ("personal", "“play my playlist”"), ("private", "“read my messages”"),
    ("purchase", "“buy it again”"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Judged:
    """Answers beside who it was, a row each.

    `by` is `truth`, `feedback` (what people said), or empty: nobody knows. `columns` are those of `compare.columns`, with the
    number of a home among `homes`; `at_ms` is when an event was observed.
    """

    by: str
    homes: Sequence[str]
    columns: Columns
    at_ms: Array

    def __bool__(self) -> bool:
        return len(self.at_ms) > 0


def judge_by_truth(reading: Reading, truths: Mapping[EventKey, str]) -> Judged:
    """First answers whose truth is known, in order of time, without guided enrolment."""
    guided, homes = reading.guided, reading.households
    number = {home: at for at, home in enumerate(homes)}
    known = [(a[0], truths[key]) for key, a in reading.answers.items() if key in truths and key not in guided]
    known.sort(key=lambda one: (one[0].at_ms, one[0].key))
    cases = [Case(number[a.key[0]], truth, None, 1.0, Judgeable(a.posterior, a.person_id, a.tier)) for a, truth in known]
    return Judged("truth" if known else "", homes, judge(cases), np.array([a.at_ms for a, _ in known], np.int64))


def share_right(judged: Judged, guests: bool | None = None) -> Interval:
    """Answers whose most probable person (or guest) is the right one, in %; of guests or members alone where that is asked."""
    hits, weights = _by_home(judged, guests)
    speak = weights > 0
    if not speak.any():
        return Interval(math.nan, math.nan, math.nan)
    value, left = 100 * hits.sum() / weights.sum(), weights.sum() - weights[speak]
    without = 100 * np.divide(hits.sum() - hits[speak], left, out=np.full(len(left), np.nan), where=left > 0)
    found = interval(float(value), without, 100 / float(weights.sum()))
    return Interval(found.value, *(float(np.clip(end, 0, 100)) for end in (found.low, found.high)))


def _by_home(judged: Judged, guests: bool | None = None) -> tuple[Array, Array]:
    """Weight of right answers and of all, by home."""
    c, count = judged.columns, len(judged.homes)
    mask = np.ones(len(judged.at_ms), bool) if guests is None else c["guest"] == guests
    weight = c["weight"] * mask
    return np.bincount(c["home"], weight * c["hit"], count), np.bincount(c["home"], weight, count)


def right_by_home(judged: Judged) -> dict[str, tuple[int, int]]:
    """By home, how many answers were right, of how many."""
    if not judged:
        return {}
    c, count = judged.columns, len(judged.homes)
    hits, all_ = np.bincount(c["home"], c["hit"], count), np.bincount(c["home"], minlength=count)
    return {home: (round(hits[at]), int(all_[at])) for at, home in enumerate(judged.homes) if all_[at]}


def home_order(right: Mapping[str, tuple[int, int]]) -> list[str]:
    """The worst home first: by the best that its share right may be, so that one answer of one counts for little."""
    return sorted((home for home, (hits, n) in right.items() if hits < n), key=lambda home: (_wilson(*right[home])[1], home))


def calibration(judged: Judged) -> list[dict[str, float]]:
    """Reliability by bins of the probability given to each member and guest: mean said, share true, count, 95 % interval.

    Empty bins are left out. The interval is Wilson's, as if events were independent.
    """
    if not judged:
        return []
    p, target, guest = judged.columns["p"], judged.columns["target"], judged.columns["guest"]
    said = np.append(p.ravel(), 1 - np.nansum(p, axis=1))
    true = np.append(target.ravel(), guest)
    there = ~np.isnan(said)
    said, true = np.clip(said[there], 0, 1), true[there]
    place = np.minimum((said * BINS).astype(int), BINS - 1)
    out = []
    for at in range(BINS):
        own = place == at
        if n := int(own.sum()):
            low, high = _wilson(int(true[own].sum()), n)
            out.append({"said": float(said[own].mean()), "true": float(true[own].mean()), "n": n, "low": low, "high": high})
    return out


def _wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    p, spread = hits / n, z * z / n
    middle, half = p + spread / 2, z * math.sqrt(p * (1 - p) / n + spread / (4 * n))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def tiers(judged: Judged) -> list[dict[str, Any]]:
    """Per tier from 1 to 4: budget, coverage of member events, and both errors, with counts and 95 % intervals over homes (%)."""
    c = judged.columns
    found = levels(sums_of(c, len(judged.homes))) if judged else {}
    out = []
    for tier, ((name, use), budget) in enumerate(zip(TIERS, BUDGETS, strict=True), start=1):
        reached = c["tier"] >= tier
        wrong = reached & c["named"] & ~c["named_right"]
        covered = reached & ~c["guest"] & (c["named_right"] if tier > 1 else True)
        fooled = (wrong if tier > 1 else reached) & c["guest"]
        spans = {what: _span(found.get(f"tier{tier}_{what}")) for what in ("covered", "guests", "members")}
        out.append({
            "tier": tier, "name": name, "use": use, "budget": budget, "covered": int(covered.sum()), "fooled": int(fooled.sum()),
            "wrong": int((wrong & ~c["guest"]).sum()), "members": int((~c["guest"]).sum()), "guests": int(c["guest"].sum()),
            "spans": spans,
        })  # fmt: skip
    return out


def _span(one: Interval | None) -> list[float] | None:
    """The ends of an interval as shares; None: too few homes to tell, or all homes alike."""
    if one is None or math.isnan(one.low) or one.low == one.high:
        return None
    return [round(max(0.0, one.low) / 100, 5), round(min(100.0, one.high) / 100, 5)]


def days(judged: Judged, begin_ms: int) -> list[dict[str, float]]:
    """Share right of each day since `begin_ms`; days without an answer are left out."""
    day = (judged.at_ms - begin_ms) // DAY_MS
    found = []
    for at in np.unique(day):
        hits = judged.columns["hit"][day == at]
        found.append({"day": int(at), "right": float(hits.mean()), "n": len(hits)})
    return found


def confusion(truths: Mapping[EventKey, str], reading: Reading, household_id: str, people: Sequence[str]) -> list[list[int]]:
    """Counts by truth (row) and most probable first answer (column), both in the order of `people`; empty: no truth is known."""
    place = {person: at for at, person in enumerate(people)}
    counts, known = [[0] * len(people) for _ in people], False
    for key, revisions in reading.answers.items():
        who = truths.get(key) if key[0] == household_id and key not in reading.guided else None
        if who in place:
            counts[place[who]][place[revisions[0].best]] += 1
            known = True
    return counts if known else []
