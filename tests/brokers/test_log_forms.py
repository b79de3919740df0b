"""Forms that others write: the same records of all of them, and what is put in place of what a form cannot carry."""

import json
import re
from contextlib import closing
from pathlib import Path

import pytest

from stream.brokers.log_files import InvalidLog, LogReader
from stream.brokers.log_forms.bare import partition_for
from stream.contract.policy import Policy
from stream.contract.records import INPUT_TOPICS, REQUIRED_TOPICS, Record
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay
from stream.offline.senders.examples import EXAMPLES
from tests.support.log_forms import LINES, ROWS, cloudevents, debezium, in_file, own_time
from tests.support.recorded import recorded

FORMS = [*LINES, *ROWS]
RECORDS = own_time(recorded())
ONE = next(record for record in RECORDS if record.topic == "recognitions")
VALUE = ONE.value or b""
AT = json.loads(VALUE)["observed_at"]


def read(*files: Path | str, said: list[str] | None = None) -> list[Record]:
    said = [] if said is None else said
    with closing(LogReader([str(file) for file in files], prefix=None, say=said.append)) as log:
        return list(log)


def read_lines(path: Path, *lines: bytes) -> list[Record]:
    path.write_bytes(b"\n".join(lines) + b"\n")
    return read(path)


@pytest.mark.parametrize("form", FORMS)
def test_the_same_records_come_of_every_form_in_their_order(tmp_path: Path, form: str) -> None:
    found = read(*in_file(form, RECORDS, tmp_path / "log"))
    assert [position(record) for record in found] == [position(record) for record in RECORDS]
    assert [json.loads(record.value or b"") for record in found] == [json.loads(record.value or b"") for record in RECORDS]


def position(record: Record) -> tuple[str, int, int, int, bytes | None]:
    return record.topic, record.partition, record.offset, record.timestamp, record.key


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("own")
    return replayed(in_file("own", RECORDS, folder / "log"), folder / "out")


def replayed(files: list[str], out: Path) -> bytes:
    assert replay(Replay(files, out, Policy(), Wiring(prefix="prod."))).finished
    return (out / "identities.jsonl").read_bytes()


@pytest.mark.parametrize("form", FORMS)
def test_the_answers_are_the_same_bytes_whatever_the_form(tmp_path: Path, answers: bytes, form: str) -> None:
    assert replayed(in_file(form, RECORDS, tmp_path / "log"), tmp_path / "out") == answers


@pytest.mark.parametrize("form", LINES)
@pytest.mark.parametrize("end", [b"\r\n", b"\n\n"])
def test_ends_of_lines_and_a_byte_order_mark_do_not_matter(tmp_path: Path, form: str, end: bytes) -> None:
    (file,) = in_file(form, RECORDS, tmp_path / "log")
    plain = read(file)
    Path(file).write_bytes(b"\xef\xbb\xbf" + Path(file).read_bytes().replace(b"\n", end))
    assert read(file) == plain


@pytest.mark.parametrize("form", FORMS)
def test_what_was_guessed_is_said_once_and_of_ours_nothing(tmp_path: Path, form: str) -> None:
    said: list[str] = []
    files = in_file(form, RECORDS, tmp_path / "log")
    read(*files, said=said)
    if form in ("own", "kcat", "Parquet of records", "Parquet with times", "Parquet of text"):
        assert said == []
    else:
        assert [one.partition(": read as ")[0] for one in sorted(said)] == sorted(files)


def test_a_sentence_says_what_is_put_in_the_place_of_what_a_form_does_not_carry(tmp_path: Path) -> None:
    said: list[str] = []
    read(*in_file("console timestamp, key", RECORDS, tmp_path / "feedback.txt"), said=said)
    assert said[0].endswith(
        "read as output of kafka-console-consumer, with timestamp, key, value. Put in place of what is not there: topic: by "
        "their fields, else feedback; partition: of the key, among 4; offset: counted."
    )


@pytest.mark.parametrize("topic", INPUT_TOPICS)
def test_a_bare_record_tells_its_topic_by_its_fields(tmp_path: Path, topic: str) -> None:
    values = [json.dumps(value).encode() for value in EXAMPLES[topic].values()]
    assert {record.topic for record in read_lines(tmp_path / "log", *values)} == {topic}


def test_one_file_a_topic_keeps_records_that_do_not_tell_their_topic(tmp_path: Path) -> None:
    found = read_lines(tmp_path / "recognitions.jsonl", VALUE, b'{"v":1}', b"not JSON", b"null")
    assert [(record.topic, record.value) for record in found[1:]] == [
        ("recognitions", b'{"v":1}'), ("recognitions", b"not JSON"), ("recognitions", None),
    ]  # fmt: skip
    assert {record.timestamp for record in found} == {AT}
    assert [record.offset for record in found] == [0, *(n + (ONE.partition == partition_for(None)) for n in range(3))]
    with pytest.raises(InvalidLog, match=r"log, line 2: .*name the file after its topic"):
        read_lines(tmp_path / "log", VALUE, b'{"v":1}')


def test_a_bare_record_that_is_cut_ends_the_log_as_ours_do(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(VALUE + b"\n" + VALUE[:50])
    with pytest.raises(InvalidLog, match=r"log, line 2: the file ends in the middle of a record, 50 bytes"):
        read(tmp_path / "log")


def test_a_tombstone_and_a_key_of_null_are_none(tmp_path: Path) -> None:
    found = read_lines(tmp_path / "recognitions", b"h\t" + VALUE, b"null\t" + VALUE, b"h\tnull")
    assert [(record.key, record.value) for record in found] == [(b"h", VALUE), (None, VALUE), (b"h", None)]


def test_a_row_that_was_deleted_is_no_record(tmp_path: Path) -> None:
    change = json.dumps({"before": {"id": 1}, "after": None, "op": "d", "ts_ms": 5}).encode()
    assert len(read_lines(tmp_path / "log", debezium(ONE), change, debezium(ONE))) == 2


def test_a_line_of_another_layout_is_refused_and_the_last_word_of_the_tool_is_not(tmp_path: Path) -> None:
    line = LINES["console all"](ONE)
    assert len(read_lines(tmp_path / "log", line, b"Processed a total of 1 messages")) == 1
    with pytest.raises(InvalidLog, match=r"line 2: .* the first line has timestamp, partition, offset, headers, key, value, and"):
        read_lines(tmp_path / "log", line, VALUE)
    with pytest.raises(InvalidLog, match=r"line 2: .* its partition is b'Offset:1'"):
        read_lines(tmp_path / "log", line, line.replace(b"Partition:", b"Offset:1\tPartition:"))


def test_an_envelope_of_another_kind_is_a_value_which_the_codec_judges(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "recognitions", cloudevents(ONE), b'{"v":1}')[1].value == b'{"v":1}'


def test_our_own_lines_and_values_without_a_record_are_never_unwrapped(tmp_path: Path) -> None:
    wrapped = Record(ONE.topic, 0, 0, ONE.timestamp, ONE.key, cloudevents(ONE))
    assert read(*in_file("own", [wrapped], tmp_path / "log")) == [wrapped]
    strange = Record(ONE.topic, 0, 0, ONE.timestamp, ONE.key, b'{"schema":{},"payload":{"a":1}}')
    assert read(*in_file("kcat", [strange], tmp_path / "log")) == [strange]


def test_parts_of_a_bare_log_are_counted_on(tmp_path: Path) -> None:
    half = len(RECORDS) // 2
    files = [*in_file("bare", RECORDS[:half], tmp_path / "a"), *in_file("bare", RECORDS[half:], tmp_path / "b")]
    assert list(map(position, read(*files))) == list(map(position, RECORDS))


# ---- times in other units

UNITS = {"seconds": AT // 1000, "microseconds": AT * 1000, "nanoseconds": AT * 10**6}
ISO = "2025-11-21T01:53:20Z"


def lines_with(time: object) -> dict[str, bytes]:
    """First lines whose time is this, by the name of the field that tells it."""
    other = json.dumps({**json.loads(VALUE), "observed_at": time}).encode()
    head = {"topic": "recognitions", "partition": 0, "offset": 1, "key": "h"}
    return {
        "timestamp": json.dumps({**head, "timestamp": time, "value": json.loads(VALUE)}).encode(),
        "ts": json.dumps({**head, "ts": time, "payload": VALUE.decode()}).encode(),
        "observed_at": other,
    }


@pytest.mark.parametrize("field", ["timestamp", "ts", "observed_at"])
@pytest.mark.parametrize(("unit", "time"), [*UNITS.items(), ("seconds", AT / 1000 + 0.25), ("text of ISO 8601", ISO)])
def test_times_of_another_unit_are_refused_by_its_name_with_the_way_to_turn_them(
    tmp_path: Path, field: str, unit: str, time: object
) -> None:
    told = rf"line 1: not a record of a log: its {field} is {re.escape(repr(time))}, .*{unit}; .*milliseconds.*jq -c '.{field}"
    with pytest.raises(InvalidLog, match=told):
        read_lines(tmp_path / "log", lines_with(time)[field])


def test_the_console_tells_seconds_too(tmp_path: Path) -> None:
    with pytest.raises(InvalidLog, match=r"its timestamp is \d{10}, which is in seconds"):
        read_lines(tmp_path / "log", b"CreateTime:%d\th\t" % (AT // 1000) + VALUE)


def test_a_clock_that_was_never_set_is_no_other_unit(tmp_path: Path) -> None:
    line = LINES["own"](Record(ONE.topic, 0, 0, 1_000_000_000, ONE.key, VALUE))  # January 1970, and of 2001 in seconds
    assert read_lines(tmp_path / "log", line)[0].timestamp == 1_000_000_000
    assert len(read_lines(tmp_path / "recognitions", VALUE, lines_with(UNITS["seconds"])["observed_at"])) == 2


def test_topics_are_those_of_the_inputs() -> None:
    assert {record.topic for record in RECORDS} == set(REQUIRED_TOPICS)
