"""A replay's side of its jobs: who gets which records, and what they made of them put together again.

Law: what is put together is, byte for byte, what one process makes of the same batch. A household stays with one job, so that
its records are applied in their order; records of different households do not see each other.

Theory of operation: batches are begun ahead, so that no job waits while this process reads and writes. Neither does this
process ever wait to write: jobs have time to read only between two batches.
"""

import os
import pickle
import selectors
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from zlib import crc32

from stream.contract.records import Record
from stream.runtime.worker.applying import Part, Residency, Results
from stream.runtime.worker.batch import BatchResult, PartitionState, offsets_after, recognitions_among
from stream.runtime.worker.home_cache import Origin, states_at

from .messages import (
    Applied,
    AppliedPart,
    Apply,
    Clear,
    Loaded,
    Missing,
    PartOfJob,
    Request,
    Setup,
    decode_answer,
    frame,
    unframe,
)
from .processes import PIPE_BYTES, JobProcesses

__all__ = ["Begun", "BegunPart", "JobPool", "together"]

AHEAD: Final = 4  # batches: their records and results lie in memory
PLACES_MAX: Final = 1_000_000  # of one partition: keys whose job is remembered, at some 150 bytes; later ones are drawn by lot


@dataclass(slots=True)
class BegunPart:
    """One partition's records of a batch, and by record the job that has it."""

    owned: PartitionState
    records: Sequence[Record]
    jobs: list[int]


@dataclass(slots=True)
class Begun:
    """A batch from when it is handed out until it is saved."""

    parts: list[BegunPart] = field(default_factory=list)
    awaited: int = 0  # jobs that have not yet answered
    applied: dict[tuple[int, int], AppliedPart] = field(default_factory=dict)  # by job and partition


class JobPool:
    """Applies batches by jobs; an `Applier`.

    Parameters
    ----------
    processes
        Those that do it; the caller ends them.
    store
        Where a job's missing states are loaded from; nothing is written to it here.
    setup
        What each job is to know.

    Raises
    ------
    JobLost
        From whatever exchanges messages: a process has ended.
    """

    def __init__(self, processes: JobProcesses, store: Origin, setup: Setup) -> None:
        self._store = store
        self._selector = selectors.DefaultSelector()
        self._jobs = [_Job(number, processes, self._selector) for number in range(len(processes.ends))]
        self._begun: deque[Begun] = deque()
        self._owned: dict[int, PartitionState] = {}
        self._places: defaultdict[int, dict[bytes | None, int]] = defaultdict(dict)  # partition -> key -> job
        for job in self._jobs:
            job.send(pickle.dumps(setup))

    ahead: Final = AHEAD

    @property
    def begun(self) -> int:
        return len(self._begun)

    @property
    def residency(self) -> Residency:
        return Residency(*map(sum, zip(*(job.residency for job in self._jobs), strict=True)))

    def begin(self, parts: Sequence[Part]) -> None:
        begun, requests = Begun(), dict[int, list[PartOfJob]]()
        for owned, records in parts:
            self._owned[owned.partition] = owned
            jobs, shares = self._share_out(owned.partition, records)
            begun.parts.append(BegunPart(owned, records, jobs))
            for number, share in enumerate(shares):
                if share:
                    left_out = owned.quarantine
                    request = PartOfJob(owned.partition, left_out.epoch, left_out.households, share)
                    requests.setdefault(number, []).append(request)
                    self._jobs[number].records += len(share)
        begun.awaited = len(requests)
        self._begun.append(begun)
        for number, request_parts in requests.items():
            self._jobs[number].ask(Apply(request_parts), begun)
        self._exchange(wait=False)

    def results(self) -> Results:
        begun = self._begun[0]
        while begun.awaited:
            self._exchange(wait=True)
        return {part.owned.partition: together(part, begun) for part in begun.parts}

    def note_saved(self) -> None:
        self._begun.popleft()
        self._exchange(wait=False)

    def clear(self) -> None:
        assert not self._begun, "a log that is replayed has one reader: nothing is taken from it while batches are begun"
        for job in self._jobs:
            job.send(Clear())

    def _share_out(self, partition: int, records: Sequence[Record]) -> tuple[list[int], list[list[Record]]]:
        """By record the job of its household, and by job its records. A household is known by its key; one that is new goes
        to the job with the fewest records so far.
        """
        places = self._places[partition]
        jobs: list[int] = []
        shares: list[list[Record]] = [[] for _ in self._jobs]
        for record in records:
            number = places.get(record.key)
            if number is None:
                number = min(self._jobs, key=lambda job: job.records + len(shares[job.number])).number
                if len(places) < PLACES_MAX:
                    places[record.key] = number
                else:
                    number = crc32(record.key or b"") % len(self._jobs)
            jobs.append(number)
            shares[number].append(record)
        return jobs, shares

    def _exchange(self, wait: bool) -> None:
        """Read and write what can be; `wait` until there is something."""
        for key, _ in self._selector.select(None if wait else 0):
            job: _Job = key.data
            if key.fd == job.ends.requests:
                job.write()
                continue
            for answer in job.read():
                if isinstance(answer, Missing):
                    job.send(Loaded(self._states(job, answer)))
                else:
                    job.take(answer)

    def _states(self, job: "_Job", missing: Missing) -> dict[str, bytes]:
        """States as that job left them: of batches that are not yet saved, else of the store."""
        states: dict[str, bytes] = {}
        for begun in self._begun:
            part = begun.applied.get((job.number, missing.partition))
            if part is not None:
                states |= part.states
        owned = self._owned[missing.partition]
        stored = states_at(self._store, missing.partition, missing.households, owned.offsets)
        return stored | {household: states[household] for household in missing.households if household in states}


class _Job:
    """One job: what is on its way to and from it."""

    def __init__(self, number: int, processes: JobProcesses, selector: selectors.BaseSelector) -> None:
        self.number, self.ends = number, processes.ends[number]
        self.records = 0  # so far
        self.residency = Residency()
        self._processes, self._selector = processes, selector
        self._asked: deque[Begun] = deque()  # what it has not yet answered, in the order it was asked
        self._outgoing: deque[memoryview] = deque()
        self._incoming, self._received = bytearray(PIPE_BYTES), 0  # what was read stands in the first bytes
        selector.register(self.ends.answers, selectors.EVENT_READ, self)

    def ask(self, request: Apply, begun: Begun) -> None:
        """Let it apply its share of a batch."""
        self._asked.append(begun)
        self.send(request)

    def take(self, applied: Applied) -> None:
        """What became of the share that it was asked first."""
        begun = self._asked.popleft()
        begun.awaited -= 1
        begun.applied |= {(self.number, part.partition): part for part in applied.parts}
        self.residency = applied.residency

    def send(self, request: Request | bytes) -> None:
        """Have a message on its way: at once, as far as there is room."""
        if not self._outgoing:
            self._selector.register(self.ends.requests, selectors.EVENT_WRITE, self)
        self._outgoing.append(memoryview(frame(request)))
        self.write()

    def write(self) -> None:
        """Write what there is room for."""
        if not self._outgoing:
            return
        try:
            while self._outgoing:
                rest = self._outgoing[0]
                written = os.write(self.ends.requests, rest)
                if written < len(rest):
                    self._outgoing[0] = rest[written:]
                else:
                    self._outgoing.popleft()
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise self._processes.describe_loss() from None
        self._selector.unregister(self.ends.requests)

    def read(self) -> list[Applied | Missing]:
        """The answers that are there as a whole, once something can be read."""
        with memoryview(self._incoming) as room:
            received = os.readv(self.ends.answers, [room[self._received :]])
            if not received:
                raise self._processes.describe_loss()
            self._received += received
            whole, used = unframe(room[: self._received])
            answers = [decode_answer(raw) for raw in whole]
            room[: self._received - used] = room[used : self._received]
        self._received -= used
        if self._received == len(self._incoming):  # so much of one answer, and not yet all of it
            del whole
            self._incoming.extend(bytes(self._received))
        return answers


def together(part: BegunPart, begun: Begun) -> BatchResult:
    """One partition's result: what each job made of its records, in the order of all of them."""
    owned = part.owned
    result = BatchResult(offsets_after(part.records))
    result.recognitions = recognitions_among(part.records)
    applied = {number: begun.applied[number, owned.partition] for number in sorted(set(part.jobs))}
    following = {number: iter(own.settled).__next__ for number, own in applied.items()}
    result.settled = [following[number]() for number in part.jobs]
    result.states = dict(sorted(state for own in applied.values() for state in own.states.items()))
    for own in applied.values():
        if own.quarantined is not None:
            owned.quarantine.households.update(own.quarantined)
            for household in own.lifted:
                owned.quarantine.households.pop(household, None)
            result.quarantine = owned.quarantine.encode()
    return result
