"""A move to more partitions as the command makes it, for a process that is to be killed in it."""

from contextlib import ExitStack, closing

from stream.contract.settings import Wiring
from stream.ops.growth import Growth, grow
from stream.stores import open_store

__all__ = ["move"]


def move(wiring: Wiring, growth: Growth) -> list[str]:
    """To the end; what each step said."""
    with ExitStack() as ends:
        target = wiring.model_copy(update={"prefix": growth.to_prefix})
        old, new = (ends.enter_context(closing(open_store(one.store or "", one))) for one in (wiring, target))
        return [step.text for step in grow(wiring, (old, new), growth)]
