"""Several runs at once, each in a process of its own.

Law: what comes back does not depend on how many processes there are. Nothing of a run that was interrupted is left.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, Final

from stream.contract.policy import Policy
from stream.contract.settings import Wiring

from ..replay.jobs.processes import JobLost, usable_cores
from .questions import Questions
from .runs import Answered, Ground, Stopped, run

__all__ = ["RunsSofar", "run_all"]

_LOOK_S: Final = 0.2
_WORTH_BYTES: Final = 16 * 2**20  # of logs, over all runs: of less they have ended before another process has loaded the core
RunsSofar = Callable[[int, int], None]  # runs that ended, bytes read by those under way
Stop = Callable[[], bool]


def run_all(
    cores: Sequence[Sequence[Policy]], ground: Ground, questions: Questions, jobs: int, watch: RunsSofar
) -> list[Answered]:
    """One run for each group of policies that share a core, in their order.

    Parameters
    ----------
    jobs
        Processes at most; 0: as many as there are cores of the machine, or one where the logs are small.

    Raises
    ------
    JobLost
        A process ended before its run did.
    InvalidLog, ConfigError
        As `run`.
    """
    count = min(jobs or _worth_using(ground, len(cores)), len(cores))
    if count <= 1:
        return [_run_quietly(policies, ground, questions, partial(watch, done)) for done, policies in enumerate(cores)]
    context = multiprocessing.get_context("spawn")
    read: Any = context.Array(ctypes.c_int64, len(cores), lock=False)
    asked: Any = context.Value(ctypes.c_bool, False, lock=False)
    plain = {name: getattr(ground.wiring, name) for name in Wiring.model_fields}  # of a class that a process can be given
    ground = replace(ground, wiring=Wiring.model_construct(**plain))
    pool = ProcessPoolExecutor(count, context, _begin, (ground, questions, read, asked))
    try:
        futures = [pool.submit(_run_here, number, tuple(policies)) for number, policies in enumerate(cores)]
        _wait(futures, read, watch)
        return [answered for future in futures if (answered := future.result()) is not None]
    except BrokenProcessPool:
        told = "a process of this comparison ended; give the same command again, with fewer --jobs if memory was short"
        raise JobLost(told) from None
    finally:
        asked.value = True
        pool.shutdown(wait=True, cancel_futures=True)


def _worth_using(ground: Ground, runs: int) -> int:
    """How many processes there is work for."""
    size = sum(os.path.getsize(log) for log in ground.logs if os.path.isfile(log))
    return usable_cores() if size * runs >= _WORTH_BYTES else 1


def _wait(futures: Sequence[Future[Answered | None]], read: Any, watch: RunsSofar) -> None:
    """Until all have ended, or one in error."""
    under_way = set(futures)
    while under_way:
        ended, under_way = wait(under_way, _LOOK_S, FIRST_COMPLETED)
        for future in ended:
            future.result()
        watch(len(futures) - len(under_way), sum(read[i] for i, future in enumerate(futures) if not future.done()))


@contextmanager
def _silence_warnings() -> Iterator[None]:
    """What a replay warns of was told when the log was read for its questions."""
    logger = logging.getLogger("stream.offline.replay.replay")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _run_quietly(
    policies: Sequence[Policy], ground: Ground, questions: Questions, watch: Callable[[int], None], stop: Stop = lambda: False
) -> Answered:
    with _silence_warnings():
        return run(policies, ground, questions, watch, stop)


# ---- in the processes

_shared: dict[str, Any] = {}


def _begin(ground: Ground, questions: Questions, read: Any, asked: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the first process, which then asks to stop
    _shared.update(ground=ground, questions=questions, read=read, asked=asked)


def _run_here(number: int, policies: Sequence[Policy]) -> Answered | None:
    def note(bytes_read: int) -> None:
        _shared["read"][number] = bytes_read

    try:
        return _run_quietly(policies, _shared["ground"], _shared["questions"], note, lambda: bool(_shared["asked"].value))
    except Stopped:
        return None  # nobody waits for it any more
