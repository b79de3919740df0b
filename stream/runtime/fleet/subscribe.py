"""Alerts for whoever acts on them: `subscribe` gives them typed, filtered, in the order of each, and each state once.

Law: a state of an alert (its id and revision) is handed over once, and a group goes on where it stopped. A record that is no
alert is logged and passed over, for it would stop every subscriber for ever. What a subscriber was
dealing with when it was killed comes again, unless it says what it has `seen`. One that acts on things outside keeps that, or
acts so that twice does no harm.
"""

from collections import OrderedDict
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

from stream.contract.records import Alert
from stream.contract.settings import Wiring

from ..subscription import read_model, subscription

__all__ = ["Only", "subscribe"]

TOPIC: Final = "drift-alerts"
SEEN_MAX: Final = 100_000  # alerts whose latest revision is remembered


@dataclass(frozen=True, slots=True)
class Only:
    """Which alerts are wanted; what is not said does not matter.

    Parameters
    ----------
    causes, severities
        Words of `cause_kind` and `severity`.
    household
        Alerts of this home, and those of many homes that name it among their members.
    attributes
        All of these, such as {"firmware": "2.1"}.
    since_ms
        Updated then or later, event time in ms.
    """

    causes: frozenset[str] = frozenset()
    severities: frozenset[str] = frozenset()
    household: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    since_ms: int = 0

    def wants(self, alert: Alert) -> bool:
        """Whether an alert is among those."""
        return (
            (not self.causes or alert.cause_kind in self.causes)
            and (not self.severities or alert.severity in self.severities)
            and self.household in (None, alert.household_id, *alert.members)
            and self.attributes.items() <= alert.attributes.items()
            and alert.updated_at >= self.since_ms
        )


def subscribe(
    wiring: Wiring,
    only: Only = Only(),
    group: str | None = None,
    seen: Mapping[str, int] = {},
    stop: Callable[[], bool] | None = None,
) -> Generator[Alert, None, None]:
    """States of alerts, as they were published. To leave the group at once when it is not read to its end, `close` it.

    Parameters
    ----------
    wiring
        Where, and under which prefix.
    only
        What to leave out.
    group
        Its name in Kafka: it goes on after the last alert that was dealt with, that is, after which another was asked for.
        None: all that is kept.
    seen
        The latest revision that was dealt with, by alert id: it and earlier ones do not come again.
    stop
        Asked about five times a second: True ends it. None: it ends where the topic ended when it began.

    Raises
    ------
    ConfigError
        The wiring cannot be, a client library is missing, or there is no such topic.
    BrokerError
        The brokers do not answer, or refuse.
    """
    latest = OrderedDict(seen)
    with closing(subscription(wiring, TOPIC, group, stop, at_once=1)) as records:
        for record in records:
            alert = read_model(record, Alert)
            if alert is not None and _is_news(alert, latest) and only.wants(alert):
                yield alert


def _is_news(alert: Alert, latest: OrderedDict[str, int]) -> bool:
    """Whether this state was not handed over yet; of too many alerts, those that were quiet for longest are forgotten."""
    if alert.revision <= latest.get(alert.alert_id, -1):
        return False
    latest[alert.alert_id] = alert.revision
    latest.move_to_end(alert.alert_id)
    if len(latest) > SEEN_MAX:
        latest.popitem(last=False)
    return True
