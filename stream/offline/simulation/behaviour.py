"""The life of one simulated home: who comes to which device when, and what its sensors then see.

Law: `live` writes down what a contract record may hold, and beside it, never in it, who it truly was.
Everything is drawn from one generator of the home's own, so a home does not depend on how many others there are.
"""

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from stream.contract.records import GUEST
from stream.contract.units import DAY_MS, HOUR_MS

from .people import FACE, MICROPHONES, VOICE, Body, Microphone, Numbers, draw_body
from .scenarios import Scenario

__all__ = ["BEGIN_MS", "Arrival", "House", "Moment", "Truth", "live", "recognition"]

BEGIN_MS: Final = 1_762_128_000_000  # Monday, 3 November 2025, 00:00 UTC
VISITS_PER_PERSON_AND_DAY: Final = 1.3
MODELS: Final = {"kitchen": "show-8", "living-room": "speaker-2", "hall": "door-cam-1"}
HEARD_BY: Final = {"kitchen": "near", "living-room": "far", "hall": "door"}
CAMERAS: Final = ("kitchen", "hall")
NEAR_DBM, ELSEWHERE_DBM, COUNTER_DBM, NEXT_DOOR_DBM = -58.0, -70.0, -50.0, -91.0


class Arrival(NamedTuple):
    """A record as it is sent: when it reaches the broker unless the network delays it (ms), its topic, and its value."""

    at_ms: int
    topic: str
    value: dict[str, Any]


class Truth(NamedTuple):
    """Who it really was: `person_id` as the contract would answer (a member or guest), `who` the body itself."""

    household_id: str
    event_id: str
    observed_at_ms: int
    person_id: str
    who: str
    device_id: str


@dataclass(slots=True)
class House:
    """One home: people with the time (ms) from and to which they belong to it, visitors, and what is special."""

    household_id: str
    scenario: Scenario
    rng: np.random.Generator
    days: int
    members: list[Body]
    visitors: list[Body]
    stays: dict[str, tuple[int, int]]  # member -> from, to (ms)
    phone_left: str | None = None
    microphone_changes_at_ms: int | None = None

    @property
    def begin_ms(self) -> int:
        """The first morning; the evening before is for joining and enrolment."""
        return BEGIN_MS + DAY_MS

    @property
    def end_ms(self) -> int:
        """Midnight after the last day."""
        return self.begin_ms + self.days * DAY_MS

    @property
    def half_ms(self) -> int:
        """Something over half of the simulated time, when a story turns."""
        return self.begin_ms + int(0.55 * self.days) * DAY_MS

    def belongs(self, name: str, at_ms: int) -> bool:
        """Whether that person is a member at that time."""
        begin, end = self.stays.get(name, (0, 0))
        return begin <= at_ms < end

    @classmethod
    def build(cls, household_id: str, scenario: Scenario, names: list[str], seed: list[int], days: int) -> "House":
        """The home of a story, its people named in order by `names` (members first, then visitors)."""
        rng = np.random.default_rng(seed)
        size = len(scenario.people)
        members: list[Body] = []
        for name, role in zip(names, scenario.people, strict=False):
            relative = members[0] if members and role in ("child", "teen") else None
            phone = None if role == "child" else f"phone-{name}"
            members.append(draw_body(rng, name, role, phone, relative))
        visitors = [draw_body(rng, name, "visitor", f"phone-{name}" if rng.random() < 0.7 else None) for name in names[size:]]
        end_ms = BEGIN_MS + (days + 2) * DAY_MS
        house = cls(household_id, scenario, rng, days, members, visitors, {b.name: (BEGIN_MS, end_ms) for b in members})
        house._turn()
        return house

    def _turn(self) -> None:
        """Give the people and devices what their story is about."""
        twist, first = self.scenario.twist, self.members[0]
        for body in self.members:
            if body.role == "child":  # six weeks stand for a few years
                strength = 0.55 if twist == "growing" else 0.15
                body.voice_growth, body.face_growth = strength * VOICE.place(self.rng), 0.5 * strength * FACE.place(self.rng)
        if twist == "alike":
            twin = self.members[1]
            twin.voice, twin.face = VOICE.place(self.rng, first.voice, 0.97), FACE.place(self.rng, first.face, 0.97)
        elif twist == "phone_left":
            self.phone_left = first.phone
        elif twist == "microphone":
            self.microphone_changes_at_ms = self.half_ms
        elif twist == "moves_in":
            self.visitors[0].phone = f"phone-{self.visitors[0].name}"
            self.stays[self.visitors[0].name] = (self.half_ms, self.end_ms + DAY_MS)
            self.stays[self.members[1].name] = (BEGIN_MS, self.half_ms)
        elif twist == "erased":
            self.stays[self.members[2].name] = (BEGIN_MS, self.half_ms)


class Moment(NamedTuple):
    """One interaction to be: when, who, at which device, what for, and what the whole visit shares (voice, dBm)."""

    at_ms: int
    body: Body
    device_id: str
    activity: str
    mood: Numbers
    fading_db: float


def live(house: House) -> Iterator[Moment]:
    """The interactions of a home in order of time: visits of members and guests, of one to three interactions each."""
    moments = [moment for day in range(house.days) for moment in _day(house, house.begin_ms + day * DAY_MS)]
    return iter(sorted(moments, key=lambda m: (m.at_ms, m.body.name)))


def _day(house: House, midnight_ms: int) -> list[Moment]:
    rng = house.rng
    present = [b for b in (*house.members, *house.visitors) if house.belongs(b.name, midnight_ms)]
    guests = [b for b in house.visitors if not house.belongs(b.name, midnight_ms)]
    out: list[Moment] = []
    for body in present:
        for _ in range(int(rng.poisson(VISITS_PER_PERSON_AND_DAY))):
            out += _visit(house, body, midnight_ms)
    share = house.scenario.guests / (1 - house.scenario.guests)
    often = np.arange(len(guests), 0, -1.0) ** 2  # the first of them comes most often
    for _ in range(int(rng.poisson(share * VISITS_PER_PERSON_AND_DAY * len(present)))):
        out += _visit(house, guests[int(rng.choice(len(guests), p=often / often.sum()))], midnight_ms)
    return out


def _visit(house: House, body: Body, midnight_ms: int) -> list[Moment]:
    rng = house.rng
    weight = np.array([h.weight for h in body.habits])
    device = str(rng.choice(["kitchen", "living-room", "hall"], p=[0.5, 0.35, 0.15]))
    mood, fading_db = 0.7 * VOICE.mood(rng), float(6 * rng.standard_normal())
    late_h = 1.2 if (midnight_ms // DAY_MS + 3) % 7 >= 5 and body.role != "elder" else 0.0  # the weekend
    out, at_ms = [], 0
    for turn in range(1 + int(rng.choice(3, p=[0.6, 0.3, 0.1]))):
        habit = body.habits[int(rng.choice(len(weight), p=weight / weight.sum()))]
        if turn == 0:
            hour = (habit.hour + late_h + habit.spread_h * rng.standard_normal()) % 24
            at_ms = midnight_ms + int(hour * HOUR_MS)
        out.append(Moment(at_ms, body, device, habit.activity, mood, fading_db))
        at_ms += 20_000 + int(100_000 * rng.random())
    return out


def recognition(house: House, moment: Moment, event_id: str, *, guided: bool = False) -> tuple[dict[str, Any], Truth]:
    """The contract record of a moment and the truth about it. A guided moment is complete: it is made on purpose."""
    rng, body, device = house.rng, moment.body, moment.device_id
    changed = house.microphone_changes_at_ms is not None and moment.at_ms >= house.microphone_changes_at_ms
    replaced = changed and device == "kitchen"
    heard, seen, scanned = rng.random(3) < (1.0, 1.0, 1.0) if guided else rng.random(3) < (0.86, 0.4, 0.9)
    share = (moment.at_ms - house.begin_ms) / (house.end_ms - house.begin_ms)
    value: dict[str, Any] = {"v": 1, "event_id": event_id, "household_id": house.household_id, "device_id": device,
                             "observed_at": moment.at_ms}  # fmt: skip
    if heard:
        heard_by = MICROPHONES["replacement" if replaced else HEARD_BY[device]]
        value["voice"] = _voice(rng, body.voice_at(share) + moment.mood, heard_by)
    if seen and device in CAMERAS:
        noise = float(rng.uniform(0.9, 1.8))
        value["face"] = {"encoder": FACE.encoder, "embedding": _base64(FACE.present(rng, body.face_at(share), noise)),
                         "quality": {"detection_score": round(2.2 - noise, 2)}}  # fmt: skip
    if scanned:
        value["phones"] = _phones(house, moment)
    value["activity"] = moment.activity
    value["device"] = {"model": MODELS[device], "firmware": "2.2.0" if replaced else "2.1.0"}
    person_id = body.name if house.belongs(body.name, moment.at_ms) else GUEST
    return value, Truth(house.household_id, event_id, moment.at_ms, person_id, body.name, device)


def _voice(rng: np.random.Generator, place: Numbers, heard_by: Microphone) -> dict[str, Any]:
    seconds = float(np.clip(rng.gamma(4.0, 0.7), 0.8, 8.0))
    noise = 0.85 * heard_by.noise * (3.0 / seconds) ** 0.25  # a longer utterance says more
    return {"encoder": VOICE.encoder, "embedding": _base64(VOICE.present(rng, place, noise, heard_by.shift)),
            "quality": {"duration_s": round(seconds, 2)}}  # fmt: skip


def _phones(house: House, moment: Moment) -> list[dict[str, Any]]:
    """What Bluetooth hears: the speaker's phone near, those of others at home farther away, the one on the counter always."""
    rng, heard = house.rng, {}
    for body in (*house.members, *house.visitors):
        speaks = body is moment.body
        if body.phone is None or not (speaks or house.belongs(body.name, moment.at_ms)):
            continue
        if body.phone == house.phone_left:
            heard[body.phone] = COUNTER_DBM if moment.device_id == "kitchen" else ELSEWHERE_DBM
        elif speaks and rng.random() < 0.75:
            heard[body.phone] = NEAR_DBM + moment.fading_db
        elif rng.random() < (1.0 if speaks else 0.55):
            heard[body.phone] = ELSEWHERE_DBM + 6 * rng.standard_normal()
    if rng.random() < 0.08:
        heard["phone-next-door"] = NEXT_DOOR_DBM
    return [
        {"phone_id": phone, "rssi_dbm": round(float(dbm + 3 * rng.standard_normal()), 1)} for phone, dbm in sorted(heard.items())
    ]


def _base64(vector: Numbers) -> str:
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()
