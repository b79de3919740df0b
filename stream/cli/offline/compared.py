"""A comparison as a person sees it, and as a machine does.

Law: a figure that could not be measured is a dash for people and null for machines.
"""

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from stream.contract.settings import load_policy, toml_of
from stream.offline.compare.comparison import Basis, Comparison, Pair
from stream.offline.compare.figures import BUDGETS, FIGURES
from stream.offline.compare.intervals import Interval
from stream.offline.compare.sentences import caveats, headline, span

from ..tracking import Tracked, numbers_of, settings_of

__all__ = ["as_record", "as_runs", "show"]

_SHARED_MAX: Final = 7  # figures beside each other; --json has all, with intervals


def show(comparison: Comparison, console: Console | None = None) -> None:
    """Print the sentences first, then a table for each way of judging, the worst-hit homes, and what to know of it."""
    console = console or Console(highlight=False, soft_wrap=True)
    for basis in comparison.bases:
        for pair in basis.pairs:
            console.print(f"[bold]{headline(pair, basis, _is_same(comparison, pair))}[/]")
    for basis in comparison.bases:
        console.print()
        console.print(_figures(comparison, basis))
        for pair in basis.pairs:
            _details(console, pair)
    console.print()
    for sentence in caveats(comparison):
        console.print(f"[dim]{sentence}[/]")


def _is_same(comparison: Comparison, pair: Pair) -> bool:
    same = comparison.same
    return same.get(pair.other, pair.other) == same.get(pair.first, pair.first)


def _figures(comparison: Comparison, basis: Basis) -> Table:
    title = f"By {'truth' if basis.by == 'truth' else 'what people said'}: {basis.events:,} events"
    table = Table(box=None, pad_edge=False, title=title, title_justify="left", title_style="bold cyan")
    table.add_column("")
    for name in comparison.names:
        table.add_column(name, justify="right")
    for pair in basis.pairs:
        table.add_column(f"{pair.other} − {pair.first}", justify="right")
    for name, figure in FIGURES.items():
        values = [basis.levels[policy][name].value for policy in comparison.names]
        if all(map(math.isnan, values)):
            continue
        title = f"{figure.title}, {figure.unit}" if figure.unit else figure.title
        if name.startswith("tier") and figure.better < 0:
            title += f" (of {100 * BUDGETS[int(name[4])]:g})"
        cells = [_number(value, figure.unit) for value in values]
        table.add_row(title, *cells, *(_difference(pair, name) for pair in basis.pairs))
    return table


def _number(value: float, unit: str) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}" if unit == "bits" else f"{value:.2f}" if value < 1 else f"{value:.1f}"


def _difference(pair: Pair, name: str) -> str:
    one, better = pair.differences[name], FIGURES[name].better
    if math.isnan(one.value):
        return "–"
    if FIGURES[name].unit == "bits":
        told = f"{one.value:+.3f}" + ("" if math.isnan(one.low) else f" [{one.low:.3f}, {one.high:.3f}]")
    else:
        told = f"{one.value:+.2f} {span(one)}"
    if one.holds_zero or not better:
        return told
    return f"[{'green' if better * one.value > 0 else 'red'}]{told}[/]"


def _details(console: Console, pair: Pair) -> None:
    if pair.worst:
        told = ", ".join(f"{home.household_id} {home.gained:+.1f} ({home.events:,} events)" for home in pair.worst)
        console.print(f"\n{pair.other}, worst hit: {told}")
    if pair.shares:
        how = "" if pair.exact else ", over orders that were drawn"
        table = Table(box=None, pad_edge=False, title=f"{pair.other}: shares of the difference{how}", title_justify="left")
        table.add_column("", no_wrap=True)
        names = _differing_figures(pair)
        for name in names:
            table.add_column(FIGURES[name].title, justify="right")
        for at, (player, _) in enumerate(pair.shares["top1"]):
            table.add_row(" + ".join(player), *(_share(name, pair.shares[name][at][1]) for name in names))
        console.print()
        console.print(table)


def _differing_figures(pair: Pair) -> list[str]:
    """Figures whose shares are shown: top-1, and the first of those in which the two are told apart."""
    others = [name for name, one in pair.differences.items() if name != "top1" and not one.holds_zero]
    return ["top1", *others[: _SHARED_MAX - 1]]


def _share(name: str, one: Interval) -> str:
    if math.isnan(one.value):
        return "–"
    told = f"{one.value:+.3f}" if FIGURES[name].unit == "bits" else f"{one.value:+.2f}"
    return f"{told} {span(one)}" if name == "top1" else told


def as_record(comparison: Comparison) -> str:
    """All of it as one line of JSON."""
    counts = comparison.questions.counts
    told = {
        "policies": [
            {"name": name, "policy_id": policy_id, "same_answers_as": comparison.same.get(name)}
            for name, policy_id in zip(comparison.names, comparison.policy_ids, strict=True)
        ],
        "records": comparison.steps.records,
        "stepped_once": comparison.steps.shared,
        "steps": {"taken": comparison.steps.taken, "apart": comparison.steps.apart},
        "homes": len(comparison.questions.homes),
        "counts": dict(sorted(counts.items())),
        "not_judged_by": comparison.unusable,
        "levels": {
            basis.by: {name: {f: _ends(one) for f, one in found.items()} for name, found in basis.levels.items()}
            for basis in comparison.bases
        },
        "comparisons": [_pair(comparison, basis, pair) for basis in comparison.bases for pair in basis.pairs],
        "to_know": caveats(comparison),
    }
    return json.dumps(told)


def as_runs(comparison: Comparison, policies: Sequence[Path]) -> list[Tracked]:
    """A run for each policy, for MLflow: its settings, its figures, and by how much they differ from the first's."""
    told, text = as_record(comparison), io.StringIO()
    show(comparison, Console(file=text, width=160, highlight=False))
    record, runs = json.loads(told), []
    for name, path in zip(comparison.names, policies, strict=True):
        figures = {by: {one: ends["value"] for one, ends in found[name].items()} for by, found in record["levels"].items()}
        pairs = [pair for pair in record["comparisons"] if pair["other"] == name]
        differences = {pair["by"]: {f"{one}/difference": ends for one, ends in pair["differences"].items()} for pair in pairs}
        sentences = [pair["sentence"] for pair in pairs] or ["The policy that was live, which the others are compared with."]
        policy = load_policy(path)
        tags = {"kithkin.command": "compare", "kithkin.compared_with": comparison.names[0]}
        tags["mlflow.note.content"] = "\n\n".join(sentences)
        texts = {"comparison.json": told, "comparison.txt": text.getvalue(), "policy.toml": toml_of(policy)}
        runs.append(Tracked(name, settings_of(policy), numbers_of(figures) | numbers_of(differences), tags, texts))
    return runs


def _pair(comparison: Comparison, basis: Basis, pair: Pair) -> dict[str, Any]:
    return {
        "by": basis.by,
        "events": basis.events,
        "first": pair.first,
        "other": pair.other,
        "sentence": headline(pair, basis, _is_same(comparison, pair)),
        "differences": {name: _ends(one) for name, one in pair.differences.items()},
        "homes": pair.homes,
        "homes_lost": pair.lost,
        "homes_gained": pair.gained,
        "worst_homes": [home._asdict() for home in pair.worst],
        "shares": {name: [{"settings": player, **_ends(one)} for player, one in found] for name, found in pair.shares.items()},
        "shares_exact": pair.exact,
    }


def _ends(one: Interval) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in one._asdict().items()}
