"""The inputs of logs in the order in which a replay applies them.

Law: the records of a partition come in the order in which a worker applied them, where the logs hold its journal and nothing is
changed in them; else as they stand.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice

from stream.brokers.journal_order import JOURNALLED, JournalOrder, read_order
from stream.brokers.log_files import LogReader
from stream.contract.records import INPUT_TOPICS, Record
from stream.runtime.worker.batch import by_content

from ..what_if.what_if import WhatIf

__all__ = ["as_applied", "count_missing", "in_applied_order", "in_batches", "open_log", "read_order_of"]

Say = Callable[[str], object]


@contextmanager
def as_applied(
    names: Sequence[str], journal: bool = True, prefix: str | None = None, say: Say = lambda _: None
) -> Iterator[Iterator[Record]]:
    """The records until the end of the block: as the `journal` in the logs has them, else as they stand. Raises InvalidLog.

    `prefix` and `say` are those of `LogReader`.
    """
    order = read_order(names, prefix) if journal else None
    with closing(open_log(names, order, prefix, say)) as log:
        yield in_applied_order(log, order)


def read_order_of(names: Sequence[str], what_if: WhatIf, prefix: str | None, say: Say = lambda _: None) -> JournalOrder | None:
    """The batches that the logs tell; None: their records apply as they stand. `say` is told what of a journal is not applied."""
    order = read_order(names, prefix)
    if order is not None and not what_if.is_nothing:
        say("The journal of these logs is not applied: its batches were of other records than those of a what-if.")
        return None
    if order is not None and order.left_over:
        say(f"{order.left_over:,} records are in no batch of the journal: they apply before or after its batches.")
    return order


def open_log(
    names: Sequence[str], order: JournalOrder | None, prefix: str | None, say: Say = lambda _: None, digested: bool = False
) -> LogReader:
    """Logs whose records are to come in this order. Raises InvalidLog."""
    return LogReader(names, INPUT_TOPICS if order is None else JOURNALLED, prefix, say, digested)


def in_applied_order(log: LogReader, order: JournalOrder | None) -> Iterator[Record]:
    """The records of a log that was opened for this order."""
    return iter(log) if order is None else order.in_applied_order(log, by_content)


def count_missing(order: JournalOrder | None) -> Callable[[Sequence[Record]], int]:
    """What says how many more records belong to a batch than those given."""
    return (lambda _: 0) if order is None else order.count_missing


def in_batches(log: LogReader, order: JournalOrder | None, what_if: WhatIf, records_max: int) -> Iterator[list[Record]]:
    """The records in the batches of a replay."""
    records, missing = what_if.apply(in_applied_order(log, order)), count_missing(order)
    while batch := list(islice(records, records_max)):
        batch.extend(islice(records, missing(batch)))
        yield batch
