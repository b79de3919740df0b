"""The file of a recording, which may be stopped at any point and goes on.

Law: what `FILE.progress` says is written is whole frames of whole lines on the disk; whatever stands behind it is cut off. It is
removed when the recording is finished. A file that it does not stand beside is never touched.
"""

import fcntl
import gzip
import os
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from stream.brokers.kafka.journals import Span
from stream.contract.credentials import private
from stream.contract.errors import ConfigError, how_to_install

__all__ = ["Progress", "RecordingFile"]

_BYTES_MAX: Final = 8 * 2**20  # of lines that are not yet written
_Place = tuple[str, int]


class Progress(msgspec.Struct):
    """How far a recording is: its request, its spans, what is done of each, and the bytes and records in the file."""

    request: dict[str, str]
    times: tuple[int, int]
    spans: list[Span]
    done: list[tuple[str, int, int]] = []  # topic, partition, next offset
    size: int = 0
    records: int = 0

    @property
    def offsets(self) -> dict[_Place, int]:
        """Next offsets by topic and partition."""
        return {(topic, partition): offset for topic, partition, offset in self.done}


class RecordingFile:
    """Appends lines, frame by frame.

    Raises
    ------
    ConfigError
        Its name ends in none of .jsonl, .jsonl.gz and .jsonl.zst; it exists and is no recording that goes on; or somebody else
        writes it. Nothing was changed.
    """

    def __init__(self, path: Path) -> None:
        self.path, self._beside = path, path.with_name(f"{path.name}.progress")
        self._pack = _make_packer(path)
        self.progress = self._read_progress()
        if self.progress is None and (path.exists() or path.is_symlink()):
            raise ConfigError("out", str(path), "which exists", "another file: nothing is written over")
        self._file: Any = None
        self._lines: list[bytes] = []
        self._waiting = 0  # bytes

    def begin(self, progress: Progress) -> Self:
        """Open it where that progress stands, which is its own or one to begin with."""
        self.progress = progress
        self._file = _open_to_append(self.path)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise ConfigError("out", str(self.path), "which another `kithkin record` writes", "another file") from None
        self._file.truncate(progress.size)
        self._save()
        return self

    def append(self, line: bytes) -> bool:
        """Take a line; whether so many wait that they should be written."""
        self._lines.append(line)
        self._waiting += len(line)
        return self._waiting >= _BYTES_MAX

    def commit(self, done: Mapping[_Place, int]) -> None:
        """Write what waits as one frame, and then that these next offsets are done."""
        assert self.progress is not None, "begun"
        if self._lines:
            self._file.write(self._pack(b"".join(self._lines)))
            self._file.flush()
            os.fsync(self._file.fileno())
        self.progress.records += len(self._lines)
        self.progress.size = os.fstat(self._file.fileno()).st_size
        self.progress.done = [(*place, offset) for place, offset in sorted(done.items())]
        self._lines, self._waiting = [], 0
        self._save()

    def finish(self) -> None:
        """All is written."""
        self._beside.unlink()

    def close(self) -> None:
        """Leave what was committed; the rest is read again."""
        if self._file is not None:
            self._file.close()

    def _read_progress(self) -> Progress | None:
        try:
            with open(self._beside, "rb", opener=private) as file:
                return msgspec.json.decode(file.read(), type=Progress)
        except FileNotFoundError:
            return None
        except (OSError, msgspec.DecodeError) as error:
            raise ConfigError("out", str(self._beside), f"which cannot be read ({error})", "that of a recording") from None

    def _save(self) -> None:
        draft = self._beside.with_name(f"{self._beside.name}.tmp")
        with open(draft, "wb", opener=private) as file:
            file.write(msgspec.json.encode(self.progress))
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, self._beside)


def _open_to_append(path: Path) -> Any:
    return open(path, "ab", opener=private)


def _make_packer(path: Path) -> Callable[[bytes], bytes]:
    """How frames are packed, by the file's name."""
    match path.suffixes[-2:]:
        case [*_, ".jsonl"]:
            return bytes
        case [".jsonl", ".gz"]:
            return lambda raw: gzip.compress(raw, mtime=0)
        case [".jsonl", ".zst"]:
            try:
                pack: Callable[[bytes], bytes] = import_module("zstandard").ZstdCompressor().compress
            except ImportError:
                right = f"a name that ends in .jsonl.gz; or: {how_to_install('cluster')}"
                raise ConfigError("out", str(path), "written by zstandard, which is not installed", right) from None
            return pack
    raise ConfigError("out", str(path), "the file to record into", "a name that ends in .jsonl, .jsonl.gz or .jsonl.zst")
