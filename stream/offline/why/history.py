"""One event in its home's records: the home as it stood before it, its answer, and every later revision with its cause.

Law: it is the worker's own step, record by record, from the beginning of the logs; what it answers is what a replay of them does.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from stream.brokers.files import LogProgress
from stream.brokers.log_files import STDIN, LogReader
from stream.contract.codec import decode
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.reading import RECOGNITIONS
from stream.contract.records import Event, Identity, InvalidRecord, Record
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import Household
from stream.home.step import step

from ..replay.applied import as_applied

__all__ = [
    "History", "Moment", "Revision", "answer_again", "find_home", "logs_of", "play", "play_all", "records_of", "row_of",
]  # fmt: skip

_ANSWERED: Final = "answered"
_LISTED_MAX: Final = 5  # homes in a sentence


@dataclass(frozen=True, slots=True)
class Moment:
    """An event's first answer.

    `before` is the home's state before the event; None: it was the first record of its home. `row` is what the ledger kept of the
    event at the end of its step; None: nothing.
    """

    record: Record
    event: Event
    before: bytes | None
    row: Any
    answer: Identity


@dataclass(frozen=True, slots=True)
class Revision:
    """A later answer: the record that caused it, and the home after that record."""

    answer: Identity
    cause: Record
    state: bytes


@dataclass(slots=True)
class History:
    """What became of one event."""

    household_id: str
    event_id: str
    moment: Moment | None = None
    revisions: list[Revision] = field(default_factory=list)


def logs_of(names: Sequence[str], policy: Policy) -> list[str]:
    """The logs that are named; of a replay's directory those that it was made of.

    Raises
    ------
    ConfigError
        A directory is no replay's, or one under another policy or from other first states; or it is standard input.
    """
    logs: list[str] = []
    for name in names:
        if name == STDIN:
            raise ConfigError("LOG", name, "standard input", "files, for they are read more than once")
        logs += _replay(Path(name), policy) if Path(name).is_dir() else [name]
    return logs


def _replay(folder: Path, policy: Policy) -> list[str]:
    found = LogProgress.read(folder)
    if found is None:
        raise ConfigError("LOG", str(folder), "which no replay is known to have made", "log files, or the --out of a replay")
    if found.run["policy"] != policy.policy_id:
        right = "the --policy that it was made with; or its logs and another policy"
        raise ConfigError("LOG", str(folder), f"a replay under the policy {found.run['policy']}, not {policy.policy_id}", right)
    if found.run["from"]:
        raise ConfigError("LOG", str(folder), f"a replay that began with {found.run['from']}", "logs from their beginning")
    logs = found.run["logs"].split(os.pathsep)
    if STDIN in logs:
        raise ConfigError("LOG", str(folder), "a replay of standard input", "the log files themselves")
    return logs


def find_home(logs: Sequence[str], event_id: str, policy: Policy) -> str:
    """The household in which an event of that id came. Raises ConfigError when there is none, or several."""
    raw, found = event_id.encode(), set[str]()
    with closing(LogReader(logs, prefix=None)) as records:
        for record in records:
            if record.value and raw in record.value and (event := _event(record, policy)) is not None:
                value = event.value
                if isinstance(value, RECOGNITIONS) and value.event_id == event_id:
                    found.add(value.household_id)
    if not found:
        raise ConfigError("EVENT_ID", event_id, "no recognition of these logs", "the event_id of one")
    if len(found) > 1:
        named = ", ".join(sorted(found)[:_LISTED_MAX])
        raise ConfigError("--household", None, f"needed, for {len(found)} homes have a {event_id}", f"one of {named}")
    return found.pop()


def records_of(logs: Sequence[str], household_id: str) -> list[Record]:
    """All records of a household, in the order in which they apply."""
    key = household_id.encode()
    with as_applied(logs) as records:
        return [record for record in records if record.key == key]


def play(records: Iterable[Record], household_id: str, event_id: str, policy: Policy) -> History:
    """Step a household through its records, and keep what became of one event."""
    return play_all(records, household_id, [event_id], policy)[0]


def play_all(records: Iterable[Record], household_id: str, event_ids: Sequence[str], policy: Policy) -> list[History]:
    """The same of several events, in their order, at the cost of one."""
    home, began = Household.new(household_id), False
    histories = {event_id: History(household_id, event_id) for event_id in event_ids}
    for event in _events(records, policy):
        told = histories.get(getattr(event.value, "event_id", "")) if isinstance(event.value, RECOGNITIONS) else None
        ours = told if told is not None and told.moment is None else None
        before = encode_home(home) if ours is not None and began else None
        began, done = True, step(home, event, policy)
        answers = [o.value for o in done.outputs if isinstance(o.value, Identity) and o.value.event_id in histories]
        if ours is not None and _ANSWERED in done.outcomes:
            first = next(answer for answer in answers if answer.event_id == ours.event_id)
            ours.moment = Moment(event.record, event, before, row_of(home, ours.event_id), first)
            answers.remove(first)
        state = encode_home(home) if answers else b""
        for answer in answers:
            histories[answer.event_id].revisions.append(Revision(answer, event.record, state))
    return list(histories.values())


def answer_again(moment: Moment, record: Record, policy: Policy) -> Identity | None:
    """The answer to another record in the place of the event's, by the step itself; None: it is refused."""
    event = _event(record, policy)
    if event is None:
        return None
    value: Any = event.value
    home = Household.new(value.household_id) if moment.before is None else decode_home(moment.before, policy)
    outputs = step(home, event, policy).outputs
    return next((o.value for o in outputs if isinstance(o.value, Identity) and o.value.event_id == value.event_id), None)


def _events(records: Iterable[Record], policy: Policy) -> Iterator[Event]:
    return (event for record in records if (event := _event(record, policy)) is not None)


def _event(record: Record, policy: Policy) -> Event | None:
    """None: a dead letter."""
    try:
        return decode(record, policy)
    except InvalidRecord:
        return None


def row_of(home: Household, event_id: str) -> Any:
    """What the ledger keeps of an event; None: nothing."""
    own = event_id.encode()
    rows = home.record["rows"][: int(home.record["rows_used"])]
    found = (row for row in rows if row["event_id"][: int(row["event_id_length"])].tobytes() == own)
    return next((row.copy() for row in found), None)
