"""How well it recognises: every scenario of ../shared/tools/world.py through `kithkin replay`, scored beside `static`.

    python bench/worlds.py [SCENARIO …] [--seeds 0,1,2,3,4] [--households 100] [--jobs 2] [--keep DIR] [--markdown FILE]

Prints a row a world; fails (exit 1) where a recognition has not exactly one revision 0, overall top-1 is below that of
the static profile, or Cllr - minCllr is above CALIBRATION_LOSS_MAX. KITHKIN_SHARED names the folder with the tools and
the data (default: ../shared beside the project).
"""

import argparse
import collections
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

__all__ = ["SCENARIOS", "Result", "main", "run"]

SCENARIOS = ("cold", "guests", "guests50", "ageing", "micswap", "missing", "phone_left", "phones_swapped", "false_feedback",
             "poison", "newcomer", "faults", "steady")  # fmt: skip
CALIBRATION_LOSS_MAX = 0.10
SHARED = pathlib.Path(os.environ.get("KITHKIN_SHARED", pathlib.Path(__file__).resolve().parents[2] / "shared"))
COLUMNS = ("world", "seed", "top-1", "static", "last", "static", "worst 10th", "static", "IEER", "FNIR@5", "Cllr-min", "ECE",
           "tier 2: guests", "members", "covered", "labels right", "covered")  # fmt: skip


class Result(NamedTuple):
    """One world: its scores, those of the static profile, and what is wrong with it (nothing: an empty list)."""

    scenario: str
    seed: int
    ours: dict[str, Any]
    static: dict[str, Any]
    faults: list[str]

    def row(self) -> list[str]:
        """The row of the table."""
        a, b, tier = self.ours["groups"]["overall"], self.static["groups"]["overall"], self.ours["tiers"]["2"]
        labels = self.ours.get("labels", {})
        return [
            self.scenario, str(self.seed), f"{a['top1']:.1f}", f"{b['top1']:.1f}", f"{self.ours['last_phase_top1']:.1f}",
            f"{self.static['last_phase_top1']:.1f}", f"{a['top1_worst_tenth']:.1f}", f"{b['top1_worst_tenth']:.1f}",
            f"{a['ieer']:.1f}", f"{a['fnir_at_fpir_5']:.1f}", f"{a['cllr'] - a['min_cllr']:.3f}", f"{a['ece']:.3f}",
            f"{100 * tier['guest_error']:.2f} %", f"{100 * tier['member_error']:.2f} %", f"{100 * tier['coverage']:.0f} %",
            f"{100 * (labels.get('accuracy') or 0):.1f} %", f"{100 * labels.get('coverage', 0):.0f} %",
        ]  # fmt: skip


def call(*command: object) -> None:
    """Run a command; on failure show what it said."""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=environment, stdin=subprocess.DEVNULL)
    if done.returncode:
        said = f"{done.stdout[-2000:]}{done.stderr[-4000:]}"
        raise SystemExit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{said}")


def answered(out: pathlib.Path, world: pathlib.Path) -> list[str]:
    """What is wrong with the answers: every readable recognition has exactly one revision 0."""
    found: collections.Counter[str] = collections.Counter()
    with open(out / "identities.jsonl") as answers, open(world / "truth.jsonl") as truths:
        for line in answers:
            value = json.loads(line)["value"]
            found[value["event_id"]] += value["revision"] == 0
        wanted = {json.loads(line)["event_id"] for line in truths}
    faults = []
    if missing := wanted - found.keys():
        faults.append(f"{len(missing)} recognitions unanswered, e.g. {min(missing)}")
    if twice := [event for event, n in found.items() if n != 1]:
        faults.append(f"{len(twice)} recognitions with other than one revision 0, e.g. {min(twice)}")
    return faults


def run(scenario: str, seed: int, households: int, folder: pathlib.Path) -> Result:
    """Make a world, replay it, score it and the static profile."""
    world, tools = folder / f"{scenario}-{seed}", SHARED / "tools"
    kithkin = pathlib.Path(sys.executable).with_name("kithkin")
    sizes = ("--seed", seed, "--households", households)
    call(sys.executable, tools / "world.py", scenario, world, "--data", SHARED / "data", *sizes)
    call(kithkin, "replay", world / "log.jsonl", "--out", world / "ours")
    call(sys.executable, tools / "baselines.py", "static", world, world / "static")
    scores = []
    for who in ("ours", "static"):
        call(sys.executable, tools / "score.py", world, world / who, "--json", world / f"{who}.json")
        scores.append(json.loads((world / f"{who}.json").read_text()))
    ours, static = scores
    faults = answered(world / "ours", world)
    a, b = ours["groups"]["overall"], static["groups"]["overall"]
    if a["top1"] < b["top1"]:
        faults.append(f"top-1 {a['top1']:.2f} is below the static profile's {b['top1']:.2f}")
    if a["cllr"] - a["min_cllr"] > CALIBRATION_LOSS_MAX:
        faults.append(f"Cllr - minCllr {a['cllr'] - a['min_cllr']:.3f} is above {CALIBRATION_LOSS_MAX}")
    return Result(scenario, seed, ours, static, faults)


def main() -> None:
    cli = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cli.add_argument("scenarios", nargs="*", default=list(SCENARIOS), help=f"of {', '.join(SCENARIOS)}; default: all")
    cli.add_argument("--seeds", default="0,1,2,3,4", help="comma list of the worlds' seeds (default: %(default)s)")
    cli.add_argument("--households", type=int, default=100, help="homes of a world (default: %(default)s)")
    cli.add_argument("--jobs", type=int, default=2, help="worlds at a time (default: %(default)s)")
    cli.add_argument("--keep", type=pathlib.Path, help="leave worlds and outputs in this folder")
    cli.add_argument("--markdown", type=pathlib.Path, help="also write the table to this file")
    args = cli.parse_args()
    if not (SHARED / "tools" / "world.py").is_file():
        sys.exit("The worlds are made by tools/world.py of the shared folder, which is not here: set KITHKIN_SHARED to it.")
    table = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    print("\n".join(table), flush=True)
    bad = 0
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(args.jobs) as pool:
        folder = args.keep or pathlib.Path(temporary)
        worlds = [(scenario, int(seed)) for scenario in args.scenarios for seed in args.seeds.split(",")]
        tasks = [pool.submit(run, scenario, seed, args.households, folder) for scenario, seed in worlds]
        for task in tasks:
            result = task.result()
            table.append("| " + " | ".join(result.row()) + " |")
            print(table[-1], flush=True)
            for fault in result.faults:
                bad += 1
                print(f"FAULT {result.scenario} seed {result.seed}: {fault}", flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(table) + "\n")
    print(f"{len(table) - 2} worlds, {bad} faults")
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
