"""The inputs of logs in the order in which a replay applies them."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

from stream.brokers.journal_order import JOURNALLED, read_order
from stream.brokers.log_files import LogReader
from stream.contract.records import INPUT_TOPICS, Record
from stream.runtime.worker.batch import by_content

__all__ = ["as_applied"]


@contextmanager
def as_applied(
    names: Sequence[str], journal: bool = True, prefix: str | None = None, say: Callable[[str], object] = lambda _: None
) -> Iterator[Iterator[Record]]:
    """The records until the end of the block: as the `journal` in the logs has them, else as they stand. Raises InvalidLog.

    `prefix` and `say` are those of `LogReader`.
    """
    order = read_order(names, prefix) if journal else None
    with closing(LogReader(names, INPUT_TOPICS if order is None else JOURNALLED, prefix, say)) as log:
        yield iter(log) if order is None else order.in_applied_order(log, by_content)
