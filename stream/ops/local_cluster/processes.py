"""A server as a child process on a pipe, and free ports for it.

Law: a server ends when its owner does, also by SIGKILL; and Ctrl-C reaches the owner alone, who ends its servers in order.

It is a pipe that only the owner holds open. Beside the server, in its process group, waits a shell that reads from it:
a line says that all is done; the end of file says that the owner is gone, and it kills the whole group. (The kernel's own
"signal at the parent's death" is of Linux alone, and fires when the *thread* ends that started the server.)
"""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from stream.contract.credentials import private

__all__ = ["HOST", "ClusterError", "NotHere", "Server", "free_ports", "is_free", "until"]

HOST: Final = "127.0.0.1"
_WATCH_PARENT: Final = 'exec 3<&0 </dev/null; { read -r _ <&3 || kill -s KILL -- -$$; } & exec "$@" 3<&-'
_PORTS: Final = range(15_000, 32_000)  # below those that systems give to outgoing connections, which come and go
_SHOWN_LINES: Final = 8
_NOISE: Final = ("\tat ", "\t... ", "WARNING: ")  # stack frames, and what the Java says of its own future
_POLL_S: Final = 0.02


class ClusterError(RuntimeError):
    """The local cluster cannot be: what is missing or in the way, and what to do."""


class NotHere(ClusterError):
    """Something that a local cluster takes is not on this machine, and could not be fetched."""


class Server:
    """One running process. Once made, it runs; it belongs to whoever made it.

    Parameters
    ----------
    command
        Program and arguments.
    log
        File that what it says is added to.
    parent_pipe
        A named pipe to be bound to instead, so that the process ends with whoever holds that open, not with its maker.
    """

    def __init__(self, command: Sequence[str], log: Path, parent_pipe: Path | None = None) -> None:
        self._log = log
        with open(log, "ab", opener=private) as said, open(parent_pipe or os.devnull, "rb") as bound:
            self._began_at = said.tell()
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", _WATCH_PARENT, "parent-pipe", *command],
                stdin=bound if parent_pipe else subprocess.PIPE,
                stdout=said,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def pid(self) -> int:
        """Its process id; the group of its children has the same."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended; a stopped (paused) process runs."""
        if self._process.poll() is None:
            return True
        self._let_go()
        return False

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.returncode

    @property
    def last_words(self) -> str:
        """The last lines it said, and where all of them are."""
        with self._log.open("rb") as said:
            said.seek(self._began_at)
            lines = said.read().decode(errors="replace").splitlines()
        telling = [line for line in lines if line.strip() and not line.startswith(_NOISE)]
        return "\n".join([*telling[-_SHOWN_LINES:], f"(All of it: {self._log})"])

    def send(self, number: signal.Signals) -> None:
        """Signal it; one that has ended feels nothing."""
        self._process.send_signal(number)

    def stop(self, patience_s: float) -> None:
        """End it with SIGTERM, or with SIGKILL after that patience."""
        self.send(signal.SIGTERM)
        self.send(signal.SIGCONT)  # a stopped process hears nothing
        self.wait(patience_s)

    def wait(self, patience_s: float) -> None:
        """Wait for its end; after that patience, kill it."""
        try:
            self._process.wait(patience_s)
        except subprocess.TimeoutExpired:
            self.kill()
        self._let_go()

    def kill(self) -> None:
        """End it with SIGKILL, now."""
        self._process.kill()
        self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        """Tell the shell beside it that the process has ended, before its number can become another's."""
        parent_pipe = self._process.stdin
        if parent_pipe is not None and not parent_pipe.closed:
            with suppress(BrokenPipeError):
                parent_pipe.write(b"\n")
                parent_pipe.flush()
            with suppress(BrokenPipeError):
                parent_pipe.close()


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on. Another may take one before you do: then the server ends, and you ask again."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        if is_free(port):
            found.append(port)
        if len(found) == count:
            return found
    raise ClusterError(f"Of the ports {_PORTS.start} to {_PORTS.stop} on {HOST}, {count} are needed and {len(found)} are free.")


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: what lingers of closed ones is no server
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def until(condition: Callable[[], bool], patience_s: float) -> bool:
    """Ask until it holds (True) or patience ends (False)."""
    deadline = time.monotonic() + patience_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
