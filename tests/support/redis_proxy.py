"""A gate in front of a server: it may encrypt what passes (Python's own TLS), lose replies on demand, or say other things."""

import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

__all__ = ["Proxy"]


class Proxy:
    """Listens on a free port of 127.0.0.1 and passes on to a port there.

    Parameters
    ----------
    port
        Where to.
    tls
        The server's side of TLS; None: as it comes.
    instead
        Bytes of replies, and what is passed on in their place.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None, instead: Mapping[bytes, bytes] = {}) -> None:
        self.target = port  # of new connections
        self._tls, self._instead = tls, instead
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self._losses: list[bytes] = []  # requests, by a part of them, whose next reply is lost
        self._open: list[socket.socket] = []
        self.lost = 0

    def lose_reply_of(self, part: bytes) -> None:
        """The next request with `part` in it reaches the server, and its connection ends before the reply."""
        self._losses.append(part)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)  # wakes `accept`, which a mere close does not
        for one in (self._listening, *self._open):
            _end(one)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=self._serve, args=[self._listening.accept()[0]], daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._open.append(client)
        try:
            if self._tls:
                client = self._tls.wrap_socket(client, server_side=True)
                self._open.append(client)
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:  # who does not like our certificate, or a server that is gone
            return _end(client)
        self._open.append(server)
        losing = threading.Event()
        threading.Thread(target=self._answer, args=[server, client, losing], daemon=True).start()
        with suppress(OSError):
            while received := client.recv(2**16):
                for part in [part for part in self._losses if part in received]:
                    self._losses.remove(part)
                    losing.set()
                server.sendall(received)
        _end(server)

    def _answer(self, server: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while received := server.recv(2**16):
                if losing.is_set():
                    self.lost += 1
                    break
                for told, other in self._instead.items():
                    received = received.replace(told, other)
                client.sendall(received)
        _end(client)
        _end(server)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
