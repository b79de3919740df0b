"""Whole histories of the runtime under faults, each from one seed, each checked against a serial run of what it journalled.

    python -m tests.support.simulator --histories 1000

One to three workers share two or three partitions. Processes crash at every effect, stand still and come back, lose replies
and partitions; producers repeat themselves, topics overtake each other, and the core fails on some events. Then all is
left in peace until it has come to rest, and the outputs and states must be, byte for byte, those of a serial run.
"""

import argparse
import logging
import multiprocessing
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from stream.brokers import Crash, Fault, Faults, MemoryBroker, MemoryLog
from stream.contract.policy import Policy
from stream.contract.ports import Broker, BrokerError, Fenced, StateStore, StoreError
from stream.contract.reading import RECOGNITIONS
from stream.contract.records import Event
from stream.runtime.worker import home_cache
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.support.failing_core import failing
from tests.support.faulty_store import FaultyStore
from tests.support.histories import POISON, history
from tests.support.publishing import Publishing
from tests.support.serial import check

__all__ = ["FRAGILE", "Outcome", "Ports", "simulate", "what_became"]

POLICY = Policy()
TURNS_MAX = 3_000  # of faults; what has not come to rest then is left in peace
CHANCES: dict[Fault, float] = {
    "broker_error_at_poll": 0.01,
    "hold_back": 0.2,
    "redeliver": 0.3,
    "rebalance_in_batch": 0.04,
    "crash_before_publish": 0.04,
    "crash_in_publish": 0.02,
    "crash_after_publish": 0.06,
    "broker_error_at_publish": 0.02,
    "lost_reply_of_publish": 0.04,
    "zombie_before_publish": 0.05,
    "store_error_at_claim": 0.05,
    "store_error_at_load": 0.01,
    "store_error_at_save": 0.03,
    "crash_before_save": 0.03,
    "crash_after_save": 0.03,
    "lost_reply_of_save": 0.03,
    "zombie_before_save": 0.04,
}

Ports = Callable[[Broker, StateStore], tuple[Broker, StateStore]]  # what stands between a worker and its ports, to break it

home_cache.SLOTS_IN_ARRAY = 4  # a history starts many workers of few homes, which need no room for 256 (a third of its time)


class PoisonError(RuntimeError):
    """The core's failure on a poisonous event."""


def _poisoned(event: Event) -> PoisonError | None:
    value: Any = event.value
    return PoisonError(value.event_id) if isinstance(value, RECOGNITIONS) and value.activity == POISON else None


FRAGILE = failing(_poisoned)  # the core, but failing on poison after it has already changed the home


class Outcome(NamedTuple):
    """What a history came to: complaints (none: all is well) and what struck it."""

    seed: int
    complaints: Sequence[str]
    struck: Counter[Fault]
    batches: int


def simulate(seed: int, ports: Ports = lambda broker, store: (broker, store)) -> Outcome:
    """Run one history and check it."""
    world = _World(seed, ports)
    complaints = world.run()
    if not complaints:
        complaints = check(world.log, world.store, POLICY, FRAGILE.step)
    return Outcome(seed, complaints, world.struck, sum(len(world.log.journal(p)) for p in range(world.log.partitions)))


def what_became(seed: int) -> tuple[MemoryLog, Counter[Fault]]:
    """One history as it lies in its log at the end, and what struck it."""
    world = _World(seed, lambda broker, store: (broker, store))
    complaints = world.run()
    assert not complaints, complaints
    return world.log, world.struck


class _World:
    """A log, a store, and some slots in which a supervisor keeps workers running."""

    def __init__(self, seed: int, ports: Ports) -> None:
        self._chance = chance = random.Random(seed)
        self._seed, self._ports = seed, ports
        producers = Faults(seed, {"duplicate": 0.05})
        self.log, self.store = MemoryLog(chance.randint(2, 3), producers), MemoryStore()
        poison = chance.choice([0.0, 0.0, 0.03])
        self._unsent = list(history(seed, self.log.partitions, records=chance.randint(30, 120), poison=poison))[::-1]
        self._severity = chance.choice([0.3, 1.0, 2.0])
        self._slots = [_Slot(self) for _ in range(chance.randint(1, 3))]
        self._all_faults = [producers]

    @property
    def struck(self) -> Counter[Fault]:
        """How often each fault struck anyone."""
        return sum((faults.struck for faults in self._all_faults), Counter())

    def run(self) -> Sequence[str]:
        """Until every record is consumed and every state saved; the complaints of workers that could not recover."""
        try:
            for _ in range(TURNS_MAX):
                if not self._unsent and self._at_rest():
                    break
                self.turn()
            self._in_peace()
        except Exception as error:
            return [f"{type(error).__name__}: {error}"]
        return []

    def turn(self) -> None:
        """Some records are sent, and one worker that does not stand still takes its turn."""
        for _ in range(min(len(self._unsent), self._chance.choice([0, 0, 1, 3, 10]))):
            self.log.append(*self._unsent.pop())
        awake = [slot for slot in self._slots if not slot.stands_still]
        if awake:
            self._chance.choice(awake).turn(self._chance)

    def turns(self) -> None:
        """What happens in the world while a zombie stands still."""
        for _ in range(self._chance.randint(1, 12)):
            self.turn()

    def worker(self, stand_still: Callable[[], None]) -> tuple[MemoryBroker, Worker]:
        """A new process, with chances of its own."""
        chances = {fault: chance * self._severity for fault, chance in CHANCES.items()}
        faults = Faults(self._chance.randrange(2**32), chances, stand_still)
        self._all_faults.append(faults)
        broker = MemoryBroker(self.log, faults)
        limits = WorkerLimits(
            records_max=self._chance.choice([1, 4, 20]),
            resident_bytes_max=self._chance.choice([0, 250_000, 10**9]),  # none, one and bytes of others, all,
            dead_letters_min=10**9,
        )
        worker = Worker(*self._ports(broker, FaultyStore(self.store, faults)), POLICY, limits, FRAGILE.step_batch)
        if self._chance.random() < 0.5:
            worker.publish_beside(Publishing(lambda: self._chance.random() < 0.5))
        return broker, worker

    def _at_rest(self) -> bool:
        return all(self.log.committed(partition) == self.log.end(partition) for partition in range(self.log.partitions))

    def _in_peace(self) -> None:
        """A last worker, alone and without faults, finishes what there is."""
        while self._unsent:
            self.log.append(*self._unsent.pop())
        for slot in self._slots:
            slot.leave()
        self.log.sealed = True
        broker = MemoryBroker(self.log)
        Worker(*self._ports(broker, self.store), POLICY, WorkerLimits(dead_letters_min=10**9), FRAGILE.step_batch).run()


class _Slot:
    """A place where a supervisor keeps one worker running."""

    def __init__(self, world: _World) -> None:
        self._world = world
        self._running: tuple[MemoryBroker, Worker] | None = None
        self._dead: list[MemoryBroker] = []  # crashed, and the group does not know it yet
        self.stands_still = False

    def turn(self, chance: random.Random) -> None:
        if self._dead and chance.random() < 0.5:
            self._dead.pop().close()  # its session times out
        if self._running is None:
            self._running = self._world.worker(self._stand_still)
            return
        broker, worker = self._running
        try:
            worker.run_once()
        except Crash:
            self._running = None
            self._dead.append(broker)
        except (Fenced, BrokerError, StoreError):
            self._running = None
            broker.close()

    def leave(self) -> None:
        for broker in self._dead:
            broker.close()
        if self._running is not None:
            self._running[0].close()

    def _stand_still(self) -> None:
        """The process is stopped, its session times out, the world goes on, and it comes back."""
        assert self._running is not None, "only who runs can stand still"
        self.stands_still = True
        self._running[0].close()
        self._world.turns()
        self.stands_still = False


def main(arguments: Sequence[str] | None = None) -> int:
    """Run many histories; the number of those that failed is not 0: exit code 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.simulator", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--histories", type=int, default=1000, help="how many, each with a seed of its own (default 1000)")
    parser.add_argument("--seed", type=int, default=0, help="the seed of the first; the next has the next (default 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes (default: one a core)")
    options = parser.parse_args(arguments)
    started_s, seeds, failed = time.monotonic(), range(options.seed, options.seed + options.histories), 0
    struck: Counter[Fault] = Counter()
    batches = 0
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when the new processes import NumPy
    with multiprocessing.get_context("spawn").Pool(options.jobs, _quieten) as pool:
        for done, outcome in enumerate(pool.imap_unordered(simulate, seeds, chunksize=5), 1):
            struck.update(outcome.struck)
            batches += outcome.batches
            if outcome.complaints:
                failed += 1
                again = f"python -m tests.support.simulator --histories 1 --seed {outcome.seed}"
                print(f"\nseed {outcome.seed} failed; once more: {again}")
                print(*(f"  {complaint}" for complaint in outcome.complaints[:10]), sep="\n", flush=True)
            if done % 100 == 0 or done == len(seeds):
                print(f"{done} of {len(seeds)} histories, {failed} failed, {time.monotonic() - started_s:.0f} s", flush=True)
    print(f"{batches} batches, and what struck: {', '.join(f'{fault} {times}' for fault, times in sorted(struck.items()))}")
    return 1 if failed else 0


def _quieten() -> None:
    logging.disable(logging.ERROR)  # a household that is quarantined on purpose is no news


if __name__ == "__main__":
    sys.exit(main())
