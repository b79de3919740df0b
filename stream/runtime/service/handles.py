"""Ids of homes and people that are a client's own.

Law: two clients cannot match theirs, nor can one client match what it had by two consents: an id is the encryption of what it
stands for under a key of that client alone. It needs no table, and says nothing, not even by its length.

Theory: AES-SIV (RFC 5297) is deterministic, and what was not made by its key is refused.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha512
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

__all__ = ["Handles", "Person"]

_ID_BYTES: Final = 64  # of a household, the longest
_NUMBER_BYTES: Final = 8


class Person(NamedTuple):
    """Of whom a `sub` is: a household, and the number of the consent by which the client may know of them."""

    household_id: str
    consent: int


class Handles:
    """Makes a client's ids and reads them.

    >>> one, other = Handles(b"s" * 32), Handles(b"s" * 32)
    >>> sub = one.sub("pharmacy", Person("h-042", 7))
    >>> other.person("pharmacy", sub), other.person("bank", sub), other.home("pharmacy", sub)
    (Person(household_id='h-042', consent=7), None, None)
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._keys: dict[str, AESSIV] = {}  # by kind and client, of whom there are few

    def home_of(self, client_id: str, household_id: str) -> str:
        """What a client calls a home."""
        return self._encrypt("home", client_id, household_id.encode().ljust(_ID_BYTES, b"\0"))

    def home(self, client_id: str, handle: str) -> str | None:
        """The home that a client means; None: none."""
        found = self._decrypt("home", client_id, handle)
        return None if found is None else found.rstrip(b"\0").decode()

    def sub(self, client_id: str, person: Person) -> str:
        """What a client calls a person."""
        return self._encrypt(
            "sub", client_id, person.household_id.encode().ljust(_ID_BYTES, b"\0") + person.consent.to_bytes(_NUMBER_BYTES, "big")
        )

    def person(self, client_id: str, sub: str) -> Person | None:
        """The person whom a client means; None: nobody."""
        found = self._decrypt("sub", client_id, sub)
        if found is None:
            return None
        return Person(found[:_ID_BYTES].rstrip(b"\0").decode(), int.from_bytes(found[_ID_BYTES:], "big"))

    def _encrypt(self, kind: str, client_id: str, plain: bytes) -> str:
        return urlsafe_b64encode(self._key(kind, client_id).encrypt(plain, None)).decode().rstrip("=")

    def _decrypt(self, kind: str, client_id: str, text: str) -> bytes | None:
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            return self._key(kind, client_id).decrypt(raw, None)
        except (ValueError, InvalidTag):
            return None

    def _key(self, kind: str, client_id: str) -> AESSIV:
        name = f"{kind}/{client_id}"
        if name not in self._keys:
            self._keys[name] = AESSIV(hmac.digest(self._secret, name.encode(), sha512))
        return self._keys[name]
