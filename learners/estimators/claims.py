"""How far what people say is believed: the reliability of a source, and evidence that a run of claims is false.

Law: a claim is a likelihood, never a label. Counts are whole share steps, so that taking a claim back is exact.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from river import base

from learners.estimators.record_estimator import RecordEstimator, f8, i8, shares, truth
from learners.feedback.annotators import claim_nats, expected_right, learn_source, reliability, unlearn_source, weigh_claim
from learners.feedback.poisoning import surprise
from learners.kernel import array, entry_at_first_use, record
from learners.precision import SHARE_ONE, SHARE_STEP

__all__ = ["ClaimRun", "SourceReliability"]

SOURCE = record(("right", "<i4"), ("wrong", "<i4"))
RUN = record(("evidence", "<f8"), ("claims", "<i8"))


@entry_at_first_use(array(SOURCE), f8, f8, result=f8)
def _reliability_one(sources: Any, prior_right: float, prior_wrong: float) -> Any:
    return reliability(sources[0], prior_right, prior_wrong)  # type: ignore[no-untyped-call]


@entry_at_first_use(shares, i8, f8, result=i8)
def _expected_right_one(posterior: Any, named: int, honest: float) -> Any:
    return expected_right(posterior, len(posterior), named, honest)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(SOURCE), i8)
def _learn_source_one(sources: Any, right: int) -> None:
    learn_source(sources[0], right)  # type: ignore[no-untyped-call]


@entry_at_first_use(array(SOURCE), i8)
def _unlearn_source_one(sources: Any, right: int) -> None:
    unlearn_source(sources[0], right)  # type: ignore[no-untyped-call]


@entry_at_first_use(i8, f8, truth, result=f8)
def _claim_nats_one(places: int, honest: float, says_no: bool) -> Any:
    return claim_nats(places, honest, says_no)  # type: ignore[no-untyped-call]


@entry_at_first_use(shares, i8, f8)
def _weigh_claim_one(own: Any, named: int, nats: float) -> None:
    weigh_claim(own, len(own), named, nats)  # type: ignore[no-untyped-call]


@entry_at_first_use(shares, i8, truth, result=f8)
def _surprise_one(posterior: Any, named: int, says_no: bool) -> Any:
    return surprise(posterior, len(posterior), named, says_no)  # type: ignore[no-untyped-call]


def _floats(posterior: Sequence[float]) -> npt.NDArray[np.float64]:
    return np.array(posterior, np.float64)


class SourceReliability(RecordEstimator, base.Estimator):
    """How often the claims of one source are right: a Beta count, one coin per source.

    Parameters
    ----------
    honesty, honesty_weight
        How often claims are right, at first, and how many claims' worth of that is assumed.

    Examples
    --------
    >>> app = SourceReliability()
    >>> app.predict_one()
    0.9
    >>> right = app.learn_one([0.01, 0.01, 0.98], named=1)  # "it was 1", of whom the sensors say that it was 2
    >>> right < 0.5, app.predict_one() < 0.9
    (True, True)
    >>> app.unlearn_one(right)
    >>> app.predict_one()
    0.9

    References
    ----------
    Dawid and Skene (1979), *Maximum likelihood estimation of observer error-rates using the EM algorithm*.
    """

    RECORD: ClassVar[Any] = SOURCE

    def __init__(self, honesty: float = 0.9, honesty_weight: float = 20.0) -> None:
        self.honesty, self.honesty_weight = honesty, honesty_weight
        self._begin()

    def predict_one(self) -> float:
        """Probability that the next claim is right."""
        right = self.honesty * self.honesty_weight
        return float(_reliability_one(self._record, right, self.honesty_weight - right))

    def learn_one(self, posterior: Sequence[float], named: int, says_no: bool = False) -> float:
        """Count a claim as right as it probably was, by the posterior of the sensors alone; returns that probability.

        Parameters
        ----------
        posterior
            Of all who it may have been.
        named
            Whom the claim is about: an index in `posterior`.
        says_no
            It says that it was *not* them.
        """
        honest = self.predict_one()
        right = int(_expected_right_one(_floats(posterior), named, -honest if says_no else honest))
        _learn_source_one(self._record, right)
        return right * SHARE_STEP

    def unlearn_one(self, right: float) -> None:
        """Take back exactly what `learn_one` counted, told what it returned."""
        _unlearn_source_one(self._record, round(right * SHARE_ONE))

    def nats_one(self, places: int, says_no: bool = False) -> float:
        """By how much a claim raises the odds of what it says against each of the others; a liar's claim says nothing."""
        return float(_claim_nats_one(places, self.predict_one(), says_no))

    def predict_proba_one(self, posterior: Sequence[float], named: int, says_no: bool = False) -> list[float]:
        """The posterior with such a claim."""
        found, nats = _floats(posterior), self.nats_one(len(posterior), says_no)
        _weigh_claim_one(found, named, -nats if says_no else nats)
        return [float(p) for p in found]


class ClaimRun(RecordEstimator, base.Estimator):
    """Evidence that a run of claims is false: a sum over its beginnings of what a bet on that has won since.

    As long as at most a fifth of the claims are false, and none is made *because* the sensors were wrong, evidence grows by
    at most 1 a claim on average: mean claims until it reaches A are at least A.

    Examples
    --------
    >>> run = ClaimRun()
    >>> for _ in range(4):
    ...     run.learn_one([0.01, 0.01, 0.98], named=0)
    >>> run.evidence > 50
    True

    References
    ----------
    Shin, Ramdas and Rinaldo (2022), *E-detectors: a nonparametric framework for sequential change detection*.
    """

    RECORD: ClassVar[Any] = RUN

    def __init__(self) -> None:
        self._begin()

    def learn_one(self, posterior: Sequence[float], named: int, says_no: bool = False) -> None:
        """Count a claim, as `SourceReliability` does."""
        factor = float(_surprise_one(_floats(posterior), named, says_no))
        self._record["evidence"] = (self._record["evidence"] + 1) * factor
        self._record["claims"] += 1

    @property
    def evidence(self) -> float:
        """The sum over beginnings."""
        return float(self._record["evidence"][0])

    @property
    def log_e_value(self) -> float:
        """Nats: of the mean over beginnings, whose exponential has a mean of at most 1; 0 without a claim."""
        claims = int(self._record["claims"][0])
        return math.log(self.evidence / claims) if claims else 0.0
