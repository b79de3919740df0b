"""What a home tells the fleet of change: alarms, what caused them and what was done, and in calm that it is calm.

Law: a home alarms when its evidence reaches what comes once in `false_alarm_events` by chance. It names one cause and says so, looks
again when more events came, and only then, if the evidence stands, does something about it and watches anew. The same evidence is
told under one name: when a cause gets another, the old one is taken back.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from learners.drift import threshold

from .adaptation import adapt
from .causes import believed, e_value_of, named, parts_of, since_of, subjects_of
from .detectors import OF_PEOPLE, TOLD_STEP, Alarm, Subject, Told
from .due import CENSUS_EVERY_MS, NOTABLE, is_due
from .records import Output, Recognition, Signal, made
from .turn import Turn

__all__ = ["tell"]

LOUD: Final = math.exp(NOTABLE)
LEAST: Final = -30.0  # nats: of no evidence at all
RATE_E_MAX: Final = 100.0  # told of a share: learnt from little, it can be wildly sure of itself (docs/drift.md)
OF_SHARES: Final = frozenset({"phone", "habit", "feedback", "unknown_voices"})
BELIEF_TOLD_MIN: Final = 0.001
PATIENCE: Final = 3  # times as many events, until the device in question speaks again: its attributes are told with it


def tell(turn: Turn, value: Recognition, loudest: float) -> None:
    """Say what is due of the device that just spoke, and of everything else when there is something to say.

    `loudest`: the greatest e-value of what this event bears on.
    """
    watch, here = turn.home.watch, ("device", value.device_id)
    standing = [subject for subject, told in watch.told.items() if told.log_e_value >= 0 and not told.settled]
    if loudest < LOUD and not standing and watch.alarm is None:
        told = watch.told.get(here)
        if told is None or turn.at - told.at >= CENSUS_EVERY_MS:
            _say_if_due(turn, value, here, e_value_of(watch, here))
        return
    if watch.alarm is not None and _may_decide(turn, value, watch.alarm):
        _decide(turn, value, watch.alarm, parts_of(watch))
        return
    parts = parts_of(watch) if watch.alarm is None else {}
    if parts:
        _raise(turn, value, parts)
    speaker = watch.alarm.subject if watch.alarm is not None else max(parts, key=parts.__getitem__)
    for subject in dict.fromkeys([speaker, here, *standing]):
        _say_if_due(turn, value, subject, e_value_of(watch, subject) if subject == speaker else 0.0)


def _raise(turn: Turn, value: Recognition, parts: dict[Subject, float]) -> None:
    """Alarm, if there is reason enough."""
    home, total = turn.home, sum(parts.values())
    if _nats(total) >= threshold(turn.policy.drift.false_alarm_events):
        since = since_of(home.watch, parts)
        beliefs = believed(home, turn.policy, parts, since)
        home.watch.alarm = Alarm(named(beliefs), since, home.next_row)
        _signal(turn, value, home.watch.alarm.subject, _Word(total, beliefs))


def _may_decide(turn: Turn, value: Recognition, alarm: Alarm) -> bool:
    """Whether enough events came since the alarm, the last of them of the device in question."""
    events, enough = turn.home.next_row - alarm.noticed, turn.policy.drift.decide_after_events
    elsewhere = alarm.subject[0] == "device" and alarm.subject[1] != value.device_id
    return events >= (PATIENCE * enough if elsewhere else enough)


def _decide(turn: Turn, value: Recognition, alarm: Alarm, parts: dict[Subject, float]) -> None:
    """Name the cause again; if the evidence still stands, do something about it."""
    home, total = turn.home, sum(parts.values())
    home.watch.alarm = None
    beliefs = believed(home, turn.policy, parts, alarm.since)
    subject = named(beliefs)
    stands = _nats(total) >= threshold(turn.policy.drift.false_alarm_events)
    if not stands or subject != alarm.subject:
        _signal(turn, value, alarm.subject, _Word(0.0))
    if stands:
        done = adapt(turn, subject, alarm.since) if turn.policy.drift.adapting else None
        home.watch.reset(subject)
        _signal(turn, value, subject, _Word(total, beliefs, done or "it is watched anew"))


def _say_if_due(turn: Turn, value: Recognition, subject: Subject, e_value: float) -> None:
    told = turn.home.watch.told.get(subject)
    elapsed = turn.at - told.at if told else CENSUS_EVERY_MS
    if told is not None and told.settled and elapsed < CENSUS_EVERY_MS:
        return
    before = told.log_e_value if told else -math.inf
    if is_due(_nats(e_value), before, elapsed, threshold(turn.policy.drift.false_alarm_events)):
        _signal(turn, value, subject, _Word(e_value))


class _Word(NamedTuple):
    """What is said of a subject: its e-value, what is believed of every cause, and what was done."""

    e_value: float
    beliefs: Mapping[Subject, float] = MappingProxyType({})
    adapted: str | None = None


def _signal(turn: Turn, value: Recognition, subject: Subject, word: _Word) -> None:
    home, (kind, name), cause = turn.home, subject, turn.cause
    nats = _nats(min(word.e_value, RATE_E_MAX) if kind in OF_SHARES else word.e_value)
    home.watch.told[subject] = Told(nats, turn.at, word.adapted is not None)
    of_device = kind == "device"
    fields = {
        "v": 1, "signal_id": f"{home.household_id}:{cause.topic}:{cause.partition}:{cause.offset}:{len(turn.outputs)}",
        "household_id": home.household_id, "person_id": name if kind in OF_PEOPLE else None,
        "device_id": name if of_device else None, "encoder": name if kind == "encoder" else None,
        "attributes": dict(value.device or {}) if not of_device or name == value.device_id else {},
        "kind": kind, "log_e_value": nats, "observed_at": turn.at, "cause": cause,
        "streams": len(subjects_of(home.watch)), "evidence": _by_kind(word.beliefs), "adapted": word.adapted,
    }  # fmt: skip
    turn.outputs.append(Output("drift-signals", home.household_id, made(Signal, fields)))


def _by_kind(beliefs: Mapping[Subject, float]) -> dict[str, float]:
    """What is believed of each kind of cause, rounded; whoever is meant stands in the signal itself."""
    found: dict[str, float] = {}
    for (kind, _), belief in beliefs.items():
        found[kind] = found.get(kind, 0.0) + belief
    return {kind: round(belief, 3) for kind, belief in sorted(found.items()) if belief >= BELIEF_TOLD_MIN}


def _nats(e_value: float) -> float:
    """In whole steps, as it is kept."""
    return max(LEAST, round(math.log(e_value) / TOLD_STEP) * TOLD_STEP) if e_value > 0 else LEAST
