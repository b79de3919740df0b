"""How kernels are compiled: each for the record that it is called with, whatever was compiled before."""

import warnings
from typing import Any

import numpy as np
from numba import types

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
