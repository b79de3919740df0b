"""How sure an answer must be, so that what is answered wrongly stays within a budget.

Law: caution stays within its bounds, and one event moves it by at most its rate. Whatever the events, as long as the
upper bound was never reached: errors <= aim * (events that could be errors) + (lower + caution) / rate.
"""

from typing import Any, ClassVar

import numpy as np
from river import base

from learners.estimators.record_estimator import RecordEstimator, f8, i8
from learners.kernel import array, entry_at_first_use, record
from learners.recognition.thresholds import CAUTION_STEP, move_threshold

__all__ = ["ErrorThreshold"]

THRESHOLD = record(("steps", "<i8"))
POLICY = record(("tier_rate", "<f8"), ("lower_nats", "<f8"), ("higher_nats", "<f8"))


@entry_at_first_use(i8, f8, f8, f8, array(POLICY), result=i8)
def _move_threshold_one(steps: int, wrong: float, share: float, aim: float, policies: Any) -> Any:
    return move_threshold(steps, wrong, share, aim, policies[0])  # type: ignore[no-untyped-call]


class ErrorThreshold(RecordEstimator, base.Estimator):
    """Caution, in nats, that is added to a threshold on log odds.

    Parameters
    ----------
    aim
        Of the events that could be errors, the share that may be.
    rate
        How far an error moves the threshold, nats.
    lower_nats, higher_nats
        How far it moves down and up, at most.

    Examples
    --------
    >>> threshold = ErrorThreshold(aim=0.01)
    >>> threshold.learn_one(wrong=True)
    >>> round(threshold.predict_one(), 2)
    0.99
    >>> for _ in range(50):
    ...     threshold.learn_one(wrong=False)
    >>> round(threshold.predict_one(), 2)
    0.49

    References
    ----------
    Gibbs and Candès (2021), *Adaptive conformal inference under distribution shift*.
    """

    RECORD: ClassVar[Any] = THRESHOLD

    def __init__(self, aim: float = 0.01, rate: float = 1.0, lower_nats: float = 0.5, higher_nats: float = 4.0) -> None:
        self.aim, self.rate = aim, rate
        self.lower_nats, self.higher_nats = lower_nats, higher_nats
        self._begin()

    def learn_one(self, wrong: float, share: float = 1.0) -> None:
        """Learn from an event: `share` of it could be an error, `wrong` (0 to `share`) is one."""
        policy = np.zeros(1, POLICY)
        policy["tier_rate"], policy["lower_nats"], policy["higher_nats"] = self.rate, self.lower_nats, self.higher_nats
        self._record["steps"] = _move_threshold_one(int(self._record["steps"][0]), float(wrong), share, self.aim, policy)

    def predict_one(self) -> float:
        """Nats to ask for beyond the threshold, or (negative) less."""
        return float(self._record["steps"][0]) * CAUTION_STEP
