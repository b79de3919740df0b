"""`kithkin worker`: live workers, kept running.

Law: what is set wrongly is told, and nothing is started; from then on the workers' log says how it goes.
"""

import sys
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ..connection import refuse_misspelt
from ..faults import faults_explained
from ..options import BrokerUrl, Group, PolicyFile, Prefix, StoreUrl, WiringFile

if TYPE_CHECKING:
    from stream.contract.settings import Wiring

__all__ = ["worker"]


def worker(
    wiring: WiringFile = None,
    policy: PolicyFile = None,
    broker: BrokerUrl = None,
    store: StoreUrl = None,
    prefix: Prefix = None,
    group: Group = None,
    slot: Annotated[
        str | None, typer.Option("--slot", help="Name of the worker, the same after a restart; of several, each adds its number.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="Processes; no more than there are partitions.")] = 1,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="HOST:PORT", help="Of /metrics, /healthz and /readyz; each further worker one higher."),
    ] = None,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart/--no-restart",
            help="Keep the workers running; or be one worker in this very process, which something else restarts.",
        ),
    ] = True,
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], typer.Option("--log-level", help="What is worth a line on standard error.")
    ] = "info",
) -> None:
    """Recognise live: consume recognitions and feedback, publish identities, profiles and labels.

    It works until SIGTERM or Ctrl-C, then finishes what it has in hand and leaves.

    A worker that fails is started again and recovers, so that every event counts exactly once.

    Under Kubernetes, systemd or Docker, which restart by themselves, give --no-restart.
    """
    with faults_explained():
        from stream.contract.settings import load_policy, load_wiring, store_of

        flags = {"broker": broker, "store": store, "prefix": prefix, "group": group, "slot": slot, "listen": listen}
        wired = load_wiring(wiring, **flags)
        refuse_misspelt(wired)
        _refuse_sharing(store_of(wired), workers, restart)
        _refuse_ports_beyond(wired, workers)
        if restart:
            code = _keep_running(wired, workers, log_level)
        else:
            from stream.runtime.worker.live import live

            code = live(wired, load_policy(policy), log_level)
    raise typer.Exit(code)


def _refuse_sharing(store: str, workers: int, restart: bool) -> None:
    """Several workers need a supervisor, and a store that is made for several."""
    if workers > 1 and (store.endswith(".db") or not restart):
        from stream.contract.errors import ConfigError

        why = "--no-restart is one worker in this process" if not restart else f"{store} is a file for one worker on one machine"
        raise ConfigError("workers", workers, "--workers", f"1, for {why}")


def _refuse_ports_beyond(wiring: "Wiring", workers: int) -> None:
    """Each worker listens one port higher, and there are no more than 65535."""
    from stream.contract.settings import is_port
    from stream.runtime.telemetry.endpoints import shift_port

    port = shift_port(wiring.listen or ":0", workers - 1).rpartition(":")[2]
    if port != "0" and not is_port(port):
        from stream.contract.errors import ConfigError

        right = f"a port up to {65_536 - workers}, for each further worker listens one higher"
        raise ConfigError("listen", wiring.listen, f"of {workers} workers", right)


def _keep_running(wiring: "Wiring", workers: int, log_level: str) -> int:
    """Supervise as many processes as asked, each with this very command line and what is its own; the exit code."""
    from stream.runtime.supervision.supervisor import Supervisor
    from stream.runtime.telemetry.endpoints import shift_port
    from stream.runtime.telemetry.logging import log_to

    log_to(sys.stderr, "supervisor", log_level)
    commands = []
    for number in range(workers):
        own = ["--no-restart", "--workers", "1"]
        if wiring.listen:
            own += ["--listen", shift_port(wiring.listen, number)]
        if wiring.slot and workers > 1:
            own += ["--slot", f"{wiring.slot}-{number}"]
        commands.append([sys.executable, *sys.orig_argv[1:], *own])
    return Supervisor(commands).run()
