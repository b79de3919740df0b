"""A process that kills itself at a point of somebody's code, which knows nothing of it.

Law: what is killed is a whole process, with SIGKILL, before or after the n-th call of a function by that name, of ours or of a
library in C.
"""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Literal, NamedTuple

__all__ = ["Point", "run_until"]

_NURSERY = multiprocessing.get_context("forkserver")  # has no threads of the test's own, which a fork would lose
_NURSERY.set_forkserver_preload(["tests.drill.worker"])  # the drill's own: all clients are imported, by whoever comes first
_PATIENCE_S = 120.0


class Point(NamedTuple):
    """Before (`call`) or after (`return`) the n-th call of a function of that qualified name."""

    event: Literal["call", "return"]
    name: str
    number: int = 1


def run_until(point: Point | None, task: Callable[..., object], *arguments: object) -> int:
    """Run a module's function in a process of its own that is killed at a point; its exit code, -SIGKILL if it came there."""
    process = _NURSERY.Process(target=_run, args=(point, task, arguments))
    process.start()
    process.join(_PATIENCE_S)
    assert process.exitcode is not None, f"{point} was not reached, and it did not end"
    return process.exitcode


def _run(point: Point | None, task: Callable[..., object], arguments: tuple[object, ...]) -> None:
    if point is not None:
        _strike_at(point)
    task(*arguments)


def _strike_at(point: Point) -> None:
    left = point.number

    def look(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal left
        name = argument.__qualname__ if event.startswith("c_") else frame.f_code.co_qualname
        if event.removeprefix("c_") == point.event and name == point.name:
            left -= 1
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(look)
    sys.setprofile(look)
