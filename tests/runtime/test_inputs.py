"""An input that is not the one it was: topics made anew, partitions added, records in foreign partitions. Never in silence."""

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewPartitions, NewTopic

from stream.brokers import MemoryBroker, MemoryLog, open_broker
from stream.brokers.inputs import TOPICS
from stream.contract.errors import NewTopics
from stream.contract.ports import BrokerError, InputTopic
from stream.contract.records import INPUT_TOPICS
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import until
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.conftest import Running
from tests.support.one_worker import AT_MS, POLICY, answered, at_work, crashing, see
from tests.support.worlds import recognition

STOPPING = WorkerLimits()
ACCEPTING = WorkerLimits(accept_new_topics=True)


def _log(partitions: int = 1) -> MemoryLog:
    log = MemoryLog(partitions)
    log.topics = {topic: InputTopic(f"{topic}-first", partitions) for topic in INPUT_TOPICS}
    return log


def _work_off(log: MemoryLog, store: MemoryStore, limits: WorkerLimits = STOPPING) -> Worker:
    with closing(MemoryBroker(log)) as broker:
        worker = Worker(broker, store, POLICY, limits)
        worker.run_once()
        while worker.run_once().records:
            pass
    return worker


def _made_anew(topic: str = "recognitions") -> tuple[MemoryLog, MemoryStore]:
    """Twenty answers, then the topic is another, with ten records of which five were there before."""
    log, store = _log(), MemoryStore()
    for number in range(20):
        see(log, f"e-{number}", minute=number)
    _work_off(log, store)
    log.make_anew(topic)
    for number in range(15, 25):
        see(log, f"e-{number}", minute=number)
    return log, store


def test_a_topic_that_was_made_anew_stops_the_worker_with_a_sentence_and_a_command() -> None:
    log, store = _made_anew()
    with pytest.raises(NewTopics, match="the topic recognitions was deleted and made anew") as told:
        _work_off(log, store)
    assert "KITHKIN_ACCEPT_NEW_TOPICS=true kithkin worker" in str(told.value)
    assert len(answered(log)) == 20, "nothing was taken"


def test_the_command_that_goes_on_begins_it_anew_and_answers_each_event_once() -> None:
    log, store = _made_anew()
    _work_off(log, store, ACCEPTING)
    assert sorted(answered(log)) == sorted(f"e-{number}" for number in range(25))
    see(log, "e-25", minute=25)
    _work_off(log, store)
    assert answered(log)[-1] == "e-25", "and the next start needs it no more"


@pytest.mark.parametrize("first", [True, False], ids=["both topics", "one topic"])
def test_after_that_a_crash_is_recovered_from(first: bool) -> None:
    log, store = _made_anew()
    if first:
        log.make_anew("feedback")
    _work_off(log, store, ACCEPTING)
    see(log, "e-30", minute=30)
    crashing(log, store, "crash_after_publish")
    see(log, "e-31", minute=31)
    _work_off(log, store)
    assert answered(log)[-2:] == ["e-30", "e-31"]


def test_the_other_topic_goes_on_where_it_stood() -> None:
    log, store = _made_anew("feedback")
    _work_off(log, store, ACCEPTING)
    assert sorted(answered(log)) == sorted([f"e-{number}" for number in range(25)])


@pytest.mark.parametrize("saves", range(3))
def test_a_crash_before_a_save_that_begins_a_topic_anew_is_tried_again(saves: int, monkeypatch: pytest.MonkeyPatch) -> None:
    log, store = _made_anew()
    save, done = store.save, list[int]()

    def dies(*args: Any) -> None:
        if len(done) == saves:
            raise KeyboardInterrupt
        done.append(1)
        save(*args)

    with monkeypatch.context() as dying:
        dying.setattr(store, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            _work_off(log, store, ACCEPTING)
    if saves == 0:  # nothing is known of the new topic
        with pytest.raises(NewTopics):
            _work_off(log, store)
    _work_off(log, store, STOPPING if saves else ACCEPTING)
    assert len(answered(log)) == 25
    see(log, "e-25", minute=25)
    _work_off(log, store)
    assert answered(log)[-1] == "e-25"


def test_partitions_that_were_added_stop_the_worker() -> None:
    log, store = _log(), MemoryStore()
    see(log, "e-0")
    _work_off(log, store)
    log.topics["recognitions"] = InputTopic("recognitions-first", 3)
    with pytest.raises(NewTopics, match="the topic recognitions had 1 partitions and has 3"):
        _work_off(log, store)
    _work_off(log, store, ACCEPTING)
    _work_off(log, store)


@pytest.mark.parametrize("before", [None, "recognitions"])
def test_where_brokers_give_no_ids_nothing_is_compared(before: str | None) -> None:
    log, store = _log(), MemoryStore()
    if before is None:
        log.topics = {}
    see(log, "e-0")
    _work_off(log, store)
    log.topics = {topic: InputTopic("", 1) for topic in INPUT_TOPICS}
    see(log, "e-1", minute=1)
    _work_off(log, store)
    assert answered(log) == ["e-0", "e-1"]


def test_homes_in_foreign_partitions_are_counted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    log, store = _log(partitions=4), MemoryStore()
    worker = at_work(log, store)
    for number in range(40):
        see(log, f"e-{number}", household=f"h-{number}", partition=number % 4)
    while worker.run_once().records:
        pass
    assert 15 < worker.counts.misplaced < 40, "three in four, by chance"
    (told,) = (record.getMessage() for record in caplog.records if "another partition" in record.getMessage())
    assert "murmur2_random" in told
    assert "h-1" not in told


# ---- on a real Kafka, with both clients


@pytest.fixture(params=["confluent", "kafka"])
def wiring(request: pytest.FixtureRequest, kafka: Running, topics: Callable[..., str]) -> Iterator[Wiring]:
    prefix = topics(2)
    yield Wiring(broker=f"{request.param}://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}g")
    logging.getLogger("stream.brokers").setLevel(logging.NOTSET)


def _send(wiring: Wiring, numbers: range, partitioner: str = "murmur2_random") -> None:
    sender = Producer({"bootstrap.servers": wiring.broker.partition("://")[2], "partitioner": partitioner})
    for number in numbers:
        home = f"h-{number % 8}"
        value = recognition(home, f"e-{number}", AT_MS + number, activity="music")
        sender.produce(f"{wiring.prefix}recognitions", json.dumps(value).encode(), home.encode())
    assert sender.flush(20) == 0


def _work(wiring: Wiring, store: MemoryStore, records: int) -> Worker:
    with closing(open_broker(wiring)) as broker:
        worker = Worker(broker, store, POLICY, WorkerLimits(accept_new_topics=wiring.accept_new_topics))
        worker.run(stop=lambda: worker.counts.records >= records)
    return worker


def _make_anew(wiring: Wiring, partitions: int = 2) -> None:
    admin, topic = AdminClient({"bootstrap.servers": wiring.broker.partition("://")[2]}), f"{wiring.prefix}recognitions"
    admin.delete_topics([topic])[topic].result(20)
    until(lambda: topic not in admin.list_topics(timeout=10).topics, 20)

    def made() -> bool:
        with suppress(Exception):
            admin.create_topics([NewTopic(topic, partitions, 1)])[topic].result(20)
        return topic in admin.list_topics(timeout=10).topics

    assert until(made, 20)


def test_a_topic_made_anew_under_a_running_worker_stops_it_and_the_next_start_goes_on_when_told(wiring: Wiring) -> None:
    store = MemoryStore()
    _send(wiring, range(40))
    with closing(open_broker(wiring)) as broker:
        worker = Worker(broker, store, POLICY)
        worker.run(stop=lambda: worker.counts.records >= 40)
        _make_anew(wiring)
        _send(wiring, range(100, 196))
        with pytest.raises((NewTopics, BrokerError)):  # the second: the client itself was told that it was gone
            worker.run()
    assert json.loads(store.load(0, [TOPICS])[TOPICS])["recognitions"][1] == 2
    with closing(open_broker(wiring)) as broker, pytest.raises(NewTopics, match="was deleted and made anew"):
        Worker(broker, store, POLICY).run()
    accepting = wiring.model_copy(update={"accept_new_topics": True})
    assert _work(accepting, store, 96).counts.records == 96


def test_partitions_added_under_a_running_worker_stop_it_at_once(wiring: Wiring) -> None:
    store = MemoryStore()
    _send(wiring, range(40))
    with closing(open_broker(wiring)) as broker:
        worker = Worker(broker, store, POLICY)
        worker.run(stop=lambda: worker.counts.records >= 40)
        admin, topic = AdminClient({"bootstrap.servers": wiring.broker.partition("://")[2]}), f"{wiring.prefix}recognitions"
        admin.create_partitions([NewPartitions(topic, 3)])[topic].result(20)
        with pytest.raises(NewTopics, match="had 2 partitions and has 3"):
            worker.run()


def test_a_foreign_partitioner_is_told(wiring: Wiring) -> None:
    _send(wiring, range(40), partitioner="consistent_random")
    assert _work(wiring, MemoryStore(), 40).counts.misplaced > 0


def test_both_clients_tell_the_same_of_a_topic(kafka: Running, topics: Callable[..., str]) -> None:
    prefix = topics(2)
    told = []
    for scheme in ("confluent", "kafka"):
        wiring = Wiring(broker=f"{scheme}://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}g")
        with closing(open_broker(wiring)) as broker:
            told.append(dict(broker.topics()))
    assert told[0] == told[1]
    assert {topic.partitions for topic in told[0].values()} == {2}
    assert all(len(topic.topic_id) == 22 for topic in told[0].values())
