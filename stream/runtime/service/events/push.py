"""Events by push (RFC 8935): each is posted until its client takes it.

Law: who answers the POST itself with 2xx has it; a redirect is not followed. What is refused for good is not pushed again by this
process; it can still be polled. What may pass is tried again, without end, at growing intervals.
"""

import logging
import time
from collections.abc import Callable
from threading import Event
from typing import Final

from stream.runtime.fleet.webhook import DeliveryError, RetryPolicy, deliver, post

from .outbox import Outbox

__all__ = ["Push"]

_LOG = logging.getLogger(__name__)
_LOOK_S: Final = 0.1
_POLICY: Final = RetryPolicy()


class Push:
    """Of one client; `run` it in a thread of its own.

    Parameters
    ----------
    outbox, client_id, url
        What is pushed, whose, and where to.
    stop
        Ends it.
    policy
        How often, and how long to wait in between; after all attempts it rests for the longest pause, and begins again.
    """

    def __init__(self, outbox: Outbox, client_id: str, url: str, stop: Event, policy: RetryPolicy = _POLICY) -> None:
        self._outbox, self._client_id, self._url = outbox, client_id, url
        self._stop, self._policy = stop, policy
        self._refused: set[str] = set()

    def run(self, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        """Until it is stopped."""
        while not self._stop.wait(_LOOK_S):
            pending, _ = self._outbox.list_pending(self._client_id, len(self._refused) + 100)
            self._refused &= pending.keys()
            for jti, token in pending.items():
                if jti not in self._refused and not self._stop.is_set():
                    self._push(jti, token, clock)

    def _push(self, jti: str, token: str, clock: Callable[[], int]) -> None:
        passing = True

        def attempt() -> tuple[str | None, bool]:
            nonlocal passing
            if self._stop.is_set():
                return "the service ends", False
            headers = {"Content-Type": "application/secevent+jwt", "Accept": "application/json"}
            why, passing = post(self._url, token.encode(), headers, self._policy.timeout_s)
            return why, passing

        def sleep(pause_s: float) -> None:
            self._stop.wait(pause_s)

        try:
            deliver(attempt, f"{jti} for {self._client_id}", self._policy, sleep)
        except DeliveryError as error:
            if self._stop.is_set():
                return
            _LOG.warning("%s", error)
            if passing:
                self._stop.wait(self._policy.pause_s_max)
            else:
                self._refused.add(jti)
        else:
            self._outbox.take(self._client_id, [jti], clock())
