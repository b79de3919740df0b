"""One size of a fleet, measured in a process of its own: a worker, a store in memory with all homes, events of a few of them.

    python -m bench.scale.measure HOMES SHARE

Law: what the broker takes to give records is not counted, and no network is in between: what is told is the worker's own time.
The home of each event is drawn from those that are active, the SHARE of all, so that how often one is in memory is what it would
be with any of that share.
"""

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import numpy as np

from stream.brokers.partitioning import partition_of
from stream.contract.policy import Policy
from stream.contract.ports import Batch, InputTopic, Offsets, Transaction
from stream.contract.records import INPUT_TOPICS, Record
from stream.contract.settings import Wiring
from stream.runtime.worker import home_cache
from stream.runtime.worker.garbage import seldom_collected
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores.memory import MemoryStore

from ..stages import u_ns
from .homes import Original, name_of, original

__all__ = ["main", "measured", "rss_bytes"]

PARTITIONS: Final = 16  # of this worker
EVENTS_OF_EACH, EVENTS_MIN, EVENTS_MAX, WARM_EVENTS = 8, 6_000, 80_000, 1_000  # the first are not timed
SPARE: Final = 1.5  # of what is drawn of one home at most, beside the mean
_SAVED_AT_ONCE: Final = 10_000

Drawn = list[tuple[str, int, int]]  # home, its partition, which of its events to come


class ListBroker:
    """A member that has every partition, with a list of events to come; what is published is weighed and let go."""

    def __init__(self, drawn: Drawn, source: Original) -> None:
        self._drawn, self._source, self._given = drawn, source, 0
        self._ends: dict[int, dict[str, int]] = {p: dict.fromkeys(INPUT_TOPICS, 0) for p in range(PARTITIONS)}
        self._committed: dict[int, Offsets] = {}
        self._assigned = False
        self.bytes: Counter[str] = Counter()
        self.polling_s = 0.0

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        if not self._assigned:
            self._assigned = True
            return Batch(assigned=frozenset(range(PARTITIONS)))
        began = time.perf_counter()
        some = self._drawn[self._given : self._given + records_max]
        self._given += len(some)
        records = [self._record(*one) for one in some]
        self.bytes["in"] += sum(len(record.value or b"") for record in records)
        self.polling_s += time.perf_counter() - began
        return Batch(records=records, ended=not records)

    def _record(self, name: str, partition: int, event: int) -> Record:
        at_ms, topic, _ = self._source.future[event]
        offset = self._ends[partition][topic]
        self._ends[partition][topic] = offset + 1
        return Record(topic, partition, offset, at_ms, name.encode(), self._source.value_of(name, event))

    def committed(self, partition: int) -> Offsets:
        return dict(self._committed.get(partition, dict.fromkeys(INPUT_TOPICS, 0)))

    def journal(self, partition: int, offsets: Offsets) -> Iterable[Any]:
        raise AssertionError("states and outputs stand at the same place here")

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        raise AssertionError("nothing is recovered here")

    def seek(self, partition: int, offsets: Offsets) -> None:
        """Each partition goes on from where it stands."""

    def topics(self) -> Mapping[str, InputTopic]:
        return {}

    def lag(self) -> Mapping[int, int]:
        return {}

    def publish(self, transaction: Transaction) -> None:
        self.bytes["out"] += sum(len(output.value or b"") + len(output.key or b"") for output in transaction.outputs)
        self._committed |= transaction.offsets

    def reassign(self) -> None:
        """As after a restart: all partitions are given anew."""
        self._assigned = False

    def close(self) -> None:
        """Nothing to release."""


class WeighingStore(MemoryStore):
    """The store in memory, which weighs what is loaded and saved."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes: Counter[str] = Counter()

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        found = super().load(partition, households)
        self.bytes["loaded"] += sum(map(len, found.values()))
        return found

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        super().save(partition, epoch, offsets_from, offsets_to, states)
        self.bytes["saved"] += sum(map(len, states.values()))


def filled(homes: int, source: Original) -> WeighingStore:
    """A store with so many homes."""
    store, moved = WeighingStore(), {"copied": 1}  # a save must move the offsets: they go to a topic of no stream and back
    epochs = [store.claim(partition).epoch for partition in range(PARTITIONS)]
    for first in range(0, homes, _SAVED_AT_ONCE):
        states: list[dict[str, bytes]] = [{} for _ in epochs]
        for name in map(name_of, range(first, min(first + _SAVED_AT_ONCE, homes))):
            states[partition_of(name.encode(), PARTITIONS)][name] = source.state_of(name)
        for partition, (epoch, some) in enumerate(zip(epochs, states, strict=True)):
            store.save(partition, epoch, {}, moved, some)
            store.save(partition, epoch, moved, {}, {})
    return store


def sizes_of(homes: int, share: float) -> tuple[int, int, int]:
    """Active homes, events, and the most that can come to one of them."""
    active = max(1, round(homes * share))
    events = min(max(EVENTS_OF_EACH * active, EVENTS_MIN), EVENTS_MAX) + WARM_EVENTS
    return active, events, int(SPARE * events / active) + 30


def drawn_of(homes: int, share: float) -> Drawn:
    """Which home each event comes to, and which of its own it is."""
    active, events, most = sizes_of(homes, share)
    rng = np.random.default_rng(0)
    chosen = [name_of(number) for number in rng.choice(homes, active, replace=False).tolist()]
    partitions = [partition_of(name.encode(), PARTITIONS) for name in chosen]
    counts, drawn = [0] * active, []
    for number in rng.integers(active, size=events).tolist():
        if counts[number] < most:
            drawn.append((chosen[number], partitions[number], counts[number]))
            counts[number] += 1
    return drawn


class CacheCounts:
    """How often a batch's homes were live, kept as bytes, or had to be loaded."""

    def __init__(self) -> None:
        self.asked = self.decoded = 0

    def patches(self) -> Iterator[Any]:
        """What counts, to be entered."""
        load, decode = home_cache.HomeCache.load, home_cache.decode_home

        def counted(cache: Any, partition: int, households: Iterable[str], offsets: Offsets) -> None:
            names = list(households)
            self.asked += len(names)
            load(cache, partition, names, offsets)

        def decoded(*args: Any) -> Any:
            self.decoded += 1
            return decode(*args)

        yield patch.object(home_cache.HomeCache, "load", counted)
        yield patch.object(home_cache, "decode_home", decoded)


def rss_bytes() -> int:
    """What this process has in memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return 1024 * int(line.split()[1])


def measured(homes: int, share: float) -> dict[str, float]:
    """All figures of one size."""
    policy, wiring = Policy(), Wiring()
    source = original(sizes_of(homes, share)[2], policy)
    empty = rss_bytes()
    began = time.perf_counter()
    store = filled(homes, source)
    filling, full = time.perf_counter() - began, rss_bytes()
    drawn = drawn_of(homes, share)
    broker = ListBroker(drawn[:WARM_EVENTS], source)
    limits = WorkerLimits(wiring.batch_records_max, resident_bytes_max=wiring.resident_bytes_max)
    worker, counts = Worker(broker, store, policy, limits), CacheCounts()
    first, second = counts.patches()
    with first, second, seldom_collected():
        worker.run()
        before = counts.asked, counts.decoded, worker.counts.households_loaded
        for weighed in (store.bytes, broker.bytes):
            weighed.clear()
        broker._drawn, broker._given, broker.polling_s = drawn[WARM_EVENTS:], 0, 0.0
        unit, began = u_ns(), time.perf_counter()
        worker.run()
        took, working = time.perf_counter() - began - broker.polling_s, rss_bytes()
    after = counts.asked, counts.decoded, worker.counts.households_loaded
    asked, decoded, loaded = (b - a for a, b in zip(before, after, strict=True))
    events = len(drawn) - WARM_EVENTS
    assert not worker.counts.dead_letters, f"every event is answered: {worker.counts.dead_letters}"
    weights = {f"{name}_bytes": number / events for name, number in (store.bytes + broker.bytes).items()}
    figures: dict[str, float] = {
        "homes": homes, "active": sizes_of(homes, share)[0], "events": events,
        "u_ns": min(unit, u_ns()), "us": 1e6 * took / events, "state_bytes": len(source.state),
        "store_bytes": (full - empty) / homes, "fill_s": filling, "resident_max": wiring.resident_bytes_max,
        "live": 1 - decoded / asked, "kept": (decoded - loaded) / asked, "lookups": asked / events,
        "rss": working, "worker_rss": working - full + empty, "answer_ms": _first_answer_ms(broker, store, policy, drawn),
    }  # fmt: skip
    return figures | weights


def _first_answer_ms(broker: ListBroker, store: WeighingStore, policy: Policy, drawn: Drawn) -> float:
    """From a new worker in a process that has all at hand to its first answer: every partition is claimed, one home loaded."""
    name, partition, event = drawn[-1]
    broker.reassign()
    broker._drawn, broker._given = [(name, partition, event + 1)], 0
    began = time.perf_counter()
    worker = Worker(broker, store, policy)
    while not worker.counts.records:
        worker.run_once()
    return 1e3 * (time.perf_counter() - began)


def main() -> None:
    cli = argparse.ArgumentParser(prog="python -m bench.scale.measure", description=(__doc__ or "").splitlines()[0])
    cli.add_argument("homes", type=int)
    cli.add_argument("share", type=float)
    args = cli.parse_args()
    json.dump(measured(args.homes, args.share), sys.stdout)


if __name__ == "__main__":
    main()
