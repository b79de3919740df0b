"""What an event costs: the time of single steps on records that are decoded already, in enrolled and in cold homes.

Law: timed is `step` alone, learning and feedback included; no JSON, no codec. It is CPU time, for what else the machine does
is not ours; beside it stands the time that this machine takes for a loop that is the same everywhere.
"""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from learners.kernels.choice import COMPILED
from stream.brokers.log_files import LogReader
from stream.contract.codec import decode
from stream.contract.policy import Policy
from stream.contract.records import Event, InvalidRecord, Recognition
from stream.home.state.home import Home
from stream.home.step import step
from stream.runtime.worker.garbage import seldom_collected

from .measures import Figures
from .trials import Settings, policy_for
from .worlds import Trial, world_of

__all__ = ["WORLDS", "costs", "decoded", "loop_s", "stepped"]

WORLDS: Final = {"enrolled": ("ageing", "guests", "missing"), "cold": ("cold",)}
RUNS: Final = 3  # the fastest is told: what else the machine does can only make a run slower


def loop_s() -> float:
    """Seconds of five million `x += i * i` in a module: in a function it would be twice as fast."""
    loop = compile("x = 0\nfor i in range(5_000_000): x += i * i", "loop", "exec")
    began = time.thread_time()
    exec(loop, {})
    return time.thread_time() - began


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
    now = time.thread_time_ns
    with seldom_collected():
        for number, event in enumerate(events):
            name = event.value.household_id
            home = homes.get(name) or homes.setdefault(name, Home.new(name, policy))
            began = now()
            step(home, event, policy)
            took[number] = now() - began
    return took


def costs(households: int, settings: Settings) -> dict[str, Any]:
    """Microseconds by world: amortised over its recognitions, and quantiles of single steps."""
    worlds: dict[str, Any] = {}
    loops = []
    for kind, scenarios in WORLDS.items():
        for scenario in scenarios:
            trial = Trial(scenario, 0, 0, households)
            policy = policy_for(trial.side, settings)
            events = decoded(world_of(trial, settings.cache) / "log.jsonl", policy)
            runs = []
            for _ in range(RUNS):
                loops.append(loop_s())
                runs.append(stepped(events, {}, policy))
            worlds[scenario] = {"kind": kind, **_told(events, min(runs, key=lambda took: took.sum()))}
    return {"compiled": COMPILED, "loop_s": min(loops), "worlds": worlds}


def _told(events: list[Event], took: npt.NDArray[np.int64]) -> Figures:
    recognitions = sum(isinstance(event.value, Recognition) for event in events)
    median, p99 = np.percentile(took, (50, 99)).tolist()
    return {"us": float(took.sum() / recognitions / 1e3), "us_median": median / 1e3, "us_p99": p99 / 1e3}
