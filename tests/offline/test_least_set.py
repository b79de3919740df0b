"""Delta debugging: what is returned explains, nothing of it can be left out, and it is found by few trials."""

from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from stream.offline.runs.least_set import least_set


@given(st.data())
def test_planted_causes_are_found_among_many_changes_by_bisection(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 200))
    planted = data.draw(st.frozensets(st.integers(0, count - 1), max_size=5))
    trials: list[frozenset[int]] = []

    def explains(chosen: frozenset[int]) -> bool:
        trials.append(chosen)
        return planted <= chosen

    assert least_set(count, explains) == sorted(planted)
    assert len(trials) == len(set(trials)) <= len(planted) * (ceil(log2(count)) + 2) + 1


@given(st.integers(1, 6), st.data())
def test_whatever_changes_do_to_each_other_none_of_those_found_can_be_left_out(count: int, data: st.DataObject) -> None:
    whole = frozenset(range(count))
    answers: dict[frozenset[int], bool] = {whole: True}

    def explains(chosen: frozenset[int]) -> bool:
        return answers.setdefault(chosen, data.draw(st.booleans()))

    found = frozenset(least_set(count, explains))
    assert answers[found]
    assert not any(explains(found - {one}) for one in found)


def test_of_no_changes_none_is_needed() -> None:
    assert least_set(0, lambda _: True) == []
