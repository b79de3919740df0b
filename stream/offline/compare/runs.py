"""What a policy answers to the questions: the worker that runs live, over the log, and of its outputs what is judged.

Law: a run depends on its policy, the logs, the first states and the what-if alone, so it is the same in whatever process it
happens, and beside whatever others. Policies that differ in `alerting` alone answer alike, for only the fleet stage reads that:
they share one run, and each has its own alerts.
"""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from stream.contract.policy import Alerting, Policy
from stream.contract.records import GUEST
from stream.contract.settings import Wiring

from ..replay.replay import Replay, Sofar, replay, write_alerts
from ..what_if.what_if import WhatIf
from .columns import Answer, Array, Case, Columns, judge
from .questions import Questions

__all__ = ["Answered", "Ground", "Stopped", "core_of", "read_answers", "run"]

Watch = Callable[[int], None]  # bytes read


class Stopped(RuntimeError):
    """The operator asked to stop before the run had ended."""


@dataclass(frozen=True, slots=True)
class Ground:
    """What all policies have in common: logs, wiring, states to begin with, and what is otherwise than it was."""

    logs: Sequence[str]
    wiring: Wiring
    origin: Path | None
    what_if: WhatIf


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
    records: int = 0
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


class _Alert(msgspec.Struct):
    alert_id: str
    household_id: str | None


def core_of(policy: Policy) -> str:
    """Names what of a policy can change an answer: policies with the same have the same answers."""
    return Policy.model_validate(policy.model_dump() | {"alerting": Alerting()}).policy_id


def run(
    policies: Sequence[Policy],
    ground: Ground,
    questions: Questions,
    watch: Watch = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
) -> Answered:
    """Answer once for policies of one core.

    Raises
    ------
    Stopped
        `stop()` said so, which is asked between batches.
    InvalidLog, ConfigError
        As `replay`.
    """

    def tell(sofar: Sofar) -> None:
        watch(sofar.bytes_read)

    with tempfile.TemporaryDirectory(prefix="kithkin-compare-") as folder:
        out = Path(folder) / "run"
        task = Replay(ground.logs, out, policies[0], ground.wiring, ground.origin, what_if=ground.what_if)
        summary = replay(task, stop, tell)
        if not summary.finished:
            raise Stopped
        answered = read_answers(out, questions)
        answered.records = summary.counts.records
        for policy in policies:
            if policy is not policies[0]:  # whose are there
                write_alerts(out, policy)
            answered.alerts[policy.policy_id] = _read_alerts(out)
    return answered


def _values(path: Path, kind: type[Any]) -> Iterator[Any]:
    """The values of a file of outputs, one after the other; a tombstone is None."""
    line: Any = msgspec.defstruct("Line", [("value", kind | None)])
    decode = msgspec.json.Decoder(line).decode
    with open(path, "rb") as lines:
        for text in lines:
            yield decode(text).value


def read_answers(out: Path, questions: Questions) -> Answered:
    """What a replay into a directory answered, and its labels; its alerts are not read."""
    answered = _read_identities(out, questions)
    _read_labels(out, questions, answered)
    return answered


def _read_identities(out: Path, questions: Questions) -> Answered:
    rows = len(questions.home)
    confidence, guest, observed_at = np.full(rows, np.nan), np.zeros(rows, bool), np.zeros(rows, np.int64)
    first: dict[int, Answer] = {}  # of rows whose truth is known: all of a long log would take much memory
    told: dict[int, Answer] = {}
    confirmed: dict[int, str | None] = {}
    for one in _values(out / "identities.jsonl", _Identity):
        row = questions.rows.get((one.household_id, one.event_id))
        if row is None:
            continue
        answer = Answer(one.posterior, one.person_id, one.tier)
        observed_at[row] = one.observed_at
        if one.revision == 0:
            best = answer.best
            confidence[row], guest[row] = answer.posterior[best], best == GUEST
            if questions.truths[row] is not None:
                first[row] = answer
        if (verdict := questions.verdicts.get(row)) is not None:
            cause = one.cause.topic, one.cause.partition, one.cause.offset
            if questions.order.had_read(verdict.first, *cause):
                told[row] = answer
            if questions.order.had_read(verdict.standing.moment, *cause):
                confirmed[row] = one.person_id
    home, truths, members = questions.home, questions.truths, questions.members
    cases = [Case(home[row], truths[row] or GUEST, members[row], 1.0, first.get(row)) for row in questions.known]
    return Answered(confidence, guest, judge(cases), told, confirmed, observed_at=observed_at)


def _read_labels(out: Path, questions: Questions, answered: Answered) -> None:
    for one in _values(out / "labels.jsonl", _Label):
        row = questions.rows.get((one.household_id, one.event_id))
        if row is not None and one.withdrawn:
            answered.labels.pop(row, None)
        elif row is not None:
            answered.labels[row] = one.person_id


def _read_alerts(out: Path) -> dict[str | None, int]:
    opened = {one.alert_id: one.household_id for one in _values(out / "drift-alerts.jsonl", _Alert) if one is not None}
    counts: dict[str | None, int] = {}
    for household in opened.values():
        counts[household] = counts.get(household, 0) + 1
    return counts


