"""`kithkin alerts`: what stands, as it changes, for eyes, pipes and webhooks.

Law: only what was published is shown; what it prints to a pipe is plain text; what it posts is taken before the next is read.
"""

import time
from collections.abc import Iterator, Sequence
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
    from stream.contract.settings import Wiring
    from stream.runtime.fleet.alertmanager import Alertmanager
    from stream.runtime.fleet.notify import Receiver
    from stream.runtime.fleet.webhook import Webhook

__all__ = ["alerts", "clock", "line_of", "show", "state_of"]

alerts = typer.Typer(
    invoke_without_command=True,
    epilog="Examples:\n\n"
    "  [cyan]kithkin alerts --follow[/]   a live table\n\n"
    "  [cyan]kithkin alerts show a-5d34[/]   all of one; then ack, silence or resolve it\n\n"
    "  [cyan]kithkin alerts --severity high --json | jq .summary[/]\n\n"
    "  [cyan]kithkin alerts --follow --group pager --webhook https://pager.example/alerts[/]   each change is posted\n\n"
    "  [cyan]kithkin alerts --follow --alertmanager http://127.0.0.1:9093[/]   beside Prometheus's",
)

_STYLES: Final = {"high": "bold red", "medium": "yellow", "low": "cyan"}
_RANKS: Final = {"high": 0, "medium": 1, "low": 2}
_CLOSED: Final = ("resolved", "expired")


@alerts.callback()
def list_alerts(
    context: typer.Context,
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
    notify: Annotated[
        list[str] | None,
        typer.Option("--notify", metavar="URL", help="Tell people by Apprise: ntfy://TOPIC, slack://…; may be repeated."),
    ] = None,
    alertmanager: Annotated[
        str | None,
        typer.Option("--alertmanager", metavar="URL", help="Have what stands stand there too, such as http://127.0.0.1:9093."),
    ] = None,
    runbooks: Annotated[
        str, typer.Option("--runbooks", metavar="URL", help="Stands before a runbook's name, for --alertmanager.")
    ] = "docs/runbooks/",
    group: Annotated[
        str | None,
        typer.Option("--group", metavar="NAME", help="Go on where the one of this name stopped; for --webhook and --notify."),
    ] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Show alerts of drift: what stands, what was resolved, and what to do.

    A terminal shows a table, with --follow a live one; a pipe gets one line for each change.

    Without --wiring, --broker or KITHKIN_BROKER: of the cluster of a running "kithkin up", else of 127.0.0.1:9092.
    """
    if context.invoked_subcommand is not None:
        return
    with faults_explained():
        from rich.console import Console

        from stream.runtime.fleet.subscribe import Only, subscribe

        begin_ms = 0 if since is None else moment_ms(since, time.time())
        only = Only(_causes(cause or []), _severities(severity or []), household, _pairs(attribute or []), begin_ms)
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        manager = _alertmanager(alertmanager, runbooks, group)
        hooks = [*_hooks(wired, webhook, notify or []), *([manager] if manager else [])]
        refuse_missing(wired, ["drift-alerts"])
        console = Console(highlight=False)
        repeating = manager.keep_repeating() if manager and follow else nullcontext()
        with (
            until_interrupted() if follow else nullcontext() as stop,
            repeating,
            closing(subscribe(wired, only, group, stop=stop)) as told,
        ):
            found = _post_each(told, hooks)
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


def _causes(told: list[str]) -> frozenset[str]:
    from stream.contract.errors import ConfigError
    from stream.fleet.texts import KNOWN_CAUSES

    for cause in told:
        if cause not in KNOWN_CAUSES:
            right = f"one of {', '.join(KNOWN_CAUSES)}; of other attributes of devices: --attribute NAME=VALUE"
            raise ConfigError("cause", cause, "--cause", right)
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


def _hooks(wiring: "Wiring", webhook: str | None, notify: list[str]) -> "list[Webhook | Receiver]":
    """Everybody whom each state is to reach."""
    from stream.runtime.fleet.notify import Receiver
    from stream.runtime.fleet.webhook import Webhook

    hooks: list[Webhook | Receiver] = [Receiver(url) for url in notify]
    if webhook:
        secret = wiring.webhook_secret.get_secret_value() if wiring.webhook_secret else None
        hooks.append(Webhook(webhook, f"kithkin/{wiring.prefix}".rstrip("/"), secret=secret))
    return hooks


def _alertmanager(url: str | None, runbooks: str, group: str | None) -> "Alertmanager | None":
    """Who is told what stands; not in a group, for one that goes on where it stopped does not know what stood before."""
    from stream.contract.errors import ConfigError
    from stream.runtime.fleet.alertmanager import Alertmanager

    if url and group:
        raise ConfigError("group", group, "--group", "left out with --alertmanager, which is told anew all that stands")
    return Alertmanager(url, runbooks) if url else None


def _post_each(told: "Iterator[Alert]", hooks: "Sequence[Webhook | Receiver | Alertmanager]") -> "Iterator[Alert]":
    for alert in told:
        for hook in hooks:
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
        cells = (clock(alert.updated_at), state_of(alert), alert.severity, alert.summary, alert.suggested_action)
        table.add_row(*(Text(cell, style) for cell in cells))
    return table


def line_of(alert: "Alert") -> str:
    """One change in one line: what happened and what to do; later what changed, or why it ended."""
    told = f"{clock(alert.updated_at)}  {alert.alert_id}  {state_of(alert):<12}  {alert.severity:<6}  {alert.summary}"
    return f"{told}  {alert.change or alert.suggested_action}"


def state_of(alert: "Alert") -> str:
    """Its state in a word; one that somebody has in hand is acknowledged."""
    seen = alert.acknowledged_by is not None and alert.state not in _CLOSED
    return "acknowledged" if seen else alert.state


def clock(at_ms: int) -> str:
    """Event time in UTC, to the minute."""
    return f"{datetime.fromtimestamp(at_ms / 1_000, UTC):%Y-%m-%d %H:%M}"
