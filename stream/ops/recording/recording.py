"""`kithkin record`: a stretch of a cluster's inputs, with its journal, as one log.

Law: nothing in the cluster is changed, no group is joined, and only what was committed is read. A recording that was stopped and
begun again has the same records as one that was not.
"""

import hmac
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from stream.brokers.kafka.journals import Span
from stream.brokers.log_files import encode_record
from stream.brokers.partitioning import partition_of
from stream.contract.codec import household_of_key
from stream.contract.errors import ConfigError
from stream.contract.records import INPUT_TOPICS, Record
from stream.contract.settings import Wiring

from .files import Progress, RecordingFile
from .merging import merge_spans
from .pseudonyms import TOPICS, Pseudonyms, key_of
from .spans import Between, History, belongs_to, find_spans

__all__ = ["Recorded", "Recording", "Sofar", "record"]

_TOLD_EVERY: Final = 500  # records
_Place = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Recording:
    """What to record, and into which file.

    `between` are the times that `told` says as they were typed: a recording that goes on keeps those it began with. `household`:
    of this home alone, and of its partition's journal. `keyfile`: with pseudonyms.
    """

    between: Between
    told: tuple[str, str]
    out: Path
    outputs: bool = False
    household: str | None = None
    keyfile: Path | None = None


class Sofar(NamedTuple):
    """How far it is: records looked at by this command, offsets done and in all; `scanning`: ids are gathered first."""

    records: int
    offsets: int
    offsets_total: int
    scanning: bool


class Recorded(NamedTuple):
    """What it came to: records in the file by topic of this command, all in the file, and whether it is finished."""

    by_topic: dict[str, int]
    records: int
    finished: bool


def record(
    task: Recording,
    wiring: Wiring,
    history: History,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[Sofar], None] = lambda _: None,
) -> Recorded:
    """Record until all is there or `stop()` says so.

    Raises
    ------
    ConfigError
        The file, the key or the times cannot be, or a topic is missing. Nothing was changed.
    BrokerError
        The brokers do not answer.
    RecoveryError
        Records are no longer retained that were when the recording began.
    """
    key = None if task.keyfile is None else key_of(task.keyfile)
    with closing(RecordingFile(task.out)) as file:
        progress = _begin_or_go_on(task, wiring, history, file, key)
        file.begin(progress)
        run = _Run(task, history, progress, stop, watch)
        names = None if key is None else run.gather(Pseudonyms(key))
        by_topic, finished = run.write(file, names)
        if finished:
            file.finish()
        return Recorded(by_topic, progress.records, finished)


def _begin_or_go_on(task: Recording, wiring: Wiring, history: History, file: RecordingFile, key: bytes | None) -> Progress:
    request = {
        "from": task.told[0], "to": task.told[1], "outputs": str(task.outputs), "household": task.household or "",
        "broker": wiring.broker, "prefix": wiring.prefix,
        "pseudonymise": "" if key is None else hmac.digest(key, b"which key", sha256).hex()[:16],
    }  # fmt: skip
    found = file.progress
    if found is not None:
        for name, value in request.items():
            if found.request.get(name) != value:
                why = f"which holds a recording with other {name}: {found.request.get(name) or 'none'} and not {value or 'none'}"
                raise ConfigError("out", str(task.out), why, "another file, or the same command to go on")
        return found
    if task.between.from_ms >= task.between.to_ms:
        raise ConfigError("from", task.told[0], "not before --to", "a time before it")
    spans = find_spans(history, task.between, task.outputs)
    if not any(span.topic in INPUT_TOPICS for span in spans):
        raise ConfigError("from", task.told[0], f"after which nothing came until {task.told[1]}", "a time that the brokers keep")
    return Progress(request, (task.between.from_ms, task.between.to_ms), spans)


class _Run:
    """One command's part of a recording."""

    def __init__(
        self, task: Recording, history: History, progress: Progress, stop: Callable[[], bool], watch: Callable[[Sofar], None]
    ) -> None:
        self._task, self._history, self._progress = task, history, progress
        self._stop, self._watch = stop, watch
        self._spans = progress.spans
        self._inputs = {(span.topic, span.partition): span for span in self._spans if span.topic in INPUT_TOPICS}
        self._between = Between(*progress.times)

    def gather(self, names: Pseudonyms) -> Pseudonyms:
        """Note all ids; of a recording that goes on those before it too, for no id is ever written."""
        spans = [span for span in self._spans if span.topic in TOPICS and span.topic != "journal"]
        for number, one in enumerate(merge_spans(self._history, spans, {}), 1):
            names.note(one)
            if number % _TOLD_EVERY == 0:
                self._watch(Sofar(number, number, _total(spans), scanning=True))
                if self._stop():
                    break
        return names

    def write(self, file: RecordingFile, names: Pseudonyms | None) -> tuple[dict[str, int], bool]:
        """Write what is wanted, until all is done; how much of each topic, and whether it is all."""
        done, by_topic = self._progress.offsets, dict[str, int]()
        before = _count_done(self._spans, done)
        partitions = self._history.partitions("journal")
        finished = not self._stop()
        for records, one in enumerate(merge_spans(self._history, self._spans, dict(done)) if finished else (), 1):
            wanted = one if self._wants(one, partitions) else None
            shown = wanted if names is None or wanted is None else names.of(wanted)
            full = shown is not None and file.append(encode_record(shown))
            if shown is not None:
                by_topic[one.topic] = by_topic.get(one.topic, 0) + 1
            done[one.topic, one.partition] = one.offset + 1
            if full:
                file.commit(done)
            if records % _TOLD_EVERY == 0:
                self._watch(Sofar(records, _count_done(self._spans, done) - before, _total(self._spans) - before, scanning=False))
                if self._stop():
                    finished = False
                    break
        file.commit(done)
        return by_topic, finished

    def _wants(self, one: Record, partitions: int) -> bool:
        household = self._task.household
        if household is not None and one.topic == "journal":
            if one.partition != partition_of(household.encode(), partitions):
                return False
        elif household is not None and household_of_key(one.key) != household:
            return False
        return belongs_to(one, self._inputs, self._between)


def _total(spans: list[Span]) -> int:
    return sum((span.stop or 0) - span.start for span in spans)


def _count_done(spans: list[Span], done: Mapping[_Place, int]) -> int:
    return sum(done.get((span.topic, span.partition), span.start) - span.start for span in spans)
