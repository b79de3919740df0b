"""The two rules of every save, for the stores that live in a worker's process (Redis has them in its script).

Law: only the newest epoch saves, and only from where the states stand; to say it twice changes nothing.
"""

from stream.contract.ports import Fenced, Offsets, StoreError

__all__ = ["is_household", "is_news"]


def is_news(partition: int, epochs: tuple[int, int], stands_at: Offsets, offsets_from: Offsets, offsets_to: Offsets) -> bool:
    """Whether a save has anything left to do: False when the states already stand at `offsets_to`.

    Parameters
    ----------
    epochs
        The epoch of who saves, and the newest; 0 was never given to anyone.
    stands_at, offsets_from, offsets_to
        Next offsets by topic; a topic that is absent stands at 0.

    Raises
    ------
    Fenced
        A newer epoch exists, or nobody has claimed the partition.
    StoreError
        The save does not continue from where the states stand.
    """
    epoch, newest = epochs
    if epoch != newest or not newest:
        raise Fenced(f"partition {partition}: epoch {epoch} can save no more, since {newest} is the newest")
    if _same(stands_at, offsets_to):
        return False
    if not _same(stands_at, offsets_from):
        raise StoreError(
            f"partition {partition}: the states stand at {dict(stands_at)}, so a save from {dict(offsets_from)} would leave a gap"
        )
    return True


def is_household(name: str) -> bool:
    """Whether a stored name is a household's; names with "!" in front, which no household id has, are the worker's own."""
    return not name.startswith("!")


def _same(one: Offsets, other: Offsets) -> bool:
    return all(one.get(topic, 0) == other.get(topic, 0) for topic in one.keys() | other.keys())
