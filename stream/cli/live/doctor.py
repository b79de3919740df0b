"""`kithkin doctor`: everything that has to hold before a worker may start, as it is and as it should be.

Law: it changes nothing and consumes nothing, also where workers are running.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import wiring_in_force
from ..faults import EXIT_FAILED, faults_explained
from ..options import BrokerUrl, Group, PolicyFile, Prefix, StoreUrl, WiringFile

if TYPE_CHECKING:
    from rich.console import Console

    from stream.ops.checks import Check

__all__ = ["doctor", "show"]

_LOOKS: Final = {"ok": "green", "warning": "yellow", "failed": "bold red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="A JSON list, for machines.")] = False,
    wiring: WiringFile = None,
    policy: PolicyFile = None,
    broker: BrokerUrl = None,
    store: StoreUrl = None,
    prefix: Prefix = None,
    group: Group = None,
) -> None:
    """Check everything that a worker needs, and say what would be right: exit code 1 when something is not.

    A worker makes the same checks before it takes its first record. Warnings are for you to weigh; it starts all the same.

    Without --wiring, --broker or KITHKIN_BROKER: of the cluster of a running "kithkin up", else of 127.0.0.1:9092.
    """
    with faults_explained():
        from stream.ops.checks import run_checks

        wired = wiring_in_force(wiring, broker=broker, store=store, prefix=prefix, group=group)
        if not show(run_checks(wired, policy), as_json):
            raise typer.Exit(EXIT_FAILED)


def show(checks: "Sequence[Check]", as_json: bool) -> bool:
    """Print them: as JSON, as a table on a terminal, else one line each. Whether none has failed."""
    from rich.console import Console

    console = Console(highlight=False)
    if as_json:
        typer.echo(json.dumps([asdict(check) for check in checks], indent=1, ensure_ascii=False))
    elif console.is_terminal:
        _show_table(checks, console)
    else:
        for check in checks:
            typer.echo(f"{check.state:<7}  {check.name}: {check.found}" + (f" (right: {check.right})" if check.right else ""))
    return all(check.state != "failed" for check in checks)


def _show_table(checks: "Sequence[Check]", console: "Console") -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", "how it is", "what would be right", box=SIMPLE_HEAD)
    for check in checks:
        table.add_row(Text(check.state, _LOOKS[check.state]), Text(check.name), Text(check.found), Text(check.right))
    console.print(table)
    failed, warned = (sum(check.state == state for check in checks) for state in ("failed", "warning"))
    console.print(f"{len(checks)} checks: {failed} failed, {warned} warned.")
