"""What a policy answered to the questions: of its outputs what is judged.

Law: what is gathered of some homes here and of others elsewhere, put together, is what is gathered of all at once.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from sys import intern
from typing import Any, Final, NamedTuple

import msgspec
import numpy as np

from stream.contract.policy import Policy
from stream.contract.records import GUEST

from .columns import Answer, Array, Case, Columns, assemble, judge
from .questions import Questions

__all__ = ["JUDGED_TOPICS", "Answered", "Gathering", "Part", "Published", "put_together", "read_answers"]

_JUDGED_AT_ONCE: Final = 4_096  # first answers: as columns they take a fifth of the memory


@dataclass(slots=True)
class Answered:
    """What one policy answered, row by row of the questions.

    `confidence` (NaN: no answer) and `guest` are of the most probable of the first answer, revision 0; `judged` are those answers
    to the rows whose truth is known. `told` is the answer before the first claim, `confirmed` whom the answer before a standing
    `confirm` named; `labels` the person of the label that stands at the end; `alerts` how many were opened, by policy_id and
    household (None: of several).
    """

    confidence: Array
    guest: Array
    judged: Columns
    told: dict[int, Answer] = field(default_factory=dict)
    confirmed: dict[int, str | None] = field(default_factory=dict)
    labels: dict[int, str] = field(default_factory=dict)
    alerts: dict[str, dict[str | None, int]] = field(default_factory=dict)
    observed_at: Array = field(default_factory=lambda: np.zeros(0, np.int64))

    def alerts_by_home(self, policy: Policy, homes: Sequence[str]) -> Array:
        """Alerts opened for each home alone."""
        opened = self.alerts[policy.policy_id]
        return np.array([opened.get(home, 0) for home in homes], np.float64)


class _Cause(msgspec.Struct):
    topic: str
    partition: int
    offset: int


class _Identity(Answer, frozen=True):
    household_id: str
    event_id: str
    revision: int
    cause: _Cause
    observed_at: int


class _Label(msgspec.Struct):
    household_id: str
    event_id: str
    person_id: str
    withdrawn: bool = False


Published = _Identity | _Label
JUDGED_TOPICS: Final[Mapping[str, "msgspec.json.Decoder[Any]"]] = {  # with what reads their values
    "identities": msgspec.json.Decoder(_Identity), "labels": msgspec.json.Decoder(_Label),
}  # fmt: skip


class Part(NamedTuple):
    """What was gathered of some homes: confidence, guest and time of `rows`; judged answers, with rows of their own."""

    rows: Array
    confidence: Array
    guest: Array
    observed_at: Array
    judged: list[tuple[list[int], Columns]]
    told: dict[int, Answer]
    confirmed: dict[int, str | None]
    labels: dict[int, str]


class Gathering:
    """What is judged of a policy's outputs, taken as they are published."""

    def __init__(self, questions: Questions) -> None:
        rows, self._questions = len(questions.home), questions
        self._answered = np.zeros(rows, bool)
        self._confidence, self._guest, self._observed_at = np.full(rows, np.nan), np.zeros(rows, bool), np.zeros(rows, np.int64)
        self._first: dict[int, Answer] = {}  # of rows whose truth is known
        self._judged: list[tuple[list[int], Columns]] = []
        self._told: dict[int, Answer] = {}
        self._confirmed: dict[int, str | None] = {}
        self._labels: dict[int, str] = {}

    def take(self, one: Published) -> None:
        """The next identity or label."""
        row = self._questions.rows.get((one.household_id, one.event_id))
        if row is None:
            return
        if isinstance(one, _Identity):
            self._take_identity(row, one)
        elif one.withdrawn:
            self._labels.pop(row, None)
        else:
            self._labels[row] = intern(one.person_id)  # half of all rows have one, of few people

    def _take_identity(self, row: int, one: _Identity) -> None:
        questions = self._questions
        answer = Answer(one.posterior, one.person_id, one.tier)
        self._answered[row], self._observed_at[row] = True, one.observed_at
        if one.revision == 0:
            best = answer.best
            self._confidence[row], self._guest[row] = answer.posterior[best], best == GUEST
            if questions.truths[row] is not None:
                self._first[row] = answer
                if len(self._first) >= _JUDGED_AT_ONCE:
                    self._judge()
        if (verdict := questions.verdicts.get(row)) is not None:
            cause = one.cause.topic, one.cause.partition, one.cause.offset
            if questions.order.had_read(verdict.first, *cause):
                self._told[row] = answer
            if questions.order.had_read(verdict.standing.moment, *cause):
                self._confirmed[row] = one.person_id

    def _judge(self) -> None:
        """Judge what waits for it."""
        rows = list(self._first)
        if rows:
            self._judged.append((rows, judge([_case(self._questions, row, self._first[row]) for row in rows])))
        self._first.clear()

    def part(self) -> Part:
        """All of it so far."""
        self._judge()
        rows = np.flatnonzero(self._answered)
        return Part(
            rows, self._confidence[rows], self._guest[rows], self._observed_at[rows], self._judged, self._told, self._confirmed,
            self._labels,
        )  # fmt: skip


def _case(questions: Questions, row: int, answer: Answer | None) -> Case:
    return Case(questions.home[row], questions.truths[row] or GUEST, questions.members[row], 1.0, answer)


def put_together(questions: Questions, parts: Iterable[Part]) -> Answered:
    """What was gathered, of all homes."""
    rows = len(questions.home)
    found = Answered(np.full(rows, np.nan), np.zeros(rows, bool), {}, observed_at=np.zeros(rows, np.int64))
    judged: list[tuple[list[int], Columns]] = []
    for part in parts:
        found.confidence[part.rows], found.guest[part.rows] = part.confidence, part.guest
        found.observed_at[part.rows] = part.observed_at
        judged += part.judged
        found.told |= part.told
        found.confirmed |= part.confirmed
        found.labels |= part.labels
    answered = {row for rows, _ in judged for row in rows}
    missing = [row for row in questions.known if row not in answered]
    judged.append((missing, judge([_case(questions, row, None) for row in missing])))
    found.judged = assemble(questions.known, judged)
    return found


def _values(out: Path, topic: str) -> Iterator[Any]:
    """What a replay into a directory published."""
    decode, line = JUDGED_TOPICS[topic].decode, msgspec.json.Decoder(_Line)
    with open(out / f"{topic}.jsonl", "rb") as lines:
        yield from (decode(line.decode(text).value) for text in lines)


class _Line(msgspec.Struct):
    value: msgspec.Raw


def read_answers(out: Path, questions: Questions) -> Answered:
    """What a replay into a directory answered, and its labels; its alerts are not read."""
    gathering = Gathering(questions)
    for topic in JUDGED_TOPICS:
        for one in _values(out, topic):
            gathering.take(one)
    return put_together(questions, [gathering.part()])
