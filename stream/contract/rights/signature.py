"""Signatures of records: Ed25519 (RFC 8032) over the canonical JSON (RFC 8785) of all their other fields.

Law: whoever has the policy can check a signature, and needs no secret for it; so a replay takes what the live worker took. What
is signed are the fields as they were sent, also those that no reader knows.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["SIGNATURE", "Key", "canonical", "fault_of_signature", "public_key_of", "sign", "text_of_public_key"]

SIGNATURE: Final = "signature"  # the one field that is not signed
_INSTALL: Final = "which need the packages cryptography and rfc8785: pip install 'kithkin[service]'"


class Key(Protocol):
    """A public key as the policy lists it; from when until when it holds, ms."""

    @property
    def public_key(self) -> str: ...
    @property
    def not_before(self) -> int: ...
    @property
    def not_after(self) -> int: ...


def public_key_of(text: str) -> "Ed25519PublicKey":
    """The key that 32 bytes in base64 are. Raises ValueError when they are none, or what reads them is not installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
        from rfc8785 import dumps  # noqa: F401  # asked for now, and not at the first proof
    except ImportError as error:
        raise ValueError(f"a key to check proofs with, {_INSTALL} ({error.name} is missing)") from None
    try:
        return Ed25519PublicKey.from_public_bytes(b64decode(text, validate=True))
    except ValueError:
        raise ValueError("base64 of the 32 bytes of an Ed25519 public key; `kithkin pin key` makes a pair") from None


def text_of_public_key(private: "Ed25519PrivateKey") -> str:
    """The public half, as the policy has it."""
    return b64encode(private.public_key().public_bytes_raw()).decode()


def canonical(fields: Mapping[str, Any]) -> bytes:
    """The bytes that are signed: all fields but the signature. Raises ValueError for what JSON of RFC 8785 cannot say."""
    from rfc8785 import dumps

    return dumps({name: value for name, value in fields.items() if name != SIGNATURE})


def sign(fields: Mapping[str, Any], private: "Ed25519PrivateKey") -> dict[str, Any]:
    """The same fields and their signature."""
    return {**fields, SIGNATURE: b64encode(private.sign(canonical(fields))).decode()}


def fault_of_signature(fields: Mapping[str, Any], at_ms: int, keys: Mapping[str, Key]) -> str:
    """Why the signature of a record of some time says nothing, as a sentence; empty: it is right.

    `fields`: as they were sent, among them `kid` and `signature`.
    """
    kid = str(fields["kid"])
    key = keys.get(kid)
    if key is None:
        return f"the policy lists no key {kid!r} in [proofs.keys]"
    if not key.not_before <= at_ms < key.not_after:
        return f"the key {kid!r} does not hold at {at_ms}: it does from {key.not_before} to {key.not_after}"
    from cryptography.exceptions import InvalidSignature

    try:
        public_key_of(key.public_key).verify(b64decode(str(fields[SIGNATURE]), validate=True), canonical(fields))
    except (InvalidSignature, ValueError):
        return f"its signature is not that of the key {kid!r} over its other fields"
    return ""
