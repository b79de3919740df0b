"""The verifier: what is kept of PINs, and whether one was right.

Law: a PIN is nowhere but in the memory of a check; what is kept is its argon2id hash. Who guesses gets three tries at a device,
then only the home's app opens it again; after a wrong one pass thirty seconds. A person without a PIN costs as long as a wrong
one.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Final, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from stream.contract.errors import ConfigError

from .database import Database

__all__ = ["DELAY_MS", "TRIES_MAX", "Verdict", "Verifier"]

TRIES_MAX: Final = 3
DELAY_MS: Final = 30_000
PIN_DIGITS: Final = range(4, 13)
Verdict = Literal["right", "wrong", "wait", "locked"]
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pins (household TEXT, person TEXT, hash TEXT, PRIMARY KEY (household, person));
CREATE TABLE IF NOT EXISTS tries (household TEXT, person TEXT, device TEXT, wrong INTEGER, at_ms INTEGER,
                                  PRIMARY KEY (household, person, device));
"""


class Verifier:
    """PINs in a SQLite file, which several processes may use.

    Parameters
    ----------
    path
        Made if it is missing, for its user alone.
    hasher
        19 MiB and two passes, as OWASP has it; one check at a time, so that a flood of guesses is no flood of memory.
    """

    def __init__(self, path: Path, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._database = Database(path, _SCHEMA)
        self._pool, self._lock = ThreadPoolExecutor(1, "argon2"), Lock()
        self._nobody = self._hasher.hash("")

    def set(self, household: str, person: str, pin: str) -> None:
        """Let this be a person's PIN, and forget wrong tries. Raises ConfigError when it is none."""
        if len(pin) not in PIN_DIGITS or not (pin.isascii() and pin.isdigit()) or len({*pin}) == 1:
            raise ConfigError("PIN", "…", "which is not taken", f"{PIN_DIGITS[0]} to {PIN_DIGITS[-1]} digits, not all alike")
        self._database.write("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", household, person, self._hasher.hash(pin))
        self.unlock(household, person)

    def reset(self, household: str, person: str) -> None:
        """Forget a person's PIN and tries."""
        self._database.write("DELETE FROM pins WHERE household = ? AND person = ?", household, person)
        self.unlock(household, person)

    def unlock(self, household: str, person: str) -> None:
        """Forget wrong tries at all devices."""
        self._database.write("DELETE FROM tries WHERE household = ? AND person = ?", household, person)

    def forget(self, household: str) -> None:
        """Forget all PINs and tries of a household."""
        self._database.write("DELETE FROM pins WHERE household = ?", household)
        self._database.write("DELETE FROM tries WHERE household = ?", household)

    def people(self, household: str) -> frozenset[str]:
        """Who of a household has a PIN."""
        return frozenset(person for (person,) in self._database.all("SELECT person FROM pins WHERE household = ?", household))

    def find_locked(self, household: str) -> list[tuple[str, str]]:
        """Whom of a household no PIN helps at which device, until they are unlocked."""
        return self._database.all("SELECT person, device FROM tries WHERE household = ? AND wrong >= ?", household, TRIES_MAX)

    def check(self, place: tuple[str, str, str], pin: str, now_ms: int) -> Verdict:
        """Whether a PIN is right, of a household's person at a device; `wait` and `locked`: it was not even tried."""
        with self._lock:
            of_place = "household = ? AND person = ? AND device = ?"
            wrong, at_ms = self._database.one(f"SELECT wrong, at_ms FROM tries WHERE {of_place}", *place) or (0, 0)
            if wrong >= TRIES_MAX:
                return "locked"
            if wrong and now_ms - at_ms < DELAY_MS:
                return "wait"
            # Counted before it is known, so that tries at the same time are not one.
            self._database.write("INSERT OR REPLACE INTO tries VALUES (?, ?, ?, ?, ?)", *place, wrong + 1, now_ms)
        (kept,) = self._database.one("SELECT hash FROM pins WHERE household = ? AND person = ?", *place[:2]) or ("",)
        if not self._pool.submit(self._matches, kept or self._nobody, pin).result() or not kept:
            return "wrong"
        self._database.write(f"DELETE FROM tries WHERE {of_place}", *place)
        return "right"

    def close(self) -> None:
        """Release the file."""
        self._pool.shutdown()
        self._database.close()

    def _matches(self, kept: str, pin: str) -> bool:
        try:
            return self._hasher.verify(kept, pin)
        except (VerifyMismatchError, InvalidHashError):
            return False
