"""Who may see a home's page: a link that works once, and the session that it opens.

Law: what opens a home is kept only as its hash; a link works once and within its minutes, a session as long as it is used. Each
is of one household.
"""

import secrets
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Final

from stream.contract.units import DAY_MS, MINUTE_MS

from ..database import Database
from ..settings import Service

__all__ = ["LINK_MINUTES", "Sessions", "link_to"]

LINK_MINUTES: Final = 15
_SEEN_EVERY_MS: Final = MINUTE_MS  # a session is not written anew with every request
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS links (hash TEXT PRIMARY KEY, household TEXT, until_ms INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (hash TEXT PRIMARY KEY, household TEXT, seen_ms INTEGER) WITHOUT ROWID;
"""


class Sessions:
    """Links and sessions in a SQLite file, which several processes may use: one makes links, another opens them.

    Parameters
    ----------
    path
        Made if it is missing, for its user alone.
    idle_days
        A session that was not used for so long has ended.
    """

    def __init__(self, path: Path, idle_days: int) -> None:
        self._idle_ms = idle_days * DAY_MS
        self._database = Database(path, _SCHEMA)

    def link(self, household: str, now_ms: int) -> str:
        """A secret that opens a session of a household, once."""
        self._database.write("DELETE FROM links WHERE until_ms <= ?", now_ms)
        self._database.write("DELETE FROM sessions WHERE seen_ms <= ?", now_ms - self._idle_ms)
        secret = secrets.token_urlsafe(32)
        self._database.write("INSERT INTO links VALUES (?, ?, ?)", _hash(secret), household, now_ms + LINK_MINUTES * MINUTE_MS)
        return secret

    def open(self, secret: str, now_ms: int) -> str | None:
        """The secret of a session, for that of a link; None: there is no such link, or it was used, or has ended."""
        link = self._database.one("DELETE FROM links WHERE hash = ? RETURNING household, until_ms", _hash(secret))
        if link is None or now_ms >= link[1]:
            return None
        opened = secrets.token_urlsafe(32)
        self._database.write("INSERT INTO sessions VALUES (?, ?, ?)", _hash(opened), link[0], now_ms)
        return opened

    def household_of(self, secret: str, now_ms: int) -> str | None:
        """Whose session this is, which is used now; None: nobody's."""
        session = self._database.one("SELECT household, seen_ms FROM sessions WHERE hash = ?", _hash(secret))
        if session is None or now_ms >= session[1] + self._idle_ms:
            return None
        if now_ms >= session[1] + _SEEN_EVERY_MS:
            self._database.write("UPDATE sessions SET seen_ms = ? WHERE hash = ?", now_ms, _hash(secret))
        return str(session[0])

    def leave(self, secret: str) -> None:
        """End a session."""
        self._database.write("DELETE FROM sessions WHERE hash = ?", _hash(secret))

    def end(self, household: str) -> None:
        """End all sessions and links of a household."""
        self._database.write("DELETE FROM sessions WHERE household = ?", household)
        self._database.write("DELETE FROM links WHERE household = ?", household)

    def close(self) -> None:
        """Release the file."""
        self._database.close()


def link_to(service: Service, household: str, now_ms: int) -> str:
    """The URL that lets people of a household in to its page, once and for some minutes."""
    with closing(Sessions(service.sessions, service.session_idle_days)) as sessions:
        return f"{service.home_url.rstrip('/')}/page/#{sessions.link(household, now_ms)}"


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
