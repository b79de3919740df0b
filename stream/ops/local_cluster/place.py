"""The folder of a local cluster: what is in it, whether it runs, and how other commands find it and are let in.

Law: a folder has one running cluster at most, and a cluster counts as running only while its process lives. Its passwords stand
in files that their owner alone can read, and nowhere else but in the servers' own settings.
"""

import fcntl
import json
import os
import secrets
import sys
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.settings import Wiring, load_wiring

from ..service_folder import ServiceFolder
from .processes import ClusterError, until

__all__ = ["USERNAME", "Place", "default_folder", "place_in_force", "wiring_in_force"]

USERNAME: Final = "kithkin"  # of who enters its Kafka
_PASSWORD_BYTES: Final = 24
_CREDENTIALS: Final = ("username", "password", "password_file", "ca_file", "certificate_file", "key_file")
_PRIVATE_FILE: Final = 0o600
_PATIENCE_S: Final = 0.5  # another command may just be looking whether it runs


def default_folder() -> Path:
    """Where `kithkin up` keeps its data if nobody says: a folder of the user's data."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "kithkin" / "up"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kithkin" / "up"


def wiring_in_force(wiring: Path | None, **flags: str | None) -> Wiring:
    """The wiring of who looks at a cluster or feeds it; `flags` as for `load_wiring`. Raises ConfigError.

    What flags and KITHKIN_* say; when none of them says where the brokers or the states are, a running `kithkin up`; and when
    there is none, the defaults.
    """
    place = place_in_force(wiring, **flags)
    return load_wiring(wiring, **flags) if place is None else place.wiring(**flags)


def place_in_force(wiring: Path | None, **flags: str | None) -> "Place | None":
    """The folder of the running `kithkin up` that a command speaks to; None: it does not, or there is none."""
    told = [name for name in ("broker", "store") if flags.get(name) or f"KITHKIN_{name.upper()}" in os.environ]
    place = Place(default_folder())
    return place if wiring is None and not told and place.running else None


class Place:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.wiring_file = self.folder / "wiring.toml"  # written when its servers run
        self.policy_file = self.folder / "policy.toml"  # made with the service, and its user's to change
        self.service = ServiceFolder(self.folder / "service", self.policy_file)
        self._lock = self.folder / "lock"

    def password_file(self, server: str) -> Path:
        """The file whose first line is the password of "kafka" or "redis"; made by chance at the first start, and kept."""
        path = self.folder / f"{server}.password"
        if not path.is_file() or not path.read_text("utf-8").strip():
            with open(path, "w", opener=private) as file:
                file.write(f"{secrets.token_urlsafe(_PASSWORD_BYTES)}\n")
        path.chmod(_PRIVATE_FILE)
        return path

    def write_wiring(self, broker: str, store: str) -> Wiring:
        """Write the wiring for the commands that look, and read it as they do."""
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in {"broker": broker, "store": store}.items())
        for table, settings in self._credentials().items():
            text += f"\n[{table}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items())
        with open(self.wiring_file, "w", opener=private) as file:
            file.write(f"# Of the latest `kithkin up` in this folder.\n{text}")
        return self.wiring(broker=broker, store=store)

    def wiring(self, **flags: Any) -> Wiring:
        """How its cluster is spoken to; `flags` as for `load_wiring`. Credentials in KITHKIN_* are those of other servers."""
        with suppress(tomllib.TOMLDecodeError):  # which `load_wiring` tells
            filed = tomllib.loads(self.wiring_file.read_text("utf-8"))
            flags |= {table: {**dict.fromkeys(_CREDENTIALS), **filed.get(table, {})} for table in ("kafka", "redis")}
        return load_wiring(self.wiring_file, **flags)

    @property
    def running(self) -> bool:
        """Whether a cluster runs here and can be spoken to."""
        if not self._lock.is_file() or not self.wiring_file.is_file():
            return False
        with self._lock.open() as lock:
            return not _is_locked(lock)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Be the cluster of this folder. Raises ClusterError when another is, or the folder cannot be made."""
        try:
            self.folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
            self.folder.chmod(PRIVATE_FOLDER)  # of an earlier version, too: what lies in it is of people's homes
            lock = self._lock.open("w")
        except OSError as error:
            raise ClusterError(f"{self.folder} cannot hold a cluster's data: {error.strerror}") from None
        with lock:
            if not until(lambda: _is_locked(lock), _PATIENCE_S):
                raise ClusterError(self._who_holds())
            self.wiring_file.unlink(missing_ok=True)
            yield

    def _credentials(self) -> dict[str, dict[str, str]]:
        """What opens its servers, by tables of the wiring."""
        kafka = {"security": "sasl_plaintext", "mechanism": "SCRAM-SHA-512", "username": USERNAME}
        return {
            "kafka": {**kafka, "password_file": str(self.password_file("kafka"))},
            "redis": {"password_file": str(self.password_file("redis"))},
        }

    def _who_holds(self) -> str:
        told = self.wiring_file.read_text() if self.wiring_file.is_file() else "It is starting."
        addresses = " and ".join(line.split('"')[1] for line in told.splitlines() if line.startswith(("broker", "store")))
        return (
            f"A cluster runs in {self.folder} already{f', at {addresses}' if addresses else ''}. "
            "Use it, end it with Ctrl-C where it was started, or give another --dir."
        )


def _is_locked(lock: IO[str]) -> bool:
    """Whether the lock could be had; then this process has it until the file is closed."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
