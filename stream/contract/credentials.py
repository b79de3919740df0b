"""What the wiring's files hold: certificates for TLS, and passwords; and who may read the files that are made.

Law: a file that cannot be read is told by its setting before anything is connected; what stands in it is never told. What is made
of people's lives can be read by its owner alone, and nothing is written through a link.
"""

import os
from pathlib import Path
from typing import Final, Literal

from .errors import ConfigError
from .settings import KafkaWiring, RedisWiring

__all__ = ["PRIVATE_FOLDER", "password_of", "private", "tls_files", "wrong"]

_TLS: Final = ("ca_file", "certificate_file", "key_file")

PRIVATE_FOLDER: Final = 0o700
_PRIVATE_FILE: Final = 0o600

Table = Literal["kafka", "redis"]  # of the wiring


def private(path: str, flags: int) -> int:
    """An opener for `open`: a file that it makes can be read by its owner alone. OSError (ELOOP) where a link stands."""
    return os.open(path, flags | os.O_NOFOLLOW, _PRIVATE_FILE)


def tls_files(table: Table, wiring: KafkaWiring | RedisWiring) -> dict[str, Path]:
    """The files of TLS that are set, by their settings; each can be read. Raises ConfigError."""
    files = {name: path for name in _TLS if (path := getattr(wiring, name)) is not None}
    for name, path in files.items():
        _read(table, name, path)
    if ("certificate_file" in files) != ("key_file" in files):
        raise wrong(table, "certificate_file", wiring.certificate_file, f"given together with {table}.key_file, or neither")
    return files


def password_of(table: Table, wiring: KafkaWiring | RedisWiring) -> str | None:
    """The password as it is set, or the first line of its file; None: neither is set. Raises ConfigError."""
    if wiring.password is not None:
        return wiring.password.get_secret_value()
    if wiring.password_file is None:
        return None
    first, _, _ = _read(table, "password_file", wiring.password_file).partition("\n")
    if not first:
        right = "a file whose first line is the password; it is empty"
        raise wrong(table, "password_file", str(wiring.password_file), right)
    return first.removesuffix("\r")


def wrong(table: Table, name: str, value: object, right: str) -> ConfigError:
    """The fault of a setting in a table of the wiring."""
    return ConfigError(f"{table}.{name}", value, "the wiring", right)


def _read(table: Table, name: str, path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "not text"
        raise wrong(table, name, str(path), f"a text file that can be read ({why})") from None
