"""Parquet with one record a row: rows as lines, so that whatever form a line may have, a row may have it too.

Law: columns named as the members of our lines or of kcat's make such a line, any others the record itself; what is null is left
out. A value that is text or bytes passes through untouched, so it stands in base64; a time of Arrow's own type has a unit, and
becomes milliseconds.
"""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from importlib import import_module
from typing import Any, Final

__all__ = ["ParquetLines"]

_ROWS: Final = 1_000  # at once
_VALUE: Final = ("value", "payload")


class ParquetLines:
    """The rows of a file as lines of JSON. Raises ImportError without pyarrow, and OSError where the file is damaged."""

    def __init__(self, file: Any) -> None:
        parquet = import_module("pyarrow.parquet")
        if not getattr(file, "seekable", bool)():
            raise OSError("Parquet is read from its end, so give it as a file and not by a pipe, nor packed")
        self._faults = import_module("pyarrow").ArrowException
        try:
            self._lines = self._rows(parquet.ParquetFile(file))
        except self._faults as error:
            raise OSError(f"it looks like a Parquet file, and is damaged: {error}") from None

    def peek(self, _size: int) -> bytes:
        """No further packing can stand in it."""
        return b""

    def readline(self, _size: int) -> bytes:
        """The next row; empty: there is none."""
        return next(self._lines, b"")

    def _rows(self, table: Any) -> Iterator[bytes]:
        try:
            for batch in table.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist(maps_as_pydicts="strict"):
                    yield json.dumps(_line(row), default=_plain, separators=(",", ":")).encode() + b"\n"
        except self._faults as error:
            raise OSError(str(error)) from None


def _line(row: dict[str, Any]) -> dict[str, Any]:
    if not {"topic", "partition", "offset"} <= row.keys():
        return dict(_present(row))
    line = dict(_present({name: cell for name, cell in row.items() if name not in ("key", *_VALUE)}))
    if "ts" in line:
        line.setdefault("timestamp", line["ts"])
    line.setdefault("timestamp", -1)
    value = next((row[name] for name in _VALUE if name in row), None)
    for name, cell in (("key", row.get("key")), ("value", value)):
        raw = cell.encode() if isinstance(cell, str) else cell
        if isinstance(raw, bytes):
            line[f"{name}_base64"] = base64.b64encode(raw).decode()
        else:
            line[name] = _present(raw) if raw is not None else None
    return line


def _present(cell: Any) -> Any:
    """The same without what is null, however deep; an empty list or object is not null."""
    if isinstance(cell, dict):
        return {name: _present(inner) for name, inner in cell.items() if inner is not None}
    return [_present(inner) for inner in cell] if isinstance(cell, list) else cell


def _plain(cell: Any) -> Any:
    """What JSON has no form of."""
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode()
    if isinstance(cell, datetime):
        return round(cell.replace(tzinfo=cell.tzinfo or UTC).timestamp() * 1000)
    return cell.isoformat() if isinstance(cell, date) else str(cell)
