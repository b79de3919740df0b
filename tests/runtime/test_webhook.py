"""Who took an alert: who answered the POST itself with 2xx, in time. Against sockets that answer as the world does."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from stream.contract.records import Alert
from stream.runtime.fleet.webhook import DeliveryError, RetryPolicy, Webhook

ALERT = Alert(
    alert_id="a", household_id="h-1", state="opened", cause_kind="device", opened_at=0, updated_at=0, severity="low", summary="",
    suggested_action="", members=[], evidence={}, revision=0,
)  # fmt: skip
ONCE = RetryPolicy(attempts=1, timeout_s=0.5)

Answer = Callable[[socket.socket], None]


@pytest.fixture
def serving() -> Iterator[Callable[[Answer], tuple[str, list[bytes]]]]:
    """Answers each connection in its own way; the URL, and the requests' first lines."""
    listeners: list[socket.socket] = []

    def serve(answer: Answer) -> tuple[str, list[bytes]]:
        listener, had = socket.create_server(("127.0.0.1", 0)), list[bytes]()
        listeners.append(listener)

        def work() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    had.append(connection.recv(65_536).partition(b"\r\n")[0])
                    threading.Thread(target=_answer, args=(connection, answer), daemon=True).start()

        threading.Thread(target=work, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/alerts", had

    yield serve
    for listener in listeners:
        listener.close()


def _answer(connection: socket.socket, answer: Answer) -> None:
    with connection, suppress(OSError):
        answer(connection)


def _saying(*lines: str) -> Answer:
    return lambda connection: connection.sendall("\r\n".join([*lines, "Content-Length: 0", "Connection: close", "", ""]).encode())


def _drop_by_drop(connection: socket.socket) -> None:
    for _ in range(100):
        connection.sendall(b"H")
        time.sleep(0.1)


def _endless_head(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        connection.sendall(b"X-%d: y\r\n" % number)
        time.sleep(0.1)


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_who_answers_the_post_with_2xx_has_it(status: int, serving: Callable[[Answer], tuple[str, list[bytes]]]) -> None:
    url, had = serving(_saying(f"HTTP/1.1 {status} Fine"))
    Webhook(url, "kithkin", ONCE).post(ALERT)
    assert had == [b"POST /alerts HTTP/1.1"]


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 307, 308])
def test_a_redirect_is_not_followed_and_is_no_delivery(
    status: int, serving: Callable[[Answer], tuple[str, list[bytes]]]
) -> None:
    behind, went = serving(_saying("HTTP/1.1 200 OK"))
    url, had = serving(_saying(f"HTTP/1.1 {status} Elsewhere", f"Location: {behind}?token=secret"))
    with pytest.raises(DeliveryError, match=f"HTTP {status}, a redirect to 127.0.0.1:.*at once|at once.*HTTP {status}") as told:
        Webhook(url, "kithkin", RetryPolicy(attempts=3)).post(ALERT)
    assert (len(had), went) == (1, [])
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("answer", [_drop_by_drop, _endless_head, lambda connection: time.sleep(5)])
def test_the_time_limit_is_for_the_whole_exchange(
    answer: Answer, serving: Callable[[Answer], tuple[str, list[bytes]]]
) -> None:
    url, _ = serving(answer)
    began_s = time.monotonic()
    with pytest.raises(DeliveryError, match=r"no whole answer within 0\.5 s"):
        Webhook(url, "kithkin", ONCE).post(ALERT)
    assert time.monotonic() - began_s < 2
    time.sleep(0.3)
    assert not [thread for thread in threading.enumerate() if "_attempt" in thread.name], "nobody waits on"


@pytest.mark.parametrize("said", ["", "HTTP/1.1 abc\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 199 x\r\n\r\n", "\x00\xff"])
def test_what_is_no_answer_is_no_delivery(said: str, serving: Callable[[Answer], tuple[str, list[bytes]]]) -> None:
    url, _ = serving(lambda connection: connection.sendall(said.encode("latin-1")))
    with pytest.raises(DeliveryError):
        Webhook(url, "kithkin", ONCE).post(ALERT)
