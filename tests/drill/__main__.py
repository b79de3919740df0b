"""Strike real workers on a real Kafka and Redis in every way they fail; check that nothing is lost and nothing done twice."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from .big import big
from .drill import drill, plan
from .faults import COORDINATOR_LOST, FAULTS
from .fleet import FleetDrill, fleet_drill
from .report import table
from .sabotage import SABOTAGES, faults_against
from .scale import scale
from .site import Scene

_BROKERS: Final = ("confluent", "kafka")
_COORDINATOR: Final = (COORDINATOR_LOST, "kill@inside-transaction", COORDINATOR_LOST, "kill@after-transaction")
_SMALL: Final = 3_000  # events of a drill that is not the long one
_FAULT_S: Final = 4.0  # what a fault takes with its recovery, so that the load lasts until the last of them
_RATE_MIN: Final = 300.0  # records a second; with fewer, batches are of one partition
_RATE_SABOTAGED: Final = 150.0  # with more, what was spoilt is soon saved anew
_BEGAN_S: Final = time.monotonic()
_EXPLAINED: Final = """\
scenarios:
  storm        the long one: kill -9 at named points and at random, zombies, Redis and broker away, full, slow, rolled back…
  coordinator  three nodes of Kafka, of which the group's coordinator is killed
  sabotage     workers with one effect in the wrong order: the checker must find each of them out
  big          a day of backlog, 5,000 homes at once, a record of 900 KB
  scale        how much more two workers do than one
  fleet        the fleet stage and a subscriber, killed 20 times at random while signals come
Without a name: all of them. A seed gives the same plan and the same load again; when what strikes where is up to the machine.
A scenario that failed keeps its folder, with the data and every log, and names it; the exit code is then 1.
"""


class Asked(NamedTuple):
    """What the command line says."""

    events: int
    seed: int
    faults: Sequence[str] | None
    minutes: float


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.drill", description=__doc__, epilog=_EXPLAINED, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scenarios", nargs="*", metavar="scenario", help="what to run (below)")
    parser.add_argument("--broker", choices=_BROKERS, help="the workers' client; both, one after the other, if it is not given")
    parser.add_argument("--events", type=int, default=100_000, help="of the storm, at least (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of plan and load (%(default)s)")
    parser.add_argument("--minutes", type=float, default=8.0, help="a storm strikes no longer than that (%(default)s)")
    parser.add_argument("--faults", nargs="+", choices=FAULTS, metavar="FAULT", help=f"a storm of these: {', '.join(FAULTS)}")
    parser.add_argument("--sabotage", choices=SABOTAGES, help="the storm's workers do this wrongly, so that it must fail")
    given = parser.parse_args()
    unknown = set(given.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    asked = Asked(given.events, given.seed, given.faults, given.minutes)
    if given.sabotage:
        asked = asked._replace(faults=given.faults or SABOTAGES[given.sabotage], events=_SMALL)
    names = given.scenarios or (["storm"] if asked.faults else list(SCENARIOS))
    failed = 0
    for broker in [given.broker] if given.broker else _BROKERS:
        for name in names:
            failed += _run(name, Scene(Path(), broker, given.seed, rate=_RATE_SABOTAGED, sabotage=given.sabotage), asked)
    _tell("All is well." if not failed else f"{failed} scenarios failed.")
    return bool(failed)


def _run(name: str, scene: Scene, asked: Asked) -> bool:
    """Run a scenario in a folder of its own; whether it failed."""
    _tell(f"{name} on {scene.broker}://")
    folder = Path(tempfile.mkdtemp(prefix="kithkin-drill-"))
    lines, complaints = SCENARIOS[name](replace(scene, folder=folder), asked)
    for line in lines:
        _tell(line)
    if complaints:
        for complaint in complaints:
            _tell(f"COMPLAINT: {complaint[:1_000]}")
        _tell(f"{name} on {scene.broker}:// failed. Data and logs (worker-*.log tells how each worker ended): {folder}")
    else:
        shutil.rmtree(folder)
    return bool(complaints)


def _storm(scene: Scene, asked: Asked) -> tuple[list[str], list[str]]:
    deadline_s, faults = time.monotonic() + 60 * asked.minutes, asked.faults or plan(asked.seed)
    rate = scene.rate if scene.sabotage else max(_RATE_MIN, asked.events / (_FAULT_S * len(faults)))
    outcome = drill(replace(scene, rate=rate), faults, asked.events, _tell, deadline_s)
    return [table(outcome)], outcome.complaints


def _coordinator(scene: Scene, _: Asked) -> tuple[list[str], list[str]]:
    outcome = drill(replace(scene, nodes=3, gated=False, rate=_RATE_MIN), _COORDINATOR, _SMALL, _tell)
    return [table(outcome)], outcome.complaints


def _sabotage(scene: Scene, _: Asked) -> tuple[list[str], list[str]]:
    lines, missed = [], []
    for name in SABOTAGES:
        faults = faults_against(name, scene.broker)
        if not faults:
            continue
        outcome = drill(replace(scene, folder=scene.folder / name, sabotage=name), faults, _SMALL, lambda _: None)
        lines.append(f"{name}: found out by {len(outcome.complaints)} complaints, such as: {[*outcome.complaints, '-'][0][:160]}")
        if not outcome.complaints:
            missed.append(f"workers with {name} pass")
    return lines, missed


def _big(scene: Scene, _: Asked) -> tuple[list[str], list[str]]:
    return big(scene, homes=5_000, backlog=20_000)


def _scale(scene: Scene, _: Asked) -> tuple[list[str], list[str]]:
    return scale(scene, events=40_000)


def _fleet(scene: Scene, _: Asked) -> tuple[list[str], list[str]]:
    if scene.broker != _BROKERS[0]:
        return ["the fleet stage has one client, which was drilled already"], []
    return fleet_drill(FleetDrill(scene.folder, seed=scene.seed))


Scenario = Callable[[Scene, Asked], tuple[list[str], list[str]]]
SCENARIOS: Final[dict[str, Scenario]] = {
    "storm": _storm, "coordinator": _coordinator, "sabotage": _sabotage, "big": _big, "scale": _scale,
    "fleet": _fleet,
}  # fmt: skip


def _tell(line: str) -> None:
    print(f"{time.monotonic() - _BEGAN_S:6.0f} s  {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
