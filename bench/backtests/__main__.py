"""`python -m bench.backtests`: what policies side by side, and a long replay, take of time and memory.

    python -m bench.backtests [--homes 1000] [--events 600000] [--long 1000000] [--jobs 2] [--seed 0] [--keep DIR]

`kithkin compare` of four policies over a town (bench/town.py), all of whose answers differ, on all cores; and `kithkin replay`
of a longer log, in one process. Times are of the whole commands, as one who types them waits. The log is made before, once, and
found again the next time; what is compared over is its beginning. Resident is the most that one process of the command had at
once. Asked are 5 minutes on two cores, and 1 GB.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final, NamedTuple

from stream.contract import packs
from stream.offline.replay.jobs.processes import usable_cores
from stream.offline.simulation import people

from .. import town as town_log
from ..town import write_town

__all__: list[str] = []

CACHE: Final = Path(tempfile.gettempdir()) / "kithkin-backtests"
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
        print("$", "kithkin", *map(str, words), file=sys.stderr, flush=True)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=printed)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began_s
        process.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        if process.returncode:
            sys.exit(f"kithkin {words[0]} ended with {process.returncode}")
        return Took(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, printed.read())


def town(folder: Path, homes: int, events: int, seed: int) -> Path:
    """The log of a town, made once: again where something that it is made by has changed."""
    sources = [Path(module.__file__ or "") for module in (town_log, people, packs)]
    key = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()[:8]
    path = folder / f"town-{homes}-{events}-{seed}-{key}.jsonl"
    if not path.is_file():
        began_s, draft = time.monotonic(), path.with_suffix(".part")

        def watch(done: int) -> None:
            print(f"\rmaking {path}: {done:,} of {homes:,} homes", end="", file=sys.stderr, flush=True)

        records = write_town(draft, homes, events, seed, watch)
        print(f"\rmade {path}: {records:,} records in {time.monotonic() - began_s:,.0f} s", file=sys.stderr, flush=True)
        draft.replace(path)
    return path


def head(log: Path, recognitions: int, path: Path) -> Path:
    """The beginning of a log, with so many recognitions, as a log of its own."""
    with log.open("rb") as lines, path.open("wb") as found:
        for line in lines:
            if line.startswith(b'{"topic":"recognitions"'):
                recognitions -= 1
            if recognitions < 0:
                break
            found.write(line)
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
    cli.add_argument("--events", type=int, default=600_000, help="that are compared over; 0: none (default: %(default)s)")
    cli.add_argument("--long", type=int, default=1_000_000, help="events of the replay; 0: none (default: %(default)s)")
    cli.add_argument("--jobs", type=int, default=0, help="processes of the comparison (default: as many as there are cores)")
    cli.add_argument("--seed", type=int, default=0)
    cli.add_argument("--keep", type=Path, metavar="DIR", default=CACHE, help="where the log stays (default: %(default)s)")
    args = cli.parse_args()
    args.keep.mkdir(parents=True, exist_ok=True)
    log = town(args.keep, args.homes, max(args.events, args.long), args.seed)
    lines = ["| | seconds | CPU s | µs of CPU a record and policy | MiB resident |", "| --- | ---: | ---: | ---: | ---: |"]
    with tempfile.TemporaryDirectory(prefix="kithkin-bench-") as temporary:
        folder = Path(temporary)
        if args.events:
            lines.append(compared(folder, head(log, args.events, folder / "compared.jsonl"), args.jobs or usable_cores()))
        if args.long:
            lines.append(replayed(folder, head(log, args.long, folder / "replayed.jsonl")))
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
