"""The report of a replay: its directory and the logs that it read, as one page.

Law: it reads what the replay wrote and changes nothing of it; the same directory and logs give the same page.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from stream.brokers.files import LogProgress
from stream.brokers.log_files import STDIN, LogReader
from stream.contract.codec import household_of_key
from stream.contract.errors import ConfigError
from stream.contract.records import OUTPUT_TOPICS, Record

from ..report.page import Run, report
from ..what_if.what_if import WhatIf

__all__ = ["HOMES_MAX", "replay_report"]

HOMES_MAX: Final = 50  # on one page, unless they are named: more load slowly, and nobody reads them


def replay_report(folder: Path, out: Path, households: Sequence[str] = ()) -> Path:
    """Write the report of the replay in a directory to `out`, and return that.

    Parameters
    ----------
    households
        Whom it is about; nobody named: those with the most answers, HOMES_MAX of them.

    Raises
    ------
    ConfigError
        There is no replay, its logs came from standard input, or it answered nothing of a household that was named.
    InvalidLog
        A log that it read is no longer there.
    """
    run = _run_of(folder)
    logs, what_if = run["logs"].split(os.pathsep), WhatIf.read(run.get("what if", ""))
    answers = Counter(household_of_key(record.key) for record in _read_written(folder, ["identities"]))
    for strange in (name for name in households if name not in answers):
        raise ConfigError("household", strange, f"of which {folder} has no answer", "one of the replay's")
    shown = set(households) or {name for name, _ in answers.most_common(HOMES_MAX)}
    with closing(LogReader(logs, prefix=None)) as log:
        inputs = [record for record in what_if.applied(log) if household_of_key(record.key) in shown]
    topics = [topic for topic in OUTPUT_TOPICS if (folder / f"{topic}.jsonl").exists()]
    return report(Run(inputs, [record for record in _read_written(folder, topics) if _concerns(record, shown)]), out)


def _run_of(folder: Path) -> dict[str, str]:
    progress = LogProgress.read(folder)
    if progress is None:
        raise ConfigError("dir", str(folder), "which holds no replay", "a directory that `kithkin replay --out` wrote")
    if STDIN in progress.run["logs"].split(os.pathsep):
        raise ConfigError("dir", str(folder), "a replay of standard input, which is gone", "a replay of files")
    return progress.run


def _read_written(folder: Path, topics: Sequence[str]) -> Iterator[Record]:
    """What was published, topic by topic."""
    for topic in topics:
        with closing(LogReader([str(folder / f"{topic}.jsonl")], [topic])) as file:
            yield from file


def _concerns(record: Record, households: Collection[str]) -> bool:
    """Whether a published record has a place on the page; alerts, which may be of many homes, all have."""
    return record.topic == "drift-alerts" or household_of_key(record.key) in households
