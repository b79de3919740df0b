"""`kithkin slo`: what was promised, and what is left of it.

Law: it reads topics and changes nothing.
"""

import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import EXIT_FAILED, faults_explained
from ..live.identities import moment_ms
from ..options import BrokerUrl, Prefix, WiringFile

if TYPE_CHECKING:
    from rich.table import Table

    from stream.ops.objectives.budgets import Budget

__all__ = ["slo"]

_DAY_MS = 86_400_000


def slo(
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help='From "7d" or "6h" ago, or a date.')] = "7d",
    slo_file: Annotated[
        Path | None, typer.Option("--slo", metavar="FILE", help="Objectives (TOML), as configs/slo.toml; else the defaults.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for machines.")] = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Tell what is left of each error budget: of being right by tier, calibrated, in time, complete, and quiet.

    Right is judged by what people and labels said afterwards, so answers of which nobody said anything are in no share.

    "calls" says who is to be called because a budget burns too fast: "page" at more than three times what it allows, "ticket"
    at more than once. By chance alone that comes at most once in ten years, or one year, of all budgets together.

    Exit code 1: one is overspent, or calls for somebody now.
    """
    with faults_explained():
        from rich.console import Console

        from stream.brokers.kafka.topics import reader
        from stream.contract.settings import load_model
        from stream.ops.objectives.budgets import budgets
        from stream.ops.objectives.counting import TOPICS, tally
        from stream.ops.objectives.settings import Objectives

        objectives = load_model("slo", slo_file, Objectives)
        now_ms = round(time.time() * 1_000)
        begin_ms = moment_ms(since, now_ms / 1_000)
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        refuse_missing(wired, TOPICS)
        counted = tally(reader(wired, TOPICS, begin_ms), objectives, now_ms)
        found = budgets(counted, objectives, max((now_ms - begin_ms) / _DAY_MS, 1e-6), now_ms)
        if as_json:
            typer.echo(json.dumps([budget._asdict() for budget in found]))
        else:
            Console(highlight=False).print(_table(found))
        if any(budget.broken or budget.calls for budget in found):
            raise typer.Exit(EXIT_FAILED)


def _table(found: "list[Budget]") -> "Table":
    from rich.table import Table

    table = Table("objective", "aim", "is", "events", "left", "burns", "spent in", "calls", box=None, header_style="bold")
    for b in found:
        if b.good is None or b.left is None or b.burn is None:
            table.add_row(b.name, f"{b.objective:.4g}", "nothing known", "0", "", "", "", "", style="dim")
            continue
        forecast = "overspent" if b.broken else f"{b.spent_in_days:,.1f} days" if b.spent_in_days else "never"
        row = (b.name, f"{b.objective:.4g}", f"{b.good:.5f}", f"{b.events:,}", f"{b.left:.0%}", f"{b.burn:.2f}", forecast)
        table.add_row(*row, _calls(b), style="red" if b.broken or b.calls else "")
    return table


def _calls(b: "Budget") -> str:
    """Who is called now, or when somebody last was."""
    latest = max([*b.pages, *b.tickets], default=None)
    before = "" if latest is None else f"{datetime.fromtimestamp(latest / 1_000, UTC):%d %b %H:%M}"
    return b.calls or before
