"""Digests of what is read, made while it is read: of files, and of the records in them.

Law: nothing is read a second time for its digest but a file that was not read from its start to its end. The same records give
the same digests, whatever form and packing they had.
"""

import hashlib
import io
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from stream.contract.records import Record

__all__ = ["DigestedFile", "FileDigest", "PartitionDigest", "RecordDigests"]

_AT_ONCE: Final = 2**20  # bytes
_encode: Final = msgspec.msgpack.Encoder().encode


class FileDigest(NamedTuple):
    """A file's SHA-256, 64 hex digits, and its length in bytes."""

    sha256: str
    bytes: int


class DigestedFile(io.RawIOBase):
    """A file, digested as it is read.

    Parameters
    ----------
    file
        Opened for reading bytes, where the digest begins. It is closed with this one if it is unbuffered: standard input is not.
    """

    def __init__(self, file: Any) -> None:
        self._file = file
        self._read = getattr(file, "readinto1", file.readinto)  # of a pipe: what there is, and not until the buffer is full
        self._begin = file.tell() if file.seekable() else 0
        self._sha256, self._size, self._in_turn = hashlib.sha256(), 0, True

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        count = self._read(buffer) or 0
        if self._in_turn:
            self._sha256.update(memoryview(buffer)[:count])
            self._size += count
        return int(count)

    def seekable(self) -> bool:
        return bool(self._file.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        place = int(self._file.seek(offset, whence))
        self._in_turn &= place == self._begin + self._size
        return place

    def tell(self) -> int:
        return int(self._file.tell())

    def fileno(self) -> int:
        return int(self._file.fileno())

    def close(self) -> None:
        if isinstance(self._file, io.FileIO):
            self._file.close()
        super().close()

    def digest(self) -> FileDigest:
        """Of the whole file. What was not read yet is read now; all of it, if something was left out or read twice."""
        if not self._in_turn:
            self._file.seek(self._begin)
            self._sha256, self._size, self._in_turn = hashlib.sha256(), 0, True
        buffer = bytearray(_AT_ONCE)
        while self.readinto(buffer):
            pass
        return FileDigest(self._sha256.hexdigest(), self._size)


class PartitionDigest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The records of one topic's partition: from the first offset to before `offset_to`, how many, and their digest."""

    offset_from: int
    offset_to: int
    records: int
    sha256: str


class RecordDigests:
    """Digests of records: of all in the order they came in, and of each partition, whose order is that of its offsets.

    So two logs whose partitions agree hold the same records, and the same order too if the digest of all agrees.
    """

    def __init__(self) -> None:
        self.records = 0
        self._all = hashlib.blake2b(digest_size=16)
        self._partitions: dict[tuple[str, int], Any] = {}
        self._spans: dict[tuple[str, int], list[int]] = {}  # first offset, next offset, records

    def note(self, records: Sequence[Record]) -> None:
        """Take in the next records."""
        encoded = [_encode(record) for record in records]
        self._all.update(b"".join(encoded))
        self.records += len(encoded)
        by_place: dict[tuple[str, int], list[bytes]] = {}
        latest: dict[tuple[str, int], int] = {}
        for record, raw in zip(records, encoded, strict=True):
            place = record.topic, record.partition
            if place not in by_place:
                by_place[place] = []
                self._spans.setdefault(place, [record.offset, 0, 0])
            by_place[place].append(raw)
            latest[place] = record.offset
        for place, theirs in by_place.items():
            if place not in self._partitions:
                self._partitions[place] = hashlib.sha256()
            self._partitions[place].update(b"".join(theirs))
            self._spans[place][1:] = latest[place] + 1, self._spans[place][2] + len(theirs)

    @property
    def order(self) -> str:
        """32 hex digits of all records in the order they came in."""
        return self._all.hexdigest()

    def partitions(self) -> dict[str, dict[int, PartitionDigest]]:
        """By topic and partition, in order."""
        found: dict[str, dict[int, PartitionDigest]] = {}
        for place in sorted(self._partitions):
            topic, partition = place
            first, following, records = self._spans[place]
            digest = self._partitions[place].hexdigest()
            found.setdefault(topic, {})[partition] = PartitionDigest(first, following, records, digest)
        return found
