"""Evidence of change as a home told it: lines that rise, the moment of the alarm, the cause that was named, and what was done.

Law: only what was published is shown: signals of drift, and the alerts that came of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from learners.drift.edetectors import threshold
from stream.contract.policy import Drift

__all__ = ["change", "kind_of", "subject_of"]

LEAST: Final = -3.0  # nats: less is drawn as that
_WORDS: Final = {
    "device": "the {device_id} device", "person": "{person_id}", "encoder": "{encoder}", "phone": "the phone of {person_id}",
    "habit": "the habits of {person_id}", "feedback": "what is said of answers", "unknown_voices": "unknown voices",
    "unknown": "something that is not clear", "claimed": "claims about {person_id}", "source": "claims by {attributes[source]}",
}  # fmt: skip
_SURE: Final = 0.99  # more is not told apart


def change(signals: Sequence[dict[str, Any]], alerts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """What is drawn of one home.

    Returns
    -------
    dict
        `lines`: by subject its name and points (ms, nats), of what was ever notable; `marks`: time, kind (alarm, done, alert,
        alert resolved…) and words of what was noticed and done; `alarm`: nats at which a home alarms by itself.
    """
    lines: dict[str, list[list[float]]] = {}
    for signal in signals:
        points, at_ms = lines.setdefault(subject_of(signal), []), signal["observed_at"]
        points.append([at_ms, max(LEAST, round(signal["log_e_value"], 2))])
        if _is_decided(signal):
            points.append([at_ms, LEAST])
    notable = [{"name": name, "points": points} for name, points in lines.items() if max(nats for _, nats in points) > 0]
    said = [_mark(s["observed_at"], kind, _notice(s)) for s in signals if (kind := kind_of(s))]
    marks = sorted([*said, *(_of_alert(alert) for alert in alerts)], key=lambda mark: mark["t"])
    return {"lines": notable, "marks": marks, "alarm": round(threshold(Drift().false_alarm_events), 2)}


def _mark(at_ms: int, kind: str, text: str) -> dict[str, Any]:
    return {"t": at_ms, "kind": kind, "text": text}


def _of_alert(alert: dict[str, Any]) -> dict[str, Any]:
    """A revision of an alert; what to do is said once."""
    opened = alert["state"] == "opened"
    text = f"{alert['summary']} {alert['suggested_action']}" if opened else alert["summary"]
    return _mark(alert["updated_at"], "alert" if opened else f"alert {alert['state']}", text)


def kind_of(signal: Mapping[str, Any]) -> str | None:
    """Whether a signal is an `alarm`, or tells what was `done`; None when it only tells how the evidence stands."""
    if signal.get("adapted"):
        return "done"
    return "alarm" if signal.get("evidence") else None


def _is_decided(signal: Mapping[str, Any]) -> bool:
    """Whether an alarm was confirmed: from there on the home watches anew, without evidence."""
    return bool(signal.get("adapted") and signal.get("evidence"))


def _notice(signal: Mapping[str, Any]) -> str:
    """An alarm, or what was done about it, as a person would read it."""
    subject, done = subject_of(signal), signal.get("adapted")
    believed = f"{subject}, {_sure_of(signal)}" if signal.get("evidence") else subject
    if not done:
        return f"something changed: {believed}"
    return f"it was {believed}: {done}" if _is_decided(signal) else f"{believed}: {done}"


def _sure_of(signal: Mapping[str, Any]) -> str:
    """How sure a home is of the cause that it named."""
    sure = signal["evidence"].get(signal["kind"], 0.0)
    return f"more than {_SURE:.0%} sure" if sure > _SURE else f"{sure:.0%} sure"


def subject_of(signal: Mapping[str, Any]) -> str:
    """What a signal speaks of, in words."""
    kind = str(signal["kind"])
    if kind == "feedback" and signal.get("person_id"):
        kind = "claimed"
    elif kind == "feedback" and "source" in signal.get("attributes", {}):
        kind = "source"
    return _WORDS.get(kind, kind).format_map(signal)
