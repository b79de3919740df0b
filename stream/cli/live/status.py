"""`kithkin status`: the workers, their partitions, and what is left to do.

Law: it looks and changes nothing; it needs the brokers, and no worker.
"""

import json
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import faults_explained
from ..options import BrokerUrl, Group, Prefix, StoreUrl, WiringFile

if TYPE_CHECKING:
    from collections.abc import Callable

    from stream.contract.settings import Wiring
    from stream.ops.status import Status

__all__ = ["status"]

_EVERY_S: Final = 2.0


def status(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on looking, until Ctrl-C.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a look, for machines.")] = False,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    store: StoreUrl = None,
    prefix: Prefix = None,
    group: Group = None,
) -> None:
    """Show the workers of a group, their partitions, rates and lag, and the partitions that nobody has.

    Workers tell of themselves every few seconds; who is silent for ten seconds is gone from the table.
    """
    with faults_explained():
        from stream.contract.records import REQUIRED_TOPICS

        wired = wiring_in_force(wiring, broker=broker, store=store, prefix=prefix, group=group)
        refuse_missing(wired, REQUIRED_TOPICS)
        with ExitStack() as ends:
            looking = _make_look(wired, ends)
            show = _as_lines if as_json else _as_tables
            show(looking, follow)


def _make_look(wiring: "Wiring", ends: ExitStack) -> "Callable[[], Status]":
    """What looks once at a time, over connections that last as long as `ends`."""
    from stream.contract.settings import store_of
    from stream.ops.status import look, observe
    from stream.stores.redis.heartbeats import open_heartbeats

    observer = ends.enter_context(observe(wiring))
    heartbeats = open_heartbeats(store_of(wiring), wiring)
    if heartbeats is not None:
        ends.enter_context(closing(heartbeats))
    return lambda: look(wiring, observer, heartbeats)


def _as_lines(looking: "Callable[[], Status]", follow: bool) -> None:
    typer.echo(json.dumps(looking().as_json()))
    while follow:
        time.sleep(_EVERY_S)
        typer.echo(json.dumps(looking().as_json()))


def _as_tables(looking: "Callable[[], Status]", follow: bool) -> None:
    from rich.console import Console
    from rich.live import Live

    from stream.ops.status import picture

    console = Console()
    if not follow:
        console.print(picture(looking()))
        return
    with Live(picture(looking()), console=console, auto_refresh=False, screen=console.is_terminal) as view:
        while True:
            time.sleep(_EVERY_S)
            view.update(picture(looking()), refresh=True)
