"""Log files: what is read, in which order, and what is refused with its place."""

import base64
import bz2
import gzip
import io
import json
import lzma
import re
import sys
import time
from collections.abc import Callable
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import lz4.frame
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from stream.brokers.log_files import InvalidLog, LogReader, encode_line, encode_record
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


@given(st.none() | st.binary() | st.sampled_from([b"null", b" {}", b"{}\n", b'{"a":\n1}', b"NaN", b'{"a":NaN}', b"", b'"\xff"']))
def test_a_record_of_any_bytes_is_read_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, value: bytes | None) -> None:
    record = Record("feedback", 3, 9, 1_763_690_000_123, b"h", value)
    assert read_line(tmp_path_factory.getbasetemp(), encode_record(record)) == record


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
        (HEAD.replace(b":12,", b":-1,") + b',"value":{}}', "`int` >= 0"),
        (HEAD.replace(b":12,", b":1.5,") + b',"value":{}}', "expected `int`"),
        (HEAD.replace(b'"partition":0,', b"") + b',"value":{}}', "missing required field `partition`"),
        (HEAD.replace(b"recognitions", b"glances") + b',"value":{}}', "'glances', where it should be"),
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
    packed.write_bytes(gzip.compress(b"".join(lines), mtime=0))
    assert tuple(map(line_of, read(packed))) == lines


def test_a_gzip_file_cut_short_is_named(tmp_path: Path) -> None:
    packed = tmp_path / "log.jsonl.gz"
    whole = gzip.compress(b"".join(recorded_lines()))
    packed.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidLog, match=r"log\.jsonl\.gz, after line \d+: .*cut .*end-of-stream"):
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
    with pytest.raises(InvalidLog, match=r"log, line 1: .*\[\d\]@0 comes after @0 of .*log, line 1: offsets .* must rise"):
        read(log, log)


# ---- parts of one log


def parts(tmp_path: Path, records: list[Record], ends: list[int]) -> list[str]:
    """The records, in their order, as several files."""
    cut = [0, *ends, len(records)]
    return [
        write_log(tmp_path / f"part-{n}", tuple(map(line_of, records[first:last])))
        for n, (first, last) in enumerate(pairwise(cut))
    ]


def stream(count: int, ahead: dict[int, int]) -> list[Record]:
    """One partition's recognitions and feedback by turns, a minute apart; of some the clock was so many minutes ahead."""
    return [
        Record(INPUT_TOPICS[n % 2], 0, n // 2, 60_000 * (n + ahead.get(n, 0)), b"h", b"{}") for n in range(count)
    ]


@pytest.mark.parametrize(
    "ahead", [{}, {5: 30}, {4: 30, 5: 30}, {2: 500, 8: 500}, {0: 9, 1: 8, 2: 7}, {n: 7 * n % 11 for n in range(20)}],
    ids=["right", "the last", "the last two", "far", "falling", "all"],
)  # fmt: skip
@pytest.mark.parametrize("ends", [[6], [3], [5, 6], [4, 8, 12, 16]])
def test_parts_of_one_log_are_that_log_in_whatever_order_they_are_named(
    tmp_path: Path, ahead: dict[int, int], ends: list[int]
) -> None:
    records = stream(20, ahead)
    files = parts(tmp_path, records, ends)
    found = read(*files)
    assert found == read(*reversed(files))
    for topic in INPUT_TOPICS:
        assert [r for r in found if r.topic == topic] == [r for r in records if r.topic == topic]


def test_a_log_that_was_sorted_by_time_is_refused_with_its_line_and_the_way_to_turn_it(tmp_path: Path) -> None:
    records = sorted(stream(12, {4: 30}), key=lambda record: record.timestamp)
    log = write_log(tmp_path / "log", tuple(map(line_of, records)))
    comes = r"recognitions\[0\]@2 comes after @5 of .*log, line 10"
    with pytest.raises(InvalidLog, match=rf"log, line 12: {comes}: .*sorted .*jq -cs"):
        read(log)
    turned = [sorted((r for r in records if r.topic == topic), key=lambda r: (r.partition, r.offset)) for topic in INPUT_TOPICS]
    assert len(read(*(write_log(tmp_path / f"{n}", tuple(map(line_of, own))) for n, own in enumerate(turned)))) == 12


def test_offsets_in_a_circle_are_refused_by_name(tmp_path: Path) -> None:
    one = [Record("recognitions", 0, 9, 5, b"h", b"{}"), Record("feedback", 0, 0, 6, b"h", b"{}")]
    two = [Record("feedback", 0, 9, 7, b"h", b"{}"), Record("recognitions", 0, 0, 8, b"h", b"{}")]
    files = [write_log(tmp_path / name, tuple(map(line_of, own))) for name, own in (("one", one), ("two", two))]
    with pytest.raises(InvalidLog, match=r"one, line 2: feedback\[0\]@0 comes after @9 of .*two, line 1"):
        read(*files)


# ---- how a file is packed and written


def members(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    """Packed as two that were joined by `cat`, cut anywhere."""
    return lambda raw: pack(raw[:1000]) + pack(raw[1000:])


PACKS = [gzip.compress, bz2.compress, lzma.compress, zstandard.compress, lz4.frame.compress]


@pytest.mark.parametrize("pack", [*PACKS, *map(members, PACKS), lambda raw: gzip.compress(zstandard.compress(raw))])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_what_python_unpacks_is_read_and_a_byte_order_mark_passed_over(
    tmp_path: Path, pack: Callable[[bytes], bytes], mark: bytes
) -> None:
    lines = recorded_lines()
    (tmp_path / "log").write_bytes(pack(mark + b"".join(lines)))
    assert tuple(map(line_of, read(tmp_path / "log"))) == lines


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"PK\x03\x04....", "zip archive.*unzip -p"),
        (b"\x28\xb5\x2f\xfd....", "log: "),
        (b"\x04\x22\x4d\x18....", "log: "),
        ('{"topic":'.encode("utf-16"), "UTF-16 text.*iconv -f UTF-16 "),
        ('{"topic":'.encode("utf-16-be"), "UTF-16 text.*iconv -f UTF-16BE "),
        ('{"topic":'.encode("utf-16-le"), "UTF-16 text.*iconv -f UTF-16LE "),
        ("\ufeff{".encode("utf-32-le"), "UTF-32 text.*iconv"),
        (b"PAR1....", "Parquet"),
        (gzip.compress(b"log.jsonl".ljust(257, b"\0") + b"ustar\x0000", mtime=0), "tar archive.*tar -xOf"),
        (gzip.compress(b"PK\x03\x04", mtime=0), "zip archive"),
        (b"\x1f\x8b damaged", "log: "),
    ],
)
def test_what_is_not_read_is_named_with_the_way_to_turn_it_before_anything_is_done(tmp_path: Path, raw: bytes, what: str) -> None:
    (tmp_path / "log").write_bytes(raw)
    with pytest.raises(InvalidLog, match=f"{re.escape(str(tmp_path))}/log: .*{what}|{re.escape(str(tmp_path))}/{what}"):
        LogReader([str(tmp_path / "log")])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, zstandard.compress, lz4.frame.compress, bytes])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9, 0.99])
def test_of_a_log_that_is_cut_all_that_is_whole_is_given_before_the_fault(
    tmp_path: Path, pack: Callable[[bytes], bytes], share: float
) -> None:
    lines = recorded_lines()
    whole = pack(b"".join(lines))
    raw = whole[: int(len(whole) * share)]
    (tmp_path / "log").write_bytes(raw if pack is not bytes or not raw.endswith(b"\n") else raw[:-2])
    found: list[Record] = []
    told = pytest.raises(InvalidLog, match=r"log, (after )?line [0-9]+: .*(cut|ends in the middle)")
    with closing(LogReader([str(tmp_path / "log")])) as log, told:
        found.extend(log)
    assert tuple(map(line_of, found)) == lines[: len(found)]
    if pack is bytes:
        assert len(found) == raw.count(b"\n")
    elif pack is gzip.compress and share > 0.5:
        assert found


def test_blank_lines_are_passed_over_but_not_without_end(tmp_path: Path) -> None:
    lines = recorded_lines()
    (tmp_path / "log").write_bytes(b"\n \r\n".join(lines) + b"\n" * 1000)
    assert tuple(map(line_of, read(tmp_path / "log"))) == lines
    for pack in (gzip.compress, zstandard.compress):
        (tmp_path / "log").write_bytes(pack(b"\n" * 300_000_000))
        began_s = time.perf_counter()
        with pytest.raises(InvalidLog, match=r"line 1000001: 1,000,001 of the lines so far are blank"):
            read(tmp_path / "log")
        assert time.perf_counter() - began_s < 10


@pytest.mark.parametrize(("pack", "package", "extra"), [
    (zstandard.compress, "zstandard", "cluster"), (lz4.frame.compress, "lz4", "cluster"),
    (lambda _: b"PAR1", "pyarrow", "parquet"),
])  # fmt: skip
def test_a_package_that_is_missing_is_named_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes], package: str, extra: str
) -> None:
    (tmp_path / "log").write_bytes(pack(b"{}"))
    for name in [package, *(name for name in sys.modules if name.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InvalidLog, match=rf"read by {package}.* not installed: pip install '\.\[{extra}\]'"):
        LogReader([str(tmp_path / "log")])


# ---- topics that are not read


def test_topics_of_the_contract_that_are_no_inputs_are_passed_over_and_said_so_once(tmp_path: Path) -> None:
    others = [Record(topic, 0, n, 5, b"h", b"{}") for n in range(3) for topic in ("journal", "identities")]
    lines = [line for pair in zip(recorded_lines(), map(line_of, others), strict=False) for line in pair]
    said: list[str] = []
    with closing(LogReader([write_log(tmp_path / "log", tuple(lines))], say=said.append)) as log:
        assert tuple(map(line_of, log)) == recorded_lines()[: len(others)]
    assert said == [
        f"{tmp_path}/log: consents, feedback, proofs, recognitions and sightings are read, and other topics, such as journal, "
        "are passed over."
    ]


def test_a_log_of_other_topics_alone_is_refused(tmp_path: Path) -> None:
    log = write_log(tmp_path / "log", (line_of(Record("identities", 0, 1, 5, b"h", b"{}")),))
    wanted = "consents, feedback, proofs, recognitions or sightings"
    with pytest.raises(InvalidLog, match=rf"log: it has only identities, where it should have {wanted}"):
        read(log)


# ---- topics with a prefix


def prefixed(tmp_path: Path, *prefixes: str) -> str:
    lines = tuple(line_of(Record(prefix + "feedback", 0, n, n, b"h", b"{}")) for n, prefix in enumerate(prefixes))
    return write_log(tmp_path / "log", lines)


@pytest.mark.parametrize("prefix", ["prod.", None])
def test_topics_may_have_the_prefix_of_the_wiring_or_one_that_is_found_out(tmp_path: Path, prefix: str | None) -> None:
    with closing(LogReader([prefixed(tmp_path, "prod.", "prod.", "")], prefix=prefix)) as log:
        assert [record.topic for record in log] == ["feedback"] * 3


@pytest.mark.parametrize(("prefixes", "prefix", "line"), [(("prod.",), "", 1), (("test.",), "prod.", 1), (("a.", "b."), None, 2)])
def test_another_prefix_is_refused_with_what_would_read_it(
    tmp_path: Path, prefixes: tuple[str, ...], prefix: str | None, line: int
) -> None:
    wanted = rf'line {line}: the topic is .{prefixes[-1]}feedback., .* with prefix = "{prefixes[-1]}" in the wiring'
    with closing(LogReader([prefixed(tmp_path, *prefixes)], prefix=prefix)) as log, pytest.raises(InvalidLog, match=wanted):
        list(log)


def test_bytes_read_end_at_the_bytes_there_are(tmp_path: Path) -> None:
    plain = write_log(tmp_path / "log", recorded_lines())
    log = LogReader([plain])
    assert log.bytes_read == 0
    assert len(list(log)) == len(recorded_lines())
    assert log.bytes_read == log.bytes_total == Path(plain).stat().st_size
    log.close()
