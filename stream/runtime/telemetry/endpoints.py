"""What others may ask a running worker over HTTP: /metrics, /healthz and /readyz.

Law: an answer is made of what is known already; asking costs the worker nothing and changes nothing.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6
from threading import Thread
from typing import TYPE_CHECKING, Final

from stream.contract.errors import ConfigError

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

__all__ = ["Endpoints", "shift_port"]

Question = Callable[[], str | None]
_TEXT: Final = "text/plain; charset=utf-8"


class Endpoints:
    """A small server in a thread of its own.

    Parameters
    ----------
    listen
        HOST:PORT; port 0: a free one.
    registry
        What /metrics shows.
    healthy, ready
        What /healthz and /readyz ask: a sentence of what is amiss, which is a 503, or None, which is a 200.

    Raises
    ------
    ConfigError
        Nobody can listen there.
    """

    def __init__(self, listen: str, registry: "CollectorRegistry", healthy: Question, ready: Question) -> None:
        try:
            self._server = _Server(_host_and_port(listen), registry, {"/healthz": healthy, "/readyz": ready})
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise ConfigError("listen", listen, why, "an address of this machine with a free port") from None
        Thread(target=self._server.serve_forever, name="endpoints", daemon=True).start()

    @property
    def port(self) -> int:
        """Where it really listens."""
        return int(self._server.server_address[1])

    def close(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], metrics: "CollectorRegistry", questions: Mapping[str, Question]) -> None:
        self.metrics, self.questions = metrics, questions
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        super().__init__(address, _Handler)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10.0  # seconds for a request to be said

    def do_GET(self) -> None:  # the name that http.server calls
        path = self.path.partition("?")[0]
        if path == "/metrics":
            from prometheus_client.exposition import choose_encoder

            encode, content_type = choose_encoder(self.headers.get("Accept", ""))
            self._answer(200, content_type, encode(self.server.metrics))
        elif path in self.server.questions:
            amiss = self.server.questions[path]()
            self._answer(503 if amiss else 200, _TEXT, f"{amiss or 'ok'}\n".encode())
        else:
            self._answer(404, _TEXT, f"/metrics, {', '.join(self.server.questions)} are here\n".encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        with suppress(ConnectionError):  # who asked did not wait for the answer
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds: they are no news."""


def shift_port(listen: str, by: int) -> str:
    """The address of the n-th worker: as many ports higher.

    >>> shift_port("0.0.0.0:9100", 2), shift_port("127.0.0.1:0", 2)
    ('0.0.0.0:9102', '127.0.0.1:0')
    """
    host, _, port = listen.rpartition(":")
    return f"{host}:{int(port) + by if int(port) else 0}"


def _host_and_port(listen: str) -> tuple[str, int]:
    host, _, port = listen.rpartition(":")
    return host.strip("[]"), int(port)
