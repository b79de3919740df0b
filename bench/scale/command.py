"""The command `python -m bench.scale`: what a thousand to a million homes take of one worker, and what a hundred million would.

    python -m bench.scale [--homes 1000 10000 100000 1000000] [--json FILE] [--docs FILE]

A state of one home of four, whose ledger is full, stands in a store in memory under as many names; one home in a hundred is
active. The last row has all homes active: whoever comes was not there lately. Sizes for which there is no room in memory are
left out.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from .page import page, table

__all__ = ["main"]

SIZES: Final = (1_000, 10_000, 100_000, 1_000_000)
ALL_ACTIVE: Final = 50_000  # homes
BYTES_OF_HOME: Final = 14_000  # at most, in the store in memory
BYTES_BESIDE: Final = 1 << 30
_START: Final = """
from stream.contract.policy import Policy
from stream.home.step import warm
from stream.runtime.worker import worker
warm(Policy())
"""


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m bench.scale", description=(__doc__ or "").splitlines()[0])
    cli.add_argument("--homes", type=int, nargs="+", default=SIZES, help="how many (default: 1000 to 1000000)")
    cli.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    cli.add_argument("--docs", type=Path, metavar="FILE", help="also write the page about capacity to this file")
    args = cli.parse_args()
    figures: dict[str, Any] = {"machine": machine(), "start_s": start_s(), "sizes": []}
    for homes, active in [*((homes, 0.01) for homes in sorted(args.homes)), (min(ALL_ACTIVE, max(args.homes)), 1.0)]:
        if homes * BYTES_OF_HOME + BYTES_BESIDE > available_bytes():
            print(f"{homes:,} homes are left out: they need {homes * BYTES_OF_HOME / 1e9:.0f} GB", file=sys.stderr)
            continue
        figures["sizes"].append(measured("bench.scale.measure", str(homes), str(active)))
    figures["fleet"] = measured("bench.scale.fleet")
    print(table(figures), end="")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=1) + "\n")
    if args.docs:
        args.docs.write_text(page(figures), "utf-8")


def measured(module: str, *words: str) -> dict[str, float]:
    """What a module measures in a process of its own."""
    done = subprocess.run([sys.executable, "-m", module, *words], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        sys.exit(f"{module} {' '.join(words)} ended with {done.returncode}:\n{done.stderr[-2_000:]}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def start_s() -> float:
    """Seconds until a process has all at hand that a first event needs, its kernels compiled before; the better of two."""
    took = []
    for _ in range(2):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", _START], check=True, stdin=subprocess.DEVNULL)
        took.append(time.perf_counter() - began)
    return min(took)


def available_bytes() -> int:
    """Memory that can be had."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")


def machine() -> str:
    """The processor and the Python that figures are of."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} × {model}, {platform.system()}, Python {platform.python_version()}"
