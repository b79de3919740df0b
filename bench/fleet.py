"""`python bench/fleet.py`: false alerts in a fleet of simulated homes, and how soon a bad firmware is named.

Law: the same seed gives the same table. Homes are watched by the detectors that watch real ones, report
when the core would (`is_due` is its rule, written plainly), and the fleet stage that runs live gets it; nothing is decided here.

In every home a device and a person are watched. Some homes change by themselves, at any time; in those with one firmware the
device changes when that comes. Streets of homes hear the same noise, so that their evidence is far from independent.
"""

import argparse
import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from learners.drift.edetectors import threshold
from learners.estimators import MeanRise
from stream.contract.policy import Alerting
from stream.contract.records import Alert, Cause, Signal
from stream.contract.units import DAY_MS, HOUR_MS
from stream.fleet.state import Fleet
from stream.fleet.step import fleet_step
from stream.home.core.drift.signals import HEARTBEAT_MS, NOTABLE, NOTABLE_EVERY_MS

__all__ = ["Outcome", "Town", "simulate"]

BEGIN_MS = 1_763_683_200_000
SLOT_MS = 6 * HOUR_MS
VISITS = 4  # of a subject in a slot
ALARM = threshold(73_000)
NEVER = 1e15  # values to a false alarm: a stream is asked for its evidence, and does not begin anew
GUILTY = ("firmware", "2.1")
SUBJECTS = ("device", "person")
LEAST = -30.0  # nats: evidence that is told is finite
CAUSE = Cause(topic="recognitions", partition=0, offset=0)


@dataclass(frozen=True)
class Town:
    """What is simulated: shares are of all homes."""

    homes: int = 10_000
    days: int = 45
    release_day: float = 25.0
    rollout_days: float = 1.0
    changed_alone: float = 0.01
    guilty: float = 0.1
    dependent: float = 0.1
    street: int = 20
    shift: tuple[float, float] = (0.7, 1.5)  # standard deviations that a change raises a value, at least and at most
    seed: int = 0


class Home(NamedTuple):
    """Ids and attributes of a home, and when its device and its person change (ms; infinity: never)."""

    household_id: str
    attributes: dict[str, str]
    encoder: str
    onsets: tuple[float, float]


@dataclass
class Outcome:
    """What the alerts of one run were worth."""

    decisions: int = 0
    false_shares: list[float] = field(default_factory=list)  # of each decision that opened alerts
    opened: int = 0
    opened_falsely: int = 0
    found: int = 0  # homes that changed by themselves, and were alerted
    changed: int = 0
    innocent_groups: list[str] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    hours_to_name: float = math.inf
    alone_before: float = 0.0  # share of the guilty homes that were alerted singly before
    signals: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Realised false discovery rate per decision; a decision without alerts has none that are false."""
        return sum(self.false_shares) / max(self.decisions, 1)


def simulate(town: Town, policy: Alerting | None = None) -> Outcome:
    """One run of a town, from its first day."""
    policy, outcome, fleet = policy or Alerting(), Outcome(), Fleet()
    homes = list(settled(town))
    by_id = {home.household_id: home for home in homes}
    began_s, alone = time.perf_counter(), 0
    for signal in told(town, homes):
        outcome.signals += 1
        alerts = fleet_step(fleet, signal, policy)
        if alerts:
            alone += judge(outcome, [a for a in alerts if a.state == "opened"], by_id, town)
            if not outcome.named:
                outcome.alone_before = alone / max(1, round(town.guilty * town.homes))
    outcome.decisions = fleet.counts["decision"]
    outcome.changed = sum(min(home.onsets) < math.inf and home.attributes["firmware"] != GUILTY[1] for home in homes)
    outcome.seconds = time.perf_counter() - began_s
    return outcome


def settled(town: Town) -> Iterator[Home]:
    """The homes; the guilty firmware is one of several of one model, beside homes of that model without it."""
    rng = np.random.default_rng([town.seed, 1])
    for number in range(town.homes):
        guilty = number < town.guilty * town.homes
        model = "show-8" if guilty or rng.random() < 0.25 else str(rng.choice(["speaker-2", "door-cam-1", "echo-3"]))
        firmware = GUILTY[1] if guilty else str(rng.choice(["1.7", "2.0", "3.0"]))
        attributes = {"model": model, "firmware": firmware, "room": str(rng.choice(["kitchen", "hall", "bedroom", "study"]))}
        device, person = math.inf, math.inf
        if guilty:
            device = BEGIN_MS + (town.release_day + rng.random() * town.rollout_days) * DAY_MS
        elif rng.random() < town.changed_alone / (1 - town.guilty):
            onset = BEGIN_MS + (0.3 + 0.6 * rng.random()) * town.days * DAY_MS
            device, person = (onset, person) if rng.random() < 0.5 else (device, onset)
        yield Home(f"h-{number:05d}", attributes, str(rng.choice(["voice-a", "voice-b"])), (device, person))


def told(town: Town, homes: list[Home]) -> Iterator[Signal]:
    """What the homes say, slot after slot."""
    rng = np.random.default_rng([town.seed, 2])
    shape = (len(homes), len(SUBJECTS))
    onsets = np.array([home.onsets for home in homes])
    shifts = rng.uniform(*town.shift, shape)
    streets = streets_of(town, rng)
    streams = [[MeanRise(NEVER) for _ in SUBJECTS] for _ in homes]
    last, at_last = np.full(shape, -math.inf), np.full(shape, BEGIN_MS - rng.integers(0, 7 * DAY_MS, shape))
    for slot in range(town.days * DAY_MS // SLOT_MS):
        now = BEGIN_MS + slot * SLOT_MS
        values = rng.standard_normal((VISITS, *shape))[:, streets] + np.where(onsets <= now, shifts, 0.0)
        for of_home, watching in zip(values.transpose(1, 2, 0).tolist(), streams, strict=True):
            for some, stream in zip(of_home, watching, strict=True):
                for value in some:
                    stream.update(value)
        evidence = np.array([[max(LEAST, stream.log_e_value) for stream in watching] for watching in streams])
        yield from spoken(homes, now, evidence, (last, at_last))


def streets_of(town: Town, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Of each home, the one whose noise it hears: mostly its own."""
    heard = np.arange(town.homes)
    dependent = rng.permutation(town.homes)[: int(town.dependent * town.homes)]
    for start in range(0, len(dependent), town.street):
        street = dependent[start : start + town.street]
        heard[street] = street[0]
    return heard


def spoken(homes: list[Home], now: int, evidence: npt.NDArray[Any], before: tuple[Any, Any]) -> Iterator[Signal]:
    """Signals of one slot, at moments of its own for each home."""
    last, at_last = before
    moment = now + np.arange(len(homes)) * 997 % SLOT_MS
    loud = (evidence > 1) | (last > 1) | ((last >= 0) & (evidence < 0)) | (moment[:, None] - at_last > 6 * DAY_MS)
    due = [
        (int(moment[h]), h, s)
        for h, s in np.argwhere(loud)
        if is_due(evidence[h, s], last[h, s], int(moment[h] - at_last[h, s]), ALARM)
    ]
    for at, h, s in sorted(due):
        home, kind = homes[h], SUBJECTS[s]
        last[h, s], at_last[h, s] = evidence[h, s], at
        of_device = kind == "device"
        yield Signal(
            signal_id=f"{home.household_id}:{kind}:{at}",
            household_id=home.household_id,
            person_id=None if of_device else "alice",
            device_id="device" if of_device else None,
            encoder=home.encoder if of_device else None,
            attributes=home.attributes if of_device else {},
            kind=kind,
            log_e_value=float(evidence[h, s]),
            observed_at=at,
            cause=CAUSE,
            streams=len(SUBJECTS),
        )


def is_due(log_e_value: float, before: float, elapsed_ms: int, alarm: float) -> bool:
    """Whether a home has to report a subject again; `before`: the evidence at its last report, nats (minus infinity: never)."""
    if elapsed_ms >= HEARTBEAT_MS or before < alarm <= log_e_value:
        return True
    fell = before >= 0 > log_e_value
    return elapsed_ms >= NOTABLE_EVERY_MS and (log_e_value > NOTABLE or before > NOTABLE or fell)


def judge(outcome: Outcome, opened: list[Alert], homes: dict[str, Home], town: Town) -> int:
    """Count the alerts that one decision opened; how many of them were of single homes with the guilty firmware."""
    false = alone = 0
    for alert in opened:
        if alert.household_id is None:
            name = "=".join(next(iter(alert.attributes.items())))
            right = tuple(alert.attributes.items()) == (GUILTY,) and alert.opened_at > BEGIN_MS + town.release_day * DAY_MS
            if right and not outcome.named:
                outcome.hours_to_name = (alert.opened_at - BEGIN_MS) / HOUR_MS - 24 * town.release_day
            (outcome.named if right else outcome.innocent_groups).append(name)
        else:
            home = homes[alert.household_id]
            right = min(home.onsets) < alert.opened_at
            guilty = home.attributes["firmware"] == GUILTY[1]
            alone += guilty
            outcome.found += right and not guilty
        false += not right
    if opened:
        outcome.false_shares.append(false / len(opened))
        outcome.opened += len(opened)
        outcome.opened_falsely += false
    return alone


def row(name: str, outcomes: Iterable[Outcome], of_firmware: bool) -> str:
    """A line of the table: means over runs, and the worst; `of_firmware`: one is at fault."""
    runs = list(outcomes)
    opened, changed = sum(run.opened for run in runs), sum(run.changed for run in runs)
    named = sum(run.named == ["=".join(GUILTY)] for run in runs)
    cells = [
        name,
        f"{np.mean([run.rate for run in runs]):.4f} (worst {max(run.rate for run in runs):.4f})",
        f"{sum(run.opened_falsely for run in runs) / max(opened, 1):.3f} of {opened:,}",
        f"{sum(run.found for run in runs) / changed:.0%}" if changed else "–",
        f"{named}/{len(runs)}" if of_firmware else "–",
        f"{np.median([run.hours_to_name for run in runs]):.0f} h" if named else "–",
        f"{max(run.alone_before for run in runs):.1%}" if of_firmware else "–",
        str(sum(len(run.innocent_groups) for run in runs)),
    ]
    return "| " + " | ".join(cells) + " |"


TOWNS: list[tuple[str, float, dict[str, Any]]] = [  # name, share of the seeds, and what is not as usual
    ("1 % alone, 10 % by a firmware", 1.0, {}),
    ("nothing changes", 0.2, {"changed_alone": 0.0, "guilty": 0.0}),
    ("all in streets, 1 % alone", 0.2, {"dependent": 1.0, "guilty": 0.0}),
    ("all in streets, 1 % alone, 10 % by a firmware", 0.2, {"dependent": 1.0}),
]
HEAD = [
    "homes", "false per decision", "false of all opened", "single changes found", "firmware named, once", "after",
    "its homes alerted before, worst", "innocent groups",
]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python bench/fleet.py", description=__doc__)
    parser.add_argument("--homes", type=int, default=10_000)
    parser.add_argument("--seeds", type=int, default=20)
    given = parser.parse_args()
    print("| " + " | ".join(HEAD) + " |\n" + "|---" * len(HEAD) + "|")
    for name, seeds, more in TOWNS:
        runs = range(math.ceil(seeds * given.seeds))
        outcomes = (simulate(Town(homes=given.homes, seed=seed, **more)) for seed in runs)
        print(row(name, outcomes, of_firmware=more.get("guilty", Town.guilty) > 0), flush=True)


if __name__ == "__main__":
    main()
