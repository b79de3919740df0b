"""Where two orders of the same records part: stretches that hold the same records in both, in another order.

Law: of each stretch either order can be taken, whatever is taken of the others; offsets of a topic's partition still rise. So
each is a change of its own. (A live worker puts records in order batch by batch: one border of a batch is one stretch of a home.)
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from stream.contract.codec import household_of_key
from stream.contract.records import Record

__all__ = ["Stretch", "by_home", "mix", "place_of", "stretches"]


class Stretch(NamedTuple):
    """From one place in both orders to before another."""

    start: int
    end: int


def by_home(records: Sequence[Record]) -> dict[str, list[Record]]:
    """The records of each home, in order."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(household_of_key(record.key), []).append(record)
    return found


def stretches(a: Sequence[Record], b: Sequence[Record]) -> list[Stretch]:
    """The shortest stretches in which two orders of the same records differ; none: they do not."""
    found, start = [], 0
    apart: set[tuple[str, int, int]] = set()  # came in one order, and not yet in the other
    for end, (ours, theirs) in enumerate(zip(a, b, strict=True), 1):
        for record in (ours, theirs):
            apart ^= {(record.topic, record.partition, record.offset)}
        if not apart:
            if end - start > 1:
                found.append(Stretch(start, end))
            start = end
    return found


def mix(a: Sequence[Record], b: Sequence[Record], chosen: Collection[Stretch]) -> list[Record]:
    """The order of A, and in the stretches that were chosen that of B."""
    records = list(a)
    for stretch in chosen:
        records[slice(*stretch)] = b[slice(*stretch)]
    return records


def place_of(a: Sequence[Record], b: Sequence[Record], stretch: Stretch) -> str:
    """Where a stretch is, for people: the two records that come first in it."""
    ours, theirs = a[stretch.start], b[stretch.start]
    first, second = (f"{one.topic}[{one.partition}]@{one.offset}" for one in (ours, theirs))
    return f"{household_of_key(ours.key)}: {first} comes before {second} in A, and after it in B"
