"""`kithkin feed`: sends recorded or simulated events to the input topics, as devices and apps would.

Law: what is sent are the bytes that stood in the log, in its order, to the partition that every Java producer would choose.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ..connection import refuse_missing, wiring_in_force
from ..faults import EXIT_INTERRUPTED, faults_explained
from ..interruption import until_interrupted
from ..options import BrokerUrl, Prefix, WiringFile

if TYPE_CHECKING:
    from rich.console import Console

    from stream.contract.records import Record

__all__ = ["feed", "pace"]

_NAP_S: Final = 0.05  # an interruption waits no longer
_SHOWN_EVERY: Final = 50  # records
_WORLD: Final = "log.jsonl"  # of a folder

Stop = Callable[[], bool]


@dataclass(frozen=True, slots=True)
class _Source:
    """Records to send; `done` says how far it is, of `total`, in whatever it counts."""

    records: "Iterable[Record]"
    done: Callable[[int], float]  # given the number of records sent
    total: float | None


def feed(
    logs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[LOG...]", help="Log files, packed or not; a folder with a log.jsonl; -: standard input."
        ),
    ] = None,
    simulate: Annotated[
        int | None, typer.Option("--simulate", metavar="HOMES", min=1, max=99, help="Instead: a simulated neighbourhood.")
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Simulated days.")] = 42,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another neighbourhood.")] = 0,
    rate: Annotated[float | None, typer.Option(min=0.001, help="Events a second; else as fast as it goes.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.001, help="So many times as fast as it was recorded.")] = None,
    wiring: WiringFile = None,
    broker: BrokerUrl = None,
    prefix: Prefix = None,
) -> None:
    """Send recorded or simulated events to a cluster, as devices and apps would.

    Each record is sent as it stands, with the time at which it was recorded; what a home remembers is not counted twice.

    Without --rate or --speed all comes at once, so that what people say of an answer may be read before the answer is given.

    Without --wiring, --broker or KITHKIN_BROKER: to the cluster of a running "kithkin up", else to 127.0.0.1:9092.
    """
    with faults_explained():
        from rich.console import Console

        from stream.brokers.kafka.topics import producer
        from stream.contract.errors import ConfigError
        from stream.contract.records import REQUIRED_TOPICS

        if bool(logs) == (simulate is not None):
            source_of_it = "with --simulate" if logs else "nothing to send"
            raise ConfigError("LOG", " ".join(logs or []), source_of_it, "either logs or --simulate HOMES")
        if rate and speed:
            raise ConfigError("speed", speed, "--speed, with --rate", "left out, or --rate left out")
        wired = wiring_in_force(wiring, broker=broker, prefix=prefix)
        with ExitStack() as ends:
            source = _from_logs(logs, wired.prefix, ends) if logs else _from_simulation(simulate or 1, days, seed)
            refuse_missing(wired, REQUIRED_TOPICS)
            sender, stop = ends.enter_context(producer(wired)), ends.enter_context(until_interrupted())
            console, began_s = Console(stderr=True, highlight=False), time.monotonic()
            sent = 0
            for record in _show_progress(source, pace(source.records, rate, speed, stop), console):
                sender.send(record)
                sent += 1
            sender.flush()
            took_s = time.monotonic() - began_s
        console.print(f"{sent:,} events sent to {wired.broker} in {took_s:,.1f} s ({sent / max(took_s, 0.001):,.0f}/s).")
        if stop():
            raise typer.Exit(EXIT_INTERRUPTED)


def _from_logs(logs: list[str], prefix: str, ends: ExitStack) -> _Source:
    from stream.brokers.log_files import LogReader

    folders = {log: Path(log) for log in logs if Path(log).is_dir()}
    names = [str(folders[log] / _WORLD) if log in folders else log for log in logs]
    reader = ends.enter_context(closing(LogReader(names, prefix=prefix, say=_say)))
    return _Source(reader, lambda _: reader.bytes_read, reader.bytes_total)


def _say(sentence: str) -> None:
    typer.echo(sentence, err=True)


def _from_simulation(homes: int, days: int, seed: int) -> _Source:
    from stream.offline.simulation.records import neighbourhood

    records = neighbourhood(homes=homes, days=days, seed=seed).records
    return _Source(records, float, len(records))


def pace(records: "Iterable[Record]", rate: float | None, speed: float | None, stop: Stop) -> "Iterator[Record]":
    """The records when each is due, until `stop()`: `rate` a second, or `speed` times as fast as their timestamps."""
    began_s = time.monotonic()
    first_ms = None
    for number, record in enumerate(records):
        first_ms = record.timestamp if first_ms is None else first_ms
        after_s = number / rate if rate else (record.timestamp - first_ms) / 1000 / speed if speed else 0.0
        while not stop() and (left_s := began_s + after_s - time.monotonic()) > 0:
            time.sleep(min(left_s, _NAP_S))
        if stop():
            return
        yield record


def _show_progress(source: _Source, records: "Iterable[Record]", console: "Console") -> "Iterator[Record]":
    """The same, with a progress bar where there is somebody to see it."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.fields[sent]:,} events"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("feed", total=source.total, sent=0)
        for sent, record in enumerate(records, 1):
            yield record
            if sent % _SHOWN_EVERY == 0 or source.total is None:
                bar.update(task, completed=source.done(sent), sent=sent)
