"""`kithkin inspect`: what is remembered of one household, in words.

Law: it looks and changes nothing, and shows no vector that was not asked for.
"""

import difflib
import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, NamedTuple

import typer

from ..connection import wiring_in_force
from ..faults import faults_explained
from ..options import Group, PolicyFile, Prefix, StoreUrl, WiringFile

if TYPE_CHECKING:
    from stream.contract.policy import Policy
    from stream.contract.ports import StateStore
    from stream.contract.settings import Wiring
    from stream.ops.inspection.views import HomeInspection

__all__ = ["inspect"]

_COMPARED_MAX: Final = 20_000  # ids that an unknown one is compared with: enough for a slip of the pen, and quick
_NEAREST_MAX: Final = 5


def inspect(
    household: Annotated[str, typer.Argument(metavar="HOUSEHOLD", help="The id of a household, such as h-042.")],
    store: StoreUrl = None,
    wiring: WiringFile = None,
    policy: PolicyFile = None,
    prefix: Prefix = None,
    group: Group = None,
    person: Annotated[str | None, typer.Option("--person", metavar="ID", help="Only this person of the household.")] = None,
    events: Annotated[int, typer.Option("--events", min=0, help="How many of the kept events to show.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="All of it as one JSON object, for machines.")] = False,
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
        found = _find(wired, household)
        inspection = _inspect_home(found, rules, person, embeddings)
        if as_json:
            typer.echo(json.dumps({"partition": found.partition, "left_out": found.left_out, **asdict(inspection)}, indent=2))
        else:
            _print(inspection, found.left_out, events)


class _Found(NamedTuple):
    """A household's state, its partition, and why it was left out of the last batches, if it was."""

    household: str
    partition: int
    state: bytes
    left_out: str | None


def _find(wiring: "Wiring", household: str) -> _Found:
    from stream.contract.settings import store_of
    from stream.stores import open_store

    with closing(open_store(_existing(store_of(wiring)), wiring)) as store:
        for partition in store.partitions():
            state = store.load(partition, [household]).get(household)
            if state is not None:
                return _Found(household, partition, state, _why_left_out(store, partition, household))
        raise _unknown("HOUSEHOLD", household, list(islice(_all_households(store), _COMPARED_MAX)), "a household with a state")


def _existing(url: str) -> str:
    """The same, unless it is a file that is not there, which to open would make."""
    from stream.contract.errors import ConfigError

    if "://" not in url and not Path(url).exists():
        raise ConfigError("store", url, "a file that does not exist", "the --store of a replay, or the Redis of workers")
    return url


def _why_left_out(store: "StateStore", partition: int, household: str) -> str | None:
    from stream.runtime.worker.quarantine import QUARANTINE, Quarantine

    stored = store.load(partition, [QUARANTINE]).get(QUARANTINE)
    return None if stored is None else Quarantine.decode(stored).households.get(household)


def _all_households(store: "StateStore") -> Iterator[str]:
    return (household for partition in store.partitions() for household in store.households(partition))


def _unknown(key: str, name: str, known: Sequence[str], wanted: str) -> Exception:
    from stream.contract.errors import ConfigError

    near = difflib.get_close_matches(name, known, n=_NEAREST_MAX, cutoff=0.5) or known[:_NEAREST_MAX]
    right = f"{wanted}, such as {', '.join(near)}" if near else f"{wanted}, and there is none"
    return ConfigError(key, name, "which is unknown", right)


def _inspect_home(found: _Found, policy: "Policy", person: str | None, embeddings: bool) -> "HomeInspection":
    from stream.contract.ports import StoreError
    from stream.home.state.at_rest import decode_home
    from stream.ops.inspection.inspection import inspect_home

    try:
        home = decode_home(found.state, policy)
    except ValueError as error:
        raise StoreError(f"the state of {found.household} cannot be read: {error}") from error
    try:
        return inspect_home(home, policy, len(found.state), person, embeddings)
    except KeyError:
        people = home.people
        raise _unknown("--person", str(person), people, f"a person of {found.household}") from None


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
