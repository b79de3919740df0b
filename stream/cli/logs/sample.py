"""`kithkin sample`: a small log to try everything on.

Law: nothing that stands there is overwritten.
"""

from pathlib import Path
from typing import Annotated

import typer

from ..faults import faults_explained

__all__ = ["sample"]


def sample(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to write log.jsonl and truth.jsonl.")],
    homes: Annotated[int, typer.Option(min=1, max=99, help="Households to simulate.")] = 3,
    days: Annotated[int, typer.Option(min=1, max=3650, help="Simulated days.")] = 14,
    seed: Annotated[int, typer.Option(min=0, help="Another seed is another neighbourhood; the same seed is the same.")] = 0,
) -> None:
    """Write a small simulated log, and who it really was at each of its events.

    The log is of the form that kithkin records itself; the truth is no input of anything, and for you to compare with.
    """
    with faults_explained():
        from stream.offline.simulation.sample import Sample, write_sample

        written = write_sample(Sample(homes, days, seed), folder)
    typer.echo(f"{written.log}: {written.records:,} records of {homes} homes; {written.truth}: {written.truths:,} truths.")
    typer.echo(f"Next: kithkin replay {written.log} --out {folder / 'answers'}")
