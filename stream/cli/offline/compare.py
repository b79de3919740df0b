"""`kithkin compare`: is policy B better than A, on the same logs?

Law: the table shows what the sentence says and no more; --json has all of it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..faults import faults_explained
from ..logs.sources import logs_here
from ..options import DropModality, FeedbackDelay, FeedbackLoss, Inject, Mlflow, Origin, Seed, WiringFile
from ..tracking import Tracker

if TYPE_CHECKING:
    from stream.offline.compare.side_by_side.processes import Watch

__all__ = ["compare"]


def compare(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="POLICY.toml... LOG...",
            help="Two policies or more, the live one first; then logs (docs/logs.md), or their addresses.",
        ),
    ],
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Who it was, as `kithkin sample` writes truth.jsonl.")
    ] = None,
    shares: Annotated[
        bool, typer.Option("--shares", help="Share the difference out over the settings that differ (Shapley); takes more runs.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for machines.")] = False,
    jobs: Annotated[
        int,
        typer.Option(
            "--jobs", "-j", min=0, max=256, metavar="N", help="Processes that share the homes; 0: one a core, if logs are large."
        ),
    ] = 0,
    worst: Annotated[int, typer.Option(min=0, max=1000, help="Worst-hit homes to list.")] = 5,
    origin: Origin = None,
    wiring: WiringFile = None,
    feedback_delay: FeedbackDelay = None,
    feedback_loss: FeedbackLoss = 0.0,
    drop_modality: DropModality = None,
    inject: Inject = None,
    seed: Seed = 0,
    mlflow: Mlflow = None,
) -> None:
    """Say whether policy B is better than A on the same logs, how surely, and which homes pay for it.

    Each policy steps through the logs as the worker that runs live does. Answers are judged by what people said, each time by the
    answer that stood before it was said; and with --truth by who it was.

    Differences are paired, with 95 % intervals over homes. A policy file holds what differs from the defaults; an empty one is
    the defaults. Policies with the same answers share a run, and what others agree on until they part is done once.

    Feedback was given on the live policy's answers: people correct what they see. What that does, and every figure, is told in
    docs/compare.md.

    With a what-if (--feedback-delay, --feedback-loss, --drop-modality, --inject) all policies run on the changed log.

    With --mlflow each policy is a run there, with its settings, its figures, and their differences from the first's.
    """
    with faults_explained():
        from stream.contract.settings import load_wiring
        from stream.offline.compare.comparison import Task
        from stream.offline.compare.comparison import compare as run
        from stream.offline.compare.ground import Ground
        from stream.offline.what_if.what_if import parse_what_if

        from .compared import as_record, as_runs, show

        policies, logs = [Path(file) for file in files if file.endswith(".toml")], [f for f in files if not f.endswith(".toml")]
        _refuse_missing(logs)
        what_if = parse_what_if(feedback_delay, feedback_loss, drop_modality or (), inject or (), seed)
        tracker = Tracker(mlflow) if mlflow else None
        with logs_here(logs) as here, _show_progress() as watch:
            ground = Ground(here, load_wiring(wiring, store="memory:"), origin, what_if)
            found = run(Task(policies, ground, truth, shares, jobs, worst), watch)
        if as_json:
            typer.echo(as_record(found))
        else:
            show(found)
        if tracker:
            tracker.keep(as_runs(found, policies))


def _refuse_missing(logs: list[str]) -> None:
    from stream.contract.errors import ConfigError

    if not logs:
        raise ConfigError("LOG", "", "the command line", "one log file or more after the policies, whose names end in .toml")


@contextmanager
def _show_progress() -> Iterator["Watch"]:
    """How far it is, by bytes of the logs; on a terminal alone."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("reading the logs", total=None)

        def watch(read: int, total: int) -> None:
            bar.update(task, description="all policies", total=max(1, total), completed=read)

        yield watch
