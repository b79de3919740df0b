"""What a batch is applied by: this process, unless a replay spreads its households over several.

Law: what applies a batch changes speed, never results. Batches are brought about in the order in which they were begun.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple, Protocol

from stream.contract.records import Record

from .batch import BatchResult, BatchStep, PartitionState
from .home_cache import HomeCache

__all__ = ["Applier", "LocalApplier", "Part", "Residency", "Results", "residency_of"]

Part = tuple[PartitionState, Sequence[Record]]  # of a batch: one partition's records
Results = Mapping[int, BatchResult]  # of a batch, by partition


class Residency(NamedTuple):
    """Homes in memory now, what they weigh, and how they came there: `new` without a state, `loaded` from one."""

    new: int = 0
    loaded: int = 0
    homes: int = 0
    size_bytes: int = 0


def residency_of(homes: HomeCache) -> Residency:
    """As the cache of this process has it."""
    return Residency(homes.homes_new, homes.homes_loaded, len(homes), homes.size_bytes)


class Applier(Protocol):
    """Applies batches to homes; nothing of them is visible or saved by it."""

    @property
    def ahead(self) -> int:
        """So many batches may be begun before the results of the one before them are wanted."""
        ...

    @property
    def begun(self) -> int:
        """Batches that were begun and not yet saved."""
        ...

    @property
    def residency(self) -> Residency:
        """The homes in memory."""
        ...

    def begin(self, parts: Sequence[Part]) -> None:
        """Take on the next batch. Of the partitions' states, only the quarantine will change, no later than in `results`."""
        ...

    def results(self) -> Results:
        """What became of the oldest batch that was begun and not yet saved."""
        ...

    def note_saved(self) -> None:
        """The states of that batch are in the store."""
        ...

    def clear(self) -> None:
        """Forget all homes, and the batches that are begun: the assignment changes."""
        ...


class LocalApplier:
    """This process: a batch is done as soon as it is begun.

    Parameters
    ----------
    homes
        Those in memory.
    step
        What applies one partition's records to them.
    """

    ahead: Final = 0

    def __init__(self, homes: HomeCache, step: BatchStep) -> None:
        self._homes, self._step, self.begun = homes, step, 0
        self._done: deque[Results] = deque()

    @property
    def residency(self) -> Residency:
        return residency_of(self._homes)

    def begin(self, parts: Sequence[Part]) -> None:
        self.begun += 1
        results = {owned.partition: self._step.apply(owned, records) for owned, records in parts}
        self._done.append(results)
        self._homes.touch({partition: result.states for partition, result in results.items()})

    def results(self) -> Results:
        return self._done[0]

    def note_saved(self) -> None:
        self._done.popleft()
        self._homes.unsaved.popleft()
        self.begun -= 1

    def clear(self) -> None:
        self._done.clear()
        self._homes.clear()
        self.begun = 0
