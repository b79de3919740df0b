"""Who a vector is like, learnt from a bounded number of kept vectors.

Law: what a person is like is a function of the kept vectors and what was folded of older ones, so taking a kept one
back takes back exactly what was learnt from it.
"""

import math
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from river import base

from learners.estimators.habits import PEOPLE_MAX
from learners.estimators.record_estimator import (
    DIMENSIONS,
    Name,
    Names,
    RecordEstimator,
    Vector,
    learn_features,
    native,
    vector_of,
)
from learners.kernel import array, entry_at_first_use, record
from learners.precision import NOISE_STEP, SHARE_ONE, VECTOR_STEP, VECTOR_STEPS_MAX
from learners.recognition.gallery import compare, fold_row, set_probe_of_row

__all__ = ["ROWS_MAX", "Gallery"]

ROWS_MAX: Final = 32  # vectors that are kept; the oldest is folded when one more comes
DAY_MS: Final = 86_400_000

CLAIM = record(("kind", "<i4"), ("person", "<i4"))
ROW = record(
    ("observed_at", "<i8"), ("claims", CLAIM, 1), ("claims_used", "<i4"), ("encoders", "<i4", 1), ("channels", "<i4", 1),
    ("noises", "<i4", 1), ("modalities", "<i4"), ("shares", "<i2", PEOPLE_MAX + 1), ("reserved", "u1", 2),
    ("vectors", "i1", (1, DIMENSIONS)), ("llr", "i1", (1, PEOPLE_MAX)),
)  # fmt: skip
TAIL = record(
    ("day", "<f8"), ("since", "<f8"), ("mass", "<f4"), ("encoder", "i1"), ("learnt", "i1"), ("channel", "i1"), ("anchored", "i1"),
    ("vector", "<i2", DIMENSIONS),
)  # fmt: skip
PERSON = record(("tails_used", "<i4"), ("enrolments_used", "<i4"), ("tails", TAIL, 2))  # nobody enrols here
ENCODER = record(("number", "<i8"))
GALLERY = record(
    ("galleries", ENCODER, 1), ("rows_used", "<i4"), ("people_used", "<i4"), ("people", PERSON, PEOPLE_MAX),
    ("rows", ROW, ROWS_MAX + 1),
)  # fmt: skip
NUMBERS = record(
    ("temperature", "<f8"), ("centre_spread", "<f8"), ("between", "<f4", DIMENSIONS), ("noise", "<f4", 1),
    ("shift", "<f4", (1, 1)), ("dimensions", "<i4"), ("channels", "<i4"), ("modality", "<i4"), ("fitted", "<i4"),
)  # fmt: skip
POLICY = record(("encoders", NUMBERS, 1), ("forgetting_per_day", "<f8"), ("forgetting_most", "<f8"), ("tail_mass_max", "<f8"))
WORK = record(
    ("found", "<f8", PEOPLE_MAX), ("masses", "<f8", PEOPLE_MAX), ("anchored", "<f8", PEOPLE_MAX), ("own", "<f8", ROWS_MAX + 1),
    ("probe_day", "<f8"), ("anybody", "<f8"),
    ("gallery", "<i4"), ("probe_channel", "<i4"), ("enrolled_only", "<i4"), ("alone", "<i4"), ("scale", "<f4"),
    ("probe_noise", "<f4"), ("channel_mass", "<f4", 1), ("weights", "<f4", ROWS_MAX + 1), ("probe", "<f4", DIMENSIONS),
    ("total", "<f4", (3, DIMENSIONS)), ("expected", "<f4", DIMENSIONS), ("centre", "<f4", DIMENSIONS),
    ("between", "<f4", DIMENSIONS), ("inverse", "<f4", DIMENSIONS), ("channel_sums", "<f4", (1, DIMENSIONS)),
    ("holds", "<i4"), ("held_gallery", "<i4", 1), ("held_scale", "<f4", 1), ("reserved", "u1", 4),
    ("held", "<f4", (1, 3, DIMENSIONS)),
)  # fmt: skip


@entry_at_first_use(array(GALLERY), array(POLICY), array(WORK))
def _compare_last_row(homes: Any, policies: Any, works: Any) -> None:
    set_probe_of_row(homes[0], homes[0].rows_used - 1, 0, policies[0], works[0])  # type: ignore[no-untyped-call]
    compare(homes[0], homes[0].rows_used - 1, policies[0], works[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(GALLERY), array(POLICY))
def _fold_first_row(homes: Any, policies: Any) -> None:
    fold_row(homes[0], 0, 0, policies[0])  # type: ignore[no-untyped-call]


class Gallery(RecordEstimator, base.Classifier):
    """Two-covariance PLDA on vectors, with forgetting: who of those that are known a vector is like.

    A vector is a mapping of at most 64 features, or an array. What is kept of it has a sixteenth of a standard deviation
    within a person, and reaches to 7.9 of them.

    Parameters
    ----------
    within
        The standard deviation, in a dimension, of vectors of one person.
    between
        The variance of people's means, in units of the square of that.
    temperature
        What log-likelihood ratios are multiplied by: dimensions are not independent.
    fitted
        Vectors are about 0, and `within` and `between` are known. Otherwise they are learnt from the vectors that came.
    forgetting_per_day, forgetting_most
        Variance that a kept vector gains a day, and at most.
    tail_mass_max
        Recordings' worth of the folded past of a person, at most.
    guest
        The label of who is nobody: such a vector is kept, and says nothing of anybody.
    centre_spread
        The variance, in a dimension, of where all of them may lie beside 0; 0: they are about 0.

    Examples
    --------
    >>> gallery = Gallery()
    >>> for _ in range(3):
    ...     gallery.learn_one([2.0, 0.0, 1.0], "anna")
    ...     gallery.learn_one([-2.0, 1.0, 0.0], "bert")
    >>> {who: round(nats, 1) for who, nats in gallery.llr_one([1.9, 0.2, 0.8]).items()}
    {'anna': 2.2, 'bert': -3.4}
    >>> gallery.predict_one([1.9, 0.2, 0.8])
    'anna'

    References
    ----------
    Ioffe (2006), *Probabilistic linear discriminant analysis*; Brümmer and de Villiers (2010), *The speaker partitioning
    problem*.
    """

    RECORD: ClassVar[Any] = GALLERY

    def __init__(
        self, within: float = 1.0, between: float = 3.0, temperature: float = 1.0, fitted: bool = True,
        forgetting_per_day: float = 0.05, forgetting_most: float = 4.0, tail_mass_max: float = 16.0, guest: str = "guest",
        centre_spread: float = 0.0,
    ) -> None:  # fmt: skip
        self.within, self.between = within, between
        self.temperature, self.fitted = temperature, fitted
        self.forgetting_per_day, self.forgetting_most = forgetting_per_day, forgetting_most
        self.tail_mass_max = tail_mass_max
        self.guest, self.centre_spread = guest, centre_spread
        self._begin(Names(PEOPLE_MAX, "people"), Names(DIMENSIONS, "features"))

    @property
    def _multiclass(self) -> bool:
        return True

    # ---- learning

    def learn_one(self, x: Vector, y: Name, w: float = 1.0, day: float | None = None) -> None:
        """Keep a vector of a person (to a share of `w`, at most 1), seen on a `day` (the latest, unless told otherwise)."""
        if not 0 < w <= 1:
            raise ValueError(f"{w} is no share of a vector: above 0, at most 1")
        people, features = self._names
        vector = vector_of(x, learn_features(x, features), self.within)
        place = 0 if y == self.guest else people.learn(native(y)) + 1
        home, policy = self._record[0], self._policy()
        home["people_used"] = len(people.listed)
        if home["rows_used"] == ROWS_MAX:
            _fold_first_row(self._record, policy)
            self._remove(0)
        self._add(vector, day)["shares"][place] = round(w * SHARE_ONE)

    def unlearn_one(self, x: Vector, y: Name, w: float = 1.0, day: float | None = None) -> None:
        """Take back exactly what was learnt from a vector that is still kept; ValueError if it is not."""
        people, features = self._names
        number, home = people.number(native(y)), self._record[0]
        place = 0 if number is None else number + 1
        steps, at = _steps(vector_of(x, features, self.within)), self._at(day)
        for index in reversed(range(int(home["rows_used"]))):
            row = home["rows"][index]
            same = row["shares"][place] == round(w * SHARE_ONE) and row["observed_at"] == at
            if same and (row["vectors"][0] == steps).all():
                self._remove(index)
                return
        raise ValueError(f"no such vector of {y!r} is kept")

    def forget(self, y: Name) -> None:
        """Forget a person wholly, with the vectors that were theirs."""
        (people, _), home = self._names, self._record[0]
        number = people.number(native(y))
        if number is None:
            return
        for index in reversed(range(int(home["rows_used"]))):
            if home["rows"][index]["shares"][number + 1]:
                self._remove(index)
        shares = home["rows"]["shares"]
        shares[:, number + 1 : -1], shares[:, -1] = shares[:, number + 2 :].copy(), 0
        home["people"][number:-1], home["people"][-1] = home["people"][number + 1 :].copy(), 0
        del people.listed[number]
        home["people_used"] = len(people.listed)

    def _at(self, day: float | None) -> int:
        """The time of a vector, ms."""
        used = int(self._record["rows_used"][0])
        latest = int(self._record["rows"]["observed_at"][0, :used].max(initial=0))
        return latest if day is None else round(day * DAY_MS)

    def _add(self, vector: npt.NDArray[np.float32], day: float | None) -> Any:
        """A row more, nobody's."""
        home, at = self._record[0], self._at(day)
        row = home["rows"][int(home["rows_used"])]
        row["observed_at"], row["encoders"], row["noises"] = at, 1, round(1 / NOISE_STEP)
        row["vectors"][0] = _steps(vector)
        home["rows_used"] += 1
        return row

    def _remove(self, index: int) -> None:
        home = self._record[0]
        rows = home["rows"]
        rows[index:-1], rows[-1] = rows[index + 1 :].copy(), np.zeros((), ROW)
        home["rows_used"] -= 1

    def _policy(self) -> Any:
        policy = np.zeros(1, POLICY)
        numbers, (_, features) = policy[0]["encoders"][0], self._names
        numbers["centre_spread"] = self.centre_spread
        numbers["temperature"], numbers["between"], numbers["noise"] = self.temperature, self.between, 1.0
        numbers["dimensions"], numbers["channels"], numbers["fitted"] = len(features.listed), 1, self.fitted
        policy["forgetting_per_day"], policy["forgetting_most"] = self.forgetting_per_day, self.forgetting_most
        policy["tail_mass_max"] = self.tail_mass_max
        return policy

    # ---- comparing

    def llr_one(self, x: Vector, day: float | None = None) -> dict[Name, float]:
        """Nats by person: they made this vector, against anybody did; 0 of whom nothing is known."""
        people, features = self._names
        vector, work = vector_of(x, features, self.within), np.zeros(1, WORK)
        self._add(vector, day)
        _compare_last_row(self._record, self._policy(), work)
        self._remove(int(self._record["rows_used"][0]) - 1)
        found = work["found"][0].tolist()
        return {name: found[i] for i, name in enumerate(people.listed) if name is not None}

    def predict_proba_one(self, x: Vector, **kwargs: Any) -> dict[Name, float]:
        """Probability of each person, at even odds, if it is one of those who are known."""
        odds = {name: math.exp(nats) for name, nats in self.llr_one(x, **kwargs).items()}
        return {name: share / sum(odds.values()) for name, share in odds.items()}

    def predict_one(self, x: Vector, **kwargs: Any) -> Name | None:
        """Who it is like most; None: nobody is known."""
        found = self.predict_proba_one(x, **kwargs)
        return max(found, key=found.__getitem__) if found else None


def _steps(vector: npt.NDArray[np.float32]) -> npt.NDArray[np.int8]:
    steps: npt.NDArray[np.int8] = np.clip(np.rint(vector / VECTOR_STEP), -VECTOR_STEPS_MAX, VECTOR_STEPS_MAX).astype(np.int8)
    return steps
