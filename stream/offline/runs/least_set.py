"""Delta debugging: of many changes, the fewest that explain what they all together explain.

Law: what is returned explains; and without any one of it, it would not. A cause costs about log2 of the number of changes in
trials: the shortest run of changes that explains, by bisection, ends in one that cannot be left out.

After Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", IEEE TSE 28(2), 2002; by bisection as in
Junker, "QuickXplain", AAAI 2004.
"""

from collections.abc import Callable, Sequence

__all__ = ["least_set"]


def least_set(count: int, explains: Callable[[frozenset[int]], bool]) -> list[int]:
    """Which of the changes 0 to `count` - 1 explain, as few as can be, in order.

    Parameters
    ----------
    count
        How many changes there are.
    explains
        Whether some of them explain. All of them do. It is asked once for each set.

    Returns
    -------
    list of int
        Empty: nothing needs to be changed.

    Examples
    --------
    >>> least_set(64, lambda changes: {7, 40} <= changes)
    [7, 40]
    """
    known: dict[frozenset[int], bool] = {frozenset(range(count)): True}

    def fails_with(*parts: Sequence[int]) -> bool:
        chosen = frozenset(index for part in parts for index in part)
        if chosen not in known:
            known[chosen] = explains(chosen)
        return known[chosen]

    found: list[int] = []
    left: Sequence[int] = range(count)
    while not fails_with(found):
        low, high = 0, len(left)  # with the first `high` of them it explains, with the first `low` it does not
        while high - low > 1:
            middle = (low + high) // 2
            if fails_with(found, left[:middle]):
                high = middle
            else:
                low = middle
        found.append(left[high - 1])
        left = left[: high - 1]
    place = 0
    while len(found) > 1 and place < len(found):  # only where changes undo each other can one be left out now
        rest = found[:place] + found[place + 1 :]
        found, place = (rest, 0) if fails_with(rest) else (found, place + 1)
    return sorted(found)
