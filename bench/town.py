"""A town of many small homes, as a log to measure speed with.

Law: the same households, events and seed give the same bytes. Voices and faces are drawn as in `kithkin demo`, from the spaces
of the fleet packs, so that learning has as much to do as with people; nobody here was recorded, and nothing is said of quality.
"""

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from heapq import merge
from itertools import chain
from multiprocessing import get_context
from operator import itemgetter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from stream.brokers.partitioning import partition_of
from stream.contract.units import DAY_MS, MINUTE_MS
from stream.offline.replay.jobs.processes import usable_cores
from stream.offline.simulation.people import FACE, MICROPHONES, VOICE, Space
from stream.offline.simulation.records import PARTITIONS

__all__ = ["Household", "write_town"]

BEGIN_MS = 1_762_128_000_000
AT_DIGITS = len(str(BEGIN_MS))
HOMES_AT_ONCE = 20  # that one process makes
DAYS = 30  # over which the events are spread
PEOPLE = (2, 3, 4, 5)  # in a home, each as often
ENROLMENTS = 3  # recognitions of each member on the first evening, named by guided enrolment
GUESTS, FACES, PHONES, TOLD, TOLD_WRONGLY = 0.1, 0.3, 0.8, 0.05, 0.1  # shares: of events; of members' events; of what is said
TOLD_AFTER_MS = MINUTE_MS
ACTIVITIES = ("music.play", "lights.off", "timer.set", "news.play", "list.add", "call.start")
HEARD_BY = {"kitchen": "near", "living-room": "far", "hall": "door"}
DEVICES = tuple(HEARD_BY)

Watch = Callable[[int], None]


class Household(NamedTuple):
    """A home: its id, and a place in the voice and the face space for each member."""

    household_id: str
    voices: list[np.ndarray]
    faces: list[np.ndarray]


class Arrival(NamedTuple):
    """One record on its way: when it arrives (ms), its topic, and its value."""

    at_ms: int
    topic: str
    value: dict[str, Any]


def write_town(path: Path, households: int, events: int, seed: int, watch: Watch = lambda _: None) -> int:
    """Write the log, on all cores; return its number of records (enrolment, events and what is said of them).

    `watch` is told how many homes are made.
    """
    counts = np.random.default_rng(seed).multinomial(events, np.full(households, 1 / households)).tolist()
    firsts = range(0, households, HOMES_AT_ONCE)
    with TemporaryDirectory(prefix="kithkin-town-", dir=path.parent) as folder:
        parts = [Path(folder) / str(first) for first in firsts]
        with ProcessPoolExecutor(usable_cores(), get_context("spawn")) as pool:
            under_way = [
                pool.submit(_write_part, part, first, counts[first : first + HOMES_AT_ONCE], seed)
                for part, first in zip(parts, firsts, strict=True)
            ]
            for done, one in enumerate(as_completed(under_way), 1):
                one.result()
                watch(min(households, done * HOMES_AT_ONCE))
        with ExitStack() as files, path.open("wb") as log:
            lines = merge(*(files.enter_context(part.open("rb")) for part in parts), key=itemgetter(slice(AT_DIGITS)))
            ends: Counter[tuple[bytes, bytes]] = Counter()
            for line in lines:
                at_ms, topic, partition, key, value = line.rstrip().split(b" ", 4)
                form = b'{"topic":"%b","partition":%b,"offset":%d,"timestamp":%b,"key":"%b","value":%b}\n'
                log.write(form % (topic, partition, ends[topic, partition], at_ms, key, value))
                ends[topic, partition] += 1
    return ends.total()


def _write_part(path: Path, first: int, counts: Sequence[int], seed: int) -> None:
    """What comes from some homes, each with its number of events, in the order of time; a home is the same in every town."""
    arrivals: list[tuple[int, bytes]] = []
    for number, events in enumerate(counts, first):
        rng = np.random.default_rng([seed, number])
        home = settled(f"home-{number:05d}", rng)
        times = np.sort(rng.integers(DAY_MS, (DAYS + 1) * DAY_MS, events)).tolist()
        came = chain(
            enrolment(home, rng),
            chain.from_iterable(interaction(home, f"event-{n:07d}", BEGIN_MS + at, rng) for n, at in enumerate(times)),
        )
        place = f"{partition_of(home.household_id.encode(), PARTITIONS)} {home.household_id}"
        for at, topic, value in came:
            arrivals.append((at, f"{at} {topic} {place} {json.dumps(value, separators=(',', ':'))}\n".encode()))
    arrivals.sort(key=itemgetter(0))
    path.write_bytes(b"".join(line for _, line in arrivals))


def settled(household_id: str, rng: np.random.Generator) -> Household:
    """A home whose people sound and look a little alike."""
    people = int(rng.choice(PEOPLE))
    voice, face = VOICE.place(rng), FACE.place(rng)
    return Household(
        household_id, [VOICE.place(rng, voice, 0.6) for _ in range(people)], [FACE.place(rng, face, 0.6) for _ in range(people)]
    )


def enrolment(home: Household, rng: np.random.Generator) -> Iterator[Arrival]:
    """The first evening: everybody joins, registers a phone and says a few sentences."""
    for person in range(len(home.voices)):
        at_ms = BEGIN_MS + person * 600_000 + int(rng.integers(60_000))
        who = {"person_id": f"person-{person}"}
        yield said(home, f"join-{person}", at_ms, {"kind": "join"} | who)
        yield said(home, f"phone-{person}", at_ms + 1, {"kind": "phone", "phone_id": f"phone-{person}"} | who)
        ids = [f"enrolment-{person}-{number}" for number in range(ENROLMENTS)]
        for number, event_id in enumerate(ids):
            yield seen(home, event_id, at_ms + 1000 * (number + 1), person, rng)
        yield said(home, f"enrol-{person}", at_ms + 60_000, {"kind": "enrol", "event_ids": ids} | who)


def interaction(home: Household, event_id: str, at_ms: int, rng: np.random.Generator) -> Iterator[Arrival]:
    """Somebody talks to a device; now and then somebody says afterwards who it was, not always rightly."""
    people = len(home.voices)
    who = None if rng.random() < GUESTS else int(rng.integers(people))
    yield seen(home, event_id, at_ms, who, rng)
    if rng.random() < TOLD:
        named = int(rng.integers(people)) if rng.random() < TOLD_WRONGLY else who
        person_id = "guest" if named is None else f"person-{named}"
        claim = {"kind": "correct", "event_id": event_id, "person_id": person_id}
        yield said(home, f"on-{event_id}", at_ms + TOLD_AFTER_MS, claim)


def said(home: Household, feedback_id: str, at_ms: int, more: dict[str, Any]) -> Arrival:
    value = {"v": 1, "feedback_id": feedback_id, "household_id": home.household_id, "given_at": at_ms, "source": "app"}
    return Arrival(at_ms, "feedback", value | more)


def seen(home: Household, event_id: str, at_ms: int, who: int | None, rng: np.random.Generator) -> Arrival:
    """What the sensors make of a member, or of a guest (None)."""
    device = DEVICES[rng.integers(len(DEVICES))]
    microphone = MICROPHONES[HEARD_BY[device]]
    voice = VOICE.place(rng) if who is None else home.voices[who]
    value: dict[str, Any] = {
        "v": 1, "event_id": event_id, "household_id": home.household_id, "device_id": device, "observed_at": at_ms,
        "voice": {"encoder": VOICE.encoder, "embedding": packed(VOICE, rng, voice, microphone.noise, microphone.shift),
                  "quality": {"duration_s": round(float(rng.uniform(1, 4)), 2)}},
        "activity": ACTIVITIES[rng.integers(len(ACTIVITIES))],
    }  # fmt: skip
    if rng.random() < FACES:
        face = FACE.place(rng) if who is None else home.faces[who]
        value["face"] = {"encoder": FACE.encoder, "embedding": packed(FACE, rng, face, 1.0), "quality": {"detection_score": 1.2}}
    carried = who if who is not None and rng.random() < PHONES else None
    near = int(rng.integers(len(home.voices))) if carried is None else carried
    dbm = round(float(rng.normal(-75 if carried is None else -57, 5)), 1)
    value["phones"] = [{"phone_id": f"phone-{near}", "rssi_dbm": dbm}]
    return Arrival(at_ms, "recognitions", value)


def packed(space: Space, rng: np.random.Generator, place: np.ndarray, noise: float, shift: np.ndarray | float = 0.0) -> str:
    vector = space.present(rng, place, noise, shift)
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()
