"""The report of a replay: its directory and the logs that it read, as one page.

Law: it reads what the replay wrote and changes nothing of it; the same directory, logs and truth give the same page. Figures are
of all homes, pictures of those on the page.
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from stream.brokers.files import LogProgress
from stream.brokers.log_files import STDIN, LogReader
from stream.contract.codec import household_of_key
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.records import OUTPUT_TOPICS, Record
from stream.contract.settings import Wiring

from ..compare.answered import Answered, read_answers
from ..compare.comparison import Judge, judges, questions_of
from ..compare.figures import figures_of, sums_of
from ..compare.ground import Ground
from ..compare.questions import Questions
from ..report.measures import Judged, home_order, judge_by_truth, right_by_home
from ..report.page import WORST, Run, Wider, refuse_directory, report
from ..report.run import Reading, answer_of
from ..report.tally import Tally
from ..what_if.what_if import WhatIf
from .applied import as_applied
from .explained import explain_events
from .made import describe_made

__all__ = ["HOMES_MAX", "figures_of_replay", "replay_report"]

HOMES_MAX: Final = 50  # on one page, unless they are named: more load slowly, and nobody reads them
_ALERTS: Final = "drift-alerts"


def replay_report(folder: Path, out: Path, households: Sequence[str] = (), truth: Path | None = None) -> Path:
    """Write the report of the replay in a directory to `out`, and return that.

    Parameters
    ----------
    households
        Whom it is about; nobody named: the worst ten, those of which there is an alert, and those with the most answers,
        HOMES_MAX of them.
    truth
        A file that says who it was, as `kithkin sample` writes it; None: answers are judged by what people said.

    Raises
    ------
    ConfigError
        There is no replay, its logs came from standard input, it answered nothing of a household that was named, or the truth is
        that of other logs; or `out` is a directory.
    InvalidLog
        A log that it read is no longer there.
    """
    refuse_directory(out)
    run = _run_of(folder)
    ground = _ground_of(run)
    tally = Tally()
    for record in _read_written(folder, ["identities"]):
        tally.note(answer_of(msgspec.json.decode(record.value or b"")))
    for strange in (name for name in households if name not in tally.homes):
        raise ConfigError("household", strange, f"of which {folder} has no answer", "one of the replay's")
    judged, claimed, truths = _judge(folder, ground, truth) if tally.answers else (_judge_nothing(), None, {})
    shown = set(households) or _choose(folder, tally, judged)
    with as_applied(ground.logs, ground.what_if.is_nothing) as log:
        inputs = [record for record in ground.what_if.apply(log) if household_of_key(record.key) in shown]
    topics = [topic for topic in OUTPUT_TOPICS if (folder / f"{topic}.jsonl").exists()]
    outputs = [record for record in _read_written(folder, topics) if _concerns(record, shown)]
    worst = [home for home in home_order(right_by_home(judged)) if home in shown][:WORST]
    made, policy = describe_made(folder)
    wider = Wider(
        tally, judged, claimed, (policy or Policy()).tiers.least, made,
        explain_events(inputs, outputs, policy, (worst or sorted(shown)[:WORST], truths)) if policy and not run["from"] else {},
        str(folder),
    )  # fmt: skip
    return report(Run(inputs, outputs, {key: who for key, who in truths.items() if key[0] in shown}), out, wider)


def figures_of_replay(folder: Path) -> dict[str, float]:
    """How good the answers of a replay were by what people said, by figure; empty: nobody said anything to judge by.

    Raises
    ------
    ConfigError, InvalidLog
        As `replay_report`.
    """
    _, claimed, _ = _judge(folder, _ground_of(_run_of(folder)), None)
    if claimed is None:
        return {}
    sums = sums_of(claimed.columns, len(claimed.homes))
    return {name: float(value) for name, value in figures_of(sums, sums.total).items() if not np.isnan(value)}


def _ground_of(run: Mapping[str, str]) -> Ground:
    return Ground(run["logs"].split(os.pathsep), Wiring(), None, WhatIf.read(run.get("what if", "")))


def _judge(folder: Path, ground: Ground, truth: Path | None) -> tuple[Judged, Judged | None, dict[tuple[str, str], str]]:
    """All answers by truth, else by what people said; by what people said; and the truth."""
    questions = questions_of(ground, truth)
    answered = read_answers(folder, questions)
    found = {one.by: _as_judged(one, questions, answered) for one in judges(questions, [answered])}
    claimed = found.get("feedback")
    truths = {key: who for key, row in questions.rows.items() if (who := questions.truths[row]) is not None}
    return found.get("truth") or claimed or _judge_nothing(), claimed, truths


def _as_judged(judge: Judge, questions: Questions, answered: Answered) -> Judged:
    return Judged(judge.by, questions.homes, judge.columns(answered), answered.observed_at[np.array(judge.rows, np.int64)])


def _judge_nothing() -> Judged:
    return judge_by_truth(Reading(), {})


def _choose(folder: Path, tally: Tally, judged: Judged) -> set[str]:
    """The homes that are worth a page's room: the worst, the alerted, those with the most answers."""
    alerts = [json.loads(record.value) for record in _read_written(folder, [_ALERTS]) if record.value]
    alerted = [home for alert in alerts for home in alert["members"]]
    by_answers = sorted(tally.homes, key=lambda home: (-tally.homes[home].n, home))
    wanted = dict.fromkeys([*home_order(right_by_home(judged))[:WORST], *alerted, *by_answers])
    return set([home for home in wanted if home in tally.homes][:HOMES_MAX])


def _run_of(folder: Path) -> dict[str, str]:
    progress = LogProgress.read(folder)
    if progress is None:
        raise ConfigError("dir", str(folder), "which holds no replay", "a directory that `kithkin replay --out` wrote")
    if STDIN in progress.run["logs"].split(os.pathsep):
        raise ConfigError("dir", str(folder), "a replay of standard input, which is gone", "a replay of files")
    return progress.run


def _read_written(folder: Path, topics: Sequence[str]) -> Iterator[Record]:
    """What was published, topic by topic; nothing of a topic that has no file."""
    for topic in topics:
        path = folder / f"{topic}.jsonl"
        if path.exists():
            with closing(LogReader([str(path)], [topic])) as file:
                yield from file


def _concerns(record: Record, households: Collection[str]) -> bool:
    """Whether a published record has a place on the page; alerts, which may be of many homes, all have."""
    return record.topic == _ALERTS or household_of_key(record.key) in households
