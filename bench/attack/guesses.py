"""Guessing a PIN of four digits at the real verifier, over a clock of its own.

Law: who guesses has all the time there is, every device, and tells a right PIN at once; what ends it is the lock, which the
home's app opens again a year later.
"""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from argon2 import PasswordHasher

from stream.contract.units import DAY_MS
from stream.runtime.service.verifier import DELAY_MS, Place, Verifier

__all__ = ["Guessed", "guess"]

PINS = 10_000
TRIES = 60  # after which a guesser gives up; the lock comes long before


class Guessed(NamedTuple):
    """By whom, over how many unlocks, how many guesses were looked at in one at most, and how often one was right."""

    who: str
    unlocks: int
    guesses_max: int
    right: int

    @property
    def chance(self) -> float:
        """Of a right guess in one unlock, for a PIN of four digits by chance: each guess that is looked at is one of them."""
        return self.guesses_max / PINS


def guess(unlocks: int, seed: int) -> list[Guessed]:
    """Guessers of different patience at one device, and one with the owner's voice as well."""
    kinds = {"at one device": (False,), "with the owner's own voice at tier 3, besides": (False, True)}
    with tempfile.TemporaryDirectory() as folder:
        verifier = Verifier(Path(folder) / "verifier.db", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        found = [_guess(verifier, who, purses, unlocks, seed) for who, purses in kinds.items()]
        verifier.close()
    return found


def _guess(verifier: Verifier, who: str, purses: tuple[bool, ...], unlocks: int, seed: int) -> Guessed:
    rng, at_ms, most, right = np.random.default_rng(seed), 1_763_690_000_000, 0, 0
    for _ in range(unlocks):
        pin, guesses = f"{rng.integers(PINS):04}", [f"{one:04}" for one in rng.permutation(PINS)[:TRIES]]
        if len({*pin}) == 1:
            continue  # no PIN
        verifier.set("h", "owner", pin)  # which unlocks too
        looked_at = 0
        for purse in purses:
            for one in guesses[looked_at:]:
                verdict = verifier.check(Place("h", "owner", "kitchen", purse), one, at_ms)
                at_ms += int(rng.choice([DELAY_MS, DAY_MS]))
                looked_at += verdict in ("right", "wrong")
                right += verdict == "right"
                if verdict in ("right", "locked"):
                    break
        most = max(most, looked_at)
        at_ms += 365 * DAY_MS
    return Guessed(who, unlocks, most, right)
