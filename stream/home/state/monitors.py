"""What watches a home for change: one small detector for each thing that could have changed, and what was last told of it.

Law: bounded, at most BYTES_PER_PERSON for each person with what the home has in common; every number is at stored precision, so
that a home that was written and read back goes on as the one that was not.

What is watched is a *subject*, a kind and a name: a device, a person, somebody's phone or habits, a source of feedback, unknown
voices. One value goes into a detector for each visit, which is what one device saw without a longer break.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from learners.drift.mean_shift import Shift
from learners.drift.person_shift import Stray
from learners.drift.sessions import Rates, Rises, Stream
from learners.kernels.plain import Floats
from stream.contract.policy import Policy
from stream.contract.records import Source

__all__ = [
    "BYTES_PER_PERSON", "EARS_PER_PERSON", "OF_PEOPLE", "TOLD_STEP", "Alarm", "DeviceWatch", "Ear", "PersonWatch", "Subject",
    "Told", "Watch", "new_ear", "rate_of",
]  # fmt: skip

BYTES_PER_PERSON: Final = 512
EARS_PER_PERSON: Final = 1  # encoders of devices that are watched: more would not fit into those bytes
TOLD_STEP: Final = 1 / 64  # nats
OF_PEOPLE: Final = frozenset({"person", "phone", "habit"})
FLEET_RATES: Final = {"phone": 0.3, "habit": 0.4, "feedback": 0.1, "unknown_voices": 0.2}  # what is assumed of a home at first

Subject = tuple[str, str]  # its kind, and what it is called: a person, a device, a source; "" of what the home has one of


def rate_of(kind: str) -> Rates:
    """A stream of shares, of a kind of subject."""
    return Rates(FLEET_RATES[kind])


@dataclass(slots=True)
class Ear:
    """One encoder on one device: what its vectors usually have beside those who made them, and whether that moved."""

    shift: Shift
    moved: Rises = field(default_factory=Rises)

    def learn_one(self, vector: Floats, visit: int, at: int) -> float:
        """Learn what event `at`, the first of a visit or one more, has beside its people; the evidence of a change."""
        score = self.shift.score_one(vector)
        if score is not None:
            self.moved.learn_one(score, visit, at)
        if visit == at:
            self.shift.learn_one(vector)
        return self.moved.e_value


def new_ear(policy: Policy, encoder: str) -> Ear:
    """An ear that has heard nothing."""
    return Ear(Shift(policy.projection(encoder).between))


@dataclass(slots=True)
class DeviceWatch:
    """A device: its visit going on (the number of the first event), when it last saw somebody (ms), and its ears by encoder."""

    visit: int = 0
    seen_at: int = 0
    ears: dict[str, Ear] = field(default_factory=dict)


@dataclass(slots=True)
class PersonWatch:
    """A person: where they usually are by encoder, how far they stray, how often their phone and habits speak against them."""

    places: dict[str, Stray] = field(default_factory=dict)
    strays: Rises = field(default_factory=Rises)
    phone: Rates = field(default_factory=lambda: rate_of("phone"))
    habit: Rates = field(default_factory=lambda: rate_of("habit"))

    def reset(self) -> None:
        """Begin anew."""
        for place in self.places.values():
            place.reset()
        for stream in (self.strays, self.phone, self.habit):
            stream.reset()


class Told(NamedTuple):
    """What was last said of a subject: nats (whole steps of TOLD_STEP), and when (ms).

    `settled`: it was dealt with, so that there is no more evidence; which is not told for a week, for others may share the cause.
    """

    log_e_value: float
    at: int
    settled: bool = False


@dataclass(slots=True)
class Alarm:
    """Something changed: what it seems to be, since which event, and at which event it was noticed."""

    subject: Subject
    since: int
    noticed: int


@dataclass(slots=True)
class Watch:
    """Everything that watches a home."""

    devices: dict[str, DeviceWatch] = field(default_factory=dict)
    people: dict[str, PersonWatch] = field(default_factory=dict)
    unknown_voices: Rates = field(default_factory=lambda: rate_of("unknown_voices"))
    feedback: dict[Source, Rates] = field(default_factory=dict)
    told: dict[Subject, Told] = field(default_factory=dict)
    alarm: Alarm | None = None

    def streams(self, subject: Subject) -> Sequence[Stream]:
        """The streams whose evidence is a subject's; none of one that is not watched."""
        kind, name = subject
        if kind == "device" and name in self.devices:
            return [ear.moved for ear in self.devices[name].ears.values()]
        if kind == "unknown_voices":
            return [self.unknown_voices]
        if kind == "feedback":
            return list(self.feedback.values())
        person = self.people.get(name)
        if person is None or kind not in OF_PEOPLE:
            return []
        if kind == "person":
            return [person.strays]
        return [person.phone] if kind == "phone" else [person.habit]

    def reset(self, subject: Subject) -> None:
        """Begin anew with all that a change of the subject may have touched: of people and devices that is everything."""
        if subject[0] in ("phone", "habit", "feedback", "unknown_voices"):
            for stream in self.streams(subject):
                stream.reset()
            return
        self._reset_devices()
        self.unknown_voices.reset()
        for person in self.people.values():
            person.reset()

    def _reset_devices(self) -> None:
        for device in self.devices.values():
            for ear in device.ears.values():
                ear.shift.reset()
                ear.moved.reset()

    def forget_person(self, person_id: str) -> None:
        """Watch a person no longer, and forget what was told of them; devices are heard anew, for the person was part of it."""
        self.people.pop(person_id, None)
        self.told = {subject: told for subject, told in self.told.items() if subject[0] == "device" or subject[1] != person_id}
        self._reset_devices()
        if self.alarm is not None and self.alarm.subject[0] != "device" and self.alarm.subject[1] == person_id:
            self.alarm = None
