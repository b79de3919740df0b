"""The demo's scoreboard: what has been answered, said and revised so far, and how much of it is right.

Law: it sees only what any consumer of the topics sees, plus the truth to mark answers right or wrong.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ..report.change import kind_of, subject_of
from ..report.run import Answer, EventKey, Reading, Said, in_words

__all__ = ["Remark", "Scoreboard"]

REMARKS_MAX: Final = 40  # the latest ones; no terminal shows more


class Remark(NamedTuple):
    """A piece of feedback, or a change that a home noticed, and what became of it, in words."""

    household_id: str
    source: str
    words: str
    outcome: str


@dataclass(slots=True)
class Scoreboard:
    """Running counts. Answers before `begin_ms` (joining and enrolment) are shown but not judged."""

    truths: Mapping[EventKey, str]
    begin_ms: int
    day_ms: int
    answers: int = 0
    revised: int = 0
    named_wrongly: int = 0
    said: int = 0
    changes: int = 0  # alarms of homes
    labelled: set[EventKey] = field(default_factory=set)
    dead: Counter[str] = field(default_factory=Counter)  # by reason
    news: deque[str] = field(default_factory=lambda: deque(maxlen=REMARKS_MAX))  # alarms that nobody took out yet, as a line each
    latest: dict[str, Answer] = field(default_factory=dict)  # by household
    remarks: deque[Remark] = field(default_factory=lambda: deque(maxlen=REMARKS_MAX))
    right: Counter[str] = field(default_factory=Counter)  # by household
    judged: Counter[str] = field(default_factory=Counter)
    right_by_day: Counter[int] = field(default_factory=Counter)
    judged_by_day: Counter[int] = field(default_factory=Counter)
    _known: dict[EventKey, Answer] = field(default_factory=dict)

    @property
    def share_right(self) -> float:
        """Share of judged answers that put the right person first; 0 before the first."""
        return self.right.total() / max(1, self.judged.total())

    def saw(self, reading: Reading) -> None:
        """Take in one batch: its inputs and the outputs they made."""
        before = dict(self._known)
        for revisions in reading.answers.values():
            for answer in revisions:
                self._note_answer(answer)
        for said in reading.said.values():
            self.said += 1
            self.remarks.append(_remark(said, reading, before))
        self.labelled.update(reading.labels)
        for household_id, told in reading.signals.items():
            for signal in told:
                self._note_signal(household_id, signal)
        self.dead.update(value["reason"] for _, _, value in reading.dead)

    def is_right(self, answer: Answer) -> bool | None:
        """Whether an answer put the right person first; None when nobody knows."""
        truth = self.truths.get(answer.key)
        return None if truth is None else answer.best == truth

    def _note_signal(self, household_id: str, signal: Mapping[str, Any]) -> None:
        kind, subject = kind_of(signal), subject_of(signal)
        if kind == "alarm":
            self.changes += 1
            self.news.append(f"{household_id}: something changed: {subject}")
            self.remarks.append(Remark(household_id, "home", f"changed: {subject}", "alarm"))
        elif kind == "done":
            self.remarks.append(Remark(household_id, "home", f"{subject}: {signal['adapted']}", "adapted"))

    def _note_answer(self, answer: Answer) -> None:
        self._known[answer.key] = answer
        if answer.revision > 0:
            self.revised += 1
            return
        self.answers += 1
        household_id, right = answer.key[0], self.is_right(answer)
        self.latest[household_id] = answer
        if right is None or answer.at_ms < self.begin_ms:
            return
        day = (answer.at_ms - self.begin_ms) // self.day_ms
        self.judged[household_id] += 1
        self.right[household_id] += right
        self.judged_by_day[day] += 1
        self.right_by_day[day] += right
        self.named_wrongly += answer.person_id not in (None, self.truths[answer.key])


def _remark(said: Said, reading: Reading, before: Mapping[EventKey, Answer]) -> Remark:
    changed = reading.changed_by.get(said.position, [])
    own = next((answer for answer in changed if answer.key[1] == said.value.get("event_id")), None)
    then = None if own is None else before.get(own.key)
    if own is not None and then is not None:
        who = own.best if own.best == then.best else f"{then.best} → {own.best}"
        outcome = f"{who} {then.posterior[then.best]:.0%} → {own.posterior[own.best]:.0%}"
    elif changed:
        outcome = "1 revised" if len(changed) == 1 else f"{len(changed)} revised"
    else:
        outcome = "noted"
    return Remark(said.household_id, str(said.value.get("source")), in_words(said.value), outcome)
