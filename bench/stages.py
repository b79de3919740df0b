"""Where a worker's time goes: one log through one worker in this process, each part timed, as JSON on standard output.

    python -P bench/stages.py LOG [--flame FILE]

Law: it belongs to no revision: it finds `stream` where PYTHONPATH says, and times of it what is there under the names below.
Times are of this process alone, at the second run over the log; `u` is one iteration of `x += i * i` in a
plain function of the same process, so that figures of two machines, or of two days, can be compared.
"""

import argparse
import importlib
import inspect
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

__all__ = ["Stopwatch", "main", "measured", "sampled", "u_ns"]

HOOKS = (  # part, module, attribute; what a revision does not have is left out
    ("decode", "stream.runtime.worker.batch", "decode"),
    ("decode", "stream.runtime.worker.batch", "decode_batch"),
    ("load", "stream.runtime.worker.home_cache", "decode_home"),
    ("prepare", "stream.home.step", "_Core._add"),
    ("prepare", "stream.home.events", "Run.ready"),
    ("apply", "stream.home.step", "apply"),
    ("state", "stream.home.step", "_Core._state"),
    ("encode", "stream.home.publish", "Publisher.read"),
    ("encode", "stream.runtime.worker.batch", "encode_output"),
    ("save", "stream.runtime.worker.batch", "encode_home"),
)
PORTS = (("broker", "poll", "read"), ("broker", "publish", "publish"), ("store", "load", "store"), ("store", "save", "store"))
SAMPLE_S, LOOP = 0.001, 1_000_000


def u_ns(runs: int = 5) -> float:
    """Nanoseconds of one iteration of `x += i * i` in a plain function, at the best of so many runs."""

    def loop() -> int:
        x = 0
        for i in range(LOOP):
            x += i * i
        return x

    best = float("inf")
    for _ in range(runs):
        began = time.perf_counter()
        loop()
        best = min(best, time.perf_counter() - began)
    return 1e9 * best / LOOP


# ---- timing


class Stopwatch:
    """Seconds spent in each part itself: what another part takes inside of it counts for that one."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()
        self._inside = [0.0]

    def on(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed; in a flame graph it has the part's name."""
        seconds, calls, inside, now = self.seconds, self.calls, self._inside, time.perf_counter

        def timed(*args: Any, **named: Any) -> Any:
            inside.append(0.0)
            began = now()
            try:
                return function(*args, **named)
            finally:
                took = now() - began
                seconds[part] += took - inside.pop()
                calls[part] += 1
                inside[-1] += took

        timed.__code__ = timed.__code__.replace(co_name=part, co_qualname=part)
        return timed

    def corrected(self, total: float) -> dict[str, float]:
        """Seconds by part and, as `rest`, of all else, less what timing itself took."""
        within, around = _cost_of_timing()
        parts = {part: max(0.0, s - within * self.calls[part]) for part, s in self.seconds.items()}
        rest = total - sum(self.seconds.values()) - around * self.calls.total()
        return parts | {"rest": max(0.0, rest)}


@cache
def _cost_of_timing() -> tuple[float, float]:
    """Seconds of timing one call: those that count for its part, and those that count for whoever called."""
    watch, times = Stopwatch(), 20_000
    timed = watch.on("nothing", lambda: None)
    began = time.perf_counter()
    for _ in range(times):
        timed()
    whole = (time.perf_counter() - began) / times
    within = watch.seconds["nothing"] / times
    return within, whole - within


def hooked(stack: ExitStack, wrap: Callable[[str, Callable[..., Any]], Callable[..., Any]]) -> None:
    """Put `wrap(part, function)` in the place of what HOOKS name, until the stack is left."""
    for part, module, path in HOOKS:
        try:
            owner = importlib.import_module(module)
            *outer, name = path.split(".")
            for step in outer:
                owner = getattr(owner, step)
            stack.enter_context(patch.object(owner, name, wrap(part, getattr(owner, name))))
        except (ImportError, AttributeError):
            continue


# ---- a run


def measured(log: Path, wrap: Any) -> tuple[float, list[bytes]]:
    """Seconds of a worker's run over a log, and the states it leaves; `wrap` as for `hooked`, or None."""
    from stream.brokers.files import LogBroker, LogProgress
    from stream.brokers.log_files import LogReader
    from stream.contract.policy import Policy
    from stream.contract.settings import Wiring
    from stream.runtime.worker.batch import as_arrived
    from stream.runtime.worker.garbage import seldom_collected
    from stream.runtime.worker.worker import Worker, WorkerLimits
    from stream.stores import open_store

    wiring = Wiring()
    limits = WorkerLimits(wiring.batch_records_max, resident_bytes_max=wiring.resident_bytes_max, ordering=as_arrived)
    with ExitStack() as stack:
        out = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        reader = stack.enter_context(closing(LogReader([str(log)])))
        ports: dict[str, Any] = {
            "broker": stack.enter_context(closing(LogBroker(reader, out / "out", LogProgress({})))),
            "store": stack.enter_context(closing(open_store("memory:"))),
        }
        core = inspect.signature(Worker.__init__).parameters["step_function"].default
        if wrap is not None:
            hooked(stack, wrap)
            for port, name, part in PORTS:
                setattr(ports[port], name, wrap(part, getattr(ports[port], name)))
            core = wrap("step", core)
        worker = Worker(ports["broker"], ports["store"], Policy(), limits, core)
        stack.enter_context(seldom_collected())
        began = time.perf_counter()
        worker.run()
        took, store = time.perf_counter() - began, ports["store"]
        return took, [raw for p in store.partitions() for raw in store.load(p, list(store.households(p))).values()]


def by_kind(log: Path) -> dict[str, list[float]]:
    """What the compiled core takes for events of each kind: how many, and seconds; empty of a revision without it."""
    try:
        from stream.home import messages
        from stream.home.step import apply as whole
    except ImportError:
        return {}
    claims = {messages.CONFIRM, messages.REJECT, messages.CORRECT, messages.RETRACT}
    names = {messages.RECOGNITION: "recognition", messages.ENROL: "enrolled event", messages.STATEMENT: "statement"}
    names |= dict.fromkeys(claims, "claim") | {messages.FOLLOW_UP: "follow-up of a statement"}
    found: dict[str, list[float]] = {name: [0, 0.0] for name in names.values()}
    now = time.perf_counter

    def one_by_one(homes: Any, events: Any, numbers: Any, work: Any, out: Any) -> None:
        """As `apply`, which goes on where `next_event` says."""
        at = int(out["next_event"][0])
        while at < len(events):
            whole(homes, events[:at], numbers, work, out)  # which has nothing to do: once so that the next finds all at hand
            began = now()
            whole(homes, events[:at], numbers, work, out)
            between = now()
            whole(homes, events[: at + 1], numbers, work, out)
            took = now() - between - (between - began)
            if int(out["next_event"][0]) == at:
                return  # there is no room for more results
            one = found[names[int(events["kind"][at])]]
            one[0], one[1], at = one[0] + 1, one[1] + took, at + 1
            if int(out["purge"][0]) >= 0:
                return

    measured(log, lambda part, function: one_by_one if part == "apply" else function)
    return {name: one for name, one in found.items() if one[0]}


def weighed(states: list[bytes]) -> dict[str, float]:
    """Of the homes of a run: how many they and their members are, bytes at rest, and µs to decode and to encode one."""
    from stream.contract.policy import Policy

    try:
        codec: Any = importlib.import_module("stream.home.state.at_rest")
    except ImportError:
        codec = importlib.import_module("stream.home.codec")  # as it was called before
    policy, took = Policy(), {"decode": 0.0, "encode": 0.0}
    people, heaviest = 0, 0.0
    first: Any = codec.decode_home(states[0], policy)
    place = [first.slot] if hasattr(first, "slot") else []  # as a worker has it: room that is there, if the revision knows of any
    for raw in states:
        began = time.perf_counter()
        home: Any = codec.decode_home(raw, policy, *place)
        between = time.perf_counter()
        codec.encode_home(home)
        took["decode"] += between - began
        took["encode"] += time.perf_counter() - between
        own = len(home.members) if hasattr(home, "members") else sum(p.present for p in home.people)
        people, heaviest = people + own, max(heaviest, len(raw) / max(own, 1))
    sizes = {"homes": len(states), "people": people, "bytes": sum(map(len, states)), "heaviest": heaviest}
    return sizes | {f"{name}_us": 1e6 * s / len(states) for name, s in took.items()}


# ---- a flame graph


@contextmanager
def sampled(path: Path) -> Iterator[None]:
    """Write where the block's CPU time goes, as collapsed stacks in µs: for flamegraph.pl, speedscope and the like.

    A signal comes every millisecond and counts for the CPU time since the last; one waits for compiled code to return.
    """
    stacks: Counter[str] = Counter()
    last = [time.thread_time_ns()]

    def sample(_: int, frame: Any) -> None:
        names = []
        while frame is not None:
            code = frame.f_code
            names.append(f"{frame.f_globals.get('__name__', '?')}.{code.co_qualname}".replace(";", ":").replace(" ", "_"))
            frame = frame.f_back
        now = time.thread_time_ns()
        stacks[";".join(reversed(names))] += (now - last[0]) // 1000
        last[0] = now

    before = signal.signal(signal.SIGALRM, sample)
    signal.setitimer(signal.ITIMER_REAL, SAMPLE_S, SAMPLE_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        path.write_text("".join(f"{stack} {us}\n" for stack, us in sorted(stacks.items()) if us))


def main() -> None:
    cli = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    cli.add_argument("log", type=Path)
    cli.add_argument("--flame", type=Path, help="write collapsed stacks to this file, and time nothing")
    args = cli.parse_args()
    measured(args.log, None)  # what is compiled or found out once does not count
    if args.flame:
        with sampled(args.flame):
            measured(args.log, Stopwatch().on)
        return
    watch, best = Stopwatch(), u_ns()
    total, states = measured(args.log, watch.on)
    import stream

    result = {
        "stream": str(Path(next(iter(stream.__path__)))), "u_ns": min(best, u_ns()), "parts": watch.corrected(total),
        "kinds": by_kind(args.log), "homes": weighed(states),
    }  # fmt: skip
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
