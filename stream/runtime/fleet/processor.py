"""The fleet stage at work: signals and commands in, alerts out, nothing lost and nothing said anew by a crash.

Law: what was decided is saved before it is said, in one step with the offsets of what it was decided from; so it is the same
however often this was killed. What was saved last is said again by who comes next, who cannot know whether it was heard: the
same revision of an alert may stand in the topic twice, and never two that differ.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import ValidationError

from stream.contract.codec import encode_output
from stream.contract.policy import Alerting
from stream.contract.ports import Encoded, StateStore
from stream.contract.records import Alert, Command, Output, Record, Signal, dead_letter
from stream.fleet.state import Fleet, decode_fleet, encode_fleet
from stream.fleet.step import advance, grace_ms, obey, take

__all__ = ["ALERTS", "COMMANDS", "SIGNALS", "EventTimeWatermark", "FleetProcessor", "PartitionProgress", "encode_alert"]

SIGNALS: Final = "drift-signals"
COMMANDS: Final = "drift-commands"
ALERTS: Final = "drift-alerts"

_LOG = logging.getLogger(__name__)
_PLACE: Final = 0  # the store's partition: there is one fleet
_NAME: Final = "fleet"
_SAVES: Final = "saves"  # counted among the offsets, since decisions come of time as well
_SILENT_S: Final = 2.0  # what the client has fetched reaches the processor sooner than that

Announce = Callable[[Sequence[Encoded]], None]


def encode_alert(alert: Alert) -> Encoded:
    """A revision of an alert as it is published."""
    return encode_output(Output(ALERTS, alert.alert_id, alert), 0, alert.updated_at)


class FleetProcessor:
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
        self._passing: list[Encoded] = []  # apart, for `settle` is run in another thread than whoever asks
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
        self._unsaid += self._passing
        self._passing = []
        before = self.fleet.decided_at
        self._say(advance(self.fleet, reached - grace_ms(self._policy), self._policy))
        self._changed = self._changed or self.fleet.decided_at != before

    def settle(self) -> None:
        """Save what changed, then say what was decided. Raises Fenced, StoreError or BrokerError: then this one has ended."""
        if self._changed:
            to = self._offsets | {_SAVES: self._saved.get(_SAVES, 0) + 1}
            state = msgspec.msgpack.encode((encode_fleet(self.fleet), self._unsaid))
            self._store.save(_PLACE, self._epoch, self._saved, to, {_NAME: state})
            self._saved, self._changed = to, False
        self._announce(self._unsaid)
        self._unsaid = []

    def pass_on(self, command: Command) -> None:
        """Publish, with the next turn, what somebody said here of an alert; it is obeyed when it comes from the topic."""
        self._passing.append(encode_output(Output(COMMANDS, command.alert_id, command), 0, command.given_at))

    @property
    def alerts(self) -> Mapping[str, Alert]:
        """What stands, or stood not long ago, by id."""
        return {case.alert.alert_id: case.alert for case in self.fleet.cases.values()}

    def _say(self, alerts: Sequence[Alert]) -> None:
        self._unsaid += map(encode_alert, alerts)

    def _refuse(self, record: Record, error: ValidationError) -> None:
        first: Any = error.errors(include_url=False, include_context=False)[0]
        detail = f"{'.'.join(map(str, first['loc'])) or 'the record'}: {first['msg']}"
        _LOG.warning("a record of %s cannot be read: %s", record.topic, detail, extra={"partition": record.partition})
        self.fleet.count("unreadable")
        self._unsaid.append(encode_output(dead_letter(record, "field", detail), record.partition, record.timestamp))


class PartitionProgress(NamedTuple):
    """How a turn found the partitions of signals: what the client fetched, what there is, what was taken (next offsets)."""

    fetched: Mapping[int, int]
    ends: Mapping[int, int]
    taken: Mapping[int, int]

    @property
    def lag(self) -> int:
        """Records of signals that were not fetched yet."""
        return sum(max(0, end - self.fetched[partition]) for partition, end in self.ends.items())


class EventTimeWatermark:
    """Up to which event time all signals are known, over partitions that are not read at the same pace.

    Of a partition that was fetched to its end, all that lay there then has been taken when something was that was fetched later,
    for records come in the order in which they are fetched; or when nothing came for a while. A partition of which that
    cannot be said holds up the others at its newest signal. While nothing comes from any, event time goes on at the pace of the
    clock, so that alerts can expire.
    """

    def __init__(self, now_s: float) -> None:
        self._newest: dict[int, int] = {}
        self._came_s = now_s
        self._before: PartitionProgress | None = None
        self._known_then = 0

    def note_arrival(self, now_s: float) -> None:
        """Something came, be it news or not."""
        self._came_s = now_s

    def note_signal(self, signal: Signal, partition: int) -> None:
        """A signal that is news."""
        self._newest[partition] = max(self._newest.get(partition, 0), signal.observed_at)

    def advance(self, progress: PartitionProgress, stream_time: int, now_s: float) -> int:
        """In ms; 0: nothing is known yet. To be asked once a turn, after its signals."""
        before, self._before = self._before, progress
        known, self._known_then = self._known_then, stream_time
        if before is None or not before.fetched:
            return 0
        silent_s = now_s - self._came_s
        later = any(offset > before.fetched.get(partition, offset) for partition, offset in progress.taken.items())
        passed = later or silent_s >= _SILENT_S
        held = [
            self._newest.get(partition, 0)
            for partition, fetched in before.fetched.items()
            if fetched < before.ends[partition] or not (passed or progress.taken[partition] >= fetched)
        ]
        if held or silent_s < _SILENT_S:
            return min([known, *held])
        return known + int(silent_s * 1_000) if known else 0


def _place(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"
