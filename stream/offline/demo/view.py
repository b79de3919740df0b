"""What the demo shows while it runs: a live picture in a terminal, or plain lines where there is none.

Law: looking changes nothing; both views draw the same scoreboard.
"""

import math
from datetime import UTC, datetime
from typing import Final

from rich.console import ConsoleDimensions, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from stream.contract.records import GUEST

from .scoreboard import Scoreboard

__all__ = ["news_line", "picture", "plain_line", "summary"]

TIER_STYLES: Final = ("dim", "cyan", "blue", "green", "bold green", "bold green")
TIER_NAMES: Final = ("unknown", "present", "personal", "private", "purchase", "protected")
HEIGHTS: Final = "▁▂▃▄▅▆▇█"
HOMES_SHOWN_MAX: Final = 24
WIDE_MIN: Final = 104  # columns from which there is room for bars


def picture(board: Scoreboard, now_ms: int, end_ms: int, size: ConsoleDimensions) -> RenderableType:
    """The whole view at a simulated time, as large as the terminal allows."""
    rows = max(3, min(HOMES_SHOWN_MAX, len(board.latest), size.height - 12))
    wide = size.width >= WIDE_MIN
    sides = Table.grid(expand=True, padding=(0, 1))
    sides.add_column(ratio=10)
    sides.add_column(ratio=11)
    sides.add_row(_homes(board, rows, wide=wide), _remarks(board, rows + 1, wide=wide))
    return Group(_head(board, now_ms, end_ms), sides, _foot(board))


def _head(board: Scoreboard, now_ms: int, end_ms: int) -> RenderableType:
    day = max(0, math.ceil((now_ms - board.begin_ms) / board.day_ms))
    days = (end_ms - board.begin_ms) // board.day_ms
    line = Table.grid(expand=True, padding=(0, 2))
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True, justify="right")
    line.add_row(
        Text.assemble((" kithkin ", "bold reverse"), f"  day {min(day, days)} of {days}  ", (_moment(now_ms), "dim")),
        ProgressBar(total=end_ms - board.begin_ms, completed=max(0, now_ms - board.begin_ms), complete_style="cyan"),
        Text.assemble((f"{board.share_right:.1%}", "bold"), " right person first"),
    )
    return Panel(line, border_style="dim")


def _moment(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%a %d %b, %H:%M")


def _homes(board: Scoreboard, rows: int, *, wide: bool) -> RenderableType:
    table = Table(box=None, expand=True, header_style="dim", padding=(0, 1, 0, 0))
    table.add_column("home", no_wrap=True)
    table.add_column("last it was", no_wrap=True, ratio=1)
    if wide:
        table.add_column("", width=10)
    table.add_column("level", no_wrap=True)
    table.add_column("right", justify="right", no_wrap=True, min_width=5)
    for household_id in sorted(board.latest)[:rows]:
        answer = board.latest[household_id]
        probability, right = answer.posterior[answer.best], board.is_right(answer)
        mark = {True: ("✓", "green"), False: ("✗", "red"), None: (" ", "")}[right]
        who = Text.assemble(mark, " ", (answer.best, "dim" if answer.best == GUEST else "bold"), (f" {probability:.0%}", "dim"))
        bar = [ProgressBar(total=1.0, completed=probability, complete_style="green" if right else "red")] if wide else []
        share = board.right[household_id] / max(1, board.judged[household_id])
        table.add_row(household_id, who, *bar, Text(TIER_NAMES[answer.tier], TIER_STYLES[answer.tier]), f"{share:.0%}")
    return Panel(table, title="who is there", title_align="left", border_style="dim")


def _remarks(board: Scoreboard, rows: int, *, wide: bool) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(no_wrap=True, ratio=1)
    table.add_column(no_wrap=True, justify="right", max_width=26 if wide else 12)
    for remark in list(board.remarks)[-rows:]:
        outcome = Text(remark.outcome, "dim" if remark.outcome == "noted" else "yellow")
        table.add_row(f"{remark.household_id} {remark.source}" if wide else remark.household_id, remark.words, outcome)
    return Panel(table, title="what is said and noticed, and what it changes", title_align="left", border_style="dim")


def _foot(board: Scoreboard) -> RenderableType:
    days = sorted(board.judged_by_day)
    shares = [board.right_by_day[day] / board.judged_by_day[day] for day in days]
    least = min([0.5, *shares])
    line = "".join(HEIGHTS[min(7, int(8 * (share - least) / (1 - least)))] for share in shares)
    dead = ", ".join(f"{count} {reason}" for reason, count in board.dead.most_common(3)) or "none"
    return Panel(
        Text.assemble(
            ("right by day ", "dim"), (line, "cyan"),
            ("\nanswers ", "dim"), f"{board.answers:,}", ("   revised ", "dim"), f"{board.revised:,}",
            ("   said ", "dim"), f"{board.said:,}",
            ("   labels for free ", "dim"), f"{len(board.labelled):,}", ("   named wrongly ", "dim"), f"{board.named_wrongly:,}",
            ("   changes noticed ", "dim"), f"{board.changes:,}",
            ("   dead letters ", "dim"), (dead, "red" if board.dead else ""),
        ),
        border_style="dim",
    )  # fmt: skip


def plain_line(board: Scoreboard, day: int, days: int) -> str:
    """One line of progress, for where nobody looks at a screen."""
    return (
        f"day {day:3d} of {days}: {board.answers:6,} answers, {board.share_right:6.1%} right first, "
        f"{board.said:4,} remarks, {board.revised:4,} revised"
    )


def news_line(day: int, days: int, news: str) -> str:
    """A change that a home noticed, between the lines of progress."""
    return f"day {day:3d} of {days}: {news}"


def summary(board: Scoreboard, seconds: float, records: int) -> Table:
    """The few numbers at the end."""
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(justify="right")
    dead = ", ".join(f"{count} {reason}" for reason, count in board.dead.most_common()) or "none"
    for name, value in (
        ("homes", f"{len(board.latest):,}"), ("records", f"{records:,}"), ("answers", f"{board.answers:,}"),
        ("right person first", f"{board.share_right:.1%}"), ("named wrongly", f"{board.named_wrongly:,}"),
        ("remarks of people", f"{board.said:,}"), ("answers revised", f"{board.revised:,}"),
        ("labels for free", f"{len(board.labelled):,}"), ("changes noticed", f"{board.changes:,}"),
        ("dead letters", dead), ("time", f"{seconds:.1f} s"),
    ):  # fmt: skip
        table.add_row(name, value)
    return table
