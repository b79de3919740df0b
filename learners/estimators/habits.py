"""Who does what at which hour: counts that fade by event time.

Law: old habits fade by event time, not by the number of events; unknown activities and new people cost nothing. At
most 16 activities are told apart: of more the rarest is forgotten.
"""

import math
from collections.abc import Hashable, Mapping
from typing import Any, ClassVar, Final

import numpy as np
from river import base

from learners.estimators.record_estimator import Name, Names, RecordEstimator, f8, i8, shares
from learners.kernel import array, entry_at_first_use, record
from learners.recognition.habits import ACTIVITIES, HOURS, count_habit, habit_llr

__all__ = ["PEOPLE_MAX", "Habits"]

PEOPLE_MAX: Final = 16
DAY_MS: Final = 86_400_000
HOURS_A_BIN: Final = 24 // HOURS
_COUNTS: Final = HOURS + ACTIVITIES + 2

PERSON = record(("habits", "<f8", _COUNTS))
HABITS = record(
    ("habits_day", "<f8"),
    ("habits_origin", "<f8"),
    ("guest_habits", "<f8", _COUNTS),
    ("people", PERSON, PEOPLE_MAX),
    ("people_used", "<i4"),
    ("activities", "<i2", ACTIVITIES),
    ("reserved", "u1", 2),
)
EVENT = record(("observed_at", "<i8"), ("hour", "<i4"), ("activity", "<i4"))
POLICY = record(("habits_half_life_days", "<f8"))


@entry_at_first_use(array(HABITS), array(EVENT), i8, f8, array(POLICY))
def _count_habit_one(homes: Any, events: Any, place: int, weight: float, policies: Any) -> None:
    count_habit(homes[0], events[0], place, weight, policies[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(HABITS), i8, i8, array(POLICY), shares)
def _habit_llr_one(homes: Any, hour: int, activity: int, policies: Any, out: Any) -> None:
    habit_llr(homes[0], hour, activity, policies[0], out)  # type: ignore[no-untyped-call]


class Habits(RecordEstimator, base.Classifier):
    """Naive Bayes on the hour and the activity, whose counts halve every `half_life_days`.

    `x` has an `hour` (of the day, 0 to 24, told apart in bins of three) and an `activity` (anything hashable that is no
    vector). An event without both teaches nothing, as in a home; other features are ignored. Evidence is tempered, and
    clipped at one nat: habits separate people weakly.

    Parameters
    ----------
    half_life_days
        In how many days of event time a count halves.
    guest
        The label of who is nobody of the home: counted among everybody, and never told from them.

    Examples
    --------
    >>> habits = Habits()
    >>> for day in range(30):
    ...     habits.learn_one({"hour": 7, "activity": "news"}, "alice", day=day)
    ...     habits.learn_one({"hour": 20, "activity": "music"}, "bob", day=day)
    >>> {who: round(nats, 1) for who, nats in habits.llr_one({"hour": 7, "activity": "news"}).items()}
    {'alice': 0.6, 'bob': -1.0}
    >>> habits.predict_one({"hour": 21, "activity": "music"})
    'bob'
    """

    RECORD: ClassVar[Any] = HABITS

    def __init__(self, half_life_days: float = 30.0, guest: str = "guest") -> None:
        self.half_life_days = half_life_days
        self.guest = guest
        self._begin(Names(PEOPLE_MAX, "people"), Names(ACTIVITIES + 1, "activities"))

    @property
    def _multiclass(self) -> bool:
        return True

    @property
    def day(self) -> float:
        """The latest day of event time."""
        return float(self._record["habits_day"][0])

    def _policy(self) -> Any:
        policy = np.zeros(1, POLICY)
        policy["habits_half_life_days"] = self.half_life_days
        return policy

    def learn_one(self, x: Mapping[Any, Any], y: Name, w: float = 1.0, day: float | None = None) -> None:
        """Count an event for a person; a negative `w` takes that much back. `day` is the last one's unless told otherwise."""
        place, (people, activities) = self._place(y), self._names
        self._record["people_used"] = len(people.listed)
        if "hour" not in x or "activity" not in x:
            return
        event = np.zeros(1, EVENT)
        event["observed_at"] = round((self.day if day is None else day) * DAY_MS)
        event["hour"], event["activity"] = _bin(x["hour"]), activities.learn(_key(x["activity"])) + 1
        _count_habit_one(self._record, event, place, w, self._policy())
        kept = set(self._record["activities"][0].tolist())
        for number, name in enumerate(activities.listed, 1):
            if name is not None and number not in kept:
                activities.listed[number - 1] = None

    def unlearn_one(self, x: Mapping[Any, Any], y: Name, w: float = 1.0, day: float | None = None) -> None:
        """Take an event back, but for rounding: told with the day it was of."""
        self.learn_one(x, y, -w, day)

    def _place(self, y: Name) -> int:
        return 0 if y == self.guest else self._names[0].learn(y) + 1

    def llr_one(self, x: Mapping[Any, Any]) -> dict[Name, float]:
        """Nats by person: this one against everybody; 0 of what was never seen."""
        people, activities = self._names
        number = activities.number(_key(x["activity"])) if "activity" in x else None
        if not people.listed or "hour" not in x:
            return {name: 0.0 for name in people.listed if name is not None}
        found = np.zeros(PEOPLE_MAX)
        unknown = -1  # stands in no slot
        _habit_llr_one(self._record, _bin(x["hour"]), unknown if number is None else number + 1, self._policy(), found)
        return {name: float(found[i]) for i, name in enumerate(people.listed) if name is not None}

    def predict_proba_one(self, x: Mapping[Any, Any], **kwargs: Any) -> dict[Name, float]:
        """Probability of each person ever counted, by habits alone."""
        odds = {name: math.exp(nats) for name, nats in self.llr_one(x).items()}
        return {name: share / sum(odds.values()) for name, share in odds.items()}

    def forget(self, y: Name) -> None:
        """Forget a person wholly, and activities that only they had."""
        people, activities = self._names
        number = people.number(y)
        if number is None:
            return
        home = self._record[0]
        home["people"][number:-1], home["people"][-1] = home["people"][number + 1 :].copy(), 0
        del people.listed[number]
        home["people_used"] = len(people.listed)
        by_activity = slice(HOURS, HOURS + ACTIVITIES)
        nobodys = (home["guest_habits"][by_activity] == 0) & (home["people"]["habits"][:, by_activity] == 0).all(0)
        for activity in home["activities"][nobodys].tolist():
            if activity:
                activities.listed[activity - 1] = None
        home["activities"][nobodys] = 0


def _bin(hour: Any) -> int:
    """Of an hour of the day; ValueError if it is none."""
    if not 0 <= hour <= 24:
        raise ValueError(f"{hour} is no hour of the day")
    return min(int(hour) // HOURS_A_BIN, HOURS - 1)


def _key(activity: Hashable) -> Name:
    return activity if isinstance(activity, bool | str | int) else str(activity)
