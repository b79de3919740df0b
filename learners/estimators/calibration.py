"""How far log-likelihood ratios hold for one person: logistic regression on two of them, within bounds.

Law: what was never taught counts as it is, and no run of lessons moves a calibration out of bounds.
"""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from river import base

from learners.estimators.record_estimator import Name, RecordEstimator, f8, truth
from learners.kernel import array, entry_at_first_use, record
from learners.recognition.calibration import calibrated_llr, clear_calibration, learn_calibration

__all__ = ["Calibration"]

CALIBRATION = record(("weights", "<f8", 2), ("offset", "<f8"), ("learnt", "<i4"), ("known", "i1", 2), ("reserved", "u1", 2))


@entry_at_first_use(array(CALIBRATION))
def _begin_calibration(estimators: Any) -> None:
    clear_calibration(estimators[0])  # type: ignore[no-untyped-call]


@entry_at_first_use(array(CALIBRATION), f8, f8, result=f8)
def _recalibrate_one(estimators: Any, first: float, second: float) -> Any:
    return calibrated_llr(estimators[0], first, second)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(CALIBRATION), f8, f8, truth, f8)
def _calibrate_one(estimators: Any, first: float, second: float, right: bool, weight: float) -> None:
    learn_calibration(estimators[0], first, second, right, weight)  # type: ignore[no-untyped-call]


class Calibration(RecordEstimator, base.Classifier):
    """Weights and an offset for one person's log-likelihood ratios (nats) of two sensors.

    A step of learning is that of River's `LogisticRegression` under `SGD(0.03)`, begun at weights of 1; what is *believed* of
    the weights stays within 0.6 to 1.4, of the offset within 0.7 nats. A ratio of 0 is one that is not there. Weigh targets
    and non-targets alike, and the offset is not the prior.

    Parameters
    ----------
    sensors
        The two names of ratios in `x`. Others are ignored.

    Examples
    --------
    >>> own = Calibration()
    >>> own.llr_one({"voice": 2.0})
    2.0
    >>> for _ in range(50):
    ...     own.learn_one({"voice": 2.0}, False)
    >>> own.llr_one({"voice": 2.0}) < 1.0
    True

    References
    ----------
    Brümmer (2010), *Measuring, refining and calibrating speaker and language information extracted from speech*.
    """

    RECORD: ClassVar[Any] = CALIBRATION

    def __init__(self, sensors: tuple[str, str] = ("voice", "face")) -> None:
        self.sensors = sensors
        self._begin()

    def _begin(self, *names: Any) -> None:
        super()._begin(*names)
        self._record["weights"] = 1.0  # as `clear_calibration` leaves it

    def _ratios(self, x: Mapping[Any, Any]) -> tuple[float, float]:
        first, second = self.sensors
        return float(x.get(first, 0.0)), float(x.get(second, 0.0))

    def learn_one(self, x: Mapping[Any, Any], y: Name, w: float = 1.0) -> None:
        """Learn from one comparison's log-likelihood ratios, as heavy as `w`; `y`: it was this person."""
        _calibrate_one(self._record, *self._ratios(x), bool(y), w)

    def llr_one(self, x: Mapping[Any, Any]) -> float:
        """The recalibrated sum, nats; nothing at all gives 0."""
        return float(_recalibrate_one(self._record, *self._ratios(x)))

    def predict_proba_one(self, x: Mapping[Any, Any], **kwargs: Any) -> dict[Name, float]:
        """Probability that it was this person, at even prior odds."""
        right = 1 / (1 + math.exp(-np.clip(self.llr_one(x), -700, 700)))
        return {False: 1 - right, True: right}

    def reset(self) -> None:
        """Forget every lesson."""
        _begin_calibration(self._record)

    @property
    def learnt(self) -> int:
        """Comparisons learnt."""
        return int(self._record["learnt"][0])

    @property
    def weights(self) -> dict[str, float]:
        """By sensor, as learnt: not yet within bounds."""
        return dict(zip(self.sensors, self._record["weights"][0].tolist(), strict=True))

    @property
    def offset(self) -> float:
        """Nats, as learnt: not yet within bounds."""
        return float(self._record["offset"][0])
