"""What an event costs: the time of single steps on records that are decoded already, in enrolled and in cold homes.

Law: timed is the step alone, learning and feedback included, and its outputs as bytes; no reading of records, no states. It is
CPU time, for what else the machine does is not ours; beside it stands the time that this machine takes for a loop that is the
same everywhere. An event costs what it does in the batches of a worker; quantiles are of steps one by one, as after a pause.
"""

import time
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from learners.kernel import INTERPRETED
from stream.brokers.log_files import LogReader
from stream.contract.codec import decode
from stream.contract.policy import Policy
from stream.contract.records import Event, InvalidRecord
from stream.home.state.household import Household
from stream.home.state.layout import HOME
from stream.home.step import step, step_batch
from stream.runtime.worker.garbage import seldom_collected

from .measures import Figures
from .trials import Settings, policy_for
from .worlds import Trial, world_of

__all__ = ["WORLDS", "costs", "decoded", "in_batches", "loop_s", "stepped"]

WORLDS: Final = {"enrolled": ("ageing", "guests", "missing"), "cold": ("cold",)}
BATCH: Final = 1_000  # events: as a worker polls
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


def stepped(events: list[Event], homes: dict[str, Household], policy: Policy) -> npt.NDArray[np.int64]:
    """Take every event's step in its home (made where it is new); nanoseconds of each."""
    took = np.zeros(len(events), np.int64)
    now = time.thread_time_ns
    with seldom_collected():
        for number, event in enumerate(events):
            name = event.value.household_id
            home = homes.get(name) or homes.setdefault(name, Household.new(name))
            began = now()
            step(home, event, policy)
            took[number] = now() - began
    return took


def in_batches(events: list[Event], policy: Policy) -> int:
    """Take all steps as a worker does, in homes that stand in one array, from nothing; nanoseconds."""
    names = sorted({event.value.household_id for event in events})
    slots = np.zeros(len(names), HOME)
    homes = {name: Household.new(name, slots[n : n + 1]) for n, name in enumerate(names)}
    with seldom_collected():
        began = time.thread_time_ns()
        for first in range(0, len(events), BATCH):
            assert not step_batch(homes, events[first : first + BATCH], policy).failures, "every event is answered"
        return time.thread_time_ns() - began


def costs(households: int, settings: Settings) -> dict[str, Any]:
    """Microseconds by world: amortised over its recognitions, and quantiles of single steps."""
    worlds: dict[str, Any] = {}
    loops = []
    for kind, scenarios in WORLDS.items():
        for scenario in scenarios:
            trial = Trial(scenario, 0, 0, households)
            policy = policy_for(trial.side, settings)
            events = decoded(world_of(trial, settings.cache) / "log.jsonl", policy)
            runs, batches = [], []
            for _ in range(RUNS):
                loops.append(loop_s())
                batches.append(in_batches(events, policy))
                runs.append(stepped(events, {}, policy))
            worlds[scenario] = {"kind": kind, **_told(events, min(batches), min(runs, key=lambda took: took.sum()))}
    return {"compiled": not INTERPRETED, "loop_s": min(loops), "worlds": worlds}


def _told(events: list[Event], whole: int, took: npt.NDArray[np.int64]) -> Figures:
    recognitions = sum(event.record.topic == "recognitions" for event in events)
    median, p99 = np.percentile(took, (50, 99)).tolist()
    return {"us": whole / recognitions / 1e3, "us_median": median / 1e3, "us_p99": p99 / 1e3}
