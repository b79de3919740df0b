"""Who took an alert: who answered the POST itself with 2xx, in time. Against sockets that answer as the world does."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.request import Request

import pytest

from stream.contract.errors import ConfigError
from stream.contract.records import Alert
from stream.runtime.fleet import webhook
from stream.runtime.fleet.notify import Receiver, message
from stream.runtime.fleet.webhook import THREAD, DeliveryError, RetryPolicy, Webhook, signature

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
    assert not [thread for thread in threading.enumerate() if thread.name == THREAD], "nobody waits on"


def test_whichever_clock_ends_an_exchange_it_is_told_alike(serving: Callable[[Answer], tuple[str, list[bytes]]]) -> None:
    url, _ = serving(lambda connection: time.sleep(2))
    assert webhook._exchange(Request(url, b"{}", method="POST"), 0.2, []) == ("no whole answer within 0.2 s", True)


@pytest.mark.parametrize("said", ["", "HTTP/1.1 abc\r\n\r\n", "SSH-2.0-x\r\n", "HTTP/1.1 199 x\r\n\r\n", "\x00\xff"])
def test_what_is_no_answer_is_no_delivery(said: str, serving: Callable[[Answer], tuple[str, list[bytes]]]) -> None:
    url, _ = serving(lambda connection: connection.sendall(said.encode("latin-1")))
    with pytest.raises(DeliveryError):
        Webhook(url, "kithkin", ONCE).post(ALERT)


# ---- signed, told again, and to people


def test_what_is_posted_is_signed_as_standard_webhooks_does_it(serving: Callable[[Answer], tuple[str, list[bytes]]]) -> None:
    asked: list[bytes] = []

    def keep(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def take() -> None:
            connection, _ = listener.accept()
            with connection:
                while b"\r\n\r\n" not in b"".join(asked) or not b"".join(asked).endswith(b"}"):
                    asked.append(connection.recv(65_536))
                keep(connection)

        taking = threading.Thread(target=take)
        taking.start()
        Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/", "kithkin", ONCE, secret="s3cret").post(ALERT)
        taking.join(10)
    head, _, body = b"".join(asked).partition(b"\r\n\r\n")
    headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
    assert headers["webhook-id"] == "a/0"
    at_s = int(headers["webhook-timestamp"])
    assert headers["webhook-signature"] == signature("s3cret", "a/0", at_s, body).lower()
    others = {signature("other", "a/0", at_s, body), signature("s3cret", "a/1", at_s, body), signature("s3cret", "a/0", 0, body)}
    assert signature("s3cret", "a/0", at_s, body) not in others


def test_a_secret_that_cannot_be_is_refused_and_not_repeated() -> None:
    with pytest.raises(ConfigError, match="Standard Webhooks") as told:
        Webhook("http://127.0.0.1:1/", "kithkin", secret="whsec_!nobase64")
    assert "nobase64" not in str(told.value)


def test_each_further_attempt_is_told_with_the_port_and_without_a_password(
    serving: Callable[[Answer], tuple[str, list[bytes]]], caplog: pytest.LogCaptureFixture
) -> None:
    url, had = serving(_saying("HTTP/1.1 503 Busy"))
    place = url.removeprefix("http://")
    with pytest.raises(DeliveryError, match=rf"a/0 for http://{place} was not taken \(after 3 attempts\): HTTP 503 Busy"):
        Webhook(f"http://{place}", "kithkin", RetryPolicy(3, timeout_s=5), sleep=lambda _: None).post(ALERT)
    assert len(had) == 3
    assert [record.getMessage().rpartition(" in ")[0].rpartition("; ")[2] for record in caplog.records] == [
        "attempt 2 of 3", "attempt 3 of 3",
    ]  # fmt: skip
    with pytest.raises(DeliveryError, match=r"for http://127\.0\.0\.1:1/x was not") as told:
        Webhook("http://me:secret@127.0.0.1:1/x", "kithkin", ONCE).post(ALERT)
    assert "secret" not in str(told.value)


def test_people_are_told_by_apprise_what_is_new_first(serving: Callable[[Answer], tuple[str, list[bytes]]]) -> None:
    pytest.importorskip("apprise", reason="Apprise (the extra notify) is not installed.")
    url, had = serving(_saying("HTTP/1.1 200 OK"))
    Receiver(url.replace("http://", "json://")).post(ALERT)
    assert had == [b"POST /alerts HTTP/1.1"]
    ended = {"state": "resolved", "change": "Ended: ops resolved it.", "summary": "It was."}
    title, text, kind = message(ALERT.model_copy(update=ended))
    assert (title, kind) == ("resolved: device in h-1 (low)", "success")
    assert text == "Ended: ops resolved it.\nIt was.\na"


def test_who_does_not_take_it_is_tried_again_and_then_told(serving: Callable[[Answer], tuple[str, list[bytes]]]) -> None:
    pytest.importorskip("apprise", reason="Apprise (the extra notify) is not installed.")
    url, had = serving(_saying("HTTP/1.1 500 No"))
    receiver = Receiver(url.replace("http://", "json://"), RetryPolicy(2), sleep=lambda _: None)
    with pytest.raises(DeliveryError, match=r"a/0 for json was not taken \(after 2 attempts\)"):
        receiver.post(ALERT)
    assert len(had) == 2
    with pytest.raises(ConfigError, match="a URL that Apprise knows") as told:
        Receiver("nosuch://user:secret@place")
    assert "secret" not in str(told.value)
