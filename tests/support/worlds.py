"""Seeded small worlds: contract records of a few homes, with everything that people, phones and networks do to them.

Law: a seed and a Shape give the same records for ever. Nothing here knows how the core works inside; vectors are drawn
around a centre of each person, in the encoders' own spaces.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from learners.precision import SHARE_STEP
from stream.contract.codec import decode, encode_output
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.records import GUEST, InvalidRecord, Record, dead_letter
from stream.contract.units import DAY_MS, MINUTE_MS
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import Household, Slot, new_slot
from stream.home.state.layout import HOME
from stream.home.step import Step, step, step_batch

__all__ = ["FACE", "POLICY", "START_MS", "VOICE", "Desk", "Run", "Shape", "Story", "embedding", "row_of", "world"]

VOICE, FACE = "resemblyzer-0.1.4", "dlib-resnet-v1"
START_MS = 1_763_690_000_000
PACKS = Path(__file__).parent.parent / "golden" / "packs"  # of the states that were kept; those of the package are fitted anew
POLICY = Policy(
    encoders={name: told.model_copy(update={"pack": str(PACKS / f"{name}.npz")}) for name, told in Policy().encoders.items()}
)
NAMES = ("anna", "bert", "cora", "dirk", "edda", "finn")
KINDS = ("confirm",) * 2 + ("correct",) * 3 + ("reject",) * 2 + ("retract",) * 2 + ("phone", "enrol", "join", "leave")
HOMES_MAX = 8  # of one run in batches
BATCH = 40  # records that are played at once where nobody wants it otherwise
DEVICES = ("kitchen", "hall", "bedroom")
ACTIVITIES = ("music.play", "light.on", "timer.set", "news.read")


# ---- vectors


@cache
def centre(encoder: str, person: str) -> np.ndarray:
    """What a person is like in an encoder's space, the same in every world."""
    projection = POLICY.projection(encoder)
    seed = int.from_bytes(f"{encoder} {person}".encode(), "big") % 2**63
    return np.random.default_rng(seed).standard_normal(projection.dimensions) * np.sqrt(projection.between)


def embedding(encoder: str, person: str, rng: np.random.Generator) -> str:
    """A recording of a person as the contract writes it."""
    projection = POLICY.projection(encoder)
    recording = centre(encoder, person) + rng.standard_normal(projection.dimensions)
    return base64.b64encode(projection.restore(recording.astype("f4")).astype("<f2").tobytes()).decode()


# ---- records


@dataclass
class Desk:
    """Where records get their place: one partition, an offset counted for each topic."""

    offsets: Counter[str] = field(default_factory=Counter)
    now: int = START_MS

    def record(self, topic: str, value: dict[str, Any]) -> Record:
        raw = json.dumps(value, separators=(",", ":")).encode()
        return self.raw(topic, value["household_id"].encode(), raw)

    def raw(self, topic: str, key: bytes | None, raw: bytes | None) -> Record:
        self.offsets[topic] += 1
        return Record(topic, 0, self.offsets[topic] - 1, self.now, key, raw)


def recognition(home: str, event_id: str, at: int, device: str = DEVICES[0], **parts: Any) -> dict[str, Any]:
    """The value of a recognition; `parts` as in the contract."""
    return {"v": 1, "event_id": event_id, "household_id": home, "device_id": device, "observed_at": at} | parts


def feedback(home: str, feedback_id: str, at: int, kind: str, **fields: Any) -> dict[str, Any]:
    """The value of a feedback; by the app, unless `fields` say otherwise."""
    return {"v": 1, "feedback_id": feedback_id, "household_id": home, "given_at": at, "source": "app", "kind": kind} | fields


# ---- playing records


@dataclass
class Run:
    """A serial run of the core: what the worker does, without its broker and store.

    `restarts`: every home is written and read back after every record. `stale`: what stands in a slot before a home does.
    """

    policy: Policy = POLICY
    restarts: bool = False
    stale: int = 0
    homes: dict[str, Household] = field(default_factory=dict)
    outputs: list[Encoded] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    def play(self, record: Record) -> Step:
        try:
            event = decode(record, self.policy)
        except InvalidRecord as fault:
            result = Step([dead_letter(record, fault.reason, fault.detail)], [])
        else:
            name = event.value.household_id
            if name not in self.homes:
                self._begin(name, new_slot())
            result = step(self.homes[name], event, self.policy)
            if self.restarts:
                self.restart(name)
        self.outputs += [encode_output(o, record.partition, record.timestamp) for o in result.outputs]
        self.outcomes.update(result.outcomes)
        return result

    def _begin(self, name: str, slot: Slot) -> None:
        self.homes[name] = Household.new(name, self._stale(slot))

    def _stale(self, slot: Slot) -> Slot:
        slot.view(np.uint8)[:] = self.stale
        return slot

    def play_each(self, records: Iterable[Record]) -> "Run":
        """One record after the other."""
        for record in records:
            self.play(record)
        return self

    def play_in_batches(self, records: Sequence[Record], size: int) -> "Run":
        """The same as `play_each`, so many at once, all homes side by side in one array."""
        slots = np.zeros(HOMES_MAX, HOME)
        for first in range(0, len(records), size):
            self._play_batch(records[first : first + size], slots)
        return self

    def play_all(self, records: Iterable[Record]) -> "Run":
        """The same again, the quickest way: as the worker does it."""
        return self.play_each(records) if self.restarts else self.play_in_batches([*records], BATCH)

    def _play_batch(self, batch: Sequence[Record], slots: np.ndarray) -> None:
        letters, events = {}, []
        for number, record in enumerate(batch):
            try:
                events.append(decode(record, self.policy))
            except InvalidRecord as fault:
                letters[number] = dead_letter(record, fault.reason, fault.detail)
        for event in events:
            if event.value.household_id not in self.homes:
                self._begin(event.value.household_id, slots[len(self.homes) :][:1])
        responses, failures = step_batch(self.homes, events, self.policy)
        for failure in failures.values():
            raise failure.error
        answers = iter(responses)
        for number, record in enumerate(batch):
            if number in letters:
                self.outputs.append(encode_output(letters[number], record.partition, record.timestamp))
                continue
            answer = next(answers)
            assert answer is not None, "only who failed has no answer"
            self.outputs += answer.outputs
            self.outcomes.update(answer.outcomes)

    def restart(self, name: str) -> None:
        self.homes[name] = decode_home(encode_home(self.homes[name]), self.policy, self._stale(new_slot()))

    def states(self) -> dict[str, bytes]:
        return {name: encode_home(home) for name, home in self.homes.items()}

    def values(self, topic: str) -> list[Any]:
        """The values of an output topic, as a reader of JSON gets them."""
        return [json.loads(o.value) for o in self.outputs if o.topic == topic and o.value is not None]


def row_of(home: Household, event_id: str) -> Any:
    """What the ledger keeps of an event; None: nothing."""
    rows = home.record["rows"][: int(home.record["rows_used"])]
    own = event_id.encode()
    return next((row for row in rows if row["event_id"][: int(row["event_id_length"])].tobytes() == own), None)


# ---- one home, told by hand


class Story:
    """One home played by hand, one line of the contract after the other; times move on a minute with each record.

    Opens with everybody joined, and (`enrolled`) each one's voice and face enrolled from six events.
    """

    def __init__(self, people: tuple[str, ...] = ("anna", "bert"), enrolled: bool = True, policy: Policy = POLICY) -> None:
        self.desk, self.run, self.rng = Desk(), Run(policy), np.random.default_rng(0)
        self.run.homes["h"] = Household.new("h")
        self.said = self.seen = 0
        for person in people:
            self.say("join", person_id=person)
        for person in people if enrolled else ():
            self.say("enrol", person_id=person, event_ids=[self.see(person) for _ in range(6)])

    @property
    def home(self) -> Household:
        return self.run.homes["h"]

    @property
    def state(self) -> bytes:
        return encode_home(self.home)

    def wait(self, ms: int) -> None:
        self.desk.now += ms

    def play(self, topic: str, value: dict[str, Any]) -> Step:
        self.wait(MINUTE_MS)
        return self.run.play(self.desk.record(topic, value))

    def say(self, kind: str, at: int | None = None, **fields: Any) -> Step:
        """A feedback, by the app and with the next id (f-1, f-2, …) unless told otherwise."""
        self.said += 1
        at = self.desk.now + MINUTE_MS if at is None else at
        return self.play("feedback", feedback("h", fields.pop("feedback_id", f"f-{self.said}"), at, kind, **fields))

    @property
    def last(self) -> str:
        """The id of the newest feedback."""
        return f"f-{self.said}"

    def see(self, person: str | None = None, event_id: str | None = None, **parts: Any) -> str:
        """A recognition, by voice and face when a person is told; returns its id (e-1, e-2, …).

        Without voice and face it is at a device where nobody was just heard, unless `device` says otherwise.
        """
        self.seen += 1
        event_id = event_id or f"e-{self.seen}"
        if person is not None:
            for part, encoder in (("voice", VOICE), ("face", FACE)):
                parts.setdefault(part, {"encoder": encoder, "embedding": embedding(encoder, person, self.rng)})
        if parts.get("voice") is None and parts.get("face") is None:
            parts.setdefault("device", DEVICES[-1])
        at = parts.pop("observed_at", self.desk.now + MINUTE_MS)
        self.play("recognitions", recognition("h", event_id, at, **{k: v for k, v in parts.items() if v is not None}))
        return event_id

    def answers(self, event_id: str) -> list[Any]:
        """Everything published about an event, revision 0 first."""
        return [i for i in self.run.values("identities") if i["event_id"] == event_id]

    def shares(self, event_id: str) -> dict[str, float]:
        """Whose an event is held to be, by name."""
        row = row_of(self.home, event_id)
        assert row is not None, f"the ledger has no {event_id}"
        shares = (row["shares"][: len(self.home.people) + 1] * SHARE_STEP).tolist()
        return dict(zip([GUEST, *self.home.people], shares, strict=True))


# ---- whole worlds


@dataclass(frozen=True)
class Shape:
    """What a world is like; `odd`: the share of feedback that is early, late, contradictory, unknown or taken back."""

    homes: int = 2
    people: int = 3
    records: int = 40  # of each home, beside its opening
    enrolled: bool = True
    odd: float = 0.3
    erasing: bool = True
    sighted: float = 0.0  # share of records that report something that happened; all then follow each other sooner
    start_ms: int = START_MS
    numbered_from: int = 0  # ids of events and feedback count from here


def world(seed: int, shape: Shape) -> list[Record]:
    """The records of all homes in the order they arrive, interleaved."""
    rng = np.random.default_rng(seed)
    desk = Desk(now=shape.start_ms)
    lives = [_Life(f"h-{n}", np.random.default_rng([seed, n]), shape, desk) for n in range(shape.homes)]
    records = [record for life in lives for record in life.opening()]
    for _ in range(shape.records * shape.homes):
        records.append(lives[rng.integers(len(lives))].one_more())
    return records


class _Life:
    """One home's life: who lives there by the records, and what was sent so far."""

    def __init__(self, name: str, rng: np.random.Generator, shape: Shape, desk: Desk) -> None:
        self.name, self.rng, self.shape, self.desk = name, rng, shape, desk
        self.people = [f"{n}:{name}" for n in NAMES[: shape.people]]
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.away: dict[str, None] = {}  # who should come back, in order
        self.events = self.said = shape.numbered_from
        self.sights = 0

    def opening(self) -> list[Record]:
        """Everybody joins, brings a phone, and (or not) enrols."""
        records = []
        for person in self.people:
            records.append(self._say("join", person_id=person))
            records.append(self._say("phone", phone_id=self._phone_of(person), person_id=person))
            seen = [self._see(person) for _ in range(3)]
            records += seen
            if self.shape.enrolled:
                records.append(self._say("enrol", person_id=person, event_ids=[self._event(-i) for i in range(3)]))
        return records

    def one_more(self) -> Record:
        """Whatever happens next."""
        if self.shape.sighted and self.rng.random() < self.shape.sighted:
            self.desk.now += round(self.rng.exponential(2_000))
            return self._sight()
        jump = self.rng.random()
        usual_ms = 15_000 if self.shape.sighted and jump < 0.8 else 20 * MINUTE_MS
        self.desk.now += round(self.rng.exponential(usual_ms)) + (round(8 * DAY_MS * jump) if jump > 0.985 else 0)
        if self.sent and self.rng.random() < 0.06:
            topic, value = self.sent[self.rng.integers(len(self.sent))]
            return self.desk.record(topic, value)
        return self._see(self._anybody()) if self.rng.random() < 0.65 else self._feedback()

    def _anybody(self) -> str:
        return self._one_of([*self.people, "a guest", "another guest"])

    def _one_of(self, things: list[str] | tuple[str, ...]) -> str:
        return str(things[self.rng.integers(len(things))])

    def _event(self, back: int) -> str:
        """The id of the newest event (0), of an older (below) or of one that is yet to come (above)."""
        return f"e{self.events + back:04d}:{self.name}"

    def _send(self, topic: str, value: dict[str, Any]) -> Record:
        self.sent.append((topic, value))
        return self.desk.record(topic, value)

    def _see(self, person: str) -> Record:
        self.events += 1
        chance = self.rng.random(6)
        parts: dict[str, Any] = {}
        if chance[0] < 0.8:
            parts["voice"] = {"encoder": VOICE, "embedding": embedding(VOICE, person, self.rng), "quality": {"duration_s": 2.5}}
        if chance[1] < 0.4:
            quality = {"detection_score": -9.0 if chance[5] < 0.1 else 1.2}
            parts["face"] = {"encoder": FACE, "embedding": embedding(FACE, person, self.rng), "quality": quality}
        if chance[2] < 0.7:
            near = [p for p in [*self.people, "a stranger"] if self.rng.random() < (0.85 if p == person else 0.3)]
            parts["phones"] = [{"phone_id": self._phone_of(p), "rssi_dbm": round(-60 - 20 * self.rng.random(), 1)} for p in near]
        if chance[3] < 0.6 or not parts:
            parts["activity"] = self._one_of(ACTIVITIES)
        late = round(self.rng.random() * 2 * DAY_MS) if chance[4] < 0.05 else 0
        value = recognition(self.name, self._event(0), self.desk.now - late, self._one_of(DEVICES), **parts)
        return self._send("recognitions", value)

    def _sight(self) -> Record:
        """A report by a sensor of the home, a phone of somebody or a stranger's, seldom late or of a nonce that came before."""
        self.sights += 1
        chance, home = self.rng.random(4), self.rng.random() < 0.5
        value = {
            "v": 1, "sighting_id": f"s{self.sights:04d}:{self.name}", "household_id": self.name,
            "device_id": "front-door" if home else self._phone_of(self._one_of([*self.people, "a stranger"])),
            "device_class": "home" if home else "personal", "kind": "door.unlock" if chance[0] < 0.9 else "garage.open",
            "nonce": f"n{self.sights // 3}" if chance[1] < 0.2 else None,
            "observed_at": self.desk.now - round(8_000 * chance[2]) - (7_200_000 if chance[3] < 0.05 else 0),
        }  # fmt: skip
        return self._send("sightings", value)

    def _say(self, kind: str, **fields: Any) -> Record:
        self.said += 1
        return self._send("feedback", feedback(self.name, self._said(self.said), self.desk.now, kind, **fields))

    def _said(self, number: int) -> str:
        return f"f{number:04d}:{self.name}"

    def _phone_of(self, person: str) -> str:
        return f"phone{[*self.people, person].index(person)}:{self.name}"

    def _feedback(self) -> Record:
        odd = self.rng.random() < self.shape.odd
        person = "nobody" if odd and self.rng.random() < 0.1 else self._one_of(self.people)
        event = self._event(int(self.rng.integers(-60, 4) if odd else -self.rng.integers(0, 6)))
        source = self._one_of(("app", "app", "voice", "pin", "annotator"))
        if self.shape.erasing and self.rng.random() < 0.08:
            whole = self.rng.random() < 0.2
            self.away |= {p: None for p in self.people if whole or p == person}
            return self._say("erase", person_id=None if whole else person)
        if self.away and self.rng.random() < 0.2:
            return self._say("join", person_id=self.away.popitem()[0])
        match self._one_of(KINDS):
            case "confirm":
                return self._say("confirm", event_id=event, source=source)
            case "correct":
                who = GUEST if self.rng.random() < 0.2 else person
                return self._say("correct", event_id=event, person_id=who, source=source)
            case "reject":
                return self._say("reject", event_id=event, person_id=person, source=source)
            case "retract":
                early = odd and self.rng.random() < 0.2
                number = self.said + 2 if early else int(self.rng.integers(self.shape.numbered_from, self.said + 1))
                return self._say("retract", retracts=self._said(number))
            case "phone":
                owner = None if odd else person
                return self._say("phone", phone_id=self._phone_of(self._one_of(self.people)), person_id=owner)
            case "enrol":
                return self._say("enrol", person_id=person, event_ids=[event, self._event(0)], source=source)
            case kind:
                self.away |= {person: None} if kind == "leave" and person in self.people else {}
                return self._say(kind, person_id=person)
