"""Habits: who does what at which hour, learnt with a half-life.

Law: old habits fade by event time, not by the number of events; unknown activities and new people cost nothing.

Theory: naive Bayes on categories (the hour in bins, the activity) whose counts halve every `half_life_days`, each
person's smoothed towards everybody's together. Habits separate people weakly (equal error rate 36 % in ARAS), so the
evidence is tempered and clipped.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

from river import base

from .fusion import softmax

__all__ = ["Habits"]

Person = bool | str | int  # what River takes as a class

NOTHING: Final = 1e-6  # of what was taken back: that little is rounding, not a count
SMOOTHING: Final = 8.0  # events' worth of everybody's habits in each person's
TEMPERATURE: Final = 0.5
PROFILE_SHARE_MIN: Final = 0.005  # of a person's events: rarer habits do not show in a profile
LLR_MAX: Final = 1.0  # nats, over all features together
REBASE_HALF_LIVES: Final = 16.0  # counts are kept in units that grow; brought back to 1 before they get large


class Habits(base.Classifier):
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
    >>> [round(llr, 1) for llr in habits.llr({"hour": 7}, ["alice", "bob"])]
    [0.3, -0.7]
    """

    def __init__(self, half_life_days: float = 30.0, values_max: int = 16) -> None:
        self.half_life_days = half_life_days
        self.values_max = values_max
        self.origin_day = 0.0
        # feature -> value -> person -> count, in units of 2 ** ((day - origin_day) / half_life_days)
        self.counts: dict[str, dict[Hashable, dict[Person, float]]] = {}
        self.totals: dict[str, dict[Person, float]] = {}
        self.day = 0.0

    @property
    def _multiclass(self) -> bool:
        return True

    def learn_one(self, x: Mapping[Any, Any], y: Person, w: float = 1.0, day: float | None = None) -> None:
        """Count the values of an event for a person; `w` may be negative to take that much back, `day` defaults to the last."""
        day = self.day if day is None else day
        if day > self.day:
            self.day = day
            self._rebase()
        amount = w * 2 ** ((day - self.origin_day) / self.half_life_days)
        nothing = abs(amount) * NOTHING
        for feature, value in x.items():
            values, totals = self.counts.setdefault(feature, {}), self.totals.setdefault(feature, {})
            people = values.setdefault(value, {})
            for table in (people, totals):
                count = table.get(y, 0.0) + amount
                if count > nothing:
                    table[y] = count
                else:
                    table.pop(y, None)
            if not people:
                del values[value]
            elif len(values) > self.values_max:
                self._forget_rarest(feature)

    def _forget_rarest(self, feature: str) -> None:
        values, totals = self.counts[feature], self.totals[feature]
        rarest = min(values, key=lambda v: (sum(values[v].values()), str(v)))
        for person, count in values.pop(rarest).items():
            totals[person] = max(0.0, totals.get(person, 0.0) - count)

    def _rebase(self) -> None:
        """Bring the growing unit back to 1, rarely: the same in memory and after a load, since both keep the origin."""
        passed = (self.day - self.origin_day) / self.half_life_days
        if passed > REBASE_HALF_LIVES:
            scale = 2.0**-passed
            for table in (*(v for values in self.counts.values() for v in values.values()), *self.totals.values()):
                for person in table:
                    table[person] *= scale
            self.origin_day = self.day

    def llr(self, x: Mapping[Any, Any], people: Sequence[Person]) -> list[float]:
        """Nats, by person: this one against everybody; 0 for what was never seen."""
        unit = 2 ** ((self.day - self.origin_day) / self.half_life_days)
        smoothing = SMOOTHING * unit
        ratios = [1.0] * len(people)
        for feature, value in x.items():
            values = self.counts.get(feature)
            counts = values.get(value) if values else None
            if not values or not counts:
                continue
            totals = self.totals[feature]
            everybody = (sum(counts.values()) + unit) / (sum(totals.values()) + unit * (len(values) + 1))
            expected = smoothing * everybody
            for i, y in enumerate(people):
                own = (counts.get(y, 0.0) + expected) / (totals.get(y, 0.0) + smoothing)
                ratios[i] *= own / everybody
        return [max(-LLR_MAX, min(TEMPERATURE * math.log(ratio), LLR_MAX)) for ratio in ratios]

    def predict_proba_one(self, x: Mapping[Any, Any], **kwargs: Any) -> dict[Person, float]:
        """Probability of each person ever counted, by habits alone."""
        people = sorted({p for totals in self.totals.values() for p in totals}, key=str)
        return dict(zip(people, softmax(self.llr(x, people)), strict=True)) if people else {}

    def forget(self, y: Person) -> None:
        """Forget a person wholly, and values that only they had."""
        for feature, values in self.counts.items():
            self.totals[feature].pop(y, None)
            for value in [v for v, people in values.items() if people.pop(y, None) is not None and not people]:
                del values[value]

    def of(self, y: Person) -> dict[str, dict[str, float]]:
        """A person's own shares by feature and value: what of them shows in a profile."""
        out: dict[str, dict[str, float]] = {}
        for feature, values in sorted(self.counts.items()):
            total = self.totals[feature].get(y, 0.0)
            own = {v: people[y] for v, people in values.items() if people.get(y, 0.0) > PROFILE_SHARE_MIN * total}
            shares = {str(v): round(count / total, 4) for v, count in own.items() if total > 0}
            if shares:
                out[feature] = dict(sorted(shares.items()))
        return out
