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
        typer.Option("--household", metavar="ID", help="Only this one, or several; without: the fifty with the most answers."),
    ] = None,
    open_report: Annotated[bool, typer.Option("--open/--no-open", help="Open the report in the browser.")] = False,
) -> None:
    """Draw a replay: who was taken for whom and how surely, what people said, profiles, and what seemed to have changed.

    Nobody tells it the truth, so answers are not called right or wrong; feedback is shown beside them.
    """
    with faults_explained():
        from stream.offline.replay.report import replay_report

        page = replay_report(folder, out or folder / "report.html", household or ())
    typer.echo(f"One file to open in any browser: {page}")
    if open_report:
        webbrowser.open(page.resolve().as_uri())
