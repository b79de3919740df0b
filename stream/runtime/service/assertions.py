"""Clients that show a key in the place of a secret: `private_key_jwt` (RFC 7523, section 2.2).

Law: an assertion is of one client, for this service, of the next minutes, and counts once, whichever process it comes to. Who is
none of ours costs a check of a signature too.
"""

import json
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey

from .database import Database
from .settings import Service, key_of

__all__ = ["ALGORITHMS", "Assertions"]

ALGORITHMS: Final = ("Ed25519", "EdDSA", "ES256")
_AHEAD_S: Final = 300  # it ends so soon, at the latest
_SKEW_S: Final = 60  # by which a client's clock may be ahead, or behind
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS shown (client TEXT, jti TEXT, until_s INTEGER, PRIMARY KEY (client, jti)) WITHOUT ROWID;
"""


class _Claims(msgspec.Struct):
    """Of an assertion; times in seconds. More than one audience would let one service show it to another."""

    iss: str
    sub: str
    aud: str | Annotated[list[str], msgspec.Meta(min_length=1, max_length=1)]
    exp: float
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    nbf: float = 0
    iat: float = 0


class Assertions:
    """Knows clients by what they signed; which it saw lies in a SQLite file that several processes may use.

    Parameters
    ----------
    path
        Made if it is missing, for its user alone.
    service
        Whose clients, and whom an assertion must be for: its `issuer`, or that and `/oauth/token`.
    """

    def __init__(self, path: Path, service: Service) -> None:
        self._database = Database(path, _SCHEMA)
        self._for = {service.issuer, f"{service.issuer.rstrip('/')}/oauth/token"}
        self._keys: dict[str, list[Key]] = {name: [key_of(jwk) for jwk in one.keys] for name, one in service.clients.items()}
        self._nobody: list[Key] = [OKPKey.generate_key("Ed25519"), ECKey.generate_key("P-256")]

    def client_of(self, text: str, client_id: str, now_ms: int) -> str | None:
        """Whose an assertion is, which has counted now; None: it does not hold. `client_id`: as is said beside it, or empty."""
        claimed, now_s = _subject(text), now_ms // 1_000
        keys = self._keys.get(claimed, [])
        claims = _verify(text, keys or self._nobody)
        if claims is None or not keys or claims.iss != claimed or client_id not in ("", claimed):
            return None
        audience = claims.aud if isinstance(claims.aud, str) else claims.aud[0]
        in_time = now_s - _SKEW_S < claims.exp <= now_s + _AHEAD_S + _SKEW_S and max(claims.nbf, claims.iat) <= now_s + _SKEW_S
        if audience not in self._for or not in_time:
            return None
        return claimed if self._is_first(claimed, claims.jti, int(claims.exp), now_s) else None

    def close(self) -> None:
        """Release the file."""
        self._database.close()

    def _is_first(self, client_id: str, jti: str, until_s: int, now_s: int) -> bool:
        self._database.write("DELETE FROM shown WHERE until_s <= ?", now_s - _SKEW_S)
        shown = "INSERT INTO shown VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
        return self._database.one(shown, client_id, jti, until_s) is not None


def _subject(text: str) -> str:
    """Whom an assertion says that it is of, unverified; empty: nobody."""
    try:
        part = text.split(".")[1]
        subject = json.loads(urlsafe_b64decode(part + "=" * (-len(part) % 4)))["sub"]
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return ""
    return subject if isinstance(subject, str) else ""


def _verify(text: str, keys: Sequence[Key]) -> _Claims | None:
    """What one of some keys signed, if it is what an assertion says."""
    for key in keys:
        try:
            return msgspec.convert(jwt.decode(text, key, algorithms=[*ALGORITHMS]).claims, _Claims)
        except (JoseError, ValueError, TypeError, RecursionError):
            continue
    return None
