"""Homes of a run made again: the same worker on their records alone, under a policy and in an order that may be changed.

Law: what homes come to depends on nothing but their own records, so that of homes that do not differ none is stepped; alerts,
which are of several homes, are made of all signals, those of the other homes as run A has them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from stream.brokers.journal_order import with_journal
from stream.brokers.log_files import LogReader, encode_record
from stream.contract.codec import household_of_key
from stream.contract.errors import Incomparable
from stream.contract.policy import Policy
from stream.contract.records import OUTPUT_TOPICS, Record, Signal
from stream.contract.settings import Wiring
from stream.fleet.step import alerts_of
from stream.runtime.fleet.processor import ALERTS, SIGNALS, encode_alert

from ..replay.manifest import read_manifest
from ..replay.replay import Replay, replay
from .difference import CompleteRun
from .published import Outcome, Published, decode_published, outcome_of, read_published

__all__ = ["Again", "alerts_of_run", "alerts_under", "outcome_of_run"]

_OF_HOMES: Final = tuple(topic for topic in OUTPUT_TOPICS if topic != ALERTS)


class Again:
    """Makes some homes again, and counts how often.

    Parameters
    ----------
    a
        A run that they were part of.
    homes
        Which are made again.
    origin
        The first states; None: there were none.
    folder
        Of its own, for a log and its outputs; whoever made it takes it away.
    """

    def __init__(self, a: CompleteRun, homes: Collection[str], origin: Path | None, folder: Path) -> None:
        self._a, self._homes, self._origin, self._folder = a, frozenset(homes), origin, folder
        self._wiring = Wiring(store="memory:")
        self.runs = self.records = 0

    def of(self, homes: Collection[str]) -> "Again":
        """The same for some of its homes."""
        return Again(self._a, homes, self._origin, self._folder)

    def outcome(self, policy: Mapping[str, Any], records: Iterable[Record]) -> Outcome | None:
        """What the homes publish of their own among these records; None: such a policy cannot be, so nothing was run.

        Raises
        ------
        Incomparable
            The first states are not those that the run began with.
        """
        try:
            made = Policy.model_validate(policy)
        except ValidationError:
            return None
        log, out = self._folder / "log.jsonl", self._folder / "out"
        theirs = [record for record in records if household_of_key(record.key) in self._homes]
        log.write_bytes(b"".join(map(encode_record, with_journal(theirs))))
        self.runs += 1
        self.records += len(theirs)
        replay(Replay([str(log)], out, made, self._wiring, self._origin, fresh=True))
        if read_manifest(out).inputs.states != self._a.manifest.inputs.states:
            raise Incomparable(f"{self._origin} is not what {self._a.folder} began with. Give its states by --from")
        return outcome_of(_of_homes(out, self._homes))

    def signals(self) -> list[Signal]:
        """All that there are once these homes were made again: theirs, and of the others those of the run."""
        others = (record for record in _signals(self._a.folder) if household_of_key(record.key) not in self._homes)
        theirs = _signals(self._folder / "out") if self._homes else []
        return [Signal.model_validate_json(record.value or b"") for record in (*others, *theirs)]


def alerts_under(policy: Mapping[str, Any], signals: Sequence[Signal]) -> Outcome | None:
    """The alerts of these signals; None: such a policy cannot be."""
    try:
        made = Policy.model_validate(policy)
    except ValidationError:
        return None
    return outcome_of(_alerts(signals, made))


def outcome_of_run(run: CompleteRun, homes: Collection[str]) -> Outcome:
    """What a run published of some homes."""
    return outcome_of(_of_homes(run.folder, frozenset(homes)))


def alerts_of_run(run: CompleteRun) -> Outcome:
    """What a run published as alerts."""
    return outcome_of(read_published(run.folder / f"{ALERTS}.jsonl", ALERTS))


def _of_homes(folder: Path, homes: frozenset[str]) -> Iterator[Published]:
    for topic in _OF_HOMES:
        yield from (one for one in read_published(folder / f"{topic}.jsonl", topic) if one.home in homes)


def _signals(folder: Path) -> list[Record]:
    with closing(LogReader([str(folder / f"{SIGNALS}.jsonl")], [SIGNALS])) as file:
        return list(file)


def _alerts(signals: Sequence[Signal], policy: Policy) -> Iterator[Published]:
    for offset, alert in enumerate(alerts_of(signals, policy.alerting)):
        made = encode_alert(alert)
        yield decode_published(Record(ALERTS, made.partition, offset, made.timestamp, made.key, made.value))
