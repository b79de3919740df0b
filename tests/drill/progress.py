"""What is done, watched from outside: the journal as it grows, and how long a partition stood still.

Law: done is what a read_committed reader of the journal sees.
"""

import json
import threading
import time
from typing import Any, Final

from confluent_kafka import Consumer, TopicPartition

from .load import Feeder

__all__ = ["Progress"]

_TICK_S: Final = 0.05
_READING: Final = {
    "group.id": "drill.progress",  # demanded by the library; nothing is joined or committed
    "enable.auto.commit": False,
    "isolation.level": "read_committed",
    "auto.offset.reset": "earliest",
    "fetch.wait.max.ms": 50,
}


class Progress:
    """Reads the journal from a thread of its own.

    Parameters
    ----------
    settings
        Of librdkafka: where the brokers are.
    topic
        The journal, by its name on the wire.
    partitions
        How many it has.
    feeder
        Knows how many records there are.
    """

    def __init__(self, settings: dict[str, Any], topic: str, partitions: int, feeder: Feeder) -> None:
        self.done = dict.fromkeys(range(partitions), 0)
        self.latest_s = 0.0  # when the latest batch was seen
        self._feeder = feeder
        self._moved_s = dict.fromkeys(self.done, time.monotonic())
        self._still_s = 0.0
        self._lock = threading.Lock()
        self._over = False
        self._consumer = Consumer(settings | _READING)
        self._consumer.assign([TopicPartition(topic, partition, 0) for partition in self.done])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def lag(self) -> int:
        """Records that reached the brokers and are not done."""
        return sum(self._feeder.waiting(partition) - done for partition, done in self.done.items())

    def reached(self, marks: dict[int, int]) -> bool:
        """Whether so many records of each partition are done."""
        return all(self.done[partition] >= mark for partition, mark in marks.items())

    def marks(self) -> dict[int, int]:
        """How many records of each partition there are now."""
        return {partition: self._feeder.waiting(partition) for partition in self.done}

    def standstill_s(self) -> float:
        """The longest time since this was last asked in which a partition had records waiting and none was done."""
        with self._lock:
            still_s, self._still_s = self._still_s, 0.0
            self._moved_s = dict.fromkeys(self.done, time.monotonic())
        return still_s

    def close(self) -> None:
        self._over = True
        self._thread.join()
        self._consumer.close()

    def _run(self) -> None:
        while not self._over:
            for message in self._consumer.consume(500, _TICK_S):
                if message.error() is None:
                    self._note(message)
            self._look()

    def _note(self, message: Any) -> None:
        partition, now_s = message.partition(), time.monotonic()
        self.done[partition] = sum(json.loads(message.value())["offsets_to"].values())
        self.latest_s = now_s
        with self._lock:
            self._still_s = max(self._still_s, now_s - self._moved_s[partition])
            self._moved_s[partition] = now_s

    def _look(self) -> None:
        """A partition without anything to do does not stand still."""
        now_s = time.monotonic()
        with self._lock:
            for partition, done in self.done.items():
                if done >= self._feeder.waiting(partition):
                    self._moved_s[partition] = now_s
                else:
                    self._still_s = max(self._still_s, now_s - self._moved_s[partition])
