"""`kithkin alerts`: what stands, as it changes, for eyes, pipes and webhooks.

Law: only what was published is shown; what it prints to a pipe is plain text; what it posts is taken before the next is read.
"""

import time
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import faults_explained
from ..interruption import until_interrupted
from ..options import BrokerUrl, Prefix, WiringFile
from .identities import moment_ms

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from stream.contract.records import Alert
    from stream.runtime.fleet.webhook import Webhook

__all__ = ["alerts", "line_of", "show"]

_STYLES: Final = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_RANKS: Final = {"high": 0, "medium": 1, "low": 2}
_CLOSED: Final = ("resolved", "expired")


def alerts(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    since: Annotated[
        str | None, typer.Option("--since", metavar="WHEN", help='Changed since then: "10m", "3d" ago, or a date in UTC.')
    ] = None,
    severity: Annotated[list[str] | None, typer.Option("--severity", help="Only low, medium or high; may be repeated.")] = None,
    cause: Annotated[list[str] | None, typer.Option("--cause", help="Only of this cause; may be repeated.")] = None,
    household: Annotated[str | None, typer.Option("--household", metavar="H", help="Only those that concern this home.")] = None,
    attribute: Annotated[
        list[str] | None, typer.Option("--attribute", metavar="NAME=VALUE", help="Only with it, such as firmware=2.1.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Every state of every alert as JSON, one a line.")] = False,
    webhook: Annotated[
        str | None, typer.Option("--webhook", metavar="URL", help="Post every state there too, as a CloudEvent.")
    ] = None,
    group: Annotated[
        str | None, typer.Option("--group", metavar="NAME", help="Go on where the one of this name stopped; for --webhook.")
    ] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Show alerts of drift: what stands, what was resolved, and what to do.

    A terminal shows a table, with --follow a live one; a pipe gets one line for each change.

    Without --wiring, --broker or KITHKIN_BROKER: of the cluster of a running "kithkin up", else of 127.0.0.1:9092.
    """
    with faults_explained():
        from rich.console import Console

        from stream.runtime.fleet.subscribe import Only, subscribe
        from stream.runtime.fleet.webhook import Webhook

        begin_ms = 0 if since is None else moment_ms(since, time.time())
        only = Only(frozenset(cause or ()), _severities(severity or []), household, _pairs(attribute or []), begin_ms)
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        hook = Webhook(webhook, f"kithkin/{wired.prefix}".rstrip("/")) if webhook else None
        refuse_missing(wired, ["drift-alerts"])
        console = Console(highlight=False)
        with until_interrupted() if follow else nullcontext() as stop, closing(subscribe(wired, only, group, stop=stop)) as told:
            found = _post_each(told, hook)
            if console.is_terminal and not as_json:
                show(found, console, live=follow)
            else:
                for alert in found:
                    typer.echo(alert.model_dump_json() if as_json else line_of(alert))


def _severities(told: list[str]) -> frozenset[str]:
    from stream.contract.errors import ConfigError

    for severity in told:
        if severity not in _RANKS:
            raise ConfigError("severity", severity, "--severity", "low, medium or high")
    return frozenset(told)


def _pairs(told: list[str]) -> dict[str, str]:
    from stream.contract.errors import ConfigError

    pairs = {}
    for pair in told:
        name, found, value = pair.partition("=")
        if not (name and found and value):
            raise ConfigError("attribute", pair, "--attribute", 'a name and a value, such as "firmware=2.1"')
        pairs[name] = value
    return pairs


def _post_each(told: "Iterator[Alert]", hook: "Webhook | None") -> "Iterator[Alert]":
    for alert in told:
        if hook is not None:
            hook.post(alert)
        yield alert


def show(found: "Iterator[Alert]", console: "Console", live: bool) -> None:
    """A table for eyes, that grows and changes as long as alerts come."""
    from rich.live import Live

    newest: dict[str, Alert] = {}
    with Live(_table(newest), console=console, auto_refresh=False, transient=not live) as view:
        for alert in found:
            newest[alert.alert_id] = alert
            view.update(_table(newest), refresh=live)
    if not live:
        console.print(_table(newest))


def _table(newest: "dict[str, Alert]") -> "Table":
    """The newest state of each alert: what stands first, the gravest first."""
    from rich.table import Table
    from rich.text import Text

    table = Table("changed (UTC)", "state", "severity", "what happened", "what to do", box=None, header_style="bold")
    ordered = sorted(newest.values(), key=lambda a: (a.state in _CLOSED, _RANKS.get(a.severity, 3), -a.updated_at, a.alert_id))
    for alert in ordered:
        style = "dim" if alert.state in _CLOSED else _STYLES.get(alert.severity, "")
        cells = (_clock(alert.updated_at), _state(alert), alert.severity, alert.summary, alert.suggested_action)
        table.add_row(*(Text(cell, style) for cell in cells))
    return table


def line_of(alert: "Alert") -> str:
    """One change in one line."""
    told = f"{_clock(alert.updated_at)}  {alert.alert_id}  {_state(alert):<12}  {alert.severity:<6}  {alert.summary}"
    return f"{told}  {alert.suggested_action}"


def _state(alert: "Alert") -> str:
    seen = alert.acknowledged_by is not None and alert.state not in _CLOSED
    return "acknowledged" if seen else alert.state


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M}"
