"""How fast `kithkin replay` is, where the time goes, and what a person weighs, as one table.

    python -m bench [--load town] [--households 1000] [--events 20000] [--seed 0] [--runs 3] [--markdown FILE]

`--load flood` is the load that peers are measured with.

Every figure of time is that of the fastest of the runs: what else the machine does can only make a run slower.
"""

import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

__all__ = ["Weight", "main"]

STORES = {"memory": "memory:", "SQLite": "states.db"}  # heading -> what --store is given
PARTS = {
    "poll": "read the log",
    "decode": "decode and check records",
    "step": "decide and learn (`step`)",
    "encode_output": "encode outputs",
    "load": "load states",
    "encode_home": "encode states",
    "publish": "write outputs",
    "save": "save states",
}  # what is timed -> how the table calls it


class Weight(NamedTuple):
    """Bytes a person: at rest on average and in the heaviest home, and live in memory on average."""

    at_rest: float
    at_rest_max: float
    resident: float


class Stopwatch:
    """Seconds spent in each of the parts."""

    def __init__(self) -> None:
        self.seconds: collections.Counter[str] = collections.Counter()

    def on(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed. Parts must not call each other."""
        seconds, now = self.seconds, time.perf_counter

        def timed(*args: Any) -> Any:
            began = now()
            try:
                return function(*args)
            finally:
                seconds[part] += now() - began

        return timed


def commanded(log: Path, out: Path, store: str) -> tuple[float, float]:
    """Seconds of the whole command, and events/s as its summary says: without start-up and without looking at the states."""
    command = [Path(sys.executable).with_name("kithkin"), "replay", log, "--out", out, "--store", store, "--fresh"]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    speed = re.search(r"([\d,]+) +events/s", done.stdout)
    if done.returncode or not speed:
        sys.exit(f"kithkin replay ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return seconds, float(speed[1].replace(",", ""))


def timed_run(log: Path, out: Path, store_name: str) -> tuple[dict[str, float], list[bytes]]:
    """Seconds by part (and in all, as `total`) of a run in this process, and the states that it leaves."""
    from stream.brokers.files import LogBroker, LogProgress
    from stream.brokers.log_files import LogReader
    from stream.contract.policy import Policy
    from stream.contract.settings import Wiring
    from stream.home.step import step
    from stream.runtime.worker import batch
    from stream.runtime.worker.batch import as_arrived
    from stream.runtime.worker.garbage import seldom_collected
    from stream.runtime.worker.worker import Worker, WorkerLimits
    from stream.stores import open_store

    watch, wiring = Stopwatch(), Wiring()
    limits = WorkerLimits(
        records_max=wiring.batch_records_max, resident_bytes_max=wiring.resident_bytes_max, ordering=as_arrived
    )
    with ExitStack() as stack:
        reader = stack.enter_context(closing(LogReader([str(log)])))
        broker: Any = stack.enter_context(closing(LogBroker(reader, out, LogProgress({}))))
        store: Any = stack.enter_context(closing(open_store(store_name)))
        for name in ("decode", "encode_output", "encode_home"):
            stack.enter_context(patch.object(batch, name, watch.on(name, getattr(batch, name))))
        for port, name in ((broker, "poll"), (broker, "publish"), (store, "load"), (store, "save")):
            setattr(port, name, watch.on(name, getattr(port, name)))
        worker = Worker(broker, store, Policy(), limits, watch.on("step", step))
        stack.enter_context(seldom_collected())
        began = time.perf_counter()
        worker.run()
        watch.seconds["total"] = time.perf_counter() - began
        parts = dict(watch.seconds)
        return parts, [raw for p in store.partitions() for raw in store.load(p, list(store.households(p))).values()]


def weigh(states: list[bytes]) -> Weight:
    """Bytes a person of those states; resident: what Python allocates for the same homes live, after they were saved once."""
    from stream.contract.policy import Policy
    from stream.home.codec import decode_home, encode_home

    policy = Policy()
    people = [sum(person.present for person in decode_home(raw, policy).people) for raw in states]
    tracemalloc.start()
    homes = [decode_home(raw, policy) for raw in states]
    for home in homes:
        encode_home(home)  # what it keeps of that stays with it
    live, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    at_rest_max = max(len(raw) / n for raw, n in zip(states, people, strict=True) if n)
    return Weight(sum(map(len, states)) / sum(people), at_rest_max, live / sum(people))


def rows(log: Path, folder: Path, records: int, runs: int) -> Iterator[list[str]]:
    """The table's rows: a name, then a cell a store."""
    whole, running, parts, weight = {}, {}, {}, None
    for name, place in STORES.items():
        store = str(folder / place) if place.endswith(".db") else place
        measured = [commanded(log, folder / f"answers-{name}", store) for _ in range(runs)]
        whole[name], running[name] = min(seconds for seconds, _ in measured), max(speed for _, speed in measured)
        timed = []
        for number in range(runs):
            own = str(folder / f"{number}-{place}") if place.endswith(".db") else place
            timed.append(timed_run(log, folder / f"timed-{name}-{number}", own))
        parts[name], states = min(timed, key=lambda run: run[0]["total"])
        weight = weigh(states)
    assert weight is not None, "there is a store"
    yield ["events/s, the whole command", *(f"{records / whole[s]:,.0f}" for s in STORES)]
    yield ["events/s, without start-up", *(f"{running[s]:,.0f}" for s in STORES)]
    for part, called in PARTS.items():
        yield [f"µs an event: {called}", *(f"{1e6 * parts[s].get(part, 0) / records:.1f}" for s in STORES)]
    rest = {s: 2 * parts[s]["total"] - sum(parts[s].values()) for s in STORES}
    yield ["µs an event: all else", *(f"{1e6 * rest[s] / records:.1f}" for s in STORES)]
    for called, value in zip(("at rest, mean", "at rest, heaviest home", "live in memory, mean"), weight, strict=True):
        yield [f"bytes a person {called}", *(f"{value:,.0f}" for _ in STORES)]


def main() -> None:
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # before NumPy is loaded, here and in the commands
    from .flood import write_flood
    from .town import write_town

    loads = {"town": write_town, "flood": write_flood}
    cli = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    cli.add_argument("--load", choices=loads, default="town", help="what the log holds (default: %(default)s)")
    cli.add_argument("--households", type=int, default=1000, help="homes in the log (default: %(default)s)")
    cli.add_argument("--events", type=int, default=20_000, help="recognitions after enrolment (default: %(default)s)")
    cli.add_argument("--seed", type=int, default=0, help="seed of the log (default: %(default)s)")
    cli.add_argument("--runs", type=int, default=3, help="runs, of which the fastest counts (default: %(default)s)")
    cli.add_argument("--markdown", type=Path, help="also write the table to this file")
    args = cli.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        records = loads[args.load](folder / "log.jsonl", args.households, args.events, args.seed)
        heading = f"{records:,} events, {args.households:,} homes"
        table = [[heading, *STORES], ["---", *("---:" for _ in STORES)], *rows(folder / "log.jsonl", folder, records, args.runs)]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in table)
    print(text, end="")
    if args.markdown:
        args.markdown.write_text(text)
