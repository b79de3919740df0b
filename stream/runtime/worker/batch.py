"""One partition's part of a batch, made: what is to be published and saved, before anything of it is visible.

Law: what is made is a function of the homes, the records and the quarantine. The first run and a recovery make the same of the
same journalled batch; only what is done with it differs.

An exception of the core on one household quarantines that household: its state stays as it was before the batch, and its
records of this batch and of later ones go to `dead-letters` with the reason `quarantined`.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import NamedTuple

from stream.contract.codec import decode_batch, encode_output, household_of
from stream.contract.errors import NewerState
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import Erase, Event, InvalidRecord, Record, Unlisted, dead_letter
from stream.home.state.at_rest import encode_home
from stream.home.state.household import Household
from stream.home.step import BatchAnswers, Response

from .home_cache import HomeCache
from .quarantine import Quarantine

__all__ = [
    "BatchResult", "BatchStep", "Decode", "Ordering", "PartitionState", "Settled", "StepFunction", "as_arrived", "by_content",
    "offsets_after", "recognitions_among",
]  # fmt: skip

_LOG = logging.getLogger(__name__)

Ordering = Callable[[Sequence[Record]], Sequence[Record]]
StepFunction = Callable[[Mapping[str, Household], Sequence[Event], Policy], BatchAnswers]
Decode = Callable[[Sequence[Record], Policy], Sequence[Event | InvalidRecord]]


def by_content(records: Sequence[Record]) -> Sequence[Record]:
    """Order of a live batch: by what the records say (timestamp, topic, offset), not by how the poll mixed the topics."""
    return sorted(records, key=attrgetter("timestamp", "topic", "offset"))


def as_arrived(records: Sequence[Record]) -> Sequence[Record]:
    """Order of a replayed log: the lines of a file apply as they stand. The broker must `fetch` in that order too."""
    return records


@dataclass(slots=True)
class PartitionState:
    """A partition while it is ours: the epoch of our claim and the next offsets on both topics."""

    partition: int
    epoch: int
    offsets: dict[str, int]
    quarantine: Quarantine


class Settled(NamedTuple):
    """What one record came to. `reason`: why it is a dead letter; `left_out`: parts of it that could not be read.

    `unlisted`: its vectors of encoders that the policy does not list.

    `household`: whose record it is, as far as can be read; empty: nobody's.
    """

    outputs: list[Encoded]
    outcomes: list[str]
    reason: str | None
    household: str
    left_out: Sequence[str] = ()
    unlisted: Sequence[Unlisted] = ()


@dataclass(slots=True)
class BatchResult:
    """What one partition's part of a batch came to; nothing of it is visible or saved yet."""

    offsets: dict[str, int]  # the next ones, of the topics that it has records of
    settled: list[Settled] = field(default_factory=list)  # by record, in their order
    recognitions: int = 0  # among those records
    states: dict[str, bytes] = field(default_factory=dict)  # in the order of the households' names
    quarantine: bytes | None = None  # set when it changed
    lifted: list[str] = field(default_factory=list)  # households that were erased out of their quarantine
    erases: bool = False  # whether something was erased, so that what stood before is to be gone from the disk too


class BatchStep:
    """Applies records of one partition to the homes of their households.

    Parameters
    ----------
    homes
        Those in memory; they are changed in place, so that after a failure they are of no more use.
    policy
        Given to the core.
    ordering
        The order within a batch.
    step_function
        The core.
    decode
        What reads records; None: `decode_batch`, else what remembers its results.
    """

    def __init__(
        self, homes: HomeCache, policy: Policy, ordering: Ordering, step_function: StepFunction, decode: Decode | None = None
    ) -> None:
        self._homes, self._policy, self._ordering = homes, policy, ordering
        self._step, self._decode = step_function, decode or decode_batch

    def apply(self, owned: PartitionState, records: Sequence[Record]) -> BatchResult:
        """What becomes of these records; of `owned`, only the quarantine changes."""
        result = BatchResult(offsets_after(records))
        result.recognitions = recognitions_among(records)
        ordered = self._ordering(records)
        events = self._decode(ordered, self._policy)
        result.erases = any(isinstance(event, Event) and isinstance(event.value, Erase) for event in events)
        quarantined = owned.quarantine.households
        before = dict(quarantined)
        households = sorted({event.value.household_id for event in events if isinstance(event, Event)})
        wanted = [household for household in households if household not in quarantined]
        self._homes.load(owned.partition, wanted, owned.offsets)

        homes: dict[str, Household] = {}
        answers = self._answer(owned, events, homes)
        for household in households:
            if household not in quarantined:
                self._encode(owned, homes[household], result)
        for record, event, answer in zip(ordered, events, answers, strict=True):
            result.settled.append(self._settle(owned, record, event, answer))
        result.lifted = [household for household in before if household not in quarantined]
        if quarantined != before:
            result.quarantine = owned.quarantine.encode()
        return result

    def _answer(
        self, owned: PartitionState, events: Sequence[Event | InvalidRecord], homes: dict[str, Household]
    ) -> Sequence[Response | None]:
        """What becomes of each event; None if it is unreadable or its household quarantined. `homes` gets those of the others."""
        sound: list[Event] = []
        numbers: list[int] = []
        for number, event in enumerate(events):
            if isinstance(event, Event) and (_erases_home(event) or self._bring(owned, event, homes)):
                if _erases_home(event):
                    self._bring_to_erase(owned, event.value.household_id, homes)
                sound.append(event)
                numbers.append(number)
        made = self._step(homes, sound, self._policy)
        for household, failure in made.failures.items():
            self._isolate(owned, household, f"at {_place(sound[failure.event].record)}", failure.error)
        answers: list[Response | None] = [None] * len(events)
        for number, answer in zip(numbers, made.responses, strict=True):
            answers[number] = answer
        return answers

    def _bring(self, owned: PartitionState, event: Event, homes: dict[str, Household]) -> bool:
        """Have the event's home among the live ones; whether it can be used."""
        household = event.value.household_id
        if household in owned.quarantine.households:
            return False
        if household not in homes:
            try:
                homes[household] = self._homes.home(owned.partition, household)
            except BaseException as error:
                self._isolate(owned, household, f"at {_place(event.record)}", error)
                return False
        return True

    def _bring_to_erase(self, owned: PartitionState, household: str, homes: dict[str, Household]) -> None:
        """Have a home among the live ones that is erased whole; a new one, where it cannot be read or is left out."""
        if household not in homes:
            readable = household not in owned.quarantine.households
            try:
                homes[household] = self._homes.home(owned.partition, household) if readable else self._anew(owned, household)
            except Exception as error:
                if not _of_the_core(error):
                    raise
                homes[household] = self._anew(owned, household)

    def _anew(self, owned: PartitionState, household: str) -> Household:
        owned.quarantine.households.pop(household, None)
        return self._homes.renew(owned.partition, household)

    def _encode(self, owned: PartitionState, home: Household, result: BatchResult) -> None:
        """The state to be saved, before anything is published: a home that cannot be encoded is quarantined as well."""
        try:
            result.states[home.household_id] = encode_home(home)
        except BaseException as error:
            self._isolate(owned, home.household_id, "encoding its state", error)

    def _isolate(self, owned: PartitionState, household: str, where: str, error: BaseException) -> None:
        """Quarantine a household, unless the error is of the process and not of the household."""
        if not _of_the_core(error):
            raise error
        told = {"partition": owned.partition}  # and not whose home it is: that stands in the dead letters
        _LOG.error("a household is quarantined: the core failed %s", where, exc_info=error, extra=told)
        owned.quarantine.households[household] = f"{type(error).__name__} {where}"
        self._homes.drop(owned.partition, household)

    def _settle(
        self, owned: PartitionState, record: Record, event: Event | InvalidRecord, answer: Response | None
    ) -> Settled:
        """One record's outputs: those of its event, unless it or its household turned out to be unusable."""
        if isinstance(event, InvalidRecord):
            reason, detail, household = event.reason, event.detail, household_of(record)
        elif (household := event.value.household_id) in owned.quarantine.households:
            reason, detail = "quarantined", f"its household failed: {owned.quarantine.households[household]}"
        elif answer is None:
            reason, detail = "quarantined", "its household failed, and was erased since"
        else:
            return Settled(answer.outputs, answer.outcomes, answer.refusal, household, event.left_out, event.unlisted)
        letter = encode_output(dead_letter(record, reason, detail), owned.partition, record.timestamp)
        return Settled([letter], [], reason, household, unlisted=event.unlisted)


def offsets_after(records: Sequence[Record]) -> dict[str, int]:
    """The next offsets of the topics that these records of one partition are of, in whatever order they stand."""
    offsets: dict[str, int] = {}
    for record in records:
        offsets[record.topic] = max(offsets.get(record.topic, 0), record.offset + 1)
    return offsets


def recognitions_among(records: Sequence[Record]) -> int:
    """How many of these records are recognitions."""
    return sum(record.topic == "recognitions" for record in records)


def _erases_home(event: Event) -> bool:
    """Whether this forgets a whole household, which takes no reading of what was known of it."""
    return isinstance(event.value, Erase) and event.value.person_id is None


def _place(record: Record) -> str:
    return f"{record.topic}[{record.partition}]@{record.offset}"


def _of_the_core(error: BaseException) -> bool:
    """Whether an error says something about a household, and would come again.

    Lack of memory, or a wish to stop, does not; nor does a state of a later version, with which nothing is wrong.
    """
    ours = isinstance(error, MemoryError | NewerState) or not isinstance(error, Exception)
    return not ours or type(error).__name__ == "PanicException"
