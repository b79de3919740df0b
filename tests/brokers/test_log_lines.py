"""Lines of a log: none of their records is lost in silence, whatever was done to them."""

import base64
import json
from typing import Any

import jsonschema
import pytest

from stream.brokers.log_lines import LINE_SCHEMA, InvalidLog, records_of
from stream.contract.records import INPUT_TOPICS, Record

TOPICS = {topic: topic for topic in INPUT_TOPICS}
VALUE = b'{"v":1, "text":"a \\"quoted\\" {brace} [1, 2]", "list":[{"a":[]}]}'


def line(offset: int, value: bytes = VALUE, order: str = "topic partition offset timestamp key value") -> bytes:
    members = {
        "topic": b'"recognitions"', "partition": b"0", "offset": b"%d" % offset, "timestamp": b"1763690000123", "key": b'"h"',
        "value": value,
    }  # fmt: skip
    return b"{%b}" % b",".join(b'"%b":%b' % (name.encode(), members[name]) for name in order.split())


def record(offset: int, value: bytes | None = VALUE) -> Record:
    return Record("recognitions", 0, offset, 1_763_690_000_123, b"h", value)


def read(raw: bytes) -> list[Record]:
    return list(records_of(raw, TOPICS))


@pytest.mark.parametrize("between", [b"", b" ", b"\r", b",", b" ,\t", b"\r\r", b",\r"])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r", b"\r\n", b",\n"])
@pytest.mark.parametrize("value", [VALUE, b'{"score": NaN}', b'"\\ud800"'])
def test_records_that_share_a_line_are_all_read(between: bytes, end: bytes, value: bytes) -> None:
    assert read(between.join(line(n, value) for n in range(3)) + end) == [record(n, value) for n in range(3)]


@pytest.mark.parametrize(
    "value",
    [VALUE, b'{"score": NaN}', b'[Infinity, {"a": -Infinity}]', b'"\\ud800"', b"nope", b"[" * 9_000 + b"]" * 9_000],
    ids=["JSON", "NaN", "infinite", "surrogate", "word", "deep"],
)
@pytest.mark.parametrize(
    "order",
    [
        "value topic partition offset timestamp key", "topic partition offset key value timestamp",
        "key value offset partition topic timestamp", "topic partition offset timestamp key value",
    ],
)  # fmt: skip
@pytest.mark.parametrize("space", [b"", b" "])
def test_a_value_ends_where_it_ends_wherever_it_stands(value: bytes, order: str, space: bytes) -> None:
    raw = line(7, value, order).replace(b'":', b'":' + space) if space and b'":' not in value else line(7, value, order)
    assert read(raw) == [record(7, value)]


@pytest.mark.parametrize("cut", range(1, len(line(7)), 3))
def test_a_line_that_was_torn_before_the_next_is_named_with_where_the_next_begins(cut: int) -> None:
    raw = line(7)[:cut] + line(8) + b"\n"
    with pytest.raises(InvalidLog, match=f"after its first {cut} bytes another record begins"):
        read(raw)


@pytest.mark.parametrize("cut", range(2, len(line(7)), 3))
def test_a_line_that_is_cut_is_named_and_what_was_whole_before_is_given(cut: int) -> None:
    found: list[Record] = []
    ends = f"after 1 whole on this line, the file ends in the middle of a record, {cut} bytes after"
    with pytest.raises(InvalidLog, match=ends):
        found.extend(records_of(line(6) + line(7)[:cut], TOPICS))
    assert found == [record(6)]


def test_a_value_that_is_a_record_itself_is_data() -> None:
    assert read(line(7, line(8))) == [record(7, line(8))]


@pytest.mark.parametrize("number", [b"1763690000123.0", b"1.763690000123e12"])
def test_whole_numbers_may_be_written_otherwise(number: bytes) -> None:
    assert read(line(7).replace(b"1763690000123", number).replace(b":7", b":7.0")) == [record(7)]


@pytest.mark.parametrize("number", [b"1763690000123.5", b"true", b'"1763690000123"', b"1e400", b"null"])
def test_what_is_no_whole_number_is_refused(number: bytes) -> None:
    with pytest.raises(InvalidLog, match=r"not a record of a log: (Expected `int`.* at `\$.|its )timestamp"):
        read(line(7).replace(b"1763690000123", number))


def dumped(**members: Any) -> bytes:
    """As kcat -J prints a record."""
    head = {"topic": "recognitions", "partition": 0, "offset": 7, "tstype": "create", "ts": 1_763_690_000_123, "broker": 1}
    return json.dumps(head | {"key": "h", "payload": VALUE.decode()} | members).encode()


def test_what_kcat_prints_is_read() -> None:
    assert read(dumped()) == [record(7)]
    assert read(dumped(payload=None)) == [record(7, None)]
    assert read(dumped(payload="é")) == [record(7, "é".encode())]
    assert read(dumped(payload={"v": 1})) == [record(7, b'{"v": 1}')]
    assert read(dumped(ts=-1, tstype="unknown", headers=["a", "b"]))[0].timestamp == -1
    assert read(dumped() + dumped(offset=8)) == [record(7), record(8)]


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b'{"v":1,"event_id":"e","household_id":"h"}', "value alone, as kafka-console-consumer"),
        (b'{"v":1,"feedback_id":"f","score":NaN}', "value alone, as kafka-console-consumer"),
        (b'[{"topic":"feedback"}]', "one list of all .*jq"),
        (b"{\n", "one record was written over several lines .*jq -c"),
        (b"\0\0\0\0\n", "NUL bytes, as a file system"),
        (b"<html>", "XML"),
        (b"topic,partition\n", "CSV"),
        (b"{'topic': 'feedback'}", "missing required field `topic`"),
        (b"2025-11-21T01:53:20Z " + line(7), "begins with b.2025"),
        (b"t\0o\0", "NUL bytes, as UTF-16"),
        (b"{}", "missing required field `topic`"),
        (line(7) + b" and so on", "after 1 whole on this line, malformed"),
        (line(7).replace(b'"h"', b'"\xff"'), "its key is not JSON"),
        (line(7).replace(b'"value":' + VALUE, b'"value_base64":"\xc3\xa9"'), "value_base64 is not base64"),
    ],
)
def test_a_line_without_a_record_is_told_by_what_it_looks_like(raw: bytes, what: str) -> None:
    with pytest.raises(InvalidLog, match=f"(?s){what}"):
        read(raw)


def test_bytes_beside_a_value_that_is_no_json_are_kept_too() -> None:
    packed = base64.b64encode(b"\xff{").decode()
    head = {"topic": "feedback", "partition": 1, "offset": 2, "timestamp": 3.0}
    raw = json.dumps(head | {"key_base64": packed, "value_base64": packed})
    assert read(raw.encode()) == [Record("feedback", 1, 2, 3, b"\xff{", b"\xff{")]


@pytest.mark.parametrize("value", [VALUE, None, b"\xff{"])
def test_what_we_write_is_what_the_schema_of_a_line_says(value: bytes | None) -> None:
    schema = jsonschema.Draft202012Validator(LINE_SCHEMA)
    schema.check_schema(LINE_SCHEMA)
    raw = line(7) if value == VALUE else line(7, b"null") if value is None else line(7).replace(
        b'"value":' + VALUE, b'"value_base64":"' + base64.b64encode(value) + b'"'
    )  # fmt: skip
    assert read(raw) == [record(7, value)]
    schema.validate(json.loads(raw))
    for name in ("topic", "partition", "offset", "timestamp"):
        assert not schema.is_valid({key: member for key, member in json.loads(raw).items() if key != name})
