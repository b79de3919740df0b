"""What a drill prints at its end."""

from collections import defaultdict

from .drill import Outcome
from .points import POINTS

__all__ = ["table"]


def table(outcome: Outcome) -> str:
    """The figures of a drill, for people."""
    ends = outcome.ends
    at_points = [f"{outcome.at_points[f'kill@{point}']} {point}" for point in POINTS]
    lines = [
        f"{outcome.scene.broker}://, seed {outcome.scene.seed}: {outcome.events:,} records in {outcome.batches:,} batches, "
        f"{len(outcome.struck)} faults, {outcome.took_s:.0f} s",
        f"  killed {ends['killed']} ({', '.join(at_points)})",
        f"  fenced {ends['fenced']}, failed and started again {ends['failed']}, recovered batches {outcome.recoveries}",
        f"  lost {outcome.lost}, twice {outcome.twice}",
        "  standstill of a partition, seconds (least, most):",
    ]
    by_name: dict[str, list[float]] = defaultdict(list)
    for struck in outcome.struck:
        by_name[struck.name].append(struck.standstill_s)
    lines += [f"    {name:26s} {len(times):3d} x  {min(times):5.1f} {max(times):5.1f}" for name, times in sorted(by_name.items())]
    return "\n".join(lines)
