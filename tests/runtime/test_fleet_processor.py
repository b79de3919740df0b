"""The fleet stage at work: whatever dies in between, what is published is what nobody's death would have changed."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.brokers.log_files import encode_line
from stream.contract.policy import Alerting, Policy
from stream.contract.ports import Encoded, Fenced, Offsets, StateStore
from stream.contract.records import Record, Signal
from stream.contract.settings import Wiring
from stream.contract.units import DAY_MS, HOUR_MS
from stream.fleet.state import Fleet
from stream.fleet.step import advance, grace_ms, take
from stream.offline.replay.replay import Replay, replay, write_alerts
from stream.runtime.fleet.processor import COMMANDS, SIGNALS, EventTimeWatermark, FleetProcessor, PartitionProgress, encode_alert
from stream.stores import MemoryStore, open_store
from tests.support.changing_homes import Plan, home_records
from tests.support.fleet_signals import BEGIN_MS, signal, signals
from tests.support.recorded import line_of, write_log

POLICY = Alerting()
FAR_MS = BEGIN_MS + 60 * DAY_MS


class Death(Exception):
    """The process ends here."""


def record(told: Signal | bytes, offset: int, partition: int = 0, topic: str = SIGNALS) -> Record:
    value = told if isinstance(told, bytes) else told.model_dump_json().encode()
    return Record(topic, partition, offset, BEGIN_MS, None, value)


@dataclass
class World:
    """A store, a topic of alerts, and a plan of deaths: before or after an effect, or in none of them (a number too great)."""

    deaths: list[int] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)
    published: list[Encoded] = field(default_factory=list)
    effects: int = 0

    def effect(self) -> None:
        self.effects += 1
        if self.deaths and self.effects == self.deaths[0]:
            self.deaths.pop(0)
            self.effects = 0
            raise Death

    def announce(self, outputs: Sequence[Encoded]) -> None:
        if outputs:
            self.effect()
            self.published += outputs
            self.effect()

    def processor(self) -> FleetProcessor:
        return FleetProcessor(Dying(self), self.announce, POLICY)


class Dying(MemoryStore):
    """A memory that outlives desks, and in which saving may be the last thing that is done."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.claim, self.load = world.store.claim, world.store.load  # type: ignore[method-assign]

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Any) -> None:
        self._world.effect()
        self._world.store.save(partition, epoch, offsets_from, offsets_to, states)
        self._world.effect()


def work_off(world: World, told: Sequence[Signal], turn: int) -> None:
    """Desks take so many signals a turn, and are followed by another when they die."""
    records, processor, at = [record(one, offset) for offset, one in enumerate(told)], world.processor(), 0
    while True:
        try:
            for one in records[at : at + turn]:
                processor.take(one)
            at += turn
            processor.decide(processor.fleet.stream_time if at < len(records) else FAR_MS)
            processor.settle()
            if at >= len(records):
                return
        except Death:
            processor = world.processor()
            at = processor.next_offset(SIGNALS, 0) // 2  # Kafka gives again what was not acknowledged


@settings(max_examples=50)
@given(signals, st.lists(st.integers(1, 9), max_size=9), st.integers(1, 20))
def test_wherever_it_dies_every_state_is_as_if_nobody_had_died(told: list[Signal], deaths: list[int], turn: int) -> None:
    told.sort(key=lambda one: one.observed_at)
    fleet = Fleet()
    for one in told:
        take(fleet, one)
    by_the_core = [*map(encode_alert, advance(fleet, FAR_MS - grace_ms(POLICY), POLICY))]
    world = World(deaths)
    work_off(world, told, turn)
    assert list(dict.fromkeys(world.published)) == by_the_core
    assert {one.key: one.value for one in world.published} == {one.key: one.value for one in by_the_core}


def test_who_was_replaced_saves_and_says_nothing_more() -> None:
    world = World()
    old, new = world.processor(), world.processor()
    old.take(record(signal("h", 9.0), 0))
    with pytest.raises(Fenced):
        old.settle()
    new.settle()
    assert world.published == []


def test_a_record_that_cannot_be_read_goes_to_the_dead_letters() -> None:
    world = World()
    processor = world.processor()
    assert processor.take(record(b'{"v": 2}', 0)) is None
    assert processor.take(record(b"", 0, topic=COMMANDS)) is None
    processor.settle()
    assert [one.topic for one in world.published] == ["dead-letters"] * 2
    assert processor.fleet.counts["unreadable"] == 2


def test_a_command_is_done_at_once_and_once() -> None:
    world = World()
    processor = world.processor()
    processor.take(record(signal("h", 9.0), 0))
    processor.decide(BEGIN_MS + 8 * HOUR_MS)
    (alert,) = processor.alerts.values()
    told = f'{{"v":1,"command_id":"c","alert_id":"{alert.alert_id}","kind":"resolve","given_at":{alert.updated_at},"by":"ops"}}'
    for _ in range(2):
        processor.take(record(told.encode(), 0, topic=COMMANDS))
    processor.settle()
    assert [one.topic for one in world.published] == ["drift-alerts"] * 2
    assert processor.alerts[alert.alert_id].state == "resolved"


def in_memory(_: Path) -> StateStore:
    return MemoryStore()


def in_a_file(folder: Path) -> StateStore:
    return open_store(str(folder / "fleet.db"))


@pytest.mark.parametrize("make", [in_memory, in_a_file])
def test_a_desk_goes_on_where_the_one_before_saved(make: Callable[[Path], StateStore], tmp_path: Path) -> None:
    store, said = make(tmp_path), list[Encoded]()
    before = FleetProcessor(store, said.extend, POLICY)
    before.take(record(signal("h", 9.0), 7, partition=2))
    before.settle()
    after = FleetProcessor(store, said.extend, POLICY)
    assert (after.next_offset(SIGNALS, 2), after.next_offset(SIGNALS, 1)) == (8, 0)
    after.decide(BEGIN_MS + 8 * HOUR_MS)
    after.settle()
    store.close()
    assert [one.topic for one in said] == ["drift-alerts"]


# ---- how far all partitions are known


@dataclass
class Sea:
    """Two partitions as a client sees them: next offsets, fetched before they are taken."""

    now_s: float = 100.0

    def __post_init__(self) -> None:
        self.watermark, self.stream_time = EventTimeWatermark(self.now_s), 0

    def turn(
        self, fetched: Sequence[int], ends: Sequence[int], taken: Sequence[int], *came: tuple[int, int], after_s: float = 0.25
    ) -> int:
        """A turn in which signals (partition, hour) came; the hour that is known, -1 if none is."""
        self.now_s += after_s
        for partition, hour in came:
            self.watermark.note_arrival(self.now_s)
            self.watermark.note_signal(signal("h", 0.0, hour), partition)
            self.stream_time = max(self.stream_time, BEGIN_MS + hour * HOUR_MS)
        numbered = [dict(enumerate(offsets)) for offsets in (fetched, ends, taken)]
        reached = self.watermark.advance(PartitionProgress(*numbered), self.stream_time, self.now_s)
        return (reached - BEGIN_MS) // HOUR_MS if reached else -1


def test_the_lag_is_what_no_partition_fetched_yet() -> None:
    assert PartitionProgress({0: 5, 1: 9}, {0: 7, 1: 19}, {}).lag == 12
    assert PartitionProgress({0: 8}, {0: 7}, {}).lag == 0  # fetched since its end was asked


def test_nothing_is_known_before_all_partitions_were_fetched_to_their_ends() -> None:
    sea = Sea()
    assert sea.turn([5, 0], [5, 9], [5, 0], (0, 50)) == -1
    assert sea.turn([5, 9], [5, 9], [5, 0]) == -1
    assert sea.turn([5, 9], [5, 9], [5, 4], (1, 20)) == 20
    assert sea.turn([5, 9], [5, 9], [5, 9], (1, 40)) == 50


def test_a_partition_that_is_behind_holds_up_the_others_at_its_newest_signal() -> None:
    sea = Sea()
    sea.turn([9, 3], [9, 30], [9, 3], (0, 90), (1, 10))
    assert sea.turn([9, 6], [9, 30], [9, 6], (1, 20)) == 20


def test_what_a_transaction_leaves_at_an_end_holds_up_nobody() -> None:
    sea = Sea()
    sea.turn([9, 4], [9, 4], [9, 3], (0, 90), (1, 10))
    assert sea.turn([9, 4], [9, 4], [9, 3]) == 10
    assert sea.turn([12, 4], [12, 4], [11, 3], (0, 95)) == 90


def test_without_signals_event_time_goes_on_at_the_pace_of_the_clock() -> None:
    sea = Sea()
    sea.turn([9, 4], [9, 4], [9, 4], (0, 90))
    assert sea.turn([9, 4], [9, 4], [9, 4], after_s=1.0) == 90
    assert sea.turn([9, 4], [9, 4], [9, 4], after_s=2 * 3_600.0) == 92


# ---- of a replay


def test_a_replay_has_the_alerts_of_its_signals(tmp_path: Path) -> None:
    told = [signal(f"q-{number}", -2.0) for number in range(50)] + [signal("h", 12.0, 1)]
    lines = [
        encode_line(Encoded(SIGNALS, 0, one.observed_at, b"h", one.model_dump_json().encode()), n) for n, one in enumerate(told)
    ]
    (tmp_path / "drift-signals.jsonl").write_bytes(b"".join(lines))
    assert write_alerts(tmp_path, Policy()) == 1
    written = (tmp_path / "drift-alerts.jsonl").read_bytes()
    assert b'"household_id":"h"' in written
    assert write_alerts(tmp_path, Policy()) == 1
    assert (tmp_path / "drift-alerts.jsonl").read_bytes() == written


def test_a_replay_and_a_desk_say_the_same_of_a_home_whose_device_changed(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.jsonl", tuple(map(line_of, home_records(Plan(0, "device", events=680)))))
    replay(Replay([log], tmp_path / "out", Policy(), Wiring(store="memory:")))
    written = [json.loads(line)["value"] for line in (tmp_path / "out/drift-alerts.jsonl").read_bytes().splitlines()]
    assert [(alert["state"], alert["device_id"]) for alert in written] == [("opened", "kitchen"), ("updated", "kitchen")]
    assert "adapted" in written[1]["evidence"]

    said = list[Encoded]()
    processor = FleetProcessor(MemoryStore(), said.extend, POLICY)
    for number, line in enumerate((tmp_path / "out/drift-signals.jsonl").read_bytes().splitlines()):
        processor.take(record(json.dumps(json.loads(line)["value"]).encode(), number))
        processor.decide(processor.fleet.stream_time)
    processor.decide(processor.fleet.stream_time + POLICY.decision_hours * HOUR_MS + grace_ms(POLICY))
    processor.settle()
    assert [json.loads(one.value or b"") for one in said] == written
