"""Live workers: kept running by their supervisor, ended by their watchdog, and on real Kafka and Redis."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from confluent_kafka import TopicPartition

from stream.brokers import open_broker
from stream.brokers.kafka.topics import producer, reader
from stream.contract.policy import Policy
from stream.contract.records import INPUT_TOPICS, Record
from stream.contract.settings import KafkaWiring, Wiring, load_policy
from stream.ops.local_cluster.processes import until
from stream.ops.local_cluster.redis import Redis
from stream.ops.status import look, observe
from stream.ops.topics import administration
from stream.runtime.supervision.supervisor import (
    EXIT_FAILED,
    EXIT_SERVER_AWAY,
    EXIT_STALLED,
    ParentPipe,
    RestartPolicy,
    Supervisor,
)
from stream.runtime.supervision.watchdog import Liveness, Watchdog
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore, open_store
from stream.stores.redis.heartbeats import Heartbeats
from tests.conftest import Running
from tests.support.histories import history

PATIENCE_S = 120.0
QUICK = RestartPolicy(pause_s_min=0.01, pause_s_max=0.02, progress_s=2, starts_max=3, stop_s=1.0)


# ---- the watchdog


@dataclass
class Watched:
    """Liveness under watch, with what became of the process."""

    stall_s: float = 3.0

    def __post_init__(self) -> None:
        self.liveness, self.codes = Liveness(), list[int]()
        ours, theirs = socket.socketpair()
        self.supervisor = ours
        self.dog = Watchdog(self.liveness, self.stall_s, ParentPipe(theirs, {}), self.codes.append)

    def seconds(self, count: int, *, turns: int = 0, done: int = 0) -> list[int]:
        """So many pass, in each of which so much is done; the exit codes by then."""
        for _ in range(count):
            self.liveness.turns += turns
            self.liveness.done += done
            self.dog.tick(1.0)
        return self.codes


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    with watched.supervisor, watched.dog._parent._end:  # type: ignore[union-attr]
        yield watched


def test_a_worker_with_lag_that_finishes_no_batch_is_ended_as_stalled(watched: Watched) -> None:
    watched.liveness.lag = 7
    assert watched.seconds(2, turns=50) == []
    assert watched.seconds(1, turns=50) == [EXIT_STALLED]


def test_a_turn_that_does_not_end_is_a_stall_even_without_known_lag(watched: Watched) -> None:
    assert watched.seconds(3) == [EXIT_STALLED]


def test_batches_and_idling_are_progress(watched: Watched) -> None:
    assert watched.seconds(9, turns=50) == [], "nothing to do"
    watched.liveness.lag = 7
    assert watched.seconds(9, turns=1, done=1) == [], "behind, and at work"
    assert watched.seconds(9, done=1) == [], "one long turn that applies batch after batch again"


def test_the_supervisor_hears_of_progress_and_of_nothing_else(watched: Watched) -> None:
    watched.seconds(2, turns=1)
    watched.liveness.lag = 7
    watched.seconds(2, turns=1)
    assert watched.supervisor.recv(64) == b".."


def test_who_does_not_stop_when_asked_is_ended(watched: Watched) -> None:
    watched.liveness.stopping = True
    assert watched.seconds(6, turns=1, done=1) == []
    assert watched.seconds(1, turns=1, done=1) == [EXIT_FAILED]


def test_the_end_tells_where_every_thread_is(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.seconds(3)
    (record,) = caplog.records
    assert record.getMessage() == "no progress for 3 s although a turn did not end"
    assert any("test_the_end_tells" in call for calls in vars(record)["threads"].values() for call in calls)


# ---- the supervisor, with commands of a line


def python(code: str) -> list[str]:
    return [sys.executable, "-c", f"import os, sys, time, signal; {code}"]


def test_what_fails_is_started_again_and_told_how_often(tmp_path: Path) -> None:
    said = tmp_path / "said"
    code = f"open({str(said)!r}, 'a').write(os.environ['KITHKIN_RESTARTS'] + chr(10)); "
    code += f"sys.exit([1, 4, 3, 2][len(open({str(said)!r}).readlines()) - 1])"
    assert Supervisor([python(code)], RestartPolicy(pause_s_min=0.01, pause_s_max=0.02)).run() == 2
    told = [json.loads(line) for line in said.read_text().splitlines()]
    assert told[0] == {}
    assert told[3] == {"failed": 1, "fenced": 1, "stalled": 1}


@pytest.mark.parametrize(("code", "expected"), [(2, 2), (5, 1)], ids=["the operator's fault", "beyond repair"])
def test_what_no_restart_heals_ends_all(code: int, expected: int, tmp_path: Path) -> None:
    other = python(f"open({str(tmp_path / 'other')!r}, 'w').write(str(os.getpid())); time.sleep(600)")
    failing = python(f"\nwhile not os.path.exists({str(tmp_path / 'other')!r}): time.sleep(0.01)\nsys.exit({code})")
    assert Supervisor([other, failing], QUICK).run() == expected
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "other").read_text()), 0)


def test_starts_without_progress_are_given_up(tmp_path: Path) -> None:
    code = f"open({str(tmp_path / 'starts')!r}, 'a').write('x'); sys.exit(1)"
    assert Supervisor([python(code)], QUICK).run() == 1
    assert (tmp_path / "starts").read_text() == "x" * QUICK.starts_max


def test_a_server_that_is_away_is_awaited_and_what_else_fails_is_counted(tmp_path: Path) -> None:
    starts = str(tmp_path / "starts")
    ends = [EXIT_SERVER_AWAY] * 9 + [EXIT_FAILED, EXIT_SERVER_AWAY] * 9
    code = f"open({starts!r}, 'a').write('x'); sys.exit({ends}[os.path.getsize({starts!r}) - 1])"
    assert Supervisor([python(code)], QUICK).run() == 1
    assert os.path.getsize(starts) == 9 + 2 * QUICK.starts_max - 1


def test_starts_with_some_progress_go_on(tmp_path: Path) -> None:
    starts = str(tmp_path / "starts")
    code = f"os.write(0, b'.'); open({starts!r}, 'a').write('x'); sys.exit(1 if os.path.getsize({starts!r}) < 9 else 2)"
    assert Supervisor([python(code)], QUICK).run() == 2
    assert os.path.getsize(starts) == 9


def test_pauses_double_up_to_the_longest_until_there_is_a_minute_of_progress(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    starts = str(tmp_path / "starts")
    code = f"open({starts!r}, 'a').write('x'); n = os.path.getsize({starts!r}); "
    code += "os.write(0, b'.' * (2 if n == 4 else 1)); sys.exit(1 if n < 6 else 2)"
    Supervisor([python(code)], RestartPolicy(pause_s_min=0.02, pause_s_max=0.04, progress_s=2)).run()
    pauses = [record.args[2] for record in caplog.records if record.levelname == "WARNING"]  # type: ignore[index]
    for pause, longest in zip(pauses, (0.02, 0.04, 0.04, 0.02, 0.04), strict=True):
        assert longest / 2 <= pause <= longest


@contextmanager
def supervised(*commands: Sequence[str], stop_s: float = 1.0) -> Iterator[subprocess.Popen[bytes]]:
    """A supervisor in a process of its own."""
    code = "import sys, json; from stream.runtime.supervision.supervisor import *; "
    code += f"sys.exit(Supervisor(json.loads(sys.argv[1]), RestartPolicy(stop_s={stop_s})).run())"
    with subprocess.Popen([sys.executable, "-c", code, json.dumps(commands)]) as process:
        try:
            yield process
        finally:
            process.kill()


def living(*marks: Path) -> list[int]:
    """Process ids that were written there, of those that live."""
    return [pid for mark in marks if (pid := int(mark.read_text() or 0)) and Path(f"/proc/{pid}/stat").exists()]


def writes_its_pid(mark: Path, then: str) -> list[str]:
    new = f"{mark}.new"
    return python(f"open({new!r}, 'w').write(str(os.getpid())); os.rename({new!r}, {str(mark)!r}); {then}")


def test_asked_to_stop_it_asks_all_and_kills_who_does_not(tmp_path: Path) -> None:
    kind, stubborn = tmp_path / "kind", tmp_path / "stubborn"
    commands = [
        writes_its_pid(kind, "signal.signal(15, lambda *_: sys.exit(0)); time.sleep(600)"),
        python("signal.signal(15, signal.SIG_IGN); " + writes_its_pid(stubborn, "time.sleep(600)")[2].partition("; ")[2]),
    ]
    with supervised(*commands) as supervisor:
        assert until(lambda: kind.exists() and stubborn.exists(), PATIENCE_S)
        began_s = time.monotonic()
        supervisor.terminate()
        assert supervisor.wait(PATIENCE_S) == 1, "one had to be killed"
        assert 1.0 <= time.monotonic() - began_s < 10.0
        assert living(kind, stubborn) == []


def test_a_worker_does_not_outlive_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    mark = tmp_path / "worker"
    watching = "from stream.runtime.supervision.watchdog import *; from stream.runtime.supervision.supervisor import *; "
    watching += "liveness = Liveness(); "
    watching += "Watchdog(liveness, 600.0, parent_pipe_of_this_process()).start(stop_on_signals(liveness).__enter__())"
    with supervised(writes_its_pid(mark, f"{watching}; time.sleep(600)")) as supervisor:
        assert until(mark.exists, PATIENCE_S)
        supervisor.kill()
        assert until(lambda: living(mark) == [], PATIENCE_S)


def test_asked_to_stop_while_it_hangs_in_a_library_a_worker_ends_all_the_same(tmp_path: Path) -> None:
    mark = tmp_path / "worker"
    watching = "import hashlib; from stream.runtime.supervision.watchdog import *; liveness = Liveness(); "
    watching += "signals = stop_on_signals(liveness); Watchdog(liveness, 600.0, None).start(signals.__enter__())"
    code = f"{watching}; open({str(mark)!r}, 'w').close(); hashlib.pbkdf2_hmac('sha256', b'', b'', 2**31 - 1)"  # hears no signal
    with subprocess.Popen(python(code)) as worker:
        try:
            assert until(mark.exists, PATIENCE_S)
            worker.terminate()
            assert worker.wait(PATIENCE_S) == EXIT_FAILED
        finally:
            worker.kill()


def test_a_worker_that_may_not_work_ends_with_its_own_exit_code() -> None:
    """On its way out it closes what tells of signals, which is not to be taken for being asked to stop."""
    code = """
import sys, time
from stream.runtime.supervision.watchdog import Liveness, Watchdog, stop_on_signals
liveness = Liveness(opening=True)
with stop_on_signals(liveness) as signals:
    Watchdog(liveness, 600.0, None).start(signals)
time.sleep(1.0)
sys.exit(6)
"""
    assert subprocess.run(python(code), check=False, timeout=PATIENCE_S).returncode == 6


# ---- on real Kafka and Redis


class Site:
    """Topics of a test's own, records in them, and workers over them."""

    def __init__(self, wiring: Wiring, folder: Path, ends: ExitStack) -> None:
        self.wiring, self._folder, self._ends = wiring, folder, ends
        self._observer = ends.enter_context(observe(wiring))
        self._heartbeats = ends.enter_context(closing(Heartbeats(str(wiring.store), wiring)))
        self._workers = 0

    def kithkin(self, command: str, *flags: str) -> list[str]:
        wiring = self.wiring
        shared = ["--broker", wiring.broker, "--prefix", wiring.prefix, "--group", wiring.group, "--store", str(wiring.store)]
        return [sys.executable, "-c", "from stream.cli import main; main()", command, *shared, *flags]

    def feed(self, records: int, seed: int = 1) -> None:
        with producer(self.wiring) as sender:
            for topic, partition, at, key, value in history(seed, 1, records):
                sender.send(Record(topic, partition, 0, at, key, value))

    def start(self, *flags: str, **settings: object) -> subprocess.Popen[bytes]:
        """`kithkin worker`, with what it logs in a file."""
        environment = os.environ | {f"KITHKIN_{name.upper()}": str(value) for name, value in settings.items()}
        with self.log(self._workers).open("wb") as log:
            process = subprocess.Popen(self.kithkin("worker", *flags), stderr=log, env=environment)
        self._workers += 1
        self._ends.callback(process.wait)
        self._ends.callback(process.kill)
        return process

    def log(self, number: int) -> Path:
        return self._folder / f"worker-{number}.log"

    def lines(self, number: int = 0) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log(number).read_text().splitlines()]

    def status(self) -> dict[str, Any]:
        """What `kithkin status --json` tells."""
        return look(self.wiring, self._observer, self._heartbeats).as_json()

    def notes(self) -> list[dict[str, Any]]:
        """What the workers wrote of themselves."""
        return list(self.status()["workers"].values())

    def written(self, topic: str) -> list[Record]:
        return list(reader(self.wiring, [topic]))

    def done(self) -> bool:
        """Whether every record is committed."""
        return bool(self.status()["lag"] == 0)

    def told(self) -> str:
        """How its workers are, and what they said last: why something did not come."""
        notes = [{name: note[name] for name in ("pid", "partitions", "restarts")} for note in self.notes()]
        return "\n".join(map(str, [self.status()["lag"], *notes, *self.lines()[-12:]]))

    def complaints(self) -> list[str]:
        """What is wrong with what was made of all records, when all are done."""
        found = []
        journal = sorted((record.partition, record.offset, json.loads(record.value or b"")) for record in self.written("journal"))
        stands_at = {partition: dict.fromkeys(INPUT_TOPICS, 0) for partition, _, _ in journal}
        for partition, _, entry in journal:
            if entry["offsets_from"] != stands_at[partition]:
                found.append(f"partition {partition}: {entry['offsets_from']} follows {stands_at[partition]}")
            stands_at[partition] = entry["offsets_to"]
        inputs = Counter((record.topic, record.partition) for topic in INPUT_TOPICS for record in self.written(topic))
        for (topic, partition), count in inputs.items():
            if stands_at[partition][topic] != count:
                found.append(f"{topic}[{partition}] has {count} records, done are {stands_at[partition][topic]}")
        answers = Counter(
            (answer["household_id"], *answer["cause"].values())
            for record in self.written("identities")
            if (answer := json.loads(record.value or b""))["revision"] == 0
        )
        found += [f"{answer} was given {times} times" for answer, times in answers.items() if times > 1]
        with closing(open_store(str(self.wiring.store), self.wiring)) as store:
            for partition, offsets in stands_at.items():
                if (states := {topic: store.claim(partition).offsets.get(topic, 0) for topic in INPUT_TOPICS}) != offsets:
                    found.append(f"partition {partition}: the states stand at {states}, the journal at {offsets}")
        return found


@pytest.fixture
def site(kafka: Running, redis_url: str, topics: Callable[..., str], tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes a site with so many partitions."""
    with ExitStack() as ends:

        def make(partitions: int = 2, store: str = redis_url) -> Site:
            prefix = topics(partitions)
            wiring = Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}group", store=store)
            return Site(wiring, tmp_path, ends)

        yield make


def test_asked_to_stop_under_load_it_ends_within_ten_seconds_and_nothing_is_lost(site: Callable[..., Site]) -> None:
    here = site()
    here.feed(6000)
    first = here.start(batch_records_max=20)
    assert until(lambda: len(here.written("journal")) > 5, PATIENCE_S)
    began_s = time.monotonic()
    first.terminate()
    assert first.wait(PATIENCE_S) == 0
    assert time.monotonic() - began_s < 10.0
    assert here.status()["lag"] > 0, "it was to be stopped amid its work"
    assert here.lines()[-1]["message"] == "stopped as asked"
    here.start()
    assert until(here.done, PATIENCE_S)
    assert here.complaints() == []


def test_the_policy_that_was_given_is_the_one_that_answers(site: Callable[..., Site], tmp_path: Path) -> None:
    policy, here = tmp_path / "policy.toml", site(partitions=1)
    policy.write_text("[limits]\nwaiting_days = 8\n")
    here.feed(20)
    here.start("--policy", str(policy))
    assert until(here.done, PATIENCE_S)
    assert {json.loads(entry.value or b"")["policy_id"] for entry in here.written("journal")} == {load_policy(policy).policy_id}


def test_two_workers_share_the_partitions_and_one_that_was_killed_comes_back(site: Callable[..., Site]) -> None:
    def shares() -> list[int]:
        return sorted(len(note["partitions"]) for note in here.notes())

    here = site(partitions=4)
    here.start("--workers", "2", batch_records_max=20, kafka__session_timeout_s=6)
    assert until(lambda: shares() == [2, 2], PATIENCE_S)
    assert len({partition["worker"] for partition in here.status()["partitions"].values()}) == 2
    here.feed(600)
    os.kill(here.notes()[0]["pid"], signal.SIGKILL)
    here.feed(300, seed=2)
    assert until(lambda: here.done() and sorted(note["restarts"] for note in here.notes()) == [0, 1], PATIENCE_S), here.told()
    assert until(lambda: shares() == [2, 2], PATIENCE_S)
    assert here.complaints() == []


def asked(address: str, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://{address}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_one_worker_too_many_idles_and_is_ready(site: Callable[..., Site]) -> None:
    here = site(partitions=1)
    here.start("--workers", "2", "--listen", "127.0.0.1:0", kafka__session_timeout_s=6)
    assert until(lambda: sorted(len(note["partitions"]) for note in here.notes()) == [0, 1], PATIENCE_S)
    addresses = [note["listen"] for note in here.notes()]
    assert until(lambda: [asked(address, "/readyz")[0] for address in addresses] == [200, 200], PATIENCE_S)
    here.feed(100)
    assert until(here.done, PATIENCE_S)
    assert sorted("kithkin_records_total 0.0" in asked(address, "/metrics")[1] for address in addresses) == [False, True]
    assert here.complaints() == []


def test_a_store_that_hangs_is_noticed_as_a_stall(site: Callable[..., Site], own_redis: Callable[..., Redis]) -> None:
    redis = own_redis()
    here = site(store=redis.url)
    worker = here.start("--no-restart", stall_s=4)
    assert until(lambda: bool(here.notes()), PATIENCE_S)
    os.kill(redis.pids[0], signal.SIGSTOP)
    here.feed(100)
    assert worker.wait(PATIENCE_S) == EXIT_STALLED
    last = here.lines()[-1]
    assert re.match(r"no progress for \d+ s", last["message"])
    assert any("redis" in call for call in last["threads"]["MainThread"])
    os.kill(redis.pids[0], signal.SIGCONT)
    here.start("--no-restart")
    assert until(here.done, PATIENCE_S)
    assert here.complaints() == []


def test_a_worker_awaits_a_store_that_is_away(site: Callable[..., Site], own_redis: Callable[..., Redis]) -> None:
    redis = own_redis()
    here = site(store=redis.url)
    redis.kill()
    here.start()
    assert until(lambda: here.log(0).read_text().count("is started again") == 2, PATIENCE_S)
    assert "BrokerError" in here.log(0).read_text()
    redis.restart()
    here.feed(100)
    assert until(here.done, PATIENCE_S)
    assert until(lambda: [note["restarts"] >= 2 for note in here.notes()] == [True], PATIENCE_S)
    ended = [line["message"] for line in here.lines() if "is started again" in line["message"]]
    assert all(message.startswith("a worker ended (server away, exit code 6)") for message in ended)
    assert here.complaints() == []


def test_without_a_worker_the_status_tells_what_is_left_and_that_nobody_has_it(site: Callable[..., Site]) -> None:
    here = site(partitions=2)
    here.feed(50)
    sent = sum(len(here.written(topic)) for topic in INPUT_TOPICS)
    assert here.status()["lag"] == sent
    assert {partition["worker"] for partition in here.status()["partitions"].values()} == {None}
    told = subprocess.run(here.kithkin("status"), check=True, capture_output=True, text=True, env=os.environ | {"COLUMNS": "150"})
    assert "nobody" in told.stdout
    assert "0 workers" in told.stdout
    (line,) = subprocess.run(here.kithkin("status", "--json"), check=True, capture_output=True).stdout.splitlines()
    assert json.loads(line) == here.status()


def test_what_retention_took_before_anybody_read_it_is_not_left_to_do(site: Callable[..., Site]) -> None:
    here = site(partitions=1)
    here.feed(50)
    before, place = here.status()["lag"], TopicPartition(f"{here.wiring.prefix}recognitions", 0, 5)
    with administration(here.wiring) as admin:
        admin.delete_records([place])[place].result(PATIENCE_S)
    assert here.status()["lag"] == before - 5


def test_what_is_set_wrongly_is_told_before_anything_starts(site: Callable[..., Site]) -> None:
    here = site()
    worker = here.start("--prefix", "no-such-prefix.")
    assert worker.wait(PATIENCE_S) == 2
    (line,) = (line for line in here.lines() if line["level"] == "critical")
    assert "no-such-prefix.recognitions" in line["message"]


def test_a_topic_of_which_nothing_can_be_used_ends_the_worker_for_good(site: Callable[..., Site]) -> None:
    here = site(partitions=1)
    with producer(here.wiring) as sender:
        for number in range(300):
            home = b"h-%d" % (number % 9)
            sender.send(Record("feedback", 0, number, 1_763_690_000_000, home, b'{"v": 9, "household_id": "%s"}' % home))
    worker = here.start(batch_records_max=100)
    assert worker.wait(PATIENCE_S) == EXIT_FAILED
    assert [line["message"] for line in here.lines() if "started again" in line["message"]] == []
    (line,) = (line for line in here.lines() if line["level"] == "critical")
    # From 200 on, by batches of at most 100, of which the first may be one short.
    counted = re.match(r"TooManyDeadLetters: (2\d\d) of the latest \1 records, of 9 of 9 homes, could not be used", line["error"])
    assert counted
    assert len(here.written("dead-letters")) == int(counted[1]) - 100  # all but the batch that was one too many


def test_a_slow_store_slows_the_worker_and_not_the_heartbeat(site: Callable[..., Site]) -> None:
    class Slow(MemoryStore):
        def save(self, *arguments: Any) -> None:
            if not saves:
                time.sleep(1.5 * session_s)
            saves.append(arguments[0])
            super().save(*arguments)

    saves: list[int] = []
    session_s = 6.0  # the least that brokers grant unless told otherwise
    here = site(partitions=1)
    wiring = here.wiring.model_copy(update={"slot": "slow", "kafka": KafkaWiring(session_timeout_s=session_s)})
    here.feed(300)
    with closing(open_broker(wiring)) as broker:
        worker = Worker(broker, Slow(), Policy(), WorkerLimits(records_max=100, dead_letters_min=10**9))
        total = sum(len(here.written(topic)) for topic in INPUT_TOPICS)
        worker.run(stop=lambda: worker.counts.records == total)
    assert len(saves) >= 3
    assert worker.counts.rebalances == 1, "the group did not miss it"
