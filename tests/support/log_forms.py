"""The same records in the forms that others write."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet

from stream.brokers.log_forms.bare import PARTITIONS, fields_of
from stream.brokers.partitioning import partition_of
from stream.contract.records import REQUIRED_TOPICS, Record
from tests.support.recorded import line_of

__all__ = ["LINES", "ROWS", "in_file", "own_time"]


def own_time(records: Sequence[Record]) -> list[Record]:
    """Those that can be read, as if each had come when it was made: what every form can carry, or is put in its place."""
    told = [(fields_of(record.value or b""), record) for record in records]
    readable = [(f.at_ms, r.topic, n, r) for n, (f, r) in enumerate(told) if f.at_ms is not None and f.key == r.key and f.topic]
    ends: Counter[tuple[str, int]] = Counter()
    found = []
    for at_ms, topic, _, record in sorted(readable):
        assert record.key is not None
        partition = partition_of(record.key, PARTITIONS)
        found.append(Record(topic, partition, ends[topic, partition], at_ms, record.key, record.value))
        ends[topic, partition] += 1
    return found


def _text(raw: bytes | None) -> str:
    return "null" if raw is None else raw.decode()


def kcat(record: Record) -> bytes:
    head = {"topic": record.topic, "partition": record.partition, "offset": record.offset, "tstype": "create"}
    head |= {"ts": record.timestamp, "broker": 1}
    return json.dumps({**head, "key": _text(record.key), "payload": _text(record.value)}).encode()


def console(*parts: str, separator: str = "\t", before: str = "") -> Callable[[Record], bytes]:
    """With those parts, in the order in which they are printed."""

    def line(record: Record) -> bytes:
        told = {
            "topic": f"{before}{record.topic}", "timestamp": f"CreateTime:{record.timestamp}",
            "partition": f"Partition:{record.partition}", "offset": f"Offset:{record.offset}", "headers": "trace:a1,by:hub",
            "none": "NO_HEADERS", "key": _text(record.key), "delivery": "Delivery:NOT_PRESENT", "epoch": "Epoch:0",
        }  # fmt: skip
        return separator.join([*(told[part] for part in parts), _text(record.value)]).encode()

    return line


def cloudevents(record: Record) -> bytes:
    at = datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/hub", "type": "recognised", "time": at}
    return json.dumps({**event, "partitionkey": _text(record.key), "data": json.loads(record.value or b"")}).encode()


def _change(record: Record) -> dict[str, Any]:
    after = json.loads(record.value or b"")
    return {"before": None, "after": after, "source": {"db": "hub"}, "op": "c", "ts_ms": record.timestamp}


def debezium(record: Record) -> bytes:
    return json.dumps(_change(record)).encode()


def connect(record: Record) -> bytes:
    return json.dumps({"schema": {"type": "struct"}, "payload": json.loads(record.value or b"")}).encode()


def connect_text(record: Record) -> bytes:
    return json.dumps({"schema": {"type": "string"}, "payload": _text(record.value)}).encode()


def connect_debezium(record: Record) -> bytes:
    return json.dumps({"schema": {"type": "struct"}, "payload": _change(record)}).encode()


def around(envelope: Callable[[Record], bytes], line: Callable[[Record], bytes]) -> Callable[[Record], bytes]:
    """Lines of a record whose value is in an envelope."""
    return lambda r: line(Record(r.topic, r.partition, r.offset, r.timestamp, r.key, envelope(r)))


ALL = ("timestamp", "partition", "offset", "headers", "key")
LINES: dict[str, Callable[[Record], bytes]] = {
    "own": lambda record: line_of(record).rstrip(b"\n"), "kcat": kcat, "bare": lambda record: record.value or b"",
    "console": console(), "console key": console("key"), "console timestamp": console("timestamp"),
    "console timestamp, key": console("timestamp", "key"), "console all": console(*ALL),
    "console bars": console(*ALL, separator="|"), "console colons": console("key", separator=":"),
    "console commas": console("timestamp", "partition", "offset", "key", separator=","),
    "console headers": console("headers"), "console no headers": console("none", "key"),
    "console 4": console("timestamp", "partition", "offset", "delivery", "epoch", "headers", "key"),
    "topic before": console("topic"), "prefixed topic before all": console("topic", *ALL, before="prod."),
    "CloudEvents": cloudevents, "Debezium": debezium, "Connect": connect, "Connect, text": connect_text,
    "Connect, Debezium": connect_debezium, "kcat, Connect": around(connect, kcat),
    "console, CloudEvents": around(cloudevents, console(*ALL)),
}  # fmt: skip


def _row(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("topic", "partition", "offset", "timestamp", "key", "value")}


ROWS: dict[str, Callable[[Record], dict[str, Any]]] = {
    "Parquet of records": _row,
    "Parquet with times": lambda r: _row(r) | {"timestamp": datetime.fromtimestamp(r.timestamp / 1000, UTC).replace(tzinfo=None)},
    "Parquet of text": lambda r: _row(r) | {"key": _text(r.key), "value": _text(r.value)},
    "Parquet of fields": lambda r: json.loads(r.value or b""),
}


def in_file(form: str, records: Sequence[Record], path: Path) -> list[str]:
    """Files in that form: one; of Parquet by fields one a topic, for those have other columns."""
    if form in LINES:
        path.write_bytes(b"".join(LINES[form](record) + b"\n" for record in records))
        return [str(path)]
    files = []
    for topics in [[topic] for topic in REQUIRED_TOPICS] if form == "Parquet of fields" else [REQUIRED_TOPICS]:
        rows = [ROWS[form](record) for record in records if record.topic in topics]
        files.append(str(path.with_name(f"{path.name}-{'-'.join(topics)}.parquet")))
        columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
        pyarrow.parquet.write_table(pyarrow.table(columns), files[-1])
    return files
