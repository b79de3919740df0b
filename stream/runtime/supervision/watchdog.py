"""The watchdog: a worker that makes no progress ends itself, as does one that nobody supervises any more.

Law: liveness is progress. It is measured in seconds in which this process could have worked, so that one which was stopped
for an hour is not taken for stalled when it goes on. The watchdog touches neither broker nor store: what hangs there cannot
hang it.
"""

import logging
import os
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Final

from .supervisor import EXIT_FAILED, EXIT_STALLED, ParentPipe

__all__ = ["Liveness", "Watchdog", "stop_on_signals"]

_LOG = logging.getLogger(__name__)
_TICK_S: Final = 1.0
EXIT_STOPPED: Final = 0
_STOP_S: Final = 7.0  # from being asked to stop to the end: less than supervisors wait before they kill


@dataclass(slots=True)
class Liveness:
    """What the worker's thread notes between batches, and the watchdog of it."""

    turns: int = 0  # of the loop, with or without records
    done: int = 0  # batches published or applied again
    lag: int = 0  # records that were waiting when it last looked
    stopping: bool = False
    opening: bool = False  # there is nothing in hand yet that would have to be finished
    still_s: float = 0.0  # without progress


class Watchdog:
    """Looks at a worker's liveness once a second.

    Parameters
    ----------
    liveness
        Of the worker.
    stall_s
        Longest time without progress.
    parent
        The pipe to the supervisor, if there is one.
    end
        Ends the process with this exit code, now and without any cleaning up.
    """

    def __init__(
        self, liveness: Liveness, stall_s: float, parent: ParentPipe | None, end: Callable[[int], object] = os._exit
    ) -> None:
        self._liveness, self._stall_s, self._parent, self._end = liveness, stall_s, parent, end
        self._seen = (0, 0)
        self._stopping_s = 0.0

    def start(self, wake_up: socket.socket) -> None:
        """Watch from a thread of its own until the process ends; a signal to stop makes `wake_up` readable."""
        threading.Thread(target=self._watch, args=(wake_up,), name="watchdog", daemon=True).start()

    def tick(self, passed_s: float) -> None:
        """So much time has passed: note progress, or end the process."""
        liveness, (turns, done) = self._liveness, self._seen
        self._seen = liveness.turns, liveness.done
        if liveness.done > done or (liveness.turns > turns and not liveness.lag):
            liveness.still_s = 0.0
            if self._parent is not None:
                self._parent.tell_progress()
        else:
            liveness.still_s += passed_s
        self._stopping_s += passed_s if liveness.stopping else 0.0
        if self._stopping_s >= _STOP_S:
            self._end_now(EXIT_FAILED, f"asked to stop {self._stopping_s:.0f} s ago and still at work: it ends as it is")
        elif liveness.still_s >= self._stall_s:
            waiting = f"{liveness.lag} records waited" if liveness.lag else "a turn did not end"
            self._end_now(EXIT_STALLED, f"no progress for {liveness.still_s:.0f} s although {waiting}")

    def _watch(self, wake_up: socket.socket) -> None:
        watched: list[socket.socket | ParentPipe] = [wake_up, self._parent] if self._parent else [wake_up]
        while True:
            spoke, _, _ = select.select(watched, [], [], _TICK_S)
            if self._parent in spoke:
                self._end_now(EXIT_FAILED, "the supervisor is gone")
            elif wake_up in spoke:
                asked = wake_up.recv(64)
                self._liveness.stopping = True
                if not asked:  # closed: the worker ends by itself, with a code of its own, if it does so in time
                    watched.remove(wake_up)
                    continue
                if self._liveness.opening:
                    _LOG.info("stopped as asked, before there was anything to do")
                    self._end(EXIT_STOPPED)
            else:
                self.tick(_TICK_S)

    def _end_now(self, code: int, why: str) -> None:
        _LOG.critical(why, extra={"threads": _stacks()})
        self._end(code)


@contextmanager
def stop_on_signals(liveness: Liveness) -> Iterator[socket.socket]:
    """SIGTERM and SIGINT ask to stop; a second SIGINT does not ask: it raises KeyboardInterrupt.

    What is given is a socket that is readable at once, even while the main thread, in which Python handles signals, hangs in a
    library.
    """
    wake_up, far_end = socket.socketpair()
    far_end.setblocking(False)

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)
        liveness.stopping = True

    asked: list[int] = []
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.set_wakeup_fd(far_end.fileno(), warn_on_full_buffer=False)
    try:
        yield wake_up
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)


def _stacks() -> dict[str, list[str]]:
    """Where each thread is: its name, and the calls it is in."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return {
        names.get(ident, str(ident)): [f"{call.filename}:{call.lineno} {call.name}" for call in traceback.extract_stack(frame)]
        for ident, frame in sys._current_frames().items()
    }
