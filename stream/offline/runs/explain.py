"""Why two runs differ: the fewest changes that explain every difference, found by making the homes that differ again.

Law: a policy key, a pack or the order of records is named because homes were made again with it and without; what programs the
runs were made by cannot be changed here, and is named by elimination alone: where the rest does not explain what was published.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stream.contract.records import Record

from ..replay.manifest import made_here
from .again import Again, outcome_of_run
from .changes import Change, changes_of, keys_of, made_otherwise, with_changes
from .difference import Difference, Run
from .least_set import least_set
from .published import home_of
from .sources import Given, find_policy, find_records, find_states

__all__ = ["Explanation", "explain"]


@dataclass(slots=True)
class Explanation:
    """What explains a difference.

    `causes` are the fewest changes that do; `idle` were made too, and are not needed. `programs` differ between the runs,
    and account for what is left, by elimination; `unexplained` says what nothing accounts for. `places` tell where the order
    differs. Of `homes` so many `records` were replayed in `runs`; there are `keys` that might have been changed.
    """

    causes: list[Change] = field(default_factory=list)
    idle: list[Change] = field(default_factory=list)
    programs: list[str] = field(default_factory=list)
    unexplained: str = ""
    places: list[str] = field(default_factory=list)
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
        least = least_set(len(changes), lambda chosen: known.get(chosen, False) or (bool(chosen) and outcome(chosen) == whole))
    found = Explanation(homes=len(homes), runs=again.runs, records=again.records, keys=keys_of(a.manifest, b.manifest))
    found.causes = [changes[index] for index in least]
    found.idle = [change for index, change in enumerate(changes) if index not in least]
    if any(change.kind == "order" for change in found.causes):
        found.places = list(_places(*orders))
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


def _places(a: Sequence[Record], b: Sequence[Record]) -> Iterator[str]:
    """Of each home whose records are in another order, where the orders part first."""
    by_home: tuple[dict[str, list[Record]], dict[str, list[Record]]] = ({}, {})
    for side, records in zip(by_home, (a, b), strict=True):
        for record in records:
            side.setdefault(home_of(record.key), []).append(record)
    for home, ours in sorted(by_home[0].items()):
        pairs = zip(ours, by_home[1].get(home, []), strict=False)
        parted = next(((one, other) for one, other in pairs if one != other), None)
        if parted:
            first, second = (f"{one.topic}[{one.partition}]@{one.offset}" for one in parted)
            yield f"{home}: {first} comes before {second} in A, and after it in B"
