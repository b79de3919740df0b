"""A replay over several processes: the same files byte for byte, wherever it was stopped and by however many it goes on."""

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from zlib import crc32

import msgspec
import numpy as np
import pytest

from stream.brokers.files import FILES, LogProgress
from stream.brokers.log_files import InvalidLog
from stream.contract.policy import Policy
from stream.contract.records import Event, Record
from stream.contract.settings import Wiring
from stream.contract.units import DAY_MS
from stream.home.state.household import Household
from stream.home.step import BatchAnswers, step_batch
from stream.offline.replay import replay as replay_module
from stream.offline.replay.jobs import pool
from stream.offline.replay.jobs.messages import Setup
from stream.offline.replay.jobs.processes import JobLost, JobProcesses, spread_over, usable_cores
from stream.offline.replay.manifest import MANIFEST
from stream.offline.replay.replay import Replay, Sofar, Summary, replay
from stream.offline.simulation.records import neighbourhood
from stream.runtime.worker.worker import Worker
from tests.support.failing_core import failing
from tests.support.recorded import line_of, write_log

BATCH = 40

StepFunction = Callable[[Mapping[str, Household], Sequence[Event], Policy], BatchAnswers]


# ---- what is replayed


@cache
def odd_records(seed: int) -> tuple[Record, ...]:
    """A neighbourhood on several partitions, with records among it that nobody can read, that come twice or are refused."""
    rng = np.random.default_rng(seed)
    records: list[Record] = []
    for record in neighbourhood(homes=7, days=4, seed=seed).records:
        records.append(record)
        if rng.random() < 0.2:
            records.append(spoilt(record, int(rng.integers(7))))
    offsets = Counter[tuple[str, int]]()
    numbered = []
    for record in records:
        place = record.topic, record.partition
        numbered.append(replace(record, offset=offsets[place]))
        offsets[place] += 1
    return tuple(numbered)


def spoilt(record: Record, how: int) -> Record:
    """The record once more, as it should not have come."""
    value = json.loads(record.value or b"{}")
    if how < 4:
        raw: bytes | None = (record.value, None, b"{not json}", b"[" * 9 + b"]" * 9)[how]
        return replace(record, value=raw)
    if how < 6:
        return replace(record, key=(None, b"another")[how - 4])
    at = "observed_at" if "observed_at" in value else "given_at"
    told = {**value, at: value[at] - 400 * DAY_MS} | {k: f"old-{value[k]}" for k in ("event_id", "feedback_id") if k in value}
    return replace(record, value=json.dumps(told).encode())


def lines(seed: int = 1) -> tuple[bytes, ...]:
    return tuple(map(line_of, odd_records(seed)))


class Run:
    """A replay into a folder of its own, by one process or several."""

    def __init__(self, log: str, folder: Path, **wiring: int) -> None:
        self.out, self.store = folder / "out", folder / "states.db"
        folder.mkdir()
        settings = {"batch_records_max": BATCH, **wiring}
        self.task = Replay([log], self.out, Policy(), Wiring.model_validate({"store": str(self.store), **settings}))

    def go(self, jobs: int, until: int = 10**9, watch: Callable[[JobProcesses | None], None] = lambda _: None) -> Summary:
        """Go on by so many processes, as far as so many records."""
        done = 0

        def see(sofar: Sofar) -> None:
            nonlocal done
            done = sofar.records
            if done:
                watch(processes)

        with spread_over(jobs) as processes:
            summary = replay(self.task, lambda: done >= until, see, processes)
        if processes is not None:
            with pytest.raises(ProcessLookupError):
                os.killpg(processes.group, 0)
        return summary

    @property
    def bytes(self) -> dict[str, bytes]:
        """All that was written; of the progress, all but where the run lies."""
        progress = LogProgress.read(self.out)
        assert progress is not None
        written = {path.name: path.read_bytes() for path in self.out.iterdir()}
        assert set(written) <= {*FILES, MANIFEST}
        written[".progress.json"] = msgspec.json.encode(msgspec.structs.replace(progress, run={}))
        return written | {"states": self.store.read_bytes()}


@pytest.fixture
def log(tmp_path: Path) -> str:
    return write_log(tmp_path / "log.jsonl", lines())


# ---- the law


@pytest.mark.parametrize(
    ("jobs", "seed", "wiring"),
    [(2, 1, {}), (3, 2, {"resident_bytes_max": 1, "batch_records_max": 17})],
    ids=["two", "three, with homes that leave memory after each batch"],
)
def test_several_processes_write_the_bytes_of_one(
    jobs: int, seed: int, wiring: dict[str, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = write_log(tmp_path / "log.jsonl", lines(seed))
    one, several = (Run(log, tmp_path / name, **wiring) for name in ("one", "several"))
    expected = one.go(1)
    monkeypatch.setattr(pool, "PIPE_BYTES", 100)  # so that answers come in pieces

    def signalled(processes: JobProcesses | None) -> None:
        assert processes is not None
        for number in (signal.SIGINT, signal.SIGTERM):  # are for the replay alone
            os.killpg(processes.group, number)

    summary = several.go(jobs, watch=signalled)
    assert several.bytes == one.bytes
    told = [replace(s.counts, households_loaded=0, resident_homes=0, resident_bytes=0) for s in (summary, expected)]
    assert told[0] == told[1]
    reasons = expected.counts.dead_letters
    assert {"empty", "json", "key", "too_old"} <= set(reasons), reasons


@pytest.mark.parametrize("jobs", [(2, 1), (1, 3)], ids=str)
def test_a_replay_that_was_stopped_goes_on_by_another_number(jobs: tuple[int, int], log: str, tmp_path: Path) -> None:
    one, several = Run(log, tmp_path / "one"), Run(log, tmp_path / "several")
    for run, numbers in ((one, (1, 1)), (several, jobs)):
        assert not run.go(numbers[0], until=3 * BATCH).finished
        assert run.go(numbers[1]).finished
    assert several.bytes == one.bytes


def test_a_bad_line_in_the_middle_stops_it_behind_the_last_whole_batch(log: str, tmp_path: Path) -> None:
    one, several = Run(log, tmp_path / "one"), Run(log, tmp_path / "several")
    written = lines()
    write_log(Path(log), (*written[: 5 * BATCH + 3], b"half a li\n", *written[5 * BATCH + 3 :]))
    for run, jobs in ((one, 1), (several, 2)):
        with pytest.raises(InvalidLog, match=rf"line {5 * BATCH + 4}: not a record of a log"):
            run.go(jobs)
    assert several.bytes == one.bytes


# ---- failures


def fragile(households: Mapping[str, Household], events: Sequence[Event], policy: Policy) -> BatchAnswers:
    """The core, failing on some events after it has changed their home."""

    def error_at(event: Event) -> BaseException | None:
        name = str(getattr(event.value, "event_id", ""))
        return ZeroDivisionError("of the core") if crc32(name.encode()) % 50 == 0 else None

    return failing(error_at).step_batch(households, events, policy)


def dying(households: Mapping[str, Household], events: Sequence[Event], policy: Policy) -> BatchAnswers:
    """The core, in a process that is killed at some later event."""
    if any(event.record.offset > 20 for event in events):
        os.kill(os.getpid(), signal.SIGKILL)
    return step_batch(households, events, policy)


def short_of_memory(households: Mapping[str, Household], events: Sequence[Event], policy: Policy) -> BatchAnswers:
    """The core, in a process that has no more memory at some later event."""
    if any(event.record.offset > 20 for event in events):
        raise MemoryError
    return step_batch(households, events, policy)


def applied_by(step_function: StepFunction, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let replays use another core."""

    class OtherWorker(Worker):
        def __init__(self, *ports: object) -> None:
            super().__init__(*ports, step_function=step_function)  # type: ignore[arg-type]

    monkeypatch.setattr(replay_module, "Worker", OtherWorker)
    monkeypatch.setattr(replay_module, "Setup", partial(Setup, step_function=step_function))


def test_households_that_fail_are_left_out_as_by_one_process(
    log: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    applied_by(fragile, monkeypatch)
    one, several = Run(log, tmp_path / "one"), Run(log, tmp_path / "several")
    for run, jobs in ((one, (1, 1)), (several, (3, 2))):
        run.go(jobs[0], until=4 * BATCH)  # a quarantine ends there
        assert run.go(jobs[1]).counts.quarantined > 1
    assert several.bytes == one.bytes
    assert "a household is quarantined" in capfd.readouterr().err


def test_a_batch_that_was_published_and_not_saved_is_applied_again_without_whom_it_left_out(
    log: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    applied_by(fragile, monkeypatch)
    one, several = Run(log, tmp_path / "one"), Run(log, tmp_path / "several")
    for run, jobs in ((one, 1), (several, 2)):
        saved: list[bytes] = []  # the states after each batch
        begun = run.go(1, until=4 * BATCH, watch=lambda _, store=run.store, saved=saved: saved.append(store_of(store)))  # type: ignore[misc]
        assert begun.counts.quarantined > 0
        run.store.write_bytes(saved[-2])
        assert run.go(jobs).counts.recoveries > 0
    assert several.bytes == one.bytes


def store_of(store: Path) -> bytes:
    """The states as they stand now, the write-ahead log included."""
    with closing(sqlite3.connect(store)) as now, closing(sqlite3.connect(":memory:")) as copy:
        now.backup(copy)
        return copy.serialize()


@pytest.mark.parametrize(("core", "how"), [(dying, "killed by SIGKILL"), (short_of_memory, "exit code 1")])
def test_a_process_that_ends_is_one_clear_error_and_the_replay_goes_on_without_it(
    core: StepFunction, how: str, log: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run, calm = Run(log, tmp_path / "run"), Run(log, tmp_path / "calm")
    with monkeypatch.context() as patch:
        applied_by(core, patch)
        with pytest.raises(JobLost, match=rf"ended \({how}\); what was committed is safe"):
            run.go(2)
    summary = run.go(1)
    assert summary.finished
    calm.go(1, until=summary.records_before)  # stopped at the same place, so that epochs are the same
    calm.go(1)
    assert run.bytes == calm.bytes


KILLED = """
import os, signal, sys
from pathlib import Path
from stream.offline.replay.jobs.processes import spread_over
from stream.offline.replay.replay import replay
from tests.offline.test_jobs import Run
log, folder = sys.argv[1:]
with spread_over(2) as jobs:
    replay(Run(log, Path(folder)).task, watch=lambda sofar: sofar.records < 90 or os.kill(os.getpid(), signal.SIGKILL), jobs=jobs)
"""


def test_a_replay_that_is_killed_leaves_no_process_behind_and_goes_on(log: str, root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED, log, str(tmp_path / "killed")]
    killed = subprocess.run(command, cwd=root, stderr=subprocess.PIPE, check=False, timeout=60)  # all that hold stderr are gone
    assert (killed.returncode, killed.stderr) == (-signal.SIGKILL, b"")
    run, calm = Run(log, tmp_path / "run"), Run(log, tmp_path / "calm")
    for path in (tmp_path / "killed").iterdir():  # under the name of a run that may go on
        shutil.move(path, run.out.parent / path.name)
    progress = LogProgress.read(run.out)
    assert progress is not None
    (run.out / ".progress.json").write_bytes(msgspec.json.encode(msgspec.structs.replace(progress, run=run.task.run)))
    run.go(1)
    for until in (progress.records, 10**9):
        calm.go(1, until)
    assert run.bytes == calm.bytes


def test_an_interruption_ends_all_of_it_without_a_traceback(log: str, root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from stream.cli import main; main()", "replay", "-", "--jobs", "2"]
    command += ["--out", str(tmp_path / "out"), "--store", str(tmp_path / "run.db")]
    environment = {**os.environ, "KITHKIN_BATCH_RECORDS_MAX": str(BATCH)}
    written = lines()
    begun = dict[str, object](cwd=root, env=environment, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
    with subprocess.Popen(command, **begun) as process:  # type: ignore[call-overload]
        process.stdin.write(b"".join(written[: 6 * BATCH + 1]))
        process.stdin.flush()
        while not ((made := LogProgress.read(tmp_path / "out")) and made.records):
            assert process.poll() is None, process.stderr.read()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        with suppress(BrokenPipeError):
            process.stdin.write(b"".join(written[6 * BATCH + 1 :]))
        with suppress(BrokenPipeError):
            process.stdin.close()
        told = process.stderr.read().decode()
    assert process.returncode == 130, told
    assert ("Interrupted after" in told, "Traceback" in told) == (True, False)


def test_as_many_processes_as_there_are_cores_unless_that_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert usable_cores() >= 1
    monkeypatch.setattr("stream.offline.replay.jobs.processes.usable_cores", lambda: 1)
    with spread_over(0) as processes:
        assert processes is None
