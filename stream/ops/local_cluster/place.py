"""The folder of a local cluster: what is in it, whether it runs, and how other commands find it.

Law: a folder has one running cluster at most, and a cluster counts as running only while its process lives.
"""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

from stream.contract.credentials import PRIVATE_FOLDER

from .processes import ClusterError, until

__all__ = ["Place", "default_folder"]

_PATIENCE_S: Final = 0.5  # another command may just be looking whether it runs


def default_folder() -> Path:
    """Where `kithkin up` keeps its data if nobody says: a folder of the user's data."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "kithkin" / "up"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "kithkin" / "up"


class Place:
    """One folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.expanduser().absolute()
        self.wiring_file = self.folder / "wiring.toml"  # written when its servers run
        self._lock = self.folder / "lock"

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

    def _who_holds(self) -> str:
        told = self.wiring_file.read_text() if self.wiring_file.is_file() else "It is starting."
        addresses = " and ".join(line.split('"')[1] for line in told.splitlines() if '"' in line)
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
