"""Alerts as CloudEvents over HTTP: each change is posted, and posted again until it is taken.

Law: whoever answers the POST itself with 2xx has it, within one time limit for all of the exchange; a redirect is not followed,
for behind it a POST becomes a GET without the alert. What cannot pass by itself (an address that does not exist, a request that
is refused) is not tried again; what can, is, at growing intervals. The id is the same each time, so that a receiver knows what it
had.
"""

import json
import random
import time
from collections.abc import Callable
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

__all__ = ["DeliveryError", "RetryPolicy", "Webhook", "cloud_event"]

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

    Raises
    ------
    ConfigError
        The URL is none to post to.
    """

    def __init__(
        self, url: str, source: str, policy: RetryPolicy = RetryPolicy(), sleep: Callable[[float], None] = time.sleep
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port_that_can_be(parts):
            raise ConfigError("webhook", url, "--webhook", "a URL such as https://pager.example/alerts; ports are 1 to 65535")
        self._url, self._name = url, f"{parts.scheme}://{parts.hostname}{parts.path}"
        self._source, self._policy, self._sleep = source, policy, sleep

    def post(self, alert: Alert) -> None:
        """Have the receiver take a state of an alert. Raises DeliveryError when it does not, after all attempts."""
        body = json.dumps(cloud_event(alert, self._source)).encode()
        for attempt in range(1, self._policy.attempts + 1):
            why, passes = self._attempt(body)
            if why is None:
                return
            if not passes or attempt == self._policy.attempts:
                tried = f"after {attempt} attempts" if attempt > 1 else "at once"
                raise DeliveryError(f"{self._name} did not take {alert.alert_id}/{alert.revision} ({tried}): {why}")
            self._sleep(self._policy.pause_after(attempt))

    def _attempt(self, body: bytes) -> tuple[str | None, bool]:
        """Why it was not taken (None: it was), and whether that may pass."""
        connections: list[HTTPConnection] = []
        answer: list[tuple[str | None, bool]] = []
        asking = Thread(target=lambda: answer.append(self._exchange(body, connections)), daemon=True)
        asking.start()
        asking.join(self._policy.timeout_s)
        if answer:
            return answer[0]
        for connection in connections:  # one who answers byte by byte would be waited for without end
            if connection.sock is not None:
                with suppress(OSError):
                    connection.sock.shutdown(SHUT_RDWR)
        return f"no whole answer within {self._policy.timeout_s:g} s", True

    def _exchange(self, body: bytes, connections: list[HTTPConnection]) -> tuple[str | None, bool]:
        """As `_attempt`, for as long as it takes; connections are noted."""
        headers = {"Content-Type": "application/cloudevents+json; charset=utf-8", "User-Agent": "kithkin"}
        opener = build_opener(_NoRedirects(), _Http(connections), _Https(connections))
        try:
            with opener.open(Request(self._url, body, headers, method="POST"), timeout=self._policy.timeout_s):
                return None, False
        except HTTPError as error:
            with error:
                if 300 <= error.code < 400:
                    place = urlsplit(error.headers.get("Location") or "").netloc or "elsewhere"
                    return f"HTTP {error.code}, a redirect to {place}: name the address itself", False
                return f"HTTP {error.code} {error.reason}", error.code >= 500 or error.code in _PASSING
        except (OSError, HTTPException, ValueError) as error:  # the last: of an answer that is no HTTP
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
