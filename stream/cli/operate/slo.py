"""`kithkin slo`: what was promised, and what is left of it; told once, or to Prometheus for as long as it runs.

Law: it reads topics and changes nothing. Where brokers do not answer for a while, what was found before stands, with its time.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import EXIT_FAILED, faults_explained
from ..interruption import until_interrupted
from ..live.identities import moment_ms
from ..options import BrokerUrl, Prefix, WiringFile

if TYPE_CHECKING:
    from rich.table import Table

    from stream.contract.settings import Wiring
    from stream.ops.objectives.budgets import Budget
    from stream.ops.objectives.settings import Objectives
    from stream.runtime.telemetry.registry import Sample

    Look = Callable[[], list[Budget]]

__all__ = ["slo"]

_DAY_MS: Final = 86_400_000
_MISSED: Final = 4  # looks in a row that failed: then it is not well


def slo(
    since: Annotated[str, typer.Option("--since", metavar="WHEN", help='From "7d" or "6h" ago, or a date.')] = "7d",
    slo_file: Annotated[
        Path | None, typer.Option("--slo", metavar="FILE", help="Objectives (TOML), as configs/slo.toml; else the defaults.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for machines.")] = False,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Go on looking, and show it at /metrics and /healthz.")
    ] = None,
    every_s: Annotated[float, typer.Option("--every", min=1, metavar="SECONDS", help="How often it then looks.")] = 300.0,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Tell what is left of each error budget: of being right by tier, calibrated, in time, complete, and quiet.

    Right is judged by what people and labels said afterwards, so answers of which nobody said anything are in no share.

    "calls" says who is to be called because a budget burns too fast: "page" at more than three times what it allows, "ticket"
    at more than once. By chance alone that comes at most once in ten years, or one year, of all budgets together.

    With --listen it goes on, for Prometheus, whose rules in deploy/prometheus/slo.yml look at what it shows.

    Exit code 1: one is overspent, or calls for somebody now.
    """
    with faults_explained():
        from rich.console import Console

        from stream.contract.settings import load_model
        from stream.ops.objectives.counting import TOPICS
        from stream.ops.objectives.settings import Objectives

        objectives = load_model("slo", slo_file, Objectives)
        moment_ms(since, time.time())  # that it can be read
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix, listen=listen)
        refuse_missing(wired, TOPICS)
        look = partial(_look, wired, objectives, since)
        if listen is not None:
            _show_while_it_runs(str(wired.listen), every_s, look)
            return
        found = look()
        if as_json:
            typer.echo(json.dumps([budget._asdict() for budget in found]))
        else:
            Console(highlight=False).print(_table(found))
        if any(budget.broken or budget.calls for budget in found):
            raise typer.Exit(EXIT_FAILED)


def _look(wiring: "Wiring", objectives: "Objectives", since: str) -> "list[Budget]":
    """What is left now. Raises BrokerError, and ConfigError when a topic is missing."""
    from stream.brokers.kafka.topics import reader
    from stream.ops.objectives.budgets import budgets
    from stream.ops.objectives.counting import TOPICS, tally

    now_ms = round(time.time() * 1_000)
    begin_ms = moment_ms(since, now_ms / 1_000)
    counted = tally(reader(wiring, TOPICS, begin_ms), objectives, now_ms)
    return budgets(counted, objectives, max((now_ms - begin_ms) / _DAY_MS, 1e-6), now_ms)


def _show_while_it_runs(listen: str, every_s: float, look: "Look") -> None:
    """Look again and again, until it is to stop, and show Prometheus what was found."""
    from stream.contract.ports import BrokerError
    from stream.ops.local_cluster.processes import until
    from stream.runtime.telemetry.endpoints import Endpoints
    from stream.runtime.telemetry.registry import SLO_METRICS, exposition

    shown = Shown(every_s)
    registry = exposition(shown.samples, SLO_METRICS)
    with until_interrupted() as stop, closing(Endpoints(listen, registry, shown.sick, shown.sick)) as endpoints:
        typer.echo(f"What is left is shown on port {endpoints.port}, at /metrics.")
        while not stop():
            try:
                shown.note(look())
            except BrokerError as error:
                typer.echo(f"{error}: it is asked again in {every_s:g} s.", err=True)
            until(stop, every_s)


class Shown:
    """What was found last, for Prometheus and whoever asks how it is.

    Parameters
    ----------
    every_s
        How often it is to be found out.
    """

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._found: list[Budget] = []
        self._noted_s, self._at_s = time.monotonic(), 0.0

    def note(self, found: "list[Budget]") -> None:
        """This was found just now."""
        self._found, self._noted_s, self._at_s = found, time.monotonic(), time.time()

    def sick(self) -> str | None:
        """Why it is not well; None when it is."""
        still_s = time.monotonic() - self._noted_s
        return f"nothing was found for {still_s:.0f} s" if still_s > _MISSED * self._every_s else None

    def samples(self) -> "Iterator[Sample]":
        """All metrics; nothing before it was first looked."""
        from stream.runtime.telemetry.registry import Sample

        for budget in self._found:
            if budget.left is not None:
                yield Sample("kithkin_slo_left", budget.left, (budget.name,))
            for severity in ("page", "ticket"):
                yield Sample("kithkin_slo_calls", int(budget.calls == severity), (budget.name, severity))
        if self._found:
            yield Sample("kithkin_slo_looked_at_seconds", self._at_s)


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
