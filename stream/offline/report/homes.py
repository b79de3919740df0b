"""What the report tells of one home: its people, its timeline, what feedback changed, how profiles moved, what happened.

Law: everything here is read from records; sentences are made here so that the page only draws.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from stream.contract.records import GUEST

from .change import change
from .drift import drift
from .measures import confusion
from .run import Answer, EventKey, Reading, Run, Said, in_words
from .stories import story_of

__all__ = ["home"]

_PARTS: Final = 100_000  # of a probability: more is not published
DETAIL_MAX: Final = 220  # characters of a dead letter's reason: some quote what they could not read


@dataclass(frozen=True)
class _Cut:
    """One household's part of a reading, its people in order (guest last)."""

    household_id: str
    reading: Reading
    people: list[str]
    truths: Mapping[EventKey, str]


def home(household_id: str, reading: Reading, run: Run, right: tuple[int, int] | None, doubt: float) -> dict[str, Any]:
    """The page's entry of a home; `right` are its judged answers that were right, and how many there are."""
    people = _people(household_id, reading)
    cut = _Cut(household_id, reading, people, run.truths)
    feedback = [_change(cut, said) for said in reading.said.values() if said.household_id == household_id]
    alerts = [alert for alert in reading.alerts if household_id in alert["members"]]
    changed = change(reading.signals.get(household_id, []), alerts)
    noticed = [_make_happening(mark["t"], mark["kind"], mark["text"]) for mark in changed["marks"]]
    entry: dict[str, Any] = {
        "id": household_id, "people": people, "doubt": round(doubt, 4),
        "right": None if right is None else right[0] / right[1], "judged": 0 if right is None else right[1],
        "alerts": len({alert["alert_id"] for alert in alerts}),
        "events": _events(cut), "feedback": [f for f in feedback if f["event"]],
        "happenings": sorted(
            [f for f in feedback if not f["event"]] + _dead(cut) + _devices(cut) + noticed, key=lambda h: h["t"]
        ),
        "confusion": confusion(run.truths, reading, household_id, people),
        "profiles": [drift(person, reading.profiles[household_id, person]) for person in people
                     if (household_id, person) in reading.profiles],
        "labels": _labels(cut), "change": changed,
    }  # fmt: skip
    return entry | {"story": run.stories.get(household_id) or story_of(entry)}


def _people(household_id: str, reading: Reading) -> list[str]:
    """Everybody who was ever a member, in order of joining or of being answered, and guest."""
    named = dict.fromkeys(s.value["person_id"] for s in reading.said.values()
                          if s.household_id == household_id and s.value.get("kind") == "join")  # fmt: skip
    for (household, _), revisions in reading.answers.items():
        if household == household_id:
            named.update(dict.fromkeys(revisions[0].posterior))
    return [person for person in named if person != GUEST] + [GUEST]


def _events(cut: _Cut) -> list[list[Any]]:
    """Per event: ms, lane, best, probability of best and of the lane (in 1/100,000), tier, named, revisions, modalities, id.

    The lane is who it truly was, else the best answer. It is -1 when that is none of the people.
    """
    place = {person: at for at, person in enumerate(cut.people)}
    rows = []
    for key, revisions in cut.reading.answers.items():
        if key[0] != cut.household_id:
            continue
        first, best = revisions[0], revisions[0].best
        lane = cut.truths.get(key, best)
        rows.append([first.at_ms, place.get(lane, -1), place[best], round(_PARTS * first.posterior[best]),
                     round(_PARTS * first.posterior.get(lane, 0)), first.tier, first.person_id is not None,
                     len(revisions) - 1, "+".join(first.modalities), key[1]])  # fmt: skip
    return sorted(rows, key=lambda row: row[0])


def _change(cut: _Cut, said: Said) -> dict[str, Any]:
    """One piece of feedback and what it changed: answers before and after, how many others with it, and whether it was true."""
    changed = cut.reading.changed_by.get(said.position, [])
    about = _about(cut, said)
    own = next((a for a in changed if a.key[1] == about), None)
    key = (cut.household_id, about or "")
    first = cut.reading.answers[key][0] if key in cut.reading.answers else None
    lane = None if first is None else cut.truths.get(key, first.best)
    return {
        "t": said.at_ms, "kind": said.value.get("kind"), "source": said.value.get("source"), "text": in_words(said.value),
        "person": said.value.get("person_id"),
        "event": about, "eventAt": None if first is None else first.at_ms, "honest": _honest(cut, said, about),
        "lane": cut.people.index(lane) if lane in cut.people else None,
        "lift": None if own is None or lane is None else [round(a.posterior.get(lane, 0.0), 3) for a in (_before(cut, own), own)],
        "agreed": first is not None and _agrees(said, first),
        "before": None if own is None else _short(_before(cut, own)), "after": None if own is None else _short(own),
        "others": len(changed) - (own is not None),
    }  # fmt: skip


def _agrees(said: Said, first: Answer) -> bool:
    """Whether a claim said no more than the answer already did."""
    kind, person, best = said.value.get("kind"), said.value.get("person_id"), first.person_id or first.best
    return kind == "confirm" or (kind == "correct" and person == best) or (kind == "reject" and person != best)


def _about(cut: _Cut, said: Said) -> str | None:
    """The event that a claim speaks of; of a retraction, the event of what it takes back."""
    if said.value.get("kind") != "retract":
        return said.value.get("event_id")
    taken = cut.reading.said.get((cut.household_id, str(said.value.get("retracts"))))
    return None if taken is None else taken.value.get("event_id")


def _before(cut: _Cut, after: Answer) -> Answer:
    revisions = cut.reading.answers[after.key]
    return revisions[max(0, revisions.index(after) - 1)]


def _short(answer: Answer) -> dict[str, Any]:
    ranked = sorted(answer.posterior.items(), key=lambda item: -item[1])[:3]
    return {"revision": answer.revision, "tier": answer.tier, "ranked": [[person, round(p, 3)] for person, p in ranked]}


def _honest(cut: _Cut, said: Said, event_id: str | None) -> bool | None:
    """Whether a claim was true; None when the truth is not known or nothing is claimed."""
    key = (cut.household_id, event_id or "")
    kind, truth, revisions = said.value.get("kind"), cut.truths.get(key), cut.reading.answers.get(key)
    if truth is None or kind not in ("correct", "reject", "confirm"):
        return None
    if kind == "confirm":
        return revisions is not None and truth == (revisions[0].person_id or revisions[0].best)
    return bool((said.value.get("person_id") == truth) == (kind == "correct"))


def _dead(cut: _Cut) -> list[dict[str, Any]]:
    own = [(at_ms, letter) for household_id, at_ms, letter in cut.reading.dead if household_id == cut.household_id]
    return [_make_happening(at_ms, "dead letter", f"{d['topic']}: {d['reason']}: {d['detail']}"[:DETAIL_MAX]) for at_ms, d in own]


def _make_happening(at_ms: int, kind: str, text: str) -> dict[str, Any]:
    return {"t": at_ms, "kind": kind, "text": text, "others": 0}


def _devices(cut: _Cut) -> list[dict[str, Any]]:
    """Changes of what a device says about itself, at the first recognition that tells."""
    known: dict[str, dict[str, str]] = {}
    out = []
    for value in sorted(cut.reading.seen.get(cut.household_id, ()), key=lambda v: int(v["observed_at"])):
        device, now = str(value.get("device_id")), value.get("device") or {}
        then = known.setdefault(device, now)
        changed = [f"{name} {then.get(name, 'unknown')} → {now[name]}" for name in sorted(now) if now[name] != then.get(name)]
        if changed:
            out.append(_make_happening(value["observed_at"], "device", f"{device}: " + ", ".join(changed)))
            known[device] = now
    return out


def _labels(cut: _Cut) -> dict[str, int]:
    """How many events were labelled without asking, and how many of these labels are true."""
    own = {key: value for key, value in cut.reading.labels.items() if key[0] == cut.household_id}
    known = [key for key in own if key in cut.truths]
    return {"n": len(own), "known": len(known), "true": sum(own[key]["person_id"] == cut.truths[key] for key in known)}
