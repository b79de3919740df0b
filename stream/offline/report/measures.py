"""How good the answers were, against the truth: top-1, calibration, tiers against their budgets, confusion.

Law: only first answers (revision 0) are judged, and none of guided enrolment; hindsight counts for nothing.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from stream.contract.records import GUEST
from stream.contract.units import DAY_MS

from .run import Answer, EventKey, Reading

__all__ = ["TIERS", "Judged", "calibration", "confusion", "days", "judge_answers", "share_right", "tiers"]

BINS: Final = 10
TIERS: Final = (  # name, error budget, what it is good for: CONTRACT, authentication confidence levels
    ("present", 0.10, "shared lists"), ("personal", 0.05, "“play my playlist”"), ("private", 0.01, "“read my messages”"),
    ("purchase", 0.001, "“buy it again”"),
)  # fmt: skip


class Judged(NamedTuple):
    """A first answer and who it truly was."""

    answer: Answer
    truth: str

    @property
    def right(self) -> bool:
        """Whether the most probable of members and guest is the truth."""
        return self.answer.best == self.truth


def judge_answers(reading: Reading, truths: Mapping[EventKey, str]) -> list[Judged]:
    """First answers whose truth is known, in order of time, without guided enrolment."""
    guided = reading.guided
    found = [Judged(a[0], truths[key]) for key, a in reading.answers.items() if key in truths and key not in guided]
    return sorted(found, key=lambda j: (j.answer.at_ms, j.answer.key))


def share_right(answers: Sequence[Judged]) -> float:
    """Share of answers whose most probable person (or guest) is the right one; NaN of none."""
    return sum(j.right for j in answers) / len(answers) if answers else math.nan


def calibration(answers: Sequence[Judged]) -> list[dict[str, float]]:
    """Reliability by bins of the probability given to each member and guest: mean said, share true, count, 95 % interval.

    Empty bins are left out. The interval is Wilson's, as if events were independent.
    """
    said, true, count = [0.0] * BINS, [0] * BINS, [0] * BINS
    for answer, truth in answers:
        for person, p in answer.posterior.items():
            at = min(int(p * BINS), BINS - 1)
            said[at], true[at], count[at] = said[at] + p, true[at] + (person == truth), count[at] + 1
    out = []
    for s, t, n in zip(said, true, count, strict=True):
        if n:
            low, high = _wilson(t, n)
            out.append({"said": s / n, "true": t / n, "n": n, "low": low, "high": high})
    return out


def _wilson(hits: int, n: int, z: float = 1.96) -> tuple[float, float]:
    p, spread = hits / n, z * z / n
    middle, half = p + spread / 2, z * math.sqrt(p * (1 - p) / n + spread / (4 * n))
    return max(0.0, (middle - half) / (1 + spread)), min(1.0, (middle + half) / (1 + spread))


def tiers(answers: Sequence[Judged]) -> list[dict[str, Any]]:
    """Per tier from 1 to 4: budget, coverage of member events, and both errors as shares with their counts."""
    guests = [j for j in answers if j.truth == GUEST]
    members = [j for j in answers if j.truth != GUEST]
    out = []
    for tier, (name, budget, use) in enumerate(TIERS, start=1):
        reached = [j for j in members if j.answer.tier >= tier]
        wrong = sum(j.answer.person_id not in (None, j.truth) for j in reached)
        right = len(reached) if tier == 1 else sum(j.answer.person_id == j.truth for j in reached)
        fooled = sum(j.answer.tier >= tier for j in guests)
        out.append({"tier": tier, "name": name, "use": use, "budget": budget, "covered": right, "wrong": wrong,
                    "fooled": fooled, "members": len(members), "guests": len(guests)})  # fmt: skip
    return out


def confusion(answers: Sequence[Judged], people: Sequence[str]) -> list[list[int]]:
    """Counts by truth (row) and most probable answer (column), both in the order of `people`."""
    counts = Counter((j.truth, j.answer.best) for j in answers)
    return [[counts[truth, best] for best in people] for truth in people]


def days(answers: Sequence[Judged], begin_ms: int) -> list[dict[str, float]]:
    """Share right of each day since `begin_ms`; days without an answer are left out."""
    right: Counter[int] = Counter()
    total: Counter[int] = Counter()
    for j in answers:
        day = (j.answer.at_ms - begin_ms) // DAY_MS
        right[day] += j.right
        total[day] += 1
    return [{"day": day, "right": right[day] / total[day], "n": total[day]} for day in sorted(total)]
