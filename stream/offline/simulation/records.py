"""A simulated neighbourhood: homes full of synthetic people, as the records that their devices and apps would send.

Law: `neighbourhood` is a pure function; the same homes, days and seed give the same bytes. The records are what the contract
says, but for a few that are broken on purpose (`unreadable` holds their places). The truth stays beside them; only the report
looks at it.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from stream.brokers.partitioning import partition_of
from stream.contract.records import Position, Record
from stream.contract.units import DAY_MS, HOUR_MS

from .behaviour import Arrival, House, Truth
from .feedback import diary
from .people import NAMES
from .scenarios import SCENARIOS

__all__ = ["PARTITIONS", "Neighbourhood", "neighbourhood"]

PARTITIONS: Final = 4
VISITORS: Final = 4  # of one home
TWICE, LATE, BROKEN = 0.08, 0.06, 0.04  # share of the records in the home with the bad network
LATE_IF_TALKED_OF: Final = 0.4  # so that its feedback comes first
TWICE_ELSEWHERE: Final = 0.003


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The records in order of arrival; per home its story in one sentence; the truth by (household, event)."""

    records: list[Record]
    stories: Mapping[str, str]
    truths: Mapping[tuple[str, str], Truth]
    unreadable: frozenset[Position]


class _Carried(NamedTuple):
    """What a network delivers: when (ms), for which home, and the bytes; `whole` when they are as they were sent."""

    at_ms: int
    household_id: str
    topic: str
    raw: bytes
    whole: bool = True


def neighbourhood(*, homes: int, days: int, seed: int) -> Neighbourhood:
    """Simulate that many homes (1 to 99) over that many days (1 or more); raises ValueError when out of range."""
    if not 1 <= homes <= 99 or days < 1:
        raise ValueError(f"{homes} homes and {days} days cannot be simulated: it takes 1 to 99 homes and at least 1 day")
    carried: list[_Carried] = []
    stories, truths = {}, {}
    for index in range(homes):
        house = _house(index, days, seed)
        told = diary(house)
        carried += _network(house, told.arrivals, np.random.default_rng([seed, index, 1]))
        stories[house.household_id] = house.scenario.about.format(
            *(body.name.capitalize() for body in house.members), guest=house.visitors[0].name.capitalize()
        )
        truths.update({(t.household_id, t.event_id): t for t in told.truths})
    carried.sort(key=lambda c: c.at_ms)  # stable: what comes at once stays in the order of homes and of saying
    records = list(_records(carried))
    broken = frozenset(record.position for record, c in zip(records, carried, strict=True) if not c.whole)
    return Neighbourhood(records, stories, truths, broken)


def _house(index: int, days: int, seed: int) -> House:
    scenario = SCENARIOS[index % len(SCENARIOS)]
    names = np.random.default_rng([seed, index, 0]).permutation(NAMES)[: len(scenario.people) + VISITORS].tolist()
    return House.build(f"linden-{index + 1:02d}", scenario, names, [seed, index], days)


def _network(house: House, arrivals: list[Arrival], rng: np.random.Generator) -> Iterator[_Carried]:
    """What a network makes of it: records twice and, where it is bad, late (so that feedback comes first) or unreadable."""
    bad = house.scenario.twist == "faults"
    talked_of = {arrival.value["event_id"] for arrival in arrivals if "event_id" in arrival.value and arrival.topic == "feedback"}
    for number, (at_ms, topic, value) in enumerate(arrivals):
        twice, late, broken = rng.random(3)
        settled = topic == "recognitions" and at_ms >= house.begin_ms  # the first evening goes well
        if bad and settled and late < (LATE_IF_TALKED_OF if value["event_id"] in talked_of else LATE):
            at_ms += int(rng.random() * DAY_MS)
        raw = json.dumps(value).encode()
        yield _Carried(at_ms, house.household_id, topic, raw)
        if twice < (TWICE if bad else TWICE_ELSEWHERE):
            yield _Carried(at_ms + int(rng.random() * HOUR_MS), house.household_id, topic, raw)
        if bad and settled and broken < BROKEN:
            yield _Carried(at_ms + 1, house.household_id, topic, _broken(value, number), whole=False)


def _broken(value: dict[str, Any], number: int) -> bytes:
    """A record that nobody can read, in one of five ways."""
    value = {**value, "event_id": f"e-broken-{number}"}
    ways: tuple[dict[str, Any], ...] = (
        {},
        {"v": 99},
        {"household_id": "somebody-else"},
        {"observed_at": 86_400_000},  # a clock that was never set
        {"device_id": "the kitchen"},  # a name that is no id
    )
    way = ways[number % len(ways)]
    raw = json.dumps({**value, **way}).encode()
    return raw if way else raw[: len(raw) // 2]


def _records(carried: Iterable[_Carried]) -> Iterator[Record]:
    """What arrived as records, each appended to its partition's end."""
    ends: Counter[tuple[str, int]] = Counter()
    for at_ms, household_id, topic, raw, _ in carried:
        key = household_id.encode()
        partition = partition_of(key, PARTITIONS)
        yield Record(topic, partition, ends[topic, partition], at_ms, key, raw)
        ends[topic, partition] += 1
