"""What a comparison says, in sentences a person can act on.

Law: "better" and "worse" are said only where the interval of the difference in top-1 leaves out nothing at all; a budget that is
broken is said whatever else got better.
"""

from collections.abc import Iterator

import numpy as np

from .comparison import LOST_POINTS, Basis, Comparison, Pair
from .figures import BUDGETS, FIGURES
from .intervals import Interval
from .propensity import WEIGHT_MAX

__all__ = ["caveats", "headline", "points", "span"]

_TIERS = {1: "present", 2: "personal", 3: "private", 4: "purchase"}


def points(value: float) -> str:
    """A number with one place, or two where it is small.

    >>> points(1.234), points(-0.034), points(-0.001), points(float("nan"))
    ('1.2', '-0.03', '0.0', '–')
    """
    if np.isnan(value):
        return "–"
    if abs(value) < 0.005:
        return "0.0"
    return f"{value:.1f}" if abs(value) >= 0.095 else f"{value:.2f}"


def span(one: Interval, sign: int = 1) -> str:
    """The ends of an interval, or that there are none; `sign` -1 turns it round."""
    if np.isnan(one.low):
        return "[too few homes to tell]"
    ends = sorted((sign * one.low, sign * one.high))
    return f"[{points(ends[0])}, {points(ends[1])}]"


def headline(pair: Pair, basis: Basis, same: bool = False) -> str:
    """Which is better, by how much, how surely, and how many homes pay for it."""
    first, other, one = pair.first, pair.other, pair.differences["top1"]
    by = "" if basis.by == "truth" else ", by what people said"
    if same:
        return f"{other} answers as {first} does: they differ in nothing that can change an answer."
    if np.isnan(one.value):
        return f"{other} and {first} cannot be compared{by}: no member's event was judged."
    if one == Interval(0.0, 0.0, 0.0):
        told = f"{other} puts the right member first as often as {first} in every home{by}"
    elif one.holds_zero or np.isnan(one.low):
        told = f"{other} and {first} cannot be told apart by top-1{by}: {points(one.value)} points {span(one)}"
    else:
        word, sign = ("better", 1) if one.value > 0 else ("worse", -1)
        told = f"{other} is {word} than {first} by {points(sign * one.value)} points of top-1 {span(one, sign)}{by}"
    hurt = f"{pair.lost:,} of {pair.homes:,} homes lost more than {LOST_POINTS:g}, {pair.gained:,} gained as much"
    broken = "".join(f"; {sentence}" for sentence in _broken(pair, basis))
    return f"{told}; {hurt}{broken}.{_also(pair)}"


def _also(pair: Pair) -> str:
    """Other figures that are told apart, the better and the worse."""
    found: dict[int, list[str]] = {1: [], -1: []}
    for name, figure in FIGURES.items():
        one = pair.differences[name]
        if name == "top1" or not figure.better or one.holds_zero:
            continue
        form = "+.3f" if figure.unit == "bits" else "+.1f" if abs(one.value) >= 1 else "+.2g"
        size = format(one.value, form)
        found[1 if one.value * figure.better > 0 else -1].append(f"{figure.title} {size}")
    told = [f"{word}: {', '.join(names)}" for word, names in (("better", found[1]), ("worse", found[-1])) if names]
    return f" Also {'; '.join(told)}." if told else ""


def _broken(pair: Pair, basis: Basis) -> Iterator[str]:
    """Budgets that the other breaks by truth where the first does not; what people said is too little, and too often wrong."""
    if basis.by != "truth":
        return
    for tier, budget in BUDGETS.items():
        for side, whom in (("guests", "guests"), ("members", "members taken for another")):
            name = f"tier{tier}_{side}"
            if name not in basis.levels[pair.other]:
                continue
            here, there = basis.levels[pair.first][name].value, basis.levels[pair.other][name].value
            if there > 100 * budget >= here:
                shares = f"{there:.2g} % of {whom}, {100 * budget:g} % allowed"
                yield f"it breaks the budget of tier {tier} ({_TIERS[tier]}): {shares}"


def caveats(comparison: Comparison) -> list[str]:
    """What a reader must know of how it was judged."""
    counts, live, steps = comparison.questions.counts, comparison.names[0], comparison.steps
    out = []
    for basis in comparison.bases:
        if basis.by == "truth":
            if counts["truths"] < counts["recognitions"]:
                known, asked = counts["truths"], counts["recognitions"]
                out.append(f"{known:,} of {asked:,} recognitions have a truth; the others are not judged by it.")
            continue
        out.append(
            f"Feedback was given on what {live} answered: people correct what they see. Each claim judges the answers that stood "
            f"before it came; a confirm is of whom {live} named, and another policy learns from it as of whom it named itself."
        )
        if basis.propensity is not None and basis.propensity.estimated:
            out.append(
                f"Claims weigh by how seldom answers of {live} as doubtful were spoken of (at most {WEIGHT_MAX:g}-fold): "
                f"{basis.events:,} claims are worth {basis.propensity.worth:,.0f} even ones. That people speak rather of wrong "
                "answers stays in it."
            )
        elif basis.propensity is not None:
            out.append(f"{basis.events:,} claims are too few to tell which answers are spoken of, so all weigh alike.")
    if comparison.unusable:
        told = ", ".join(f"{count:,} {reason}" for reason, count in comparison.unusable.items())
        out.append(f"Not judged by, of events that people spoke of: {told}.")
        if comparison.unusable.get("before any answer", 0) > comparison.questions.counts["claims"] / 2:
            out.append("Most claims came before their answers, as where a log is fed all at once: give kithkin feed a --rate.")
    if steps.shared:
        out.append(
            f"{steps.shared:,} of {steps.records:,} records were stepped once for policies that agreed until then: "
            f"{steps.taken:,} steps and not {steps.apart:,}."
        )
    return out
