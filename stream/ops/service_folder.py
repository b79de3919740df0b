"""What `kithkin api` needs, made by chance: secrets, settings, and a policy that lists the key of its proofs.

Law: what is there stays as it is, for another secret is other ids for clients, and proofs of another key are forged. What is
secret stands in files that their owner alone can read.
"""

import os
import re
import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.rights.signature import text_of_public_key

if TYPE_CHECKING:
    from stream.contract.policy import Policy

__all__ = ["KID", "ServiceFolder", "key_lines", "make_key"]

KID: Final = "api-1"
_SECRET_BYTES: Final = 32
_HOME_URL: Final = re.compile(r'^home_url = "([^"]*)"', re.MULTILINE)
_SETTINGS: Final = """\
# Of `kithkin api`; paths are from here. docs/decisions-api.md tells what else there is.
secret_file = "service.key" # ids for clients and tokens are made of it: another secret, other ids
proof_key_file = "{kid}.key"
kid = "{kid}"
home_url = "{home_url}" # where people reach their home's page

# Who may ask, a table each:
# [clients.pharmacy]
# secret_sha256 = "…" # printf %s "$SECRET" | sha256sum
"""
_POLICY: Final = """\
# Of the workers and of `kithkin api`: whatever is not said here is as `kithkin policy` prints it.
{key}

[presence]
publish = true

# What applications may ask for, and the least tier of an answer that allows it.
[actions."playlist.play"]
tier = 2

[actions."messages.read"]
tier = 3

[actions."order.repeat"]
tier = 4

[actions."pharmacy.refill"]
tier = 5
"""


def make_key(file: Path) -> str:
    """Make a private key that proofs are signed with; the text of its public half. Raises FileExistsError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    made = Ed25519PrivateKey.generate()
    with open(file, "xb", opener=private) as written:
        written.write(b64encode(made.private_bytes_raw()))
    return text_of_public_key(made)


def key_lines(kid: str, public_key: str, factor: str = "pin") -> str:
    """The lines of a policy by which workers check proofs of a key."""
    return f'[proofs.keys."{kid}"]\npublic_key = "{public_key}"\nfactors = ["{factor}"]'


class ServiceFolder:
    """The files of one service.

    Parameters
    ----------
    folder
        Of its secrets, its settings and what it keeps; for its user alone.
    policy_file
        Where the policy is to lie, which workers read too.
    """

    def __init__(self, folder: Path, policy_file: Path) -> None:
        self.settings_file, self.policy_file = folder / "service.toml", policy_file
        self._folder, self._key_file = folder, folder / f"{KID}.key"

    def make(self, home_url: str) -> None:
        """Whatever is missing. Raises OSError."""
        self._folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        _write_new(self._folder / "service.key", f"{secrets.token_hex(_SECRET_BYTES)}\n")
        if not self._key_file.exists():
            make_key(self._key_file)
        _write_new(self.settings_file, _SETTINGS.format(kid=KID, home_url=home_url))
        _write_new(self.policy_file, _POLICY.format(key=self.key_lines))

    @property
    def key_lines(self) -> str:
        """The lines of a policy that list its key."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        raw = b64decode(self._key_file.read_text("ascii"))
        return key_lines(KID, text_of_public_key(Ed25519PrivateKey.from_private_bytes(raw)))

    def is_listed_in(self, policy: "Policy") -> bool:
        """Whether workers with a policy take its proofs."""
        listed = policy.proofs.keys.get(KID)
        return listed is not None and key_lines(KID, listed.public_key) == self.key_lines

    @property
    def home_url(self) -> str:
        """Where people reach the page, as its settings have it; empty: they say nothing of it, or are not there."""
        text = self.settings_file.read_text("utf-8") if self.settings_file.is_file() else ""
        found = _HOME_URL.search(text)
        return found[1] if found else ""

    def move(self, port: int) -> None:
        """Let the page be at another port of this machine, unless it is reached by another name."""
        parts = urlsplit(self.home_url)
        if parts.hostname == "127.0.0.1" and parts.port != port:
            text = self.settings_file.read_text("utf-8")
            with open(self.settings_file, "w", opener=private) as file:
                file.write(_HOME_URL.sub(f'home_url = "http://127.0.0.1:{port}"', text))


def _write_new(path: Path, text: str) -> None:
    """Unless it is there. Whole or not at all, so that who is interrupted finds no half of it the next time."""
    if path.exists():
        return
    made = path.with_name(f"{path.name}.{os.getpid()}")
    with open(made, "w", opener=private) as file:
        file.write(text)
    made.rename(path)
