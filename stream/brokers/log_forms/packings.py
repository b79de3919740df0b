"""How a log file is packed: its text, whatever it is packed by, or a sentence that says how to turn it.

Law: a packing is known by its content, not by the name; of a file that is cut, all that was whole before is given, then the
fault.
Whatever a file holds, few mebibytes are unpacked at once.
"""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from stream.contract.errors import how_to_install

from ..log_lines import InvalidLog
from .parquet import ParquetLines

__all__ = ["DAMAGED", "unpack"]

DAMAGED: Final = (EOFError, OSError, zlib.error, lzma.LZMAError)  # what reading a packed file raises
_PACKINGS_MAX: Final = 3  # one in another
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_PEEKED: Final = 512  # bytes
_TAR: Final = slice(257, 262)  # where "ustar" stands
_CHUNK: Final = 512  # bytes fed at once: a block of 128 KiB may be packed in 4 of them
_BUFFER: Final = 2**18

_FOREIGN: Final = (  # how it begins, what it looks like, and how it is turned
    (b"PK\x03\x04", "a zip archive", "unzip -p {name} > log.jsonl"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "7z x -so {name} > log.jsonl"),
    (b"\xff\xfe\0\0", "UTF-32 text", "iconv -f UTF-32 -t UTF-8 {name} > log.jsonl"),
    (b"\0\0\xfe\xff", "UTF-32 text", "iconv -f UTF-32 -t UTF-8 {name} > log.jsonl"),
    (b"\xff\xfe", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {name} > log.jsonl"),
    (b"\xfe\xff", "UTF-16 text", "iconv -f UTF-16 -t UTF-8 {name} > log.jsonl"),
    (b"{\0", "UTF-16 text", "iconv -f UTF-16LE -t UTF-8 {name} > log.jsonl"),
    (b"\0{", "UTF-16 text", "iconv -f UTF-16BE -t UTF-8 {name} > log.jsonl"),
    (b"Obj\x01", "an Avro file", "read it with its own tools, and write JSON Lines"),
    (b"SQLite format 3", "a SQLite file", "a replay reads logs; states are given by --from"),
)


class _Frames(io.RawIOBase):
    """The bytes of a file of frames, one after the other, each unpacked by a decompressor of its own.

    Parameters
    ----------
    file
        The packed bytes.
    begin
        Makes a decompressor, which has `decompress`, `eof` and `unused_data`, as those of Python's own modules.
    fault
        What it raises when the bytes are damaged.
    """

    def __init__(self, file: Any, begin: Callable[[], Any], fault: type[Exception]) -> None:
        self._file, self._begin, self._fault = file, begin, fault
        self._frame: Any = None
        self._packed = self._ready = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._ready:
            packed = self._packed or self._file.read(_CHUNK)
            if not packed and self._frame is None:
                return 0
            if not packed:
                raise EOFError("Compressed file ended before the end-of-stream marker was reached")
            self._frame = self._frame or self._begin()
            try:
                self._ready = self._frame.decompress(packed)
            except self._fault as error:
                raise OSError(str(error)) from None
            self._packed = self._frame.unused_data if self._frame.eof else b""
            self._frame = None if self._frame.eof else self._frame
        count = min(len(buffer), len(self._ready))
        buffer[:count], self._ready = self._ready[:count], self._ready[count:]
        return count


def _zstd(file: Any) -> Any:
    zstandard = import_module("zstandard")
    begin = zstandard.ZstdDecompressor(max_window_size=2**31).decompressobj
    return io.BufferedReader(_Frames(file, begin, zstandard.ZstdError), _BUFFER)


def _lz4(file: Any) -> Any:
    frame = import_module("lz4.frame")
    return io.BufferedReader(_Frames(file, frame.LZ4FrameDecompressor, RuntimeError), _BUFFER)


_PACKED: Final[tuple[tuple[bytes, str, Callable[[Any], Any]], ...]] = (
    (b"\x1f\x8b", "gzip", lambda file: gzip.GzipFile(fileobj=file)), (b"BZh", "bzip2", bz2.BZ2File),
    (b"\xfd7zXZ\0", "xz", lzma.LZMAFile), (b"\x28\xb5\x2f\xfd", "zstd", _zstd), (b"\x04\x22\x4d\x18", "lz4", _lz4),
    (b"PAR1", "Parquet", ParquetLines),
)  # fmt: skip
_EXTRAS: Final = {"zstd": "cluster", "lz4": "cluster", "Parquet": "parquet"}


def unpack(name: str, raw: Any) -> Any:
    """The text of a file, which has `readline`, in whatever it is packed that we read.

    Raises
    ------
    InvalidLog
        It is of another kind, or the package that reads it is not installed.
    """
    file = raw
    for _ in range(_PACKINGS_MAX):
        start = _start(file)
        found = next(((what, unpack) for magic, what, unpack in _PACKED if start.startswith(magic)), None)
        if found is None:
            break
        what, unpack = found
        try:
            file = unpack(file)
        except ImportError as error:
            how = how_to_install(_EXTRAS[what])
            raise InvalidLog(f"{name}: it is {what}, which is read by {error.name}, and that is not installed: {how}") from None
    for begins, what, how in _FOREIGN:
        if start.startswith(begins):
            raise InvalidLog(f"{name}: not a log of records, it looks like {what}; {how.format(name=name)}")
    if start[_TAR] == b"ustar":
        raise InvalidLog(f"{name}: not a log of records, it looks like a tar archive; tar -xOf {name} > log.jsonl")
    if start.startswith(_BYTE_ORDER_MARK):
        file.read(len(_BYTE_ORDER_MARK))
    return file


def _start(file: Any) -> bytes:
    """How a text begins; nothing where the file is cut before that, which is told when it is read."""
    try:
        return bytes(file.peek(_PEEKED)[:_PEEKED])
    except EOFError:
        return b""
