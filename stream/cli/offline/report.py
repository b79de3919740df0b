"""`kithkin report`: a replay as a page to look at.

Law: what cannot be shown is told before anything is written.
"""

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from ..faults import faults_explained

__all__ = ["report"]


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help='What "kithkin replay" wrote; its logs are read again.')],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="The report: one HTML file; without: DIR/report.html.")
    ] = None,
    household: Annotated[
        list[str] | None,
        typer.Option("--household", metavar="ID", help="Only this one, or several; without: worst, alerted, busiest."),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option("--truth", metavar="FILE", help="Who it was, as `kithkin sample` writes truth.jsonl.")
    ] = None,
    open_report: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = False,
) -> None:
    """Draw a replay: how good its answers were and how surely, the worst homes, tiers against their budgets, what changed.

    Answers are judged by what people said, each as it stood before; or with --truth by who it was. Figures are of all homes;
    fifty at most have a card, with every answer drawn. What went wrong in the worst ten homes is taken apart, in nats.

    Every picture has its table, and every table its CSV. The page loads nothing from anywhere.
    """
    with faults_explained():
        from stream.offline.replay.report import replay_report

        page = replay_report(folder, out or folder / "report.html", household or (), truth)
    typer.echo(f"One file to open in any browser: {page}")
    if open_report:
        webbrowser.open(page.resolve().as_uri())
