"""A gate between workers and a server: what passes can be delayed, or stopped for a while, and no connection ends.

Law: an open gate passes everything on as it comes, in order.
"""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

__all__ = ["Gate"]

_AT_ONCE: Final = 2**18


class Gate:
    """Listens on a free port of 127.0.0.1 and passes on to `target`, a port there, in both directions."""

    def __init__(self) -> None:
        self.target = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._ends: set[socket.socket] = set()
        self._open = threading.Event()
        self._open.set()
        self._share, self._delay_s = 0.0, 0.0
        self._over = False

    @contextmanager
    def stalled(self, share: float = 1.0) -> Iterator[None]:
        """Nothing passes; or nothing on so many of the connections, 0 to 1, which ones is chance."""
        self._share = share
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    @contextmanager
    def slowed(self, delay_s: float) -> Iterator[None]:
        """Each piece waits so long before it passes."""
        self._delay_s = delay_s
        try:
            yield
        finally:
            self._delay_s = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over = True
        self._open.set()
        for one in (self._listening, *list(self._ends)):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)  # wakes who waits for it
            one.close()

    def _accept(self) -> None:
        while not self._over:
            with suppress(OSError):  # of one who is gone already; the next may stay
                self._connect(self._listening.accept()[0])

    def _connect(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:  # it is down, and the client is to see that
            return client.close()
        luck = random.random()
        for one, other in ((client, server), (server, client)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._ends.add(one)
            threading.Thread(target=self._pass, args=(one, other, luck), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, luck: float) -> None:
        with suppress(OSError):
            while piece := source.recv(_AT_ONCE):
                if luck < self._share:
                    self._open.wait()
                if self._delay_s:
                    time.sleep(self._delay_s)
                sink.sendall(piece)
        for one in (source, sink):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._ends.discard(source)
        source.close()
