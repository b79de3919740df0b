"""Alerts to people: chats, pagers, mail and phones, by Apprise, which knows a hundred services by their URLs.

Law: as of a webhook: what is not taken is tried again, and told; then it ends, so that nothing is passed over in silence.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from stream.contract.errors import ConfigError, how_to_install
from stream.contract.records import Alert

from .webhook import RetryPolicy, deliver

__all__ = ["Receiver", "message"]

_POLICY: Final = RetryPolicy()
_KINDS: Final = {"low": "info", "medium": "warning", "high": "failure"}


def message(alert: Alert) -> tuple[str, str, str]:
    """Title, text and Apprise's kind of a state of an alert: what is new stands first."""
    ended = alert.state in ("resolved", "expired")
    where = f" in {alert.household_id}" if alert.household_id else ""
    title = f"{alert.state}: {alert.cause_kind}{where} ({alert.severity})"
    text = [alert.change, alert.summary, None if ended else alert.suggested_action, alert.alert_id]
    return title, "\n".join(line for line in text if line), "success" if ended else _KINDS.get(alert.severity, "info")


class Receiver:
    """Who is told by Apprise.

    Parameters
    ----------
    url
        Of Apprise: slack://…, pagerduty://…, mailto://…, ntfy://…
    policy, sleep
        As of a webhook.

    Raises
    ------
    ConfigError
        Apprise does not know such a URL, or is not installed.
    """

    def __init__(self, url: str, policy: RetryPolicy = _POLICY, sleep: Callable[[float], None] = time.sleep) -> None:
        try:
            import apprise
        except ImportError as error:
            raise ConfigError("notify", error.name, "not installed", f"installed: {how_to_install('notify')}") from error
        self._apprise: Any = apprise.Apprise()
        self._name, self._policy, self._sleep = url.partition(":")[0], policy, sleep  # what follows holds secrets
        if not self._apprise.add(url):
            right = "a URL that Apprise knows, such as ntfy://TOPIC, slack://A/B/C or mailto://USER:PASSWORD@HOST"
            raise ConfigError("notify", f"{self._name}:…", "--notify", right)

    def post(self, alert: Alert) -> None:
        """Have the service take a state of an alert. Raises DeliveryError when it does not, after all attempts."""
        title, text, kind = message(alert)

        def attempt() -> tuple[str | None, bool]:
            taken = self._apprise.notify(body=text, title=title, notify_type=kind)
            return None if taken else "the service did not take it", True

        deliver(attempt, f"{alert.alert_id}/{alert.revision} for {self._name}", self._policy, self._sleep)
