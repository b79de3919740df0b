"""Why two runs differ: the fewest changes that explain every difference, found by making the homes that differ again.

Law: a policy key, a pack or the order of records is named because homes were made again with it and without; what programs the
runs were made by cannot be changed here, and is named by elimination alone: where the rest does not explain what was published.
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stream.contract.errors import Incomparable

from ..replay.manifest import describe_program
from .again import Again, alerts_of_run, alerts_under, outcome_of_run
from .changes import Change, changes_of, find_made_otherwise, keys_of, with_changes
from .difference import CompleteRun, Difference
from .least_set import least_set
from .order import by_home, mix, place_of, stretches
from .published import Outcome
from .sources import Given, find_policy, find_records, find_states

__all__ = ["Explanation", "explain"]

_TRIED: Final = 8  # homes that most replays are of
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


def explain(a: CompleteRun, b: CompleteRun, difference: Difference, given: Given) -> Explanation:
    """Name the causes of a difference between two runs of the same records.

    Raises
    ------
    Incomparable
        A log, a pack or the first states are not to be found, or are others; or a policy cannot be here.
    """
    with tempfile.TemporaryDirectory(prefix="kithkin-") as folder:
        search = _Search((a, b), difference, given, Path(folder))
        causes = search.causes()
        found = Explanation(homes=len(search.homes), keys=keys_of(a.manifest, b.manifest))
        found.causes = [search.changes[index] for index in causes]
        found.idle = [change for index, change in enumerate(search.changes) if index not in causes]
        if any(change.kind == "order" for change in found.causes):
            search.narrow(found)
        found.runs, found.records = search.runs, search.records
    if not all(search.reproduced):
        _by_elimination(found, (a, b), search.reproduced)
    return found


class _Search:
    """Replays of the homes that differ: `runs` of them, of so many `records`; `reproduced`: whether run A and B came out again.

    Most replays are of the few homes that differ most. What explains those is tried on all, until there is none left. Alerts are
    made of the signals that there are then, without a replay.
    """

    def __init__(self, runs: tuple[CompleteRun, CompleteRun], difference: Difference, given: Given, folder: Path) -> None:
        self.changes, self.homes = changes_of(runs[0].manifest, runs[1].manifest), difference.homes
        self._counts = sum((topic.homes for topic in difference.topics), Counter[str]())
        self._policies = find_policy(runs[0], given), find_policy(runs[1], given)
        of_a = find_records(runs[0], given, self.homes)
        self._orders = of_a, find_records(runs[1], given, self.homes) if self._has_order(self.changes) else of_a
        self._wanted = [(outcome_of_run(run, self.homes), alerts_of_run(run)) for run in runs]
        self._again = Again(runs[0], self.homes, find_states(runs, given), folder)
        self._agains = [self._again]
        self.reproduced = [True, True]

    @property
    def runs(self) -> int:
        return sum(again.runs for again in self._agains)

    @property
    def records(self) -> int:
        return sum(again.records for again in self._agains)

    def causes(self) -> list[int]:
        """The fewest changes that explain what comes of all of them, as far as that can be made here."""
        none, none_alerts = self._whole(frozenset())
        every = frozenset(range(len(self.changes)))
        whole, alerts = self._whole(every) if every else (none, none_alerts)
        signals = self._signals
        self.reproduced = [(none, none_alerts) == self._wanted[0], (whole, alerts) == self._wanted[1]]
        known = {frozenset[int](): none, every: whole}
        differing = sorted({home for _, home in _apart(none, whole)}, key=lambda home: (-self._counts[home], home))
        tried, causes = differing[:_TRIED], list[int]()
        while tried:
            causes = self._of_some(tried, known)
            chosen = frozenset(causes)
            if chosen not in known and len(tried) < len(self.homes):
                known[chosen] = self._make(self._again, chosen) or {}
            left = sorted({home for _, home in _apart(known.get(chosen, whole), whole)} - {*tried})
            if not left:
                break
            tried += left[:_TRIED]
        rest = [index for index in sorted(every) if index not in causes]

        def explains(chosen: frozenset[int]) -> bool:
            return alerts_under(self._policy({*causes, *(rest[index] for index in chosen)}), signals) == alerts

        return sorted([*causes, *(rest[index] for index in least_set(len(rest), explains))])

    def narrow(self, found: Explanation) -> None:
        """Find out, home by home, which stretches of another order matter once all other causes are there."""
        policy = with_changes(*self._policies, found.causes)
        sides = [by_home(order) for order in self._orders]
        parted = {home: some for home, ours in sides[0].items() if (some := stretches(ours, sides[1][home]))}
        found.ordered, found.narrowed = len(parted), min(len(parted), _NARROWED)
        for home, some in sorted(parted.items())[:_NARROWED]:
            ours, theirs, again = sides[0][home], sides[1][home], self._again.of([home])
            self._agains.append(again)
            whole = again.outcome(policy, theirs)

            def explains(chosen: frozenset[int]) -> bool:
                order = mix(ours, theirs, [some[index] for index in chosen])  # noqa: B023
                return again.outcome(policy, order) == whole  # noqa: B023

            found.places += (place_of(ours, theirs, some[index]) for index in least_set(len(some), explains))

    def _of_some(self, homes: list[str], known: Mapping[frozenset[int], Outcome]) -> list[int]:
        """The fewest changes that explain these homes."""
        again = self._again.of(homes)
        self._agains.append(again)
        whole = _part(known[frozenset(range(len(self.changes)))], homes)

        def explains(chosen: frozenset[int]) -> bool:
            made = _part(known[chosen], homes) if chosen in known else self._make(again, chosen)
            return made == whole

        return least_set(len(self.changes), explains)

    def _whole(self, chosen: frozenset[int]) -> tuple[Outcome, Outcome]:
        """What all homes that differ come to, and the alerts."""
        made = self._make(self._again, chosen) if self.homes else {}
        self._signals = self._again.signals()
        alerts = alerts_under(self._policy(chosen), self._signals)
        if made is None or alerts is None:
            raise Incomparable("The policy of one of the runs cannot be in this version of kithkin. Explain it by the other one")
        return made, alerts

    def _make(self, again: Again, chosen: Collection[int]) -> Outcome | None:
        order = self._orders[self._has_order(self.changes[index] for index in chosen)]
        return again.outcome(self._policy(chosen), order)

    def _policy(self, chosen: Collection[int]) -> dict[str, Any]:
        return with_changes(*self._policies, (self.changes[index] for index in chosen))

    @staticmethod
    def _has_order(changes: Iterable[Change]) -> bool:
        return any(change.kind == "order" for change in changes)


def _apart(a: Outcome, b: Outcome) -> set[tuple[str, str]]:
    """Topics and homes of which two runs published something else."""
    return {place for place in {**a, **b} if a.get(place) != b.get(place)}


def _part(outcome: Outcome, homes: Collection[str]) -> Outcome:
    return {place: digest for place, digest in outcome.items() if place[1] in homes}


def _by_elimination(found: Explanation, runs: tuple[CompleteRun, CompleteRun], reproduced: Sequence[bool]) -> None:
    """Name the programs, where homes made again by those that are here are not what a run published."""
    made = [run.manifest.made for run in runs]
    found.programs = find_made_otherwise(*made)
    if found.programs:
        return
    lost = [run for run, again in zip(runs, reproduced, strict=True) if not again]
    named = " and ".join(str(run.folder) for run in lost)
    here = find_made_otherwise(made[0], describe_program())
    if here:
        why = f"here are other programs than those that made it ({'; '.join(here)})"
        found.unexplained = f"{named} cannot be made again: {why}. Explain it where it was made"
    else:
        found.unexplained = f"{named} cannot be made again by the same programs, so nothing that manifests tell explains it"
