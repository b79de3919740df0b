"""A broker on files: log files in, one JSON Lines file per output topic out.

Law: what is committed is whole lines, and `.progress.json` says how much that is. It is replaced, in one step, after the
lines of a transaction stand in their files; whatever stands behind it was never published and is cut off when the directory
is opened again. That holds through the end of this process at any point (kill -9), not through a loss of power.

The log is read forward only and once, so standard input serves as well. A run goes on by reading it again from its start:
what was read before is skipped, and compared by its digest, except for the last committed batch, which is kept for a worker
whose store had not saved it.
"""

import contextlib
import fcntl
import os
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.errors import ConfigError, RecoveryError
from stream.contract.ports import Batch, BrokerError, Encoded, InputTopic, Offsets, Transaction, on_both
from stream.contract.records import OUTPUT_TOPICS, Journal, Record

from .digests import RecordDigests
from .log_files import InvalidLog, encode_line

__all__ = ["FILES", "LogBroker", "LogProgress"]

_TOPICS: Final = (*OUTPUT_TOPICS, "journal")
_PROGRESS: Final = ".progress.json"
FILES: Final = (*(f"{topic}.jsonl" for topic in _TOPICS), _PROGRESS)


class LogProgress(msgspec.Struct, forbid_unknown_fields=True):
    """How far the run in an output directory is committed.

    `run` says which run it is, for the caller to compare. `records` of the log, in arrival order, are done; their digest is
    `digest`, and those from `records_before` on were the last transaction, whose journal entries are `journal`.
    """

    run: dict[str, str]
    records_before: int = 0
    records: int = 0
    digest: str = ""
    offsets: dict[int, dict[str, int]] = {}  # partition -> input topic -> next offset
    outputs: dict[str, dict[int, int]] = {}  # output topic -> partition -> next offset
    sizes: dict[str, int] = {}  # output topic -> bytes of its file
    journal: list[dict[str, Any]] = []

    @classmethod
    def read(cls, out: Path) -> "LogProgress | None":
        """The progress in a directory; None when no run was ever begun there. Raises ConfigError when it cannot be read."""
        try:
            with open(out / _PROGRESS, "rb", opener=private) as file:
                return msgspec.json.decode(file.read(), type=cls)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError("out", str(out), f"{_PROGRESS}: {error}", "a directory of a replay, or one to be made") from None


class _Mark(NamedTuple):
    """Where the log stands after a batch: records read, their digest, and the time of the last."""

    records: int
    digest: str
    timestamp: int


class LogBroker:
    """One member that owns every partition which occurs in the log, and publishes into a directory.

    Batches may be polled ahead of those that are published; each is published once, in the order they were polled.

    Parameters
    ----------
    records
        The log from its very start, in arrival order.
    out
        The directory; it is made if it is missing.
    progress
        Where to go on. One without records begins anew and empties the output files.
    missing
        Given the records of a batch so far, how many more belong to it, whatever was asked for at most.

    Raises
    ------
    ConfigError
        Another process writes there; the files are shorter than what was committed; or the log is not the one that the
        progress was made of.
    """

    def __init__(
        self,
        records: Iterable[Record],
        out: Path,
        progress: LogProgress,
        missing: Callable[[Sequence[Record]], int] = lambda _: 0,
    ) -> None:
        self._out, self._progress, self._missing = out, progress, missing
        self._records: Iterator[Record] = iter(records)
        self._timestamp = 0
        self.digests = RecordDigests()  # of all records that were read
        self._window: list[Record] = []
        self._polled: deque[_Mark] = deque()  # after each batch that was not yet published
        self._fault: InvalidLog | None = None  # of the log, for when all before it is done
        self._assigned: set[int] = set()
        self._files = {topic: _open(out / f"{topic}.jsonl") for topic in _TOPICS}
        try:
            self._lock()
            self._truncate()
            self._again = self._skip()  # the last committed batch, in case that the store had not saved it
            self._commit(progress)
        except BaseException:
            self._release()  # as it was found: what stands there may be another run's
            raise

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        """The next records in arrival order; before them, the partitions that occur for the first time. It never waits.

        Batches begin and end at the same records whether or not the run was interrupted. A fault of the log is raised once all
        that was whole before it is committed.
        """
        if not self._window:
            self._window = self._read(records_max)
        occurring = {record.partition for record in self._window}.union(self._progress.offsets) - self._assigned
        if occurring:
            self._assigned |= occurring
            return Batch(assigned=frozenset(occurring))
        records, self._window = self._window, []
        if records:
            self._note(records)
            self._polled.append(_Mark(self.digests.records, self.digests.order, self._timestamp))
        return Batch(records=records, ended=not records)

    def _read(self, records_max: int) -> list[Record]:
        if self._fault:
            raise self._fault
        found: list[Record] = []
        try:
            found.extend(islice(self._records, records_max))
            found.extend(islice(self._records, self._missing(found)))
        except InvalidLog as fault:
            if not found:
                raise
            self._fault = fault
        return found

    def committed(self, partition: int) -> Offsets:
        """Next offsets of both topics, as the last transaction left them."""
        return on_both(self._progress.offsets.get(partition, {}))

    def journal(self, partition: int, offsets: Offsets) -> Iterable[Journal]:
        """The last entry, which is all that a store can be behind. Raises RecoveryError when it is further behind."""
        entries = [Journal(**entry) for entry in self._progress.journal if entry["partition"] == partition]
        if not entries or entries[0].offsets_from != dict(offsets):
            raise RecoveryError(
                f"the states of partition {partition} stand at {dict(offsets)}, but {self._out} goes on from "
                f"{self.committed(partition)}: the store is not the one that this run was made with"
            )
        return entries

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        """Those records of the last committed batch, in arrival order."""
        return [
            record
            for record in self._again
            if record.partition == partition and offsets_from[record.topic] <= record.offset < offsets_to[record.topic]
        ]

    def seek(self, partition: int, offsets: Offsets) -> None:
        """A log goes forward only, so the one place to go on from is where it stands."""
        assert dict(offsets) == self.committed(partition), f"a log cannot go on from {dict(offsets)}: it is only read forward"

    def lag(self) -> dict[int, int]:
        """None is known of: a log is read as it comes."""
        return dict.fromkeys(self._assigned, 0)

    def topics(self) -> Mapping[str, InputTopic]:
        """A log is no topic."""
        return {}

    def publish(self, transaction: Transaction) -> None:
        """Append the outputs of the oldest batch that is not yet published, then commit them.

        Raises BrokerError when the directory cannot be written.
        """
        mark = self._polled[0]
        lines: defaultdict[str, list[bytes]] = defaultdict(list)
        outputs = defaultdict[str, dict[int, int]](dict)
        outputs |= {topic: dict(partitions) for topic, partitions in self._progress.outputs.items()}
        journal = [_journal_line(entry, mark.timestamp) for entry in transaction.journal]
        for output in (*transaction.outputs, *journal):
            topic, partition = output.topic, output.partition
            offset = outputs[topic].get(partition, 0)
            outputs[topic][partition] = offset + 1
            lines[topic].append(encode_line(output, offset))
        try:
            for topic, of_topic in lines.items():
                _write_all(self._files[topic], b"".join(of_topic))
            self._commit(self._after(transaction, outputs, mark))
        except OSError as error:
            raise BrokerError(f"{self._out}: cannot be written ({error.strerror}); what was committed is safe") from error
        self._polled.popleft()

    def close(self) -> None:
        """Leave whole lines behind: a transaction that did not get through is taken away."""
        with contextlib.suppress(OSError, ConfigError):
            self._truncate()
        self._release()

    def _release(self) -> None:
        for file in self._files.values():
            file.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._files["journal"], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError("out", str(self._out), "where another replay writes now", "another directory") from None

    def _truncate(self) -> None:
        """Take away what was never committed."""
        for topic, file in self._files.items():
            size, written = self._progress.sizes.get(topic, 0), os.fstat(file.fileno()).st_size
            if written < size:
                raise self._foreign(f"whose {topic}.jsonl has {written:,} bytes although {size:,} were committed")
            file.truncate(size)

    def _skip(self) -> list[Record]:
        """Read up to where the run stood; the last batch of it."""
        before, done = self._progress.records_before, self._progress.records
        for record in islice(self._records, before):
            self._note([record])
        again = list(islice(self._records, done - before))
        self._note(again)
        if done and self.digests.order != self._progress.digest:
            raise self._foreign(f"made of logs whose first {done:,} records differ from these")
        return again

    def _foreign(self, why: str) -> ConfigError:
        return ConfigError("out", str(self._out), why, "another directory, or this one with --fresh to begin anew")

    def _note(self, records: Sequence[Record]) -> None:
        if records:
            self._timestamp = records[-1].timestamp
            self.digests.note(records)

    def _after(self, transaction: Transaction, outputs: dict[str, dict[int, int]], mark: _Mark) -> LogProgress:
        """The progress once this transaction, which is all of the batch up to the mark, is committed."""
        return LogProgress(
            run=self._progress.run,
            records_before=self._progress.records,
            records=mark.records,
            digest=mark.digest,
            offsets=self._progress.offsets | {partition: dict(offsets) for partition, offsets in transaction.offsets.items()},
            outputs=outputs,
            sizes={topic: os.fstat(file.fileno()).st_size for topic, file in self._files.items()},
            journal=[entry.model_dump() for entry in transaction.journal],
        )

    def _commit(self, progress: LogProgress) -> None:
        path = self._out / _PROGRESS
        draft = path.with_suffix(".tmp")
        with open(draft, "wb", opener=private) as file:
            file.write(msgspec.json.encode(progress))
        draft.replace(path)
        self._progress = progress


def _open(path: Path) -> FileIO:
    try:
        path.parent.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        return open(path, "ab", buffering=0, opener=private)
    except OSError as error:
        why = "a link, through which nothing is written" if path.is_symlink() else error.strerror
        raise ConfigError("out", str(path.parent), f"{path.name}: {why}", "a directory that can be written") from None


def _journal_line(entry: Journal, timestamp: int) -> Encoded:
    return Encoded("journal", entry.partition, timestamp, None, entry.model_dump_json().encode())


def _write_all(file: FileIO, lines: bytes) -> None:
    """An unbuffered file may take less than it was given, for instance on a disk that is nearly full."""
    rest = memoryview(lines)
    while rest:
        rest = rest[file.write(rest) :]
