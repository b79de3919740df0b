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

from .supervisor import EXIT_FAILED, EXIT_STALLED, Leash

__all__ = ["Heart", "Watchdog", "stopped_by_signals"]

_LOG = logging.getLogger(__name__)
_TICK_S: Final = 1.0
_STOP_S: Final = 7.0  # from being asked to stop to the end: less than supervisors wait before they kill


@dataclass(slots=True)
class Heart:
    """What the worker's thread notes between batches, and the watchdog of it."""

    turns: int = 0  # of the loop, with or without records
    done: int = 0  # batches published or applied again
    lag: int = 0  # records that were waiting when it last looked
    stopping: bool = False
    still_s: float = 0.0  # without progress


class Watchdog:
    """Looks at a heart once a second.

    Parameters
    ----------
    heart
        Of the worker.
    stall_s
        Longest time without progress.
    leash
        To the supervisor, if there is one.
    end
        Ends the process with this exit code, now and without any cleaning up.
    """

    def __init__(self, heart: Heart, stall_s: float, leash: Leash | None, end: Callable[[int], object] = os._exit) -> None:
        self._heart, self._stall_s, self._leash, self._end = heart, stall_s, leash, end
        self._seen = (0, 0)
        self._stopping_s = 0.0

    def start(self, bell: socket.socket) -> None:
        """Watch from a thread of its own until the process ends; a signal to stop rings the bell."""
        threading.Thread(target=self._watch, args=(bell,), name="watchdog", daemon=True).start()

    def tick(self, passed_s: float) -> None:
        """So much time has passed: note progress, or end the process."""
        heart, (turns, done) = self._heart, self._seen
        self._seen = heart.turns, heart.done
        if heart.done > done or (heart.turns > turns and not heart.lag):
            heart.still_s = 0.0
            if self._leash is not None:
                self._leash.tell_progress()
        else:
            heart.still_s += passed_s
        self._stopping_s += passed_s if heart.stopping else 0.0
        if self._stopping_s >= _STOP_S:
            self._end_now(EXIT_FAILED, f"asked to stop {self._stopping_s:.0f} s ago and still at work: it ends as it is")
        elif heart.still_s >= self._stall_s:
            waiting = f"{heart.lag} records waited" if heart.lag else "a turn did not end"
            self._end_now(EXIT_STALLED, f"no progress for {heart.still_s:.0f} s although {waiting}")

    def _watch(self, bell: socket.socket) -> None:
        watched: list[socket.socket | Leash] = [bell, self._leash] if self._leash else [bell]
        while True:
            spoke, _, _ = select.select(watched, [], [], _TICK_S)
            if self._leash in spoke:
                self._end_now(EXIT_FAILED, "the supervisor is gone")
            elif bell in spoke:
                bell.recv(64)
                self._heart.stopping = True
            else:
                self.tick(_TICK_S)

    def _end_now(self, code: int, why: str) -> None:
        _LOG.critical(why, extra={"threads": _stacks()})
        self._end(code)


@contextmanager
def stopped_by_signals(heart: Heart) -> Iterator[socket.socket]:
    """SIGTERM and SIGINT ask to stop; a second SIGINT does not ask: it raises KeyboardInterrupt.

    What is given is a bell: it rings at once, even while the main thread, in which Python handles signals, hangs in a library.
    """
    bell, rope = socket.socketpair()
    rope.setblocking(False)

    def ask(number: int, _frame: FrameType | None) -> None:
        if asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.append(number)
        heart.stopping = True

    asked: list[int] = []
    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    signal.set_wakeup_fd(rope.fileno(), warn_on_full_buffer=False)
    try:
        yield bell
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
