"""The homes that a job or an actor has: what becomes of the parts that a replay gives them.

Law: a part does what it would do in the replay's own process; a partition begins anew, without what it knew, when its epoch does.
"""

from collections.abc import Iterable

from stream.runtime.worker.applying import residency_of
from stream.runtime.worker.batch import BatchStep, PartitionState, as_arrived
from stream.runtime.worker.home_cache import HomeCache, Origin
from stream.runtime.worker.quarantine import Quarantine

from .messages import Applied, AppliedPart, PartOfJob, Setup

__all__ = ["JobHomes"]


class JobHomes:
    """Homes in memory; states that were told are the replay's.

    Parameters
    ----------
    setup
        The policy, and how much memory.
    origin
        Where states are loaded from.
    """

    def __init__(self, setup: Setup, origin: Origin) -> None:
        self._homes = HomeCache(origin, setup.policy, setup.resident_bytes_max)
        self._step = BatchStep(self._homes, setup.policy, as_arrived, setup.step_function)
        self._owned: dict[int, PartitionState] = {}

    def apply(self, parts: Iterable[PartOfJob]) -> Applied:
        """What becomes of the parts of a batch."""
        applied = [self._apply_part(part) for part in parts]
        self._homes.touch({part.partition: part.states for part in applied})
        self._homes.unsaved.clear()  # once the replay has them in hand they are as good as that
        return Applied(applied, residency_of(self._homes))

    def clear(self) -> None:
        """Forget all homes; they are loaded again."""
        self._homes.clear()
        self._owned.clear()

    def _apply_part(self, part: PartOfJob) -> AppliedPart:
        owned = self._owned.get(part.partition)
        if owned is None or owned.epoch != part.epoch:
            owned = PartitionState(part.partition, part.epoch, {}, Quarantine(part.epoch, part.quarantined))
            self._owned[part.partition] = owned
        result = self._step.apply(owned, part.records)
        quarantined = owned.quarantine.households if result.quarantine else None
        return AppliedPart(part.partition, result.settled, result.states, quarantined, result.lifted)
