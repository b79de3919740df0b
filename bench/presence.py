"""The command `python -m bench.presence`: how well it is known who is at home.

    python -m bench.presence [--homes 6] [--weeks 4] [--seed 0] [--set presence.half_life_hours=2] [--json FILE]

A real home (ARAS: two residents, 30 days, what they did and when they went out) and simulated ones, each with a hub that scans
for phones every four minutes and without. Voices and faces are those of ../shared/data; KITHKIN_SHARED names the folder.

Measured every minute for every member, on the published functions alone, against "seen within five minutes" (phone or name), and
without the first day. At the end what it costs: CPU time of decoding and the step, a record, with presence and without, in µs and
u (one iteration of `x += i * i`).
"""

import argparse
import base64
import collections
import json
import time
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from bench.quality.tools import SHARED, tool
from bench.stages import u_ns
from stream.contract.codec import decode_batch
from stream.contract.policy import Policy
from stream.contract.records import Event, Record
from stream.contract.units import DAY_MS, HOUR_MS, MINUTE_MS
from stream.home.state.household import Household
from stream.home.step import step_batch

__all__ = ["Home", "Measured", "cost", "main", "measure", "real_home", "simulated_home"]

GOING_OUT, ASLEEP = 2, 11  # activities of ARAS
SEEN_MS: Final = 5 * MINUTE_MS
HUB_MS: Final = 4 * MINUTE_MS
LEFT_MIN_MS: Final = 15 * MINUTE_MS  # a shorter absence is not asked for
SETTLING_MS: Final = 10 * MINUTE_MS  # after a true change `present` may still follow
HEARD_NEAR, HEARD_FAR, HEARD_AWAY = 0.97, 0.93, 0.005  # how often a phone is heard: of who is at the device, at home, next door
PHONE_OFF, PHONE_FORGOTTEN = 0.1, 0.05  # of days, and of goings out
VOICE, FACE, SCANNED = 0.5, 0.35, 0.9  # how often an event has them
GUESTS: Final = 0.1  # of events
SEEDS: Final = 3  # of the real home: which voices, and on which days a phone is off
BATCH: Final = 500
COST_RUNS: Final = 5
DEVICES: Final = ("kitchen", "living-room", "hall")

Minutes = npt.NDArray[np.bool_]


class Person(NamedTuple):
    """A member: when they are away, and when they do something at home (ms); whose voice and face they have."""

    name: str
    away: list[tuple[int, int]]
    acts: list[tuple[int, str]]
    speaker: int
    face: int


class Home(NamedTuple):
    """What happened in a home from `begin` to `end` (ms), and the records of it."""

    people: list[Person]
    begin: int
    end: int
    records: list[Record]


# ---- lives


def real_home(hub: bool, seed: int = 0) -> Home:
    """The ARAS home, its residents with voices, faces and phones of others."""
    world = tool("world")
    episodes = np.load(SHARED / "data" / "usage_aras.npz")["episodes"]
    lives: list[tuple[list[tuple[int, int]], list[tuple[int, str]]]] = []
    for resident in (1, 2):
        own = episodes[episodes[:, 1] == resident]
        times = [(world.START + (int(d) - 1) * DAY_MS + int(s) * 1_000, int(length), int(a)) for d, _, s, length, a in own]
        away = [(at, at + 1_000 * length) for at, length, activity in times if activity == GOING_OUT]
        acts = [(at, world.HABITS[activity]) for at, _, activity in times if activity in world.HABITS]
        lives.append((_joined(away), acts))
    return _home("aras", lives, (world.START, world.START + 30 * DAY_MS), hub, np.random.default_rng([seed, 1]))


def simulated_home(number: int, weeks: int, hub: bool, seed: int = 0) -> Home:
    """A home of two to four people who work, or do not, and go out in the evening or at weekends."""
    world, rng = tool("world"), np.random.default_rng([seed, 2, number])
    begin, end = world.START, world.START + weeks * 7 * DAY_MS
    lives = []
    for _ in range(2 + number % 3):
        works, rate = rng.random() < 0.6, float(rng.uniform(0.4, 1.0))
        away = _joined([one for day in range(begin, end, DAY_MS) for one in _outings(rng, day, works)])
        hours = np.sort(rng.uniform(begin, end, rng.poisson(rate * (end - begin) / HOUR_MS))).astype(np.int64).tolist()
        awake = [at for at in hours if 7 <= at % DAY_MS / HOUR_MS < 23 and not _is_in(away, at)]
        words = ["music.play", "light.on", "timer.set"]
        acts = [(at + turn * 40_000, str(rng.choice(words))) for at in awake for turn in range(2)]
        lives.append((away, [act for act in acts if not _is_in(away, act[0])]))
    return _home(f"simulated-{number}", lives, (begin, end), hub, rng)


def _outings(rng: np.random.Generator, midnight: int, works: bool) -> Iterator[tuple[int, int]]:
    weekend = (midnight // DAY_MS + 3) % 7 >= 5
    if works and not weekend:
        yield midnight + int(HOUR_MS * rng.normal(8, 0.6)), midnight + int(HOUR_MS * rng.normal(17.3, 1.0))
    for _ in range(rng.poisson(1.2 if weekend or not works else 0.4)):
        start = midnight + int(HOUR_MS * (rng.uniform(9, 20) if weekend or not works else rng.uniform(18, 20.5)))
        yield start, start + int(HOUR_MS * min(0.3 + rng.gamma(2.0, 0.7), 6))


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """In order, those that touch or overlap as one."""
    out: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1] + MINUTE_MS:
            out[-1] = out[-1][0], max(end, out[-1][1])
        else:
            out.append((start, end))
    return out


def _is_in(spans: Sequence[tuple[int, int]], at: int) -> bool:
    return any(start <= at < end for start, end in spans)


# ---- records


class _Sensors:
    """What the devices of a home make of what happens."""

    def __init__(self, household_id: str, people: list[Person], rng: np.random.Generator) -> None:
        self.world, self.id, self.people, self.rng = tool("world"), household_id, people, rng
        self.corpus = self.world.Corpus(SHARED / "data")
        others = [int(s) for s in self.corpus.speakers if int(s) not in {p.speaker for p in people}]
        self.guests = [(others[i], sorted(self.corpus.images)[-1 - i]) for i in range(3)]
        self.off = {(p.name, day): rng.random() < PHONE_OFF for p in people for day in range(-2, 400)}
        self.forgotten = {(p.name, span): rng.random() < PHONE_FORGOTTEN for p in people for span in p.away}
        self.records: list[tuple[int, str, dict[str, Any]]] = []

    def say(self, at: int, kind: str, **fields: Any) -> None:
        value = {"v": 1, "feedback_id": f"f-{len(self.records)}", "household_id": self.id, "given_at": at, "kind": kind}
        self.records.append((at, "feedback", value | {"source": "app"} | fields))

    def see(self, at: int, parts: dict[str, Any], device: str = "hub") -> str:
        event_id = f"e-{len(self.records)}"
        value = {"v": 1, "event_id": event_id, "household_id": self.id, "device_id": device, "observed_at": at}
        self.records.append((at, "recognitions", value | parts))
        return event_id

    def voice(self, speaker: int) -> dict[str, Any]:
        rng, corpus = self.rng, self.corpus
        utterance = int(rng.choice(corpus.utterances[speaker]))
        condition = corpus.voice_conditions.index(self.world.pick(rng, self.world.CHANNELS))
        return {"encoder": "resemblyzer-0.1.4", "embedding": _base64(corpus.voice[condition, utterance])}

    def face(self, subject: int) -> dict[str, Any]:
        rng, corpus = self.rng, self.corpus
        image = int(rng.choice(corpus.images[subject]))
        condition = corpus.face_conditions.index(self.world.pick(rng, self.world.FACES))
        quality = {"detection_score": round(float(corpus.det[condition, image]), 2)}
        return {"encoder": "dlib-resnet-v1", "embedding": _base64(corpus.face[condition, image]), "quality": quality}

    def phones(self, at: int, near: str | None = None) -> list[dict[str, Any]]:
        heard = []
        for person in self.people:
            if self.off[person.name, (at - self.world.START) // DAY_MS]:
                continue
            out = next((span for span in person.away if span[0] <= at < span[1]), None)
            there = out is None or self.forgotten[person.name, out]
            chance = HEARD_NEAR if person.name == near else HEARD_FAR if there else HEARD_AWAY
            if self.rng.random() < chance:
                dbm = (-60 if person.name == near else -74) + 5 * self.rng.standard_normal()
                heard.append({"phone_id": f"phone-{person.name}", "rssi_dbm": round(float(dbm), 1)})
        return heard

    def act(self, at: int, person: Person, activity: str) -> None:
        guest = self.rng.random() < GUESTS
        speaker, face = self.guests[int(self.rng.integers(len(self.guests)))] if guest else (person.speaker, person.face)
        parts: dict[str, Any] = {"activity": activity}
        voice, seen, scanned = self.rng.random(3) < (VOICE, FACE, SCANNED)
        parts |= {"voice": self.voice(speaker)} if voice else {}
        parts |= {"face": self.face(face)} if seen else {}
        parts |= {"phones": self.phones(at, None if guest else person.name)} if scanned else {}
        self.see(at, parts, str(self.rng.choice(DEVICES)))


def _base64(vector: Any) -> str:
    return base64.b64encode(np.asarray(vector).astype("<f2").tobytes()).decode()


def _home(
    name: str, lives: list[tuple[list[tuple[int, int]], list[tuple[int, str]]]], span: tuple[int, int], hub: bool,
    rng: np.random.Generator,
) -> Home:  # fmt: skip
    corpus = tool("world").Corpus(SHARED / "data")
    speakers, faces = rng.permutation(corpus.speakers).tolist(), rng.permutation(sorted(corpus.images)[:-3]).tolist()
    people = [Person(f"p{n + 1}", *life, int(speakers[n]), int(faces[n])) for n, life in enumerate(lives)]
    sensors = _Sensors(name, people, rng)
    at = span[0] - HOUR_MS
    for person in people:
        sensors.say(at, "join", person_id=person.name)
        sensors.say(at, "phone", person_id=person.name, phone_id=f"phone-{person.name}")
        parts = [{"voice": sensors.voice(person.speaker), "face": sensors.face(person.face)} for _ in range(4)]
        events = [sensors.see(at + 1_000 * n, part, "kitchen") for n, part in enumerate(parts)]
        sensors.say(at + 10_000, "enrol", person_id=person.name, event_ids=events)
    acts = [(at, person, activity) for person in people for at, activity in person.acts]
    scans = [(at, None, "") for at in range(span[0], span[1], HUB_MS)] if hub else []
    for at, who, activity in sorted([*acts, *scans], key=lambda one: one[0]):
        if who is None:
            sensors.see(at, {"phones": sensors.phones(at)})
        else:
            sensors.act(at, who, activity)
    records = [
        Record(topic, 0, n, at, name.encode(), json.dumps(value).encode()) for n, (at, topic, value) in enumerate(sensors.records)
    ]
    return Home(people, *span, records)


# ---- what was published


def _played(home: Home, policy: Policy) -> Iterator[Any]:
    """What came of every batch of the home's records."""
    homes: dict[str, Household] = {}
    for first in range(0, len(home.records), BATCH):
        events = [event for event in decode_batch(home.records[first : first + BATCH], policy) if isinstance(event, Event)]
        for event in events:
            homes.setdefault(event.value.household_id, Household.new(event.value.household_id))
        yield step_batch(homes, events, policy).responses


def _outputs(home: Home, policy: Policy) -> list[tuple[str, dict[str, Any]]]:
    made = [output for responses in _played(home, policy) for answer in responses for output in answer.outputs]
    return [(one.topic, json.loads(one.value)) for one in made if one.topic in ("presence", "identities") and one.value]


class Measured(NamedTuple):
    """Of a person: minute by minute the truth, what was published, what the simple rule says; and what happened to whom."""

    truth: Minutes
    told: npt.NDArray[np.float64]
    seen: Minutes
    left_after: list[float]  # minutes until somebody who left was found to have; infinite: before they were back they were not
    came_after: list[float]
    flaps: int
    records: int


def measure(home: Home, policy: Policy) -> list[Measured]:
    """Of every member, from the second day on."""
    outputs, times = _outputs(home, policy), np.arange(home.begin + DAY_MS, home.end, MINUTE_MS)
    return [_measured(home, person, times, outputs) for person in home.people]


def _measured(home: Home, person: Person, times: Any, outputs: list[tuple[str, dict[str, Any]]]) -> Measured:
    truth = np.ones(len(times), bool)
    for start, end in person.away:
        truth[(times >= start) & (times < end)] = False
    told = [value for topic, value in outputs if topic == "presence" and value["person_id"] == person.name]
    at = np.array([value["since"] for value in told])
    index = np.searchsorted(at, times, "right") - 1
    p, to, life = (np.array([pick(v) for v in told]) for pick in (
        lambda v: v["home"], lambda v: v["decay"]["to"], lambda v: 1_000 * v["decay"]["half_life_s"],
    ))  # fmt: skip
    now = to[index] + (p[index] - to[index]) * 2.0 ** (-(times - at[index]) / life[index])
    seen_at = np.unique(_seen(home, person, outputs))
    latest = np.searchsorted(seen_at, times, "right") - 1
    seen = (latest >= 0) & (times - seen_at[np.maximum(latest, 0)] <= SEEN_MS)
    left = [_found(now < 0.5, times, span) for span in person.away if times[0] <= span[0] and span[1] - span[0] >= LEFT_MIN_MS]
    home_spans = list(zip([end for _, end in person.away], [start for start, _ in person.away[1:]] + [home.end], strict=True))
    came = [_found(now > 0.5, times, span) for span in home_spans if times[0] <= span[0] and span[1] - span[0] >= LEFT_MIN_MS]
    return Measured(truth, now, seen, left, came, _flaps(told, person, int(times[0])), int((at >= times[0]).sum()))


def _seen(home: Home, person: Person, outputs: list[tuple[str, dict[str, Any]]]) -> list[int]:
    """When somebody's phone was heard, or they were named."""
    named = [v["observed_at"] for t, v in outputs if t == "identities" and v["revision"] == 0 and v["person_id"] == person.name]
    values = [json.loads(record.value or b"") for record in home.records if record.topic == "recognitions"]
    phone = f"phone-{person.name}"
    heard = [v["observed_at"] for v in values if any(one["phone_id"] == phone for one in v.get("phones", ()))]
    return named + heard


def _found(found: Any, times: Any, span: tuple[int, int]) -> float:
    """Minutes from the beginning of a span until something is so within it."""
    own = (times >= span[0]) & (times < span[1]) & found
    return float(times[own][0] - span[0]) / MINUTE_MS if own.any() else float("inf")


def _flaps(told: list[dict[str, Any]], person: Person, begin: int) -> int:
    """How often `present` turns from what is true to what is not, and nobody has just come or gone."""
    flaps, present = 0, None
    for value in told:
        turned, present, at = present is not None and value["present"] != present, value["present"], value["since"]
        home = not _is_in(person.away, at)
        changing = any(0 <= at - moment < SETTLING_MS for span in person.away for moment in span)
        flaps += turned and at >= begin and present != home and not changing
    return flaps


# ---- figures


def figures(people: list[Measured]) -> dict[str, float]:
    """Of all together."""
    truth, told, seen = (np.concatenate([getattr(p, name) for p in people]).astype(float) for name in ("truth", "told", "seen"))
    near, weeks = (told >= 0.85) & (told <= 0.95), sum(len(p.truth) for p in people) / (7 * 24 * 60)
    left, came = np.array([m for p in people for m in p.left_after]), np.array([m for p in people for m in p.came_after])
    brier, simple = float(np.mean((told - truth) ** 2)), float(np.mean((seen - truth) ** 2))
    return {
        "at_home": float(truth.mean()), "brier": brier, "brier_seen": simple, "skill": 1 - brier / simple,
        "home_at_90": float(truth[near].mean()) if near.any() else float("nan"), "minutes_at_90": float(near.sum()),
        "told_above_90": float(told[told >= 0.9].mean()), "home_above_90": float(truth[told >= 0.9].mean()),
        "left_after_min": float(np.median(left)), "left_never": float(np.isinf(left).mean()),
        "came_after_min": float(np.median(came)), "flaps_per_week": sum(p.flaps for p in people) / weeks,
        "flaps_most": max(p.flaps / (len(p.truth) / (7 * 24 * 60)) for p in people),
        "records_per_day": sum(p.records for p in people) / (7 * weeks),
    }


def cost(home: Home, policy: Policy) -> dict[str, float]:
    """µs a record with presence and without: the least of COST_RUNS, by turns."""
    took = {"with": float("inf"), "without": float("inf")}
    without = Policy.model_validate(policy.model_dump() | {"presence": {"publish": False}})
    for _ in range(COST_RUNS):
        for name, one in (("with", policy), ("without", without)):
            began = time.process_time()
            collections.deque(_played(home, one), maxlen=0)
            took[name] = min(took[name], 1e6 * (time.process_time() - began) / len(home.records))
    return took


def _policy(settings: Sequence[str]) -> Policy:
    policy = Policy.model_validate({"presence": {"publish": True}}).model_dump()
    for setting in settings:
        path, _, text = setting.partition("=")
        table, _, key = path.partition(".")
        policy[table][key] = tomllib.loads(f"x = {text}")["x"]
    return Policy.model_validate(policy)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.presence", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--homes", type=int, default=6, help="simulated homes")
    parser.add_argument("--weeks", type=int, default=4, help="of their lives")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], metavar="presence.x=1", help="another setting of the policy")
    parser.add_argument("--json", type=Path, help="write the figures to a file, too")
    args = parser.parse_args()
    policy, found = _policy(args.set), dict[str, dict[str, float]]()
    for hub in (True, False):
        name = "hub" if hub else "no hub"
        real = [real_home(hub, args.seed + n) for n in range(SEEDS)]
        found[f"ARAS, {name}"] = figures([person for home in real for person in measure(home, policy)])
        homes = [simulated_home(number, args.weeks, hub, args.seed) for number in range(args.homes)]
        found[f"simulated, {name}"] = figures([person for home in homes for person in measure(home, policy)])
    print(f"{'':>18}" + "".join(f"{name:>20}" for name in found))
    for figure in next(iter(found.values())):
        print(f"{figure:>18}" + "".join(f"{found[name][figure]:>20.3f}" for name in found))
    u_us = u_ns() / 1000
    for hub in (True, False):
        told = cost(simulated_home(0, args.weeks, hub, args.seed), policy).items()
        words = ", ".join(f"{name} presence {us:.1f} µs ({us / u_us:,.0f} u)" for name, us in told)
        print(f"a record, {'hub' if hub else 'no hub'}: {words}")
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
