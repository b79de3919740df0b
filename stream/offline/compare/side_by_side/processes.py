"""Policies over a log, their homes spread over processes.

Law: what comes back does not depend on how many processes there are. Nothing of a run that was interrupted is left.

Theory of operation: each process reads the whole log and steps a share of the homes under all policies. So all cores have work
however few policies there are, and what policies agree on is found in one place. Alerts are of all homes together: they are
opened at the end, from the signals of all processes.
"""

import ctypes
import multiprocessing
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple
from zlib import crc32

from stream.contract.policy import Alerting, Policy
from stream.contract.records import Record
from stream.contract.records import Signal as SignalRecord
from stream.contract.settings import Wiring
from stream.fleet.step import alerts_of
from stream.runtime.worker.garbage import seldom_collected
from stream.stores import open_store

from ...policies.agreement import Agreement
from ...replay.applied import in_batches, open_log, read_order_of
from ...replay.first_states import copy_states, refuse_unreadable
from ...replay.jobs.processes import JobLost, usable_cores
from ..answered import Answered, put_together
from ..ground import Ground
from ..questions import Questions
from .steps import Outcome, SideBySide, Signal, Steps

__all__ = ["Answers", "Watch", "answer_all"]

_LOOK_S: Final = 0.2
_WORTH_BYTES: Final = 16 * 2**20  # of logs, over all policies: of less all is done before another process has loaded the core
_TOGETHER_MAX: Final = 16  # policies whose homes are in memory at once, for as many is what they are compiled into kept too
_NO_STORE: Final = "memory:"
Watch = Callable[[int, int], None]  # bytes read by now, and to be read in all
Stop = Callable[[], bool]
Opened = dict[str | None, int]  # alerts by household; None: of several


class Stopped(RuntimeError):
    """Nobody waits any more for what was asked."""


class Answers(NamedTuple):
    """What each group of policies answered, in their order; and the steps that it took."""

    answered: list[Answered]
    steps: Steps


def answer_all(
    cores: Sequence[Sequence[Policy]], ground: Ground, questions: Questions, jobs: int, watch: Watch = lambda *_: None
) -> Answers:
    """What policies answer; those of a group share a core.

    Parameters
    ----------
    jobs
        Processes at most; 0: as many as there are cores of the machine, or one where the logs are small.

    Raises
    ------
    JobLost
        A process ended before its work did.
    InvalidLog, ConfigError
        As a replay of the ground.
    """
    size = sum(os.path.getsize(log) for log in ground.logs if os.path.isfile(log))
    count = min(jobs or (usable_cores() if size * len(cores) >= _WORTH_BYTES else 1), max(1, len(questions.homes)))
    in_order = [number for group in Agreement([own[0] for own in cores]).at_first for number in group]  # who agree, together
    rounds = [in_order[at : at + _TOGETHER_MAX] for at in range(0, len(cores), _TOGETHER_MAX)]
    found, steps = dict[int, Answered](), Steps()
    with _first_states(ground, cores) as states, _workers(count, _Work(ground, states)) as workers:
        for done, numbers in enumerate(rounds):
            told = partial(_tell, watch, done * size, len(rounds) * size)
            answers = _answer_round([cores[number] for number in numbers], workers, questions, told)
            found.update(zip(numbers, answers.answered, strict=True))
            steps.add_policies(answers.steps)
    return Answers([found[number] for number in range(len(cores))], steps)


def _tell(watch: Watch, before: int, total: int, read: int) -> None:
    watch(before + read, total)


def _answer_round(
    cores: Sequence[Sequence[Policy]], workers: "_Here | _Pool", questions: Questions, watch: Callable[[int], None]
) -> Answers:
    """What some policies answer, all of them at once."""
    outcomes = workers.step([own[0] for own in cores], questions, watch)
    answered = [put_together(questions, [outcome.parts.pop(0) for outcome in outcomes]) for _ in cores]  # and no part is kept
    asked = []
    for number, own in enumerate(cores):
        signals = sorted((one for outcome in outcomes for one in outcome.signals[number]), key=attrgetter(*Signal._fields[:-1]))
        asked += [([one.value for one in signals], policy.alerting) for policy in own]
    opened = iter(workers.open_alerts(asked))
    for one, own in zip(answered, cores, strict=True):
        one.alerts = {policy.policy_id: next(opened) for policy in own}
    steps = Steps()
    for outcome in outcomes:
        steps.add_homes(outcome.steps)
    return Answers(answered, steps)


@contextmanager
def _first_states(ground: Ground, cores: Sequence[Sequence[Policy]]) -> Iterator[str]:
    """A copy of the states to begin with, by its path; what of them cannot be read is told."""
    if ground.origin is None:
        yield _NO_STORE
        return
    with tempfile.TemporaryDirectory(prefix="kithkin-compare-") as folder:
        copy = copy_states(ground.origin, Path(folder))
        with closing(open_store(copy)) as store:
            refuse_unreadable(ground.origin, store, cores[0][0])
        yield copy


# ---- who does the work


@dataclass(frozen=True, slots=True)
class _Work:
    """What all work is about; `states` is the path of those to begin with."""

    ground: Ground
    states: str


@contextmanager
def _workers(count: int, work: _Work) -> Iterator["_Here | _Pool"]:
    if count == 1:
        yield _Here(work)
        return
    plain = {name: getattr(work.ground.wiring, name) for name in Wiring.model_fields}  # of a class that a process can be given
    pool = _Pool(count, replace(work, ground=replace(work.ground, wiring=Wiring.model_construct(**plain))))
    try:
        yield pool
    except BrokenProcessPool:
        told = "a process of this comparison ended; give the same command again, with fewer --jobs if memory was short"
        raise JobLost(told) from None
    finally:
        pool.close()


class _Here:
    """This process."""

    def __init__(self, work: _Work) -> None:
        self._work = work

    def step(self, policies: Sequence[Policy], questions: Questions, watch: Callable[[int], None]) -> list[Outcome]:
        """What comes of all homes."""
        return [_Stepping(self._work, Share(0, 1), watch, lambda: False).step(policies, questions)]

    def open_alerts(self, asked: Sequence[tuple[list[bytes], Alerting]]) -> list[Opened]:
        """Alerts from signals, by each policy's table."""
        return [_open_alerts(*one) for one in asked]


class _Pool:
    """Processes of their own; they end when this one asks them to."""

    def __init__(self, count: int, work: _Work) -> None:
        context = multiprocessing.get_context("spawn")
        self._count = count
        self._read: Any = context.Array(ctypes.c_int64, count, lock=False)
        self._ending: Any = context.Value(ctypes.c_bool, False, lock=False)
        self._pool = ProcessPoolExecutor(count, context, _begin, (work, self._read, self._ending))

    def step(self, policies: Sequence[Policy], questions: Questions, watch: Callable[[int], None]) -> list[Outcome]:
        """What comes of all homes, share by share."""
        shares = [Share(number, self._count) for number in range(self._count)]
        futures = [self._pool.submit(_step_here, share, policies, questions.of_homes(share.has)) for share in shares]
        return [outcome for outcome in self._wait(futures, watch) if outcome is not None]

    def open_alerts(self, asked: Sequence[tuple[list[bytes], Alerting]]) -> list[Opened]:
        """Alerts from signals, by each policy's table."""
        return [future.result() for future in [self._pool.submit(_open_alerts, *one) for one in asked]]

    def close(self) -> None:
        """End them."""
        self._ending.value = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _wait(self, futures: "Sequence[Future[Outcome | None]]", watch: Callable[[int], None]) -> Iterator[Outcome | None]:
        """Until all have ended, or one in error."""
        under_way = set(futures)
        while under_way:
            ended, under_way = wait(under_way, _LOOK_S, FIRST_COMPLETED)
            for future in ended:
                future.result()
            watch(sum(self._read) // self._count)
        return (future.result() for future in futures)


_shared: dict[str, Any] = {}


def _begin(work: _Work, read: Any, ending: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the first process, which then asks to stop
    _shared.update(work=work, read=read, ending=ending)


def _step_here(share: "Share", policies: Sequence[Policy], questions: Questions) -> Outcome | None:
    def note(bytes_read: int) -> None:
        _shared["read"][share.number] = bytes_read

    try:
        return _Stepping(_shared["work"], share, note, lambda: bool(_shared["ending"].value)).step(policies, questions)
    except Stopped:
        return None  # nobody waits for it any more


# ---- the work


class Share(NamedTuple):
    """Which homes: every so-many-th by a hash of the name."""

    number: int
    shares: int

    def has(self, household_id: str) -> bool:
        """Whether a home is one of them."""
        return self.has_key(household_id.encode())

    def has_key(self, key: bytes | None) -> bool:
        """Whether a record with this key is of one of them."""
        return crc32(key or b"") % self.shares == self.number


class _Stepping(NamedTuple):
    """A share of the homes on its way through the logs; `watch` is told the bytes that were read, and `stop` asked meanwhile."""

    work: _Work
    share: Share
    watch: Callable[[int], None]
    stop: Stop

    def step(self, policies: Sequence[Policy], questions: Questions) -> Outcome:
        """What comes of it. Raises Stopped, once `stop()` said so."""
        ground, wiring = self.work.ground, self.work.ground.wiring
        order = read_order_of(ground.logs, ground.what_if, wiring.prefix)
        log = open_log(ground.logs, order, wiring.prefix)
        with closing(log), closing(open_store(self.work.states)) as first, seldom_collected():
            homes, reached = SideBySide(policies, first, questions, wiring.resident_bytes_max), _Reached()
            for batch in in_batches(log, order, ground.what_if, wiring.batch_records_max):
                if self.stop():
                    raise Stopped
                new = reached.take(batch)
                homes.apply([(number, record) for number, record in enumerate(new) if self.share.has_key(record.key)])
                self.watch(log.bytes_read)
            return homes.outcome()


class _Reached:
    """How far the topics of each partition were read: a worker passes over what comes again."""

    def __init__(self) -> None:
        self._offsets: dict[tuple[str, int], int] = {}

    def take(self, batch: Sequence[Record]) -> list[Record]:
        """Those of a batch that are beyond what was taken before it."""
        new = [record for record in batch if record.offset >= self._offsets.get((record.topic, record.partition), 0)]
        for record in new:
            place = record.topic, record.partition
            self._offsets[place] = max(self._offsets.get(place, 0), record.offset + 1)
        return new


def _open_alerts(signals: Sequence[bytes], alerting: Alerting) -> Opened:
    """How many alerts are opened for each home."""
    alerts = alerts_of([SignalRecord.model_validate_json(raw) for raw in signals], alerting)
    return Counter({alert.alert_id: alert.household_id for alert in alerts}.values())
