"""One line a scenario, for whoever changes the core."""

from typing import Any, Final

from .targets import AT_LEAST, misses, targets_of

__all__ = ["HEAD", "difference", "key", "line"]

# figure, heading, how it is written
SHOWN: Final = (
    ("last_top1", "last top-1", ".1f"), ("ieer", "IEER", ".1f"), ("fnir5", "FNIR@5", ".1f"), ("cllr_loss", "Cllr-min", ".3f"),
    ("ece", "ECE", ".3f"), ("tier2_guests", "t2 guests%", ".2f"), ("tier2_members", "t2 members%", ".2f"),
    ("tier2_covered", "t2 covers%", ".1f"), ("labels_right", "labels right%", ".1f"), ("labels_covered", "labelled%", ".1f"),
    ("worst_tenth", "worst 10th", ".1f"), ("attack_top", "attack", ".1f"),
)  # fmt: skip
WIDTH: Final = 18  # of a column: `!ours/static>target`
HEAD: Final = f"{'':15s}" + "".join(f"{head:>{WIDTH}s}" for _, head, _ in SHOWN) + f"{'over static':>13s}{'us/record':>11s}"


def key(scenario: str, voices: str, packs: str) -> str:
    """Under what name figures are kept: the scenario's own for voices of AN4 and packs of the other half."""
    return "/".join([scenario, *[word for word, usual in ((voices, "an4"), (packs, "half")) if word != usual]])


def line(scenario: str, found: dict[str, Any]) -> str:
    """`ours/static`, then the target (`>` at least, `<` at most); `!` before what is behind it.

    *over static* is the least margin of top-1 of all phases and halves, *us/record* the CPU time of a replay, codec and all.
    """
    ours, static, asked = found["ours"], found["static"], targets_of(scenario)
    behind = misses(scenario, ours)
    cells = []
    for name, _, form in SHOWN:
        target = f"{'>' if name in AT_LEAST else '<'}{asked[name]:g}" if name in asked else ""
        told = f"{'!' if name in behind else ''}{ours[name]:{form}}/{static[name]:{form}}{target}" if name in ours else "-"
        cells.append(f"{told:>{WIDTH}s}")
    return f"{scenario:15s}" + "".join(cells) + f"{found['margin']:+13.1f}{found['us_per_record']:11.0f}"


def difference(found: dict[str, Any], earlier: dict[str, Any]) -> str:
    """What became of each figure since an earlier run."""
    ours, before = found["ours"], earlier["ours"]
    both = [(ours.get(name), before.get(name), form) for name, _, form in SHOWN]
    told = ["-" if now is None or then is None else f"{now - then:+{form}}" for now, then, form in both]
    since = found["us_per_record"] - earlier["us_per_record"]
    return f"{'  since then':15s}" + "".join(f"{one:>{WIDTH}s}" for one in told) + f"{'':13s}{since:+11.0f}"
