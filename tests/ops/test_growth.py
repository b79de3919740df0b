"""A live system moves to more partitions on a real Kafka and Redis, killed again and again: nothing lost, nothing twice."""

import json
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import pytest
import redis
from confluent_kafka import Consumer, Producer, TopicPartition

from stream.brokers import open_broker
from stream.brokers.kafka.topics import reader
from stream.brokers.partitioning import partition_of
from stream.contract.codec import decode
from stream.contract.errors import Moved
from stream.contract.policy import Policy
from stream.contract.ports import Encoded
from stream.contract.reading import RECOGNITIONS
from stream.contract.records import INPUT_TOPICS, OUTPUT_TOPICS, InvalidRecord, Journal, Record
from stream.contract.settings import Wiring
from stream.home.step import step
from stream.offline.simulation.records import neighbourhood
from stream.ops.checks import run_checks
from stream.ops.growth import Growth
from stream.ops.growth.states import NewPartitions, close_old
from stream.ops.local_cluster.processes import until
from stream.ops.topics import administration, create, find_topics
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import SqliteStore, open_store
from stream.stores.moves import MOVED
from tests.cli.test_cli import run
from tests.conftest import Running
from tests.support.growing import move
from tests.support.recorded import recorded
from tests.support.serial import Serial
from tests.support.struck import Point, run_until

POLICY = Policy()
LIMITS = WorkerLimits(records_max=64, records_min=16, poll_timeout_s=0.05)
KITHKIN = [sys.executable, "-m", "stream.cli"]
HEADERS = [("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")]
ANSWER_S = 60.0
BEFORE, AFTER = 2, 5
POINTS = (
    Point("return", "RedisStore.save", 2),  # some of the new partitions are reserved
    Point("return", "RedisStore.save", 1),  # the first of the old partitions is closed
    Point("return", "RedisStore.save", 3),  # some homes are copied
    Point("return", "Copier.begin"),  # the cut is put down, and not yet noted
    Point("call", "Producer.commit_transaction", 2),  # copies that nobody may see
    Point("return", "Producer.commit_transaction", 2),  # copies that all see
    Point("return", "RedisStore.save", 2),  # some of the new partitions are open
)  # in this order: each begins where the one before it was killed


class System:
    """A system under the old prefix that is to move to the new one."""

    def __init__(self, bootstrap: str, redis_url: str) -> None:
        name = f"t{uuid.uuid4().hex[:12]}"
        broker = f"confluent://{bootstrap}"
        self.old = Wiring(broker=broker, store=redis_url, prefix=f"{name}a.", group=name, batch_records_max=40)
        self.new = self.old.model_copy(update={"prefix": f"{name}b."})
        self.growth = Growth(self.old.prefix, BEFORE, self.new.prefix, AFTER)
        self.sent: list[Record] = []
        self._producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 0})
        create(self.old, BEFORE)

    @property
    def command(self) -> list[str]:
        where = ["--broker", self.old.broker, "--store", self.old.store or "", "--group", self.old.group]
        moved = ["--prefix", self.old.prefix, "--to-prefix", self.new.prefix, "--partitions", str(AFTER)]
        return ["topics", "grow", *where, *moved]

    def send(self, records: Sequence[Record], *, to: Wiring, pause_s: float = 0.0) -> None:
        for record in records:
            self._producer.produce(to.prefix + record.topic, record.value, record.key, headers=HEADERS)
            self._producer.poll(pause_s)
            self.sent.append(record)
        assert not self._producer.flush(ANSWER_S)

    @contextmanager
    def worker(self, wiring: Wiring) -> Iterator[None]:
        """A worker beside, until the block ends."""
        over, failed = threading.Event(), list[BaseException]()

        def work() -> None:
            try:
                self.work(wiring, over.is_set)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(ANSWER_S)
        assert not failed, failed

    def work(self, wiring: Wiring, stop: Callable[[], bool]) -> None:
        """Be a worker."""
        with ExitStack() as ends:
            store = ends.enter_context(closing(open_store(wiring.store or "", wiring)))
            broker = ends.enter_context(closing(open_broker(wiring)))
            Worker(broker, store, POLICY, LIMITS).run(stop)

    def records(self, wiring: Wiring, *topics: str) -> list[Record]:
        """All of some topics, by topic, partition and offset."""
        return sorted(reader(wiring, topics), key=lambda record: (record.topic, record.partition, record.offset))

    def journal(self, wiring: Wiring) -> list[Journal]:
        return [Journal.model_validate_json(record.value or b"") for record in self.records(wiring, "journal")]

    def answered(self, wiring: Wiring) -> int:
        """How many records workers have taken."""
        return sum(entry.count for entry in self.journal(wiring))


@pytest.fixture
def system(kafka: Running, redis_url: str) -> System:
    return System(kafka.bootstrap, redis_url)


def test_a_system_under_load_grows_with_kills_and_every_event_is_answered_once(system: System) -> None:
    records = neighbourhood(homes=12, days=7, seed=3).records[:520]
    first, under_load, last = records[:220], records[220:420], records[420:]
    assert len(last) == 100
    system.send(first, to=system.old)
    with system.worker(system.old):
        assert until(lambda: system.answered(system.old) == len(first), ANSWER_S)
    until_then = system.records(system.old, "profiles")

    load = threading.Thread(target=system.send, args=(under_load,), kwargs={"to": system.old, "pause_s": 0.01})
    load.start()
    killed = {point: run_until(point, move, system.old, system.growth) for point in POINTS}
    assert killed == dict.fromkeys(POINTS, -signal.SIGKILL)
    load.join()

    with subprocess.Popen([*KITHKIN, *system.command, "--follow"], stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        try:
            assert any("Ctrl-C ends it" in line for line in following.stdout)
            with system.worker(system.new):
                for record in last:  # some senders have moved, some have not yet
                    system.send([record], to=system.old if _stays(record) else system.new)
                assert until(lambda: system.answered(system.new) == len(under_load + last), ANSWER_S)
        finally:
            following.send_signal(signal.SIGINT)
            said = following.stdout.read()
    assert following.returncode == 0
    assert "copied since it was done" in said

    assert answers(system) == asked(system.sent)
    assert taken(system) == in_order(system.sent)
    serial = serially(system)
    for wiring, copied in ((system.old, []), (system.new, until_then)):
        published = [record for topic in OUTPUT_TOPICS for record in system.records(wiring, topic)]
        assert content(published) == content(serial[wiring.prefix]) + content(copied)
    with pytest.raises(Moved, match="--prefix"):
        system.work(system.old, lambda: False)


def test_what_waits_is_copied_as_it_is_with_its_time_and_headers_and_only_once(system: System) -> None:
    system.send([*recorded()[:30], Record("feedback", 0, 0, 0, None, b"no key")], to=system.old)
    before = as_it_is(system, system.old)
    assert len(before) == 31
    for _ in range(2):
        told = run(*system.command)
        assert as_it_is(system, system.new) == before
    assert "Done. Now" in told
    assert "copied" not in told, "there was nothing more"
    for record in system.records(system.new, *INPUT_TOPICS):
        assert record.partition == (record.partition if record.key is None else partition_of(record.key, AFTER))
    system.send(recorded()[30:32], to=system.old)
    assert "2 records copied" in run(*system.command)


def test_what_is_in_the_way_is_told_and_nothing_is_changed_by_it(system: System) -> None:
    system.send(recorded()[:20], to=system.old)
    with system.worker(system.old):
        assert until(lambda: system.answered(system.old) == 20, ANSWER_S)
        for arguments in ([*system.command, "--dry-run"], system.command):
            assert "Workers still read" in " ".join(run(*arguments, code=1).split())
    with administration(system.old) as admin:
        assert not find_topics(system.new, admin)
    assert "Nothing was done yet" in run(*system.command, "--dry-run")

    with closing(open_store(system.old.store or "", system.old)) as store:
        owned = next(partition for partition in range(BEFORE) if store.offsets(partition))
        epoch, offsets = store.claim(owned)
        store.save(owned, epoch, offsets, {**offsets, "recognitions": offsets["recognitions"] - 1}, {})
        assert "brings the states up" in " ".join(run(*system.command, "--dry-run", code=1).split())
        with closing(open_store(system.new.store or "", system.new)) as new:
            NewPartitions(new, system.growth)
        close_old(store, system.growth)  # one was killed here, and a worker had begun before
        assert MOVED in store.offsets(owned)
        assert "brings the states up" in " ".join(run(*system.command, code=1).split())
        assert not any(MOVED in store.offsets(partition) for partition in range(BEFORE)), "the worker must be let in"
        epoch, _ = store.claim(owned)
        store.save(owned, epoch, {**offsets, "recognitions": offsets["recognitions"] - 1}, offsets, {})

    assert "Done" in run(*system.command)
    assert "It is done" in run(*system.command, "--dry-run")
    (moved,) = (check for check in run_checks(system.old) if check.name == "states and offsets")
    assert (moved.state, system.new.prefix in moved.found) == ("failed", True)
    assert "another move" in run(*system.command[:-1], str(AFTER + 1), code=2)
    where = ["--broker", system.old.broker, "--store", system.old.store or "", "--group", system.old.group]
    worker = [*KITHKIN, "worker", "--no-restart", "--prefix", system.old.prefix, *where]
    ended = subprocess.run(worker, capture_output=True, text=True, timeout=ANSWER_S, check=False)
    assert (ended.returncode, f"--prefix {system.new.prefix}" in ended.stderr) == (2, True), ended.stderr

    with closing(redis.Redis.from_url(system.old.store or "")) as server:  # as docs/cluster.md says to delete the old
        keys = list(server.scan_iter(f"{{kithkin:{system.old.prefix}:{system.old.group}:*"))
        server.unlink(*keys)
    left = [open_store(wiring.store or "", wiring) for wiring in (system.old, system.new)]
    homes = [sum(len(list(store.households(one))) for one in range(AFTER)) for store in left]
    assert homes == [0, 3]
    for store in left:
        store.close()


def test_wrong_use_is_said_before_anything_is_asked(tmp_path: Path) -> None:
    same = run("topics", "grow", "--prefix", "a.", "--to-prefix", "a.", "--partitions", "5", code=2)
    assert "another prefix" in same
    file = str(tmp_path / "states.db")
    SqliteStore(file).close()
    assert "another file" in run("topics", "grow", "--store", file, "--to-prefix", "b.", "--partitions", "5", code=2)


def as_it_is(system: System, wiring: Wiring) -> Counter[tuple[object, ...]]:
    """All input records with everything but their places."""
    prefix, count = wiring.prefix, len(system.records(wiring, *INPUT_TOPICS))
    partitions = BEFORE if wiring is system.old else AFTER
    consumer = Consumer({"bootstrap.servers": wiring.broker.partition("://")[2], "group.id": "a-test's", "log_level": 0})
    consumer.assign([TopicPartition(prefix + topic, one, 0) for topic in INPUT_TOPICS for one in range(partitions)])
    found: list[tuple[object, ...]] = []

    def come() -> bool:
        found.extend(
            (str(one.topic()).removeprefix(prefix), one.timestamp()[1], one.key(), one.value(), tuple(one.headers() or ()))
            for one in consumer.consume(500, 0.1)
            if not one.error()
        )
        return len(found) >= count

    try:
        assert until(come, ANSWER_S)
    finally:
        consumer.close()
    return Counter(found)


def _stays(record: Record) -> bool:
    return (record.key or b"")[-1:] in b"13579"


def answers(system: System) -> Counter[tuple[str, str]]:
    """How often each event was answered, under both prefixes together."""
    published = system.records(system.old, "identities") + system.records(system.new, "identities")
    read = [json.loads(record.value or b"") for record in published]
    return Counter((one["household_id"], one["event_id"]) for one in read if one["revision"] == 0)


def asked(sent: Sequence[Record]) -> Counter[tuple[str, str]]:
    """Each event once, that can be read."""
    found = set()
    for record in sent:
        with suppress(InvalidRecord):
            value = decode(record, POLICY).value
            if isinstance(value, RECOGNITIONS):
                found.add((value.household_id, value.event_id))
    return Counter(found)


def batches(system: System, wiring: Wiring) -> list[tuple[Journal, list[Record]]]:
    """What workers took, batch by batch, by partition."""
    inputs = system.records(wiring, *INPUT_TOPICS)

    def of(entry: Journal) -> list[Record]:
        spans = {topic: range(entry.offsets_from[topic], entry.offsets_to[topic]) for topic in INPUT_TOPICS}
        return [one for one in inputs if one.partition == entry.partition and one.offset in spans[one.topic]]

    return [(entry, of(entry)) for entry in system.journal(wiring)]


def in_order(records: Sequence[Record]) -> dict[tuple[str, bytes | None], list[bytes | None]]:
    """By topic and key, what came one after the other."""
    found: dict[tuple[str, bytes | None], list[bytes | None]] = {}
    for record in records:
        found.setdefault((record.topic, record.key), []).append(record.value)
    return found


def taken(system: System) -> dict[tuple[str, bytes | None], list[bytes | None]]:
    """The same of what workers took, first under the old prefix and then under the new one."""
    both = [*batches(system, system.old), *batches(system, system.new)]
    return in_order([record for _, records in both for record in records])


def serially(system: System) -> dict[str, list[Encoded]]:
    """What one serial run over all that was taken publishes, home by home in the same order: by prefix."""
    serial, published = Serial(POLICY, step), {}
    for wiring in (system.old, system.new):
        before = len(serial.outputs)
        for entry, records in batches(system, wiring):
            assert entry.count == len(records)
            serial.batch(entry, records)
        published[wiring.prefix] = serial.outputs[before:]
    return published


def content(published: Sequence[Record | Encoded]) -> Counter[tuple[str, bytes | None, bytes | None]]:
    """Without place and time of arrival."""
    return Counter((one.topic, one.key, one.value) for one in published)
