"""What a worker's ports take, measured from outside of it.

Law: a metered port does what the port does. The worker knows no clock; what it costs stands between it and its ports.
"""

import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from stream.contract.ports import Batch, Broker, Claimed, InputTopic, Offsets, StateStore, Transaction
from stream.contract.records import Journal, Record

from .registry import Histogram

__all__ = ["PARTS", "Meter", "MeteredBroker", "MeteredStore"]

PARTS: Final = ("poll", "load", "step", "publish", "save")


class Meter:
    """How long things took. A turn is one `run_once` of the worker."""

    def __init__(self) -> None:
        self.parts = {part: Histogram() for part in PARTS}
        self.batch, self.latency, self.takeover = Histogram(), Histogram(), Histogram()
        self._spent_s = dict.fromkeys(PARTS, 0.0)  # in this turn

    def spent(self, part: str, since_s: float) -> None:
        """A port took from then until now."""
        self._spent_s[part] += time.perf_counter() - since_s

    def turn(self, took_s: float, records: int, taken_over: bool) -> None:
        """A turn is over. One without records and without a takeover only waited, and is not counted."""
        spent = self._spent_s
        worked_s = took_s - spent["poll"]
        if taken_over:
            self.takeover.observe([worked_s])
        elif records:
            spent["step"] = max(0.0, worked_s - spent["load"] - spent["publish"] - spent["save"])
            self.batch.observe([worked_s])
            for part in PARTS:
                self.parts[part].observe([spent[part]])
        self._spent_s = dict.fromkeys(PARTS, 0.0)


class MeteredBroker:
    """A broker, and what its polls and publishes take.

    Parameters
    ----------
    broker
        Does the work.
    meter
        Is told.
    """

    def __init__(self, broker: Broker, meter: Meter) -> None:
        self._broker, self._meter = broker, meter
        self._records: deque[Sequence[Record]] = deque()  # of batches polled and not yet published

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        began_s = time.perf_counter()
        batch = self._broker.poll(records_max, timeout_s)
        self._meter.spent("poll", began_s)
        if batch.revoked or batch.assigned:
            self._records.clear()
        if batch.records:
            self._records.append(batch.records)
        return batch

    def publish(self, transaction: Transaction) -> None:
        began_s = time.perf_counter()
        self._broker.publish(transaction)
        self._meter.spent("publish", began_s)
        now_s = time.time()
        records = self._records.popleft() if self._records else ()
        timed = (record.timestamp / 1000 for record in records if record.timestamp >= 0)  # -1: it has no timestamp
        self._meter.latency.observe(max(0.0, now_s - since_s) for since_s in timed)  # clocks differ

    def committed(self, partition: int) -> Offsets:
        return self._broker.committed(partition)

    def journal(self, partition: int, offsets: Offsets) -> Iterable[Journal]:
        return self._broker.journal(partition, offsets)

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        return self._broker.fetch(partition, offsets_from, offsets_to)

    def seek(self, partition: int, offsets: Offsets) -> None:
        self._broker.seek(partition, offsets)

    def lag(self) -> Mapping[int, int]:
        return self._broker.lag()

    def topics(self) -> Mapping[str, InputTopic]:
        return self._broker.topics()

    def close(self) -> None:
        self._broker.close()


class MeteredStore:
    """A store, and what its loads and saves take.

    Parameters
    ----------
    store
        Does the work.
    meter
        Is told.
    """

    def __init__(self, store: StateStore, meter: Meter) -> None:
        self._store, self._meter = store, meter

    def claim(self, partition: int) -> Claimed:
        return self._store.claim(partition)

    def offsets(self, partition: int) -> Offsets:
        return self._store.offsets(partition)

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        began_s = time.perf_counter()
        states = self._store.load(partition, households)
        self._meter.spent("load", began_s)
        return states

    def read(self, places: Sequence[tuple[int, str]]) -> list[bytes | None]:
        return self._store.read(places)

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        began_s = time.perf_counter()
        self._store.save(partition, epoch, offsets_from, offsets_to, states)
        self._meter.spent("save", began_s)

    def forget_overwritten(self) -> None:
        self._store.forget_overwritten()

    def households(self, partition: int) -> Iterable[str]:
        return self._store.households(partition)

    def partitions(self) -> Sequence[int]:
        return self._store.partitions()

    def close(self) -> None:
        self._store.close()
