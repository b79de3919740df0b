"""The workers of a drill: processes that are started, struck, and started again when they end.

Law: every end of a worker is counted by its kind; what no restart heals is a complaint.
"""

import multiprocessing
import os
import signal
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final

from stream.runtime.supervision.supervisor import (
    EXIT_BEYOND_REPAIR,
    EXIT_FAILED,
    EXIT_FENCED,
    EXIT_OPERATOR,
    EXIT_SERVER_AWAY,
    EXIT_STALLED,
)

from .worker import Hired, be_worker

__all__ = ["Crew", "Member", "prepare"]

_PAUSE_S: Final = 0.25
_STOP_S: Final = 10.0
_ENDS: Final = {
    0: "stopped", -signal.SIGTERM: "stopped", -signal.SIGKILL: "killed", EXIT_FAILED: "failed", EXIT_FENCED: "fenced",
    EXIT_SERVER_AWAY: "failed", EXIT_STALLED: "stalled", EXIT_OPERATOR: "refused", EXIT_BEYOND_REPAIR: "beyond repair",
}  # fmt: skip
_NURSERY = multiprocessing.get_context("forkserver")  # has imported everything, so that a worker starts at once
_NURSERY.set_forkserver_preload(["tests.drill.worker"])


def prepare() -> None:
    """Begin to import what workers need, in the background."""
    forkserver.ensure_running()


@dataclass
class Member:
    """One worker that runs, or did."""

    slot: str
    process: BaseProcess
    pipe: socket.socket
    log: Path

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    def send(self, number: signal.Signals) -> None:
        """Signal it; one that has ended feels nothing."""
        if self.process.exitcode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


class Crew:
    """Keeps a worker in every slot, until the slot is dismissed.

    Parameters
    ----------
    folder
        With `wiring.toml`; the workers' logs go there.
    sabotage
        What is wrong with all of them.
    """

    def __init__(self, folder: Path, sabotage: str | None = None) -> None:
        self._folder, self._sabotage = folder, sabotage
        self.members: dict[str, Member] = {}
        self.former: list[Member] = []  # replaced while they stood still
        self.ends: Counter[str] = Counter()
        self.complaints: list[str] = []
        self._started = 0
        self._lock = threading.RLock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tend, daemon=True)
        self._thread.start()

    def hire(self, slot: str) -> Member:
        """A worker in that slot; who stands still there is replaced, and not awaited."""
        with self._lock:
            if slot in self.members:
                self.former.append(self.members[slot])
            log = self._folder / f"worker-{self._started:03d}-{slot}.log"
            self._started += 1
            ours, theirs = socket.socketpair()
            process = _NURSERY.Process(target=be_worker, args=(Hired(self._folder, slot, log, self._sabotage), theirs))
            process.start()
            theirs.close()
            self.members[slot] = Member(slot, process, ours, log)
            return self.members[slot]

    def dismiss(self, slot: str) -> None:
        """Ask the worker there to stop; one that does not in time is a complaint."""
        with self._lock:
            member = self.members.pop(slot)
        member.send(signal.SIGTERM)
        member.process.join(_STOP_S)
        if member.process.exitcode is None:
            self.complaints.append(f"{slot} did not stop within {_STOP_S:.0f} s of SIGTERM: {member.log}")
            member.send(signal.SIGKILL)
            member.process.join()
        self._count(member)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nobody is started again meanwhile."""
        with self._lock:
            yield

    @property
    def pids(self) -> list[int]:
        """Process ids of those who are in a slot now."""
        with self._lock:
            return [member.pid for member in self.members.values()]

    def close(self) -> None:
        """End everyone."""
        self._over.set()
        self._thread.join()
        for slot in list(self.members):
            self.members[slot].send(signal.SIGCONT)
            self.dismiss(slot)
        for member in self.former:
            member.send(signal.SIGKILL)
            member.process.join()

    def _tend(self) -> None:
        while not self._over.wait(_PAUSE_S):
            with self._lock:
                for slot, member in list(self.members.items()):
                    if member.process.exitcode is not None:
                        self._count(member)
                        del self.members[slot]
                        self.hire(slot)
                for member in [one for one in self.former if one.process.exitcode is not None]:
                    self.former.remove(member)
                    self._count(member)

    def _count(self, member: Member) -> None:
        code = member.process.exitcode
        end = _ENDS.get(code, f"ended with {code}") if code is not None else "running"
        self.ends[end] += 1
        if end in ("refused", "beyond repair") or code not in _ENDS:
            self.complaints.append(f"{member.slot} {end}: {member.log}")
        member.pipe.close()
