"""Calibration per person: how far the fleet's log-likelihood ratios hold for this one.

Law: a person nobody said anything about keeps the fleet's calibration, and no run of feedback moves it out of bounds.

Theory: logistic regression on log-likelihood ratios (Brümmer 2010), here online (River), started at weight 1 and offset 0;
targets and non-targets weigh the same, so that the offset is not the prior.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from river import base, linear_model, optim

__all__ = ["Recalibration"]

RATE: Final = 0.03
WEIGHT_MIN, WEIGHT_MAX = 0.6, 1.4
OFFSET_MAX: Final = 0.7  # nats


class Recalibration(base.Classifier):  # type: ignore[misc]
    """Weights and an offset for one person's log-likelihood ratios, by modality.

    Examples
    --------
    >>> own = Recalibration()
    >>> own.llr_one({"voice": 2.0})
    2.0
    >>> for _ in range(50):
    ...     own.learn_one({"voice": 2.0}, False)
    >>> own.llr_one({"voice": 2.0}) < 1.0
    True
    """

    def __init__(self, rate: float = RATE) -> None:
        self.rate = rate
        self.learnt = 0
        self._model = linear_model.LogisticRegression(
            optimizer=optim.SGD(rate), intercept_lr=rate, initializer=optim.initializers.Constant(1.0)
        )

    def learn_one(self, x: Mapping[str, float], y: bool, w: float = 1.0) -> None:
        """Learn from one comparison's log-likelihood ratios; `y`: it was this person."""
        self.learnt += 1
        self._model.learn_one(dict(x), bool(y), w=w)

    def llr_one(self, x: Mapping[str, float]) -> float:
        """The recalibrated sum (nats); a modality that is not there adds nothing, and nothing at all gives 0."""
        if not x:
            return 0.0
        weights = self._model.weights
        total = sum(max(WEIGHT_MIN, min(weights.get(k, 1.0), WEIGHT_MAX)) * v for k, v in x.items())
        return float(total + max(-OFFSET_MAX, min(self._model.intercept, OFFSET_MAX)))

    def predict_proba_one(self, x: Mapping[str, float], **kwargs: Any) -> dict[bool, float]:
        """Probability that it was this person, at even prior odds."""
        result: dict[bool, float] = self._model.predict_proba_one(dict(x))
        return result

    def state(self) -> tuple[int, float, dict[str, float]]:
        """(comparisons learnt, offset, weights by modality): all there is to keep."""
        return self.learnt, float(self._model.intercept), {k: float(v) for k, v in sorted(self._model.weights.items())}

    @classmethod
    def restored(cls, state: tuple[int, float, Mapping[str, float]], rate: float = RATE) -> "Recalibration":
        """The learner that `state` was taken from: goes on exactly as if it had never stopped."""
        own = cls(rate)
        own.learnt, own._model.intercept, weights = state[0], state[1], state[2]
        own._model._weights.update(weights)
        return own
