"""The runtime's promise, written out plainly and slowly: one batch after the other, one event after the other, no faults.

It shares the core and the codec with the worker and nothing else.
"""

import json
from collections import Counter
from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any

from stream.brokers import MemoryLog
from stream.contract.codec import decode, encode_output
from stream.contract.policy import Policy
from stream.contract.ports import Encoded, StateStore, on_both
from stream.contract.reading import RECOGNITIONS
from stream.contract.records import (
    INPUT_TOPICS,
    OUTPUT_TOPICS,
    Erase,
    Event,
    InvalidRecord,
    Journal,
    Output,
    Record,
    dead_letter,
)
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import Household
from stream.home.step import Step

__all__ = ["Serial", "check"]

StepFunction = Callable[[Household, Event, Policy], Step]


def check(log: MemoryLog, store: StateStore, policy: Policy, stepping: StepFunction) -> Sequence[str]:
    """What is wrong with what became of a log, in sentences; empty when it equals a serial run of its journal."""
    complaints: list[str] = []
    for partition in range(log.partitions):
        found = [*_journal_faults(log, partition), *_answer_faults(log, partition, policy)]
        if not found:
            found = list(_serial_faults(log, store, partition, policy, stepping))
        complaints.extend(f"partition {partition}: {fault}" for fault in found)
    return complaints


def _journal_faults(log: MemoryLog, partition: int) -> Iterator[str]:
    """The journal has every offset once, in order, up to the end of the log and to what is committed."""
    stands_at, epoch = dict.fromkeys(INPUT_TOPICS, 0), 0
    for number, entry in enumerate(log.journal(partition)):
        if entry.offsets_from != stands_at:
            yield f"batch {number} begins at {entry.offsets_from}, the one before ended at {stands_at}"
        if entry.count != len(log.inputs(partition, entry.offsets_from, entry.offsets_to)):
            yield f"batch {number} tells of {entry.count} records, which is not what lies between its offsets"
        if entry.epoch < epoch:
            yield f"batch {number} is of epoch {entry.epoch}, after one of {epoch}"
        stands_at, epoch = entry.offsets_to, entry.epoch
    if not stands_at == log.end(partition) == log.committed(partition):
        yield f"the journal ends at {stands_at}, the log at {log.end(partition)}, committed is {log.committed(partition)}"


def _answer_faults(log: MemoryLog, partition: int, policy: Policy) -> Iterator[str]:
    """Every readable recognition was answered once, or lies in the dead letters; without asking the core."""
    first = (json.loads(output.value or b"") for output in log.outputs("identities", partition))
    answers = Counter((one["household_id"], one["event_id"]) for one in first if one["revision"] == 0)
    letters = [json.loads(output.value or b"") for output in log.outputs("dead-letters", partition)]
    dead = Counter((letter["topic"], letter["offset"]) for letter in letters)
    yield from (f"{place} is {times} times in the dead letters" for place, times in dead.items() if times > 1)
    asked: dict[tuple[str, str], bool] = {}  # whether a record of that event is alive
    forgotten: set[str] = set()  # households that were erased forget whom they have answered
    for record in log.inputs(partition, {}, log.end(partition)):
        try:
            value = decode(record, policy).value
        except InvalidRecord:
            if (record.topic, record.offset) not in dead:
                yield f"{record.position} is unreadable and not in the dead letters"
            continue
        if isinstance(value, RECOGNITIONS):
            event = value.household_id, value.event_id
            asked[event] = asked.get(event, False) or (record.topic, record.offset) not in dead
        elif _erases_home(value):
            forgotten.add(value.household_id)
    for event, alive in asked.items():
        times = answers.pop(event, 0)
        if times != alive and not (alive and times > 1 and event[0] in forgotten):
            yield f"event {event} was answered {times} times"
    yield from (f"event {event} was answered and never asked" for event in answers)


def _serial_faults(log: MemoryLog, store: StateStore, partition: int, policy: Policy, stepping: StepFunction) -> Iterator[str]:
    """The outputs and states are those of a serial run."""
    serial = Serial(policy, stepping)
    for entry in log.journal(partition):
        serial.batch(entry, log.inputs(partition, entry.offsets_from, entry.offsets_to))
    for topic in OUTPUT_TOPICS:
        expected = [output for output in serial.outputs if output.topic == topic]
        yield from _differences(topic, expected, log.outputs(topic, partition))
    if list(store.households(partition)) != sorted(serial.states):
        yield f"states of {list(store.households(partition))} are stored, expected were those of {sorted(serial.states)}"
    stored = store.load(partition, sorted(serial.states))
    yield from (f"the state of {one} differs" for one, state in sorted(serial.states.items()) if stored.get(one) != state)
    if on_both(store.claim(partition).offsets) != on_both(log.end(partition)):
        yield "the states do not stand at the end of the log"


def _differences(topic: str, expected: Sequence[Encoded], actual: Sequence[Encoded]) -> Iterator[str]:
    if len(actual) != len(expected):
        yield f"{topic} has {len(actual)} records, expected were {len(expected)}"
    for number, (one, other) in enumerate(zip(expected, actual, strict=False)):
        if one != other:
            yield f"{topic} record {number} is {other}, expected was {one}"
            return


class Serial:
    """One partition's homes as bytes, and all that was said; an event's home is decoded before it and encoded after it."""

    def __init__(self, policy: Policy, stepping: StepFunction) -> None:
        self._policy, self._step = policy, stepping
        self.states: dict[str, bytes] = {}
        self.outputs: list[Encoded] = []
        self._epoch = 0
        self._quarantined: dict[str, str] = {}  # household -> what its dead letters say

    def batch(self, entry: Journal, records: Sequence[Record]) -> None:
        if entry.epoch != self._epoch:
            self._epoch, self._quarantined = entry.epoch, {}
        ordered = sorted(records, key=lambda record: (record.timestamp, record.topic, record.offset))
        states, quarantined, said = dict(self.states), dict(self._quarantined), len(self.outputs)
        failed: dict[str, str] = {}
        while (failure := self._attempt(ordered, failed)) is not None:  # from the beginning, without the household that failed
            failed |= dict([failure])
            self.states, self._quarantined = dict(states), quarantined | failed
            del self.outputs[said:]

    def _attempt(self, records: Sequence[Record], failed: Container[str]) -> tuple[str, str] | None:
        """Apply a batch without those that `failed` in it; the next household that fails ends the attempt.

        A household that had failed in an earlier batch, and is erased whole, begins anew.
        """
        events = [self._decoded(record) for record in records]
        freed = {
            event.value.household_id
            for event in events
            if isinstance(event, Event) and _erases_home(event.value) and event.value.household_id not in failed
        }
        for record, event in zip(records, events, strict=True):
            if isinstance(event, InvalidRecord):
                self._say(record, dead_letter(record, event.reason, event.detail))
                continue
            household = event.value.household_id
            if household in self._quarantined:
                if household not in freed or not _erases_home(event.value):
                    why = ", and was erased since" if household in freed else f": {self._quarantined[household]}"
                    self._say(record, dead_letter(record, "quarantined", f"its household failed{why}"))
                    continue
                del self._quarantined[household]
                self.states.pop(household, None)
            state = self.states.get(household)
            home = Household.new(household) if state is None else decode_home(state, self._policy)
            try:
                stepped = self._step(home, event, self._policy)
            except Exception as error:
                return household, f"{type(error).__name__} at {record.topic}[{record.partition}]@{record.offset}"
            self._say(record, *stepped.outputs)
            self.states[household] = encode_home(home)
        return None

    def _decoded(self, record: Record) -> Event | InvalidRecord:
        try:
            return decode(record, self._policy)
        except InvalidRecord as invalid:
            return invalid

    def _say(self, record: Record, *outputs: Output) -> None:
        self.outputs.extend(encode_output(output, record.partition, record.timestamp) for output in outputs)


def _erases_home(value: Any) -> bool:
    return isinstance(value, Erase) and value.person_id is None
