"""Burn rates: false alarms, and how soon true ones come: by bets (`kithkin slo`) and by the SRE workbook's windows.

    python -m bench.slo [--months 10000] [--seed 0]

Months of 28 days in four kinds of traffic, an objective of 99 %, and errors at exactly the rate that the budget allows:
whatever is raised then is false. After its month each goes on for two days that burn 6, 14.4 or 100 times (all is bad), from a
time of day of chance. Windows are evaluated every minute. What fires again within an hour is the same alarm.

Then the two objectives that are no share of a minute's events: calibration (a minute has an answer of 90 % of which it becomes
known whether it was right) and quiet (of 1,000 homes, by days), each with its own objective of slo.toml.
"""

import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from stream.ops.objectives.counting import FORGETS
from stream.ops.objectives.evidence import ALARMS, bet
from stream.ops.objectives.settings import Objective, Objectives

__all__ = ["KINDS", "main", "simulated"]

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]
Traffic = Callable[[np.random.Generator, Integers], Integers]

AIM: Final = Objective(objective=0.99)
BUDGET: Final = 1 - AIM.objective
DAY, MONTH, AFTER, BLOCK = 1_440, 28 * 1_440, 2 * 1_440, 240  # minutes
BURNS: Final = (6.0, 14.4, 100.0)
SAME: Final = 60  # minutes
WINDOWS: Final = {  # long, short, burn
    "page": ((60, 5, 14.4), (360, 30, 6.0)),
    "ticket": ((1_440, 120, 3.0), (4_320, 360, 1.0)),
}
LONGEST: Final = 4_320
SAID: Final = 0.9  # by the answers of which calibration is looked at
HOMES: Final = 1_000  # that are quiet or not


def steady(rng: np.random.Generator, clock: Integers) -> Integers:
    """Sixty events a minute."""
    return rng.poisson(60, clock.shape)


def quiet_at_night(rng: np.random.Generator, clock: Integers) -> Integers:
    """Sixty by day, one in ten minutes from ten to six."""
    night = (clock % DAY < 360) | (clock % DAY >= 1_320)
    return rng.poisson(np.where(night, 0.1, 60))


def sparse(rng: np.random.Generator, clock: Integers) -> Integers:
    """Six an hour."""
    return rng.poisson(0.1, clock.shape)


def bursts(rng: np.random.Generator, clock: Integers) -> Integers:
    """Two hundred at once, a few times an hour, and little in between."""
    return rng.poisson(np.where(rng.random(clock.shape) < 0.05, 200, 0.5))


KINDS: Final[dict[str, tuple[Traffic, bool]]] = {  # and whether the events of a minute are good or bad together
    "steady": (steady, False),
    "quiet at night": (quiet_at_night, False),
    "sparse": (sparse, False),
    "bursts, bad together": (bursts, True),
}


class Watch:
    """Both ways of raising alarms, over many months side by side."""

    def __init__(self, months: int) -> None:
        self.sums = np.zeros((2, LONGEST + 1, months), np.int32)  # bad events and all so far, by minute, the last ones
        self.wealth: dict[str, Floats] = {}

    def note(self, bad: Integers, events: Integers) -> Iterator[tuple[str, npt.NDArray[np.bool_]]]:
        """More minutes, shape (minutes, months); where it fires, by way and severity."""
        after = self.sums[:, -1:] + np.cumsum([bad, events], axis=1, dtype=np.int32)
        sums = np.concatenate([self.sums, after], axis=1)
        self.sums = sums[:, -LONGEST - 1 :].copy()
        for severity, pairs in WINDOWS.items():
            fires = [_burns(sums, long, burn) & _burns(sums, short, burn) for long, short, burn in pairs]
            yield f"windows {severity}", fires[0] | fires[1]
        counted = bad.astype(np.float64), events.astype(np.float64)
        for alarm in ALARMS:
            terms, name = (alarm.share_allowed(AIM), alarm.threshold), alarm.severity
            evidence, self.wealth[name] = bet(*counted, terms, self.wealth.get(name))
            yield f"bets {name}", evidence >= alarm.threshold


def _burns(sums: Integers, window: int, burn: float) -> npt.NDArray[np.bool_]:
    """Of the minutes after the first ones: whether more than so many times the budget was spent over the window before each."""
    bad, events = sums[:, LONGEST + 1 :] - sums[:, LONGEST + 1 - window : sums.shape[1] - window]
    burns: npt.NDArray[np.bool_] = bad > burn * BUDGET * events
    return burns


def minutes(kind: str, rate: float, rng: np.random.Generator, clock: Integers) -> tuple[Integers, Integers]:
    """Bad events and all, by minute and month."""
    traffic, together = KINDS[kind]
    events = traffic(rng, clock)
    return np.where(rng.random(events.shape) < rate, events, 0) if together else rng.binomial(events, rate), events


class Found(NamedTuple):
    """False alarms by way and severity, and minutes until a page by way and burn (infinite: none within two days)."""

    kind: str
    months: int
    false: dict[str, int]
    after: dict[tuple[str, float], Floats]


def simulated(kind: str, months: int, seed: int) -> Found:
    """All months of one kind."""
    rng = np.random.default_rng([seed, list(KINDS).index(kind)])
    phase, watch = rng.integers(0, DAY, months), Watch(months)
    last: dict[str, Integers] = {}
    false: dict[str, int] = {}
    for begin in range(0, MONTH, BLOCK):
        clock = phase + np.arange(begin, begin + BLOCK)[:, None]
        for way, fires in watch.note(*minutes(kind, BUDGET, rng, clock)):
            before = last.setdefault(way, np.full(months, -SAME - 1))
            for at in np.flatnonzero(fires.any(axis=1)):
                false[way] = false.get(way, 0) + int((fires[at] & (begin + at - before > SAME)).sum())
                before[fires[at]] = begin + at
    after: dict[tuple[str, float], Floats] = {}
    for burn in BURNS:
        own = deepcopy(watch)
        firsts = {way: np.full(months, np.inf) for way in ("windows page", "bets page")}
        for begin in range(0, AFTER, BLOCK):
            clock = phase + np.arange(MONTH + begin, MONTH + begin + BLOCK)[:, None]
            for way, fires in own.note(*minutes(kind, min(1.0, burn * BUDGET), rng, clock)):
                if way in firsts:
                    found = np.where(fires.any(axis=0), begin + 1 + fires.argmax(axis=0), np.inf)
                    firsts[way] = np.minimum(firsts[way], found)
        after |= {(way, burn): first for way, first in firsts.items()}
    return Found(kind, months, false, after)


def told(minutes_: float) -> str:
    """A duration, short.

    >>> told(7), told(90), told(float("inf"))
    ('7 min', '1.5 h', '> 2 d')
    """
    if np.isinf(minutes_):
        return "> 2 d"
    if minutes_ > AFTER:
        return f"{minutes_ / DAY:.3g} d"
    return f"{minutes_:.0f} min" if minutes_ < 60 else f"{minutes_ / 60:.3g} h"


def table(found: list[Found]) -> Iterator[str]:
    """False alarms, then how soon true ones come: half of them, and nine in ten."""
    yield "| traffic | false pages in ten years: windows | bets | false tickets in a year: windows | bets |"
    yield "|---|---:|---:|---:|---:|"
    for one in found:
        years = one.months * MONTH / DAY / 365.25
        cells = [f"{10 * one.false.get(f'{way} page', 0) / years:,.1f}" for way in ("windows", "bets")]
        cells += [f"{one.false.get(f'{way} ticket', 0) / years:,.1f}" for way in ("windows", "bets")]
        yield f"| {one.kind} | {' | '.join(cells)} |"
    yield ""
    heads = [f"{burn:g} times: {way}" for burn in BURNS for way in ("windows", "bets")]
    yield f"| page after (half, nine in ten) | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}"
    for one in found:
        firsts = [one.after[f"{way} page", burn] for burn in BURNS for way in ("windows", "bets")]
        quantiles = [np.quantile(first, (0.5, 0.9), method="higher") for first in firsts]
        yield f"| {one.kind} | {' | '.join(f'{told(half)}, {told(most)}' for half, most in quantiles)} |"


def calibration_shares(distance: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """What bears witness each minute (`counting`), of answers that say so much more than comes true; shape (minutes, months)."""
    shares, lean = np.empty(shape), np.zeros(shape[1])
    for minute in range(shape[0]):
        apart = SAID - (rng.random(shape[1]) < SAID - distance)
        shares[minute] = (1 + np.sign(lean) * apart) / 2
        lean = FORGETS * lean + apart
    return shares


def quiet_shares(alerted: float, shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Of each day the share of homes of which an alert opened; shape (days, runs)."""
    return rng.binomial(HOMES, alerted, shape) / HOMES


OTHERS: Final = {  # what makes shares, steps to look for false alarms, runs, steps in a day
    "calibration": (calibration_shares, MONTH, 250, DAY),
    "quiet": (quiet_shares, 3_652, 1_000, 1),
}


def table_of_others(seed: int) -> Iterator[str]:
    """False alarms and detection, as `table` has them, of objectives with a bet of their own kind."""
    after = "3 times: ticket after | 6 times: page after | 10 times: page after"
    yield f"| objective | false pages in ten years | false tickets in a year | {after} |"
    yield "|---|---:|---:|---:|---:|---:|"
    page, ticket = ALARMS
    for name, (draw, steps, runs, a_day) in OTHERS.items():
        aim, rng = getattr(Objectives(), name), np.random.default_rng([seed, *name.encode()])
        allowed, false = draw(1 - aim.objective, (steps, runs), rng), []
        for alarm in ALARMS:
            evidence, _ = bet(allowed, np.ones_like(allowed), alarm.terms(name, aim))
            years = steps * runs / a_day / 365.25
            false.append(float((evidence >= alarm.terms(name, aim)[1]).sum()) / years * (10 if alarm is page else 1))
        cells = [f"{count:,.1f}" for count in false]
        for times, alarm in ((3, ticket), (6, page), (10, page)):
            burning = draw(times * (1 - aim.objective), (min(steps, 28 * a_day), runs), rng)
            evidence, _ = bet(burning, np.ones_like(burning), alarm.terms(name, aim))
            fires = evidence >= alarm.terms(name, aim)[1]
            first = np.where(fires.any(axis=0), (fires.argmax(axis=0) + 1) * DAY / a_day, np.inf)
            half, most = np.quantile(first, (0.5, 0.9), method="higher")
            cells.append(f"{told(half)}, {told(most)}")
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m bench.slo", description=(__doc__ or "").splitlines()[0])
    cli.add_argument("--months", type=int, default=10_000, help="in all, a quarter of each kind (default: %(default)s)")
    cli.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    args = cli.parse_args()
    each = max(1, args.months // len(KINDS))
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(simulated, KINDS, [each] * len(KINDS), [args.seed] * len(KINDS)))
    print("\n".join([*table(found), "", *table_of_others(args.seed)]))


if __name__ == "__main__":
    main()
