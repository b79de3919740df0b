"""`python -m bench.backtests`: what policies side by side, and a long replay, take of time and memory.

    python -m bench.backtests [--homes 1000] [--events 600000] [--long 1000000] [--jobs 2] [--seed 0] [--keep DIR]

`kithkin compare` of four policies over a town (bench/town.py), whose answers all differ, by so many processes; and `kithkin
replay` of a longer log, in one process. Times are of the whole commands, as one who types them waits; the log is made before, and
with `--keep` it is found there the next time. Resident is the most that one process of the command had at once. Asked are 5
minutes on two cores, and 1 GB.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from ..town import write_town

__all__: list[str] = []

POLICIES: Final = {
    "today": "",
    "stricter": "[tiers]\nprivate = 0.996\n",
    "warier": "[priors]\nguest_share = 0.1\n",
    "nearer": "[phones]\nslope_per_db = 0.08\n",
}


class Took(NamedTuple):
    """Of a command: seconds on the clock and of CPU, MiB resident at most of one process, and what it printed."""

    seconds: float
    cpu_s: float
    resident_mib: float
    printed: str


def took(*words: str | Path) -> Took:
    """Run `kithkin` with these words; ends this process where it fails."""
    command = [sys.executable, "-m", "stream.cli", *map(str, words)]
    with tempfile.TemporaryFile("w+") as printed:
        began_s = time.monotonic()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        if process.returncode:
            sys.exit(f"kithkin {words[0]} ended with {process.returncode}")
        return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, printed.read())


def town(folder: Path, homes: int, events: int, seed: int) -> Path:
    """The log of a town, made once."""
    path = folder / f"town-{homes}-{events}-{seed}.jsonl"
    if not path.is_file():
        print(f"making {path.name}", file=sys.stderr, flush=True)
        draft = path.with_suffix(".part")
        write_town(draft, homes, events, seed)
        draft.replace(path)
    return path


def compared(folder: Path, log: Path, jobs: int) -> str:
    """Four policies, as a line of the table."""
    paths = []
    for name, text in POLICIES.items():
        paths.append(folder / f"{name}.toml")
        paths[-1].write_text(text)
    one = took("compare", *paths, log, "--jobs", str(jobs), "--json")
    told = json.loads(one.printed)
    assert not any(policy["same_answers_as"] for policy in told["policies"]), "the policies are to answer otherwise"
    what = f"`kithkin compare` of {len(paths)} policies, {told['records']:,} records of {told['homes']:,} homes, --jobs {jobs}"
    return row(what, one, len(paths) * told["records"])


def replayed(folder: Path, log: Path) -> str:
    """One long replay, as a line of the table."""
    one = took("replay", log, "--out", folder / "out", "--fresh", "--json")
    records = json.loads(one.printed)["records"]
    return row(f"`kithkin replay` of {records:,} records", one, records)


def row(what: str, one: Took, steps: int) -> str:
    each_us = 1e6 * one.cpu_s / steps
    return f"| {what} | {one.seconds:,.0f} | {one.cpu_s:,.0f} | {each_us:,.0f} | {one.resident_mib:,.0f} |"


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m bench.backtests", description=(__doc__ or "").splitlines()[0])
    cli.add_argument("--homes", type=int, default=1_000)
    cli.add_argument("--events", type=int, default=600_000, help="recognitions that are compared over (default: %(default)s)")
    cli.add_argument("--long", type=int, default=1_000_000, help="recognitions of the replay; 0: none (default: %(default)s)")
    cli.add_argument("--jobs", type=int, default=2)
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--keep", type=Path, metavar="DIR", help="where logs and outputs stay; else they are taken away")
    args = cli.parse_args()
    with tempfile.TemporaryDirectory(prefix="kithkin-bench-") as temporary:
        folder = args.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        lines = ["| | seconds | CPU s | µs of CPU a record and policy | MiB resident |", "| --- | ---: | ---: | ---: | ---: |"]
        lines.append(compared(folder, town(folder, args.homes, args.events, args.seed), args.jobs))
        if args.long:
            lines.append(replayed(folder, town(folder, args.homes, args.long, args.seed)))
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
