"""One household's step, and that of many: what every record leads to.

Law: `step` is synchronous, total on valid input, and knows no clock, no chance, no network and no log: time comes from the
records, ids from positions. The live worker, the replay tool and the tests run this same function. The same log gives the same
bytes; a duplicate changes nothing; households do not see each other: a batch of many equals one after the other.

Theory of operation: homes are independent, so a batch is done in waves. Of each home a wave has all events up to its first
statement (join, leave, phone, retract, erase), which changes what the words of later events mean; all events of a wave go
through the compiled core in one call. Then the statements that it admitted are done here, and the next wave begins with what
follows on them.

Where the policy has a model of its own (`own`), a recognition stands on what the one before it left of the home: of each home
a wave then has one event, and what the model says of it is put in before.

An error is of the household at whose event it happened: the core says which event it is at (`WORK.event`), and results that
found no room say whose they were. The results of all others stand; of that household nothing more is done, and its home is of
no use.
"""

from collections.abc import Mapping, Sequence
from ctypes import addressof, c_char
from typing import Any, Final, NamedTuple, cast

import numpy as np

from stream.contract.policy import Policy
from stream.contract.records import Output
from stream.home import statements
from stream.home.core.apply import apply as _apply
from stream.home.core.work import WORK
from stream.home.events import STATEMENTS, Event, Run, Statement, numbers_of, renumber
from stream.home.messages import OUT, RESULTS_MAX
from stream.home.numbers import policy_numbers
from stream.home.outputs import Emit, encode_output, output
from stream.home.own.term import own_term
from stream.home.publish import Publisher, Response
from stream.home.state.household import Household
from stream.home.state.layout import HOME

__all__ = ["STEP_VERSION", "BatchAnswers", "Event", "Failure", "Response", "Step", "step", "step_batch", "warm"]

STEP_VERSION: Final = 5  # raised whenever the same log gives other outputs or states
apply: Final[Any] = _apply
POLICIES_KEPT: Final = 16  # for which there are idle cores


class Step(NamedTuple):
    """What one event led to: outputs in the order they are published, and what happened (words of OUTCOMES, for counting)."""

    outputs: list[Output]
    outcomes: list[str]


class Failure(NamedTuple):
    """An error of ours at one event (its index in the batch): the household is to be left as it was before the batch."""

    event: int
    error: Exception


class BatchAnswers(NamedTuple):
    """What a batch led to: by event (None of those whose household failed), outputs as bytes; and the failures, by household."""

    responses: list[Response | None]
    failures: dict[str, Failure]


def step(household: Household, event: Event, policy: Policy) -> Step:
    """Apply one event to a household, in place. Both lists of the result may be empty but for a `duplicate`."""
    response = Response(event, household)
    _run([response], policy, output)
    if response.failure is not None:
        raise response.failure
    return Step(response.outputs, response.outcomes)


def step_batch(households: Mapping[str, Household], events: Sequence[Event], policy: Policy) -> BatchAnswers:
    """Apply events of many households, each in the order they stand in, in place.

    An error in one household stands in `failures`, and does nothing to others; what became of its home is of no use. One that
    says nothing of a household (no memory, a wish to stop) is raised.
    """
    responses = [Response(event, households[event.value.household_id]) for event in events]
    _run(responses, policy, encode_output)
    failures: dict[str, Failure] = {}
    for number, response in enumerate(responses):
        if response.failure is not None:
            failures.setdefault(response.household.household_id, Failure(number, response.failure))
    if failures:
        return BatchAnswers([None if r.household.household_id in failures else r for r in responses], failures)
    return BatchAnswers([*responses], failures)


def _of_household(error: Exception) -> Exception:
    """An error that says something about a household, and would come again; lack of memory is raised."""
    if isinstance(error, MemoryError):
        raise error
    return error


def _run(responses: Sequence[Response], policy: Policy, emit: Emit) -> None:
    """Let every record become what it leads to; homes of one array together."""
    idle = _idle(policy)
    core = idle.pop() if idle else _Core(policy)
    arrays: dict[int, tuple[Any, list[Response]]] = {}
    for response in responses:
        homes = _array_of(response.household)
        if id(homes) not in arrays:
            arrays[id(homes)] = homes, []
        arrays[id(homes)][1].append(response)
    for homes, own in arrays.values():
        core.run(homes, own, emit)
    idle.append(core)


def _idle(policy: Policy) -> list["_Core"]:
    """Cores of a policy that nobody uses; whoever takes one brings it back, unless an error came between."""
    if policy.policy_id not in _IDLE and len(_IDLE) == POLICIES_KEPT:
        _IDLE.clear()
    return _IDLE.setdefault(policy.policy_id, [])


def _array_of(household: Household) -> Any:
    """The array of homes in which this one stands."""
    slot = household.slot
    longer = slot.base
    return longer if isinstance(longer, np.ndarray) and longer.dtype is slot.dtype and longer.ndim == 1 else slot


class _Core:
    """The compiled core with its room to work in, for one policy; used by one caller at a time."""

    def __init__(self, policy: Policy) -> None:
        self._policy, self._numbers = policy, policy_numbers(policy)
        self._run: Run[Response] = Run(policy)
        self._own = own_term(policy)
        self._publisher = Publisher(policy)
        self._work, self._out = np.zeros(1, WORK), np.zeros(1, OUT)
        self._failed: set[Household] = set()  # of the batch at hand

    def run(self, homes: Any, responses: list[Response], emit: Emit) -> None:
        """All events of homes that stand in one array; in waves."""
        self._publisher.emit = emit
        self._failed.clear()
        run, first, places = self._run, addressof(c_char.from_buffer(homes.view(np.uint8))), dict[Household, int]()
        for household in {response.household for response in responses}:
            places[household] = (addressof(c_char.from_buffer(household.memory)) - first) // HOME.itemsize
        following: list[Response] = []
        while responses or following:
            run.clear()
            for response in following:
                run.follow_up(response, places[response.household])
            responses = self._add(responses, places, following)
            self._apply(homes)
            following = [response for response in run.owners if response.admitted_at is not None and self._state(response)]
            self._failed |= {response.household for response in run.owners if response.failure is not None}
            if self._failed:
                responses = [response for response in responses if response.household not in self._failed]

    def _add(
        self, responses: list[Response], places: Mapping[Household, int], following: Sequence[Response]
    ) -> list[Response]:
        """Add of every home the events up to its first statement, or one if the policy has a model of its own; the others."""
        add, ended, later, alone = self._run.add, set[Household](), [], self._own is not None
        if alone:
            ended.update(response.household for response in following)
        for response in responses:
            household = response.household
            if ended and household in ended:
                later.append(response)
                continue
            try:
                add(response, places[household])
            except Exception as error:
                response.failure = _of_household(error)
                ended.add(household)
                self._failed.add(household)
            if alone or type(response.event.value) in STATEMENTS:
                ended.add(household)
        return later

    def _apply(self, homes: Any) -> None:
        """One wave through the compiled core, and its results read."""
        work, out = self._work, self._out
        events, owners = self._ready(homes)
        out["next_event"], out["purge"] = 0, -1
        while True:
            failure = None
            try:
                apply(homes, events, self._numbers, work, out)
            except Exception as error:
                failure = owners[int(work["event"][0])]
                failure.failure = _of_household(error)
            if out["overflowed"][0]:
                out["overflowed"] = 0
                failure = owners[int(out["results"][0, RESULTS_MAX - 1]["event"])]
                failure.failure = AssertionError("an event led to more results than there is room for")
            self._publisher.read(out, owners)
            first, purge = int(out["next_event"][0]), int(out["purge"][0])
            if failure is not None:
                later = [n for n in range(first, len(owners)) if owners[n].household is not failure.household]
                events, owners = events[later], [owners[n] for n in later]
                out["next_event"] = 0
            elif purge >= 0:
                own = [event for event in events[first:] if event["home"] == purge]
                self._purge(owners[first - 1], own)
            elif first >= len(events):
                break

    def _ready(self, homes: Any) -> tuple[Any, list[Response]]:
        """The events of a wave and whose they are; but for those of which the policy's own model failed."""
        events, owners = self._run.ready(homes), self._run.owners
        if self._own is None:
            return events, owners
        for number, error in self._own.say(homes, events, [owner.household.household_id for owner in owners]).items():
            owners[number].failure = _of_household(error)
        sound = [number for number, owner in enumerate(owners) if owner.failure is None]
        return events[sound], [owners[number] for number in sound]

    def _purge(self, response: Response, later: Sequence[Any]) -> None:
        """Forget who left a home long ago; its events that are still to come are brought in line."""
        household = response.household
        before = numbers_of(household)
        try:
            statements.purge_departed(household, self._policy)
        except Exception as error:
            response.failure = _of_household(error)
        renumber(later, before, numbers_of(household))

    def _state(self, response: Response) -> bool:
        """Do a statement that was admitted; whether there was no error."""
        at, response.admitted_at = response.admitted_at, None
        assert at is not None, "a statement that was admitted"
        try:
            statements.purge_departed(response.household, self._policy)  # who comes back afterwards starts from nothing
            value, arrived = cast(Statement, response.event.value), response.event.record.timestamp
            done = statements.state(response.household, value, self._policy, at, max(0, arrived))
        except Exception as error:
            response.failure = _of_household(error)
            return False
        response.outcomes.extend(done.outcomes)
        for person_id in done.tombstones:
            self._publisher.tombstone(response, person_id)
        for erased in done.erased:
            self._publisher.publish_erasure(response, erased)
        return True


def warm(policy: Policy) -> None:
    """Have all at hand that a first event needs: used at setup, for what is compiled is compiled when this module is imported."""
    _idle(policy).append(_Core(policy))


_IDLE: Final[dict[str, list[_Core]]] = {}  # by policy_id
