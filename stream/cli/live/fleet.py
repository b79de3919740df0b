"""`kithkin fleet`: the fleet stage, kept running.

Law: what is set wrongly is told, and nothing is started; from then on its log says how it goes.
"""

import sys
from typing import Annotated, Literal

import typer

from ..connection import refuse_misspelt, wiring_in_force
from ..faults import faults_explained
from ..options import BrokerUrl, Group, PolicyFile, Prefix, StoreUrl, WiringFile

__all__ = ["fleet"]


def fleet(
    wiring: WiringFile = None,
    policy: PolicyFile = None,
    broker: BrokerUrl = None,
    store: StoreUrl = None,
    prefix: Prefix = None,
    group: Group = None,
    listen: Annotated[
        str | None, typer.Option("--listen", metavar="HOST:PORT", help="Of a page of alerts, /alerts/ID, /healthz and /metrics.")
    ] = None,
    restart: Annotated[
        bool,
        typer.Option("--restart/--no-restart", help="Keep it running; or be it in this process, which something else restarts."),
    ] = True,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option("--log-level", help="What is worth a line on standard error.")
    ] = "info",
) -> None:
    """Turn drift of homes into alerts: consume drift-signals and drift-commands, publish drift-alerts.

    One process does it for all homes, since what they have in common is found only together. A second one takes over from the
    first.

    Without --wiring, --broker or KITHKIN_BROKER: of the cluster of a running "kithkin up", else of 127.0.0.1:9092.
    """
    with faults_explained():
        from stream.contract.settings import load_policy

        wired = wiring_in_force(wiring, broker=broker, store=store, prefix=prefix, group=group, listen=listen)
        refuse_misspelt(wired)
        chosen = load_policy(policy)
        if restart:
            from stream.runtime.supervision.supervisor import Supervisor
            from stream.runtime.telemetry.logging import log_to

            log_to(sys.stderr, "supervisor", log_level)
            code = Supervisor([[sys.executable, *sys.orig_argv[1:], "--no-restart"]]).run()
        else:
            from stream.runtime.fleet.service import fleet as be_fleet

            code = be_fleet(wired, chosen, log_level)
    raise typer.Exit(code)
