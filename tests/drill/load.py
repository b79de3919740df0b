"""The load: households without end from a seed, and the thread that sends what they say.

Law: the same seed gives the same records in the same order. They are those of simulated homes, with feedback of every kind,
records twice, late and early, and rubbish of every kind; each round of homes has names of its own.
"""

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

from confluent_kafka import Producer

from stream.neighbourhood import neighbourhood
from tests.histories import Sent, history

__all__ = ["Feeder", "load"]

_HOMES, _DAYS = 60, 6
_HISTORIES, _RECORDS = 12, 150
_PATIENCE_S: Final = 120.0


def load(seed: int) -> Iterator[Sent]:
    """Records without end; the partition of each is its key's, whatever it says."""
    streets: list[list[Sent]] = [
        [
            Sent(record.topic, 0, record.timestamp, record.key, record.value)
            for record in neighbourhood(homes=_HOMES, days=_DAYS, seed=seed).records
        ]
    ]
    streets += [list(history(seed * 1_000 + number, 1, _RECORDS)) for number in range(_HISTORIES)]
    for round_ in itertools.count():
        for turn in itertools.zip_longest(*(_spread(street, len(streets[0])) for street in streets)):
            for number, sent in enumerate(turn):
                if sent is not None:
                    yield _renamed(sent, f"r{round_}-{number}")


def _spread(street: list[Sent], length: int) -> Iterator[Sent | None]:
    """A street over that many turns, so that all end together."""
    every = length / len(street)
    turns = {int(number * every): sent for number, sent in enumerate(street)} if every > 1 else dict(enumerate(street))
    return (turns.get(turn) for turn in range(length))


def _renamed(sent: Sent, round_: str) -> Sent:
    """The same record of another household."""
    key, value = sent.key, sent.value
    for known in (b"linden-", b"h-"):
        new = f"{round_}-".encode() + known
        if key is not None and key.startswith(known):
            key = new + key.removeprefix(known)
        if value is not None:
            value = value.replace(b'"household_id": "' + known, b'"household_id": "' + new)
    return sent._replace(key=key, value=value)


class Feeder:
    """Sends records at a rate from a thread of its own, up to as many as it was allowed.

    Parameters
    ----------
    settings
        Of librdkafka: where the brokers are.
    prefix
        Of the topics.
    records
        What is sent.
    rate
        Records a second.
    """

    def __init__(self, settings: dict[str, Any], prefix: str, records: Iterator[Sent], rate: float) -> None:
        self._producer = Producer(
            settings | {"partitioner": "murmur2_random", "linger.ms": 2, "enable.idempotence": True, "delivery.timeout.ms": 120_000}
        )
        self._prefix, self._records, self.rate = prefix, records, rate
        self._allowed = threading.Semaphore(0)
        self._lock = threading.Lock()
        self.allowed = self.sent = self.delivered = 0
        self.ends: dict[int, dict[str, int]] = defaultdict(lambda: {"recognitions": 0, "feedback": 0})
        self.failures: list[str] = []
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def allow(self, records: int) -> None:
        """Let so many more flow."""
        self.allowed += records
        self._allowed.release(records)

    @property
    def idle(self) -> bool:
        """Whether all that was allowed has reached the brokers."""
        return self.delivered == self.allowed

    def waiting(self, partition: int) -> int:
        """Next offsets of both topics together: as many records as lie there."""
        return sum(self.ends[partition].values())

    def close(self) -> None:
        self._over = True
        self._allowed.release()
        self._thread.join()
        self._producer.purge()
        self._producer.flush(1)

    def _run(self) -> None:
        due_s = time.monotonic()
        while True:
            while not self._allowed.acquire(timeout=0.05):
                self._producer.poll(0)
                due_s = time.monotonic()
            if self._over:
                return
            self._send(next(self._records))
            due_s += 1 / self.rate
            ahead_s = due_s - time.monotonic()
            if ahead_s > 0.01:
                self._producer.poll(ahead_s)
                time.sleep(max(0.0, due_s - time.monotonic()))

    def _send(self, sent: Sent) -> None:
        while True:
            try:
                self._producer.produce(self._prefix + sent.topic, sent.value, sent.key, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
        self.sent += 1
        self._producer.poll(0)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failures.append(f"a record was not delivered: {error.str()}")
        ends = self.ends[message.partition()]
        topic = message.topic().removeprefix(self._prefix)
        ends[topic] = max(ends[topic], message.offset() + 1)
        self.delivered += 1
