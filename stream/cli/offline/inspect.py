"""`kithkin inspect`: what is remembered of one household, in words.

Law: it looks and changes nothing, and shows no vector that was not asked for.
"""

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ..connection import wiring_in_force
from ..faults import faults_explained
from ..options import AsJson, Group, PolicyFile, Prefix, StoreUrl, WiringFile
from ..stored_home import StoredHome, find_home, unknown

if TYPE_CHECKING:
    from stream.contract.policy import Policy
    from stream.ops.inspection.views import HomeInspection

__all__ = ["inspect"]


def inspect(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The id of a household, such as h-042.")],
    store: StoreUrl = None,
    wiring: WiringFile = None,
    policy: PolicyFile = None,
    prefix: Prefix = None,
    group: Group = None,
    person: Annotated[str | None, typer.Option("--person", metavar="ID", help="Only this person of the household.")] = None,
    events: Annotated[int, typer.Option("--events", min=0, help="How many of the kept events to show.")] = 10,
    as_json: AsJson = False,
    embeddings: Annotated[
        bool, typer.Option("--embeddings", help="With the voice and face vectors that are kept: biometric data.")
    ] = False,
) -> None:
    """Show what is remembered of a household: who lives there, what is known of each, and its latest events.

    It reads the states that workers save, or those of a replay (--store FILE.db), and changes nothing.
    """
    with faults_explained():
        from stream.contract.settings import load_policy

        rules, wired = load_policy(policy), wiring_in_force(wiring, store=store, prefix=prefix, group=group)
        found = find_home(wired, household)
        inspection = _inspect_home(found, rules, person, embeddings)
        if as_json:
            typer.echo(json.dumps({"partition": found.partition, "left_out": found.left_out, **asdict(inspection)}, indent=2))
        else:
            _print(inspection, found.left_out, events)


def _inspect_home(found: StoredHome, policy: "Policy", person: str | None, embeddings: bool) -> "HomeInspection":
    from stream.ops.inspection.inspection import inspect_home

    home = found.decode(policy)
    try:
        return inspect_home(home, policy, len(found.state), person, embeddings)
    except KeyError:
        people = home.people
        raise unknown("--person", str(person), people, f"a person of {found.household}") from None


def _print(inspection: "HomeInspection", left_out: str | None, events: int) -> None:
    from rich.console import Console
    from rich.padding import Padding

    from stream.ops.inspection.texts import texts_of

    console = Console(highlight=False, markup=False)
    if left_out:
        console.print(f"Left out when it failed: {left_out}; its records are in dead-letters", style="bold red")
    for section in texts_of(inspection, events):
        console.print(section.title, style="bold cyan")
        for line in section.lines:
            if console.is_terminal:
                console.print(Padding(line, (0, 0, 0, 2)))
            else:  # one line stays one line, for `grep`
                console.print(f"  {line}", soft_wrap=True)
        console.print()
