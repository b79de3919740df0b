"""A subscriber to be killed: it writes down each state of an alert that it is given, and begins with what it has written."""

import sys
from pathlib import Path

from stream.contract.settings import load_wiring
from stream.runtime.fleet.subscribe import subscribe

__all__: list[str] = []


def main(wiring: Path, path: Path) -> None:
    seen: dict[str, int] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        alert_id, _, revision = line.partition(" ")
        seen[alert_id] = int(revision)
    with path.open("a", buffering=1) as written:  # a line is one write, so that a kill leaves it whole or not at all
        for alert in subscribe(load_wiring(wiring), group="drill-subscriber", seen=seen, stop=lambda: False):
            written.write(f"{alert.alert_id} {alert.revision}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
