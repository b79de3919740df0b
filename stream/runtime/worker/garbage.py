"""Python's search for garbage in cycles, held back where records are worked through.

Law: what is done here changes speed, never results. The search walks through every living container, so in a town of homes it
takes a quarter of the time, and finds nothing: the core makes no cycles. Memory that is in no cycle is freed at once anyway.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["seldom_collected"]

_COLLECTED_EVERY: Final = 200_000  # new containers: more than a batch of events makes


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Search seldom, and not in what is alive already (the modules, above all), until the end of the block."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
