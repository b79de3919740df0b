"""A job: the households of a replay that one process works on.

Law: it does with its records what the replay's own process would do with them, and has nothing but homes in memory: what it
needs of the store it asks for, and what is to be saved it tells.
"""

import os
import pickle
from collections import deque
from collections.abc import Sequence

from stream.contract.ports import Offsets
from stream.runtime.worker.garbage import seldom_collected

from .homes import JobHomes
from .messages import HEAD_BYTES, Answer, Apply, Clear, Loaded, Missing, Request, Setup, decode_request, frame
from .processes import Ends

__all__ = ["work"]


def work(ends: Ends) -> None:
    """Do what is asked until nothing more can come. Raises BrokenPipeError when nobody is there for an answer."""
    pipes = _Pipes(ends)
    setup = pipes.read()
    if setup is not None:
        with seldom_collected():
            _Job(pickle.loads(setup), pipes).run()


class _Pipes:
    """The job's ends, which are waited on."""

    def __init__(self, ends: Ends) -> None:
        self._requests, self._answers = os.fdopen(ends.requests, "rb"), ends.answers

    def read(self) -> bytes | None:
        """The next message; None when the replay is gone."""
        head = self._requests.read(HEAD_BYTES)
        length = int.from_bytes(head, "little")
        body = self._requests.read(length) if len(head) == HEAD_BYTES else b""
        return body if body and len(body) == length else None

    def write(self, answer: Answer) -> None:
        """Hand over an answer."""
        rest = memoryview(frame(answer))
        while rest:
            rest = rest[os.write(self._answers, rest) :]


class _Job:
    """Its homes, and how it comes by their states."""

    def __init__(self, setup: Setup, pipes: _Pipes) -> None:
        self._pipes = pipes
        self._homes = JobHomes(setup, self)
        self._later: deque[Request] = deque()  # came while states were waited for

    def run(self) -> None:
        """One request after the other."""
        while (request := self._next()) is not None:
            if isinstance(request, Apply):
                self._pipes.write(self._homes.apply(request.parts))
            elif isinstance(request, Clear):
                self._homes.clear()

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        """Ask the replay for states, as of a store."""
        self._pipes.write(Missing(partition, list(households)))
        while True:
            request = self._read()
            if request is None:
                raise BrokenPipeError
            if isinstance(request, Loaded):
                return request.states
            self._later.append(request)

    def offsets(self, partition: int) -> Offsets:
        """None are known here: the replay has looked where the states stand."""
        return {}

    def _next(self) -> Request | None:
        return self._later.popleft() if self._later else self._read()

    def _read(self) -> Request | None:
        raw = self._pipes.read()
        return None if raw is None else decode_request(raw)
