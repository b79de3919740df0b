"""Dead letters for people: which there are, why, and how they are sent again once the reason is gone.

Law: a letter is sent again once, whoever asks how often: with it, in one transaction, goes a mark into `dead-letters` that says
so (a letter of the reason `resent`, with the place of the first). Letters of a household go in the order in which they came; a
resent record that cannot be used once more is a letter of its own. What came of a home before it, or a person in it, was erased,
`erase` takes out of the topic; it asks `drift-signals` who that is.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

import msgspec

from stream.brokers.kafka.producer import Announcer
from stream.brokers.kafka.topics import Names, reader
from stream.contract.codec import encode_output
from stream.contract.ports import Encoded
from stream.contract.records import ERASED, Position, Record, dead_letter
from stream.contract.settings import Wiring

from .topics import TIMEOUT_S, administration

__all__ = ["REASONS", "Letter", "Letters", "Only", "Resent", "erase", "gather", "letters", "resend"]

TOPIC: Final = "dead-letters"
RESENT: Final = "resent"
_AT_ONCE: Final = 200  # of one transaction
_NOW: Final = 2**63  # later than all that came
_SENDER: Final = "dead-letters"  # a transactional id: of two who resend, the later one alone goes on

REASONS: Final[Mapping[str, str]] = {
    "empty": "a record without a value",
    "too_large": "more bytes than are read; it cannot be sent again",
    "json": "no JSON",
    "version": "a version of the record that this kithkin does not know: deploy one that does, then resend",
    "field": "a field that is missing, of another type or out of bounds: a sender's fault",
    "key": "the record's key is not its household_id: a sender's fault",
    "encoder": "an encoder that the policy does not list: add it, then resend",
    "embedding": "a vector of another length, or with NaN in it",
    "future": "its time is later than the broker's: a clock that is wrong",
    "too_old": "long before what the home knows",
    "proof": "a signature that is not of a key that the policy lists for that time: forged, or list the key and resend",
    "quarantined": "the core failed on this home: deploy a mended one, then resend",
}  # what each says, and what to do


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter: the record as it came, why it could not be used, and whether it was sent again."""

    place: Position
    timestamp: int
    key: bytes | None
    value: bytes | None
    value_bytes: int
    reason: str
    detail: str
    resent: bool = False

    @property
    def household(self) -> str:
        """As its key says, which it may do wrongly."""
        return (self.key or b"").decode(errors="replace")

    @property
    def is_whole(self) -> bool:
        """Whether all of its value was kept."""
        return len(self.value or b"") == self.value_bytes

    def as_json(self) -> dict[str, Any]:
        """For machines: the contract's fields, and `resent`."""
        letter = dead_letter(Record(*self.place, self.timestamp, self.key, self.value), self.reason, self.detail).value
        assert letter is not None, "a dead letter has a value"
        return letter.model_dump() | {"value_bytes": self.value_bytes, RESENT: self.resent}


@dataclass(frozen=True, slots=True)
class Only:
    """Which letters are wanted; what is not said does not matter. Times are those of the records, in ms; `until_ms` is not in."""

    reasons: frozenset[str] = frozenset()
    household: str | None = None
    since_ms: int = 0
    until_ms: int = 2**63
    place: Position | None = None

    def wants(self, letter: Letter) -> bool:
        """Whether a letter is among those."""
        return (
            (not self.reasons or letter.reason in self.reasons)
            and self.household in (None, letter.household)
            and self.since_ms <= letter.timestamp < self.until_ms
            and self.place in (None, letter.place)
        )


class Letters(NamedTuple):
    """Those that were wanted, in the order in which they came by partition; and how many records of the topic are no letters."""

    found: list[Letter]
    unreadable: int


class Resent(NamedTuple):
    """What a resending came to: sent now, sent before, and letters of which not all was kept."""

    sent: int
    before: int
    cut: int


class _Told(msgspec.Struct):
    """What is read of a signal."""

    household_id: str
    kind: str


class _Written(msgspec.Struct):
    """What is read of a record of the topic; a later version may have more."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key_base64: str | None
    value_base64: str | None
    value_bytes: int
    reason: str
    detail: str


def letters(wiring: Wiring, only: Only = Only()) -> Letters:
    """The dead letters that are kept. Raises ConfigError without such a topic, and BrokerError."""
    return gather(reader(wiring, [TOPIC]), only)


def gather(records: Iterable[Record], only: Only) -> Letters:
    """Letters of records of the topic, each place once: whoever wrote it twice meant one."""
    came: dict[Position, Letter] = {}
    resent: set[Position] = set()
    unreadable = 0
    for record in sorted(records, key=lambda record: (record.partition, record.offset)):
        try:
            letter = _read(record)
        except ValueError:  # of msgspec and of base64
            unreadable += 1
            continue
        if letter.reason == RESENT:
            resent.add(letter.place)
        else:
            came.setdefault(letter.place, letter)
    marked = (replace(letter, resent=letter.place in resent) for letter in came.values())
    return Letters([letter for letter in marked if only.wants(letter)], unreadable)


def _read(record: Record) -> Letter:
    told = msgspec.json.decode(record.value or b"", type=_Written)
    place = Position(told.topic, told.partition, told.offset)
    key, value = _bytes(told.key_base64), _bytes(told.value_base64)
    return Letter(place, told.timestamp, key, value, told.value_bytes, told.reason, told.detail)


def _bytes(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text, validate=True)


def resend(wiring: Wiring, only: Only) -> Resent:
    """Send the wanted letters to the topics they came from, those that were not sent before.

    Raises
    ------
    ConfigError
        There is no such topic.
    BrokerError
        The brokers do not answer. What was sent until then is marked, so that it may be tried again.
    Fenced
        Somebody else has begun to resend meanwhile.
    """
    with closing(Announcer(wiring, f"{wiring.group}-{_SENDER}")) as announce:  # first: who began before us can send no more
        wanted = letters(wiring, only).found
        fresh = [letter for letter in wanted if not letter.resent]
        whole = [letter for letter in fresh if letter.is_whole]
        for some in _in_pieces(whole):
            announce([encoded for letter in some for encoded in _again(letter)])
    return Resent(len(whole), len(wanted) - len(fresh), len(fresh) - len(whole))


def erase(wiring: Wiring, household: str | None = None) -> tuple[int, int]:
    """Take the letters of homes out of the topic that came before something of the home was erased; how many went and stayed.

    Kafka deletes of a topic only what is oldest. So what is to stay is published once more, at the end, and then all before goes:
    first the one, then the other, so that a crash in between leaves letters twice, which are read as one.

    Parameters
    ----------
    wiring
        Where, and under which prefix.
    household
        This one too, whatever was published of it.

    Raises
    ------
    ConfigError, BrokerError, Fenced
        As `resend`.
    """
    with closing(Announcer(wiring, f"{wiring.group}-{_SENDER}")) as announce:
        records = list(reader(wiring, [TOPIC]))
        until = _find_erasures(reader(wiring, ["drift-signals"]))
        if household is not None:
            until[household] = _NOW
        stay = [record for record in records if _stays(record, until)]
        if len(stay) == len(records):
            return 0, len(stay)
        for start in range(0, len(stay), _AT_ONCE):
            announce([Encoded(TOPIC, r.partition, r.timestamp, r.key, r.value) for r in stay[start : start + _AT_ONCE]])
        _delete(wiring, records)
    return len(records) - len(stay), len(stay)


def _stays(record: Record, until: Mapping[str, int]) -> bool:
    """Whether a record of the topic came after the last erasure in its home, or there was none."""
    household = (record.key or b"").decode(errors="replace")
    return household not in until or record.timestamp > until[household]


def _find_erasures(signals: Iterable[Record]) -> dict[str, int]:
    """By household, the latest time at which the brokers had that something of it was erased."""
    found: dict[str, int] = {}
    for record in signals:
        try:
            told = msgspec.json.decode(record.value or b"", type=_Told)
        except ValueError:
            continue
        if told.kind == ERASED:
            found[told.household_id] = max(found.get(told.household_id, 0), record.timestamp)
    return found


def _delete(wiring: Wiring, records: Sequence[Record]) -> None:
    """Take these, and all before them, out of their partitions."""
    from confluent_kafka import TopicPartition

    ends: dict[int, int] = {}
    for record in records:
        ends[record.partition] = max(ends.get(record.partition, 0), record.offset + 1)
    places = [TopicPartition(Names(wiring.prefix).wire(TOPIC), partition, end) for partition, end in ends.items()]
    with administration(wiring) as admin:
        for deleted in admin.delete_records(places).values():
            deleted.result(TIMEOUT_S)


def _in_pieces(whole: Sequence[Letter]) -> Iterator[Sequence[Letter]]:
    return (whole[start : start + _AT_ONCE] for start in range(0, len(whole), _AT_ONCE))


def _again(letter: Letter) -> tuple[Encoded, Encoded]:
    """The record, and the mark that it was sent."""
    record = Record(*letter.place, letter.timestamp, letter.key, None)
    mark = encode_output(dead_letter(record, RESENT, "by kithkin dead-letters resend"), letter.place.partition, letter.timestamp)
    return Encoded(letter.place.topic, letter.place.partition, letter.timestamp, letter.key, letter.value), mark
