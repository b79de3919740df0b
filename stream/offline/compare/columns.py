"""Judged answers as columns: who it was, what was answered, and in which home.

Law: one row an event, in every column. The definitions are those of the evaluation (docs/compare.md): a missing answer names
nobody and knows nothing; a tie for the most probable member is an error.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from stream.contract.records import GUEST

__all__ = ["Answer", "Array", "Case", "Columns", "assemble", "judge", "take"]

Array = npt.NDArray[Any]
Columns = dict[str, Array]


class Answer(msgspec.Struct, frozen=True):
    """What was published of an event."""

    posterior: dict[str, float]
    person_id: str | None
    tier: int

    @property
    def best(self) -> str:
        """The most probable of members and guest."""
        return max(self.posterior, key=self.posterior.__getitem__)


class Case(NamedTuple):
    """One event to be judged: home number, who it was, members by then (None: those of the answer), weight, and the answer."""

    home: int
    truth: str
    members: Sequence[str] | None
    weight: float
    answer: Answer | None


def judge(cases: Sequence[Case]) -> Columns:
    """All cases as columns.

    Returns
    -------
    Columns
        home, weight, guest, right (first among members), score (largest member posterior), confidence and hit (of the most
        probable of all), tier, named, named_right; and `p` and `target`, a row of members each, unused places NaN and False.
    """
    members = [_members(case) for case in cases]
    widest = max(map(len, members), default=0) or 1
    columns: Columns = {
        "home": np.array([case.home for case in cases], np.int64),
        "weight": np.array([case.weight for case in cases], np.float64),
        "guest": np.array([case.truth == GUEST for case in cases], bool),
        "p": np.full((len(cases), widest), np.nan),
        "target": np.zeros((len(cases), widest), bool),
    }
    scored = []
    for row, (case, people) in enumerate(zip(cases, members, strict=True)):
        posterior = case.answer.posterior if case.answer else dict.fromkeys([*people, GUEST], 1 / (len(people) + 1))
        p = [posterior.get(person, 0.0) for person in people]
        columns["p"][row, : len(p)] = p
        if case.truth in people:
            columns["target"][row, people.index(case.truth)] = True
        scored.append(_score(case, people, p))
    for at, name in enumerate(("score", "right", "confidence", "hit")):
        columns[name] = np.array([one[at] for one in scored], bool if name in ("right", "hit") else np.float64)
    answers = [case.answer for case in cases]
    columns["tier"] = np.array([answer.tier if answer else 0 for answer in answers], np.int64)
    columns["named"] = np.array([bool(answer and answer.person_id is not None) for answer in answers], bool)
    named_right = [bool(case.answer and case.answer.person_id == case.truth) for case in cases]
    columns["named_right"] = np.array(named_right, bool)
    return columns


def take(columns: Columns, rows: Array) -> Columns:
    """Some of the events: a mask, or row numbers."""
    return {name: column[rows] for name, column in columns.items()}


def assemble(rows: Sequence[int], parts: Sequence[tuple[Sequence[int], Columns]]) -> Columns:
    """Columns of these rows in their order, from parts with the rows that they are of; of a row in two the later part's."""
    place = {row: at for at, row in enumerate(rows)}
    widest = max(columns["p"].shape[1] for _, columns in parts)
    found: Columns = {}
    for own, columns in parts:
        at = np.array([place[row] for row in own], np.int64)
        for name, column in columns.items():
            if name not in found:
                shape = (len(rows), widest) if column.ndim == 2 else len(rows)
                found[name] = np.full(shape, np.nan) if name == "p" else np.zeros(shape, column.dtype)
            if column.ndim == 2:
                found[name][at, : column.shape[1]] = column
            else:
                found[name][at] = column
    return found


def _members(case: Case) -> list[str]:
    if case.members is not None:
        return list(case.members)
    return [person for person in case.answer.posterior if person != GUEST] if case.answer else []


def _score(case: Case, people: list[str], p: list[float]) -> tuple[float, bool, float, bool]:
    """Score, whether the right member comes first, confidence, and whether the most probable of all is right."""
    answer = case.answer
    if answer is None:
        confidence = 1 / (len(people) + 1)
        return (np.inf if case.truth == GUEST else -np.inf), False, confidence, False
    best = answer.best
    if not people:
        return 0.0, False, answer.posterior[best], best == case.truth
    score = max(p)
    right = p.count(score) == 1 and people[p.index(score)] == case.truth
    return score, right, answer.posterior[best], best == case.truth
