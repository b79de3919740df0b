"""What a person sees of a command that goes through files: how far it is.

Law: it is shown on a terminal alone, and costs who is not looking nothing.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

__all__ = ["Watch", "show_progress"]

Watch = Callable[[int, int, int | None], None]  # records so far, bytes read, bytes there are (None: not known)


class _Rate(ProgressColumn):
    """So many a second, over the whole of this run."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self._what = what

    def render(self, task: Task) -> Text:
        records, elapsed_s = task.fields["records"], task.elapsed or 0
        return Text(f"{records / elapsed_s:,.0f} {self._what}/s" if records and elapsed_s else "")


@contextmanager
def show_progress(console: Console, what: str) -> Iterator[Watch]:
    """A progress bar for what goes through files; quiet when the console is no terminal. `what`: is counted."""
    columns = (SpinnerColumn(), TextColumn(f"{{task.fields[records]:,}} {what}"), BarColumn(), _Rate(what), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        replayed = bar.add_task(what, total=None, records=0)
        yield lambda records, read, total: bar.update(replayed, completed=read, total=total, records=records)
