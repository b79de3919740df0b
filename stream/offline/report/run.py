"""A run as the report reads it: what went in, what came out, and (when somebody knows it) the truth.

Law: reading never fails on a record; what it cannot read it leaves out, since the dead letters tell of it already.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from stream.contract.ports import Encoded
from stream.contract.records import REQUIRED_TOPICS, Position, Record

__all__ = ["Answer", "EventKey", "Reading", "Run", "Said", "answer_of", "in_words", "read"]

EventKey = tuple[str, str]  # household_id, event_id


@dataclass(frozen=True)
class Run:
    """What the report is made from.

    Parameters
    ----------
    inputs, outputs
        Records of `recognitions` and `feedback`, and everything that was published, each in order.
    truths
        (household_id, event_id) -> who it was: a member or `guest`. Empty when nobody knows: then nothing is judged.
    stories
        household_id -> one sentence about that home. May be empty.
    """

    inputs: Sequence[Record] = ()
    outputs: Sequence[Encoded | Record] = ()
    truths: Mapping[EventKey, str] = field(default_factory=dict)
    stories: Mapping[str, str] = field(default_factory=dict)


class Answer(NamedTuple):
    """One revision of who it was."""

    key: EventKey
    at_ms: int
    revision: int
    posterior: dict[str, float]
    person_id: str | None
    tier: int
    modalities: tuple[str, ...]
    cause: Position

    @property
    def best(self) -> str:
        """The most probable of members and guest."""
        return max(self.posterior, key=self.posterior.__getitem__)


class Said(NamedTuple):
    """A feedback record that could be read, and where it stood."""

    position: Position
    household_id: str
    at_ms: int
    value: dict[str, Any]


@dataclass
class Reading:
    """A run, read: answers by event with their revisions in order, profiles by person in order, and the rest."""

    answers: dict[EventKey, list[Answer]] = field(default_factory=dict)
    changed_by: dict[Position, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    said: dict[tuple[str, str], Said] = field(default_factory=dict)  # by household_id and feedback_id: twice is once
    seen: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    profiles: dict[tuple[str, str], list[tuple[int, dict[str, Any] | None]]] = field(default_factory=lambda: defaultdict(list))
    labels: dict[EventKey, dict[str, Any]] = field(default_factory=dict)
    dead: list[tuple[str, int, dict[str, Any]]] = field(default_factory=list)  # household_id, ms, value
    signals: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))  # of drift, by household
    alerts: list[dict[str, Any]] = field(default_factory=list)  # every revision of each, in order

    @property
    def households(self) -> list[str]:
        """Every household that anything is known of, sorted."""
        return sorted({h for h, _ in self.answers} | set(self.seen) | {h for h, _ in self.said})

    @property
    def guided(self) -> set[EventKey]:
        """Events of guided enrolment: nobody has to be recognised there."""
        enrolments = (s for s in self.said.values() if s.value.get("kind") == "enrol")
        return {(s.household_id, event_id) for s in enrolments for event_id in s.value.get("event_ids", ())}


def read(run: Run) -> Reading:
    """Sort a run's records into what the report speaks of."""
    out = Reading()
    unusable = set()
    for encoded in run.outputs:
        value = None if encoded.value is None else json.loads(encoded.value)
        key = (encoded.key or b"").decode(errors="replace")
        if encoded.topic == "identities" and value is not None:
            _answer(out, answer_of(value))
        elif encoded.topic == "profiles":
            household_id, _, person_id = key.partition("/")
            out.profiles[household_id, person_id].append((encoded.timestamp, value))
        elif encoded.topic == "labels" and value is not None:
            out.labels[value["household_id"], value["event_id"]] = value
        elif encoded.topic == "drift-signals" and value is not None:
            out.signals[value["household_id"]].append(value)
        elif encoded.topic == "drift-alerts" and value is not None:
            out.alerts.append(value)
        elif encoded.topic == "dead-letters" and value is not None:
            unusable.add((value["topic"], value["partition"], value["offset"]))
            out.dead.append((key, encoded.timestamp, value))
    for record in run.inputs:
        if record.position not in unusable:
            _input(out, record)
    return out


def answer_of(value: Mapping[str, Any]) -> Answer:
    """The value of a record of `identities`."""
    cause = Position(value["cause"]["topic"], value["cause"]["partition"], value["cause"]["offset"])
    return Answer(
        (value["household_id"], value["event_id"]), value["observed_at"], value["revision"], value["posterior"],
        value["person_id"], value["tier"], tuple(value["modalities"]), cause,
    )  # fmt: skip


def _answer(out: Reading, answer: Answer) -> None:
    out.answers.setdefault(answer.key, []).append(answer)
    if answer.revision > 0:
        out.changed_by[answer.cause].append(answer)


def _input(out: Reading, record: Record) -> None:
    if record.topic not in REQUIRED_TOPICS:
        return
    try:
        value = json.loads(record.value or b"")
    except ValueError:
        return
    time = "given_at" if record.topic == "feedback" else "observed_at"
    if not isinstance(value, dict) or not isinstance(value.get(time), int):
        return
    household_id = (record.key or b"").decode(errors="replace")
    if record.topic == "feedback":
        said = Said(record.position, household_id, value[time], value)
        out.said.setdefault((household_id, str(value.get("feedback_id"))), said)
    else:
        out.seen[household_id].append(value)


def in_words(value: Mapping[str, Any]) -> str:
    """What a feedback record says, as a person would read it."""
    person = str(value.get("person_id"))
    event = value.get("event_id", "")
    return {
        "join": f"{person} joins", "leave": f"{person} leaves",
        "phone": f"{value.get('phone_id')} belongs to " + ("nobody" if value.get("person_id") is None else person),
        "enrol": f"guided enrolment of {person} ({len(value.get('event_ids', ()))} recognitions)",
        "confirm": f"“yes” to the answer of {event}", "reject": f"{event} was not {person}", "correct": f"{event} was {person}",
        "retract": f"takes {value.get('retracts')} back",
        "erase": ("the whole home" if value.get("person_id") is None else person) + " is to be forgotten",
    }.get(str(value.get("kind")), str(value.get("kind")))  # fmt: skip
