"""Named points of a worker's work, at which it dies or stands still when it is told to.

Law: without an order a pointed worker does what a worker does. An order names a point and which passage of it; whoever makes
that passage takes the order, which proves that the point was reached, and is struck there.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

__all__ = ["POINTS", "At", "Order", "Orders", "PointedBroker", "PointedStore", "pointed_producer", "pointed_revocation"]

POINTS: Final = (
    "before-transaction",
    "inside-transaction",  # some outputs have reached the brokers, and their transaction stays open
    "before-commit",  # all outputs, the journal and the offsets have
    "after-transaction",  # and before the first save
    "between-saves",  # of two partitions
    "in-recovery",  # with a journalled batch in hand
    "in-revoke",  # in the group's callback
)
At = Callable[[str], None]

_TAKES_EFFECT_S: Final = 0.1


class Order(NamedTuple):
    """Strike whoever passes a point for the n-th time."""

    point: str
    passage: int = 1
    action: Literal["kill", "stop"] = "kill"


class Orders:
    """The one order that stands, and those that were carried out: files in a folder that all workers know."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._standing, self._recoveries = folder, folder / "order", folder / "recoveries"
        self._number = 0
        self._seen = self._passages = 0

    def give(self, order: Order) -> None:
        """Let an order stand, instead of any other."""
        self._number += 1
        written = self._folder / "order.new"
        written.write_text(json.dumps([self._number, *order]))
        written.rename(self._standing)

    def withdraw(self) -> None:
        """Let none stand."""
        self._standing.unlink(missing_ok=True)

    def taken(self) -> int | None:
        """Process id of who carried the latest order out; None: nobody has yet."""
        for path in self._folder.glob(f"taken-{self._number}-*"):
            return int(path.name.rpartition("-")[2])
        return None

    def all_taken(self) -> Counter[str]:
        """How often which action was carried out at which point: "kill@in-revoke"."""
        return Counter(path.name.split("-", 2)[2].rpartition("-")[0] for path in self._folder.glob("taken-*"))

    def recoveries(self) -> int:
        """How many journalled batches were taken in hand again."""
        return self._recoveries.stat().st_size if self._recoveries.exists() else 0

    def pass_by(self, point: str) -> None:
        """This process is at that point; it may not come further."""
        if point == "in-recovery":
            with self._recoveries.open("ab") as counted:
                counted.write(b".")
        try:
            number, wanted, passage, action = json.loads(self._standing.read_text())
        except FileNotFoundError:
            return
        if wanted != point:
            return
        self._passages = self._passages + 1 if self._seen == number else 1
        self._seen = number
        if self._passages >= passage and self._take(f"{number}-{action}@{point}"):
            os.kill(os.getpid(), signal.SIGKILL if action == "kill" else signal.SIGSTOP)
            time.sleep(_TAKES_EFFECT_S)  # the signal is the process's: the thread that sent it runs on until it arrives

    def _take(self, order: str) -> bool:
        """Whether nobody else was quicker."""
        try:
            self._standing.rename(self._folder / f"taken-{order}-{os.getpid()}")
        except FileNotFoundError:
            return False
        return True


class PointedBroker:
    """A broker, with the points around its transactions and in a recovery."""

    def __init__(self, broker: Any, at: At) -> None:
        self.unpointed, self._at = broker, at
        self.saves: int | None = None  # since the latest transaction; None: in no batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self.unpointed, name)

    def poll(self, records_max: int, timeout_s: float) -> Any:
        self.saves = None
        return self.unpointed.poll(records_max, timeout_s)

    def fetch(self, partition: int, offsets_from: Any, offsets_to: Any) -> Any:
        records = self.unpointed.fetch(partition, offsets_from, offsets_to)
        self._at("in-recovery")
        return records

    def publish(self, transaction: Any) -> None:
        self._at("before-transaction")
        self.unpointed.publish(transaction)
        self.saves = 0
        self._at("after-transaction")


class PointedStore:
    """A store, with the point between two saves of one batch."""

    def __init__(self, store: Any, broker: PointedBroker, at: At) -> None:
        self._store, self._broker, self._at = store, broker, at

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def save(self, *arguments: Any) -> None:
        if self._broker.saves:
            self._at("between-saves")
        self._store.save(*arguments)
        if self._broker.saves is not None:
            self._broker.saves += 1


def pointed_producer(producer: Any, send: str, at: At) -> Any:
    """A client's class of producers, with the points inside a transaction; `send` is its method for one record."""

    class Pointed(producer):  # type: ignore[misc]
        sent = 0

        def begin_transaction(self) -> None:
            self.sent = 0
            super().begin_transaction()

        def commit_transaction(self, *timeout: Any) -> None:
            at("before-commit")
            super().commit_transaction(*timeout)

    def sending(self: Any, *arguments: Any, **named: Any) -> Any:
        sent = getattr(super(Pointed, self), send)(*arguments, **named)
        self.sent += 1
        if self.sent == 2:
            self.flush(5.0)
            at("inside-transaction")
        return sent

    setattr(Pointed, send, sending)
    return Pointed


def pointed_revocation(membership: Any, at: At) -> None:
    """Puts the point into what a group's callback does when partitions are taken away."""
    original = membership.note_revoked

    def note_revoked(self: Any) -> None:
        at("in-revoke")
        original(self)

    membership.note_revoked = note_revoked
