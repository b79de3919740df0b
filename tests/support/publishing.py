"""Publishing beside the worker, without threads: what a test says decides when it happens."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

__all__ = ["Publishing"]


class _Later(Future[Any]):
    """Done when its result is wanted, unless it was done before."""

    def __init__(self, task: Callable[[], Any]) -> None:
        super().__init__()
        self._task = task

    def result(self, timeout: float | None = None) -> Any:
        self.do()
        return super().result(timeout)

    def do(self) -> None:
        if self.done():
            return
        try:
            self.set_result(self._task())
        except BaseException as error:
            self.set_exception(error)


class Publishing(Executor):
    """Does what it is given at once, or no sooner than its result is wanted: the two ends of what a thread may do.

    Parameters
    ----------
    at_once
        Asked with each task.
    """

    def __init__(self, at_once: Callable[[], bool]) -> None:
        self._at_once = at_once

    def submit(self, task: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        later = _Later(lambda: task(*args, **kwargs))
        if self._at_once():
            later.do()
        return later
