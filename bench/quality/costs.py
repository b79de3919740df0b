"""What an event costs: the time of single steps on records that are decoded already, in enrolled and in cold homes.

Law: timed is `step` alone, learning and feedback included; no JSON, no codec. Beside it stands the time that this machine
takes for a loop that is the same everywhere.
"""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from learners.kernels import COMPILED
from stream.codec import decode
from stream.garbage import seldom_collected
from stream.household import Home
from stream.logs import LogReader
from stream.policy import Policy
from stream.records import InvalidRecord, Recognition
from stream.step import Event, step

from .trials import Settings, Trial, policy_for, world_of

__all__ = ["WORLDS", "costs", "decoded", "loop_s", "stepped"]

WORLDS: Final = {"enrolled": ("ageing", "guests", "missing"), "cold": ("cold",)}
RUNS: Final = 3  # the fastest is told: what else the machine does can only make a run slower


def loop_s() -> float:
    """Seconds of five million `x += i * i` in a module (in a function it would be twice as fast), the fastest of the runs."""
    loop = compile("x = 0\nfor i in range(5_000_000): x += i * i", "loop", "exec")
    took = []
    for _ in range(RUNS):
        began = time.perf_counter()
        exec(loop, {})
        took.append(time.perf_counter() - began)
    return min(took)


def decoded(log: Path, policy: Policy) -> list[Event]:
    """The records of a log that can be read."""
    events = []
    for record in LogReader([str(log)]):
        try:
            events.append(decode(record, policy))
        except InvalidRecord:
            continue
    return events


def stepped(events: list[Event], homes: dict[str, Home], policy: Policy) -> npt.NDArray[np.int64]:
    """Take every event's step in its home (made where it is new); nanoseconds of each."""
    took = np.zeros(len(events), np.int64)
    now = time.perf_counter_ns
    with seldom_collected():
        for number, event in enumerate(events):
            name = event.value.household_id
            home = homes.get(name) or homes.setdefault(name, Home.new(name, policy))
            began = now()
            step(home, event, policy)
            took[number] = now() - began
    return took


def costs(households: int, settings: Settings) -> dict[str, Any]:
    """Microseconds by kind of home: amortised over its recognitions, and quantiles of single steps."""
    worlds: dict[str, Any] = {}
    for kind, scenarios in WORLDS.items():
        for scenario in scenarios:
            trial = Trial(scenario, 0, 0, households)
            policy = policy_for(trial.side, settings)
            events = decoded(world_of(trial, settings.cache) / "log.jsonl", policy)
            recognitions = sum(isinstance(event.value, Recognition) for event in events)
            took = min((stepped(events, {}, policy) for _ in range(RUNS)), key=lambda ns: ns.sum())
            median, p99 = np.percentile(took, (50, 99)) / 1e3
            worlds[scenario] = {"kind": kind, "recognitions": recognitions, "us": float(took.sum() / recognitions / 1e3),
                                "us_median": float(median), "us_p99": float(p99), "us_max": float(took.max() / 1e3)}  # fmt: skip
    return {"compiled": COMPILED, "loop_s": loop_s(), "worlds": worlds}
