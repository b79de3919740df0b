"""How kernels are compiled: each for the record that it is called with, whatever was compiled before."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numba import types

from learners.compiling import _find_called as find_called
from learners.kernel import array, entry, kernel, record

SHORT = record(("first", "<f8"))
LONG = record(("first", "<f8"), ("second", "<f8"))


@kernel
def first_of(owner: Any) -> Any:
    """The field that both records have."""
    return owner.first


def test_a_record_stands_in_for_none_that_begins_like_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Numba warns where one type is taken for another

        @entry(array(SHORT), result=types.float64)
        def of_short(owners: Any) -> Any:
            return first_of(owners[0])

        @entry(array(LONG), result=types.float64)
        def of_long(owners: Any) -> Any:
            return first_of(owners[0])

    assert of_short(np.array([(1.0,)], SHORT)) == 1.0
    assert of_long(np.array([(2.0, 3.0)], LONG)) == 2.0


@kernel
def greatest_of(numbers: Any) -> Any:
    """What has the name of the entry that calls it."""
    return max(numbers[0], numbers[1])


def test_an_entry_may_have_the_name_of_a_kernel_that_it_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the entry is linked; a kernel that was too would be linked twice, which Numba may refuse."""
    linked: list[str] = []

    def note(library: Any) -> Any:
        linked.append(library.name)
        return find_called(library)

    def entered(numbers: Any) -> Any:
        return greatest_of(numbers) + 1.0

    monkeypatch.setattr("learners.compiling._cache_directory", lambda file: tmp_path)  # what is kept is not linked again
    monkeypatch.setattr("learners.compiling._find_called", note)
    entered.__qualname__ = "greatest_of"
    called = entry(array(np.dtype("f8")), result=types.float64)(entered)
    assert called(np.array([1.0, 2.0])) == 3.0
    assert len(linked) == 1
