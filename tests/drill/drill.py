"""A drill: faults by plan, each with load flowing, and a check of everything after each few of them.

Law: the seed decides the plan and the load. What went wrong is a complaint, and a drill with a complaint has failed.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from stream.ops.local_cluster.processes import until

from .faults import COORDINATOR_LOST, FAULTS, FaultMissed
from .points import POINTS
from .site import CREW, Scene, Site, opened

__all__ = ["Outcome", "Struck", "drill", "plan"]

_AT_EACH_POINT: Final = 3
_KILLS, _FLURRIES = 10, 3
_SEGMENT: Final = 12  # faults between two checks
_BEGIN_S: Final = 60.0

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
    names = [name for name in FAULTS if not name.startswith("kill") and name != COORDINATOR_LOST]
    names += [f"kill@{point}" for point in POINTS] * _AT_EACH_POINT
    names += ["zombie"] + ["kill"] * _KILLS + ["kill-flurry"] * _FLURRIES
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
        At least so many records in all.
    tell
        Is told each line.
    deadline_s
        As of `time.monotonic`: faults that would come later are left out.
    """
    outcome, began_s = Outcome(scene), time.monotonic()
    with opened(scene) as site:
        _steady(site)
        for segment in _segments(faults):
            with site.feeder.flowing():
                for name in segment:
                    if not outcome.complaints:
                        _strike(site, name, outcome, tell)
            if not _check(site, outcome, tell):
                break
            if time.monotonic() > deadline_s:
                tell("time is over: what is left of the plan is left out")
                break
        if not outcome.complaints and site.feeder.sent < events:
            site.feeder.fill(events - site.feeder.sent)
            _check(site, outcome, tell)
    outcome.ends, outcome.took_s = site.crew.ends, time.monotonic() - began_s
    outcome.complaints += site.crew.complaints  # those of the end too
    outcome.at_points, outcome.recoveries = site.orders.all_taken(), site.orders.recoveries()
    return outcome


def _segments(faults: Sequence[str]) -> Iterator[Sequence[str]]:
    return (faults[start : start + _SEGMENT] for start in range(0, len(faults), _SEGMENT))


def _steady(site: Site) -> None:
    """Let the workers begin."""
    for slot in CREW:
        site.crew.hire(slot)
    with site.feeder.flowing():
        until(lambda: min(site.progress.done.values()) > 0, _BEGIN_S)


def _strike(site: Site, name: str, outcome: Outcome, tell: Tell) -> None:
    site.progress.standstill_s()
    try:
        FAULTS[name](site)
    except FaultMissed as missed:
        outcome.complaints.append(f"{name}: {missed}")
    if not site.caught_up():
        outcome.complaints.append(f"{name}: it is not recovered from: {site.progress.lag} records wait")
    struck = Struck(name, site.progress.standstill_s())
    outcome.struck.append(struck)
    done = sum(site.progress.done.values())
    tell(f"{len(outcome.struck):3d} {name:26s} stood still {struck.standstill_s:5.1f} s   {done:7,d} done")


def _check(site: Site, outcome: Outcome, tell: Tell) -> bool:
    """Wait until all is done, and look; whether all is well."""
    if not site.caught_up():
        outcome.complaints.append(f"it does not come to rest: {site.progress.lag} records wait")
    outcome.complaints += [*site.feeder.failures, *site.checker.check()]
    checker = site.checker
    outcome.events, outcome.batches, outcome.lost, outcome.twice = checker.events, checker.batches, checker.lost, checker.twice
    verdict = f"{len(outcome.complaints)} complaints" if outcome.complaints else "all is well"
    tell(f"    checked {outcome.events:,} records in {outcome.batches:,} batches: {verdict}")
    return not outcome.complaints
