"""Alerts as CloudEvents over HTTP: each change is posted, and posted again until it is taken.

Law: whoever answers the POST itself with 2xx has it, within one time limit for all of the exchange; a redirect is not followed,
for behind it a POST becomes a GET without the alert. What cannot pass by itself (an address that does not exist, a request that
is refused) is not tried again; what can, is, at growing intervals. The id is the same each time, so that a receiver knows what it
had.
"""

import base64
import binascii
import hashlib
import hmac
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import SHUT_RDWR
from threading import Thread
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import SplitResult, urlsplit
from urllib.request import HTTPHandler, HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from stream.contract.errors import ConfigError
from stream.contract.records import Alert

__all__ = ["THREAD", "DeliveryError", "RetryPolicy", "Webhook", "cloud_event", "deliver", "place_of", "post", "signature"]

_LOG = logging.getLogger(__name__)
THREAD: Final = "webhook"  # of one exchange
_SECRET: Final = "whsec_"  # begins a secret of Standard Webhooks, which is base64
_PASSING: Final = frozenset({408, 425, 429})  # and everything from 500 on


class DeliveryError(RuntimeError):
    """The receiver did not take an alert; it was not dealt with."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to try: pauses double from the first to the longest, each shortened at random by up to half."""

    attempts: int = 8
    pause_s: float = 0.5
    pause_s_max: float = 30.0
    timeout_s: float = 10.0  # for one exchange: from looking the address up to the end of the answer's head

    def pause_after(self, attempt: int) -> float:
        """Before the next attempt, after so many that failed."""
        return min(self.pause_s_max, self.pause_s * 2.0 ** (attempt - 1)) * random.uniform(0.5, 1.0)


def cloud_event(alert: Alert, source: str) -> dict[str, Any]:
    """An alert's state as a CloudEvent 1.0 in structured mode.

    `id` and `source` together name the state of the alert for ever; `time` is event time.
    """
    return {
        "specversion": "1.0",
        "id": f"{alert.alert_id}/{alert.revision}",
        "source": source,
        "type": f"kithkin.drift.alert.{alert.state}",
        "subject": alert.alert_id,
        "time": datetime.fromtimestamp(alert.updated_at / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": alert.model_dump(mode="json"),
    }


Attempt = Callable[[], tuple[str | None, bool]]


def deliver(attempt: Attempt, told: str, policy: RetryPolicy, sleep: Callable[[float], None]) -> None:
    """Attempt until it is taken; each further attempt is logged.

    Parameters
    ----------
    attempt
        Why it was not taken (None: it was), and whether that may pass.
    told
        Whom it is for, and what.

    Raises
    ------
    DeliveryError
        It was not taken, after all attempts or for a reason that does not pass.
    """
    for number in range(1, policy.attempts + 1):
        why, passes = attempt()
        if why is None:
            return
        if not passes or number == policy.attempts:
            tried = f"after {number} attempts" if number > 1 else "at once"
            raise DeliveryError(f"{told} was not taken ({tried}): {why}")
        pause_s = policy.pause_after(number)
        _LOG.warning("%s was not taken: %s; attempt %d of %d in %.1f s", told, why, number + 1, policy.attempts, pause_s)
        sleep(pause_s)


def signature(secret: str, event_id: str, at_s: int, body: bytes) -> str:
    """What Standard Webhooks sends as `webhook-signature`: HMAC-SHA256 of id, time (seconds) and body, in base64.

    >>> signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    key = base64.b64decode(secret.removeprefix(_SECRET), validate=True) if secret.startswith(_SECRET) else secret.encode()
    digest = hmac.new(key, f"{event_id}.{at_s}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


class Webhook:
    """Where alerts are posted to.

    Parameters
    ----------
    url
        http:// or https://.
    source
        Of the CloudEvents: who speaks.
    policy
        How often, and how long to wait in between.
    sleep
        Waits, in seconds.
    secret
        Signs every exchange as Standard Webhooks does (`signature`); None: unsigned.

    Raises
    ------
    ConfigError
        The URL is none to post to, or the secret is none.
    """

    def __init__(
        self,
        url: str,
        source: str,
        policy: RetryPolicy = RetryPolicy(),
        sleep: Callable[[float], None] = time.sleep,
        secret: str | None = None,
    ) -> None:
        self._url, self._name = url, place_of(url, "webhook", "--webhook", "a URL such as https://pager.example/alerts")
        self._source, self._policy, self._sleep, self._secret = source, policy, sleep, secret
        try:
            signature(secret or "", "", 0, b"")
        except binascii.Error:
            right = f"any text, or {_SECRET} and base64, as Standard Webhooks has it"
            raise ConfigError("webhook_secret", "…", "the wiring", right) from None

    def post(self, alert: Alert) -> None:
        """Have the receiver take a state of an alert. Raises DeliveryError when it does not, after all attempts."""
        event = cloud_event(alert, self._source)
        body = json.dumps(event).encode()
        deliver(lambda: self._attempt(body, event["id"]), f"{event['id']} for {self._name}", self._policy, self._sleep)

    def _sign(self, body: bytes, event_id: str) -> dict[str, str]:
        """Headers that say who speaks, and when; none without a secret."""
        if self._secret is None:
            return {}
        at_s = int(time.time())
        told = signature(self._secret, event_id, at_s, body)
        return {"webhook-id": event_id, "webhook-timestamp": str(at_s), "webhook-signature": told}

    def _attempt(self, body: bytes, event_id: str) -> tuple[str | None, bool]:
        """Why it was not taken (None: it was), and whether that may pass."""
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8", **self._sign(body, event_id)}
        return post(self._url, body, headers, self._policy.timeout_s)


def place_of(url: str, key: str, source: str, right: str) -> str:
    """A URL without a password, to be told. Raises ConfigError, with these words, when nothing can be posted there."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port_that_can_be(parts):
        raise ConfigError(key, url, source, f"{right}; ports are 1 to 65535")
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def post(url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> tuple[str | None, bool]:
    """POST once; why it was not taken (None: it was, with 2xx), and whether that may pass."""
    connections: list[HTTPConnection] = []
    answer: list[tuple[str | None, bool]] = []
    request = Request(url, body, {"User-Agent": "kithkin", **headers}, method="POST")
    asking = Thread(target=lambda: answer.append(_exchange(request, timeout_s, connections)), name=THREAD, daemon=True)
    asking.start()
    asking.join(timeout_s)
    if answer:
        return answer[0]
    for connection in connections:  # one who answers byte by byte would be waited for without end
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(SHUT_RDWR)
    return _too_late(timeout_s)


def _too_late(timeout_s: float) -> tuple[str, bool]:
    return f"no whole answer within {timeout_s:g} s", True


def _exchange(request: Request, timeout_s: float, connections: list[HTTPConnection]) -> tuple[str | None, bool]:
    """As `post`, for as long as it takes; connections are noted."""
    opener = build_opener(_NoRedirects(), _Http(connections), _Https(connections))
    try:
        with opener.open(request, timeout=timeout_s):
            return None, False
    except HTTPError as error:
        with error:
            if 300 <= error.code < 400:
                place = urlsplit(error.headers.get("Location") or "").netloc or "elsewhere"
                return f"HTTP {error.code}, a redirect to {place}: name the address itself", False
            return f"HTTP {error.code} {error.reason}", error.code >= 500 or error.code in _PASSING
    except (OSError, HTTPException, ValueError) as error:  # the last: of an answer that is no HTTP
        if isinstance(getattr(error, "reason", error), TimeoutError):  # of the socket, whose time began a little later
            return _too_late(timeout_s)
        return str(error) or type(error).__name__, True


class _NoRedirects(HTTPRedirectHandler):
    """Every redirect is an error, with its code."""

    def redirect_request(self, *_: Any) -> None:
        """Follow none."""


class _Http(HTTPHandler):
    """Notes the connections that it makes, so that they can be cut."""

    def __init__(self, connections: list[HTTPConnection]) -> None:
        super().__init__()
        self._connections = connections

    def http_open(self, request: Request) -> Any:
        def connect(host: str, **settings: Any) -> HTTPConnection:
            self._connections.append(HTTPConnection(host, **settings))
            return self._connections[-1]

        return self.do_open(connect, request)


class _Https(HTTPSHandler):
    """The same with TLS."""

    def __init__(self, connections: list[HTTPConnection]) -> None:
        super().__init__()
        self._connections = connections

    def https_open(self, request: Request) -> Any:
        def connect(host: str, **settings: Any) -> HTTPConnection:
            self._connections.append(HTTPSConnection(host, **settings))
            return self._connections[-1]

        return self.do_open(connect, request)


def _has_port_that_can_be(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:  # beyond 65535, or no number
        return False
