"""The fleet stage at work: signals and commands in, alerts out, nothing lost and nothing said anew by a crash.

Law: what was decided is saved before it is said, in one step with the offsets of what it was decided from; so it is the same
however often this was killed. What was saved last is said again by who comes next, who cannot know whether it was heard: the
same revision of an alert may stand in the topic twice, and never two that differ.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from pydantic import ValidationError

from .codec import encode_output
from .dead_letters import dead_letter
from .fleet import advance, grace_ms, obey, take
from .fleet_memory import Fleet, decode_fleet, encode_fleet
from .policy import Alerting
from .ports import Encoded, StateStore
from .records import Alert, Command, Output, Record, Signal

__all__ = ["ALERTS", "COMMANDS", "SIGNALS", "Desk", "Tide", "encoded"]

SIGNALS: Final = "drift-signals"
COMMANDS: Final = "drift-commands"
ALERTS: Final = "drift-alerts"

_LOG = logging.getLogger(__name__)
_PLACE: Final = 0  # the store's partition: there is one fleet
_NAME: Final = "fleet"
_SAVES: Final = "saves"  # counted among the offsets, since decisions come of time as well
_QUIET_S: Final = 1.0  # what Kafka's client has handed over reaches the desk sooner than that

Announce = Callable[[Sequence[Encoded]], None]


def encoded(alert: Alert) -> Encoded:
    """A revision of an alert as it is published."""
    return encode_output(Output(ALERTS, alert.alert_id, alert), 0, alert.updated_at)


class Desk:
    """Holds the fleet, and keeps the order of effects: decide, save, say.

    Parameters
    ----------
    store
        Of the state; who claims it last is the only one who saves.
    announce
        Publishes, all or nothing; raises when it cannot.
    policy
        When something is worth an alert.

    Raises
    ------
    StoreError, UnknownState
        There is no state to be had.
    """

    def __init__(self, store: StateStore, announce: Announce, policy: Alerting) -> None:
        self._store, self._announce, self._policy = store, announce, policy
        self._epoch, stands_at = store.claim(_PLACE)
        self._saved, self._offsets = dict(stands_at), dict(stands_at)
        self.fleet, self._unsaid, self._changed = Fleet(), list[Encoded](), False
        kept = store.load(_PLACE, [_NAME]).get(_NAME)
        if kept is not None:
            raw, unsaid = msgspec.msgpack.decode(kept, type=tuple[bytes, list[Encoded]])
            self.fleet, self._unsaid = decode_fleet(raw), unsaid

    def next_offset(self, topic: str, partition: int) -> int:
        """From where on records are news."""
        return self._offsets.get(_place(topic, partition), 0)

    def take(self, record: Record) -> Signal | None:
        """Take a signal, or do as a command says; the signal, if it was one that can be read and is news."""
        place = _place(record.topic, record.partition)
        if record.offset < self._offsets.get(place, 0):
            return None
        self._offsets[place] = record.offset + 1
        self._changed = True
        try:
            if record.topic == COMMANDS:
                self._say(obey(self.fleet, Command.model_validate_json(record.value or b"")))
                return None
            signal = Signal.model_validate_json(record.value or b"")
        except ValidationError as error:
            self._refuse(record, error)
            return None
        take(self.fleet, signal)
        return signal

    def decide(self, reached: int) -> None:
        """Make the decisions that are due when all is known that happened before `reached` (event time, ms)."""
        before = self.fleet.decided_at
        self._say(advance(self.fleet, reached - grace_ms(self._policy), self._policy))
        self._changed = self._changed or self.fleet.decided_at != before

    def settle(self) -> None:
        """Save what changed, then say what was decided. Raises Fenced, StoreError or BrokerError: then this desk has ended."""
        if self._changed:
            to = self._offsets | {_SAVES: self._saved.get(_SAVES, 0) + 1}
            state = msgspec.msgpack.encode((encode_fleet(self.fleet), self._unsaid))
            self._store.save(_PLACE, self._epoch, self._saved, to, {_NAME: state})
            self._saved, self._changed = to, False
        self._announce(self._unsaid)
        self._unsaid = []

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """What stands, or stood not long ago, by id."""
        return {case.alert.alert_id: case.alert for case in self.fleet.cases.values()}

    def _say(self, alerts: Sequence[Alert]) -> None:
        self._unsaid += map(encoded, alerts)

    def _refuse(self, record: Record, error: ValidationError) -> None:
        first: Any = error.errors(include_url=False, include_context=False)[0]
        detail = f"{'.'.join(map(str, first['loc'])) or 'the record'}: {first['msg']}"
        _LOG.warning("a record of %s cannot be read: %s", record.topic, detail, extra={"partition": record.partition})
        self.fleet.count("unreadable")
        self._unsaid.append(encode_output(dead_letter(record, "field", detail), record.partition, record.timestamp))


class Tide:
    """Up to which event time all signals are known, over partitions that are not read at the same pace.

    A partition that is read to its end and quiet holds up nobody; the others are known up to the newest signal of the one
    that is behind most. Where all are quiet, event time goes on at the pace of the clock, so that alerts can expire.
    """

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}
        self._came_s: dict[int, float] = {}

    def saw(self, signal: Signal, partition: int, now_s: float) -> None:
        """A signal came."""
        self._newest[partition] = max(self._newest.get(partition, 0), signal.observed_at)
        self._came_s[partition] = now_s

    def reached(self, read: Mapping[int, bool], stream_time: int, now_s: float) -> int:
        """In ms; 0: nothing is known yet. `read`: for each partition, whether all of it that there is was read."""
        active = [p for p, to_its_end in read.items() if not to_its_end or now_s - self._came_s.get(p, 0.0) < _QUIET_S]
        if not read or not stream_time:
            return 0
        if active:
            return min(self._newest.get(partition, 0) for partition in active)
        idle_s = now_s - max(self._came_s.values()) if self._came_s else 0.0
        return stream_time + int(idle_s * 1_000)


def _place(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"
