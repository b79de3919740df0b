"""Whether an error budget burns too fast: by bets against the claim that it does not.

Law: while of each minute's events no more than the allowed share is bad on average, whatever was before, alarms come no more
often than once in so many years, at any traffic and however the events of a minute hang together.

Each minute with traffic stakes a part f of a wealth on its share y of bad events against the allowed share m: the wealth is
multiplied by 1 + f (y / m − 1), whose mean is at most 1 while the claim holds (Waudby-Smith and Ramdas 2024, Estimating means
of bounded random variables by betting). A burn may begin at any minute, so a new unit of wealth is begun at each, and all are
added up: W ← (W + 1) × (1 + f (y / m − 1)). The mean over several f is an e-detector (Shin, Ramdas and Rinaldo 2024,
E-detectors): it is above A for the first time after at least A minutes on average. At an alarm it begins anew.

Two objectives are no share of events of a minute. Homes are quiet by the day, so a step is a day there, of which fewer are to
pass until a false alarm. Calibration is a distance: what stands for it lies around one half, and above by half of the distance
at most (`counting`).
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from .counting import Count
from .settings import Objective, Objectives

__all__ = ["ALARMS", "BETS", "Alarm", "alarms", "bet", "stands_minutes"]

Floats = npt.NDArray[np.float64]

BETS: Final = (0.03, 0.1, 0.3, 0.9)  # small ones for burns little above what is allowed, large ones for outages
_STANDS_STEPS: Final = {"quiet": 4}  # so long after an alarm it stands: a burn that goes on raises it again sooner
_STEP_MINUTES: Final = {"quiet": 1_440}  # of an objective whose step is no minute
_DISTANCES: Final = ("calibration",)
_OBJECTIVES: Final = len(Objectives.model_fields)  # false alarms of all together come no more often
_YEAR_MINUTES: Final = 365.25 * 24 * 60


class Alarm(NamedTuple):
    """Who is called: when more than `burn` times the budget is spent; falsely no more than once in so many years."""

    severity: Literal["page", "ticket"]
    burn: float
    years: float

    @property
    def threshold(self) -> float:
        """Evidence at which it is raised, where a step is a minute."""
        return round(self.years * _YEAR_MINUTES * _OBJECTIVES)

    def share_allowed(self, objective: Objective) -> float:
        """Share of bad events that is no reason."""
        return min(1.0, self.burn * (1 - objective.objective))

    def terms(self, name: str, objective: Objective) -> tuple[float, float]:
        """Of the objective of that name: the share that is no reason, and the evidence at which it is raised."""
        share = self.share_allowed(objective)
        allowed = (1 + share) / 2 if name in _DISTANCES else share
        return allowed, self.threshold / _STEP_MINUTES.get(name, 1)


ALARMS: Final = (Alarm("page", 3.0, 10.0), Alarm("ticket", 1.0, 1.0))


def stands_minutes(name: str = "") -> int:
    """How long an alarm of the objective of that name stands."""
    return _STANDS_STEPS.get(name, 30) * _STEP_MINUTES.get(name, 1)


def bet(bad: Floats, events: Floats, terms: tuple[float, float], wealth: Floats | None = None) -> tuple[Floats, Floats]:
    """Minutes, one after the other.

    Parameters
    ----------
    bad, events
        Of each minute: shape (minutes, …). One without events changes nothing.
    terms
        The allowed share, and the evidence at which an alarm is raised, after which it begins anew.
    wealth
        Of each bet before: shape (bets, …); None: nothing is known yet.

    Returns
    -------
    evidence
        After each minute: shape (minutes, …).
    wealth
        Of each bet after the last.
    """
    allowed, threshold = terms
    came = events > 0
    share = np.divide(bad, events, out=np.full(bad.shape, allowed), where=came)
    stakes = np.array(BETS).reshape(-1, *(1 for _ in bad.shape[1:]))
    wealth = np.zeros((len(BETS), *bad.shape[1:])) if wealth is None else wealth
    evidence = np.empty(bad.shape)
    for minute, odds in enumerate(share / allowed - 1):
        wealth = (wealth + came[minute]) * (1 + stakes * odds)
        evidence[minute] = wealth.mean(axis=0)
        raised = evidence[minute] >= threshold
        if raised.any():
            wealth[:, raised] = 0.0
    return evidence, wealth


def alarms(minutes: Mapping[int, Count], terms: tuple[float, float]) -> list[int]:
    """Minutes at which an alarm is raised, in order.

    Parameters
    ----------
    minutes
        Events and bad ones of each minute that had any, by its number since the Unix epoch.
    terms
        As for `bet`.

    Examples
    --------
    >>> hours = {minute: Count(60, 60 if minute >= 120 else 0) for minute in range(130)}
    >>> alarms(hours, ALARMS[0].terms("freshness", Objective(objective=0.99)))[0] - 120
    5
    """
    numbers = sorted(minutes)
    counts = np.array([minutes[number] for number in numbers], np.float64).reshape(-1, 2)
    evidence, _ = bet(counts[:, 1], counts[:, 0], terms)
    return [number for number, found in zip(numbers, evidence, strict=True) if found >= terms[1]]
