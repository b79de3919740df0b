"""Alerts to Alertmanager, by its API v2, which groups, silences and routes them with those of Prometheus.

Law: what stands here stands there, and ends there when it ends here. Alertmanager forgets at a restart and ends by itself what
is not repeated; so what stands is posted again every minute, with an end that would come a day later. What is posted twice is
the same alert, for its labels are.
"""

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event, Lock, Thread
from typing import Any, Final

from stream.contract.records import Alert
from stream.fleet.texts import runbook_of

from .webhook import DeliveryError, RetryPolicy, deliver, place_of, post

__all__ = ["Alertmanager", "describe_alert"]

_LOG = logging.getLogger(__name__)
_PATH: Final = "/api/v2/alerts"
_ENDS_AFTER_MS: Final = 86_400_000  # who repeats it may be away for so long
_REPEAT_S: Final = 60.0
_CLOSED: Final = ("resolved", "expired")
_USUAL: Final = RetryPolicy()


def describe_alert(alert: Alert, runbooks: str, now_ms: int) -> dict[str, Any]:
    """An alert as Alertmanager takes it: its labels say which it is, and to whom it goes; its annotations what there is to know.

    Times of the world's clock: an alert is no younger than now, whatever the homes' clocks say.
    """
    begins = min(alert.opened_at, now_ms)
    ends = max(begins, min(alert.updated_at, now_ms)) if alert.state in _CLOSED else now_ms + _ENDS_AFTER_MS
    labels = {"alertname": "KithkinDrift", "alert_id": alert.alert_id, "cause": alert.cause_kind, "severity": alert.severity}
    labels |= {"household": alert.household_id} if alert.household_id else {}
    told = {"summary": alert.summary, "description": alert.suggested_action, "change": alert.change}
    told |= {"acknowledged_by": alert.acknowledged_by, "runbook_url": runbooks + runbook_of(alert.cause_kind)}
    return {
        "labels": labels,
        "annotations": {name: text for name, text in told.items() if text},
        "startsAt": _time(begins),
        "endsAt": _time(ends),
    }


class Alertmanager:
    """An Alertmanager that is told.

    Parameters
    ----------
    url
        Of it, such as http://127.0.0.1:9093.
    runbooks
        Stands before the name of each alert's page.
    policy, sleep
        As of a webhook.

    Raises
    ------
    ConfigError
        The URL is none to post to.
    """

    def __init__(
        self, url: str, runbooks: str, policy: RetryPolicy = _USUAL, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._name = place_of(url, "alertmanager", "--alertmanager", "a URL such as http://127.0.0.1:9093")
        self._url, self._runbooks, self._policy, self._sleep = url.rstrip("/") + _PATH, runbooks, policy, sleep
        self._standing: dict[str, Alert] = {}
        self._lock = Lock()

    def post(self, alert: Alert) -> None:
        """Have it take a state of an alert. Raises DeliveryError when it does not, after all attempts."""
        with self._lock:
            before = self._standing.pop(alert.alert_id, None)
            if alert.state not in _CLOSED:
                self._standing[alert.alert_id] = alert
        now_ms = _now_ms()
        told = [describe_alert(alert, self._runbooks, now_ms)]
        if before is not None and (old := describe_alert(before, self._runbooks, now_ms))["labels"] != told[0]["labels"]:
            told.insert(0, old | {"endsAt": _time(now_ms)})  # graver, or without a name now: another alert to it
        deliver(lambda: self._attempt(told), f"{alert.alert_id}/{alert.revision} for {self._name}", self._policy, self._sleep)

    def repeat(self) -> None:
        """Tell once more what stands. Raises DeliveryError as `post`."""
        with self._lock:
            standing = list(self._standing.values())
        if standing:
            now_ms = _now_ms()
            told = [describe_alert(alert, self._runbooks, now_ms) for alert in standing]
            deliver(lambda: self._attempt(told), f"{len(told)} alerts for {self._name}", self._policy, self._sleep)

    @contextmanager
    def keep_repeating(self, every_s: float = _REPEAT_S) -> Iterator[None]:
        """Repeat every minute, from a thread of its own; what is not taken is logged, and told the next time."""
        over = Event()

        def work() -> None:
            while not over.wait(every_s):
                try:
                    self.repeat()
                except DeliveryError as error:
                    _LOG.warning("%s", error)

        Thread(target=work, name="alertmanager", daemon=True).start()
        try:
            yield
        finally:
            over.set()

    def _attempt(self, told: list[dict[str, Any]]) -> tuple[str | None, bool]:
        return post(self._url, json.dumps(told).encode(), {"Content-Type": "application/json"}, self._policy.timeout_s)


def _now_ms() -> int:
    return round(time.time() * 1_000)


def _time(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
