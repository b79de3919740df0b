"""Habits: who does what at which hour, learnt with a half-life.

Law: old habits fade by event time, not by the number of events; unknown activities and new people cost nothing.

Theory: naive Bayes on categories (the hour in bins, the activity) whose counts halve every `half_life_days`, each
person's smoothed towards everybody's together. Habits separate people weakly (equal error rate 36 % in ARAS), so the
evidence is tempered and clipped.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any, Final

from river import base

from .fusion import softmax

__all__ = ["Habits"]

SMOOTHING: Final = 8.0  # events' worth of everybody's habits in each person's
TEMPERATURE: Final = 0.5
LLR_MAX: Final = 1.0  # nats, over all features together
REBASE_HALF_LIVES: Final = 16.0  # counts are kept in units that grow; brought back to 1 before they get large


class Habits(base.Classifier):  # type: ignore[misc]
    """Naive Bayes on categories with counts that fade.

    Parameters
    ----------
    half_life_days
        In how many days of event time a count halves.
    values_max
        How many values of one feature are told apart; the rarest is forgotten first.

    Examples
    --------
    >>> habits = Habits()
    >>> for day in range(30):
    ...     habits.learn_one({"hour": 7}, "alice", day=day)
    ...     habits.learn_one({"hour": 20}, "bob", day=day)
    >>> habits.llr_one({"hour": 7}, "alice") > 0 > habits.llr_one({"hour": 7}, "bob")
    True
    """

    def __init__(self, half_life_days: float = 30.0, values_max: int = 16) -> None:
        self.half_life_days = half_life_days
        self.values_max = values_max
        self.origin_day = 0.0
        # feature -> value -> person -> count, in units of 2 ** ((day - origin_day) / half_life_days)
        self.counts: dict[str, dict[Hashable, dict[Hashable, float]]] = {}
        self.totals: dict[str, dict[Hashable, float]] = {}
        self.day = 0.0

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: Mapping[str, Hashable], y: Hashable, w: float = 1.0, day: float | None = None) -> None:
        """Count the values of an event for a person; `w` may be negative to take that much back, `day` defaults to the last."""
        self.day = max(self.day, self.day if day is None else day)
        self._rebase()
        amount = w * 2 ** (((self.day if day is None else day) - self.origin_day) / self.half_life_days)
        for feature, value in x.items():
            values = self.counts.setdefault(feature, {})
            people = values.setdefault(value, {})
            people[y] = max(0.0, people.get(y, 0.0) + amount)
            totals = self.totals.setdefault(feature, {})
            totals[y] = max(0.0, totals.get(y, 0.0) + amount)
            if len(values) > self.values_max:
                self._forget_rarest(feature)

    def _forget_rarest(self, feature: str) -> None:
        values, totals = self.counts[feature], self.totals[feature]
        rarest = min(values, key=lambda v: (sum(values[v].values()), str(v)))
        for person, count in values.pop(rarest).items():
            totals[person] = max(0.0, totals[person] - count)

    def _rebase(self) -> None:
        """Bring the growing unit back to 1, rarely: the same in memory and after a load, since both keep the origin."""
        passed = (self.day - self.origin_day) / self.half_life_days
        if passed > REBASE_HALF_LIVES:
            scale = 2.0**-passed
            for table in (*(v for values in self.counts.values() for v in values.values()), *self.totals.values()):
                for person in table:
                    table[person] *= scale
            self.origin_day = self.day

    def llr_one(self, x: Mapping[str, Hashable], y: Hashable) -> float:
        """Nats: this person against everybody; 0 for what was never seen."""
        unit = 2 ** ((self.day - self.origin_day) / self.half_life_days)
        llr = 0.0
        for feature, value in x.items():
            people = self.counts.get(feature, {}).get(value)
            if not people:
                continue
            totals = self.totals[feature]
            everybody = (sum(people.values()) + unit) / (sum(totals.values()) + unit * (len(self.counts[feature]) + 1))
            own = people.get(y, 0.0) / unit
            smooth = (own + SMOOTHING * everybody) / (totals.get(y, 0.0) / unit + SMOOTHING)
            llr += math.log(smooth / everybody)
        return max(-LLR_MAX, min(TEMPERATURE * llr, LLR_MAX))

    def predict_proba_one(self, x: Mapping[str, Hashable], **kwargs: Any) -> dict[Hashable, float]:
        """Probability of each person ever counted, by habits alone."""
        people = sorted({p for totals in self.totals.values() for p in totals}, key=str)
        return dict(zip(people, softmax([self.llr_one(x, p) for p in people]), strict=True)) if people else {}

    def forget(self, y: Hashable) -> None:
        """Forget a person wholly, and values that only they had."""
        for feature, values in self.counts.items():
            self.totals[feature].pop(y, None)
            for value in [v for v, people in values.items() if people.pop(y, None) is not None and not people]:
                del values[value]

    def of(self, y: Hashable) -> dict[str, dict[str, float]]:
        """A person's own shares by feature and value: what of them shows in a profile."""
        out: dict[str, dict[str, float]] = {}
        for feature, values in sorted(self.counts.items()):
            total = self.totals[feature].get(y, 0.0)
            shares = {str(v): round(people[y] / total, 4) for v, people in values.items() if total > 0 and people.get(y, 0.0) > 0.005 * total}
            if shares:
                out[feature] = dict(sorted(shares.items()))
        return out
