"""Runs a drill from the command line; `python -m tests.drill --help`."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from .drill import Outcome, drill, plan
from .faults import FAULTS
from .report import table
from .sabotage import SABOTAGES
from .site import Scene


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.drill", description=__doc__)
    parser.add_argument("--broker", choices=["confluent", "kafka"], default="confluent")
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--faults", nargs="+", choices=FAULTS)
    parser.add_argument("--sabotage", choices=SABOTAGES)
    asked = parser.parse_args()
    faults = asked.faults or (list(SABOTAGES[asked.sabotage]) if asked.sabotage else plan(asked.seed))
    folder = Path(tempfile.mkdtemp(prefix="kithkin-drill-"))
    outcome = drill(Scene(folder, asked.broker, asked.seed, sabotage=asked.sabotage), faults, asked.events, lambda line: print(line, flush=True))
    print(table(outcome))
    print(*outcome.complaints, sep="\n")
    print(folder)
    return bool(outcome.complaints)


if __name__ == "__main__":
    sys.exit(main())
