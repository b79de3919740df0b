"""The service's settings: its clients, its secrets and where the PINs lie. They change no output of a worker.

Law: a secret stands in a file of its own, or as a hash; what is wrong is told before anything is opened.
"""

import tomllib
from base64 import b64decode
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.rights.signature import text_of_public_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from joserfc.jwk import Key

__all__ = [
    "SCOPES", "Client", "Service", "is_loopback", "key_of", "load_service", "proof_key_of", "refuse_other_key", "secret_of",
]  # fmt: skip

SCOPES = Literal["decisions", "challenges", "people", "presence", "events"]
_SECRET_BYTES_MIN = 32
_Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]


def _require_encrypted(url: str) -> str:
    """A URL whose way nobody reads: https, or on this machine."""
    right = "https://… with a host, or http:// to this machine"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError(right) from None
    if not host or port == 0 or parts.scheme not in ("http", "https") or parts.username is not None:
        raise ValueError(right)
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(right)
    return url


def is_loopback(host: str) -> bool:
    """Whether a host is this machine."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _require_key(jwk: dict[str, str]) -> dict[str, str]:
    """A public key as a JWK (RFC 7517), Ed25519 or P-256."""
    key_of(jwk)
    return jwk


def key_of(jwk: dict[str, str]) -> "Key":
    """The key of a JWK. Raises ValueError when it is none that is taken, or a private one."""
    from joserfc.errors import JoseError
    from joserfc.jwk import import_key

    try:
        if (jwk.get("kty"), jwk.get("crv")) not in (("OKP", "Ed25519"), ("EC", "P-256")) or "d" in jwk:
            raise ValueError
        return import_key({name: jwk[name] for name in ("kty", "crv", "x", "y") if name in jwk})
    except (JoseError, ValueError):
        raise ValueError('a public JWK with kty = "OKP", crv = "Ed25519", or kty = "EC", crv = "P-256"') from None


class Client(BaseModel):
    """An application that may ask."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = Field(
        None, description="SHA-256 of its secret, 64 hex digits; without one it shows a key"
    )
    keys: Annotated[tuple[Annotated[dict[str, str], AfterValidator(_require_key)], ...], Field(max_length=4)] = Field(
        (), description="public keys that its assertions are signed with (JWK: Ed25519 or P-256), up to 4"
    )
    scopes: frozenset[SCOPES] = Field(frozenset(get_args(SCOPES)), description="what it may ask for")
    per_minute: Annotated[int, Field(ge=1)] = Field(600, description="requests a minute, at most; so many may come at once")
    push_url: Annotated[str, AfterValidator(_require_encrypted)] | None = Field(
        None, description="where events are posted to, https or on this machine; without it the client polls"
    )

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if self.secret_sha256 is None and not self.keys:
            raise ValueError("a client has secret_sha256, keys or both")
        return self


class Service(BaseModel):
    """`service.toml`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_file: Path = Field(description="a secret that ids for clients and tokens are made of: `openssl rand -hex 32`")
    proof_key_file: Path = Field(description="the private key that proofs are signed with: `kithkin pin key`")
    kid: _Id = Field("api-1", description="its name in the policy's [proofs.keys]")
    verifier: Path = Field(Path("verifier.db"), description="where hashes of PINs lie, a SQLite file")
    events: Path = Field(Path("events.db"), description="which events clients have taken, a SQLite file")
    issuer: Annotated[str, Field(min_length=1, max_length=200)] = Field(
        "urn:kithkin:api", description="who signs events: a URL, better"
    )
    withdraw_days: Annotated[int, Field(ge=1, le=30)] = Field(7, description="how long a decision can be taken back")
    home_url: Annotated[str, AfterValidator(_require_encrypted)] = Field(
        "http://127.0.0.1:8095", description="where people of a home reach its page: https, or on this machine"
    )
    sessions: Path = Field(Path("sessions.db"), description="who is let in to homes' pages, by hashes, a SQLite file")
    session_idle_days: Annotated[int, Field(ge=1, le=365)] = Field(30, description="a session not used for so long has ended")
    assertions: Path = Field(Path("assertions.db"), description="which signed assertions clients have shown, a SQLite file")
    tokens_per_minute: Annotated[int, Field(ge=1)] = Field(
        60, description="requests for tokens a minute from one address; behind a proxy that is the proxy's"
    )
    token_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(15, description="how long a token holds")
    clients: dict[_Id, Client] = Field({}, description="who may ask: a table each")


def load_service(path: Path) -> Service:
    """The settings of a TOML file; paths in it are from where it lies. Raises ConfigError."""
    right = "a file as docs/decisions-api.md has"
    try:
        service = Service.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ConfigError("service", str(path), f"which cannot be read ({error.strerror})", right) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("service", str(path), f"which is no TOML ({error})", right) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise ConfigError(key, "…", str(path), first["msg"]) from None
    names = ("secret_file", "proof_key_file", "verifier", "events", "sessions", "assertions")
    return service.model_copy(update={name: path.parent / getattr(service, name) for name in names})


def secret_of(service: Service) -> bytes:
    """The service's own secret. Raises ConfigError."""
    secret = _read("secret_file", service.secret_file, "a file that `openssl rand -hex 32` wrote")
    if len(secret) < _SECRET_BYTES_MIN:
        raise ConfigError("secret_file", str(service.secret_file), f"{len(secret)} bytes", f"{_SECRET_BYTES_MIN} bytes or more")
    return secret


def proof_key_of(service: Service) -> "Ed25519PrivateKey":
    """The private key of proofs. Raises ConfigError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    right = "a file that `kithkin pin key` wrote"
    text = _read("proof_key_file", service.proof_key_file, right)
    try:
        return Ed25519PrivateKey.from_private_bytes(b64decode(text, validate=True))
    except ValueError:
        raise ConfigError("proof_key_file", str(service.proof_key_file), "which holds no key", right) from None


def refuse_other_key(service: Service, private: "Ed25519PrivateKey", policy: Policy) -> None:
    """Raises ConfigError when workers with this policy would not take what is signed with a key."""
    listed = policy.proofs.keys.get(service.kid)
    own = text_of_public_key(private)
    if listed is None or listed.public_key != own:
        right = f'[proofs.keys."{service.kid}"] public_key = "{own}", in the workers\' policy too'
        why = "the policy has no such key" if listed is None else "the policy has another key"
        raise ConfigError("kid", service.kid, why, right)
    if "pin" not in listed.factors:
        right = f'"pin" among factors of [proofs.keys."{service.kid}"], in the workers\' policy too'
        raise ConfigError("kid", service.kid, "whose key may prove no PIN", right)


def _read(key: str, path: Path, right: str) -> bytes:
    try:
        return path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(key, str(path), f"which cannot be read ({error.strerror})", right) from None
