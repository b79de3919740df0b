"""Small logs of a few households from a seed: every kind of record, in every state of lateness, and some that are rubbish."""

import base64
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from stream.contract.records import GUEST

__all__ = ["POISON", "Sent", "history"]

POISON = "poison"  # the activity of an event on which `simulator.FRAGILE` fails
START_MS = 1_763_690_000_000
ENCODERS = {"voice": ("resemblyzer-0.1.4", 256), "face": ("dlib-resnet-v1", 128)}
SOURCES = ("app", "voice", "pin", "annotator")


class Sent(NamedTuple):
    """A record as a producer sends it."""

    topic: str
    partition: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def history(seed: int, partitions: int, records: int, poison: float = 0.0) -> Iterator[Sent]:
    """About so many records of 2 to 5 households, spread over the partitions.

    Parameters
    ----------
    poison
        Probability, of each recognition, to be one on which the core fails.
    """
    chance, vectors, now = random.Random(seed), np.random.default_rng(seed), START_MS
    homes = [_Household(f"h-{number}", number % partitions, chance, vectors, poison) for number in range(chance.randint(2, 5))]
    for _ in range(records):
        now += chance.randrange(1, 1_800_000)
        yield from chance.choice(homes).next(now)


@dataclass
class _Household:
    household_id: str
    partition: int
    chance: random.Random
    vectors: np.random.Generator
    poison: float
    events: list[str] = field(default_factory=list)
    feedbacks: list[str] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    likeness: dict[tuple[str, str], Any] = field(default_factory=dict)  # of (person, modality), around which vectors lie
    numbers: int = 0

    def next(self, now: int) -> Iterator[Sent]:
        """What the household sends next: mostly recognitions, once its people have joined and enrolled."""
        if not self.feedbacks:
            yield from self._arrive(now)
            return
        kinds = {
            partial(self._recognition, now): 55,
            partial(self._claim, now): 22,
            partial(self._early, now): 5,
            partial(self._membership, now): 8,
            partial(self._again, now): 5,
            partial(self._rubbish, now): 4,
            partial(self._sighting, now): 4,
            partial(self._erase, now): 1,
        }
        yield from self.chance.choices(list(kinds), list(kinds.values()))[0]()

    def _arrive(self, now: int) -> Iterator[Sent]:
        for person in ("alice", "bob"):
            yield self._feedback(now, "join", person_id=person)
            yield self._feedback(now, "phone", phone_id=f"ph-{person}", person_id=person)
            enrolment = [self._number("e") for _ in range(2)]
            for event_id in enrolment:
                yield self._seen(now, event_id, person)
            yield self._feedback(now, "enrol", person_id=person, event_ids=enrolment)

    def _recognition(self, now: int) -> Iterator[Sent]:
        yield self._seen(now - self.chance.choice([0, 0, 0, 40_000, 7_200_000]), self._number("e"), self._anyone())

    def _claim(self, now: int) -> Iterator[Sent]:
        event_id = self.chance.choice(self.events[-8:] + self.events[:1] + ["e-never"])
        kind = self.chance.choice(["confirm", "reject", "correct", "correct"])
        yield self._feedback(now, kind, event_id=event_id, **({} if kind == "confirm" else {"person_id": self._anyone()}))
        if self.chance.random() < 0.2:
            yield self._feedback(now, "retract", retracts=self.chance.choice(self.feedbacks[-4:]))

    def _early(self, now: int) -> Iterator[Sent]:
        event_id, person = self._number("e"), self._anyone()
        yield self._feedback(now, "correct", event_id=event_id, person_id=person)
        if self.chance.random() < 0.7:
            yield self._seen(now, event_id, person)

    def _membership(self, now: int) -> Iterator[Sent]:
        person = self.chance.choice(["alice", "bob", "carol"])
        kind = self.chance.choice(["join", "leave", "phone", "retract"])
        fields: dict[str, dict[str, Any]] = {
            "join": {"person_id": person},
            "leave": {"person_id": person},
            "phone": {"phone_id": "ph-alice", "person_id": self.chance.choice([person, None])},
            "retract": {"retracts": self.chance.choice([*self.feedbacks, "f-never"])},
        }
        yield self._feedback(now, kind, **fields[kind])

    def _erase(self, now: int) -> Iterator[Sent]:
        yield self._feedback(now, "erase", person_id=self.chance.choice(["alice", "bob", None]))

    def _sighting(self, now: int) -> Iterator[Sent]:
        """Something happened: a sensor reports it, mostly a phone too, in either order; often somebody is met just then."""
        kind, phone = self.chance.choice(["door.unlock", "garage.open"]), f"ph-{self.chance.choice(['alice', 'bob', 'stranger'])}"
        nonce = self.chance.choice([None, None, self._number("n"), "n-again"])
        reports = [("front-door", "home", now), (phone, "personal", now + self.chance.randrange(-12_000, 12_000))]
        self.chance.shuffle(reports)
        for device, device_class, at in reports[: self.chance.choice([1, 2, 2, 2])]:
            told = {"v": 1, "sighting_id": self._number("s"), "device_id": device, "device_class": device_class, "kind": kind}
            yield self._send("sightings", at, told | {"nonce": nonce, "observed_at": at})
        if self.chance.random() < 0.5:
            yield self._seen(now + self.chance.randrange(-12_000, 70_000), self._number("e"), self._anyone())

    def _again(self, now: int) -> Iterator[Sent]:
        yield self.chance.choice(self.sent)._replace(timestamp=now)

    def _rubbish(self, now: int) -> Iterator[Sent]:
        topic, good = self.chance.choice(["recognitions", "feedback"]), self.chance.choice(self.sent)
        rubbish = [
            Sent(topic, self.partition, now, good.key, b"{not json"),
            Sent(topic, self.partition, now, good.key, None),
            Sent(topic, self.partition, now, None, good.value),
            Sent(topic, self.partition, now, b"h-other", good.value),
            Sent(topic, self.partition, now, good.key, b'{"v": 2}'),
            Sent(topic, self.partition, now, good.key, bytes(self.chance.randbytes(40))),
        ]
        yield self.chance.choice(rubbish)

    def _seen(self, at: int, event_id: str, person: str) -> Sent:
        self.events.append(event_id)
        value: dict[str, Any] = {"v": 1, "event_id": event_id, "device_id": "kitchen", "observed_at": at, "activity": "music"}
        for modality, (encoder, _) in ENCODERS.items():
            if self.chance.random() < 0.8:
                value[modality] = {"encoder": encoder, "embedding": self._vector(person, modality)}
        if self.chance.random() < 0.6:
            phones = [f"ph-{owner}" for owner in ("alice", "bob") if self.chance.random() < (0.9 if owner == person else 0.4)]
            value["phones"] = [{"phone_id": phone, "rssi_dbm": -50.0 - self.chance.randrange(40)} for phone in phones]
        if self.chance.random() < self.poison:
            value["activity"] = POISON
        return self._send("recognitions", at, value)

    def _feedback(self, at: int, kind: str, **fields: Any) -> Sent:
        self.feedbacks.append(self._number("f"))
        told = {"v": 1, "feedback_id": self.feedbacks[-1], "given_at": at, "source": self.chance.choice(SOURCES), "kind": kind}
        return self._send("feedback", at, told | fields)

    def _send(self, topic: str, at: int, value: dict[str, Any]) -> Sent:
        body = json.dumps(value | {"household_id": self.household_id}).encode()
        self.sent.append(Sent(topic, self.partition, at, self.household_id.encode(), body))
        return self.sent[-1]

    def _vector(self, person: str, modality: str) -> str:
        length = ENCODERS[modality][1]
        if (person, modality) not in self.likeness:
            self.likeness[person, modality] = self.vectors.normal(size=length)
        vector = self.likeness[person, modality] + 0.4 * self.vectors.normal(size=length)
        return base64.b64encode((vector / np.linalg.norm(vector)).astype("<f2").tobytes()).decode()

    def _anyone(self) -> str:
        return self.chance.choice(["alice", "alice", "bob", "bob", "carol", GUEST])

    def _number(self, prefix: str) -> str:
        self.numbers += 1
        return f"{prefix}-{self.numbers:04d}"
