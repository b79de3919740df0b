"""Good and bad events of a stretch of the topics, by objective.

Law: an answer is judged by what was said of it after it: a claim before a label, a claim of a surer source before another's
(annotator, PIN, app, voice). Of what nobody said anything, nothing is known, and it is in no share.
"""

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from stream.contract.records import Record

from .settings import Objectives

__all__ = ["TOPICS", "Count", "count"]

TOPICS: Final = ("recognitions", "feedback", "identities", "labels", "dead-letters", "drift-alerts")
TIERS: Final = {"personal": 2, "private": 3, "purchase": 4}
_RANKS: Final = {"label": 0, "voice": 1, "app": 2, "pin": 3, "annotator": 4}
_TENTHS: Final = 10

Event = tuple[str, str]  # household and event id


class Count(NamedTuple):
    """Events of an objective, and how many of them were bad."""

    events: float = 0
    bad: float = 0


@dataclass
class _Seen:
    """What the topics hold, joined."""

    arrived: dict[tuple[int, int], int] = field(default_factory=dict)  # partition and offset of a recognition: when, ms
    events: dict[tuple[int, int], Event] = field(default_factory=dict)  # the same event again has no answer of its own
    answered: dict[tuple[int, int], int] = field(default_factory=dict)
    answers: dict[Event, dict[str, Any]] = field(default_factory=dict)  # the first of each event
    truths: dict[Event, tuple[int, str | None, bool]] = field(default_factory=dict)  # rank, person, whether it was them
    homes: set[str] = field(default_factory=set)
    alerted: set[str] = field(default_factory=set)


def count(records: Iterable[Record], objectives: Objectives, now_ms: int) -> dict[str, Count]:
    """Events and bad ones, by the name of the objective.

    Parameters
    ----------
    records
        Of TOPICS, in any order of the topics; whoever cannot be read is passed over.
    now_ms
        A recognition that came less than a minute before is not missed yet.
    """
    seen = _Seen()
    for record in records:
        try:
            value = json.loads(record.value or b"null")
        except ValueError:
            continue
        if isinstance(value, dict):
            _note(seen, record, value)
    late_ms = objectives.freshness.seconds * 1_000
    waits = {place: at - seen.arrived[place] for place, at in seen.answered.items() if place in seen.arrived}
    due = {place for place, at in seen.arrived.items() if at < now_ms - 60_000}
    lost = [place for place in due - seen.answered.keys() if seen.events[place] not in seen.answers]
    found = {
        "freshness": Count(len(waits), sum(wait > late_ms for wait in waits.values())),
        "losslessness": Count(len(due), len(lost)),
        "quiet": Count(len(seen.homes), len(seen.homes & seen.alerted)),
    }
    return found | _judged(seen)


def _note(seen: _Seen, record: Record, value: dict[str, Any]) -> None:
    event = (str(value.get("household_id")), str(value.get("event_id")))
    if record.topic == "recognitions":
        seen.arrived[record.partition, record.offset] = record.timestamp
        seen.events[record.partition, record.offset] = event
        seen.homes.add(event[0])
    elif record.topic == "identities":
        cause = value.get("cause") or {}
        if value.get("revision") == 0:
            seen.answers[event] = value
        if cause.get("topic") == "recognitions" and value.get("revision") == 0:
            seen.answered[cause["partition"], cause["offset"]] = record.timestamp
    elif record.topic == "dead-letters" and value.get("topic") == "recognitions":
        seen.answered.setdefault((value["partition"], value["offset"]), record.timestamp)
    elif record.topic == "drift-alerts" and value.get("state") == "opened":
        seen.alerted |= {value["household_id"]} if value.get("household_id") else set(value.get("members") or ())
    elif record.topic in ("labels", "feedback"):
        _note_truth(seen, event, value)


def _note_truth(seen: _Seen, event: Event, value: dict[str, Any]) -> None:
    """Who it was, as a label or a claim says it; None as the person: whom the answer named."""
    rank = _RANKS.get(value.get("source", "label"), 0)
    said = {"confirm": (None, True), "reject": (value.get("person_id"), False), "correct": (value.get("person_id"), True)}
    kind = value.get("kind")
    if kind is not None and kind not in said:
        return
    person, was = said[kind] if kind else (value.get("person_id"), True)
    if event not in seen.truths or seen.truths[event][0] <= rank:
        seen.truths[event] = (rank, person, was)


def _judged(seen: _Seen) -> dict[str, Count]:
    """Tiers, and calibration over tenths of what was said."""
    tiers = {name: [0, 0] for name in TIERS}
    tenths: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for event, answer in seen.answers.items():
        if event not in seen.truths:
            continue
        _, person, was = seen.truths[event]
        posterior = answer.get("posterior") or {}
        first = max(posterior, key=lambda name: (posterior[name], name), default=None)
        named = answer.get("person_id") or first
        if first is None or (not was and person != named):
            continue  # that it was not somebody whom nobody named
        right = (person in (None, named)) if was else False
        for name, tier in TIERS.items():
            if answer.get("tier", 0) >= tier and answer.get("person_id"):
                tiers[name][0] += 1
                tiers[name][1] += not right
        tenth = tenths[min(_TENTHS - 1, int(posterior[named] * _TENTHS))]
        tenth[0], tenth[1], tenth[2] = tenth[0] + 1, tenth[1] + posterior[named], tenth[2] + right
    apart = sum(abs(said - right) for _, said, right in tenths.values())
    counts = {name: Count(*pair) for name, pair in tiers.items()}
    return counts | {"calibration": Count(sum(n for n, _, _ in tenths.values()), round(apart, 3))}
