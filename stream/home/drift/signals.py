"""What a home tells the fleet of change: alarms, what caused them and what was done, and in calm that it is calm.

Law: a home alarms when its evidence reaches what comes once in `false_alarm_events` by chance. It names one cause, and looks
again when more events came, and only then, if the evidence stands, does something about it and watches anew. The same evidence
is told under one name: when a cause gets another, the old one is taken back. When a home has to speak is a function of what is
believed now, of what was told last, and of the time between.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from learners.drift.edetectors import threshold
from stream.contract.policy import SOURCES
from stream.contract.records import ERASED, Output, Recognition, Signal, Source, construct
from stream.contract.units import DAY_MS, HOUR_MS

from ..context import Turn
from ..state.monitors import OF_PEOPLE, TOLD_STEP, Alarm, Subject, Told, Watch
from ..state.seen import hashed
from .adaptation import adapt
from .causes import UNKNOWN, believed, e_value_of, named, parts_of, since_of, subjects_of

__all__ = ["CENSUS_EVERY_MS", "NOTABLE", "is_due", "signal_of", "tell", "tell_erased"]

NOTABLE: Final = math.log(5)  # nats
NOTABLE_EVERY_MS: Final = 6 * HOUR_MS
CENSUS_EVERY_MS: Final = 7 * DAY_MS
LOUD: Final = math.exp(NOTABLE)
LEAST: Final = -30.0  # nats: of no evidence at all
RATE_E_MAX: Final = 10_000.0  # told of a share: learnt from little, it can be wildly sure of itself (docs/drift.md)
OF_SHARES: Final = frozenset({"phone", "habit", "feedback", "unknown_voices"})
BELIEF_TOLD_MIN: Final = 0.001
PATIENCE: Final = 3  # times as many events, until the device in question speaks again: its attributes are told with it
KIND: Final = "feedback"  # of signals about claims


def is_due(log_e_value: float, told: float, elapsed_ms: int, threshold: float) -> bool:
    """Whether a home has to speak of a subject again.

    Parameters
    ----------
    log_e_value, told
        The evidence now, and as it was told last (minus infinity: never), in nats.
    elapsed_ms
        Stream time since then.
    threshold
        Nats at which the home itself alarms.
    """
    if elapsed_ms >= CENSUS_EVERY_MS or told < threshold <= log_e_value:
        return True
    fell = told >= 0 > log_e_value
    return elapsed_ms >= NOTABLE_EVERY_MS and (log_e_value > NOTABLE or told > NOTABLE or fell)


def tell(turn: Turn, value: Recognition, loudest: float) -> None:
    """Say what is due of the device that just spoke, and of everything else when there is something to say.

    `loudest`: the greatest e-value of what this event bears on.
    """
    watch, here = turn.home.watch, ("device", value.device_id)
    if loudest < LOUD and watch.alarm is None and not _standing(turn):
        told = watch.told.get(here)
        if told is None or turn.at - told.at >= CENSUS_EVERY_MS:
            _say_if_due(turn, value, here, e_value_of(watch, here))
        return
    parts = parts_of(watch)
    if watch.alarm is None:
        _raise(turn, value, parts)
    elif _may_decide(turn, value, watch.alarm):
        _decide(turn, value, watch.alarm, parts)
        return
    speaker = max(parts, key=parts.__getitem__) if watch.alarm is None else watch.alarm.subject
    total = 0.0 if watch.alarm is None else sum(parts.values())
    if _say_if_due(turn, value, speaker, _e_value_at_least(watch, speaker, total)):
        _take_back(turn, value, speaker)
    for subject in dict.fromkeys([here, *_standing(turn)]):
        if subject != speaker:
            _say_if_due(turn, value, subject, 0.0)


def _standing(turn: Turn) -> list[Subject]:
    """What was told as notable, and is to be followed: of what was dealt with, after a week."""
    told, at = turn.home.watch.told, turn.at
    return [s for s, t in told.items() if t.log_e_value >= 0 and (not t.settled or at - t.at >= CENSUS_EVERY_MS)]


def _take_back(turn: Turn, value: Recognition, named: Subject) -> None:
    """The same evidence is told under one name."""
    for subject in _standing(turn):
        if subject != named:
            _signal(turn, value, subject, _Word(0.0))


def _e_value_at_least(watch: Watch, subject: Subject, total: float) -> float:
    """The evidence of a subject that was named for all there is: at least that of the home."""
    return max(e_value_of(watch, subject), total)


def _raise(turn: Turn, value: Recognition, parts: dict[Subject, float]) -> None:
    """Alarm, if there is reason enough."""
    home, total = turn.home, sum(parts.values())
    if _nats(total) >= threshold(turn.policy.drift.false_alarm_events):
        since = since_of(home.watch, parts)
        beliefs = believed(home, turn.policy, parts, since)
        subject = named(beliefs)
        home.watch.alarm = Alarm(subject, since, home.next_row)
        _signal(turn, value, subject, _Word(_e_value_at_least(home.watch, subject, total), beliefs))
        _take_back(turn, value, subject)


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
    _take_back(turn, value, subject if stands else UNKNOWN)
    if stands:
        e_value = _e_value_at_least(home.watch, subject, total)
        done = adapt(turn, subject, alarm.since) if turn.policy.drift.adapting else None
        _signal(turn, value, subject, _Word(e_value, beliefs, done or "it is watched anew"))
        home.watch.reset(subject)


def _say_if_due(turn: Turn, value: Recognition, subject: Subject, e_value: float) -> bool:
    """Say how a subject stands, if it is time to; whether it was."""
    told = turn.home.watch.told.get(subject)
    elapsed = turn.at - told.at if told else CENSUS_EVERY_MS
    if told is not None and told.settled and elapsed < CENSUS_EVERY_MS:
        return False
    before = told.log_e_value if told else -math.inf
    due = is_due(_nats(e_value), before, elapsed, threshold(turn.policy.drift.false_alarm_events))
    if due:
        _signal(turn, value, subject, _Word(e_value))
    return due


class _Word(NamedTuple):
    """What is said of a subject: its e-value, what is believed of every cause, and what was done."""

    e_value: float
    beliefs: Mapping[Subject, float] = MappingProxyType({})
    adapted: str | None = None


def tell_erased(turn: Turn, person_id: str | None) -> None:
    """Ask the fleet to forget a person, or (None) the whole home."""
    turn.outputs.append(_output(turn, {"person_id": person_id, "kind": ERASED, "log_e_value": LEAST}))


def signal_of(turn: Turn, of: tuple[Source | None, str | None], log_e_value: float, done: str | None) -> Signal:
    """What is told of claims of a source or about a person: the evidence against them, and what was done."""
    home, where, (source, person_id) = turn.home, turn.cause, of
    number = hashed("feedback", f"{home.household_id} {where.topic} {where.partition} {where.offset} {of}")
    return construct(Signal, {
        "v": 1, "signal_id": f"held-{number:x}", "household_id": home.household_id, "person_id": person_id, "device_id": None,
        "encoder": None, "attributes": {"source": source} if source else {}, "kind": KIND, "log_e_value": log_e_value,
        "observed_at": turn.at, "cause": where, "streams": len(SOURCES) + len(home.people) + 1, "evidence": {}, "adapted": done,
    })  # fmt: skip


def _signal(turn: Turn, value: Recognition, subject: Subject, word: _Word) -> None:
    watch, (kind, name) = turn.home.watch, subject
    nats = _nats(min(word.e_value, RATE_E_MAX) if kind in OF_SHARES else word.e_value)
    watch.told[subject] = Told(nats, turn.at, word.adapted is not None)
    elsewhere = kind == "device" and name != value.device_id
    turn.outputs.append(_output(turn, {
        "person_id": name if kind in OF_PEOPLE else None, "device_id": name if kind == "device" else None,
        "encoder": name if kind == "encoder" else None, "attributes": {} if elsewhere else dict(value.device or {}), "kind": kind,
        "log_e_value": nats, "streams": len(subjects_of(watch)), "evidence": _by_kind(word.beliefs), "adapted": word.adapted,
    }))  # fmt: skip


def _output(turn: Turn, said: dict[str, Any]) -> Output:
    """A signal; it is known by the record that caused it and by its place among what that record caused."""
    household, cause = turn.home.household_id, turn.cause
    number = hashed("event", f"{household} {cause.topic} {cause.partition} {cause.offset} {len(turn.outputs)}")
    fields = {
        "v": 1, "signal_id": f"s-{number:x}", "household_id": household, "person_id": None, "device_id": None, "encoder": None,
        "attributes": {}, "observed_at": turn.at, "cause": cause, "streams": None, "evidence": {}, "adapted": None,
    }  # fmt: skip
    return Output("drift-signals", household, construct(Signal, fields | said))


def _by_kind(beliefs: Mapping[Subject, float]) -> dict[str, float]:
    """What is believed of each kind of cause, rounded; whoever is meant stands in the signal itself."""
    found: dict[str, float] = {}
    for (kind, _), belief in beliefs.items():
        found[kind] = found.get(kind, 0.0) + belief
    return {kind: round(belief, 3) for kind, belief in sorted(found.items()) if belief >= BELIEF_TOLD_MIN}


def _nats(e_value: float) -> float:
    """In whole steps, as it is kept."""
    return max(LEAST, round(math.log(e_value) / TOLD_STEP) * TOLD_STEP) if e_value > 0 else LEAST
