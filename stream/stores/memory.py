"""A store in memory: a dictionary that obeys the port.

Law: what a save gave is read back; what a save refused has changed nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from stream.contract.ports import Claimed, Offsets

from .fencing import is_household, is_news

__all__ = ["MemoryStore"]


@dataclass(slots=True)
class _Held:
    """What is held of one partition; an epoch of 0 was never given to anyone."""

    epoch: int = 0
    offsets: Offsets = field(default_factory=dict)
    states: dict[str, bytes] = field(default_factory=dict)


class MemoryStore:
    """States for as long as the process lives. Workers that share the object share the states, as with a server."""

    def __init__(self) -> None:
        self._held: dict[int, _Held] = {}

    def claim(self, partition: int) -> Claimed:
        held = self._held.setdefault(partition, _Held())
        held.epoch += 1
        return Claimed(held.epoch, dict(held.offsets))

    def offsets(self, partition: int) -> Offsets:
        return dict(self._of(partition).offsets)

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        states = self._of(partition).states
        return {household: states[household] for household in households if household in states}

    def read(self, places: Sequence[tuple[int, str]]) -> list[bytes | None]:
        return [self._of(partition).states.get(household) for partition, household in places]

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        held = self._of(partition)
        if is_news(partition, (epoch, held.epoch), held.offsets, offsets_from, offsets_to):
            held.states.update(states)
            held.offsets = dict(offsets_to)

    def forget_overwritten(self) -> None:
        """What is overwritten in memory is gone."""

    def households(self, partition: int) -> Iterable[str]:
        return sorted(filter(is_household, self._of(partition).states))

    def partitions(self) -> Sequence[int]:
        return sorted(self._held)

    def close(self) -> None:
        """Nothing to release: the states stay for the next worker that is given this object."""

    def _of(self, partition: int) -> _Held:
        return self._held.get(partition, _Held())
