"""The verifier: what is kept of PINs, and whether one was right.

Law: a PIN is nowhere but in the memory of a check; what is kept is its argon2id hash. Who guesses gets three tries at a device,
then only the home's app opens it again; after a wrong one pass thirty seconds, and of one person six a day are tried wherever.
A person without a PIN costs as long as a wrong one.

Tries for an event in which the owner's own voice reached tier 3 are counted apart, so that nobody else's wrong ones bar an owner
who is there; and thirty seconds a day is the longest that an owner waits between their own.
"""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, Literal, NamedTuple

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from stream.contract.errors import ConfigError
from stream.contract.units import DAY_MS

from .database import Database

__all__ = ["DAY_TRIES_MAX", "DELAY_MS", "TRIES_MAX", "Place", "Verdict", "Verifier"]

TRIES_MAX: Final = 3
DAY_TRIES_MAX: Final = 6  # wrong ones of a person at all devices
DELAY_MS: Final = 30_000
PIN_DIGITS: Final = range(4, 13)
Verdict = Literal["right", "wrong", "wait", "locked", "spent"]
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS pins (household TEXT, person TEXT, hash TEXT, PRIMARY KEY (household, person));
CREATE TABLE IF NOT EXISTS wrong (household TEXT, person TEXT, device TEXT, owner INTEGER, at_ms INTEGER, open INTEGER);
CREATE INDEX IF NOT EXISTS wrong_of ON wrong (household, person);
DROP TABLE IF EXISTS tries;
"""
_OF_PLACE: Final = "household = ? AND person = ? AND device = ? AND owner = ?"


class Place(NamedTuple):
    """Where a PIN is given, and whether in an event in which the person's own voice reached tier 3 (`owner`)."""

    household: str
    person: str
    device: str
    owner: bool = False


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
        self._pool = ThreadPoolExecutor(1, "argon2")
        self._nobody = self._hasher.hash("")

    def set(self, household: str, person: str, pin: str) -> None:
        """Let this be a person's PIN, and forget wrong tries. Raises ConfigError when it is none."""
        if len(pin) not in PIN_DIGITS or not (pin.isascii() and pin.isdigit()) or len({*pin}) == 1:
            raise ConfigError("PIN", "…", "which is not taken", f"{PIN_DIGITS[0]} to {PIN_DIGITS[-1]} digits, not all alike")
        hashed = self._hasher.hash(pin)
        with self._database.transaction():
            self._database.write("INSERT OR REPLACE INTO pins VALUES (?, ?, ?)", household, person, hashed)
            self.unlock(household, person)

    def reset(self, household: str, person: str) -> None:
        """Forget a person's PIN and tries."""
        self._database.write("DELETE FROM pins WHERE household = ? AND person = ?", household, person)
        self.unlock(household, person)

    def unlock(self, household: str, person: str) -> None:
        """Forget wrong tries at all devices."""
        self._database.write("DELETE FROM wrong WHERE household = ? AND person = ?", household, person)

    def forget(self, household: str) -> None:
        """Forget all PINs and tries of a household."""
        self._database.write("DELETE FROM pins WHERE household = ?", household)
        self._database.write("DELETE FROM wrong WHERE household = ?", household)

    def people(self, household: str) -> frozenset[str]:
        """Who of a household has a PIN."""
        return frozenset(person for (person,) in self._database.all("SELECT person FROM pins WHERE household = ?", household))

    def find_locked(self, household: str) -> list[tuple[str, str]]:
        """Whom of a household no PIN helps at which device, until they are unlocked."""
        query = "SELECT person, device, owner FROM wrong WHERE household = ? AND open GROUP BY 1, 2, 3 HAVING COUNT(*) >= ?"
        return sorted({(person, device) for person, device, _ in self._database.all(query, household, TRIES_MAX)})

    def check(self, place: Place, pin: str, now_ms: int) -> Verdict:
        """Whether a PIN is right; `wait`, `locked` and `spent` (too many wrong ones today): it was not even tried."""
        with self._database.transaction():
            verdict = self._refuse(place, now_ms)
            if verdict is not None:
                return verdict
            # Counted before it is known, so that tries at the same time are not one, whichever process they came to.
            (own,) = self._database.one("INSERT INTO wrong VALUES (?, ?, ?, ?, ?, 1) RETURNING rowid", *place, now_ms)
        (kept,) = self._database.one("SELECT hash FROM pins WHERE household = ? AND person = ?", *place[:2]) or ("",)
        if not self._pool.submit(self._matches, kept or self._nobody, pin).result() or not kept:
            return "wrong"
        with self._database.transaction():
            self._database.write("DELETE FROM wrong WHERE rowid = ?", own)
            self._database.write(f"UPDATE wrong SET open = 0 WHERE {_OF_PLACE}", *place)
        return "right"

    def _refuse(self, place: Place, now_ms: int) -> Verdict | None:
        """Why no PIN is tried; None: one is."""
        self._database.write("DELETE FROM wrong WHERE NOT open AND at_ms <= ?", now_ms - DAY_MS)
        query = "SELECT device, at_ms, open FROM wrong WHERE household = ? AND person = ? AND owner = ? ORDER BY at_ms"
        wrong = self._database.all(query, place.household, place.person, place.owner)
        here = [at_ms for device, at_ms, is_open in wrong if device == place.device and is_open]
        today = [at_ms for _, at_ms, _ in wrong if at_ms > now_ms - DAY_MS]
        if len(here) >= TRIES_MAX:
            return "locked"
        if len(today) >= DAY_TRIES_MAX:
            return "spent"
        # An owner waits after the first wrong one of a day alone.
        until_ms = (today[0] if today else 0) if place.owner else (here[-1] if here else 0)
        return "wait" if until_ms and now_ms - until_ms < DELAY_MS else None

    def close(self) -> None:
        """Release the file."""
        self._pool.shutdown()
        self._database.close()

    def _matches(self, kept: str, pin: str) -> bool:
        try:
            return self._hasher.verify(kept, pin)
        except (VerifyMismatchError, InvalidHashError):
            return False
