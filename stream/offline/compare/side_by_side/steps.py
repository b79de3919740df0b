"""Records brought to the homes of all policies: to one of them where they agree, and to each where they do not.

Law: what each policy answers, and the state of each of its homes, is what a replay under it alone has, to the byte.

Theory of operation: of the policies that agree in a home, the first steps for all. At the record that parts them, each of the
others takes the home over as it then stands at rest. A batch is done in rounds, so that what parts the policies of a home is
stepped after all that came before it; a home with no such record in the batch has one round.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import Record
from stream.runtime.worker.home_cache import Origin

from ...policies.agreement import Agreement, Group
from ..answered import JUDGED_TOPICS, Gathering, Part
from ..questions import Questions
from .homes import Decoder, PolicyHomes, codec_of

__all__ = ["Home", "Outcome", "SideBySide", "Signal", "Steps"]

_SIGNALS: Final = "drift-signals"
Home = tuple[int, bytes | None]  # by partition and key


class Signal(NamedTuple):
    """A drift-signal, and what it is sorted by: in this order a replay writes them."""

    batch: int
    partition: int
    number: int
    value: bytes


@dataclass(slots=True)
class Steps:
    """What it took: records, how many of them were stepped once for several policies, and steps of all policies.

    `apart`: how many steps it would be, each policy by itself.
    """

    records: int = 0
    shared: int = 0
    taken: int = 0
    apart: int = 0

    def add_homes(self, other: "Steps") -> None:
        """Those of other homes too."""
        self.records += other.records
        self.shared += other.shared
        self.taken += other.taken
        self.apart += other.apart

    def add_policies(self, other: "Steps") -> None:
        """Those of other policies too, over the same records: as many as were shared by either are shared at least."""
        self.records = other.records
        self.shared = max(self.shared, other.shared)
        self.taken += other.taken
        self.apart += other.apart


class Outcome(NamedTuple):
    """Of some homes: by policy what was gathered and the signals; and the steps that it took."""

    parts: list[Part]
    signals: list[list[Signal]]
    steps: Steps


class _Placed(NamedTuple):
    """A record on its way: its number in the batch, and for whom it is stepped."""

    number: int
    record: Record
    group: Group


@dataclass(slots=True)
class _Round:
    """A part of a batch: first who takes homes over from whom, then records by who steps them and partition."""

    parted: list[tuple[Record, int, int]] = field(default_factory=list)  # a record of the home, from and to
    records: defaultdict[tuple[int, int], list[_Placed]] = field(default_factory=lambda: defaultdict(list))


def _name_of(key: bytes | None) -> str:
    """The household of which records with this key are, if any can be."""
    return (key or b"").decode(errors="replace")


class SideBySide:
    """Some homes under all policies.

    Parameters
    ----------
    policies
        No two with one core.
    first
        The states that homes begin with.
    questions
        What is judged.
    bytes_max
        Memory for live homes.
    shared
        Whether what policies agree on is stepped once; it changes no byte.
    """

    def __init__(
        self, policies: Sequence[Policy], first: Origin, questions: Questions, bytes_max: int, shared: bool = True
    ) -> None:
        self._agreement, self._first = Agreement(policies), first
        self._shared, self._apart = shared, tuple((number,) for number in range(len(policies)))
        self._groups: dict[Home, tuple[Group, ...]] = {}
        self._decoders: dict[tuple[object, ...], Decoder] = {}
        self.homes = [
            PolicyHomes(policy, first, bytes_max // len(policies), self._decoders.setdefault(codec_of(policy), Decoder()))
            for policy in policies
        ]
        self._gathered = [Gathering(questions) for _ in policies]
        self._signals: list[list[Signal]] = [[] for _ in policies]
        self._steps, self._batches = Steps(), 0

    def apply(self, records: Sequence[tuple[int, Record]]) -> None:
        """The next batch: of these homes its records, with their numbers in it."""
        for each in self._rounds(records):
            for record, stepped, takes_over in each.parted:
                self.homes[takes_over].take_over(record.partition, _name_of(record.key), self.homes[stepped])
            for (stepped, partition), placed in each.records.items():
                settled = self.homes[stepped].apply(partition, [one.record for one in placed])
                for one, came in zip(placed, settled, strict=True):
                    for output in came.outputs:
                        self._gather(one, output)
        for decoder in self._decoders.values():
            decoder.clear()
        self._batches += 1

    def states(self, policy: int) -> dict[Home, bytes]:
        """The homes that had a record, as they stand at rest under a policy, by number."""
        found = {}
        for home, groups in self._groups.items():
            stepped = next(group[0] for group in groups if policy in group)
            found[home] = self.homes[stepped].states.get((home[0], _name_of(home[1])))
        return {home: raw for home, raw in found.items() if raw is not None}

    def outcome(self) -> Outcome:
        """What came of it so far."""
        return Outcome([gathered.part() for gathered in self._gathered], self._signals, self._steps)

    def _rounds(self, records: Sequence[tuple[int, Record]]) -> Sequence[_Round]:
        rounds, at = [_Round()], dict[Home, int]()  # of homes that are beyond the first round
        for number, record in records:
            home = record.partition, record.key
            before = self._groups_of(record)
            groups = self._agreement.after(before, record)
            if groups is not before:
                at[home] = at.get(home, 0) + 1
                if at[home] == len(rounds):
                    rounds.append(_Round())
                steppers = {one: group[0] for group in before for one in group}
                rounds[at[home]].parted += [(record, steppers[own], own) for own, *_ in groups if steppers[own] != own]
                self._groups[home] = groups
            each = rounds[at.get(home, 0)]
            for group in groups:
                each.records[group[0], record.partition].append(_Placed(number, record, group))
            self._steps.taken += len(groups)
            self._steps.shared += len(groups) < len(self.homes)
        self._steps.records += len(records)
        self._steps.apart += len(records) * len(self.homes)
        return rounds

    def _groups_of(self, record: Record) -> tuple[Group, ...]:
        """The policies of a record's home, by who agree until then."""
        home = record.partition, record.key
        found = self._groups.get(home)
        if found is None:
            household = _name_of(record.key)
            raw = self._first.load(record.partition, [household]).get(household) if self._shared else None
            at_first = self._agreement.at_first if self._shared else self._apart
            found = self._groups[home] = at_first if raw is None else self._agreement.with_state(raw)
        return found

    def _gather(self, one: _Placed, output: Encoded) -> None:
        if output.value is None:
            return
        if output.topic in JUDGED_TOPICS:
            published = JUDGED_TOPICS[output.topic].decode(output.value)
            for policy in one.group:
                self._gathered[policy].take(published)
        elif output.topic == _SIGNALS:
            signal = Signal(self._batches, output.partition, one.number, output.value)
            for policy in one.group:
                self._signals[policy].append(signal)
