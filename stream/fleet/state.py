"""Everything remembered of a fleet, and as bytes: what its homes last said, and the alerts that came of it.

Law: `decode_fleet(encode_fleet(fleet))` goes on exactly as `fleet` would. Everything here has a bound: homes and subjects are
forgotten when they fall silent, ids of signals after DUPLICATE_MS, closed cases with the memory of the policy.
"""

import hashlib
import zlib
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from stream.contract.errors import NewerState, UnknownState
from stream.contract.records import Alert, Signal
from stream.contract.units import DAY_MS

from .clock import FleetClock

__all__ = [
    "AHEAD_MAX", "DUPLICATE_MS", "FLEET_VERSION", "Case", "Fleet", "Subject", "case_key", "decode_fleet", "encode_fleet",
    "new_alert_id", "shared_key",
]  # fmt: skip

FLEET_VERSION: Final = 2  # version 1 had no clock
DUPLICATE_MS: Final = 2 * DAY_MS  # a signal that comes again within that time is known; older than that, it is refused
AHEAD_MAX: Final = 1_000  # words that wait although they are far ahead of the fleet's time
SEEN_MAX: Final = 500_000  # ids of signals: 50 for each of 10,000 homes
CHECKSUM_BYTES: Final = 4
_SHARED: Final = "*/"  # no household has such an id


class Subject(msgspec.Struct, array_like=True):
    """The last word of one subject of a home: the evidence that something about it changed."""

    at: int
    signal_id: str
    kind: str
    person_id: str | None
    device_id: str | None
    encoder: str | None
    attributes: dict[str, str]  # the encoder among them
    log_e_value: float
    streams: int | None
    beliefs: dict[str, float] = {}
    adapted: str | None = None

    @classmethod
    def of(cls, signal: Signal) -> "Subject":
        """What a signal says."""
        attributes = dict(sorted(signal.attributes.items()))
        if signal.encoder is not None:
            attributes["encoder"] = signal.encoder
        return cls(
            signal.observed_at, signal.signal_id, signal.kind, signal.person_id, signal.device_id, signal.encoder, attributes,
            signal.log_e_value, signal.streams, signal.evidence, signal.adapted,
        )  # fmt: skip

    def same_as(self, other: "Subject") -> bool:
        """Whether both speak of the same thing in the same home."""
        return self.name == other.name

    @property
    def name(self) -> tuple[str, str | None, str | None, str | None]:
        """What it is of, within its home."""
        return self.kind, self.person_id, self.device_id, self.encoder


@dataclass(slots=True)
class Case:
    """An alert that stands, or stood not long ago, and for whom; `members` as they were counted when it was last told."""

    key: str
    alert: Alert
    members: int

    @property
    def standing(self) -> bool:
        return self.alert.state in ("opened", "updated")

    def silent(self, at: int) -> bool:
        """Whether an operator wants to hear nothing of its cause then (event time, ms), be it open or not."""
        return at < (self.alert.silenced_until or 0)

    @property
    def attribute(self) -> tuple[str, str] | None:
        """What the homes of a shared cause share; None: the case is one home's."""
        return next(iter(self.alert.attributes.items())) if self.key.startswith(_SHARED) else None


@dataclass(slots=True)
class Fleet:
    """What the fleet stage knows. All times are event times, in ms."""

    decided_at: int = 0  # the latest decision; signals before it are counted
    stream_time: int = 0  # the newest signal, as far as homes agree
    floor: int = 0  # signals before it are refused: whether they came already is not remembered
    homes: dict[str, list[Subject]] = field(default_factory=dict)
    waiting: list[tuple[str, Subject]] = field(default_factory=list)  # household and word, for the next decision
    seen: dict[str, int] = field(default_factory=dict)  # signal id -> its time
    cases: dict[str, Case] = field(default_factory=dict)  # by key
    opened: dict[str, list[int]] = field(default_factory=dict)  # household -> when alerts were opened for it
    counts: dict[str, int] = field(default_factory=dict)  # what happened, for whoever watches
    clock: FleetClock = field(default_factory=FleetClock)

    def count(self, what: str) -> None:
        """Note that it happened once more."""
        self.counts[what] = self.counts.get(what, 0) + 1

    def note_id(self, signal_id: str, at: int) -> None:
        """Remember a signal; of too many, the older half is let go and refused from then on."""
        self.seen[signal_id] = at
        if len(self.seen) > SEEN_MAX:
            self.floor = max(self.floor, sorted(self.seen.values())[SEEN_MAX // 2])
            self.forget_ids()

    def forget_ids(self) -> None:
        """Let go what is refused by its time anyhow."""
        self.seen = {signal_id: at for signal_id, at in self.seen.items() if at >= self.floor}


def case_key(household_id: str, subject: Subject) -> str:
    """What makes two alerts of one home the same."""
    return "/".join([household_id, *(part or "" for part in subject.name)])


def shared_key(attribute: tuple[str, str]) -> str:
    """What makes two alerts of an attribute's homes the same."""
    return f"{_SHARED}{attribute[0]}={attribute[1]}"


def new_alert_id(key: str, opened_at: int) -> str:
    """The same for the same cause at the same decision, whoever finds it.

    >>> new_alert_id("*/firmware=2.1", 1763690400000)
    'a-5d34403f18e74dd1'
    """
    return "a-" + hashlib.blake2b(f"{key}@{opened_at}".encode(), digest_size=8).hexdigest()


def encode_fleet(fleet: Fleet) -> bytes:
    """Versioned bytes of all that is remembered."""
    body = [
        FLEET_VERSION, fleet.decided_at, fleet.stream_time, fleet.floor, fleet.homes, fleet.waiting, fleet.seen,
        [[case.key, case.members, case.alert.model_dump()] for case in fleet.cases.values()], fleet.opened, fleet.counts,
        [fleet.clock.alone, fleet.clock.ahead, fleet.clock.run],
    ]  # fmt: skip
    packed = msgspec.msgpack.encode(body)
    return zlib.crc32(packed).to_bytes(CHECKSUM_BYTES, "big") + packed


def decode_fleet(raw: bytes) -> Fleet:
    """The fleet of `encode_fleet`'s bytes; raises UnknownState."""
    checksum, packed = raw[:CHECKSUM_BYTES], raw[CHECKSUM_BYTES:]
    if checksum != zlib.crc32(packed).to_bytes(CHECKSUM_BYTES, "big"):
        raise UnknownState("not a fleet's state, or one that was damaged: its checksum does not fit its bytes")
    body = _refuse_unknown(msgspec.msgpack.decode(packed))
    _, decided_at, stream_time, floor, homes, waiting, seen, cases, opened, counts, *clock = body
    alone, ahead, run = clock[0] if clock else (None, {}, ("", 0))
    return Fleet(
        decided_at, stream_time, floor, msgspec.convert(homes, dict[str, list[Subject]]),
        msgspec.convert(waiting, list[tuple[str, Subject]]), seen,
        {key: Case(key, Alert(**alert), members) for key, members, alert in cases}, opened, counts,
        FleetClock(alone, ahead, tuple(run)),
    )  # fmt: skip


def _refuse_unknown(body: list[Any]) -> list[Any]:
    if body[0] not in range(1, FLEET_VERSION + 1):
        if isinstance(body[0], int) and body[0] > FLEET_VERSION:
            raise NewerState(body[0], FLEET_VERSION, "the fleet's state")
        raise UnknownState(f"a fleet's state of version {body[0]!r}, which there never was")
    return body
