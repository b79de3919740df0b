"""Classifiers as somebody could name them in a policy, and what is wrong with each."""

import itertools
from typing import Any

__all__ = ["Changed", "Drawing", "Failing", "Fickle", "Keyless", "Teachable", "Wild"]

_calls = itertools.count()


class Keyless:
    """It only predicts."""

    def predict_one(self, x: dict[int, float]) -> bool:
        return bool(x)


class Teachable:
    """A share of what was theirs, whatever the event is like."""

    def __init__(self, start: float = 1.0) -> None:
        self.theirs, self.seen = start, 2.0 * start

    def learn_one(self, x: dict[int, float], y: bool) -> None:
        self.theirs, self.seen = self.theirs + y, self.seen + 1

    def predict_proba_one(self, x: dict[int, float]) -> dict[bool, float]:
        return {True: self.theirs / self.seen, False: 1 - self.theirs / self.seen}


class Drawing(Teachable):
    """It says that it draws by chance."""

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self.seed = seed


class Fickle(Teachable):
    """It is another each time, and does not say so."""

    def predict_proba_one(self, x: dict[int, float]) -> dict[bool, float]:
        return {True: 1 / (2 + next(_calls))}


class Changed(Teachable):
    """To be asked teaches it."""

    def predict_proba_one(self, x: dict[int, float]) -> dict[bool, float]:
        self.seen += 1
        return super().predict_proba_one(x)


class Wild(Teachable):
    """Its probabilities are none."""

    def predict_proba_one(self, x: dict[int, float]) -> dict[bool, float]:
        return {True: 2.5}


class Failing(Teachable):
    """It cannot learn what has two columns."""

    def learn_one(self, x: dict[int, float], y: bool) -> Any:
        if len(x) == 2:
            raise ZeroDivisionError("of somebody's own model")
        super().learn_one(x, y)
