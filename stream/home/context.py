"""One turn of `step`: the home, the record that came, and what is to be published because of it.

Law: outputs leave in the order they were asked for, all with the same cause.
"""

from typing import Final, Literal, NamedTuple, get_args

from stream.contract.policy import Policy
from stream.contract.records import Cause, Output, Record, construct
from stream.contract.units import DAY_MS

from .state.home import Home

__all__ = ["OUTCOMES", "Outcome", "Step", "Turn"]

Outcome = Literal[
    "answered",  # a recognition got its revision 0
    "used",  # a feedback was applied
    "contradictory",  # applied or kept, against another claim about the same event
    "early",  # waits for its event
    "duplicate",  # the same id again: nothing happens
    "expired",  # late: the ledger no longer remembers the event
    "unknown_person",  # names somebody who does not belong to the household
    "unknown_event",  # its event never came within the waiting time
    "rejected",  # cannot be done: taking back an erasure, confirming an answer that named nobody, one person too many
    "refused",  # a dead letter written by the core: too old or too far ahead
]
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)


class Step(NamedTuple):
    """What `step` gives."""

    outputs: list[Output]
    outcomes: list[Outcome]


class Turn:
    """The state of one call of `step`; `at` is the record's own time, ms."""

    __slots__ = ("at", "cause", "home", "outcomes", "outputs", "policy", "record", "touched")

    def __init__(self, home: Home, policy: Policy, record: Record, at: int) -> None:
        self.home, self.policy, self.record, self.at = home, policy, record, at
        self.outputs: list[Output] = []
        self.outcomes: list[Outcome] = []
        self.touched: dict[str, None] = {}  # people whose profile is to be published, in order
        self.cause = construct(Cause, {"topic": record.topic, "partition": record.partition, "offset": record.offset})

    @property
    def day(self) -> float:
        """The record's time in days."""
        return self.at / DAY_MS

    def touch(self, person_id: str) -> None:
        """Have this person's profile published at the end of the turn."""
        self.touched[person_id] = None
