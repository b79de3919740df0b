"""The term of a policy's own model: log odds for and against each person of a home, put into a recognition before it is applied.

Law: it is a function of the home's kept events, of the claims on them that hold, and of the event. So a claim that is taken
back, an event that is forgotten, a batch that ends elsewhere leave nothing behind, and there is no state beside the home's.
What is kept here is a model that was fitted, with the lessons that it was fitted on; of other lessons it is fitted anew.

Theory: each person has a model of theirs against everybody else's, which learns the lessons in their order. Log odds are told
from their mean over the lessons, so that what remains is what the features say, and not how often somebody is met, which the
prior says. How far that may be believed is learnt from how well each lesson was foretold before it was learnt (Dawid 1984,
prequential): one weight for the home, by logistic regression (Platt 1999) beside how often each person was met, held to 0 by
a Gaussian prior. A model that foretold nothing says nothing, and of who has no lesson it says nothing.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from learners.precision import LLR_STEP
from stream.contract.own.classifiers import Classifier, chance_of
from stream.contract.policy import OwnModel, Policy
from stream.home.messages import FOLLOW_UP, RECOGNITION
from stream.home.state.layout import PLACES

from .columns import Columns
from .lessons import LESSON, LESSONS_MAX, THEIRS, UNDECIDED, read

__all__ = ["Foretold", "OwnTerm", "own_term", "weigh"]

_SUREST: Final = 1e-3  # a chance is no nearer to 0 and 1
_HALVINGS: Final = 30
_NATS_MAX: Final = 4.0  # standard deviation of what is said
_RAISED_MAX: Final = 2.0
_POLICIES_KEPT: Final = 16
_HOMES_KEPT: Final = 4_096  # whose models are at hand: some kB each


class Foretold(NamedTuple):
    """A lesson of one person, as it was foretold before it was learnt."""

    nats: float  # what the model said
    often: float  # log odds of how often it had been theirs
    theirs: bool


class _Pupil(NamedTuple):
    """One person's model."""

    place: int
    model: Classifier
    mean: float  # log odds, over the lessons


class _Fitted(NamedTuple):
    columns: Columns
    pupils: list[_Pupil]
    weight: float


class OwnTerm:
    """What a policy's own model says, in all homes; of different homes in several threads at once.

    Parameters
    ----------
    own
        The policy's table.
    homes_kept
        Of how many homes a fitted model is kept until it is needed again; 0: of none. It changes no number.
    """

    def __init__(self, own: OwnModel, homes_kept: int = _HOMES_KEPT) -> None:
        self._own, self._homes_kept = own, homes_kept
        self._fitted: dict[str, tuple[bytes, _Fitted]] = {}

    def say(self, homes: Any, events: Any, households: Sequence[str]) -> dict[int, Exception]:
        """Fill in `own` of every recognition.

        Parameters
        ----------
        homes
            HOME[…], as they stand before those events: of each home there is one event.
        events
            EVENT[n].
        households
            Whose they are.

        Returns
        -------
            Errors of the model, by the index of the event.
        """
        failures: dict[int, Exception] = {}
        for n, household_id in enumerate(households):
            kind = int(events[n]["kind"])
            if kind == FOLLOW_UP:  # somebody may have been forgotten
                self._fitted.pop(household_id, None)
            elif kind == RECOGNITION:
                try:
                    self._say_one(homes, events[n : n + 1], household_id)
                except Exception as error:
                    failures[n] = error
        return failures

    def _say_one(self, homes: Any, event: Any, household_id: str) -> None:
        lessons, count = np.zeros(LESSONS_MAX, LESSON), np.zeros(1, np.int64)
        read(homes, event, lessons, count)
        fitted = self._fit(lessons[1 : int(count[0]) + 1], household_id)
        if fitted.weight > 0.0:
            x, most = fitted.columns.of(lessons[0]), self._own.llr_max
            for place, model, mean in fitted.pupils:
                nats = fitted.weight * (_log_odds(model, x, mean) - mean)
                event["own"][0, place - 1] = round(max(-most, min(nats, most)) / LLR_STEP)

    def _fit(self, lessons: Any, household_id: str) -> _Fitted:
        """The models of some lessons."""
        key = lessons.tobytes()
        found = self._fitted.get(household_id)
        if found is not None and found[0] == key:
            return found[1]
        fitted = _fit(self._own, lessons)
        if len(self._fitted) >= self._homes_kept:
            self._fitted.clear()
        if self._homes_kept > 0:
            self._fitted[household_id] = key, fitted
        return fitted


def own_term(policy: Policy) -> OwnTerm | None:
    """That of a policy, the same each time; None: it names no model."""
    if policy.own_model is None:
        return None
    if policy.policy_id not in _TERMS and len(_TERMS) == _POLICIES_KEPT:
        _TERMS.clear()
    return _TERMS.setdefault(policy.policy_id, OwnTerm(policy.own_model))


def _fit(own: OwnModel, lessons: Any) -> _Fitted:
    columns = Columns(own.features, lessons)
    xs = [columns.of(lesson) for lesson in lessons]
    pupils, foretold = list[_Pupil](), list[Foretold]()
    for place in range(1, PLACES):
        owners = lessons["owners"][:, place].tolist()
        taught = [(x, owner == THEIRS) for x, owner in zip(xs, owners, strict=True) if owner != UNDECIDED]
        if len({theirs for _, theirs in taught}) == 2:  # theirs and others'
            model = own.build()
            foretold += _teach(model, taught)
            mean = sum(_log_odds(model, x, 0.0) for x, _ in taught) / len(taught)
            pupils.append(_Pupil(place, model, mean))
    return _Fitted(columns, pupils, weigh(foretold, own.prior_weight))


def _teach(model: Classifier, taught: Sequence[tuple[dict[int, float], bool]]) -> list[Foretold]:
    """Teach a model its lessons; how those were foretold that came when it had seen some of theirs and some of others."""
    found, total, theirs_so_far = list[Foretold](), 0.0, 0
    for count, (x, theirs) in enumerate(taught):
        mean = total / count if count else 0.0
        said = _log_odds(model, x, mean)
        if 0 < theirs_so_far < count:
            often = math.log(theirs_so_far / (count - theirs_so_far))
            found.append(Foretold(said - mean, often, theirs))
        model.learn_one(x, theirs)
        total, theirs_so_far = total + said, theirs_so_far + theirs
    return found


def _log_odds(model: Classifier, x: dict[int, float], otherwise: float) -> float:
    chance = chance_of(model, x)
    if chance is None:
        return otherwise
    chance = min(max(chance, _SUREST), 1.0 - _SUREST)
    return math.log(chance / (1.0 - chance))


def weigh(foretold: Sequence[Foretold], prior_weight: float) -> float:
    """By what a model's log odds are multiplied: what makes its lessons, and the prior, likeliest; 0: it says nothing.

    Some models say little and are right, others much and are not: what the prior holds to 0 is the standard deviation of what
    comes out. It is 4 nats at most, and nothing is more than doubled.

    >>> right, wrong = Foretold(2.0, 0.0, True), Foretold(2.0, 0.0, False)
    >>> weigh([], 2.0), weigh([wrong] * 9, 2.0), weigh([right] * 999, 0.01)
    (0.0, 0.0, 2.0)
    >>> 0.0 < weigh([right] * 2, 2.0) < weigh([right] * 5, 2.0) < weigh([right] * 50, 2.0) < 2.0
    True
    >>> round(weigh([Foretold(1.0, 0.0, True)] * 5, 9.0) / weigh([right] * 5, 9.0), 3)
    2.0
    """
    square = sum(said * said for said, _, _ in foretold) / len(foretold) if foretold else 0.0
    if square == 0.0:
        return 0.0

    def rises(weight: float) -> bool:
        """Whether more of it would be less likely."""
        slope = prior_weight * square * weight
        for said, often, theirs in foretold:
            slope += (1.0 / (1.0 + math.exp(-(often + weight * said))) - theirs) * said
        return slope > 0.0

    low, high = 0.0, min(_NATS_MAX / math.sqrt(square), _RAISED_MAX)
    if not rises(high):
        return high
    for _ in range(_HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (low, middle) if rises(middle) else (middle, high)
    return low


_TERMS: Final[dict[str, OwnTerm]] = {}  # by policy_id
