"""The command `python -m bench.quality`: how well it recognises people whom nobody has fitted on.

    python -m bench.quality                                      everything, into docs/quality.md and docs/quality/
    python -m bench.quality --quick [SCENARIO …] [--seeds 0,1] [--set learning.x=y] [--json FILE] [--against FILE]
    python -m bench.quality --ablate [--json FILE]               what each part is worth

Each seed splits the people of ../shared/data in two halves; each half in turn is judged, with packs fitted on the other.
KITHKIN_SHARED names the folder with the tools and the data (default: ../shared beside the project).
"""

import argparse
import json
import os
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.settings import policy_of

from . import quick
from .hard_worlds import HARD
from .page import page, with_summary
from .people import RECORDINGS, VOICES
from .plan import Plan, trials_of
from .plots import det_plot, reliability_plot
from .results import compared
from .targets import SCENARIOS
from .trials import Settings, merged, run
from .whole import ablation_table, rounded, whole

__all__ = ["main", "write_docs"]

PACKS_OF = {"half": "of the other half of them and of all other corpora", "strangers": "without that corpus"}
DOCS = Path(__file__).resolve().parents[2] / "docs"


def _setting(line: str) -> str:
    """A line of TOML that a policy takes."""
    try:
        policy_of(merged(Policy().model_dump(), tomllib.loads(line)), "--set")
    except (tomllib.TOMLDecodeError, ConfigError) as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return line


def main() -> None:
    args = _arguments()
    with tempfile.TemporaryDirectory(prefix="kithkin-quality-packs-") as packs:
        results = _measure(args, Settings(args.cache, Path(packs), tuple(args.set), args.without))
    if args.json:
        args.json.write_text(json.dumps(rounded(results), indent=1) + "\n")


def _measure(args: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    plan = Plan(settings, jobs=args.jobs)
    plan = plan.smaller if args.quick or args.ablate else plan
    plan = replace(plan, seeds=args.seeds or plan.seeds, households=args.households or plan.households)
    if args.quick:
        return _quick(plan, args)
    if args.ablate:
        return _ablate(plan)
    results = whole(plan, _stopwatch())
    write_docs(results, args.docs)
    return results


def _quick(plan: Plan, args: argparse.Namespace) -> dict[str, Any]:
    before = json.loads(args.against.read_text())["scenarios"] if args.against else {}
    found: dict[str, Any] = {}
    with ProcessPoolExecutor(plan.jobs, get_context("spawn")) as pool:
        for voices, packs in product(args.voices, args.packs):
            print(f"\nvoices of {voices}, packs {PACKS_OF[packs]}\n{quick.HEAD}")
            settings = replace(plan.settings, strangers=packs == "strangers")
            trials = {scenario: trials_of(scenario, replace(plan, voices=voices)) for scenario in args.scenarios}
            started = {scenario: [pool.submit(run, trial, settings) for trial in some] for scenario, some in trials.items()}
            for scenario, tasks in started.items():
                name = quick.key(scenario, voices, packs)
                found[name] = compared([task.result() for task in tasks])
                print(quick.line(scenario, found[name]), flush=True)
                if name in before:
                    print(quick.difference(found[name], before[name]), flush=True)
    return {"seeds": list(plan.seeds), "households": plan.households, "set": args.set, "scenarios": found}


def _ablate(plan: Plan) -> dict[str, Any]:
    with ProcessPoolExecutor(plan.jobs, get_context("spawn")) as pool:
        table = ablation_table(pool, plan, _stopwatch())
    for part, scenarios in table.items():
        print(part)
        for scenario, figures in scenarios.items():
            cells = [f"{name} {d:+.3f} ({low:+.3f} to {high:+.3f})" for name, (d, low, high) in figures.items()]
            print(f"  {scenario:15s}", *cells, sep="  ")
    return table


def write_docs(results: dict[str, Any], docs: Path) -> None:
    """Write the page, its plots, the figures that they tell, and the table of the README above the folder."""
    folder = docs / "quality"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, ensure_ascii=False, separators=(",", ":")) + "\n", "utf-8")
    (folder / "det.svg").write_text(det_plot(results["worlds"]), "utf-8")
    (folder / "reliability.svg").write_text(reliability_plot(results["worlds"]), "utf-8")
    (docs / "quality.md").write_text(page(results), "utf-8")
    readme = docs.parent / "README.md"
    if readme.exists():
        readme.write_text(with_summary(readme.read_text("utf-8"), results["worlds"]), "utf-8")


def _stopwatch() -> Any:
    """Says what is done, and how many seconds it is since the beginning."""
    began = time.monotonic()
    return lambda what: print(f"{time.monotonic() - began:6.0f} s  {what}", file=sys.stderr, flush=True)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _arguments() -> argparse.Namespace:
    about = "How well people are recognised whom nobody has fitted on."
    cli = argparse.ArgumentParser(prog="python -m bench.quality", description=about)
    cli.add_argument("scenarios", nargs="*", help=f"of {', '.join(SCENARIOS)}; default: all; only with --quick")
    kind = cli.add_mutually_exclusive_group()
    kind.add_argument("--quick", action="store_true", help="one line a scenario; two seeds, 30 homes")
    kind.add_argument("--ablate", action="store_true", help="only what each part is worth")
    cli.add_argument("--seeds", type=_numbers, help="comma list of the worlds' seeds (default: 0,1,2,3,4; quick and ablate: 0,1)")
    cli.add_argument("--households", type=int, help="homes of a world (default: 40; quick and ablate: 30)")
    cli.add_argument("--voices", type=_words, default=("an4",), help="with --quick: comma list of corpora of voices, such as "
                     f"{','.join(VOICES)} (default: an4)")  # fmt: skip
    cli.add_argument("--packs", type=_words, default=("half",), help="with --quick: half, strangers, or both with a comma: "
                     "fitted on the other half of the judged corpus too, or on nothing of it (default: half)")  # fmt: skip
    cli.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    cli.add_argument(
        "--set", type=_setting, action="append", default=[], metavar="KEY=VALUE", help="of the policy, as TOML; may be repeated"
    )
    cli.add_argument("--without", default="", metavar="CONDITION", help="fit the packs without this recording condition")
    cli.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to this file")
    cli.add_argument("--against", type=Path, metavar="FILE", help="with --quick: the difference to an earlier --json")
    cache = Path(os.environ.get("XDG_CACHE_HOME", tempfile.gettempdir())) / "kithkin-quality"
    cli.add_argument("--cache", type=Path, default=cache, help="where worlds are kept (default: %(default)s)")
    cli.add_argument("--docs", type=Path, default=DOCS, help="where the page is written (default: the project's)")
    args = cli.parse_args()
    corpora = {name.removeprefix("voice_").removesuffix(".npz") for name in RECORDINGS if name.startswith("voice_")}
    for what, given, known in (
        ("scenario", args.scenarios, (*SCENARIOS, *HARD)), ("corpus of voices", args.voices, sorted(corpora)),
        ("kind of packs", args.packs, tuple(PACKS_OF)),
    ):  # fmt: skip
        if unknown := set(given) - set(known):
            cli.error(f"there is no {what} {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if args.scenarios and not args.quick:
        cli.error("scenarios are chosen with --quick; the page tells of all")
    if (args.set or args.without) and not (args.quick or args.ablate):
        cli.error("--set and --without go with --quick or --ablate; the page tells of what is shipped")
    args.scenarios = args.scenarios or SCENARIOS
    return args
