"""Follows `decisions` and `identities`: publishes what is withdrawn, and offers it once it is in the topic.

Law: the topic is the memory. It begins with all that was decided in the last days, so that a restart withdraws nothing twice and
misses nothing; an event is offered because its record is there, whoever wrote that.
"""

import logging
import sqlite3
import time
from collections.abc import Callable
from threading import Event
from typing import TYPE_CHECKING

import msgspec

from stream.contract.errors import ConfigError
from stream.contract.ports import BrokerError
from stream.contract.records import Decided, Record
from stream.contract.units import DAY_MS
from stream.runtime.subscription import read_model

from .outbox import Outbox
from .withdrawals import Revised, Withdrawals

if TYPE_CHECKING:
    from stream.contract.settings import Wiring

__all__ = ["Follower", "follow"]

_LOG = logging.getLogger(__name__)
_PAUSE_S = 5.0


class Follower:
    """Takes records of both topics, in any order between them.

    Parameters
    ----------
    outbox
        Where events are offered.
    publish
        Sends a record.
    """

    def __init__(self, outbox: Outbox, publish: Callable[[Record], None]) -> None:
        self._withdrawals, self._outbox, self._publish = Withdrawals(), outbox, publish

    def take(self, record: Record, now_ms: int) -> None:
        """What cannot be read is passed over, and logged. Raises BrokerError."""
        for withdrawn in self._withdrawn_by(record, now_ms):
            value = withdrawn.model_dump_json().encode()
            self._publish(Record("decisions", 0, 0, now_ms, withdrawn.household_id.encode(), value))

    def _withdrawn_by(self, record: Record, now_ms: int) -> list[Decided]:
        if record.topic == "identities":
            revised = _decode_revised(record)
            return [] if revised is None else self._withdrawals.take_identity(revised, now_ms)
        decided = read_model(record, Decided)
        if decided is None:
            return []
        if decided.withdrawn_at is not None:
            self._outbox.offer(decided)
        return self._withdrawals.take_decided(decided, now_ms)


def follow(wiring: "Wiring", outbox: Outbox, days: int, stop: Event) -> None:
    """Until it is stopped; after a failure it begins anew with what was decided in so many days, so that nothing is left out."""
    while not stop.is_set():
        try:
            _follow_once(wiring, outbox, days, stop)
        except (BrokerError, ConfigError, sqlite3.Error) as error:
            _LOG.warning("revised answers cannot be followed just now: %s", error)
            stop.wait(_PAUSE_S)


def _follow_once(wiring: "Wiring", outbox: Outbox, days: int, stop: Event) -> None:
    from stream.brokers.kafka.topics import producer, reader

    begin_ms = _now_ms() - days * DAY_MS
    with producer(wiring) as sender:

        def publish(record: Record) -> None:
            sender.send(record)
            sender.flush()  # what could not be delivered is known at once, and found again

        follower = Follower(outbox, publish)
        # First what is withdrawn already, to the end of the topic: read beside the answers, it might come after them.
        for record in reader(wiring, ["decisions"], begin_ms):
            follower.take(record, _now_ms())
        for record in reader(wiring, ["decisions", "identities"], begin_ms, stop.is_set):
            follower.take(record, _now_ms())


def _decode_revised(record: Record) -> Revised | None:
    try:
        return None if record.value is None else msgspec.json.decode(record.value, type=Revised)
    except msgspec.DecodeError as error:
        _LOG.warning("%s[%d]@%d is no identity, and is passed over: %s", record.topic, record.partition, record.offset, error)
        return None


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
