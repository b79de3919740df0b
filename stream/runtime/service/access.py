"""Who asks: OAuth 2 clients by their credentials (RFC 6749, 4.4), tokens, and how often who asks may.

Law: a client's secret is compared in constant time and kept nowhere; an unknown client costs as much as a wrong secret. A client
that has keys may sign in their place what counts once. A token is verified once and remembered by its hash until it ends.
"""

import hmac
import json
from collections import OrderedDict
from hashlib import sha256
from typing import Final, NamedTuple

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from .assertions import Assertions
from .settings import Service

__all__ = ["Caller", "RateLimit", "Tokens", "TooMany"]

_AUDIENCE: Final = "urn:kithkin:api"
_CACHED_MAX: Final = 10_000
_COUNTED_MAX: Final = 10_000
_NOBODY: Final = sha256(b"").hexdigest()


class Caller(NamedTuple):
    """A client that was let in, what it may ask for, and until when, ms."""

    client_id: str
    scopes: frozenset[str]
    until_ms: int


class TooMany(RuntimeError):
    """A client asks more often than it may; `after_s`: when it may again."""

    def __init__(self, after_s: int) -> None:
        super().__init__(f"too many requests; again in {after_s} s")
        self.after_s = after_s


class RateLimit:
    """How often each may: so many times at once, and as many again in every minute."""

    def __init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, int]] = OrderedDict()  # requests that are left, as of a time

    def count(self, name: str, per_minute: int, now_ms: int) -> None:
        """One more request. Raises TooMany."""
        left, at_ms = self._left.pop(name, (float(per_minute), now_ms))
        left = min(float(per_minute), left + (now_ms - at_ms) * per_minute / 60_000)
        self._left[name] = (left - 1 if left >= 1 else left), now_ms
        if len(self._left) > _COUNTED_MAX:
            self._left.popitem(last=False)
        if left < 1:
            raise TooMany(int((1 - left) * 60 / per_minute) + 1)


class Tokens:
    """Issues tokens to clients and knows them again; counts what clients ask for."""

    def __init__(self, service: Service, secret: bytes, assertions: Assertions) -> None:
        self._clients, self._lasts_ms = service.clients, service.token_minutes * 60_000
        self._assertions, self._tokens_per_minute = assertions, service.tokens_per_minute
        self._key = OctKey.import_key(hmac.digest(secret, b"tokens", "sha256"))
        self._known: dict[str, Caller] = {}
        self._limit, self._issues = RateLimit(), RateLimit()

    def issue(self, client_id: str, secret: str, scopes: frozenset[str], now_ms: int) -> tuple[str, Caller] | None:
        """A token for those of the scopes (none: all) that the client has; None: it is none of ours, or has none of them."""
        client = self._clients.get(client_id)
        kept = client.secret_sha256 if client else None
        right = hmac.compare_digest(sha256(secret.encode()).hexdigest(), kept or _NOBODY)
        return self._grant(client_id, scopes, now_ms) if kept is not None and right else None

    def issue_signed(self, assertion: str, client_id: str, scopes: frozenset[str], now_ms: int) -> tuple[str, Caller] | None:
        """The same for what a client signed; `client_id`: as it says beside it, or empty."""
        found = self._assertions.client_of(assertion, client_id, now_ms)
        return None if found is None else self._grant(found, scopes, now_ms)

    def _grant(self, client_id: str, scopes: frozenset[str], now_ms: int) -> tuple[str, Caller] | None:
        client = self._clients[client_id]
        granted = frozenset(client.scopes) & (scopes or frozenset(client.scopes))
        if not granted:
            return None
        caller = Caller(client_id, granted, now_ms + self._lasts_ms)
        claims = {"aud": _AUDIENCE, "sub": client_id, "scope": " ".join(sorted(granted)), "exp": caller.until_ms // 1_000}
        return jwt.encode({"alg": "HS256"}, claims, self._key), caller

    def verify(self, token: str, now_ms: int) -> Caller | None:
        """Who has this token; None: it is none, has ended, or is of a client that is no longer listed."""
        name = sha256(token.encode()).hexdigest()
        caller = self._known.get(name) or self._read(token)
        if caller is None or now_ms >= caller.until_ms or caller.client_id not in self._clients:
            self._known.pop(name, None)
            return None
        if len(self._known) >= _CACHED_MAX:
            self._known.clear()
        self._known[name] = caller
        return caller

    def count_issue(self, address: str, now_ms: int) -> None:
        """One more request for a token. Raises TooMany."""
        self._issues.count(address, self._tokens_per_minute, now_ms)

    def count(self, client_id: str, now_ms: int) -> None:
        """One more request. Raises TooMany."""
        self._limit.count(client_id, self._clients[client_id].per_minute, now_ms)

    def _read(self, token: str) -> Caller | None:
        try:
            claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
        except (JoseError, ValueError, json.JSONDecodeError):
            return None
        if claims.get("aud") != _AUDIENCE:
            return None
        return Caller(str(claims["sub"]), frozenset(str(claims["scope"]).split()), int(claims["exp"]) * 1_000)
