"""Evidence of change as a home told it: lines that rise, the moment of the alarm, the cause that was named, and what was done.

Law: only what was published is shown: signals of drift, and the alerts that came of them.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from learners.drift import threshold

from .policy import Drift

__all__ = ["change", "noticed"]

LEAST: Final = -3.0  # nats: less is drawn as that
_WORDS: Final = {
    "device": "the {device_id} device", "person": "{person_id}", "encoder": "{encoder}", "phone": "the phone of {person_id}",
    "habit": "the habits of {person_id}", "feedback": "what is said of answers", "unknown_voices": "unknown voices",
    "unknown": "something that is not clear",
}  # fmt: skip


def change(signals: Sequence[dict[str, Any]], alerts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What is drawn of one home.

    Returns
    -------
    dict
        `lines`: by subject its name and points (ms, nats), of what was ever notable; `marks`: time, kind (alarm, done, alert)
        and words of what was noticed and done; `alarm`: nats at which a home alarms by itself.
    """
    lines: dict[str, list[list[float]]] = {}
    for signal in signals:
        lines.setdefault(_subject(signal), []).append([signal["observed_at"], max(LEAST, round(signal["log_e_value"], 2))])
    notable = [{"name": name, "points": points} for name, points in lines.items() if max(nats for _, nats in points) > 0]
    said = [_mark(signal) for signal in signals if signal.get("evidence") or signal.get("adapted")]
    told = [{"t": a["updated_at"], "kind": "alert", "text": f"alert {a['state']}: {a['summary']}"} for a in alerts]
    marks = sorted([*said, *told], key=lambda mark: mark["t"])
    return {"lines": notable, "marks": marks, "alarm": round(threshold(Drift().false_alarm_events), 2)}


def _mark(signal: dict[str, Any]) -> dict[str, Any]:
    return {"t": signal["observed_at"], "kind": "done" if signal.get("adapted") else "alarm", "text": noticed(signal)}


def noticed(signal: dict[str, Any]) -> str:
    """An alarm, or what was done about it, as a person would read it."""
    sure = signal.get("evidence", {}).get(signal["kind"])
    believed = "" if sure is None else f" ({sure:.0%} sure)"
    done = signal.get("adapted")
    return f"it was {_subject(signal)}{believed}: {done}" if done else f"{_subject(signal)} changed{believed}"


def _subject(signal: dict[str, Any]) -> str:
    return _WORDS.get(str(signal["kind"]), str(signal["kind"])).format_map(signal)
