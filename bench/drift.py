"""How soon a change is noticed, and how often one is seen that is none: our detectors beside River's, as one table.

    python -m bench.drift [--seeds 200] [--years 300] [--quick] [--only NAME …] [--markdown FILE] [--tune]

A stream is a history without change, then a change; a cell is the delay in events, median / 90 % of all streams (not found
within 1,000: ∞), and the share found within 500. A home-year is 7,300 events from a cold start without any change; in
visits, 1 to 8 events of a visit share 30 % of their variance, which is what homes are like, and only `ours` is told of
visits. Every detector is set to one false alarm in ten home-years of independent events: River's by --tune, on other seeds
than those of the table (METHODS in this file holds what it found). A detector that alarms begins anew. KSWIN is slow: 20
home-years.
"""

import argparse
import itertools
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, Protocol

import numpy as np
from river import drift
from river.drift import kswin
from scipy import stats

from learners.estimators import MeanRise, RateChange

__all__ = ["CHANGES", "METHODS", "Change", "Method", "delays", "false_alarms", "main", "stream"]

BUDGET = 73_000  # events to a false alarm: ten years of a home
YEAR = 7_300  # events
HORIZON, FOUND_WITHIN = 1_000, 500  # events after the change
HISTORIES = (300, 100, 30)
CORRELATION = 0.3  # of two events of a visit
TUNING = 1_000_000  # seeds from here on are only for tuning
RATE = 0.05  # of errors, before they change


class Change(NamedTuple):
    """What changes: the draw, and how far its mean has moved so many events after the onset."""

    name: str
    kind: str  # "real", "t3" or "rate"
    shift: Callable[[np.ndarray], np.ndarray]
    asked: dict[int, str]  # by history: what is asked of our detectors


CHANGES = (
    Change("errors .05 → .20", "rate", lambda n: 0.15 + 0 * n, {300: "60/130", 100: "80"}),
    Change("mean, 1 sd", "real", lambda n: 1.0 + 0 * n, {300: "22/37"}),
    Change("mean, .5 sd", "real", lambda n: 0.5 + 0 * n, {300: "84/170"}),
    Change("ramp to 1 sd in 300", "real", lambda n: np.minimum(1, (n + 1) / 300), {300: "180"}),
    Change("t3 tails, 1 sd", "t3", lambda n: 1.0 + 0 * n, {300: "18"}),
)


def stream(seed: Sequence[int], kind: str, mean: np.ndarray, in_visits: bool) -> Iterator[tuple[float, int | None]]:
    """Events (value, visit) of unit variance, or ones and zeros, about a given mean; outside of visits, or in them."""
    rng, n = np.random.default_rng(seed), len(mean)
    visits = np.repeat(np.arange(n), rng.integers(1, 6, n) + rng.integers(0, 4, n))[:n] if in_visits else np.arange(n)
    shared = CORRELATION if in_visits else 0.0
    if kind == "rate":
        level = RATE + mean
        if in_visits:
            spread = (1 - shared) / shared
            first = np.searchsorted(visits, visits)  # one draw for all events of a visit
            level = rng.beta(level * spread, (1 - level) * spread)[first]
        values = (rng.random(n) < level).astype(float)
    else:
        noise = [rng.standard_t(3, n) / math.sqrt(3) if kind == "t3" else rng.standard_normal(n) for _ in range(2)]
        values = mean + math.sqrt(shared) * noise[0][visits] + math.sqrt(1 - shared) * noise[1]
    return zip(values.tolist(), visits.tolist() if in_visits else [None] * n, strict=True)


class Runner(Protocol):
    """A detector on one stream; it begins anew after an alarm."""

    def alarms(self, value: float, visit: int | None) -> bool: ...


class Ours:
    """What watches homes: a visit is a session; a value counts when the next session begins."""

    def __init__(self, kind: str) -> None:
        self.detector = RateChange(false_alarm_events=BUDGET) if kind == "rate" else MeanRise(BUDGET)

    def alarms(self, value: float, visit: int | None) -> bool:
        self.detector.update(value, None if visit is None else visit + 1)
        return self.detector.drift_detected  # it begins anew at the next update


class Rivers:
    """River's detectors see events as they come."""

    def __init__(self, detector: Any) -> None:
        self.detector = detector

    def alarms(self, value: float, visit: int | None) -> bool:
        self.detector.update(value)
        return bool(self.detector.drift_detected)  # it resets itself at the next update


class Always:
    """Alarms without looking, as often as is allowed; its streams begin evenly spread over the time between two alarms."""

    streams = itertools.count()

    def __init__(self) -> None:
        self.left = next(self.streams) * 45_119 % BUDGET

    def alarms(self, value: float, visit: int | None) -> bool:
        self.left = self.left - 1 if self.left else BUDGET - 1
        return not self.left


class Method(NamedTuple):
    """A detector by name, made of a kind of stream and its tuned setting; of `tuned`, None: there is nothing to tune."""

    name: str
    make: Callable[[str, float], Runner]
    tuned: dict[str, float]
    bounds: tuple[float, float] | None = None  # where to look for the setting: from too eager to too slow
    years_max: int = 1_000_000  # home-years of false alarms that there is time for


METHODS = (
    Method("ours", lambda kind, _: Ours(kind), {"real": 0, "t3": 0, "rate": 0}),
    Method("ADWIN", lambda _, x: Rivers(drift.ADWIN(delta=x)), {"real": 0.0411, "t3": 0.000679, "rate": 0.139}, (0.5, 1e-9)),
    Method("PageHinkley", lambda kind, x: Rivers(drift.PageHinkley(delta=0.05 if kind == "rate" else 0.25, threshold=x)),
           {"real": 26.3, "t3": 37.4, "rate": 7.42}, (2, 200)),
    # Begun at 30 events as it comes, DDM alarms at the first error of a fifth of all streams, whatever its threshold.
    Method("DDM", lambda _, x: Rivers(drift.binary.DDM(warm_start=100, drift_threshold=x)), {"rate": 4.63}, (2, 60)),
    Method("EDDM", lambda _, x: Rivers(drift.binary.EDDM(beta=x)), {"rate": 0.437}, (0.95, 0.05)),
    Method("KSWIN", lambda _, x: Rivers(drift.KSWIN(alpha=x, seed=0)),
           {"real": 8.71e-5, "t3": 2.36e-5, "rate": 0.238}, (0.5, 1e-15), 20),
    Method("always-fire", lambda _, __: Always(), {"real": 0, "t3": 0, "rate": 0}),
)  # fmt: skip


@cache
def p_value(distance: int, size: int) -> float:
    """Of two samples of this size whose distributions are `distance` / `size` apart at most."""
    first = np.arange(size) + 0.5
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of samples too alike for SciPy's exact way
        return float(stats.ks_2samp(first, first + distance).pvalue)


def quick_ks(first: list[float], second: list[float], method: str = "auto") -> tuple[float, float]:
    """SciPy's `ks_2samp` of two samples of the same size, which takes it 150 µs."""
    both = np.array(first + second)
    order = np.argsort(both, kind="stable")
    steps = np.where(order < len(first), 1, -1).cumsum()
    values = both[order]
    last = np.append(values[1:] != values[:-1], True)  # of equal values
    distance = int(np.abs(steps[last]).max())
    return distance / len(first), p_value(distance, len(first))


def delays(method: Method, change: Change, history: int, seeds: Sequence[int]) -> np.ndarray:
    """Events from the onset to the first alarm after it, infinite when there was none within HORIZON."""
    found = np.full(len(seeds), np.inf)
    mean = np.concatenate([np.zeros(history), change.shift(np.arange(HORIZON))])
    for i, seed in enumerate(seeds):
        runner = method.make(change.kind, method.tuned[change.kind])
        for n, (value, visit) in enumerate(stream((seed, history, CHANGES.index(change)), change.kind, mean, False), 1 - history):
            if runner.alarms(value, visit) and n > 0:
                found[i] = n
                break
    return found


def false_alarms(method: Method, kind: str, in_visits: bool, seeds: Sequence[int]) -> float:
    """Alarms a home-year without change, on average."""
    alarms = 0
    for seed in seeds:
        runner = method.make(kind, method.tuned[kind])
        quiet = stream((seed, YEAR, len(kind), in_visits), kind, np.zeros(YEAR), in_visits)
        alarms += sum(runner.alarms(value, visit) for value, visit in quiet)
    return alarms / len(seeds)


def tune(method: Method, kind: str) -> float:
    """The setting with as many false alarms in home-years as the budget has, by bisection."""
    assert method.bounds, f"{method.name} has nothing to tune"
    eager, slow = (math.log(x) for x in method.bounds)
    seeds = range(TUNING, TUNING + (400 if method.years_max > 400 else 50))
    for _ in range(12):
        setting = (eager + slow) / 2
        rate = false_alarms(method._replace(tuned={kind: math.exp(setting)}), kind, False, seeds)
        eager, slow = (setting, slow) if rate > YEAR / BUDGET else (eager, setting)
    return float(f"{math.exp(slow):.3g}")


def cell(found: np.ndarray) -> str:
    def shown(x: float) -> str:
        return "∞" if math.isinf(x) else f"{x:.0f}"

    ranked = np.sort(found)
    median, most = (ranked[math.ceil(q * len(ranked)) - 1] for q in (0.5, 0.9))
    return f"{shown(median)}/{shown(most)} {100 * (found <= FOUND_WITHIN).mean():.0f} %"


def table(methods: Sequence[Method], seeds: int, years: int, say: Callable[[str], None]) -> Iterator[str]:
    """The rows, each as soon as it is known."""
    alarms = [(kind, in_visits) for kind in ("real", "t3", "rate") for in_visits in (False, True)]
    named = {"real": "values", "t3": "t3 tails", "rate": "errors"}
    heads = ["detector", *(f"false alarms a home-year: {named[k]}{', in visits' * v}" for k, v in alarms), "history"]
    yield "| " + " | ".join([*heads, *(change.name for change in CHANGES)]) + " |"
    yield "|---|" + "---:|" * (len(alarms) + 1 + len(CHANGES))
    for history in HISTORIES[:2]:
        asked = [change.asked.get(history, "") for change in CHANGES]
        yield "| " + " | ".join(["*asked*", *("≤ .1" * (history == 300) for _ in alarms), str(history), *asked]) + " |"
    for method in methods:
        began = time.perf_counter()
        rates = []
        for kind, in_visits in alarms:
            homes = range(min(years, method.years_max))
            say(f"{method.name}: {len(homes)} home-years of {named[kind]}{' in visits' * in_visits}")
            rates.append(f"{false_alarms(method, kind, in_visits, homes):.3f}" if kind in method.tuned else "–")
        for history in HISTORIES:
            say(f"{method.name}: changes after {history} events")
            cells = [cell(delays(method, c, history, range(seeds))) if c.kind in method.tuned else "–" for c in CHANGES]
            shown = rates if history == HISTORIES[0] else [""] * len(rates)
            yield "| " + " | ".join([method.name, *shown, str(history), *cells]) + " |"
        say(f"{method.name}: done in {time.perf_counter() - began:.0f} s")


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--seeds", type=int, default=200, help="streams of each change (default: %(default)s)")
    cli.add_argument("--years", type=int, default=300, help="home-years without change (default: %(default)s)")
    cli.add_argument("--quick", action="store_true", help="20 seeds, 10 home-years: a minute or two, to see that it runs")
    cli.add_argument("--only", nargs="+", choices=[m.name for m in METHODS], help="these detectors (default: all)")
    cli.add_argument("--markdown", type=Path, help="also write the table to this file")
    cli.add_argument("--tune", action="store_true", help="find River's settings anew and print them, instead of the table")
    args = cli.parse_args()
    kswin.stats = SimpleNamespace(ks_2samp=quick_ks)
    methods = [method for method in METHODS if not args.only or method.name in args.only]
    if args.tune:
        for method in methods:
            for kind in method.tuned if method.bounds else ():
                print(f"{method.name}, {kind}: {tune(method, kind)}", flush=True)
        return
    seeds, years = (20, 10) if args.quick else (args.seeds, args.years)
    rows = []
    for row in table(methods, seeds, years, lambda text: print(text, file=sys.stderr, flush=True)):
        rows.append(row)
        print(row, flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
