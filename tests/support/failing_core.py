"""The core, but failing on some events after it has changed their home: for a worker, and the same for a serial run."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from stream.contract.policy import Policy
from stream.contract.records import Event
from stream.home.state.household import Household
from stream.home.step import BatchAnswers, Failure, Step, step, step_batch

__all__ = ["Core", "failing", "failing_on"]


class Core(NamedTuple):
    """Both ways into a core, which agree."""

    step: Callable[[Household, Event, Policy], Step]
    step_batch: Callable[[Mapping[str, Household], Sequence[Event], Policy], BatchAnswers]


def failing(error_at: Callable[[Event], BaseException | None]) -> Core:
    """The core, failing where `error_at` has an error; one that says nothing of a household is raised, as the core does."""

    def one(household: Household, event: Event, policy: Policy) -> Step:
        stepped, error = step(household, event, policy), error_at(event)
        if error is not None:
            raise error
        return stepped

    def many(households: Mapping[str, Household], events: Sequence[Event], policy: Policy) -> BatchAnswers:
        responses, failures = step_batch(households, events, policy)
        assert not failures, "the core fails only where it is told to"
        for number, event in enumerate(events):
            error = error_at(event)
            if isinstance(error, Exception) and not isinstance(error, MemoryError):
                failures.setdefault(event.value.household_id, Failure(number, error))
            elif error is not None:
                raise error
        kept = [None if event.value.household_id in failures else own for event, own in zip(events, responses, strict=True)]
        return BatchAnswers(kept, failures)

    return Core(one, many)


def failing_on(*event_ids: str, error: BaseException | None = None) -> Core:
    """The core, failing on these events."""
    raised = error or ZeroDivisionError("of the core")
    return failing(lambda event: raised if getattr(event.value, "event_id", None) in event_ids else None)
