"""The load: households without end from a seed, and the thread that sends what they say.

Law: the same seed gives the same records in the same order. They are those of simulated homes, with feedback of every kind,
records twice, late and early, and rubbish of every kind; each round of homes has names of its own.
"""

import itertools
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from confluent_kafka import Producer

from stream.offline.simulation.records import neighbourhood
from stream.ops.local_cluster.processes import until
from tests.support.histories import Sent, history

from .evidence import INPUTS

__all__ = ["Feeder", "load"]

_HOMES, _DAYS = 60, 6
_HISTORIES, _RECORDS = 12, 150
_PATIENCE_S: Final = 120.0
_TICK_S: Final = 0.02
_SENDING: Final = {"partitioner": "murmur2_random", "linger.ms": 2, "enable.idempotence": True, "delivery.timeout.ms": 120_000}


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
    """Sends records from a thread of its own, while it is let flow.

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
        self._producer = Producer(settings | _SENDING)
        self._prefix, self._records, self._rate = prefix, records, rate
        self.held: Callable[[], bool] = lambda: False  # whether those who work are too far behind
        self.sent = self.delivered = 0
        self.ends: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(INPUTS, 0))
        self.failures: list[str] = []
        self._flowing = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @contextmanager
    def flowing(self) -> Iterator[None]:
        """Records flow meanwhile; afterwards all that were sent have reached the brokers."""
        self._flowing.set()
        try:
            yield
        finally:
            self._flowing.clear()
            until(lambda: self.delivered == self.sent, _PATIENCE_S)

    def fill(self, records: int) -> None:
        """Send so many more, as fast as can be, and wait until they have reached the brokers."""
        assert not self._flowing.is_set(), "one sends at a time"
        for sent in itertools.islice(self._records, records):
            self.send(sent)
        until(lambda: self._producer.flush(0.1) == 0, _PATIENCE_S)

    def send(self, sent: Sent) -> None:
        """Send one record; its place is the key's."""
        while True:
            try:
                self._producer.produce(self._prefix + sent.topic, sent.value, sent.key, on_delivery=self._delivered)
                break
            except BufferError:
                self._producer.poll(0.1)
        self.sent += 1
        self._producer.poll(0)

    def waiting(self, partition: int) -> int:
        """Next offsets of both topics together: as many records as lie there."""
        return sum(self.ends[partition].values())

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._producer.purge()
        self._producer.flush(1)

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._over:
            if self._flowing.is_set() and not self.held():
                self.send(next(self._records))
                due_s += 1 / self._rate
            else:
                due_s = time.monotonic() + _TICK_S
            ahead_s = due_s - time.monotonic()
            if ahead_s > _TICK_S / 2:
                self._producer.poll(0)
                time.sleep(ahead_s)

    def _delivered(self, error: Any, message: Any) -> None:
        if error is not None:
            self.failures.append(f"a record was not delivered: {error.str()}")
        ends = self.ends[message.partition()]
        topic = message.topic().removeprefix(self._prefix)
        ends[topic] = max(ends[topic], message.offset() + 1)
        self.delivered += 1
