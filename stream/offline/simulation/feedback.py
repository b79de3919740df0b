"""What the people of a simulated home say: joining, enrolment, honest and wrong feedback, and what their story makes them say.

Law: nobody in the simulation knows what the software answered. A `confirm` is the yes of somebody who was not listening closely.
"""

from typing import Any, Final

from stream.contract.records import GUEST
from stream.contract.units import DAY_MS, HOUR_MS, MINUTE_MS

from .behaviour import BEGIN_MS, Arrival, House, Moment, Truth, live, recognition
from .people import VOICE, Body

__all__ = ["Diary", "diary"]

GUIDED_PER_MEMBER: Final = 3
HONEST, MISTAKEN = 0.09, 0.006  # share of recognitions that draw such feedback
PRANKS, SECOND_THOUGHTS = 0.15, 0.16
DELAYS_MS: Final = (6_000, 2 * HOUR_MS, DAY_MS)


class Diary:
    """All that one home sends, in no particular order, and the truth about it."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.arrivals: list[Arrival] = []
        self.truths: list[Truth] = []
        self._said = 0

    def meets(self, moment: Moment, *, guided: bool = False) -> Truth:
        """A device sees somebody."""
        value, truth = recognition(self.house, moment, f"e-{len(self.truths):04d}", guided=guided)
        self.arrivals.append(Arrival(moment.at_ms, "recognitions", value))
        self.truths.append(truth)
        return truth

    def says(self, at_ms: int, kind: str, source: str = "app", **fields: Any) -> str:
        """Somebody says something; returns the id it was said under."""
        feedback_id = f"f-{self._said:04d}"
        self._said += 1
        value = {"v": 1, "feedback_id": feedback_id, "household_id": self.house.household_id, "given_at": at_ms,
                 "source": source, "kind": kind, **fields}  # fmt: skip
        self.arrivals.append(Arrival(at_ms, "feedback", value))
        return feedback_id


def diary(house: House) -> Diary:
    """Everything a home sends from its first evening to its last day."""
    out = Diary(house)
    _first_evening(out)
    turned = False
    for moment in live(house):
        if not turned and moment.at_ms >= house.half_ms:
            turned = True
            _scenario_turns(out)
        _react(out, out.meets(moment))
    return out


def _first_evening(out: Diary) -> None:
    """Join, phones and, where the story has it, three guided recognitions a member in the kitchen."""
    house, at_ms = out.house, BEGIN_MS + 18 * HOUR_MS
    for body in house.members:
        _joins(out, body, at_ms)
        if house.scenario.enrolled:
            guided = []
            for _ in range(GUIDED_PER_MEMBER):
                at_ms += 15_000
                mood = 0.3 * VOICE.mood(house.rng)
                guided.append(out.meets(Moment(at_ms, body, "kitchen", "setup.enrol", mood, 0.0), guided=True).event_id)
            out.says(at_ms + 5_000, "enrol", person_id=body.name, event_ids=guided)
        at_ms += MINUTE_MS


def _joins(out: Diary, body: Body, at_ms: int) -> None:
    out.says(at_ms, "join", person_id=body.name)
    if body.phone is not None:
        out.says(at_ms + 2_000, "phone", phone_id=body.phone, person_id=body.name)


def _scenario_turns(out: Diary) -> None:
    """What a story changes half way through membership and phones."""
    house, at_ms, twist = out.house, out.house.half_ms, out.house.scenario.twist
    if twist == "moves_in":
        out.says(at_ms, "leave", person_id=house.members[1].name)
        _joins(out, house.visitors[0], at_ms + HOUR_MS)
    elif twist == "erased":
        out.says(at_ms, "leave", person_id=house.members[2].name)
        out.says(at_ms + 2 * HOUR_MS, "erase", "pin", person_id=house.members[2].name)
    elif twist == "phone_passed_on":
        first, second = house.members[:2]
        first.phone, second.phone = f"{first.phone}-new", first.phone
        for body in (first, second):
            out.says(at_ms + HOUR_MS, "phone", phone_id=body.phone, person_id=body.name)


def _react(out: Diary, truth: Truth) -> None:
    """What is said about one recognition: mostly nothing, mostly the truth."""
    house, rng = out.house, out.house.rng
    roll = rng.random()
    at_ms = truth.observed_at_ms + int(rng.choice(DELAYS_MS))
    source = str(rng.choice(["app", "voice", "annotator"], p=[0.6, 0.35, 0.05]))
    if _scenario_reacts(out, truth, roll):
        return
    if roll < HONEST:
        _honest(out, truth, at_ms, source)
    elif roll < HONEST + MISTAKEN:
        out.says(at_ms, "correct", source, event_id=truth.event_id, person_id=_another(house, truth))


def _honest(out: Diary, truth: Truth, at_ms: int, source: str) -> None:
    form = out.house.rng.choice(["correct", "confirm", "reject"], p=[0.65, 0.2, 0.15])
    if form == "reject":
        out.says(at_ms, "reject", source, event_id=truth.event_id, person_id=_another(out.house, truth))
    elif form == "confirm" and truth.person_id != GUEST:
        out.says(at_ms, "confirm", source, event_id=truth.event_id)
    else:
        out.says(at_ms, "correct", source, event_id=truth.event_id, person_id=truth.person_id)


def _another(house: House, truth: Truth) -> str:
    """A member who it was not (a guest where there is no other)."""
    others = [b.name for b in house.members if b.name != truth.who and house.belongs(b.name, truth.observed_at_ms)]
    return str(house.rng.choice(others)) if others else GUEST


def _scenario_reacts(out: Diary, truth: Truth, roll: float) -> bool:
    """What only this home's people say; False when they say nothing special about this recognition."""
    house, twist, event_id = out.house, out.house.scenario.twist, truth.event_id
    soon_ms = truth.observed_at_ms + 8_000
    if twist == "prank" and truth.who == house.members[2].name and roll < PRANKS:
        out.says(soon_ms, "correct", event_id=event_id, person_id=house.members[0].name)
        return True
    if twist == "contradiction" and roll < SECOND_THOUGHTS:
        wrong = out.says(soon_ms, "correct", event_id=event_id, person_id=_another(house, truth))
        if roll < SECOND_THOUGHTS / 2:
            out.says(soon_ms + HOUR_MS, "retract", retracts=wrong)
        else:
            out.says(soon_ms + HOUR_MS, "correct", "pin", event_id=event_id, person_id=truth.person_id)
        return True
    return False
