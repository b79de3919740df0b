"""Figures and tables in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from .targets import NAMES

__all__ = ["figures_table", "point", "told", "table"]

FORMS: Final = {"cllr_loss": ".3f", "min_cllr": ".3f", "ece": ".3f"}  # of figures; all others have one decimal


def table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A table whose first column is of words and whose others are of figures."""
    heads = list(heads)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, ["---", *["---:"] * (len(heads) - 1)], *rows))


def figures_table(first: str, rows: dict[str, Any], names: Sequence[str]) -> str:
    """A row for each set of figures, each figure with its interval."""
    cells = ([head, *(told(figures[name], FORMS.get(name, ".1f")) for name in names)] for head, figures in rows.items())
    return table([first, *(NAMES[name] for name in names)], cells)


def told(value: Sequence[float | None] | float | None, form: str) -> str:
    """A figure, with its interval if it has one; a dash for what could not be measured."""
    if not isinstance(value, list | tuple):
        return "–" if value is None else f"{value:{form}}"
    figure, low, high = value
    return "–" if figure is None else f"{figure:{form}} ({low:{form}} to {high:{form}})"


def point(interval: Sequence[float | None], form: str = ".1f") -> str:
    """A figure without its interval."""
    return told(interval[0], form)
