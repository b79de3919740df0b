"""Log files: what is read, in which order, and what is refused with its place."""

import base64
import gzip
import io
import json
import re
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.brokers.log_files import InvalidLog, LogReader, encode_line
from stream.contract.ports import Encoded
from stream.contract.records import INPUT_TOPICS, Record
from tests.support.recorded import line_of, recorded, recorded_lines, write_log

HEAD = b'{"topic":"recognitions","partition":0,"offset":12,"timestamp":1763690000123,"key":"h-042"'
INT64 = st.integers(-(2**63), 2**63 - 1)
JSON = st.recursive(st.none() | st.text() | st.floats(allow_nan=False) | st.integers(), st.lists, max_leaves=5)


def read(*names: Path | str) -> list[Record]:
    log = LogReader([str(name) for name in names])
    try:
        return list(log)
    finally:
        log.close()


def read_line(tmp_path: Path, line: bytes) -> Record:
    (tmp_path / "one.jsonl").write_bytes(line)
    (record,) = read(tmp_path / "one.jsonl")
    return record


def test_what_was_written_is_read_back_byte_for_byte(tmp_path: Path) -> None:
    lines = recorded_lines()
    assert tuple(map(line_of, read(write_log(tmp_path / "log.jsonl", lines)))) == lines


@given(
    st.builds(
        Record,
        topic=st.sampled_from(INPUT_TOPICS),
        partition=st.integers(0, 2**63 - 1),
        offset=st.integers(0, 2**63 - 1),
        timestamp=INT64,
        key=st.none() | st.binary(max_size=20),
        value=st.none() | st.dictionaries(st.text(), JSON).map(lambda value: json.dumps(value).encode()),
    )
)
def test_any_place_key_and_json_value_survives_its_line(tmp_path_factory: pytest.TempPathFactory, record: Record) -> None:
    assert read_line(tmp_path_factory.getbasetemp(), line_of(record)) == record


@pytest.mark.parametrize(
    "value",
    [b"{}", b'{"b":1,"a":[1.50, 2]}', b'"text"', b'{"score": NaN}', b'"\\ud800"', b"[" * 100_000 + b"]" * 100_000, b"not json"],
    ids=["empty", "spaced", "text", "NaN", "lone surrogate", "deep", "not json"],
)
@pytest.mark.parametrize("before", [b',"value":', b', "value": '])
def test_a_value_of_any_content_is_data_and_not_an_error(tmp_path: Path, before: bytes, value: bytes) -> None:
    assert read_line(tmp_path, HEAD + before + value + b"}\n").value == value


def test_a_value_that_is_no_json_stands_in_base64(tmp_path: Path) -> None:
    rubbish = bytes(range(256))
    assert read_line(tmp_path, HEAD + b',"value_base64":"' + base64.b64encode(rubbish) + b'"}').value == rubbish


def test_null_is_a_tombstone(tmp_path: Path) -> None:
    assert read_line(tmp_path, HEAD + b',"value":null}').value is None
    assert encode_line(Encoded("profiles", 1, 5, b"h/p", None), 3) == (
        b'{"topic":"profiles","partition":1,"offset":3,"timestamp":5,"key":"h/p","value":null}\n'
    )


def test_fields_nobody_knows_and_empty_lines_are_passed_over(tmp_path: Path) -> None:
    assert read_line(tmp_path, b"\n" + HEAD + b',"headers":{"a":[1]},"value":{}}\n \n').value == b"{}"


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"hello", "malformed"),
        (b"[1,2]", "expected `object`"),
        (HEAD + b"}", "neither value nor value_base64"),
        (HEAD + b',"value":{"v":1', "not a record of a log"),
        (HEAD + b',"value_base64":"%%%"}', "value_base64 is not base64"),
        (HEAD.replace(b"12", b"-1") + b',"value":{}}', "`int` >= 0"),
        (HEAD.replace(b"12", b"1.5") + b',"value":{}}', "expected `int`"),
        (HEAD.replace(b'"partition":0,', b"") + b',"value":{}}', "missing required field `partition`"),
        (HEAD.replace(b"recognitions", b"identities") + b',"value":{}}', "'identities', where it should be"),
        (b"\xff\xfe", "not a record of a log"),
    ],
)
def test_a_line_that_is_no_record_is_named_with_file_and_number(tmp_path: Path, line: bytes, what: str) -> None:
    path = tmp_path / "log.jsonl"
    good = HEAD.replace(b"12", b"11") + b',"value":{}}\n'
    path.write_bytes(good + line + b"\n")
    with pytest.raises(InvalidLog, match=f"(?i)^{re.escape(str(path))}, line 2: .*{re.escape(what)}"):
        read(path)


def test_a_missing_file_is_named_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidLog, match=r"missing\.jsonl: cannot be opened \(No such file or directory\)"):
        LogReader([str(tmp_path / "missing.jsonl")])


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    lines = recorded_lines()
    packed = tmp_path / "no-suffix"
    packed.write_bytes(gzip.compress(b"".join(lines)))
    assert tuple(map(line_of, read(packed))) == lines


def test_a_gzip_file_cut_short_is_named(tmp_path: Path) -> None:
    packed = tmp_path / "log.jsonl.gz"
    whole = gzip.compress(b"".join(recorded_lines()))
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidLog, match=r"log\.jsonl\.gz, after line \d+: .*end-of-stream"):
        read(packed)


def test_standard_input_is_a_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = recorded_lines()
    with open(write_log(tmp_path / "log.jsonl", lines), "rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        assert tuple(map(line_of, read("-"))) == lines
        sys.stdin.detach()


def test_several_logs_merge_by_arrival(tmp_path: Path) -> None:
    records = sorted(recorded(), key=lambda r: (r.timestamp, r.topic, r.partition, r.offset))
    by_topic = [write_log(tmp_path / topic, tuple(line_of(r) for r in records if r.topic == topic)) for topic in INPUT_TOPICS]
    assert read(*by_topic) == read(*reversed(by_topic)) == records


def test_lines_of_one_log_keep_their_order_whatever_their_timestamps(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", tuple(line_of(Record("feedback", 0, i, 100 - i, b"h", b"{}")) for i in range(9)))
    other = write_log(tmp_path / "other", (line_of(Record("feedback", 1, 0, 95, b"g", b"{}")),))
    assert [record.offset for record in read(log, other) if record.partition == 0] == list(range(9))


def test_logs_that_overlap_are_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", recorded_lines())
    with pytest.raises(InvalidLog, match=r"\[\d\]@0 comes after @0: offsets of a partition must rise"):
        read(log, log)


def test_bytes_read_end_at_the_bytes_there_are(tmp_path: Path) -> None:
    plain = write_log(tmp_path / "log", recorded_lines())
    log = LogReader([plain])
    assert log.bytes_read == 0
    assert len(list(log)) == len(recorded_lines())
    assert log.bytes_read == log.bytes_total == Path(plain).stat().st_size
    log.close()
