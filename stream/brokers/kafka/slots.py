"""A worker's slot: the part of its transactional id that no two living workers share and a restarted one has again.

Law: whoever comes back to a slot ends the transaction that its dead predecessor left open; under another slot readers would
wait for its time-out.
"""

import fcntl
import os
import socket
import tempfile
from io import FileIO
from itertools import count
from pathlib import Path

from stream.contract.errors import ConfigError
from stream.contract.settings import Wiring

__all__ = ["Slot"]


class Slot:
    """A slot held by this process: the one that the wiring names, or the host's name and the lowest free number.

    A number is claimed by a lock on a file in a folder of this user, which the system lets go when the process ends in
    whatever way. Raises ConfigError when that folder cannot be used.
    """

    def __init__(self, wiring: Wiring) -> None:
        self._claim: FileIO | None = None
        group = f"{wiring.prefix}{wiring.group}"
        if wiring.slot is not None:
            self.name = wiring.slot
        else:
            self._claim, number = _lowest_free(group)
            self.name = f"{socket.gethostname()}-{number}"
        self.transactional_id = f"{group}-{self.name}"

    def release(self) -> None:
        """Let another worker have it."""
        if self._claim is not None:
            self._claim.close()


def _lowest_free(group: str) -> tuple[FileIO, int]:
    folder = _runtime_folder()
    for number in count():
        claim = FileIO(folder / f"{group}.{number}.slot", "ab")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            claim.close()
        else:
            return claim, number
    raise AssertionError("there is always a further number")


def _runtime_folder() -> Path:
    """A folder of this user alone, on this machine, that need not outlive a restart of it."""
    given = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(given, "kithkin") if given else Path(tempfile.gettempdir(), f"kithkin-{os.getuid()}")
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.stat().st_uid != os.getuid():
            raise PermissionError(None, "of another user")
    except OSError as error:
        right = f"given (or kithkin may write in {folder}: {error.strerror})"
        raise ConfigError("slot", None, "the wiring", right) from None
    return folder
