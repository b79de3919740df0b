"""Faults on demand: what can go wrong at a port, drawn from a seed.

Law: the same seed and the same calls give the same faults, so that a history that failed fails again.
"""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Literal

__all__ = ["Crash", "Fault", "Faults"]

Fault = Literal[
    "duplicate",  # a producer repeats a record: the same bytes at a new offset
    "hold_back",  # one topic is slower: a poll gives nothing of it
    "redeliver",  # after an assignment, polls begin some records before the position they were told
    "broker_error_at_poll",
    "rebalance_in_batch",  # the group changes while a polled batch is worked on
    "crash_before_publish",
    "crash_in_publish",  # nothing of it may become visible
    "crash_after_publish",
    "broker_error_at_publish",
    "lost_reply_of_publish",  # it is visible, and the worker is told that it failed
    "zombie_before_publish",  # the worker stands still, others take its partitions over, then it goes on
    "store_error_at_claim",
    "store_error_at_load",
    "store_error_at_save",  # nothing is saved
    "crash_before_save",
    "crash_after_save",
    "lost_reply_of_save",  # it is saved, and the worker is told that it failed
    "zombie_before_save",
]


class Crash(BaseException):
    """The process is gone at this very point, as after a kill -9: nothing may catch it and go on."""


class Faults:
    """Decides where a fault strikes.

    Parameters
    ----------
    seed
        All chance comes from it.
    chances
        Probability, 0 to 1, of each fault at each occasion; those not named never strike. May be changed on the way.
    stand_still
        What happens in the world while a zombie stands still.
    """

    def __init__(self, seed: int, chances: Mapping[Fault, float], stand_still: Callable[[], None] = lambda: None) -> None:
        self._random = random.Random(seed)
        self.chances, self.stand_still = dict(chances), stand_still
        self.struck: Counter[Fault] = Counter()

    def strike(self, fault: Fault) -> bool:
        """Whether this fault happens now; counted in `struck`."""
        chance = self.chances.get(fault, 0.0)
        hit = chance > 0 and self._random.random() < chance
        if hit:
            self.struck[fault] += 1
        return hit

    def crash(self, fault: Fault) -> None:
        """Raise Crash if this fault happens now."""
        if self.strike(fault):
            raise Crash(fault)

    def choose(self, limit: int) -> int:
        """A number from 0 to `limit` - 1, for faults that have a where or a how much."""
        return self._random.randrange(limit)

    def cease(self) -> None:
        """From now on nothing goes wrong."""
        self.chances.clear()
