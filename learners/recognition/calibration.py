"""Calibration per person: how far the fleet's log-likelihood ratios hold for this one.

Law: a person nobody said anything about keeps the fleet's calibration, and no run of feedback moves it out of bounds.

Theory: logistic regression on log-likelihood ratios (Brümmer 2010), here online (River), started at weight 1 and offset 0;
targets and non-targets weigh the same, so that the offset is not the prior.
"""

from collections.abc import Mapping
from typing import Any, Final

from river import base, linear_model, optim

from .fusion import softmax

__all__ = ["Recalibration"]

RATE: Final = 0.03
WEIGHT_MIN, WEIGHT_MAX = 0.6, 1.4
OFFSET_MAX: Final = 0.7  # nats


class Recalibration(base.Classifier):
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
        self._model: linear_model.LogisticRegression | None = None  # made by the first lesson: most people never get one
        self._scales: dict[str, float] = {}
        self._offset = 0.0

    def learn_one(self, x: Mapping[Any, float], y: bool | str | int, w: float = 1.0) -> None:
        """Learn from one comparison's log-likelihood ratios; `y`: it was this person."""
        if self._model is None:
            self._model = _fresh(self.rate)
        self.learnt += 1
        self._model.learn_one(dict(x), bool(y), w=w)
        self._bound()

    def _bound(self) -> None:
        """What of the model is believed."""
        assert self._model is not None, "there is nothing to bound before the first lesson"
        self._scales = {k: max(WEIGHT_MIN, min(v, WEIGHT_MAX)) for k, v in self._model.weights.items()}
        self._offset = max(-OFFSET_MAX, min(self._model.intercept, OFFSET_MAX))

    def llr_one(self, x: Mapping[str, float]) -> float:
        """The recalibrated sum (nats); a modality that is not there adds nothing, and nothing at all gives 0."""
        if not self.learnt or not x:
            return sum(x.values())
        scales, total = self._scales, self._offset
        for modality, llr in x.items():
            total += scales.get(modality, 1.0) * llr
        return total

    def predict_proba_one(self, x: Mapping[Any, float], **kwargs: Any) -> dict[bool | str | int, float]:
        """Probability that it was this person, at even prior odds."""
        if self._model is None:
            other = softmax([0.0, sum(x.values())])
            return {False: other[0], True: other[1]}
        result: dict[bool | str | int, float] = self._model.predict_proba_one(dict(x))
        return result

    def state(self) -> tuple[int, float, dict[str, float]]:
        """(comparisons learnt, offset, weights by modality): all there is to keep."""
        if self._model is None:
            return 0, 0.0, {}
        return self.learnt, float(self._model.intercept), {k: float(v) for k, v in sorted(self._model.weights.items())}

    @classmethod
    def restored(cls, state: tuple[int, float, Mapping[str, float]], rate: float = RATE) -> "Recalibration":
        """The learner that `state` was taken from: goes on exactly as if it had never stopped."""
        own = cls(rate)
        if state[0]:
            own._model = _fresh(rate)
            own.learnt, own._model.intercept = state[0], state[1]
            for name, weight in state[2].items():
                own._model._weights[name] = weight
            own._bound()
        return own


def _fresh(rate: float) -> linear_model.LogisticRegression:
    """River's model where every log-likelihood ratio counts as it is."""
    return linear_model.LogisticRegression(optim.SGD(rate), intercept_lr=rate, initializer=optim.initializers.Constant(1.0))
