"""Why two runs differ: the fewest changes that explain every difference, found by making the homes that differ again.

Law: a policy key, a pack or the order of records is named because homes were made again with it and without; what programs the
runs were made by cannot be changed here, and is named by elimination alone: where the rest does not explain what was published.
"""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stream.contract.records import Record

from ..replay.manifest import made_here
from .again import Again, outcome_of_run
from .changes import Change, changes_of, keys_of, made_otherwise, with_changes
from .difference import Difference, Run
from .least_set import least_set
from .order import by_home, mixed, place_of, stretches
from .published import ALERTS, Outcome
from .sources import Given, find_policy, find_records, find_states

__all__ = ["Explanation", "explain"]

_NARROWED: Final = 8  # homes of which it is found out where exactly the order matters: as many as are told


@dataclass(slots=True)
class Explanation:
    """What explains a difference.

    `causes` are the fewest changes that do; `idle` were made too, and are not needed. `programs` differ between the runs,
    and account for what is left, by elimination; `unexplained` says what nothing accounts for.

    `places` tell where it matters that the order differs, in the first `narrowed` of the `ordered` homes in which it does.

    Of `homes` so many `records` were replayed in `runs`; there are `keys` that might have been changed.
    """

    causes: list[Change] = field(default_factory=list)
    idle: list[Change] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    unexplained: str = ""
    places: list[str] = field(default_factory=list)
    ordered: int = 0
    narrowed: int = 0
    homes: int = 0
    runs: int = 0
    records: int = 0
    keys: int = 0


def explain(a: Run, b: Run, difference: Difference, given: Given) -> Explanation:
    """Name the causes of a difference between two runs of the same records.

    Raises
    ------
    Incomparable
        A log, a pack or the first states are not to be found, or are others.
    """
    changes, homes = changes_of(a.manifest, b.manifest), difference.homes
    policies = find_policy(a, given), find_policy(b, given)
    ordered = any(change.kind == "order" for change in changes)
    of_a = find_records(a, given, homes)
    orders = of_a, find_records(b, given, homes) if ordered else of_a
    wanted = outcome_of_run(a, homes), outcome_of_run(b, homes)
    with tempfile.TemporaryDirectory(prefix="kithkin-") as folder:
        again = Again(a, homes, find_states((a, b), given), Path(folder))

        def outcome(chosen: frozenset[int]) -> object:
            some = [changes[index] for index in chosen]
            order = orders[any(change.kind == "order" for change in some)]
            return again.outcome(with_changes(*policies, some), order)

        none, whole = outcome(frozenset()), outcome(frozenset(range(len(changes))))
        known = {frozenset[int](): none == whole}
        least = least_set(len(changes), lambda chosen: known[chosen] if chosen in known else outcome(chosen) == whole)
        found = Explanation(homes=len(homes), runs=again.runs, records=again.records, keys=keys_of(a.manifest, b.manifest))
        found.causes = [changes[index] for index in least]
        found.idle = [change for index, change in enumerate(changes) if index not in least]
        if any(change.kind == "order" for change in found.causes):
            _narrow(found, again, with_changes(*policies, found.causes), orders)
    if (none, whole) != wanted:
        _by_elimination(found, (a, b), none == wanted[0], whole == wanted[1])
    return found


def _by_elimination(found: Explanation, runs: tuple[Run, Run], a_again: bool, b_again: bool) -> None:
    """Name the programs, where homes made again by those that are here are not what a run published."""
    made = [run.manifest.made for run in runs]
    found.programs = made_otherwise(*made)
    if found.programs:
        return
    lost = [run for run, again in zip(runs, (a_again, b_again), strict=True) if not again]
    named = " and ".join(str(run.folder) for run in lost)
    here = made_otherwise(made[0], made_here())
    if here:
        why = f"here are other programs than those that made it ({'; '.join(here)})"
        found.unexplained = f"{named} cannot be made again: {why}. Explain it where it was made"
    else:
        found.unexplained = f"{named} cannot be made again by the same programs, so nothing that manifests tell explains it"


def _narrow(found: Explanation, again: Again, policy: Any, orders: Sequence[Sequence[Record]]) -> None:
    """Find out, home by home, which stretches of another order matter once all other causes are there."""
    sides = [by_home(order) for order in orders]
    parted = {home: some for home, ours in sides[0].items() if (some := stretches(ours, sides[1][home]))}
    found.ordered, found.narrowed = len(parted), min(len(parted), _NARROWED)
    for home, some in sorted(parted.items())[:_NARROWED]:
        ours, theirs = sides[0][home], sides[1][home]
        alone = again.of_one(home)
        whole = _of_home(alone.outcome(policy, theirs))

        def explains(chosen: frozenset[int]) -> bool:
            order = mixed(ours, theirs, [some[index] for index in chosen])  # noqa: B023
            return _of_home(alone.outcome(policy, order)) == whole  # noqa: B023

        found.places += (place_of(ours, theirs, some[index]) for index in least_set(len(some), explains))
        found.runs += alone.runs
        found.records += alone.records


def _of_home(outcome: Outcome | None) -> Outcome:
    return {place: digest for place, digest in (outcome or {}).items() if place[0] != ALERTS}
