"""The processes that a replay spreads its households over: how they begin and end.

Law: they own nothing, so that they may be killed at any time; and they end when the replay does, also by SIGKILL: each reads
from a pipe that only the replay holds open. Signals to the replay do not reach them.

Theory of operation: one process loads the core, which takes a second or two, and forks the others. It has no thread, lock or
file of the replay, and its memory is shared. So it can begin before the replay itself has loaded anything: nothing heavy is
imported here.
"""

import fcntl
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple, NoReturn

__all__ = ["Ends", "JobLost", "JobProcesses", "serve", "spread_over", "usable_cores"]

PIPE_BYTES: Final = 2**20  # the most that Linux gives to everybody: about what one of two jobs says of a batch
_PATIENCE_S: Final = 5.0
_SERVE: Final = "from stream.offline.replay.jobs.processes import serve; serve()"


class JobLost(RuntimeError):
    """A process of a replay ended before its work did; what was committed is safe."""


class Ends(NamedTuple):
    """File descriptors of one side of a job's two pipes."""

    requests: int
    answers: int

    def close(self) -> None:
        """Both of them."""
        for end in self:
            os.close(end)


class JobProcesses:
    """Running processes, each of which waits for its first request.

    Parameters
    ----------
    count
        How many; at least one.
    """

    def __init__(self, count: int) -> None:
        pipes = [(_pipe(), _pipe()) for _ in range(count)]
        self.ends = [Ends(requests[1], answers[0]) for requests, answers in pipes]
        theirs = [Ends(requests[0], answers[1]) for requests, answers in pipes]
        found = os.pathsep.join(folder or os.getcwd() for folder in sys.path)  # as here, and nothing beside the working directory
        self._first = subprocess.Popen(
            [sys.executable, "-P", "-c", _SERVE, *(f"{end.requests},{end.answers}" for end in theirs)],
            env={**os.environ, "PYTHONPATH": found},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[end for ends in theirs for end in ends],
            process_group=0,
        )
        for ends in theirs:
            ends.close()
        for ends in self.ends:
            os.set_blocking(ends.requests, False)

    @property
    def group(self) -> int:
        """The process group of all of them, which has the id of the first."""
        return self._first.pid

    def describe_loss(self) -> JobLost:
        """One of them has closed its pipe: how it ended, as an error to be raised."""
        try:
            code = self._first.wait(_PATIENCE_S)
            how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            how = "nobody knows how"
        return JobLost(
            f"a process of this replay ended ({how}); what was committed is safe: give the same command again, "
            "with fewer --jobs if memory was short"
        )

    def close(self) -> None:
        """End them at once, the first of them last, so that it sees the others off. Never raises."""
        for ends in self.ends:
            ends.close()
        self._send(signal.SIGHUP)
        with suppress(subprocess.TimeoutExpired):
            self._first.wait(_PATIENCE_S)
        self._send(signal.SIGKILL)
        self._first.wait()

    def _send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):  # none is left
            os.killpg(self.group, number)


@contextmanager
def spread_over(jobs: int) -> Iterator[JobProcesses | None]:
    """So many processes until the end of the block, 0 for as many as there are cores; None instead of a single one."""
    count = jobs or usable_cores()
    if count == 1:
        yield None
        return
    processes = JobProcesses(count)
    try:
        yield processes
    finally:
        processes.close()


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pipe() -> tuple[int, int]:
    """A pipe that holds much, where that can be: then neither side waits for the other."""
    read, write = os.pipe()
    with suppress(OSError):
        fcntl.fcntl(write, getattr(fcntl, "F_SETPIPE_SZ", -1), PIPE_BYTES)
    return read, write


# ---- in the processes


def serve() -> NoReturn:
    """Be the first process: load the core, fork one for each pair of ends, and end as they do."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    from .job import work

    theirs = [Ends(*map(int, pair.split(","))) for pair in sys.argv[1:]]
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # it is for the others
    for own in theirs:
        if os.fork() == 0:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            for other in theirs:
                if other is not own:
                    other.close()
            code = 1
            try:
                work(own)
                code = 0
            except BrokenPipeError:
                code = 0  # the replay is gone
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
    for ends in theirs:
        ends.close()
    _end_as_they_do()


def _end_as_they_do() -> NoReturn:
    """Wait for their ends; at the first that is no good one, end in the same way, which the replay sees."""
    with suppress(ChildProcessError):  # none is left
        while True:
            code = os.waitstatus_to_exitcode(os.wait()[1])
            if code < 0 and code != -signal.SIGHUP:
                os.kill(os.getpid(), -code)
            elif code > 0:
                sys.exit(code)
    sys.exit(0)
