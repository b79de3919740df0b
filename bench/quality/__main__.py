"""How well it recognises people whom nobody has fitted on.

    python -m bench.quality --quick [SCENARIO …] [--seeds 0,1] [--households 30] [--set learning.x=y] [--against FILE]

Each seed splits the people of ../shared/data in two halves; each half in turn is judged, with packs fitted on the other.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

__all__: list[str] = []


def main() -> None:
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # of the processes to come: a thread each, for they share the cores
    args = _arguments()
    from .trials import Settings

    settings = Settings(args.cache, tuple(args.set), args.without)
    before = json.loads(args.against.read_text())["scenarios"] if args.against else {}
    from . import quick

    results: dict[str, Any] = {"settings": {"seeds": args.seeds, "households": args.households, "set": args.set}, "scenarios": {}}
    print(quick.HEAD)
    for scenario, found in _found(args, settings):
        results["scenarios"][scenario] = found
        print(quick.line(scenario, found), flush=True)
        if scenario in before:
            print(quick.difference(scenario, found["ours"], before[scenario]["ours"]), flush=True)
    if args.json:
        quick.write(results, args.json)


def _found(args: argparse.Namespace, settings: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    from .results import compared
    from .trials import Trial, run

    seeds = [int(seed) for seed in args.seeds.split(",")]
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        waiting = {
            scenario: [pool.submit(run, Trial(scenario, seed, half, args.households), settings) for seed in seeds for half in (0, 1)]
            for scenario in args.scenarios
        }
        for scenario, tasks in waiting.items():
            yield scenario, compared([task.result() for task in tasks])


def _arguments() -> argparse.Namespace:
    from .targets import SCENARIOS

    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    cli.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=f"of {', '.join(SCENARIOS)}; default: all")
    cli.add_argument("--quick", action="store_true", help="one line a scenario; nothing is written but what --json names")
    cli.add_argument("--seeds", default="0,1", help="comma list of the worlds' seeds (default: %(default)s)")
    cli.add_argument("--households", type=int, default=30, help="homes of a world (default: %(default)s)")
    cli.add_argument("--jobs", type=int, default=2, help="processes (default: %(default)s)")
    cli.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the policy, as TOML; repeatable")
    cli.add_argument("--without", default="", metavar="CONDITION", help="fit the packs without this recording condition")
    cli.add_argument("--json", type=Path, help="write all figures to this file")
    cli.add_argument("--against", type=Path, help="also show the difference to the figures of an earlier run's --json")
    cache = Path(os.environ.get("XDG_CACHE_HOME", tempfile.gettempdir())) / "kithkin-quality"
    cli.add_argument("--cache", type=Path, default=cache, help="where worlds are kept (default: %(default)s)")
    args = cli.parse_args()
    if unknown := set(args.scenarios) - set(SCENARIOS):
        sys.exit(f"there is no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    return args


if __name__ == "__main__":
    main()
