"""Homes of synthetic people in which one thing changes: a person, a device, a phone, a source of feedback, or a firmware.

Law: a seed and a plan give the same records for ever, and the truth about a home stands beside them, never in them.

Each home has three people and three devices: two see and hear, one only hears; all scan for phones. People come in visits of
one to three events. Somebody who belongs to nobody comes now and then.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from stream.contract.records import Record
from stream.contract.units import DAY_MS, MINUTE_MS
from tests.support.worlds import FACE, POLICY, START_MS, VOICE, Desk, feedback, recognition

__all__ = ["CAMERA", "CAMERAS", "CAUSES", "DEVICES", "EVENTS", "MICROPHONE", "ONSET", "TURNS", "UPDATE", "Plan", "home_records"]

CAUSES: Final = ("person", "device", "phone", "feedback", "firmware")
MICROPHONE, TURNS = "microphone", "turns"  # the kitchen is heard through a channel that the pack knows: from then on; by turns
CAMERA, CAMERAS = "camera", "cameras"  # the kitchen is seen by another camera: as an unknown channel, as one that the pack knows
KNOWN_FACES: Final = 1  # the channel of the latter
UPDATE: Final = "update"  # the kitchen's encoder is another by the same name: its vectors have other axes
KNOWN_CHANNEL: Final = 3  # which vectors that are drawn in the projected space are taken for
DEVICES: Final = {"kitchen": ("2.1", True), "hall": ("2.1", True), "bedroom": ("1.7", False)}  # firmware; whether it sees
EVENTS, ONSET = 840, 560  # of a home; the first that is different
VISITS_A_DAY: Final = 10
ACTIVITIES: Final = ("music.play", "light.on", "news.read")
SHIFTS: Final = {"person": 1.2}  # standard deviations within a person, of each dimension; else SHIFT
SHIFT: Final = 0.8
SEEN, SCANNED, HEARD_WITH_OWNER, HEARD_WITHOUT = 0.7, 0.95, 0.9, 0.4
GUESTS, TOLD = 0.1, 0.25  # share of visits that are guests'; of events that somebody speaks of


@dataclass(frozen=True)
class Plan:
    """A home: its number, the cause of its change ("": nothing changes, nor with TURNS), and how many events it has."""

    number: int
    cause: str = ""
    events: int = EVENTS
    seed: int = 0

    @property
    def household_id(self) -> str:
        return f"h-{self.number}"


@dataclass
class _House:
    """What a home is made of while its records are."""

    plan: Plan
    rng: np.random.Generator
    desk: Desk
    people: tuple[str, ...]
    places: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    phones: dict[str, str] = field(default_factory=dict)
    seen: int = 0
    said: int = 0

    def place(self, encoder: str, who: str) -> np.ndarray:
        """Where a person is in an encoder's projected space."""
        if (encoder, who) not in self.places:
            projection = POLICY.projection(encoder)
            self.places[encoder, who] = self.rng.standard_normal(projection.dimensions) * np.sqrt(projection.between)
        return self.places[encoder, who]


def home_records(plan: Plan) -> Iterator[Record]:
    """Everything that one home sends, in order."""
    rng = np.random.default_rng([plan.seed, plan.number])
    house = _House(plan, rng, Desk(), ("anna", "bert", "cora"))
    size = SHIFTS.get(plan.cause, SHIFT)
    shift = {e: size * rng.standard_normal(POLICY.projection(e).dimensions) for e in (VOICE, FACE)}
    if plan.cause in (MICROPHONE, TURNS):
        shift[VOICE] = POLICY.projection(VOICE).channels.mean[KNOWN_CHANNEL]
    if plan.cause == CAMERAS:
        shift[FACE] = POLICY.projection(FACE).channels.mean[KNOWN_FACES]
    yield from _opening(house)
    number, at = 0, START_MS + DAY_MS
    while number < plan.events:
        at += int(rng.exponential(DAY_MS / VISITS_A_DAY)) + 31 * MINUTE_MS
        who = f"guest-{rng.integers(3)}" if rng.random() < GUESTS else str(rng.choice(house.people))
        device = str(rng.choice(list(DEVICES), p=[0.5, 0.3, 0.2]))
        far = plan.cause == TURNS and rng.random() < 0.5
        for turn in range(int(rng.integers(1, 4))):
            changed = far or (number >= ONSET and plan.cause != TURNS)
            yield from _event(house, who, device, at + turn * MINUTE_MS, shift if changed else {})
            number += 1


def _opening(house: _House) -> Iterator[Record]:
    """Everybody joins, says whose phone is whose, and enrols on the device that sees."""
    at = START_MS
    for who in house.people:
        house.phones[who] = f"phone-{who}"
        yield _said(house, at, "join", person_id=who)
        yield _said(house, at, "phone", phone_id=house.phones[who], person_id=who)
        events = [f"e-{house.seen + i}" for i in range(4)]
        for _ in events:
            at += MINUTE_MS
            yield _record(house, who, "kitchen", at, {}, whole=True)
        yield _said(house, at, "enrol", person_id=who, event_ids=events)


def _said(house: _House, at: int, kind: str, **fields: Any) -> Record:
    house.said += 1
    house.desk.now = at
    return house.desk.record("feedback", feedback(house.plan.household_id, f"f-{house.said}", at, kind, **fields))


def _event(house: _House, who: str, device: str, at: int, shift: dict[str, np.ndarray]) -> Iterator[Record]:
    """One recognition, and what is said of it."""
    event_id, rng = f"e-{house.seen}", house.rng
    yield _record(house, who, device, at, shift)
    if rng.random() < TOLD:
        truth = who if who in house.people else "guest"
        lies = house.plan.cause == "feedback" and bool(shift) and rng.random() < 0.8
        named = str(rng.choice([p for p in house.people if p != who])) if lies else truth
        yield _said(house, at + 1000, "correct", event_id=event_id, person_id=named)


def _moved(house: _House, encoder: str, who: str, device: str) -> bool:
    """Whether a change of this home moves what an encoder makes of a person on a device."""
    cause = house.plan.cause
    if encoder != VOICE:
        return cause in (CAMERA, CAMERAS) and device == "kitchen"
    if cause == "firmware":
        return DEVICES[device][0] == "2.1"
    return (cause in ("device", MICROPHONE, TURNS) and device == "kitchen") or (cause == "person" and who == "anna")


def _record(house: _House, who: str, device: str, at: int, shift: dict[str, np.ndarray], whole: bool = False) -> Record:
    firmware, sees = DEVICES[device]
    parts: dict[str, Any] = {"voice": _presented(house, VOICE, who, device, shift)}
    if sees and (whole or house.rng.random() < SEEN):
        parts["face"] = _presented(house, FACE, who, device, shift)
    if house.rng.random() < SCANNED:
        parts["phones"] = _phones(house, who, device, bool(shift))
    version = "2.2" if shift and house.plan.cause == "firmware" and firmware == "2.1" else firmware
    event_id = f"e-{house.seen}"
    house.seen += 1
    house.desk.now = at
    favourite = ACTIVITIES[house.people.index(who)] if who in house.people else ACTIVITIES[0]
    parts["activity"] = favourite if house.rng.random() < 0.6 else str(house.rng.choice(ACTIVITIES))
    told = {"firmware": version, "model": "show" if sees else "speaker"}
    value = recognition(house.plan.household_id, event_id, at, device, **parts) | {"device": told}
    return house.desk.record("recognitions", value)


def _presented(house: _House, encoder: str, who: str, device: str, shift: dict[str, np.ndarray]) -> dict[str, Any]:
    projection = POLICY.projection(encoder)
    vector = house.place(encoder, who) + house.rng.standard_normal(projection.dimensions)
    if shift and house.plan.cause == UPDATE and encoder == VOICE and device == "kitchen":
        vector = np.roll(vector, 1)
    elif shift and _moved(house, encoder, who, device):
        vector = vector + shift[encoder]
    raw = projection.restore(vector.astype("f4")).astype("<f2").tobytes()
    return {"encoder": encoder, "embedding": base64.b64encode(raw).decode()}


def _phones(house: _House, who: str, device: str, changed: bool) -> list[dict[str, Any]]:
    """What Bluetooth hears. A phone that changes hands goes with the next person; one left behind lies in the kitchen."""
    rng, heard = house.rng, {}
    for owner, phone in house.phones.items():
        carrier = owner
        if changed and house.plan.cause == "phone" and owner == "anna":
            if house.plan.number % 2:
                heard[phone] = -52.0 if device == "kitchen" else -85.0
                continue
            carrier = "bert"
        if carrier == who and rng.random() < HEARD_WITH_OWNER:
            heard[phone] = -58.0
        elif carrier != who and rng.random() < HEARD_WITHOUT:
            heard[phone] = -80.0
    return [{"phone_id": p, "rssi_dbm": round(float(dbm + 4 * rng.standard_normal()), 1)} for p, dbm in sorted(heard.items())]
