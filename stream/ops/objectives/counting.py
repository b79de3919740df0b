"""Good and bad events of a stretch of the topics, by objective.

Law: an answer is judged by what was said of it after it: a claim before a label, a claim of a surer source before another's
(annotator, PIN, app, voice). Of what nobody said anything, nothing is known, and it is in no share. What became known is counted
when it did, so that a burn is seen while it is news.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final, NamedTuple

from stream.contract.records import Record

from .settings import Objectives

__all__ = ["FORGETS", "MINUTE_MS", "TOPICS", "Count", "Tally", "tally"]

TOPICS: Final = ("recognitions", "feedback", "identities", "labels", "dead-letters", "drift-alerts")
TIERS: Final = {"personal": 2, "private": 3, "purchase": 4}
_RANKS: Final = {"label": 0, "voice": 1, "app": 2, "pin": 3, "annotator": 4}
_TENTHS: Final = 10
FORGETS: Final = 0.995  # at each answer of a tenth: on which side of the truth it errs is told by the latest few hundred

MINUTE_MS: Final = 60_000
_DAY_MINUTES: Final = 1_440
_DAY_MS: Final = _DAY_MINUTES * MINUTE_MS

Event = tuple[str, str]  # household and event id
Timed = tuple[int, float]  # when, ms, and how bad it was, from 0 to 1
HomeDay = tuple[str, int]  # household and days since the Unix epoch


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
    answers: dict[Event, tuple[int, dict[str, Any]]] = field(default_factory=dict)  # the first of each event, and when, ms
    truths: dict[Event, tuple[int, str | None, bool, int]] = field(default_factory=dict)  # rank, person, was it them, when told
    homes: set[HomeDay] = field(default_factory=set)  # that sent something
    alerted: set[HomeDay] = field(default_factory=set)


class Tally(NamedTuple):
    """By the name of the objective: events and bad ones; and what bears witness of a burn, by minutes since the Unix epoch.

    That is the same events by their minute, but of calibration (`_lean`), and of quiet, where a whole day is counted at its end.
    """

    counts: dict[str, Count]
    minutes: dict[str, dict[int, Count]]


def tally(records: Iterable[Record], objectives: Objectives, now_ms: int) -> Tally:
    """Events and bad ones of a stretch.

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
    late_ms, arrived = objectives.freshness.seconds * 1_000, seen.arrived
    due = [place for place, at in arrived.items() if at < now_ms - MINUTE_MS]
    timed = _judge(seen) | {
        "freshness": [(at, at - arrived[place] > late_ms) for place, at in seen.answered.items() if place in arrived],
        "losslessness": [(arrived[p], p not in seen.answered and seen.events[p] not in seen.answers) for p in due],
    }
    counts = {name: Count(len(events), sum(bad for _, bad in events)) for name, events in timed.items()}
    days = seen.homes | seen.alerted
    counts |= {"quiet": Count(len(days), len(seen.alerted)), "calibration": _calibration(seen)}
    ended = (home_day for home_day in days if home_day[1] < now_ms // _DAY_MS)
    witnesses = timed | {
        "quiet": [((home_day[1] + 1) * _DAY_MS - 1, home_day in seen.alerted) for home_day in ended],
        "calibration": _lean(seen),
    }
    return Tally(counts, {name: _by_minute(events) for name, events in witnesses.items()})


def _by_minute(events: Iterable[Timed]) -> dict[int, Count]:
    minutes: dict[int, Count] = defaultdict(Count)
    for at, bad in events:
        before = minutes[at // MINUTE_MS]
        minutes[at // MINUTE_MS] = Count(before.events + 1, before.bad + bad)
    return dict(minutes)


def _note(seen: _Seen, record: Record, value: dict[str, Any]) -> None:
    event = (str(value.get("household_id")), str(value.get("event_id")))
    if record.topic == "recognitions":
        seen.arrived[record.partition, record.offset] = record.timestamp
        seen.events[record.partition, record.offset] = event
        seen.homes.add((event[0], record.timestamp // _DAY_MS))
    elif record.topic == "identities":
        cause = value.get("cause") or {}
        if value.get("revision") == 0:
            seen.answers[event] = record.timestamp, value
        if cause.get("topic") == "recognitions" and value.get("revision") == 0:
            seen.answered[cause["partition"], cause["offset"]] = record.timestamp
    elif record.topic == "dead-letters" and value.get("topic") == "recognitions":
        seen.answered.setdefault((value["partition"], value["offset"]), record.timestamp)
    elif record.topic == "drift-alerts" and value.get("state") == "opened":
        homes = [value["household_id"]] if value.get("household_id") else value.get("members") or ()
        seen.alerted |= {(home, record.timestamp // _DAY_MS) for home in homes}
    elif record.topic in ("labels", "feedback"):
        _note_truth(seen, event, record.timestamp, value)


def _note_truth(seen: _Seen, event: Event, at: int, value: dict[str, Any]) -> None:
    """Who it was, as a label or a claim says it; None as the person: whom the answer named."""
    rank = _RANKS.get(value.get("source", "label"), 0)
    said = {"confirm": (None, True), "reject": (value.get("person_id"), False), "correct": (value.get("person_id"), True)}
    kind = value.get("kind")
    if kind is not None and kind not in said:
        return
    person, was = said[kind] if kind else (value.get("person_id"), True)
    if event not in seen.truths or seen.truths[event][0] <= rank:
        seen.truths[event] = (rank, person, was, at)


def _find_known(seen: _Seen) -> Iterator[tuple[int, dict[str, Any], str, bool]]:
    """Answers of which it became known who it was: since when, the answer, whom it held likeliest, and whether it was them."""
    for event, (at, answer) in seen.answers.items():
        if event not in seen.truths:
            continue
        _, person, was, known_at = seen.truths[event]
        posterior = answer.get("posterior") or {}
        first = max(posterior, key=lambda name: (posterior[name], name), default=None)
        named = answer.get("person_id") or first
        if named is None or (not was and person != named):
            continue  # that it was not somebody whom nobody named
        yield max(at, known_at), answer, named, was and person in (None, named)


def _judge(seen: _Seen) -> dict[str, list[Timed]]:
    """Of each tier, answers that name somebody at it or above, and whether they were wrong."""
    tiers: dict[str, list[Timed]] = {name: [] for name in TIERS}
    for at, answer, _, right in _find_known(seen):
        for name, tier in TIERS.items():
            if answer.get("tier", 0) >= tier and answer.get("person_id"):
                tiers[name].append((at, not right))
    return tiers


def _calibration(seen: _Seen) -> Count:
    """How far what was said is from what came true, over tenths of what was said."""
    tenths: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for _, answer, named, right in _find_known(seen):
        said = answer["posterior"][named]
        tenth = tenths[min(_TENTHS - 1, int(said * _TENTHS))]
        tenth[0], tenth[1], tenth[2] = tenth[0] + 1, tenth[1] + said, tenth[2] + right
    apart = sum(abs(said - right) for _, said, right in tenths.values())
    return Count(sum(n for n, _, _ in tenths.values()), round(apart, 3))


def _lean(seen: _Seen) -> list[Timed]:
    """Of each answer, half of one more than how far it erred to the side to which its tenth leans: on average one half and a half
    of what calibration is off, at most.

    To which side (said more than came true, or less) a tenth leans is taken from the minutes before, so that chance leans to
    neither: whatever the sides, the mean of what is signed by them is no more than the distance itself (`_calibration`).
    """
    told: list[Timed] = []
    leans = [0.0] * _TENTHS
    known = sorted(_find_known(seen), key=lambda one: one[0])
    for _, minute in groupby(known, key=lambda one: one[0] // MINUTE_MS):
        sides = [(lean > 0) - (lean < 0) for lean in leans]
        for at, answer, named, right in minute:
            said = answer["posterior"][named]
            tenth = min(_TENTHS - 1, int(said * _TENTHS))
            told.append((at, (1 + sides[tenth] * (said - right)) / 2))
            leans[tenth] = FORGETS * leans[tenth] + said - right
    return told
