"""`kithkin tune`: which settings are best, tried on some homes and confirmed on the others.

Law: a policy is written only when it is confirmed.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..faults import EXIT_DIFFERENT, EXIT_INTERRUPTED, faults_explained
from ..interruption import until_interrupted
from ..logs.sources import logs_here
from ..options import Mlflow, PolicyFile, WiringFile
from ..tracking import Tracked, Tracker, numbers_of, settings_of

if TYPE_CHECKING:
    from stream.offline.tune.tuning import Confirmation, Outcome, Watch

__all__ = ["tune"]


def tune(
    space: Annotated[Path, typer.Argument(metavar="SPACE.toml", help="A policy file in which a setting may be a range.")],
    logs: Annotated[
        list[str], typer.Argument(metavar="LOG...", help="Log files of many homes (docs/logs.md), or their addresses.")
    ],
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Who it was, as `kithkin sample` writes truth.jsonl.")
    ] = None,
    figure: Annotated[str, typer.Option(metavar="NAME", help="What is to be bettered; docs/tune.md names all.")] = "cllr",
    trials: Annotated[int, typer.Option(min=1, max=100_000, help="Policies to try, those of earlier commands included.")] = 50,
    storage: Annotated[
        Path, typer.Option(metavar="FILE.db", help="What was tried; the same command goes on where it stood.")
    ] = Path("kithkin-tune.db"),
    out: Annotated[
        Path | None, typer.Option("--out", metavar="POLICY.toml", help="Write the winner here, if it is confirmed.")
    ] = None,
    confirm: Annotated[float, typer.Option(min=0.05, max=0.95, help="Share of the homes that are kept to confirm on.")] = 0.5,
    jobs: Annotated[
        int, typer.Option("--jobs", "-j", min=0, max=256, metavar="N", help="Policies that run at once; 0: one for each core.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another split of the homes, and other tries.")] = 0,
    policy: PolicyFile = None,
    wiring: WiringFile = None,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, for machines.")] = False,
    mlflow: Mlflow = None,
) -> None:
    """Find better settings for these homes, and confirm them on homes that they were not tuned on.

    SPACE.toml is a policy file in which a setting may be a range, {low = 0.99, high = 0.9999}, or {any = [1, 2, 3]}. Each try
    runs over the log by the worker that runs live, and is judged as `kithkin compare` does.

    What breaks an error budget that the live policy (--policy) holds is no winner, whatever else it betters.

    Stopped, it goes on when the command is given again. The same --seed and --jobs try the same.

    With --mlflow the winner is a run there, with its settings and figures on both parts of the homes.

    Exit code 0: the winner is confirmed. 1: nothing is, so nothing is picked, and nothing is written.
    """
    with faults_explained():
        from stream.contract.errors import ConfigError
        from stream.contract.settings import load_policy, load_wiring, toml_of

        try:
            from stream.offline.tune.space import read_space
            from stream.offline.tune.tuning import Task
            from stream.offline.tune.tuning import tune as run
        except ImportError:
            raise ConfigError("tune", None, "Optuna, which is not installed", 'pip install "kithkin[tune]"') from None
        from stream.offline.compare.ground import Ground
        from stream.offline.what_if.what_if import NOTHING

        tracker, tried = Tracker(mlflow) if mlflow else None, read_space(space, load_policy(policy))
        with logs_here(logs) as here, until_interrupted() as stop, _show_progress(trials) as watch:
            ground = Ground(here, load_wiring(wiring, store="memory:"), None, NOTHING)
            found = run(Task(tried, ground, figure, storage, truth, trials, confirm, seed, jobs), stop, watch)
        typer.echo(json.dumps(_record(found), ensure_ascii=False) if as_json else "\n".join(_lines(found)))
        if not found.finished:
            raise typer.Exit(EXIT_INTERRUPTED)
        if out is not None and found.winner is not None and found.is_confirmed:
            out.write_text(f"# found by kithkin tune, confirmed by {found.by}\n{toml_of(found.winner)}", "utf-8")
        if tracker:
            tracker.keep([_as_run(found)])
        if not found.is_confirmed:
            raise typer.Exit(EXIT_DIFFERENT)


def _lines(found: "Outcome") -> Iterator[str]:
    """What came of it, for people."""
    from stream.offline.compare.figures import FIGURES

    title = FIGURES[found.figure].title
    if not found.finished:
        yield f"{found.trials:,} policies were tried. The same command goes on from there."
        return
    by = "by truth" if found.by == "truth" else "by what people said"
    if found.winner is None or found.tuned is None or found.confirmed is None:
        yield f"Nothing is picked: of {found.trials:,} policies none holds the budgets that the live policy holds."
        return
    if found.is_confirmed:
        yield f"Confirmed: {title}, {by}, is better on homes that it was not tuned on."
    else:
        yield f"Nothing is picked: the best of {found.trials:,} policies is not confirmed on homes that it was not tuned on."
    yield ""
    yield f"{title:<28}{'live':>9}{'tuned':>9}   difference"
    yield f"  on {found.tuned.homes:,} homes to tune on".ljust(28) + _row(found.tuned)
    yield f"  on {found.confirmed.homes:,} homes to confirm on".ljust(28) + _row(found.confirmed)
    yield f"  lost from tuned to confirmed: {found.lost:.3g}"
    yield from (f"  it breaks the budget of {name.replace('_', ': ')}" for name in found.broken)
    yield ""
    yield "Its settings"
    yield from (f"  {name} = {f'{value:.6g}' if isinstance(value, float) else value}" for name, value in _values(found))


def _as_run(found: "Outcome") -> Tracked:
    """The winner as a run, for MLflow; without one, what was tried."""
    from stream.contract.settings import toml_of

    record = _record(found)
    figures = {part: record[part] for part in ("tuned", "confirmed") if record[part]}
    tags = {
        "kithkin.command": "tune", "kithkin.figure": found.figure, "kithkin.judged_by": found.by,
        "kithkin.confirmed": str(found.is_confirmed).lower(), "mlflow.note.content": next(_lines(found)),
    }  # fmt: skip
    texts = {"tune.json": json.dumps(record, ensure_ascii=False), "tune.txt": "\n".join(_lines(found))}
    settings: dict[str, Any] = {}
    if found.winner is not None:
        settings, texts["policy.toml"] = settings_of(found.winner), toml_of(found.winner)
    return Tracked(f"tune {found.figure}", settings, numbers_of(figures) | {"trials": found.trials}, tags, texts)


def _row(one: "Confirmation") -> str:
    from stream.offline.compare.sentences import span

    return f"{one.live:>9.4g}{one.winner:>9.4g}   {one.difference.value:+.3g} {span(one.difference)}"


def _values(found: "Outcome") -> list[tuple[str, Any]]:
    return sorted((found.values or {}).items())


def _record(found: "Outcome") -> dict[str, Any]:
    from math import isnan

    def number(value: float) -> float | None:
        return None if isnan(value) else value

    def of(one: "Confirmation | None") -> dict[str, Any] | None:
        if one is None:
            return None
        ends = {"low": number(one.difference.low), "high": number(one.difference.high)}
        return {"homes": one.homes, "live": one.live, "winner": one.winner, "difference": one.difference.value, **ends}

    winner = None if found.winner is None else {"policy_id": found.winner.policy_id, "settings": dict(_values(found))}
    return {
        "figure": found.figure, "by": found.by, "trials": found.trials, "finished": found.finished, "winner": winner,
        "tuned": of(found.tuned), "confirmed": of(found.confirmed), "is_confirmed": found.is_confirmed,
        "lost": found.lost if found.tuned else None, "broken": list(found.broken),
    }  # fmt: skip


@contextmanager
def _show_progress(trials: int) -> Iterator["Watch"]:
    """How many were tried, and the best so far; on a terminal alone."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("the live policy", total=trials)

        def watch(done: int, _total: int, best: float | None) -> None:
            bar.update(task, description="tried" if best is None else f"tried; best {best:.4g}", completed=done)

        yield watch
