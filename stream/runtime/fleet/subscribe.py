"""Alerts for whoever acts on them: `subscribe` gives them typed, filtered, in the order of each, and each state once.

Law: a state of an alert (its id and revision) is handed over once, and a group goes on where it stopped. A record that is no
alert is logged and passed over, for it would stop every subscriber for ever. What a subscriber was
dealing with when it was killed comes again, unless it says what it has `seen`. One that acts on things outside keeps that, or
acts so that twice does no harm.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from stream.brokers.kafka.security import kafka_python_security
from stream.brokers.kafka.topics import Names, address, require_client
from stream.contract.errors import ConfigError, first_line
from stream.contract.ports import BrokerError
from stream.contract.records import Alert
from stream.contract.settings import Wiring

__all__ = ["Only", "subscribe"]

_LOG = logging.getLogger(__name__)
TOPIC: Final = "drift-alerts"
SEEN_MAX: Final = 100_000  # alerts whose latest revision is remembered
_WAIT_MS: Final = 200
_AT_ONCE: Final = 500


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
    with require_client(wiring):
        from kafka import KafkaConsumer
        from kafka.errors import KafkaError
    name, latest = Names(wiring.prefix).wire(TOPIC), OrderedDict(seen)
    try:
        consumer = KafkaConsumer(**_settings(wiring, group))
        try:
            for place, record in _records(consumer, name, group, stop):
                alert = _read(record)
                if alert is not None and _is_news(alert, latest) and only.wants(alert):
                    yield alert
                if group is not None:
                    _commit(consumer, place, record.offset + 1)
        finally:
            consumer.close(autocommit=False)
    except KafkaError as error:
        raise BrokerError(f"reading {name}: {error}") from error


def _settings(wiring: Wiring, group: str | None) -> dict[str, Any]:
    session_ms = int(wiring.kafka.session_timeout_s * 1_000)
    return {
        "bootstrap_servers": address(wiring)[1].split(","),
        "client_id": "kithkin",
        **kafka_python_security(wiring.kafka),
        "group_id": group,
        "session_timeout_ms": session_ms,
        "heartbeat_interval_ms": session_ms // 5,
        "auto_offset_reset": "earliest",
        "enable_auto_commit": False,
        "isolation_level": "read_committed",
        "allow_auto_create_topics": False,
        "fetch_max_wait_ms": 100,
    }


def _records(consumer: Any, name: str, group: str | None, stop: Callable[[], bool] | None) -> Iterator[tuple[Any, Any]]:
    """Places and records, until `stop()` or the end."""
    from kafka import TopicPartition

    partitions = consumer.partitions_for_topic(name)
    if not partitions:
        raise ConfigError("prefix", name, "the brokers do not have it", "the prefix of existing topics")
    places = [TopicPartition(name, partition) for partition in sorted(partitions)]
    if group is None:
        consumer.assign(places)
    else:
        consumer.subscribe([name])
    ends = consumer.end_offsets(places) if stop is None else {}
    while not stop() if stop else not _is_at_end(consumer, ends):
        for place, records in consumer.poll(timeout_ms=_WAIT_MS, max_records=_AT_ONCE).items():
            for record in records:
                yield place, record


def _is_at_end(consumer: Any, ends: Mapping[Any, int]) -> bool:
    """Whether all was read that lay there at first; of a group, others may read the rest."""
    assigned = consumer.assignment()
    return bool(assigned) and all(consumer.position(place) >= ends[place] for place in assigned)


def _read(record: Any) -> Alert | None:
    """The alert of a record, without fields that a later version added; None: there is none in it that can be read."""
    if not record.value:
        return None
    try:
        told = msgspec.json.decode(record.value, type=dict[str, Any])
        return Alert(**{name: told[name] for name in Alert.model_fields.keys() & told.keys()})
    except (msgspec.DecodeError, ValueError) as error:
        place = f"{record.topic}[{record.partition}]@{record.offset}"
        _LOG.warning("%s is no alert that can be read, and is passed over: %s", place, first_line(error))
        return None


def _is_news(alert: Alert, latest: OrderedDict[str, int]) -> bool:
    """Whether this state was not handed over yet; of too many alerts, those that were quiet for longest are forgotten."""
    if alert.revision <= latest.get(alert.alert_id, -1):
        return False
    latest[alert.alert_id] = alert.revision
    latest.move_to_end(alert.alert_id)
    if len(latest) > SEEN_MAX:
        latest.popitem(last=False)
    return True


def _commit(consumer: Any, place: Any, offset: int) -> None:
    from kafka import OffsetAndMetadata
    from kafka.errors import CommitFailedError

    with suppress(CommitFailedError):  # the partition went to another member of the group, which begins at the last commit
        consumer.commit({place: OffsetAndMetadata(offset, "", -1)})
