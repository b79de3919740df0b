"""Workers with one effect in the wrong order on purpose, for the checker to find out.

Law: each does one thing wrongly and everything else as it should. What finds it out is named beside it.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from stream.ops.local_cluster.processes import until

from .points import At, PointedBroker, PointedStore

__all__ = ["SABOTAGES", "faults_against", "sabotaged"]

_STOOD_STILL_S: Final = 1.0  # longer than a batch of the drill takes
_NOTICED_S: Final = 5.0


class _Pass:
    """A port as it is, for sabotage of one part of it."""

    def __init__(self, port: Any) -> None:
        self._port = port

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


class _SavesFirst(_Pass):
    """Publishes only when all states of the batch are saved."""

    held: Any = None
    saved = 0

    def publish(self, transaction: Any) -> None:
        self.held, self.saved = transaction, 0

    def after_save(self) -> None:
        """Publish when this was the last save."""
        self.saved += 1
        if self.held is not None and self.saved == len(self.held.offsets):
            held, self.held = self.held, None
            self._port.publish(held)


class _ThenPublishes(_Pass):
    def __init__(self, store: Any, broker: _SavesFirst) -> None:
        super().__init__(store)
        self._broker = broker

    def save(self, *arguments: Any) -> None:
        self._port.save(*arguments)
        self._broker.after_save()


class _OffsetsApart(_Pass):
    """Commits the offsets in a transaction of their own, after the outputs."""

    def publish(self, transaction: Any) -> None:
        self._port.publish(replace(transaction, offsets={}))
        self._port.unpointed.publish(replace(transaction, outputs=(), journal=()))  # so that all points lie before it


class _Unfenced(_Pass):
    """Writes each state by itself, before it asks whether the epoch is the newest."""

    def save(self, partition: int, epoch: int, offsets_from: Any, offsets_to: Any, states: Any) -> None:
        for household, state in states.items():
            self._port._client.ask("SET", self._port._key(partition, f"home:{household}"), state)
        self._port.save(partition, epoch, offsets_from, offsets_to, states)


class _LateMetadata(_Pass):
    """Takes the group's metadata at the time of the commit instead of the assignment's; a zombie then has time to notice."""

    def __init__(self, port: Any) -> None:
        super().__init__(port)
        self._awake_s, self._stood_still = time.monotonic(), False
        threading.Thread(target=self._watch, daemon=True).start()

    def publish(self, transaction: Any) -> None:
        self._note()
        member, publisher = self._port._member, self._port._publisher
        if self._stood_still:
            before, self._stood_still = repr(_metadata_now(member._consumer)), False
            until(lambda: repr(_metadata_now(member._consumer)) != before, _NOTICED_S)
        publisher.publish(transaction, _metadata_now(member._consumer))

    def _note(self) -> None:
        """Notice when the process was stopped: polls and publishing go on side by side, so neither of them tells."""
        now_s = time.monotonic()
        self._stood_still |= now_s - self._awake_s > _STOOD_STILL_S
        self._awake_s = now_s

    def _watch(self) -> None:
        while True:
            time.sleep(_STOOD_STILL_S / 10)
            self._note()


def _metadata_now(consumer: Any) -> Any:
    """As the client that has it calls it."""
    return consumer.consumer_group_metadata() if hasattr(consumer, "consumer_group_metadata") else consumer.group_metadata()


# What finds it out: the faults under which its harm shows.
SABOTAGES: Final[dict[str, Sequence[str]]] = {
    "save-first": ("kill@before-transaction", "kill@before-commit"),
    "offsets-apart": ("kill@after-transaction",) * 2,
    "unfenced-save": ("stop@after-transaction",) * 5,  # what the zombie spoils is now and then saved anew before it is loaded
    "late-metadata": ("stop@before-transaction",) * 2,
}


def faults_against(sabotage: str, broker: str) -> Sequence[str]:
    """What finds it out; empty where it does no harm: librdkafka keeps a zombie's old member id until its next poll."""
    return () if (sabotage, broker) == ("late-metadata", "confluent") else SABOTAGES[sabotage]


def sabotaged(name: str | None, broker: Any, store: Any, at: At) -> tuple[Any, Any]:
    """The ports of a worker with all its points, sabotaged; None: as they are."""
    if name == "late-metadata":
        broker = _LateMetadata(broker)
    if name == "unfenced-save":
        store = _Unfenced(store)
    pointed = PointedBroker(broker, at)
    broker, store = pointed, PointedStore(store, pointed, at)
    if name == "save-first":
        broker = _SavesFirst(broker)
        store = _ThenPublishes(store, broker)
    elif name == "offsets-apart":
        broker = _OffsetsApart(broker)
    return broker, store
