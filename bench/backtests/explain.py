"""`python -m bench.backtests.explain`: plants changes in runs, and counts how many `kithkin diff --explain` names, and how.

    python -m bench.backtests.explain [--changes 50] [--homes 3] [--days 10] [--seed 1] [--json]

Planted are keys of the policy, each alone and in pairs, among others that have no effect; packs, alone and beside a key; borders
of batches; and constants of the code, alone and beside a key, such as are not compiled.

A change counts as named where exactly what was planted is named, and nothing else, by at most 2 log2 of the number of keys in
replays for each cause. Two keys are planted together only where neither of them alone explains what both do.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count, cycle, islice
from math import log2
from pathlib import Path
from typing import Final, NamedTuple
from unittest.mock import patch

import numpy as np

from stream.contract.packs import load_pack, write_pack
from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.home import publish
from stream.offline.replay import manifest
from stream.offline.runs.again import Again, outcome_of_run
from stream.offline.runs.difference import CompleteRun, difference_of
from stream.offline.runs.explain import explain
from stream.offline.runs.sources import Given
from stream.offline.simulation.records import neighbourhood
from tests.support.planted import a_run, batched, keys_that_can_change, policy_with

__all__ = ["Found", "Planted", "Planter", "Tally", "main"]

KINDS: Final = {"key": 20, "two keys": 10, "pack": 6, "border of a batch": 8, "constant": 6}  # of fifty
CONSTANTS: Final = (  # of the code, and what they become; what has no effect on the log is passed over
    ("stream.home.publish._SUPPORT", [names[::-1] for names in publish._SUPPORT]),
    ("stream.home.profiles.HABIT_SHARE_MIN", 0.3),
    ("stream.home.outputs.DECIMALS", 3),
    ("stream.home.events.HOUR_BIN_MS", 4 * 3_600_000),
)
CODE: Final = "stream/home"  # that they are part of
IDLE_MAX: Final = 6  # keys without effect that are changed too
SCALES: Final = (0.7, 1.5)  # of how far people lie apart
ORDER: Final = "order of the records"
NOTHING: Final = Given()
NO_PACKS: Final[Mapping[str, Path]] = {}

Key = tuple[str, ...]


class Planted(NamedTuple):
    """Two runs, what was planted in the second, as an explanation names it, and what it is."""

    kind: str
    named: frozenset[str]
    a: CompleteRun
    b: CompleteRun


class Found(NamedTuple):
    """What an explanation named, with its replays, and how many there may be."""

    planted: Planted
    named: frozenset[str]
    unexplained: str
    runs: int
    runs_max: float

    @property
    def right(self) -> bool:
        """Whether all that was planted was named, nothing else, and by few replays."""
        return self.named == self.planted.named and not self.unexplained and self.runs <= self.runs_max


@dataclass(slots=True)
class Tally:
    """Of one kind: how many were planted and named, and replays of each."""

    planted: int = 0
    named: int = 0
    runs: list[int] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)


class Planter:
    """Plants changes in runs of one log.

    Parameters
    ----------
    folder
        Of its own, for the runs.
    records
        The log.
    seed
        Of what is chosen.
    """

    def __init__(self, folder: Path, records: Sequence[Record], seed: int) -> None:
        self._folder, self._records, self._chance = folder, list(records), random.Random(seed)
        self._number = count()
        self._a = self._run(self._records)
        self._homes = sorted({record.key.decode() for record in records if record.key})
        self._outcome = outcome_of_run(self._a, self._homes)
        self._again = Again(self._a, self._homes, None, folder)
        works: dict[bool, list[Key]] = {True: [], False: []}
        for key in keys_that_can_change():
            works[self._of(key) != self._outcome].append(key)
        self.keys, self._idle = works[True], works[False]
        self._chance.shuffle(self.keys)

    def plant(self, changes: int) -> Iterator[Planted]:
        """So many changes, of each kind its share."""
        kinds = {"key": self._one_key, "two keys": self._two_keys, "pack": self._packs,
                 "border of a batch": self._borders, "constant": self._constants}  # fmt: skip
        left = changes
        for number, (kind, plants) in enumerate(kinds.items(), 1):
            share = left if number == len(kinds) else min(left, max(1, round(changes * KINDS[kind] / sum(KINDS.values()))))
            left -= share
            yield from islice(plants(), share)

    def _run(self, records: Sequence[Record], policy: Policy | None = None) -> CompleteRun:
        return a_run(records, self._folder / f"run-{next(self._number)}", policy)

    def _of(self, *keys: Key) -> object:
        return self._again.outcome(policy_with(*keys).model_dump(mode="json"), self._records)

    def _with(self, *keys: Key, packs: Mapping[str, Path] = NO_PACKS) -> CompleteRun:
        """A run with these changes, among others that have no effect beside them."""
        while True:
            idle = self._chance.sample(self._idle, min(len(self._idle), self._chance.randint(0, IDLE_MAX)))
            alone, among = (policy_with(*keys, *more).model_dump(mode="json") for more in ([], idle))
            for settings in (alone, among):
                for encoder, path in packs.items():
                    settings["encoders"][encoder]["pack"] = str(path)
            if self._again.outcome(alone, self._records) == self._again.outcome(among, self._records):
                return self._run(self._records, Policy.model_validate(among))

    def _one_key(self) -> Iterator[Planted]:
        for key in cycle(self.keys):
            yield Planted("key", frozenset({".".join(key)}), self._a, self._with(key))

    def _two_keys(self) -> Iterator[Planted]:
        while True:
            first, second = self._chance.sample(self.keys, 2)
            try:
                both = self._of(first, second)
            except ValueError:
                continue  # the two cannot be together
            if both not in (self._outcome, self._of(first), self._of(second)):
                yield Planted("two keys", frozenset({".".join(first), ".".join(second)}), self._a, self._with(first, second))

    def _packs(self) -> Iterator[Planted]:
        plain = Policy().encoders
        for number, encoder in enumerate(cycle(plain)):
            beside = [] if number < len(plain) * len(SCALES) else [self._chance.choice(self.keys)]
            pack = load_pack(plain[encoder].pack, plain[encoder].metric)
            scale = np.float32(SCALES[number // len(plain) % len(SCALES)])
            path = self._folder / f"pack-{number}.npz"
            write_pack(path, replace(pack, between=pack.between * scale), "a planted change")
            named = frozenset({encoder, *(".".join(key) for key in beside)})
            yield Planted("pack", named, self._a, self._with(*beside, packs={encoder: path}))

    def _borders(self) -> Iterator[Planted]:
        while True:
            polled = [(self._chance.randint(4, 20), self._chance.randint(1, 4)) for _ in range(12)]
            at, by = self._chance.randrange(len(polled) - 1), self._chance.randint(1, 3)
            moved = [*polled]
            by = min(by, polled[at][1])
            moved[at], moved[at + 1] = (polled[at][0], polled[at][1] - by), (polled[at + 1][0], polled[at + 1][1] + by)
            a, b = self._run(batched(self._records, polled)), self._run(batched(self._records, moved))
            if difference_of(a, b).differs:
                yield Planted("border of a batch", frozenset({ORDER}), a, b)

    def _constants(self) -> Iterator[Planted]:
        ours = manifest._code_of

        def other(room: str) -> str:
            return "0" * 64 if room == CODE else ours(room)

        for number, (constant, value) in enumerate(cycle(CONSTANTS)):
            beside = [] if number < len(CONSTANTS) else [self._chance.choice(self.keys)]
            with patch(constant, value), patch.object(manifest, "_code_of", other):
                b = self._with(*beside)
            if outcome_of_run(b, self._homes) != self._of(*beside):
                named = frozenset({f"code of kithkin in {CODE}", *(".".join(key) for key in beside)})
                yield Planted("constant", named, self._a, b)


def explained(planted: Planted) -> Found:
    """What `kithkin diff --explain` says of it."""
    found = explain(planted.a, planted.b, difference_of(planted.a, planted.b), NOTHING)
    named = frozenset({*(change.name for change in found.causes), *found.programs})
    causes = len(found.causes) + len(found.places)
    return Found(planted, named, found.unexplained, found.runs, max(1, causes) * 2 * log2(found.keys))


def tallied(found: Sequence[Found]) -> dict[str, Tally]:
    """By kind."""
    tallies: dict[str, Tally] = {}
    for one in found:
        tally = tallies.setdefault(one.planted.kind, Tally())
        tally.planted += 1
        tally.named += one.right
        tally.runs.append(one.runs)
        if not one.right:
            told = " + ".join(sorted(one.named)) or "nothing"
            tally.missed.append(f"{' + '.join(sorted(one.planted.named))}: {told} was named by {one.runs} replays")
    return tallies


def main() -> None:
    """Plant, explain, and tell what was named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--changes", type=int, default=sum(KINDS.values()))
    parser.add_argument("--homes", type=int, default=3)
    parser.add_argument("--days", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    told = parser.parse_args()
    records = [record for record in neighbourhood(homes=told.homes, days=told.days, seed=told.seed).records if record.key]
    found = []
    with tempfile.TemporaryDirectory(prefix="kithkin-planted-") as folder:
        planter = Planter(Path(folder), records, told.seed)
        print(f"{len(records):,} records; {len(planter.keys)} keys have an effect on them", file=sys.stderr)
        for number, planted in enumerate(planter.plant(told.changes), 1):
            found.append(explained(planted))
            say = "named" if found[-1].right else "NOT NAMED"
            print(f"{number} of {told.changes}: {planted.kind}: {say}, {found[-1].runs} replays", file=sys.stderr)
    tallies = tallied(found)
    if told.json:
        print(json.dumps({kind: [tally.planted, tally.named, tally.runs] for kind, tally in tallies.items()}))
    else:
        print("| planted | how many | named | replays each |\n| --- | ---: | ---: | ---: |")
        for kind, tally in tallies.items():
            print(f"| {kind} | {tally.planted} | {tally.named} | {min(tally.runs)} to {max(tally.runs)} |")
    missed = [why for tally in tallies.values() for why in tally.missed]
    print(*missed, sep="\n", end="\n" if missed else "", file=sys.stderr)
    raise SystemExit(bool(missed))


if __name__ == "__main__":
    main()
