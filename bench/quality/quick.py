"""One line a scenario, in seconds: for whoever changes the core."""

import json
import sys
from pathlib import Path
from typing import Any

from .measures import Figures
from .targets import AT_LEAST, misses, targets_of

__all__ = ["HEAD", "difference", "line", "write"]

SHOWN = (("last_top1", "last top-1", ".1f"), ("ieer", "IEER", ".1f"), ("fnir5", "FNIR@5", ".1f"), ("cllr_loss", "Cllr-min", ".3f"),
         ("ece", "ECE", ".3f"), ("tier2_guests", "t2 guest%", ".2f"), ("tier2_members", "t2 memb%", ".2f"),
         ("tier2_covered", "t2 cover%", ".0f"), ("labels_right", "lab right%", ".1f"), ("labels_covered", "lab cover%", ".0f"),
         ("worst_tenth", "worst 10th", ".1f"), ("attack_top", "attack", ".1f"))  # fmt: skip
WIDTH = 18
"""Of a column: `!ours/static>target`."""
HEAD = f"{'':15s}" + "".join(f"{head:>{WIDTH}s}" for _, head, _ in SHOWN) + f"{'over static':>14s}{'us/record':>10s}"


def line(scenario: str, found: dict[str, Any]) -> str:
    """`ours/static` and the target behind it (`>` at least, `<` at most); `!` where ours is behind it."""
    ours, static, asked = found["ours"], found["static"], targets_of(scenario)
    behind = misses(scenario, ours)
    cells = []
    for name, _, form in SHOWN:
        cell = "-"
        if name in ours:
            target = f"{'>' if name in AT_LEAST else '<'}{asked[name]:g}" if name in asked else ""
            cell = f"{'!' if name in behind else ''}{ours[name]:{form}}/{static[name]:{form}}{target}"
        cells.append(f"{cell:>{WIDTH}s}")
    return f"{scenario:15s}" + "".join(cells) + f"{found['margin']:14.1f}{found['us_per_record']:10.0f}"


def difference(scenario: str, ours: Figures, before: Figures) -> str:
    """What became of each figure since an earlier run."""
    cells = [f"{ours[name] - before[name]:+{form}}" if name in ours and name in before else "-" for name, _, form in SHOWN]
    return f"{'  since then':15s}" + "".join(f"{cell:>{WIDTH}s}" for cell in cells)


def write(results: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(results, indent=1) + "\n")
    print(f"{path} written", file=sys.stderr)
