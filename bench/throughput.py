"""How fast a worker is and where the time goes: µs and u an event by part, on a world of guests and on a synthetic town.

    python -m bench [--load guests town] [--households N] [--events N] [--seed 0] [--runs 3] [--markdown FILE]
    python -m bench --against REV     the same of another revision, run by turns with this one, and ratios
    python -m bench --flame FILE      where the CPU time goes, as collapsed stacks (flamegraph.pl, speedscope)

One u is one iteration of `x += i * i` in a plain function, timed in the same run. The guests' world is made by tools/world.py
of the shared folder (KITHKIN_SHARED), and left out where that is not; `--load flood` is the load that peers are measured with.
Every figure is that of the fastest of the runs: what else the machine does can only make a run slower. Another revision compiles
its kernels first.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from .flood import write_flood
from .quality.tools import SHARED
from .town import write_town

__all__ = ["checked_out", "main"]

ROOT: Final = Path(__file__).resolve().parents[1]
STAGES: Final = ROOT / "bench" / "stages.py"
PARTS: Final = {  # as `stages` calls them -> as the table does
    "read": "read the log",
    "decode": "decode and check records",
    "load": "load homes (`decode_home`)",
    "prepare": "number words, project vectors",
    "apply": "decide and learn (`apply`, compiled)",
    "state": "statements: who joins, leaves, has a phone",
    "step": "the rest of the step",
    "encode": "encode outputs",
    "save": "encode homes (`encode_home`)",
    "store": "ask and fill the store",
    "publish": "write outputs",
    "rest": "all else",
}
GUESTS_HOUSEHOLDS: Final = 30


class Load(NamedTuple):
    """A log to be measured with."""

    name: str
    log: Path
    records: int


# ---- loads


def write_guests(path: Path, households: int, seed: int) -> int:
    """The log of a world of recorded people with many guests; the number of its records."""
    with tempfile.TemporaryDirectory() as temporary:
        sizes = ["--data", SHARED / "data", "--seed", seed, "--households", households]
        command = [sys.executable, SHARED / "tools" / "world.py", "guests", Path(temporary) / "world", *sizes]
        subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        raw = (Path(temporary) / "world" / "log.jsonl").read_bytes()
    path.write_bytes(raw)
    return raw.count(b"\n")


def written(name: str, folder: Path, args: argparse.Namespace) -> Load:
    """Write one load's log."""
    log = folder / f"{name}.jsonl"
    if name == "guests":
        return Load(name, log, write_guests(log, args.households or GUESTS_HOUSEHOLDS, args.seed))
    write = {"town": write_town, "flood": write_flood}[name]
    return Load(name, log, write(log, args.households or 1_000, args.events, args.seed))


# ---- runs


def staged(load: Load, tree: Path, *more: str | Path) -> dict[str, Any]:
    """What `stages` measures of the program in a tree, in a process of its own; what it wrote, of a flame graph nothing."""
    environment = os.environ | {"PYTHONPATH": str(tree), "OPENBLAS_NUM_THREADS": "1"}
    command = list(map(str, (sys.executable, "-P", STAGES, load.log, *more)))
    done = subprocess.run(command, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"The program in {tree} could not be measured:\n{done.stderr[-2_000:]}")
    found: dict[str, Any] = json.loads(done.stdout) if done.stdout else {}
    assert not found or Path(found["stream"]).parent == tree, f"{found['stream']} was measured, which is not of {tree}"
    return found


def checked_out(revision: str) -> Path:
    """A folder with the program of another revision, kept with its compiled kernels for the next time."""

    def git(*words: str) -> bytes:
        done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True)
        if done.returncode:
            sys.exit(f"git {' '.join(words)}: {done.stderr.decode().strip()}")
        return done.stdout

    commit = git("rev-parse", "--verify", f"{revision}^{{commit}}").decode().strip()
    tree = Path(tempfile.gettempdir()).resolve() / "kithkin-bench" / commit[:12]
    if not tree.exists():
        tree.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tree.parent) as temporary:
            files = git("archive", "--format=tar", commit)
            subprocess.run(["tar", "-x", "-C", temporary], input=files, check=True)
            os.rename(temporary, tree)
            os.mkdir(temporary)  # which is taken away
    return tree


def fastest(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The run that took least, in u; of kinds of events each the least of any."""
    best = min(runs, key=lambda run: sum(run["parts"].values()) / run["u_ns"])
    of_kind = {name: min((run["kinds"][name][1], run["kinds"][name][0]) for run in runs) for name in best["kinds"]}
    return best | {"kinds": of_kind}


def commanded(log: Path, folder: Path, store: str) -> float:
    """Events a second of the command `kithkin replay` with that store, as its summary says."""
    command = [Path(sys.executable).with_name("kithkin"), "replay", log, "--out", folder / f"out-{store[:6]}", "--store", store]
    done = subprocess.run([*command, "--fresh"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    speed = re.search(r"([\d,]+) +events/s", done.stdout)
    if done.returncode or not speed:
        sys.exit(f"kithkin replay ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return float(speed[1].replace(",", ""))


# ---- the table


def rows(load: Load, here: dict[str, Any], there: dict[str, Any] | None, revision: str) -> Iterator[list[str]]:
    """A row for each part: µs and u an event, here and there, and how many times as long it takes here as there."""
    runs = [here] if there is None else [here, there]
    homes = here["homes"]
    yield [f"{load.name}: {load.records:,} records, {homes['homes']:,} homes", "µs an event", "u an event"] + (
        [f"µs of {revision}", "u", "ratio"] if there else []
    )
    named = [(called, [run["parts"].get(part) for run in runs], load.records) for part, called in PARTS.items()]
    named.append(("**in all**", [sum(run["parts"].values()) for run in runs], load.records))
    for called, seconds, count in named:
        if any(s is not None for s in seconds):
            yield [called, *_cells(seconds, [run["u_ns"] for run in runs], count)]
    for kind, (s, count) in here["kinds"].items():
        other = [there["kinds"].get(kind, (None,))[0]] if there else []
        yield [f"`apply`, of each {kind} ({count:,})", *_cells([s, *other], [run["u_ns"] for run in runs], count)]
    for name in ("decode", "encode"):
        seconds = [run["homes"][f"{name}_us"] / 1e6 for run in runs]
        yield [f"`{name}_home`, of each home", *_cells(seconds, [run["u_ns"] for run in runs], 1)]


def _cells(seconds: list[float | None], u_ns: list[float], count: int) -> Iterator[str]:
    """µs and u of one for each run, and of two the ratio in u; what was not measured is a dash."""
    us = [None if s is None else max(0.0, 1e6 * s / count) for s in seconds]
    u = [None if one is None else 1e3 * one / ns for one, ns in zip(us, u_ns, strict=True)]
    for one, own in zip(us, u, strict=True):
        yield "–" if one is None else f"{one:,.1f}"
        yield "–" if own is None else f"{own:,.0f}"
    if len(u) == 2:
        yield f"{u[0] / u[1]:.2f}" if u[0] is not None and u[1] else "–"


def table(lines: Iterator[list[str]]) -> str:
    """As Markdown: the first line is the head."""
    head, *others = lines
    lined = [head, ["---", *("---:" for _ in head[1:])], *others]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lined)


def measured(load: Load, folder: Path, args: argparse.Namespace) -> str:
    """What is told of one load."""
    trees = [ROOT] + ([checked_out(args.against)] if args.against else [])
    runs: list[list[dict[str, Any]]] = [[] for _ in trees]
    for _ in range(args.runs):
        for tree, own in zip(trees, runs, strict=True):
            own.append(staged(load, tree))
    here, *others = map(fastest, runs)
    homes = here["homes"]
    text = table(rows(load, here, others[0] if others else None, args.against))
    text += f"\n1 u is {here['u_ns']:.0f} ns here"
    text += f", {others[0]['u_ns']:.0f} ns in the runs of {args.against}" if others else ""
    mean = homes["bytes"] / homes["people"]
    text += f". At rest a person has {mean:,.0f} bytes, in the heaviest home {homes['heaviest']:,.0f}.\n"
    if args.command:
        speeds = {store: commanded(load.log, folder, store) for store in ("memory:", str(folder / f"{load.name}.db"))}
        told = " and ".join(f"{s:,.0f} with {'memory' if at == 'memory:' else 'SQLite'}" for at, s in speeds.items())
        text += f"`kithkin replay`: {told} events/s.\n"
    return text


def main() -> None:
    loads = ("guests", "town", "flood")
    usual = loads[:2] if (SHARED / "tools" / "world.py").is_file() else loads[1:2]
    cli = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").splitlines()[0])
    cli.add_argument("--load", nargs="+", choices=loads, default=usual, help="what logs hold (default: guests and town)")
    cli.add_argument("--households", type=int, help="homes in the log (default: 30 of guests, else 1000)")
    cli.add_argument("--events", type=int, default=20_000, help="recognitions of a town (default: %(default)s)")
    cli.add_argument("--seed", type=int, default=0, help="seed of the log (default: %(default)s)")
    cli.add_argument("--runs", type=int, default=3, help="runs, of which the fastest counts (default: %(default)s)")
    cli.add_argument("--against", metavar="REV", default="", help="measure this revision too, by turns")
    cli.add_argument("--command", action="store_true", help="also how many events/s `kithkin replay` does as a command")
    cli.add_argument("--flame", type=Path, metavar="FILE", help="write collapsed stacks of a run of the last load")
    cli.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to this file")
    args = cli.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder, texts = Path(temporary), []
        for name in args.load:
            load = written(name, folder, args)
            if args.flame:
                staged(load, ROOT, "--flame", args.flame.absolute())
            else:
                texts.append(measured(load, folder, args))
                print(texts[-1], flush=True)
    if args.markdown:
        args.markdown.write_text("\n".join(texts))
