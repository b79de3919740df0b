"""Whether a partition's states are being moved to another number of partitions, or were: then no worker goes on with them.

Law: that stands among the offsets that the states stand at. So it is read with them in one step, and every save must know of it:
whoever claimed the partition before can save no more, whoever claims it later is told.
"""

from typing import Final

import msgspec

from stream.contract.errors import Moved
from stream.contract.ports import Offsets, StateStore, StoreError

__all__ = ["CUT", "GROWING", "GROWTH", "MOVED", "Growth", "has_cut", "refuse_moving"]

GROWING: Final = "growing"  # among the offsets of a new partition: 1 and the homes that were copied into it
CUT: Final = "cut"  # among the offsets of new partition 0: 1 while the brokers are told from where on is copied, then 2
MOVED: Final = "moved"  # among the offsets of an old partition: 1
GROWTH: Final = "!growth"  # which move it is; its name in the store, for no household id has a "!"


class Growth(msgspec.Struct, frozen=True):
    """A move of all states and inputs from one prefix, with so many partitions, to another."""

    from_prefix: str
    partitions_before: int
    to_prefix: str
    partitions: int

    def encode(self) -> bytes:
        """As it stands beside the states."""
        return msgspec.json.encode(self)

    @classmethod
    def beside(cls, store: StateStore, partition: int) -> "Growth | None":
        """The one that stands beside a partition's states; it may be over."""
        raw = store.load(partition, [GROWTH]).get(GROWTH)
        return msgspec.json.decode(raw, type=cls) if raw else None


def has_cut(store: StateStore, growth: Growth) -> bool:
    """Whether a move has come so far that it is with the brokers from where on inputs are copied."""
    stands_at = store.offsets(0)
    return Growth.beside(store, 0) == growth and (stands_at.get(CUT) == 2 or GROWING not in stands_at)


def refuse_moving(store: StateStore, partition: int, stands_at: Offsets) -> None:
    """Nothing, where the states are a worker's to go on with.

    Raises
    ------
    Moved
        They were moved to other partitions.
    StoreError
        They are still on their way into this one; that passes.
    """
    if not {GROWING, MOVED} & stands_at.keys():
        return
    growth = Growth.beside(store, partition)
    assert growth is not None, f"partition {partition} is marked as moving without a word of what moves"
    if MOVED in stands_at:
        raise Moved(growth.from_prefix, growth.to_prefix, growth.partitions)
    raise StoreError(
        f'partition {partition}: its states are still being copied from the prefix "{growth.from_prefix}"; this worker may start '
        "once `kithkin topics grow` says that it is done"
    )
