"""Where one event went: its places, the batches that took it, and what was published of it.

Law: only what was committed is told, from the topics alone. A record is in one batch, which the journal names by its offsets;
what was made of it says so by its `cause`, and what revises its answer by its event.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from stream.brokers.kafka.journals import Span
from stream.brokers.partitioning import partition_of
from stream.contract.errors import ConfigError
from stream.contract.records import Journal, Record

from .recording.merging import merge_spans
from .recording.spans import Between, History, find_spans

__all__ = ["Arrival", "Made", "follow"]

_EVENTS: Final = "recognitions"
_MADE: Final = ("identities", "labels", "profiles", "drift-signals", "dead-letters")
_LISTED_MAX: Final = 5  # homes in a sentence


@dataclass(frozen=True, slots=True)
class Made:
    """An output: where it is, since when (ms), what it says in short, and the record that caused it."""

    place: str
    at: int
    says: str
    cause: str


@dataclass(slots=True)
class Arrival:
    """The event once: a sender may send it again. `batch`, where the journal has it: its entry, place and time (ms)."""

    event_id: str
    household_id: str
    place: str
    at: int
    partition: int
    offset: int
    batch: Journal | None = None
    journal_place: str | None = None
    visible_at: int | None = None
    made: list[Made] = field(default_factory=list)


def follow(history: History, event_id: str, household: str | None, between: Between) -> list[Arrival]:
    """Every arrival of an event, in order; what comes of a revision stands with the first.

    Parameters
    ----------
    history
        The cluster's topics.
    household
        Whose it is; None: any home's, which all partitions are read for.
    between
        When it arrived.

    Raises
    ------
    ConfigError
        There is no such event, or several homes have one of that id.
    BrokerError, RecoveryError
        The reader's.
    """
    found = list(_arrivals(history, event_id, household, between))
    homes = sorted({arrival.household_id for arrival in found})
    if not found:
        right = "the event_id of a recognition that came since then (--since) and is still kept"
        raise ConfigError("EVENT_ID", event_id, "which is in no recognition", right)
    if len(homes) > 1:
        right = f"one of {', '.join(homes[:_LISTED_MAX])}"
        raise ConfigError("--household", None, f"needed, for {len(homes)} homes have a {event_id}", right)
    since = find_spans(history, Between(min(arrival.at for arrival in found), between.to_ms), outputs=True)
    here = [span for span in since if span.partition == found[0].partition]
    _find_batches(history, [span for span in here if span.topic == "journal"], found)
    _find_outputs(history, [span for span in here if span.topic in _MADE], found)
    return found


def _arrivals(history: History, event_id: str, household: str | None, between: Between) -> Iterator[Arrival]:
    spans = [span for span in find_spans(history, between, outputs=False) if span.topic == _EVENTS]
    if household is not None:
        own = partition_of(household.encode(), history.partitions(_EVENTS))
        spans = [span for span in spans if span.partition == own]
    raw = event_id.encode()
    for record in merge_spans(history, spans, {}):
        value = _value(record) if raw in (record.value or b"") else {}
        home = str(value.get("household_id"))
        if value.get("event_id") == event_id and household in (None, home):
            yield Arrival(event_id, home, str(record.position), record.timestamp, record.partition, record.offset)


def _find_batches(history: History, journal: list[Span], found: list[Arrival]) -> None:
    """The entry that each arrival is in; looked for from its time on, and no further than it takes."""
    sought = list(found)
    for record in merge_spans(history, journal, {}):
        try:
            entry = Journal.model_validate_json(record.value or b"")
        except ValueError:  # somebody else's record
            continue
        for arrival in [one for one in sought if _is_in(one, entry)]:
            arrival.batch, arrival.journal_place, arrival.visible_at = entry, str(record.position), record.timestamp
            sought.remove(arrival)
        if not sought:
            return


def _is_in(arrival: Arrival, entry: Journal) -> bool:
    return entry.offsets_from.get(_EVENTS, 0) <= arrival.offset < entry.offsets_to.get(_EVENTS, 0)


def _find_outputs(history: History, spans: list[Span], found: list[Arrival]) -> None:
    by_place = {arrival.place: arrival for arrival in found}
    named = {found[0].event_id.encode(), *(f'"offset":{arrival.offset}'.encode() for arrival in found)}
    for record in merge_spans(history, spans, {}):
        raw = (record.value or b"").replace(b": ", b":")
        if not any(name in raw for name in named):
            continue
        value = _value(record)
        cause = _cause(value)
        of_event = (value.get("household_id"), value.get("event_id")) == (found[0].household_id, found[0].event_id)
        arrival = by_place.get(cause, found[0] if of_event else None)
        if arrival is not None:
            arrival.made.append(Made(str(record.position), record.timestamp, _in_short(record.topic, value), cause))


def _value(record: Record) -> dict[str, Any]:
    try:
        value = json.loads(record.value or b"null")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _cause(value: dict[str, Any]) -> str:
    """A position; a dead letter has that of its record as its own fields."""
    cause = value.get("cause")
    own = cause if isinstance(cause, dict) else value
    return f"{own.get('topic')}[{own.get('partition')}]@{own.get('offset')}"


def _in_short(topic: str, value: dict[str, Any]) -> str:
    match topic:
        case "identities":
            return f"revision {value.get('revision')}: {value.get('person_id') or 'nobody named'}, tier {value.get('tier')}"
        case "labels":
            return f"{value.get('person_id')}, {float(value.get('probability') or 0):.1%}"
        case "profiles":
            return f"{value.get('person_id')}, revision {value.get('revision')}"
        case "drift-signals":
            return f"{value.get('kind')}, {float(value.get('log_e_value') or 0):.1f} nats"
        case _:
            return f"{value.get('reason')}: {value.get('detail')}"
