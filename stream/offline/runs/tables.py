"""Records of an output topic as a table: a column a field, typed as its model says.

Law: the schema is made of the records' own models, so that a field that is added there is a column here. Times are timestamps
(ms, UTC), what is by name is a map, vectors are lists of numbers, and what may hold anything is JSON as text.

Beside its fields a row has `published_at`, the record's own timestamp, and `tombstone`: the record says that what its key names
is forgotten, and of its fields only those that its key tells are not null.
"""

import base64
import json
import types
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin

import numpy as np
import pyarrow as pa
from pydantic import BaseModel

from stream.contract.records import MODELS, Record

__all__ = ["batches_of", "posteriors_of", "schema_of"]

AT_ONCE: Final = 20_000  # rows of a batch
_TIME: Final = pa.timestamp("ms", "UTC")
_PLAIN: Final = {int: pa.int64(), float: pa.float64(), str: pa.string(), bool: pa.bool_()}
_OF_PERSON: Final = ("household_id", "person_id")
_KEYS: Final = {"profiles": _OF_PERSON, "presence": _OF_PERSON, "drift-alerts": ("alert_id",)}  # what a key tells, parted by "/"
_LEFT_OUT: Final = ("v",)

Convert = Callable[[Any], Any]


class _Column(NamedTuple):
    """A field: its type, and how a value of JSON becomes one of it."""

    type: Any
    convert: Convert


def schema_of(topic: str) -> Any:
    """The Arrow schema of an output topic."""
    fields = [pa.field(name, column.type) for name, (column, _) in _columns(MODELS[topic]).items()]
    return pa.schema([*fields, pa.field("published_at", _TIME), pa.field("tombstone", pa.bool_())])


def batches_of(topic: str, records: Iterable[Record]) -> Iterator[Any]:
    """Records as record batches of so many rows each, in their order."""
    columns, schema, source = _columns(MODELS[topic]), schema_of(topic), iter(records)
    while some := list(islice(source, AT_ONCE)):
        yield pa.RecordBatch.from_pylist([_row(topic, columns, record) for record in some], schema=schema)


def posteriors_of(identities: Any) -> Any:
    """The posteriors of a table of identities in long form: a row an answer and person."""
    posterior = identities["posterior"].combine_chunks()
    at = np.repeat(np.arange(len(identities)), np.diff(np.asarray(posterior.offsets)))
    kept = identities.select(["household_id", "event_id", "revision", "observed_at"]).take(pa.array(at))
    return kept.append_column("person_id", posterior.keys).append_column("probability", posterior.items)


def _row(topic: str, columns: dict[str, tuple[_Column, Any]], record: Record) -> dict[str, Any]:
    if record.value is None:
        told = zip(_KEYS.get(topic, ()), (record.key or b"").decode(errors="replace").split("/"), strict=False)
        return dict(told) | {"published_at": record.timestamp, "tombstone": True}
    value = json.loads(record.value)
    row = {name: column.convert(value.get(name, default)) for name, (column, default) in columns.items()}
    return row | {"published_at": record.timestamp, "tombstone": False}


def _columns(model: type[BaseModel]) -> dict[str, tuple[_Column, Any]]:
    """By field: its column, and what it is where a record does not have it."""
    fields = {name: field for name, field in model.model_fields.items() if name not in _LEFT_OUT}
    return {
        name: (_column(name, field.annotation), None if field.is_required() else field.default) for name, field in fields.items()
    }


def _column(name: str, annotation: Any) -> _Column:
    """The column of a field of that name and type."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        [only] = [one for one in inner if one is not types.NoneType]
        return _column(name, only)
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _column(name, inner[0])
    if origin is Literal:
        return _Column(pa.string(), _same)
    if name == "embedding":
        return _Column(pa.list_(pa.float32()), _vector)
    if annotation is int and (name.endswith("_at") or name in ("since", "timestamp")):
        return _Column(_TIME, _same)
    if origin is list:
        item = _column("", inner[0])
        return _Column(pa.list_(item.type), lambda value: None if value is None else [item.convert(one) for one in value])
    if origin is dict and inner[1] is not Any:
        item = _column("", inner[1])
        return _Column(pa.map_(pa.string(), item.type), lambda value: _items(value, item.convert))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        parts = _columns(annotation)
        kind = pa.struct([pa.field(part, column.type) for part, (column, _) in parts.items()])
        return _Column(kind, lambda value: _members(value, parts))
    return _Column(_PLAIN[annotation], _same) if annotation in _PLAIN else _Column(pa.string(), _json)


def _same(value: Any) -> Any:
    return value


def _vector(value: str | None) -> Any:
    return None if value is None else np.frombuffer(base64.b64decode(value), "<f2").astype(np.float32)


def _items(value: dict[str, Any] | None, convert: Convert) -> Any:
    return None if value is None else [(key, convert(one)) for key, one in value.items()]


def _members(value: dict[str, Any] | None, parts: dict[str, tuple[_Column, Any]]) -> Any:
    if value is None:
        return None
    return {part: column.convert(value.get(part, default)) for part, (column, default) in parts.items()}


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)
