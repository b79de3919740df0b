"""Drift in whole homes, through the very core: `python -m bench.drift_homes [--seeds 0,1] [--without CONDITION | --own HOMES]`.

On real voices (`change` and `steady` of ../shared/tools/world.py): how many homes with another microphone are found and how
soon, whether the cause is named rightly, false alarms in home-years without change, and what adapting does to answers. Packs are
fitted on other people, and without the new microphone's channel unless --without says otherwise.

With --own: homes of synthetic people (tests/support/changing_homes.py) in which one person, device, phone, source of feedback or
firmware changes; the cause named against the true one, with attribution by other sensors and by the answer itself.
"""

import argparse
import json
import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is imported

import numpy as np

from stream.brokers.log_files import LogReader
from stream.contract.codec import decode
from stream.contract.policy import Policy
from stream.contract.records import GUEST, Event, InvalidRecord, Record
from stream.home.state.household import Household
from stream.home.step import step
from tests.support.changing_homes import CAUSES, Plan, home_records

from .quality.people import FAR
from .quality.trials import Settings, policy_for
from .quality.worlds import Trial, world_of

__all__ = ["Heard", "main", "play"]

EVENTS_A_YEAR: Final = 7_300
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", "/tmp")) / "kithkin-quality"


class Heard(NamedTuple):
    """One alarm or decision of a home: after how many of its events, the kind named, and whether it was a decision."""

    home: str
    event: int
    kind: str
    decided: bool


class Played(NamedTuple):
    """What came of a log: alarms and decisions, times of each home's events, and who each answer says it was first."""

    heard: list[Heard]
    times: dict[str, list[int]]
    answers: dict[tuple[str, str], str]


def play(records: Iterable[Record], policy: Policy) -> Played:
    """Run the core over records in their order."""
    homes: dict[str, Household] = {}
    played = Played([], {}, {})
    for record in records:
        try:
            event = decode(record, policy)
        except InvalidRecord:
            continue
        name = event.value.household_id
        if record.topic == "recognitions":
            played.times.setdefault(name, []).append(event.value.at)
        home = homes.get(name) or homes.setdefault(name, Household.new(name))
        for output in step(home, Event(*event), policy).outputs:
            value: Any = output.value
            if output.topic == "drift-signals" and (getattr(value, "evidence", None) or getattr(value, "adapted", None)):
                played.heard.append(Heard(name, len(played.times[name]), value.kind, value.adapted is not None))
            elif output.topic == "identities" and value.revision == 0:
                members = {person: p for person, p in value.posterior.items() if person != GUEST}
                played.answers[name, value.event_id] = max(members, key=members.__getitem__, default=GUEST)
    return played


class Outcome(NamedTuple):
    """Of one world: calm home-years, alarms in them, events to the first alarm of homes that changed, causes, answers right."""

    years: float
    false_alarms: list[Heard]
    delays: list[float]
    causes: Counter[str]
    right: dict[int, list[bool]]  # members' answers by phase


def judged(world: Path, policy: Policy) -> Outcome:
    """Play a world, and compare with the truth beside it."""
    played = play(LogReader([str(world / "log.jsonl")]), policy)
    homes = json.loads((world / "world.json").read_text())["households"]
    onsets = {name: home["onset"] for name, home in homes.items() if home.get("onset")}
    calm = {name: sum(at < onsets.get(name, np.inf) for at in times) for name, times in played.times.items()}
    late = [h for h in played.heard if h.event > calm[h.home]]
    delays, causes = [], Counter[str]()
    for name in onsets:
        own = [h for h in late if h.home == name]
        delays.append(own[0].event - calm[name] if own else np.inf)
        causes[next((h.kind for h in own if h.decided), "–")] += 1
    right: dict[int, list[bool]] = {}
    for line in (world / "truth.jsonl").open():
        truth = json.loads(line)
        if truth["person_id"] != GUEST:
            answer = played.answers[truth["household_id"], truth["event_id"]]
            right.setdefault(truth["phase"], []).append(answer == truth["person_id"])
    early = [h for h in played.heard if h.event <= calm[h.home] and not h.decided]
    return Outcome(sum(calm.values()) / EVENTS_A_YEAR, early, delays, causes, right)


def worlds_of(scenario: str, args: argparse.Namespace, *overrides: str) -> Iterator[Outcome]:
    """Each seed twice, with either half of the people judged."""
    with tempfile.TemporaryDirectory(prefix="kithkin-drift-packs-") as packs:
        settings = Settings(CACHE, Path(packs), overrides, args.without)
        for seed in map(int, args.seeds.split(",")):
            for half in (0, 1):
                trial = Trial(scenario, seed, half, args.households)
                yield judged(world_of(trial, CACHE), policy_for(trial.side, settings))


def summary(scenario: str, outcomes: list[Outcome]) -> str:
    """A row of the table of real voices."""
    years, kinds = sum(o.years for o in outcomes), Counter(alarm.kind for o in outcomes for alarm in o.false_alarms)
    alarms = str(kinds.total()) + (f" ({', '.join(f'{n} {kind}' for kind, n in kinds.most_common())})" if kinds else "")
    delays = np.sort([delay for o in outcomes for delay in o.delays])
    causes = sum([o.causes for o in outcomes], Counter[str]())
    found = "–"
    if len(delays):
        median, most = np.quantile(delays, 0.5), np.quantile(delays, 0.9)
        found = f"{len(delays)} | {median:.0f} / {most:.0f} | {np.mean(delays <= 20):.0%} | {np.mean(np.isfinite(delays)):.0%}"
        found += f" | {causes['device'] / len(delays):.0%}"
    return f"| {scenario} | {years:.1f} | {alarms} | {found} |"


def top1(outcomes: list[Outcome]) -> str:
    """Members' answers that are right, in percent: all, and of the last phase."""
    last = [right for o in outcomes for right in o.right[max(o.right)]]
    everything = [right for o in outcomes for phase in o.right.values() for right in phase]
    return f"{100 * np.mean(everything):.2f} | {100 * np.mean(last):.2f}"


def real(args: argparse.Namespace, say: Callable[[str], None]) -> None:
    say("| world | calm home-years | false alarms | homes changed | delay, median / 90 % | within 20 | found | cause right |")
    say("|---|---:|---:|---:|---:|---:|---:|---:|")
    found = {scenario: list(worlds_of(scenario, args)) for scenario in ("change", "steady")}
    for scenario, outcomes in found.items():
        say(summary(scenario, outcomes))
    say("\n| world | adapting: top-1 | last phase | not adapting: top-1 | last phase |\n|---|---:|---:|---:|---:|")
    for scenario in ("change", "steady", "guests"):
        with_it = found.get(scenario) or list(worlds_of(scenario, args))
        without = list(worlds_of(scenario, args, "drift.adapting=false"))
        say(f"| {scenario} | {top1(with_it)} | {top1(without)} |")


def own(homes: int, say: Callable[[str], None]) -> None:
    kinds = ("person", "device", "encoder", "phone", "feedback", "habit", "unknown_voices", "unknown", "–")
    for attribution in ("others", "own"):
        policy = Policy.model_validate({"drift": {"attribution": attribution}})
        say(f"\n| changed, attribution by {attribution} | " + " | ".join(kinds) + " |\n|---|" + "---:|" * len(kinds))
        for number, cause in enumerate(("", *CAUSES)):
            named: Counter[str] = Counter()
            for home in range(homes):
                heard = play(home_records(Plan(1000 * number + home, cause, seed=1)), policy).heard
                named[next((h.kind for h in heard if h.decided), "–")] += 1
            say(f"| {cause or 'nothing'} | " + " | ".join(str(named[kind] or "") for kind in kinds) + " |")


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m bench.drift_homes", description="Drift in whole homes, through the very core.")
    cli.add_argument("--seeds", default="0,1,2,3,4", help="comma list of the worlds' seeds (default: %(default)s)")
    cli.add_argument("--households", type=int, default=40, help="homes of a world (default: %(default)s)")
    without = "fit the packs without it (default: the far field; empty: with all)"
    cli.add_argument("--without", default=FAR, metavar="CONDITION", help=without)
    cli.add_argument("--own", type=int, default=0, metavar="HOMES", help="homes of synthetic people for each cause, instead")
    args = cli.parse_args()

    def say(text: str) -> None:
        print(text, flush=True)

    if args.own:
        own(args.own, say)
    else:
        real(args, say)


if __name__ == "__main__":
    main()
