"""The features of a lesson as numbers by number: what a model of the policy's own learns from.

Law: columns are those of the lessons that are learnt, in the order in which they came; what none of them had is in none.
Every event has every column, for a model may not take what is missing for what is usual.

| feature | columns |
|---|---|
| hour, weekday | sine and cosine of the time of day, and of the week (UTC) |
| activity, device | one for each that a lesson had: 1 where it is the event's, else 0 |
| channels | the same of the kind of recording of its voice, and of its face |
| phones | one for each that a lesson heard: 0 where it is not heard, 1 at -50 dBm, linear between those and -100 dBm |
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

from stream.contract.policy import Feature

from .lessons import NOT_HEARD

__all__ = ["Columns"]

_DAY_MS: Final = 86_400_000
_WEEK_MS: Final = 7 * _DAY_MS
_LEAST_DBM, _RANGE_DB = -100.0, 50.0


class Columns:
    """Which columns there are, of LESSONs."""

    def __init__(self, features: Sequence[Feature], lessons: Any) -> None:
        self._periods = [ms for name, ms in (("hour", _DAY_MS), ("weekday", _WEEK_MS)) if name in features]
        words = [field for feature, field in (("activity", "activity"), ("device", "device_name")) if feature in features]
        self._words = [(field, list(dict.fromkeys(lessons[field].tolist()))) for field in words]
        channels = lessons["channels"].T.tolist() if "channels" in features else []
        self._channels = [list(dict.fromkeys(of_one)) for of_one in channels]
        heard = (lessons["phones"] != NOT_HEARD).any(axis=0) if "phones" in features else []
        self._phones = [phone for phone, was_heard in enumerate(heard) if was_heard]

    def of(self, lesson: Any) -> dict[int, float]:
        """The features of one lesson."""
        return dict(enumerate(self._numbers(lesson)))

    def _numbers(self, lesson: Any) -> Iterator[float]:
        at = int(lesson["observed_at"])
        for period in self._periods:
            angle = 2.0 * math.pi * (at % period) / period
            yield math.sin(angle)
            yield math.cos(angle)
        for field, known in self._words:
            word = lesson[field]
            yield from (float(word == one) for one in known)
        for modality, known in enumerate(self._channels):
            channel = lesson["channels"][modality]
            yield from (float(channel == one) for one in known)
        for phone in self._phones:
            dbm = float(lesson["phones"][phone])
            yield max(0.0, (dbm - _LEAST_DBM) / _RANGE_DB)
