"""An encoder that the policy does not know: who sends with a model of their own is told what to add, and then it works."""

import json
import tomllib
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.brokers.files import LogBroker, LogProgress
from stream.brokers.log_files import LogReader
from stream.cli import app
from stream.cli.faults import EXIT_NOTHING
from stream.contract.errors import TooManyDeadLetters
from stream.contract.policy import Policy
from stream.contract.records import Unlisted
from stream.contract.settings import Wiring, load_policy, toml_of
from stream.ops.encoders import explain_unlisted
from stream.runtime.worker.live import work
from stream.runtime.worker.metrics import WorkerMetrics
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.support.recorded import recorded, recorded_lines, write_log

OWN = b'"ecapa-2"'
RECOGNITIONS = sum(record.topic == "recognitions" for record in recorded())
VOICES = sum(b'"resemblyzer-0.1.4"' in line for line in recorded_lines())


def own_model(line: bytes) -> bytes:
    """A voice as somebody's own encoder gives it."""
    return line.replace(b'"resemblyzer-0.1.4"', OWN)


def voice_alone(line: bytes) -> bytes:
    """The same, without what else it could be recognised by."""
    told = json.loads(own_model(line))
    for part in ("face", "phones", "activity"):
        told["value"].pop(part, None)
    return json.dumps(told).encode() + b"\n"


def flowing(text: str) -> str:
    """On one line."""
    return " ".join(text.split())


def replay(log: str, out: Path, *more: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["replay", log, "--out", str(out), *more])
    return result.exit_code, result.output


def voices_alone(tmp_path: Path) -> str:
    return write_log(tmp_path / "log.jsonl", tuple(voice_alone(line) for line in recorded_lines() if b'"resemblyzer' in line))


def test_a_replay_in_which_nothing_was_answered_ends_with_3_and_says_what_to_add(tmp_path: Path) -> None:
    code, told = replay(voices_alone(tmp_path), tmp_path / "out")
    assert code == EXIT_NOTHING
    assert f"{VOICES} of {VOICES} recognitions named encoder 'ecapa-2' (voice, 256 numbers)" in flowing(told)
    assert f"None of {VOICES} recognitions was answered" in told
    assert "kithkin check" in told


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_replay_in_which_something_was_answered_is_told_the_same_and_ends_with_0(tmp_path: Path, jobs: str) -> None:
    log = write_log(tmp_path / "log.jsonl", tuple(map(own_model, recorded_lines())))
    code, told = replay(log, tmp_path / "out", "--jobs", jobs)
    assert code == 0
    assert f"{VOICES} of {RECOGNITIONS} recognitions named encoder 'ecapa-2' (voice, 256 numbers)" in flowing(told)
    assert "None of" not in told


def test_a_replay_of_listed_encoders_says_nothing_of_it(tmp_path: Path) -> None:
    code, told = replay(write_log(tmp_path / "log.jsonl", recorded_lines()), tmp_path / "out")
    assert (code, "encoder" in told) == (0, False)


def test_a_replay_without_recognitions_has_nothing_to_answer(tmp_path: Path) -> None:
    lines = tuple(line for line in recorded_lines() if b'"topic":"feedback"' in line)
    assert replay(write_log(tmp_path / "log.jsonl", lines), tmp_path / "out")[0] == 0


def test_with_what_it_says_to_add_the_recognitions_are_answered(tmp_path: Path) -> None:
    log = voices_alone(tmp_path)
    _, told = replay(log, tmp_path / "without")
    table = told[told.index("[encoders.") : told.index("at its end, and")]
    policy = tmp_path / "policy.toml"
    policy.write_text(CliRunner().invoke(app, ["policy"]).output + table)
    assert set(load_policy(policy).encoders) == {*Policy().encoders, "ecapa-2"}
    code, told = replay(log, tmp_path / "with", "--policy", str(policy))
    assert (code, "recognitions answered" in told, "ecapa-2" in told) == (0, True, False)


@pytest.mark.parametrize("name", ["ecapa-2", 'a"b', "ünïcode.\\", "x y"])
@pytest.mark.parametrize(("modality", "length"), [("voice", 192), ("face", 1024)])
def test_a_table_that_is_to_be_pasted_can_be_read_whatever_the_name(name: str, modality: str, length: int) -> None:
    told = explain_unlisted({Unlisted(modality, name, length): 7}, 9, Policy())
    table = told[told.index("[encoders.") : told.index("at its end, and")]
    encoder = Policy.model_validate(tomllib.loads(toml_of(Policy()) + table)).encoders[name]
    assert (encoder.modality, encoder.length) == (modality, length)


def test_the_hint_knows_the_likely_slips() -> None:
    policy = Policy()
    assert explain_unlisted({}, 9, policy) == ""
    assert "(it lists 'resemblyzer-0.1.4')" in flowing(explain_unlisted({Unlisted("voice", "resemblyzer", 256): 1}, 9, policy))
    swapped = flowing(explain_unlisted({Unlisted("face", "resemblyzer-0.1.4", 256): 1}, 9, policy))
    assert swapped == (
        "1 of 9 recognitions named encoder 'resemblyzer-0.1.4' (face, 256 numbers), which the policy does not list for face but "
        "for voice."
    )
    mixed = explain_unlisted({Unlisted("voice", "own", 192): 2, Unlisted("voice", "own", 256): 1}, 9, policy)
    assert "3 of 9 recognitions named encoder 'own' (voice, 192 or 256 numbers)" in flowing(mixed)
    assert "length = 192\n" in mixed
    many = explain_unlisted({Unlisted("voice", f"own-{n}", 8): n for n in range(60)}, 999, policy)
    assert many.count("[encoders.") == 4


def test_a_live_worker_tells_of_each_encoder_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = write_log(tmp_path / "log.jsonl", tuple(map(own_model, recorded_lines())))
    with closing(LogReader([log])) as read, closing(LogBroker(read, tmp_path / "out", LogProgress(run={}))) as broker:
        limits = WorkerLimits(records_max=20, records_min=20)
        work(Worker(broker, MemoryStore(), Policy(), limits), broker, WorkerMetrics(Wiring(slot="one"), "", {}))
    assert [r.getMessage() for r in caplog.records if "does not list" in r.getMessage()] == [
        "a voice encoder that the policy does not list, 'ecapa-2' of 256 numbers: its vectors are left out"
    ]


def test_they_are_counted_also_where_a_worker_gives_up(tmp_path: Path) -> None:
    log = voices_alone(tmp_path)
    with closing(LogReader([log])) as read, closing(LogBroker(read, tmp_path / "out", LogProgress(run={}))) as broker:
        worker = Worker(broker, MemoryStore(), Policy(), WorkerLimits(dead_letters_min=20))
        with pytest.raises(TooManyDeadLetters):
            worker.run()
    assert worker.counts.unlisted == Counter({Unlisted("voice", "ecapa-2", 256): worker.counts.recognitions})
