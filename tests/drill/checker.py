"""What became of the load, against what was to become of it.

Law: everything is said once and nothing is left out, as far as can be told from outside; and outputs and states equal, byte
for byte, a serial run of the batches that the journal tells of. Only that run uses our code: the core and the codec.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stream.contract.ports import on_both
from stream.contract.records import Record

from .evidence import INPUTS, OUTPUTS, Evidence, Seen
from .serial import Serial

__all__ = ["Checker", "is_rubbish"]

_SHOWN: Final = 5  # complaints of one kind
_YEAR_2000_MS: Final = 946_684_800_000
_VALUE_BYTES_MAX: Final = 131_072


def is_rubbish(topic: str, seen: Seen) -> bool:
    """Whether nobody can read a record, by the contract alone and as far as the load goes."""
    try:
        value = json.loads(seen.value or b"")
        at = value["observed_at" if topic in ("recognitions", "sightings") else "given_at"]
    except (ValueError, KeyError, TypeError):
        return True
    whole = value["v"] == 1 and seen.key == value["household_id"].encode() and at >= _YEAR_2000_MS
    return not whole or len(seen.value or b"") > _VALUE_BYTES_MAX or " " in value.get("device_id", "")


@dataclass
class _Partition:
    """What is known of one partition so far."""

    number: int
    serial: Serial = field(default_factory=Serial)
    inputs: dict[str, list[Seen]] = field(default_factory=lambda: {topic: [] for topic in INPUTS})
    stands_at: dict[str, int] = field(default_factory=lambda: dict.fromkeys(INPUTS, 0))
    asked: set[tuple[str, str]] = field(default_factory=set)  # (household, event) of readable recognitions
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)  # revision 0
    revisions: Counter[tuple[Any, ...]] = field(default_factory=Counter)
    forgotten: set[str] = field(default_factory=set)  # households that were erased forget whom they have answered
    rubbish: set[tuple[str, int]] = field(default_factory=set)
    dead: Counter[tuple[str, int]] = field(default_factory=Counter)


class Checker:
    """Checks a cluster at rest, again and again; what was checked before is not read again.

    Parameters
    ----------
    evidence
        Where to look.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._partitions = [_Partition(number) for number in range(evidence.partitions)]
        self.batches = self.events = self.lost = self.twice = 0

    def check(self) -> list[str]:
        """What is wrong, in sentences; empty when all is well."""
        news, committed = self._evidence.news(), self._evidence.committed()
        complaints: list[str] = []
        self.lost = self.twice = 0
        for part in self._partitions:
            published = {topic: news[topic][part.number] for topic in OUTPUTS}
            entries = [json.loads(seen.value or b"") for seen in news["journal"][part.number]]
            self._take_inputs(part, {topic: news[topic][part.number] for topic in INPUTS})
            found = [*self._journal_faults(part, entries, committed[part.number])]
            found += [*self._answer_faults(part, published), *_dead_letter_faults(part, published["dead-letters"])]
            if not found:
                found = [*self._serial_faults(part, entries, published), *self._state_faults(part)]
            complaints += [f"partition {part.number}: {fault}" for fault in found]
        self.events = sum(len(part.inputs[topic]) for part in self._partitions for topic in INPUTS)
        return complaints

    def _take_inputs(self, part: _Partition, news: dict[str, list[Seen]]) -> None:
        for topic, records in news.items():
            part.inputs[topic] += records
            for seen in records:
                if is_rubbish(topic, seen):
                    part.rubbish.add((topic, seen.offset))
                    continue
                value = json.loads(seen.value or b"")
                if topic == "recognitions":
                    part.asked.add((value["household_id"], value["event_id"]))
                elif topic == "feedback" and value["kind"] == "erase" and value["person_id"] is None:
                    part.forgotten.add(value["household_id"])

    def _journal_faults(self, part: _Partition, entries: Sequence[dict[str, Any]], committed: dict[str, int]) -> Iterator[str]:
        """Every offset is in one batch, in order, up to the end of the inputs and to what is committed."""
        self.batches += len(entries)
        stands_at = part.stands_at
        for entry in entries:
            if on_both(entry["offsets_from"]) != on_both(stands_at):
                yield f"the journal goes on at {entry['offsets_from']}, the batch before ended at {stands_at}"
            held = sum(entry["offsets_to"][topic] - entry["offsets_from"][topic] for topic in INPUTS)
            if entry["count"] != held:
                yield f"a batch tells of {entry['count']} records, between its offsets are {held}"
            stands_at = entry["offsets_to"]
        part.stands_at = stands_at
        ends = {topic: len(part.inputs[topic]) for topic in INPUTS}
        for topic in INPUTS:
            if part.inputs[topic] and part.inputs[topic][-1].offset != ends[topic] - 1:
                yield f"{topic} has gaps, so that offsets cannot be counted"
        if not on_both(stands_at) == on_both(ends) == on_both(committed):
            yield f"the journal ends at {stands_at}, the inputs at {ends}, committed is {committed}"

    def _answer_faults(self, part: _Partition, published: dict[str, list[Seen]]) -> Iterator[str]:
        """Each recognition has one answer of revision 0, and no revision was given twice."""
        for seen in published["identities"]:
            answer = json.loads(seen.value or b"")
            event = answer["household_id"], answer["event_id"]
            part.answers[event] += answer["revision"] == 0
            part.revisions[(*event, answer["revision"], *answer["cause"].values())] += 1
        lost = [event for event in part.asked if not part.answers[event]]
        twice = [one for one, times in part.answers.items() if times > 1 and one[0] not in part.forgotten]
        again = [one for one, times in part.revisions.items() if times > 1]
        unasked = [event for event in part.answers if event not in part.asked]
        self.lost += len(lost)
        self.twice += len(twice) + len(again)
        yield from _some("never answered", lost)
        yield from _some("answered more than once", twice)
        yield from _some("published more than once", again)
        yield from _some("answered and never asked", unasked)

    def _serial_faults(
        self, part: _Partition, entries: Sequence[dict[str, Any]], published: dict[str, list[Seen]]
    ) -> Iterator[str]:
        """The outputs are those of a serial run."""
        serial = part.serial
        for entry in entries:
            records = [
                Record(topic, part.number, seen.offset, seen.timestamp, seen.key, seen.value)
                for topic in INPUTS
                for seen in part.inputs[topic][entry["offsets_from"][topic] : entry["offsets_to"][topic]]
            ]
            serial.batch(records)
        expected: dict[str, list[tuple[bytes | None, bytes | None]]] = defaultdict(list)
        for output in serial.take_outputs():
            expected[output.topic].append((output.key, output.value))
        for topic in OUTPUTS:
            actual = [(seen.key, seen.value) for seen in published[topic]]
            if len(actual) != len(expected[topic]):
                yield f"{topic} has {len(actual)} new records, a serial run makes {len(expected[topic])}"
            for number, (one, other) in enumerate(zip(expected[topic], actual, strict=False)):
                if one != other:
                    yield f"{topic}: new record {number} is {other}, a serial run makes {one}"
                    break

    def _state_faults(self, part: _Partition) -> Iterator[str]:
        """The states are those of a serial run, and stand where the journal ends."""
        states = self._evidence.states(part.number)
        if on_both(states.offsets) != on_both(part.stands_at):
            yield f"the states stand at {states.offsets}, the journal ends at {part.stands_at}"
        expected = part.serial.states()
        yield from _some("without a state", expected.keys() - states.homes.keys())
        yield from _some("with a state that should not be", states.homes.keys() - expected.keys())
        differing = [household for household, state in expected.items() if states.homes.get(household, state) != state]
        yield from _some("with a state that differs", differing)


def _dead_letter_faults(part: _Partition, letters: Sequence[Seen]) -> Iterator[str]:
    """The dead letters are the rubbish, each once."""
    for seen in letters:
        letter = json.loads(seen.value or b"")
        part.dead[letter["topic"], letter["offset"]] += 1
    yield from _some("dead letters twice", [place for place, times in part.dead.items() if times > 1])
    yield from _some("rubbish without a dead letter", part.rubbish - part.dead.keys())
    yield from _some("dead letters that are no rubbish", part.dead.keys() - part.rubbish)


def _some(what: str, found: Any) -> Iterator[str]:
    ordered = sorted(found, key=repr)
    if ordered:
        yield f"{len(ordered)} {what}, such as {', '.join(map(repr, ordered[:_SHOWN]))}"
