"""`kithkin check`: what it says of a record is what a worker says, and it can be read by people and by machines."""

import gzip
import json
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.brokers.files import LogBroker, LogProgress
from stream.brokers.log_files import LogReader
from stream.cli import app
from stream.contract.policy import Policy
from stream.contract.records import Position
from stream.offline.senders.check import Check
from stream.offline.senders.examples import EXAMPLES
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.support.recorded import recorded, recorded_lines, write_log

ROOT = Path(__file__).parent.parent.parent
OF_A_HOME = {"too_old", "forgotten", "future"}  # reasons of dead letters that its time is needed for
NEVER = WorkerLimits().dead_letters_window + 1
FAULTS = [  # in a line of a log: what stands there, and what instead
    (b'"v": 1', b'"v": 2'), (b'"v": 1', b'"v": true'), (b'"key":"', b'"key":"x'), (b'"household_id": "', b'"household_id": "x'),
    (b'"event_id": "', b'"event_id": "\xc3\xa4'), (b'"rssi_dbm": -', b'"rssi_dbm": 1'),
    (b'"rssi_dbm": -', b'"rssi_dbm": NaN, "x": '),
    (b'"encoder": "', b'"encoder": "my-'), (b'"encoder": "', b'"encoder": "my '), (b'"embedding": "', b'"embedding": "AAAA'),
    (b'"embedding": "', b'"embedding": "-'),
    (b'"quality": {', b'"quality": {"x": "loud", '), (b'"kind": "', b'"kind": "un'), (b'"given_at": 1', b'"given_at": 0'),
    (b'"observed_at": 1', b'"observed_at": 0.1'), (b'"phones": [', b'"phones": [{}, '),
    (b'"activity": "', b'"activity": "\\u0000'), (b'"source": "', b'"source": "by '), (b'"device_id"', b'"device"'),
    (b'"value":{', b'"value":[{}],"x":{'), (b'"value":{', b'"value":null,"x":{'), (b'"model": "', b'"model": "\\u202e'),
]  # fmt: skip


def run(*arguments: str | Path, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["check", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def check_lines(text: str, *arguments: str, code: int = 0) -> str:
    """Of what is given on standard input, as a real one is."""
    command = [sys.executable, "-m", "stream.cli", "check", "-", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout + done.stderr
    return done.stdout


def wrong_log(folder: Path) -> str:
    """A recorded log, and after each line the same with every fault that it can have; offsets rise."""
    lines, offsets = list[bytes](), Counter[bytes]()
    for line in recorded_lines()[:60]:
        head, told = line.split(b'"offset":', 1)
        rest = told[told.index(b",") :]
        for was, is_now in [(b"", b""), *((was, is_now) for was, is_now in FAULTS if was in rest)]:
            lines.append(b'%b"offset":%d%b' % (head, offsets[head], rest.replace(was, is_now, 1)))
            offsets[head] += 1
    return write_log(folder / "log.jsonl", tuple(lines))


def test_it_says_what_a_worker_says(tmp_path: Path) -> None:
    log = wrong_log(tmp_path)
    with closing(LogReader([log])) as read, closing(LogBroker(read, tmp_path / "out", LogProgress(run={}))) as broker:
        worker = Worker(broker, MemoryStore(), Policy(), WorkerLimits(dead_letters_min=NEVER))
        worker.run()
    letters = [json.loads(line)["value"] for line in (tmp_path / "out" / "dead-letters.jsonl").read_bytes().splitlines()]
    with closing(LogReader([log])) as read:
        records = list(read)
    with closing(LogReader([log])) as read:
        check = Check(read, Policy())
        found = [finding for finding in check.findings() if finding is not None]
    dead = {(records[f.line - 1].position, f.reasons[0], f.detail) for f in found if f.what == "dead letter"}
    made = {(Position(x["topic"], x["partition"], x["offset"]), x["reason"], x["detail"]) for x in letters}
    assert {letter for letter in made if letter[1] not in OF_A_HOME} == dead
    assert {reason for _, reason, _ in dead} >= {"version", "key", "field", "empty"}
    assert Counter(word for f in found if f.what == "left out" for word in f.reasons) == worker.counts.left_out
    assert len(worker.counts.left_out) > 5
    assert all(f.detail for f in found)
    assert check.tally.unlisted == worker.counts.unlisted


def test_what_is_right_is_not_found_fault_with(tmp_path: Path) -> None:
    assert "135 records in 135 lines" in run(write_log(tmp_path / "log.jsonl", recorded_lines()))


@pytest.mark.parametrize("topic", ["recognitions", "feedback", "drift-commands"])
def test_every_example_is_as_it_should_be_and_its_topic_is_guessed(topic: str) -> None:
    values = [json.dumps(value) for value in EXAMPLES[topic].values()]
    told = check_lines("\n".join(values))
    assert f"{len(values)} records in {len(values)} lines: {topic} {len(values)}" in told
    assert "all are as they should be" in told


@pytest.mark.parametrize("topic", ["identities", "profiles", "labels", "drift-signals", "drift-alerts", "journal"])
def test_what_goes_out_is_not_to_be_sent(topic: str) -> None:
    value = next(iter(EXAMPLES[topic].values()))
    assert f"line 1 ({topic}): no record: topic" in check_lines(json.dumps(value), code=1)


RECOGNITION: Any = EXAMPLES["recognitions"]["phones and an activity"]
FEEDBACK: Any = EXAMPLES["feedback"]["confirm"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (json.dumps({**FEEDBACK, "kind": "conform"}), "line 1 (feedback): dead letter: field"),
        (json.dumps({**RECOGNITION, "v": 2}), "line 1 (recognitions): dead letter: version"),
        (json.dumps({**RECOGNITION, "activity": None, "phones": None}), "none of voice, face, phones and activity"),
        (json.dumps({**RECOGNITION, "observed_at": "yesterday"}), "observed_at: Input should be a valid integer"),
        (json.dumps({**RECOGNITION, "observed_at": 1_763_690_000}), "observed_at: Input should be greater than or equal to"),
        (json.dumps(RECOGNITION).replace("-61.0", "NaN"), "line 1 (recognitions): left out: rssi_dbm"),
        (json.dumps({"temperature": 21}), "its fields (temperature) are those of no record"),
        (json.dumps([RECOGNITION]), "jq -c '.[]' FILE"),
        (json.dumps(RECOGNITION, indent=1), "jq -c . FILE"),
        (json.dumps(RECOGNITION)[:40], "in the middle of a record"),
        ("temperature,21", "malformed: it begins with"),
        ('{"topic":"recognition","partition":0,"offset":0,"timestamp":1,"value":{}}', "the topic is 'recognition'"),
        ('{"topic":"dev.feedback","partition":0,"offset":0,"timestamp":1,"value":null}', "(feedback): dead letter: empty"),
        ('{"v":1,"command_id":"c-1","alert_id":"a-1","kind":"shout","given_at":1,"by":"me"}', "(drift-commands): dead letter"),
    ],
)
def test_each_mistake_is_named(line: str, said: str) -> None:
    told = " ".join(check_lines(line, code=1).split())
    assert said in told
    assert "Traceback" not in told


def test_offsets_that_do_not_rise_are_told(tmp_path: Path) -> None:
    place = recorded()[0].topic, recorded()[0].partition
    lines = [line for line, record in zip(recorded_lines(), recorded(), strict=True) if (record.topic, record.partition) == place]
    told = run(write_log(tmp_path / "log.jsonl", (lines[1], lines[0])), code=1)
    assert f"line 2 ({place[0]}): no record: offset" in told


def test_machines_are_told_the_same_and_the_summary_last(tmp_path: Path) -> None:
    log = wrong_log(tmp_path)
    *findings, last = map(json.loads, run(log, "--json", code=1).splitlines())
    assert [set(finding) for finding in findings] == [{"line", "topic", "what", "reasons", "detail"}] * len(findings)
    assert last["summary"]["wrong"] == Counter(finding["what"] for finding in findings)
    assert last["summary"]["lines"] == len(Path(log).read_bytes().splitlines())


def test_many_findings_are_cut_short_and_all_counted(tmp_path: Path) -> None:
    log = wrong_log(tmp_path)
    few, whole = run(log, "--limit", "3", code=1), run(log, "--limit", "0", code=1)
    found = sum(line.startswith("line ") for line in whole.splitlines())
    assert sum(line.startswith("line ") for line in few.splitlines()) == 3
    assert f"… and {found - 3} more; --limit 0 shows all" in few
    assert few[few.index("\n\n") :] == whole[whole.index("\n\n") :]


def test_a_packed_file_that_is_cut_is_checked_as_far_as_it_is_whole(tmp_path: Path) -> None:
    packed = gzip.compress(b"\n".join(json.dumps(RECOGNITION).encode() for _ in range(400)))
    (tmp_path / "log.gz").write_bytes(packed[:-30])
    told = run(tmp_path / "log.gz", code=1)
    assert "no record: line" in told
    assert "cut or damaged" in " ".join(told.split())


def test_nothing_to_check_is_no_success(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").write_bytes(b"\n")
    assert "0 records in 0 lines" in run(tmp_path / "empty.jsonl", code=1)
    assert "cannot be opened" in run(tmp_path / "none.jsonl", code=2)
    assert "it should be feedback" in run("-", "--topic", "feedbak", code=2)


def test_a_topic_that_is_told_is_not_guessed() -> None:
    assert "line 1 (feedback): dead letter" in check_lines(json.dumps(RECOGNITION), "--topic", "feedback", code=1)
