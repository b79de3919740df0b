"""Whether a stream of numbers, or where vectors lie, is no longer what it was.

Law: as long as nothing changes evidence stays small: a detector alarms about once in `false_alarm_events` values. A
vector is scored before it is learnt from.
"""

import math
from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from river import base

from learners.drift.edetectors import threshold
from learners.drift.mean_shift import learn_mean_shift, score_mean_shift
from learners.drift.person_shift import learn_person_shift, score_person_shift
from learners.drift.sequential import EQUAL, RATE_SHARES, STARTS, learn_rate, learn_rise, reset_stream
from learners.estimators.record_estimator import DIMENSIONS, Names, RecordEstimator, Vector, f8, i8, learn_features, vector_of
from learners.kernel import array, entry_at_first_use, record
from learners.precision import SHARE_ONE, VECTOR_STEP, VECTOR_STEPS_MAX

__all__ = ["MeanRise", "MeanShift", "PersonShift", "RateChange"]

SESSION = record(("total", "<f4"), ("session", "<i4"), ("events", "<i4"))
RISE = record(("session", SESSION), ("numbers", "<f4", 9), ("updates", "<i8"))
RATE = record(("session", SESSION), ("numbers", "<f4", 7), ("updates", "<i8"))
SESSION_MAX: Final = 2**31 - 1


@entry_at_first_use(array(RISE), f8, i8, i8, result=f8)
def _learn_rise_one(streams: Any, x: float, session: int, at: int) -> Any:
    return learn_rise(streams[0], x, session, at)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(RATE), f8, i8, i8, f8, result=f8)
def _learn_rate_one(streams: Any, x: float, session: int, at: int, usual: float) -> Any:
    return learn_rate(streams[0], x, session, at, usual)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(RISE))
def _reset_rise_one(streams: Any) -> None:
    reset_stream(streams[0].session, streams[0].numbers[:])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(RATE))
def _reset_rate_one(streams: Any) -> None:
    reset_stream(streams[0].session, streams[0].numbers[:])  # type: ignore[no-untyped-call]


class _Stream(RecordEstimator, base.DriftDetector):
    """What both kinds of stream have in common."""

    SHARES: ClassVar[tuple[float, ...]]
    SINCE: ClassVar[int]  # where `since` stands in `numbers`

    def __init__(self, false_alarm_events: float) -> None:
        base.DriftDetector.__init__(self)
        self.false_alarm_events = false_alarm_events
        self._begin()
        self._alarm = math.exp(threshold(false_alarm_events))

    @property
    def e_value(self) -> float:
        """Evidence for a change, of a mean of at most 1 as long as there is none; 0 before the first bet."""
        bets = self._record["numbers"][0, -3:].tolist()
        return float(sum(bet * share for bet, share in zip(bets, self.SHARES, strict=True))) / STARTS

    @property
    def log_e_value(self) -> float:
        """The same in nats, to be handed to e-BH; minus infinity before the first bet."""
        return math.log(self.e_value) if self.e_value else -math.inf

    @property
    def since(self) -> int:
        """The number of the update since which the evidence has it that something changed."""
        return int(self._record["numbers"][0, self.SINCE])

    def _place(self, session: int | None) -> tuple[int, int]:
        """The session and the number of an update; after an alarm the detector has begun anew."""
        if session is not None and not 0 < session <= SESSION_MAX:
            raise ValueError(f"{session} is no session's number: from 1 to {SESSION_MAX}")
        if self._drift_detected:
            self._reset()
        at = int(self._record["updates"][0]) + 1
        self._record["updates"] = at
        return (at if session is None else session), at

    def from_bytes(self, raw: bytes) -> Self:
        """As of every estimator; an alarm that was raised is raised again."""
        super().from_bytes(raw)
        self._drift_detected = self.e_value >= self._alarm
        return self


class MeanRise(_Stream):
    """Whether the mean of real values rose; their level and scale before are learnt from themselves.

    An update's value counts when the next session begins: by default each is a session of its own. Events of one session are
    told by its number: they share a voice with a cold, a place in the room, a mood, and are worth one value of their mean.

    Parameters
    ----------
    false_alarm_events
        One false alarm in so many values.
    unit
        What values are told in: they are kept to 1/256 of it, and within 256 of it. About their standard deviation.

    Examples
    --------
    >>> rise = MeanRise()
    >>> for n in range(200):
    ...     rise.update(7 + n * 37 % 101 / 50)
    >>> rise.drift_detected
    False
    >>> while not rise.drift_detected:
    ...     rise.update(8 + rise.updates * 37 % 101 / 50)
    >>> rise.updates < 240, 190 < rise.since < 210
    (True, True)

    References
    ----------
    Shin, Ramdas and Rinaldo (2022), *E-detectors: a nonparametric framework for sequential change detection*.
    """

    RECORD: ClassVar[Any] = RISE
    SHARES: ClassVar[tuple[float, ...]] = EQUAL
    SINCE: ClassVar[int] = 4

    def __init__(self, false_alarm_events: float = 73_000, unit: float = 1.0) -> None:
        self.unit = unit
        super().__init__(false_alarm_events)

    @property
    def updates(self) -> int:
        """How many there were."""
        return int(self._record["updates"][0])

    def update(self, x: float, session: int | None = None) -> None:
        """Count a value; ValueError if it is not finite."""
        if not math.isfinite(x):
            raise ValueError(f"a detector was given {x}: values are finite")
        number, at = self._place(session)
        e_value = _learn_rise_one(self._record, x / self.unit, number, at)
        self._drift_detected = e_value >= self._alarm

    def _reset(self) -> None:
        super()._reset()
        _reset_rise_one(self._record)


class RateChange(_Stream):
    """Whether a share moved: of errors, disagreements, contradictions; rises are noticed sooner than falls.

    A value is 0 or 1, or within. It counts when the next session begins, as of `MeanRise`.

    Parameters
    ----------
    rate
        What the rate is assumed to be at first, between 0 and 1; the stream's own is learnt.
    false_alarm_events
        One false alarm in so many values.

    Examples
    --------
    >>> errors = RateChange()
    >>> for n in range(300):
    ...     errors.update(n % 20 == 0)
    >>> errors.drift_detected, round(errors.predict_one(), 2)
    (False, 0.05)
    >>> while not errors.drift_detected:
    ...     errors.update(errors.updates % 4 == 0)
    >>> errors.updates < 380, 290 < errors.since < 320
    (True, True)

    References
    ----------
    Shin, Ramdas and Rinaldo (2022), *E-detectors: a nonparametric framework for sequential change detection*.
    """

    RECORD: ClassVar[Any] = RATE
    SHARES: ClassVar[tuple[float, ...]] = RATE_SHARES
    SINCE: ClassVar[int] = 2
    RATE_WEIGHT: ClassVar[float] = 10.0  # values' worth of the rate that is assumed

    def __init__(self, rate: float = 0.05, false_alarm_events: float = 73_000) -> None:
        self.rate = rate
        super().__init__(false_alarm_events)

    @property
    def updates(self) -> int:
        """How many there were."""
        return int(self._record["updates"][0])

    def update(self, x: float, session: int | None = None) -> None:
        """Count a value; ValueError if it is no share."""
        if not 0 <= x <= 1:
            raise ValueError(f"a detector was given {x}: values are shares, within 0 to 1")
        number, at = self._place(session)
        self._drift_detected = _learn_rate_one(self._record, x, number, at, self.rate) >= self._alarm

    def predict_one(self) -> float:
        """The rate as learnt so far."""
        ones, weight = self._record["numbers"][0, :2].tolist()
        return float((self.rate * self.RATE_WEIGHT + ones) / (self.RATE_WEIGHT + weight))

    def _reset(self) -> None:
        super()._reset()
        _reset_rate_one(self._record)


# ---- vectors

EAR = record(("seen", "<i4"), ("lately", "<i2", DIMENSIONS), ("usual", "<i2", DIMENSIONS))
PLACE = record(("seen", "<i4"), ("usual", "<i2", DIMENSIONS))
PERSON = record(("places", PLACE, 1))
KEPT_MAX: Final = 8  # recordings of a person, to say where they lately were
KEPT = record(("number", "<i4"), ("encoders", "<i4", 1), ("shares", "<i2", 2), ("vectors", "i1", (1, DIMENSIONS)))
HOME = record(("people", PERSON, 1), ("rows", KEPT, KEPT_MAX), ("rows_used", "<i4"), ("next_row", "<i4"))
NUMBERS = record(
    ("heading", "<i4", DIMENSIONS), ("usual", "<i4", DIMENSIONS), ("heading_scale", "<f4", DIMENSIONS), ("heading_used", "<i4"),
    ("usual_used", "<i4"), ("modality", "<i4"),
)  # fmt: skip


@entry_at_first_use(array(EAR), array(np.dtype("f4")), array(NUMBERS), result=f8)
def _score_mean_one(ears: Any, x: Any, of_encoder: Any) -> Any:
    return score_mean_shift(ears[0], x, of_encoder[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(EAR), array(np.dtype("f4")), array(NUMBERS))
def _learn_mean_one(ears: Any, x: Any, of_encoder: Any) -> None:
    learn_mean_shift(ears[0], x, of_encoder[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(HOME), array(np.dtype("f4")), array(NUMBERS), result=f8)
def _score_person_one(homes: Any, x: Any, of_encoder: Any) -> Any:
    return score_person_shift(homes[0], (0, 0), homes[0].next_row, x, of_encoder[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(HOME), array(np.dtype("f4")), array(NUMBERS))
def _learn_person_one(homes: Any, x: Any, of_encoder: Any) -> None:
    learn_person_shift(homes[0].people[0].places[0], x, of_encoder[0])  # type: ignore[no-untyped-call]


class _Shift(RecordEstimator, base.Estimator):
    """What both shifts of vectors have in common."""

    def __init__(self, within: float) -> None:
        self.within = within
        self._begin(Names(DIMENSIONS, "features"))

    def _vector(self, x: Vector, learn: bool = False) -> npt.NDArray[np.float32]:
        (features,) = self._names
        return vector_of(x, learn_features(x, features) if learn else features, self.within)

    def _numbers(self) -> Any:
        (features,), numbers = self._names, np.zeros(1, NUMBERS)
        numbers["heading"] = numbers["usual"] = np.arange(DIMENSIONS)
        numbers["heading_scale"] = 1.0
        numbers["heading_used"] = numbers["usual_used"] = len(features.listed)
        return numbers


class MeanShift(_Shift):
    """Whether vectors moved, in whatever direction: how far they are from the usual, the way that the latest ones went.

    Scores of what does not move vary about 0; those of what moved rise, which `MeanRise` notices. Of several vectors that
    are alike learn one.

    Parameters
    ----------
    within
        The standard deviation of a dimension.

    Examples
    --------
    >>> shift, rng = MeanShift(), np.random.default_rng(0)
    >>> for vector in rng.normal(0, 1, (100, 24)):
    ...     shift.learn_one(vector)
    >>> calm = np.mean([shift.score_one(vector) for vector in rng.normal(0, 1, (40, 24))])
    >>> for vector in rng.normal(0.8, 1, (20, 24)):
    ...     shift.learn_one(vector)
    >>> moved = np.mean([shift.score_one(vector) for vector in rng.normal(0.8, 1, (40, 24))])
    >>> bool(abs(calm) < 0.5 < 2 < moved)
    True
    """

    RECORD: ClassVar[Any] = EAR

    def __init__(self, within: float = 1.0) -> None:
        super().__init__(within)

    def learn_one(self, x: Vector) -> None:
        """Count a vector in."""
        _learn_mean_one(self._record, self._vector(x, learn=True), self._numbers())

    def score_one(self, x: Vector) -> float | None:
        """Standard deviations from the usual; None: too little is known."""
        score = float(_score_mean_one(self._record, self._vector(x), self._numbers()))
        return None if math.isnan(score) else score


class PersonShift(_Shift):
    """How far a person's vectors stray from where that person usually is, the way their latest ones went.

    As `MeanShift`, of one person: where they lately were is the mean of the last eight, each by the share that was theirs.

    Parameters
    ----------
    within
        The standard deviation, in a dimension, of vectors of one person.

    Examples
    --------
    >>> person, rng = PersonShift(), np.random.default_rng(0)
    >>> for vector in rng.normal(0, 1, (30, 16)):
    ...     person.learn_one(vector)
    >>> for vector in rng.normal(2, 1, (8, 16)):
    ...     person.learn_one(vector)
    >>> person.score_one(rng.normal(2, 1, 16)) > person.score_one(rng.normal(0, 1, 16)) + 3
    True
    """

    RECORD: ClassVar[Any] = HOME

    def __init__(self, within: float = 1.0) -> None:
        super().__init__(within)

    def learn_one(self, x: Vector, w: float = 1.0) -> None:
        """Count a vector in, of which a share of `w` is the person's."""
        vector, home = self._vector(x, learn=True), self._record[0]
        _learn_person_one(self._record, vector, self._numbers())
        if home["rows_used"] == KEPT_MAX:
            home["rows"][:-1] = home["rows"][1:].copy()
            home["rows_used"] -= 1
        row = home["rows"][int(home["rows_used"])]
        row["number"], row["encoders"], row["shares"] = home["next_row"], 1, (0, round(w * SHARE_ONE))
        row["vectors"][0] = np.clip(np.rint(vector / VECTOR_STEP), -VECTOR_STEPS_MAX, VECTOR_STEPS_MAX)
        home["rows_used"] += 1
        home["next_row"] += 1

    def score_one(self, x: Vector) -> float | None:
        """Standard deviations from the usual; None: too little is known."""
        score = float(_score_person_one(self._record, self._vector(x), self._numbers()))
        return None if math.isnan(score) else score
