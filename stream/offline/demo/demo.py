"""The demo: a simulated neighbourhood, run through the very worker, watched while it happens, and reported.

Law: nothing is staged. Records reach the worker through its broker as they would arrive, hours at a time; the view
and the report show what was published. With or without a terminal the outputs are the same.
"""

import time
import webbrowser
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.live import Live

from stream.brokers import MemoryBroker, MemoryLog
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import OUTPUT_TOPICS, Alert, Signal
from stream.contract.units import DAY_MS, HOUR_MS
from stream.fleet.step import alerts_of
from stream.runtime.fleet.processor import SIGNALS, encode_alert
from stream.runtime.worker.worker import Worker
from stream.stores import MemoryStore

from ..report.page import Run, refuse_directory, report
from ..report.run import read
from ..simulation.behaviour import BEGIN_MS
from ..simulation.records import PARTITIONS, Neighbourhood, neighbourhood
from .scoreboard import Scoreboard
from .view import news_line, picture, plain_line, summary

__all__ = ["Demo", "demo"]

SLICE_MS: Final = 3 * HOUR_MS  # of simulated time, handed over at once
FRAME_S: Final = 0.025  # a slice is shown at least so long, so that eyes can follow


@dataclass(frozen=True, slots=True)
class Demo:
    """What to simulate, and how to show it.

    `homes` (1 to 99), `days` (at least 1) and `seed` make the neighbourhood: the same three give the same outputs. `out` is
    the HTML file to write. `live` asks for the live picture, if there is a terminal; else there is a line of progress per
    simulated week. `open_report` opens the report in the browser at the end.
    """

    homes: int
    days: int
    seed: int
    out: Path
    live: bool = True
    open_report: bool = False


def demo(task: Demo) -> Path:
    """Simulate, recognise, show and report; returns the report's file.

    Raises
    ------
    ValueError
        `homes` or `days` is out of range.
    ConfigError
        `out` is a directory; nothing was simulated.
    """
    refuse_directory(task.out)
    console = Console()
    begun_s = time.perf_counter()
    street = neighbourhood(homes=task.homes, days=task.days, seed=task.seed)
    truths = {key: truth.person_id for key, truth in street.truths.items()}
    board, stage = Scoreboard(truths, BEGIN_MS + DAY_MS, DAY_MS), _Stage(street)
    show = _show_live if task.live and console.is_terminal else _show_lines
    show(console, stage, board, task.days)
    alerts = stage.alerts()
    outputs = stage.outputs + [encode_alert(alert) for alert in alerts]
    page = report(Run(street.records, outputs, truths, street.stories), task.out)
    console.print(summary(board, time.perf_counter() - begun_s, len(street.records)))
    for alert in (a for a in alerts if a.state == "opened"):
        console.print(f"\n[bold red]Alert:[/bold red] {alert.summary} {alert.suggested_action}", soft_wrap=True, highlight=False)
    console.print(f"\nThe report, one file to open in any browser: [bold]{page}[/bold]", soft_wrap=True, highlight=False)
    if task.open_report:
        webbrowser.open(page.resolve().as_uri())
    return page


class _Stage:
    """The worker on its memory broker, fed with a street's records as simulated time goes by."""

    def __init__(self, street: Neighbourhood) -> None:
        self._street = street
        self._log = MemoryLog(PARTITIONS)
        self._worker = Worker(MemoryBroker(self._log), MemoryStore(), Policy())
        self.outputs: list[Encoded] = []
        self._seen: Counter[tuple[str, int]] = Counter()

    def play(self, board: Scoreboard) -> Iterator[int]:
        """Hand over slice after slice, and what came of it to the scoreboard; yields the simulated time (ms) reached."""
        for number, arriving in groupby(self._street.records, lambda record: record.timestamp // SLICE_MS):
            records = list(arriving)
            for record in records:
                self._log.append(record.topic, record.partition, record.timestamp, record.key, record.value)
            waiting = len(records)
            while waiting:
                waiting -= self._worker.run_once().records
            published = self._take_published()
            self.outputs += published
            board.saw(read(Run(records, published)))
            yield (number + 1) * SLICE_MS

    def alerts(self) -> list[Alert]:
        """What the fleet stage makes of all that the homes told of change."""
        told = [Signal.model_validate_json(e.value or b"") for e in self.outputs if e.topic == SIGNALS]
        return list(alerts_of(told, Policy().alerting))

    def _take_published(self) -> list[Encoded]:
        """What became visible since the last look, per topic and partition in order."""
        new: list[Encoded] = []
        for place in product(OUTPUT_TOPICS, range(PARTITIONS)):
            visible = self._log.outputs(*place)
            new += visible[self._seen[place] :]
            self._seen[place] = len(visible)
        return new


def _show_lines(console: Console, stage: _Stage, board: Scoreboard, days: int) -> None:
    """A line a simulated week, for logs and pipes."""
    said = 0
    for now_ms in stage.play(board):
        day = (now_ms - board.begin_ms) // board.day_ms
        while board.news:
            console.print(news_line(day + 1, days, board.news.popleft()), highlight=False)
        if day // 7 > said:
            said = day // 7
            console.print(plain_line(board, day, days), highlight=False)


def _show_live(console: Console, stage: _Stage, board: Scoreboard, days: int) -> None:
    """The live picture; it stays on the screen as the run ended."""
    end_ms = board.begin_ms + days * board.day_ms
    with Live(console=console, auto_refresh=False) as view:
        for now_ms in stage.play(board):
            shown_s = time.perf_counter()
            view.update(picture(board, now_ms, end_ms, console.size), refresh=True)
            time.sleep(max(0.0, FRAME_S - (time.perf_counter() - shown_s)))
