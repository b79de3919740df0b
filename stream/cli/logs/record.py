"""`kithkin record`: a stretch of a cluster as a log.

Law: nothing in the cluster is changed; what is written is whole lines, and the same command goes on where it stood.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..connection import client_logs_silenced, wiring_in_force
from ..faults import EXIT_INTERRUPTED, faults_explained
from ..interruption import until_interrupted
from ..live.identities import moment_ms
from ..options import BrokerUrl, Prefix, WiringFile

if TYPE_CHECKING:
    from stream.ops.recording.recording import Recorded, Sofar

__all__ = ["record"]


def record(
    since: Annotated[
        str, typer.Option("--from", metavar="TIME", help='What came since then: "90s", "10m", "3d" ago, or a date in UTC.')
    ],
    out: Annotated[
        Path, typer.Option("--out", metavar="FILE", help="The log: its name ends in .jsonl, .jsonl.gz or .jsonl.zst.")
    ],
    to: Annotated[str, typer.Option("--to", metavar="TIME", help="What came before then; without: before now.")] = "0s",
    outputs: Annotated[bool, typer.Option("--outputs", help="What was published of it too, to compare a replay with.")] = False,
    household: Annotated[str | None, typer.Option("--household", metavar="H", help="Of this household only.")] = None,
    pseudonymise: Annotated[
        Path | None, typer.Option("--pseudonymise", metavar="KEYFILE", help="Replace ids by hashes with the key in this file.")
    ] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Record what came to a cluster as a log, with the journal of its batches, to be replayed.

    Only what was committed is read, outside of any group; nothing is changed.

    What was stopped, or even killed, goes on when the command is given again.

    With pseudonyms a replay gives the same answers under other names; voices and faces stay what they are.

    Without --wiring, --broker or KITHKIN_BROKER: of the cluster of a running "kithkin up", else of 127.0.0.1:9092.
    """
    with faults_explained():
        from stream.brokers.kafka.topics import require_client
        from stream.ops.recording.recording import Recording
        from stream.ops.recording.recording import record as run
        from stream.ops.recording.spans import Between

        now_s = time.time()
        between = Between(moment_ms(since, now_s, "from"), moment_ms(to, now_s, "to"))
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        client_logs_silenced()
        with require_client(wired):
            from stream.brokers.kafka.kafka_python import open_reader
        task = Recording(between, (since, to), out, outputs, household, pseudonymise)
        with closing(open_reader(wired)) as history, until_interrupted() as stop, _show_progress() as watch:
            found = run(task, wired, history, stop, watch)
        typer.echo(_describe(found, out), err=True)
        if not found.finished:
            raise typer.Exit(EXIT_INTERRUPTED)


def _describe(found: "Recorded", out: Path) -> str:
    if not found.finished:
        return f"\nInterrupted with {found.records:,} records in {out}. Give the same command again to go on from there."
    told = ", ".join(f"{count:,} {topic}" for topic, count in found.by_topic.items()) or "nothing more"
    return f"{out}: {found.records:,} records ({told})."


@contextmanager
def _show_progress() -> Iterator[Callable[["Sofar"], None]]:
    """A progress bar with rate and time left, where there is somebody to see it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console, began_s = Console(stderr=True), time.monotonic()
    columns = (TextColumn("{task.description} {task.fields[told]}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("record", total=None, told="")

        def show(sofar: "Sofar") -> None:
            rate = sofar.records / max(time.monotonic() - began_s, 0.001)
            doing = "gathering ids" if sofar.scanning else "record"
            told = f"{sofar.records:,} records, {rate:,.0f}/s"
            bar.update(task, completed=sofar.offsets, total=sofar.offsets_total, description=doing, told=told)

        yield show
