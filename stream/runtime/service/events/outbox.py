"""Events for clients, signed, kept until they have them.

Law: an event is of one client, names the person by that client's own `sub` alone, and is the same whoever signs it again: its
`jti` is made of the decision. One that a client took does not come again, also after a restart.

Theory: Security Event Tokens (RFC 8417) of the Shared Signals Framework. A decision is to its client a session of its own that
has ended (CAEP `session-revoked`): to tell the new level (`assurance-level-change`) would tell that another member was heard.
"""

import warnings
from collections.abc import Iterable
from hashlib import sha256
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import OKPKey

from stream.contract.records import Decided
from stream.contract.units import DAY_MS

from ..database import Database
from ..decisions import Signer

__all__ = ["SESSION_REVOKED", "Outbox", "jti_of"]

SESSION_REVOKED: Final = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
_PENDING_MAX: Final = 10_000  # of a client; of more, the oldest are dropped
_KEPT_DAYS: Final = 40  # longer than the topic keeps what could be offered again
_SCHEMA: Final = "CREATE TABLE IF NOT EXISTS taken (jti TEXT PRIMARY KEY, at_ms INTEGER) WITHOUT ROWID"
# RFC 9864 has a newer name for the same; what clients verify with knows this one.
warnings.filterwarnings("ignore", "EdDSA is deprecated", SecurityWarning)


def jti_of(decision_id: str) -> str:
    """The name of the event that a decision was withdrawn.

    >>> jti_of("d-000001")
    'w-5b65c4b934082a575c0410f20af0a9b9'
    """
    return f"w-{sha256(f'withdrawn/{decision_id}'.encode()).hexdigest()[:32]}"


class Outbox:
    """Signed events by client, which several threads may use.

    Parameters
    ----------
    path
        A SQLite file of what was taken; made if it is missing. Several processes may share it.
    issuer
        Of the tokens.
    signer
        Whose key signs them.
    """

    def __init__(self, path: Path, issuer: str, signer: Signer) -> None:
        self._database = Database(path, _SCHEMA)
        self._issuer, self._kid = issuer, signer.kid
        self._key = OKPKey.import_key(signer.private, {"kid": signer.kid, "use": "sig", "alg": "EdDSA"})
        self._pending: dict[str, dict[str, str]] = {}  # tokens by client and jti, oldest first
        self._lock = Lock()

    @property
    def keys(self) -> dict[str, Any]:
        """The JWK set that tokens are verified with."""
        return {"keys": [self._key.as_dict(private=False)]}

    def offer(self, withdrawn: Decided) -> None:
        """Have its client told of a withdrawn decision, unless it took that already."""
        jti = jti_of(withdrawn.decision_id)
        with self._lock:
            pending = self._pending.setdefault(withdrawn.client_id, {})
            if jti in pending or self._is_taken(jti):
                return
            pending[jti] = self._sign(jti, withdrawn)
            while len(pending) > _PENDING_MAX:
                del pending[next(iter(pending))]

    def list_pending(self, client_id: str, count_max: int = 100) -> tuple[dict[str, str], bool]:
        """Tokens by `jti` that a client has not taken, oldest first, and whether there are more."""
        with self._lock:
            pending = self._pending.get(client_id, {})
            for jti in [jti for jti in islice(pending, count_max) if self._is_taken(jti)]:  # by another process
                del pending[jti]
            return dict(islice(pending.items(), count_max)), len(pending) > count_max

    def take(self, client_id: str, jtis: Iterable[str], now_ms: int) -> None:
        """A client has these; of what is not its own, nothing happens."""
        with self._lock:
            own = [jti for jti in jtis if self._pending.get(client_id, {}).pop(jti, None) is not None]
            if own:
                self._database.write_all("INSERT OR IGNORE INTO taken VALUES (?, ?)", [(jti, now_ms) for jti in own])
                self._database.write("DELETE FROM taken WHERE at_ms < ?", now_ms - _KEPT_DAYS * DAY_MS)

    def close(self) -> None:
        """Release the file."""
        with self._lock:
            self._database.close()

    def _is_taken(self, jti: str) -> bool:
        return self._database.one("SELECT 1 FROM taken WHERE jti = ?", jti) is not None

    def _sign(self, jti: str, withdrawn: Decided) -> str:
        at_s = (withdrawn.withdrawn_at or withdrawn.at) // 1_000
        subject: dict[str, Any] = {"format": "complex", "session": {"format": "opaque", "id": withdrawn.decision_id}}
        if withdrawn.sub is not None:
            subject["user"] = {"format": "iss_sub", "iss": self._issuer, "sub": withdrawn.sub}
        claims = {
            "iss": self._issuer, "aud": withdrawn.client_id, "iat": at_s, "jti": jti, "sub_id": subject,
            "events": {SESSION_REVOKED: {"event_timestamp": at_s, "initiating_entity": "system"}},
        }  # fmt: skip
        return jwt.encode({"alg": "EdDSA", "kid": self._kid, "typ": "secevent+jwt"}, claims, self._key, algorithms=["EdDSA"])
