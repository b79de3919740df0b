"""`kithkin diff`: whether two replays say the same, and if not, why.

Law: the same is exit code 0, different is 1, what cannot be compared is 3; neither run is changed.
"""

import json
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..faults import EXIT_DIFFERENT, faults_explained

if TYPE_CHECKING:
    from stream.offline.runs.difference import CompleteRun, Difference
    from stream.offline.runs.explain import Explanation

__all__ = ["diff"]


def diff(
    a: Annotated[Path, typer.Argument(metavar="RUN_A", help='What "kithkin replay" wrote.')],
    b: Annotated[Path, typer.Argument(metavar="RUN_B", help="The same of another policy, pack, order or version.")],
    explain: Annotated[
        bool, typer.Option("--explain", help="Name the cause, by replaying the homes that differ with less changed.")
    ] = False,
    logs: Annotated[
        list[str] | None,
        typer.Option("--logs", metavar="LOG", help="To explain: a log that the runs were made of, or several; without: found."),
    ] = None,
    packs: Annotated[
        list[Path] | None,
        typer.Option("--pack", metavar="FILE.npz", help="To explain: a pack of either run, or several; without: found."),
    ] = None,
    origin: Annotated[
        Path | None,
        typer.Option("--from", metavar="STATE.db", help="To explain: the states that the runs began with; without: found."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, for machines.")] = False,
) -> None:
    """Compare two replays of the same records: by output topic how many records differ, of which homes, and by how much.

    Exit code 0: they say the same. 1: they do not. 3: they cannot be compared, and it says why.

    The id of the policy, by which all outputs of another policy differ, is passed over.

    With --explain it names the fewest changes that explain every difference: keys of the policy, packs, the order of records.

    Versions of programs and our own code cannot be changed here; they are named when nothing else explains what is left.
    """
    with faults_explained():
        from stream.offline.runs.difference import difference_of, read_run
        from stream.offline.runs.explain import explain as explained
        from stream.offline.runs.sources import Given

        runs = read_run(a), read_run(b)
        difference = difference_of(*runs)
        wanted = explain and difference.differs > 0
        with _announce_wait(wanted):
            found = explained(*runs, difference, Given(logs or (), packs or (), origin)) if wanted else None
        if as_json:
            _print_json(difference, found)
        else:
            _print(runs, difference, found)
    if difference.differs:
        raise typer.Exit(EXIT_DIFFERENT)


def _announce_wait(long: bool) -> AbstractContextManager[object]:
    """Say on a terminal that it takes a while, if it does."""
    from rich.console import Console

    console = Console(stderr=True)
    return console.status("Replaying the homes that differ …") if long and console.is_terminal else nullcontext()


def _print(runs: "tuple[CompleteRun, CompleteRun]", difference: "Difference", found: "Explanation | None") -> None:
    from rich.console import Console

    from stream.offline.runs.changes import changes_of, find_made_otherwise

    from ..difference import difference_table, difference_told, explanation_told

    manifests = [run.manifest for run in runs]
    changed = [*map(str, changes_of(*manifests)), *find_made_otherwise(*(manifest.made for manifest in manifests))]
    if not difference.differs:
        same = sum(topic.same for topic in difference.topics)
        typer.echo(f"They say the same: {same:,} records.")
    else:
        Console(highlight=False).print(difference_table(difference))
        for line in difference_told(difference):
            typer.echo(line)
    if found is not None:
        typer.echo()
        for line in explanation_told(found):
            typer.echo(line)
    elif changed:
        typer.echo(f"What the runs were made of differs in:{''.join(f'{chr(10)}  {told}' for told in changed)}")
        if difference.differs:
            typer.echo("Which of that it is: --explain")


def _print_json(difference: "Difference", found: "Explanation | None") -> None:
    from ..difference import difference_json, explanation_json

    told = difference_json(difference)
    if found is not None:
        told["explanation"] = explanation_json(found)
    typer.echo(json.dumps(told, ensure_ascii=False))
