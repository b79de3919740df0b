"""What if feedback came later or never, a modality were missing more often, or something in the home changed?

Law: the same log, options and seed give the same records, whatever reads them and over however many processes; which records
are concerned is told by their ids, so that a duplicate has the fate of the first, and another option changes no draw.

Only what people say of answers (confirm, reject, correct, and retract) is delayed or lost: who joins, enrols, has a phone or is
to be forgotten is known as it was. A delay is of the arrival; when it was said (`given_at`) stays. Then offsets of feedback are
counted anew, since records arrive in another order.
"""

import hashlib
import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from stream.contract.errors import ConfigError
from stream.contract.records import OPTIONAL_TOPICS, Record

from .changes import Change, Changer, duration_ms, parse_change

__all__ = ["CLAIMS", "NOTHING", "Altering", "WhatIf", "chance", "fields_of", "parse_what_if"]

CLAIMS: Final = frozenset({"confirm", "reject", "correct", "retract"})
MODALITIES: Final = ("voice", "face", "phones", "activity")  # as recognitions name them
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What is otherwise than it was.

    Parameters
    ----------
    feedback_delay_ms
        So much later claims arrive.
    feedback_loss
        Share of claims that never arrive, 0 to 1.
    drop
        Modality and the share of its recognitions, 0 to 1, that lose it. What has nothing left to recognise by is not sent.
    changes
        Of the world, in the order in which they are applied.
    seed
        Of which records are concerned, and of what new sensors do.
    """

    feedback_delay_ms: int = 0
    feedback_loss: float = 0.0
    drop: tuple[tuple[str, float], ...] = ()
    changes: tuple[Change, ...] = ()
    seed: int = 0

    @property
    def is_nothing(self) -> bool:
        """Whether the log stays as it is."""
        return not (self.feedback_delay_ms or self.feedback_loss or self.drop or self.changes)

    @property
    def written(self) -> str:
        """The whole as text, which `read` reads; empty: nothing is otherwise."""
        return "" if self.is_nothing else _encode(self).decode()

    @classmethod
    def read(cls, written: str) -> "WhatIf":
        """What `written` wrote."""
        return msgspec.json.decode(written, type=cls) if written else NOTHING

    def apply(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records as they would have come."""
        if self.is_nothing:
            yield from records
            return
        altering = Altering(self)
        for record in records:
            yield from altering.next(record)
        yield from altering.rest()


NOTHING: Final = WhatIf()


def parse_what_if(
    feedback_delay: str | None, feedback_loss: float, drop: Sequence[str], inject: Sequence[str], seed: int
) -> WhatIf:
    """The options as they are typed. Raises ConfigError where one cannot be."""
    delay_ms = duration_ms(feedback_delay, "feedback-delay") if feedback_delay else 0
    if not 0 <= feedback_loss <= 1:
        raise ConfigError("feedback-loss", feedback_loss, "--feedback-loss", "a share from 0 to 1")
    dropped = tuple(_parse_drop(told) for told in drop)
    return WhatIf(delay_ms, feedback_loss, dropped, tuple(map(parse_change, inject)), seed)


def _parse_drop(told: str) -> tuple[str, float]:
    name, parted, written = told.partition("=")
    try:
        share = float(written) if parted else 1.0
    except ValueError:
        share = -1.0
    if name not in MODALITIES or not 0 <= share <= 1:
        right = f'a modality ({", ".join(MODALITIES)}) with a share from 0 to 1, such as "face=.5"'
        raise ConfigError("drop-modality", told, "--drop-modality", right)
    return name, share


def chance(seed: int, *words: str) -> float:
    """A number from 0 to below 1 that these words draw, always the same.

    >>> chance(0, "h-042", "e-1", "face") == chance(0, "h-042", "e-1", "face") != chance(1, "h-042", "e-1", "face")
    True
    """
    digest = hashlib.blake2b("\0".join((str(seed), *words)).encode(errors="surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) / 2**53


def fields_of(record: Record) -> dict[str, Any] | None:
    """The members of a record's value; None: it is no JSON object."""
    try:
        value = _decode(record.value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


class Altering:
    """A log on its way through: what comes of each record, and at the end what was still delayed."""

    def __init__(self, what_if: WhatIf) -> None:
        self._what_if = what_if
        self._changers: list[Changer] | None = None
        self._delayed: list[tuple[int, int, Record]] = []  # due, number, record: a heap
        self._number = 0
        self._next_offset: dict[int, int] = {}  # of feedback, by partition
        self.counts: Counter[str] = Counter()

    def next(self, record: Record) -> Iterator[Record]:
        """The records that now come in its place, in order; perhaps none."""
        if self._what_if.is_nothing:
            yield record
            return
        if self._changers is None:
            self._changers = [Changer(change, self._what_if.seed, _time_of(record)) for change in self._what_if.changes]
        if self._what_if.feedback_delay_ms:
            yield from self._due(_time_of(record))
        if record.topic == "feedback":
            yield from self._feedback(record)
        elif record.topic in OPTIONAL_TOPICS:
            yield record
        elif (altered := self._recognition(record)) is not None:
            yield altered

    def rest(self) -> Iterator[Record]:
        """What was still delayed when the log ended."""
        while self._delayed:
            yield self._renumber(heapq.heappop(self._delayed)[2])

    def _due(self, now_ms: int) -> Iterator[Record]:
        while self._delayed and self._delayed[0][0] <= now_ms:
            yield self._renumber(heapq.heappop(self._delayed)[2])

    def _feedback(self, record: Record) -> Iterator[Record]:
        what_if, value = self._what_if, fields_of(record)
        delay_ms = what_if.feedback_delay_ms
        claim = value is not None and value.get("kind") in CLAIMS
        for changer in self._changers or ():
            if value is not None:
                changer.note(record, value)
        if claim and value is not None and self._is_lost(value):
            self.counts["claims lost"] += 1
        elif claim and delay_ms:
            self.counts["claims delayed"] += 1
            self._number += 1
            due_ms = _time_of(record) + delay_ms
            heapq.heappush(self._delayed, (due_ms, self._number, replace(record, timestamp=due_ms)))
        else:
            yield self._renumber(record) if delay_ms else record

    def _is_lost(self, value: dict[str, Any]) -> bool:
        """A retraction is lost with what it takes back."""
        said = value.get("retracts") if value.get("kind") == "retract" else value.get("feedback_id")
        return chance(self._what_if.seed, str(value.get("household_id")), str(said), "feedback") < self._what_if.feedback_loss

    def _renumber(self, record: Record) -> Record:
        offset = self._next_offset.get(record.partition, 0)
        self._next_offset[record.partition] = offset + 1
        return replace(record, offset=offset)

    def _recognition(self, record: Record) -> Record | None:
        value = fields_of(record)
        if value is None:
            return record
        changed = [changer.apply(value) for changer in self._changers or ()]
        words = str(value.get("household_id")), str(value.get("event_id"))
        dropped = [
            name
            for name, share in self._what_if.drop
            if value.get(name) is not None and chance(self._what_if.seed, *words, name) < share
        ]
        for name in dropped:
            del value[name]
            self.counts[f"without {name}"] += 1
        if dropped and not any(value.get(name) is not None for name in MODALITIES):
            self.counts["not sent"] += 1
            return None
        if any(changed):
            self.counts["changed"] += 1
        return replace(record, value=_encode(value)) if dropped or any(changed) else record


def _time_of(record: Record) -> int:
    """When a record came, ms; where nobody knows, when it was made."""
    if record.timestamp >= 0:
        return record.timestamp
    value = fields_of(record) or {}
    made = value.get("given_at", value.get("observed_at"))
    return made if isinstance(made, int) else 0
