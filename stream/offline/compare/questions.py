"""What is judged: the recognitions of a log, with who it was (by truth) and what people said of it (claims).

Law: nothing a policy answers is in here but for whom people confirmed, so all policies are asked the same. Recognitions of guided
enrolment are left out: nobody has to be recognised there. A claim is judged by the answer that stood before it came, in the order
of the original log, also where a what-if delays it or loses it on its way to the worker.
"""

from array import array
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
import numpy as np

from stream.contract.errors import ConfigError
from stream.contract.policy import SOURCES
from stream.contract.records import Record

from ..what_if.what_if import Altering, WhatIf

__all__ = ["Claim", "EventKey", "Questions", "ReadingOrder", "Verdict", "ask", "read_truth"]

EventKey = tuple[str, str]  # household_id, event_id
_Place = tuple[str, int]  # topic and partition
_RANK: Final[dict[str, int]] = {source: rank for rank, source in enumerate(SOURCES)}


def _numbers() -> "array[int]":
    return array("q")


class ReadingOrder:
    """In which order the worker read records, partition by partition; a batch may have lower offsets after higher ones.

    A *moment* of a partition is how many of its records had been read by then.
    """

    def __init__(self) -> None:
        self._read: Counter[int] = Counter()
        self._offsets: defaultdict[_Place, array[int]] = defaultdict(_numbers)
        self._ranks: defaultdict[_Place, array[int]] = defaultdict(_numbers)

    def note(self, record: Record) -> None:
        """The next record that is read."""
        place = record.topic, record.partition
        self._offsets[place].append(record.offset)
        self._ranks[place].append(self._read[record.partition])
        self._read[record.partition] += 1

    def moment(self, partition: int) -> int:
        """Now."""
        return self._read[partition]

    def finish(self) -> None:
        """All was read: from now on records are looked up."""
        for place, offsets in self._offsets.items():
            order = np.argsort(np.asarray(offsets), kind="stable")
            self._offsets[place] = array("q", np.asarray(offsets)[order].tobytes())
            self._ranks[place] = array("q", np.asarray(self._ranks[place])[order].tobytes())

    def had_read(self, moment: int, topic: str, partition: int, offset: int) -> bool:
        """Whether that record had been read by a moment of its partition, so that what it caused had been published."""
        place = topic, partition
        offsets = self._offsets.get(place, ())
        at = bisect_left(offsets, offset)
        return at < len(offsets) and offsets[at] == offset and self._ranks[place][at] < moment


class Claim(NamedTuple):
    """What somebody said of an answer, and the moment just before it came."""

    kind: str
    person_id: str | None
    source: str
    feedback_id: str
    moment: int


class Verdict(NamedTuple):
    """What stands of the claims on one recognition: the answer before the moment `first` is judged by `standing`."""

    first: int
    standing: Claim


class Truth(msgspec.Struct):
    """A line of truth, as `kithkin sample` writes it."""

    household_id: str
    event_id: str
    person_id: str
    members: list[str] | None = None


class _Recognition(msgspec.Struct):
    household_id: str
    event_id: str


class _Feedback(msgspec.Struct):
    household_id: str
    feedback_id: str
    kind: str
    source: str = "app"
    event_id: str = ""
    person_id: str | None = None
    event_ids: list[str] = []
    retracts: str = ""


@dataclass(slots=True)
class Questions:
    """One row a recognition, in the order in which they came.

    `home` is the number of a row's home among `homes`; `truths` and `members` are None where nobody knows; `verdicts` are by row,
    with moments of `order`.
    """

    homes: list[str] = field(default_factory=list)
    home: list[int] = field(default_factory=list)
    rows: dict[EventKey, int] = field(default_factory=dict)
    truths: list[str | None] = field(default_factory=list)
    members: list[list[str] | None] = field(default_factory=list)
    verdicts: dict[int, Verdict] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    order: ReadingOrder = field(default_factory=ReadingOrder)

    def of_homes(self, own: Callable[[str], bool]) -> "Questions":
        """The same rows, by the same numbers, of which only those of some homes can be found."""
        rows = {key: row for key, row in self.rows.items() if own(key[0])}
        verdicts = {row: self.verdicts[row] for row in rows.values() if row in self.verdicts}
        return replace(self, rows=rows, verdicts=verdicts)

    @property
    def known(self) -> list[int]:
        """Rows whose truth is known, in order."""
        return [row for row, truth in enumerate(self.truths) if truth is not None]


_decode_recognition: Final = msgspec.json.Decoder(_Recognition).decode
_decode_feedback: Final = msgspec.json.Decoder(_Feedback).decode


def read_truth(path: Path) -> dict[EventKey, Truth]:
    """Who it was, by household and event. Raises ConfigError where the file is no truth."""
    right = "lines of JSON with household_id, event_id and person_id, as `kithkin sample` writes them"
    decode, found = msgspec.json.Decoder(Truth).decode, dict[EventKey, Truth]()
    try:
        with open(path, "rb") as lines:
            for number, line in enumerate(lines, 1):
                if not line.isspace():
                    try:
                        one = decode(line)
                    except (msgspec.DecodeError, UnicodeDecodeError) as error:
                        raise ConfigError("truth", str(path), f"line {number}: {error}", right) from None
                    found[one.household_id, one.event_id] = one
    except OSError as error:
        raise ConfigError("truth", str(path), error.strerror or "unreadable", "a file that can be read") from None
    if not found:
        raise ConfigError("truth", str(path), "an empty file", right)
    return found


class _Reading:
    """What was gathered of a log so far."""

    def __init__(self) -> None:
        self.seen: dict[EventKey, None] = {}
        self.names: dict[str, str] = {}  # of homes: each once, and not with every event
        self.guided: set[EventKey] = set()
        self.claims: dict[EventKey, list[Claim]] = {}
        self.known: set[EventKey] = set()  # household and feedback_id: twice is once
        self.retracted: set[EventKey] = set()
        self.order = ReadingOrder()

    def feedback(self, record: Record) -> None:
        try:
            said = _decode_feedback(record.value or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        if (said.household_id, said.feedback_id) in self.known:
            return
        self.known.add((said.household_id, said.feedback_id))
        if said.kind == "enrol":
            self.guided.update((said.household_id, event_id) for event_id in said.event_ids)
        elif said.kind == "retract":
            self.retracted.add((said.household_id, said.retracts))
        elif said.kind in ("confirm", "reject", "correct"):
            claim = Claim(said.kind, said.person_id, said.source, said.feedback_id, self.order.moment(record.partition))
            self.claims.setdefault((said.household_id, said.event_id), []).append(claim)

    def read(self, record: Record) -> None:
        """A record as the worker reads it."""
        self.order.note(record)
        if record.topic == "recognitions":
            try:
                asked = _decode_recognition(record.value or b"")
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                return
            home = self.names.setdefault(asked.household_id, asked.household_id)
            self.seen.setdefault((home, asked.event_id))


def ask(records: Iterable[Record], what_if: WhatIf, truths: dict[EventKey, Truth]) -> Questions:
    """Read a log once.

    Parameters
    ----------
    records
        The original log, in the order in which it is applied.
    what_if
        What the worker's log has otherwise.
    truths
        Of events, perhaps more than the log has; may be empty.
    """
    reading, altering = _Reading(), Altering(what_if)
    out = Questions(order=reading.order)
    for record in records:
        if record.topic == "feedback":
            reading.feedback(record)
        for altered in altering.next(record):
            reading.read(altered)
    reading.order.finish()
    out.counts.update(altering.counts)
    homes: dict[str, int] = {}
    for key in reading.seen:
        if key in reading.guided:
            continue
        truth = truths.get(key)
        claims = [claim for claim in reading.claims.get(key, ()) if (key[0], claim.feedback_id) not in reading.retracted]
        if claims:
            standing = max(enumerate(claims), key=lambda one: (_RANK.get(one[1].source, -1), one[0]))[1]
            out.verdicts[len(out.home)] = Verdict(reading.claims[key][0].moment, standing)
        out.rows[key] = len(out.home)
        out.home.append(homes.setdefault(key[0], len(homes)))
        out.truths.append(truth.person_id if truth else None)
        out.members.append(truth.members if truth else None)
    out.homes = list(homes)
    out.counts["recognitions"], out.counts["guided"] = len(out.home), len(reading.guided)
    out.counts["claims"] = sum(map(len, reading.claims.values()))
    out.counts["truths"] = len(out.known)
    return out
