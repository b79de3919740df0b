"""The supervisor: keeps worker processes running, each started again when it failed, and ends them all when told.

Law: a worker does not outlive its supervisor, and what no restart heals is not restarted. A worker that failed is started
again after a pause that doubles with each failure, up to half a minute, until a minute of progress. One that only lacks a server
is awaited for as long as that is away; one that otherwise fails so many times without any progress is given up, and with it the
whole.

Between the two runs a pipe: a socket, which is the worker's standard input. Its end of file tells the worker that the
supervisor is gone, even if by SIGKILL. A byte on it tells the supervisor that the worker had a second of progress.
"""

import json
import logging
import os
import random
import select
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Final

__all__ = [
    "EXIT_BEYOND_REPAIR", "EXIT_FAILED", "EXIT_FENCED", "EXIT_OPERATOR", "EXIT_SERVER_AWAY", "EXIT_STALLED",
    "ParentPipe", "RestartPolicy", "Supervisor", "parent_pipe_of_this_process",
]  # fmt: skip

_LOG = logging.getLogger(__name__)

EXIT_FAILED: Final = 1
EXIT_OPERATOR: Final = 2
EXIT_STALLED: Final = 3  # there was lag and no progress
EXIT_FENCED: Final = 4  # the group gave its partitions to others, because it was silent for too long
EXIT_BEYOND_REPAIR: Final = 5  # somebody must look: too many dead letters, or states that no journal can bring up
EXIT_SERVER_AWAY: Final = 6  # Kafka or Redis does not answer, or does not do as asked
_REASONS: Final = {EXIT_FAILED: "failed", EXIT_FENCED: "fenced", EXIT_SERVER_AWAY: "server away", EXIT_STALLED: "stalled"}
_RESTARTS: Final = "KITHKIN_RESTARTS"  # tells a worker that it has a supervisor, and how often it was started again, by reason
_LOOK_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How a supervisor bears failures."""

    pause_s_min: float = 0.5
    pause_s_max: float = 30.0
    progress_s: int = 60  # of a worker's life: then its earlier failures are forgotten
    starts_max: int = 10  # in a row without any progress, those not counted that ended because a server was away
    stop_s: float = 8.0  # from SIGTERM to SIGKILL; who runs us in turn usually gives 10 s


class Supervisor:
    """Keeps a process running for each command.

    Parameters
    ----------
    commands
        Program and arguments of each worker.
    policy
        When to start again, and when to give up.
    """

    def __init__(self, commands: Sequence[Sequence[str]], policy: RestartPolicy = RestartPolicy()) -> None:
        self._children = [_ChildProcess(command, policy) for command in commands]
        self._policy = policy
        self._asked = False

    def run(self) -> int:
        """Until SIGTERM or SIGINT, or until a worker is given up; then all are ended.

        Returns
        -------
        int
            The exit code: 0 when asked to stop, 2 when the operator has to set something right, else 1.
        """
        before = {number: signal.signal(number, self._ask) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            given_up = None
            while not self._asked and given_up is None:
                select.select([child.pipe for child in self._children if child.pipe], [], [], _LOOK_EVERY_S)
                given_up = next((code for child in self._children if (code := child.look_after()) is not None), None)
            orderly = self._stop()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
        return given_up or (0 if orderly else EXIT_FAILED)

    def _ask(self, _number: int, _frame: FrameType | None) -> None:
        self._asked = True

    def _stop(self) -> bool:
        """End all within the time there is; whether none had to be killed."""
        deadline_s = time.monotonic() + self._policy.stop_s
        for child in self._children:
            child.ask_to_stop()
        orderly = [child.await_stop(deadline_s) for child in self._children]  # of each, also after the first that was not
        return all(orderly)


class _ChildProcess:
    """One worker under care: its process, or the pause before the next."""

    def __init__(self, command: Sequence[str], policy: RestartPolicy) -> None:
        self._command, self._policy = command, policy
        self._process: subprocess.Popen[bytes] | None = None
        self.pipe: socket.socket | None = None
        self._start_at_s = 0.0
        self._progress_s = 0  # of this process's life
        self._failures = 0  # since there was a minute of progress
        self._fruitless = 0  # starts in a row without any progress
        self._restarts: Counter[str] = Counter()

    def look_after(self) -> int | None:
        """See how it is, and start it when it is time to; the exit code when it is given up."""
        if self._process is None:
            if time.monotonic() >= self._start_at_s:
                self._start()
            return None
        code = self._process.poll()
        self._listen()
        return None if code is None else self._handle_end(code)

    def ask_to_stop(self) -> None:
        """SIGTERM: finish what is in hand."""
        if self._process is not None:
            self._process.terminate()

    def await_stop(self, deadline_s: float) -> bool:
        """Wait for its end, or kill it after the deadline; whether it ended in order."""
        if self._process is None:
            return True
        try:
            code = self._process.wait(max(0.0, deadline_s - time.monotonic()))
            return code in (0, -signal.SIGTERM)  # the latter: it had not even begun to listen to signals
        except subprocess.TimeoutExpired:
            _LOG.error("a worker did not stop in time and is killed", extra={"pid": self._process.pid})
            self._process.kill()
            self._process.wait()
            return False
        finally:
            self._release()

    def _start(self) -> None:
        self.pipe, end_of_worker = socket.socketpair()
        self.pipe.setblocking(False)
        with end_of_worker:
            environment = {**os.environ, _RESTARTS: json.dumps(self._restarts)}
            self._process = subprocess.Popen(self._command, stdin=end_of_worker.fileno(), env=environment)
        self._progress_s = 0

    def _listen(self) -> None:
        """Count the seconds of progress it tells of."""
        if self.pipe is not None:
            with suppress(BlockingIOError, ConnectionResetError):
                self._progress_s += len(self.pipe.recv(4096))

    def _release(self) -> None:
        if self.pipe is not None:
            self.pipe.close()
        self.pipe = self._process = None

    def _handle_end(self, code: int) -> int | None:
        self._release()
        if code in (EXIT_OPERATOR, EXIT_BEYOND_REPAIR):  # it has said why, and would say it again
            return EXIT_OPERATOR if code == EXIT_OPERATOR else EXIT_FAILED
        if self._progress_s:
            self._fruitless = 0
        elif code != EXIT_SERVER_AWAY:
            self._fruitless += 1
        if self._fruitless >= self._policy.starts_max:
            _LOG.critical("a worker failed %d times in a row without any progress: it is given up", self._fruitless)
            return EXIT_FAILED
        self._failures = 1 if self._progress_s >= self._policy.progress_s else self._failures + 1
        longest_s = min(self._policy.pause_s_max, self._policy.pause_s_min * 2.0 ** min(self._failures - 1, 20))
        pause_s = longest_s * random.uniform(0.5, 1.0)  # so that those who failed together do not come back together
        reason = "killed" if code < 0 else _REASONS.get(code, "failed")
        self._restarts[reason] += 1
        self._start_at_s = time.monotonic() + pause_s
        _LOG.warning("a worker ended (%s, exit code %d) and is started again in %.1f s", reason, code, pause_s)
        return None


class ParentPipe:
    """The worker's end.

    Parameters
    ----------
    end
        A connected socket.
    restarts
        How often the supervisor has started this worker again, by reason.
    """

    def __init__(self, end: socket.socket, restarts: Mapping[str, int]) -> None:
        self._end, self.restarts = end, restarts
        end.setblocking(False)

    def fileno(self) -> int:
        """For `select`: it becomes readable when the supervisor is gone."""
        return self._end.fileno()

    def tell_progress(self) -> None:
        """There was a second of progress. A supervisor that stands still, or is gone, need not know."""
        with suppress(OSError):
            self._end.send(b".")


def parent_pipe_of_this_process() -> ParentPipe | None:
    """The pipe that a supervisor gave to this process; None: it runs by itself. To be asked once."""
    restarts = os.environ.pop(_RESTARTS, None)
    return None if restarts is None else ParentPipe(socket.socket(fileno=os.dup(0)), json.loads(restarts))
