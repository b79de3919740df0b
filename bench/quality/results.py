"""What a scenario comes to over all its seeds and halves: ours beside `static` and `oracle`.

Law: figures are of the homes of all worlds pooled; a comparison with `static` is on the same events.
"""

from typing import Any

import numpy as np

from .bootstrap import intervals
from .judged import Columns, pool, take
from .measures import TIERS, believed, det, measure, recognised, reliability, top1
from .trials import Answers

__all__ = ["compared", "margins", "patterns", "pooled", "reported", "worst_single"]

PATTERN_EVENTS_MIN = 100  # fewer events tell nothing of calibration


def pooled(worlds: list[Answers]) -> dict[str, Columns]:
    return {name: pool([world.columns[name] for world in worlds]) for name in worlds[0].columns}


def compared(worlds: list[Answers]) -> dict[str, Any]:
    """The figures of each recogniser, the least margin over `static` and the CPU time of a record, for a quick look."""
    columns = pooled(worlds)
    found: dict[str, Any] = {name: measure(columns[name]) for name in ("ours", "static")}
    found["margin"] = min(margins(columns["ours"], columns["static"]).values())
    found["us_per_record"] = 1e6 * sum(w.cpu_seconds for w in worlds) / sum(w.records for w in worlds)
    return found


def reported(worlds: list[Answers], draws: int) -> dict[str, Any]:
    """All that docs/quality.md tells of a scenario: figures with intervals, and the curves of its plots."""
    columns = pooled(worlds)
    ours, static = columns["ours"], columns["static"]
    return {
        "homes": int(ours["home"].max()) + 1,
        "events": len(ours["home"]),
        "ours": intervals(ours, measure, draws),
        "static": intervals(static, measure, draws),
        "oracle": intervals(columns["oracle"], recognised, draws),
        "patterns": patterns(ours, draws),
        "margins": margins(ours, static),
        "single": worst_single(worlds),
        "det": {name: det(columns[name]) for name in ("ours", "static")},
        "reliability": reliability(ours),
    }


def margins(ours: Columns, static: Columns) -> dict[str, float]:
    """Points of top-1 over `static`: overall, in each phase, and in the hard and the other half of the homes."""
    parts = {"overall": np.full(len(ours["home"]), True), "hard homes": ours["hard"], "other homes": ~ours["hard"]}
    parts |= {f"phase {number}": ours["phase"] == number for number in np.unique(ours["phase"])}
    return {name: top1(take(ours, rows)) - top1(take(static, rows)) for name, rows in parts.items()}


def patterns(ours: Columns, draws: int) -> dict[str, Any]:
    """Calibration by which modalities an event has."""
    found = {}
    for pattern in np.unique(ours["modalities"]).tolist():
        some = take(ours, ours["modalities"] == pattern)
        if len(some["home"]) >= PATTERN_EVENTS_MIN:
            found[pattern] = {"events": len(some["home"]), **intervals(some, believed, draws)}
    return found


def worst_single(worlds: list[Answers]) -> dict[str, float]:
    """The least margin over `static` of a single world, and the most errors of each tier in one."""
    figures = [measure(world.columns["ours"]) for world in worlds]
    errors = [f"tier{tier}_{who}" for tier in TIERS for who in ("guests", "members") if (tier, who) != (1, "members")]
    margin = min(f["top1"] - top1(world.columns["static"]) for f, world in zip(figures, worlds, strict=True))
    return {"margin": margin} | {name: max(f[name] for f in figures) for name in errors}
