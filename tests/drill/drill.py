"""A drill: faults by plan, each with load flowing, and a check of everything after each few of them.

Law: the seed decides the plan and the load. What went wrong is a complaint, and a drill with a complaint has failed.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from .faults import FAULTS, FaultMissed
from .points import POINTS
from .site import CREW, Scene, Site, opened

__all__ = ["Outcome", "Struck", "drill", "plan"]

_AT_EACH_POINT: Final = 3
_KILLS, _FLURRIES = 10, 3
_SEGMENT: Final = 12  # faults between two checks
_STEADY: Final = 500  # records before the first fault

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Struck:
    """One fault, and the longest time in which a partition stood still because of it."""

    name: str
    standstill_s: float


@dataclass
class Outcome:
    """What a drill came to."""

    scene: Scene
    struck: list[Struck] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    at_points: Counter[str] = field(default_factory=Counter)
    events: int = 0
    batches: int = 0
    recoveries: int = 0
    lost: int = 0
    twice: int = 0
    took_s: float = 0.0


def plan(seed: int) -> list[str]:
    """The long drill: every point some times, as many kills at any moment, and everything else once; in an order by chance."""
    names = [name for name in FAULTS if not name.startswith("kill")]
    names += [f"kill@{point}" for point in POINTS] * _AT_EACH_POINT
    names += ["kill"] * _KILLS + ["kill-flurry"] * _FLURRIES
    random.Random(seed).shuffle(names)
    return names


def drill(scene: Scene, faults: Sequence[str], events: int, tell: Tell, deadline_s: float = float("inf")) -> Outcome:
    """Run the faults, and check.

    Parameters
    ----------
    scene
        Where, and under which load.
    faults
        By name, in order.
    events
        Records of the whole; each fault gets its share.
    tell
        Is told each line.
    deadline_s
        As of `time.monotonic`: faults that would come later are left out.
    """
    outcome, began_s = Outcome(scene), time.monotonic()
    with opened(scene) as site:
        for slot in CREW:
            site.crew.hire(slot)
        site.feeder.allow(_STEADY)
        site.drained()
        share = max(1, (events - _STEADY) // max(1, len(faults)))
        for number, name in enumerate(faults, 1):
            if time.monotonic() > deadline_s:
                tell(f"time is over: {len(faults) - number + 1} faults are left out")
                break
            site.feeder.allow(share)
            _strike(site, name, outcome, tell)
            if number % _SEGMENT == 0 or number == len(faults):
                _check(site, outcome, tell)
            if outcome.complaints:
                break
        _check(site, outcome, tell)
    outcome.ends, outcome.took_s = site.crew.ends, time.monotonic() - began_s
    outcome.complaints += [one for one in site.crew.complaints if one not in outcome.complaints]
    outcome.at_points, outcome.recoveries = site.orders.all_taken(), site.orders.recoveries()
    return outcome


def _strike(site: Site, name: str, outcome: Outcome, tell: Tell) -> None:
    site.progress.standstill_s()
    try:
        FAULTS[name](site)
    except FaultMissed as missed:
        outcome.complaints.append(f"{name}: {missed}")
    if not site.caught_up():
        outcome.complaints.append(f"{name}: not everything is done long afterwards: {site.progress.lag} records wait")
    outcome.complaints += site.crew.complaints
    struck = Struck(name, site.progress.standstill_s())
    outcome.struck.append(struck)
    tell(f"{len(outcome.struck):3d} {name:26s} stood still {struck.standstill_s:5.1f} s   {sum(site.progress.done.values()):7,d} done")


def _check(site: Site, outcome: Outcome, tell: Tell) -> None:
    if not site.drained():
        outcome.complaints.append(f"it does not come to rest: {site.progress.lag} records wait")
    outcome.complaints += site.feeder.failures
    outcome.complaints += site.checker.check()
    checker = site.checker
    outcome.events, outcome.batches, outcome.lost, outcome.twice = checker.events, checker.batches, checker.lost, checker.twice
    verdict = f"{len(outcome.complaints)} complaints" if outcome.complaints else "all is well"
    tell(f"    checked {outcome.events:,} records in {outcome.batches:,} batches: {verdict}")
