"""The brokers over a real Kafka: what every broker promises, and what the two clients taught."""

import sys
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, suppress
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError
from kafka.future import Future

from stream.brokers import open_broker
from stream.brokers.kafka.topics import producer, reader
from stream.contract.errors import RecoveryError
from stream.contract.ports import Broker, BrokerError, Encoded, Fenced, Transaction, on_both
from stream.contract.records import OPTIONAL_TOPICS, REQUIRED_TOPICS, Record
from stream.contract.settings import KafkaWiring, TracingWiring, Wiring
from stream.ops.local_cluster.kafka import Kafka
from stream.ops.local_cluster.processes import until
from tests.brokers.conformance_broker import BrokerConformance, Cluster, at, entry
from tests.conftest import Running
from tests.support.kafka_cluster import ANSWER_S, KafkaCluster

SCHEMES = ("confluent", "kafka")
Clusters = Callable[..., KafkaCluster]


@pytest.fixture
def clusters(kafka: Running) -> Iterator[Clusters]:
    """Makes clusters of any scheme, which end with the test."""
    with ExitStack() as ends:

        def make(scheme: str, **more: Any) -> KafkaCluster:
            made = KafkaCluster(scheme, kafka.bootstrap, **more)
            ends.callback(made.close)
            return made

        yield make


@pytest.fixture(params=SCHEMES)
def cluster(request: pytest.FixtureRequest, clusters: Clusters) -> KafkaCluster:
    return clusters(request.param)


class TestConfluent(BrokerConformance):
    @pytest.fixture
    def cluster(self, clusters: Clusters) -> Cluster:
        return clusters("confluent")


class TestKafkaPython(BrokerConformance):
    @pytest.fixture
    def cluster(self, clusters: Clusters) -> Cluster:
        return clusters("kafka")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_cluster_without_the_optional_topics_works_as_before(clusters: Clusters, scheme: str) -> None:
    lacking = clusters(scheme, without=OPTIONAL_TOPICS)
    broker = at_work(lacking, 3)
    broker.publish(batch(0, 3, output(b"answer")))
    assert [one.value for one in lacking.outputs("identities", 0)] == [b"answer"]
    broker.close()
    successor = lacking.join()
    assert until(lambda: bool(successor.poll(10, 0.1).assigned), ANSWER_S)
    assert on_both(successor.committed(0)) == at(3)
    assert [*successor.journal(0, at(0))] == [entry(0, 0, 3)]
    successor.seek(0, at(2))
    assert [record.offset for record in read(successor, 2)] == [2, 2]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_optional_topics_of_a_partition_come_to_who_has_it(clusters: Clusters, scheme: str) -> None:
    there = clusters(scheme)
    for topic in OPTIONAL_TOPICS:
        there.append(topic, 1, 7, b"h", topic.encode())
    broker = there.join()
    assert sorted(record.topic for record in read(broker, len(OPTIONAL_TOPICS))) == [*OPTIONAL_TOPICS]
    offsets = on_both(dict.fromkeys(OPTIONAL_TOPICS, 1))
    broker.publish(Transaction([], [entry(1, 0, 0)], {1: offsets}))
    assert on_both(broker.committed(1)) == offsets


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("traced", [True, False])
def test_trace_contexts_of_senders_are_read_where_batches_are_traced(clusters: Clusters, scheme: str, traced: bool) -> None:
    there = clusters(scheme)
    if traced:
        settings = TracingWiring(endpoint="http://127.0.0.1:4318/v1/traces")
        there.wiring = there.wiring.model_copy(update={"tracing": settings})
    for headers in ([("traceparent", b"00-a-b-01"), ("x", b"y")], [("traceparent", b"00-a-b-01")], [("x", None)], None):
        there.producer.produce(f"{there.wiring.prefix}recognitions", b"{}", b"h", 0, headers=headers)
    broker, told, records = there.join(), list[str](), list[Record]()

    def enough() -> bool:
        polled = broker.poll(1_000, 0.1)
        records.extend(polled.records)
        told.extend(polled.traceparents)
        return len(records) >= 4

    assert until(enough, ANSWER_S)
    assert set(told) == ({"00-a-b-01"} if traced else set())


def batch(start: int, stop: int, *outputs: Encoded) -> Transaction:
    """Of partition 0."""
    return Transaction(outputs, [entry(0, start, stop)], {0: at(stop)})


def output(value: bytes) -> Encoded:
    return Encoded("identities", 0, 1, b"h", value)


def at_work(cluster: KafkaCluster, records: int = 3, slot: str | None = None) -> Broker:
    """A member that has polled so many records of partition 0 of each topic."""
    for number in range(records):
        for topic in REQUIRED_TOPICS:
            cluster.append(topic, 0, number, b"h", b"%d" % number)
    broker = join_at_last(cluster, slot)
    read(broker, 2 * records)
    return broker


def join_at_last(cluster: KafkaCluster, slot: str | None = None) -> Broker:
    """A member, also where a busy machine takes longer to let one in than the wiring has patience."""
    joined: list[Broker] = []

    def is_in() -> bool:
        with suppress(BrokerError):
            joined.append(cluster.join(slot))
        return bool(joined)

    assert until(is_in, 3 * ANSWER_S)
    return joined[0]


def read(broker: Broker, count: int) -> list[Record]:
    records: list[Record] = []

    def enough() -> bool:
        records.extend(broker.poll(1_000, 0.1).records)
        return len(records) >= count

    assert until(enough, ANSWER_S), f"only {len(records)} of {count} records came"
    return records


# Who may publish


def test_who_comes_to_a_slot_fences_who_had_it(cluster: KafkaCluster) -> None:
    first = at_work(cluster, slot="same")
    cluster.join(slot="same")
    with pytest.raises(Fenced):
        first.publish(batch(0, 3, output(b"late")))
    assert cluster.outputs("identities", 0) == []


def test_who_comes_to_a_slot_ends_the_transaction_that_was_left_open(cluster: KafkaCluster) -> None:
    dead = cluster.sender(f"{cluster.wiring.prefix}{cluster.wiring.group}-same")
    dead.begin_transaction()
    dead.produce(cluster.wiring.prefix + "identities", b"never committed", partition=0)
    dead.flush(ANSWER_S)
    broker, began = at_work(cluster, slot="same"), time.monotonic()
    broker.publish(batch(0, 3, output(b"answer")))
    assert [seen.value for seen in cluster.outputs("identities", 0)] == [b"answer"]
    assert time.monotonic() - began < cluster.wiring.kafka.transaction_timeout_s / 2


def test_a_zombie_that_has_heard_of_its_end_publishes_nothing_either(cluster: KafkaCluster) -> None:
    """Its client then tells of no generation, with which brokers let everyone publish: the metadata are the assignment's."""
    zombie = at_work(cluster)
    consumer = zombie._member._consumer  # type: ignore[attr-defined]
    knows = (lambda: consumer.group_metadata().generation_id < 0) if cluster.wiring.broker.startswith("kafka") else None
    cluster.expire(zombie)
    successor = cluster.join()
    assert until(lambda: bool(successor.poll(1, 0.1).assigned), ANSWER_S)
    if knows:
        assert until(knows, ANSWER_S), "the heartbeats tell within a few seconds"
    with pytest.raises(Fenced):
        zombie.publish(batch(0, 3, output(b"from the grave")))
    assert cluster.outputs("identities", 0) == []


def test_a_batch_that_cannot_be_sent_is_an_error_and_leaves_nothing_visible(cluster: KafkaCluster) -> None:
    broker = at_work(cluster)
    with pytest.raises(BrokerError):
        broker.publish(batch(0, 3, output(b"small"), output(bytes(9_000_000))))
    assert cluster.outputs("identities", 0) == []
    assert dict(broker.committed(0)) == at(0)


def test_a_record_that_was_given_up_is_an_error_though_the_client_would_commit(
    clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Late(KafkaProducer):  # type: ignore[misc]
        """As when a delivery takes too long."""

        def send(self, topic: str, *more: Any, **named: Any) -> Any:
            return Future().failure(KafkaTimeoutError("late")) if "identities" in topic else super().send(topic, *more, **named)

    cluster = clusters("kafka")
    monkeypatch.setattr("stream.brokers.kafka.kafka_python.KafkaProducer", Late)
    broker = at_work(cluster)
    with pytest.raises(BrokerError, match="late"):
        broker.publish(batch(0, 3, output(b"lost")))
    assert cluster.outputs("journal", 0) == []
    assert dict(broker.committed(0)) == at(0)


# What is read


def waits(call: Callable[[], Any], pool: ThreadPoolExecutor) -> futures.Future[Any]:
    """The call under way, which does not come to an end by itself."""
    future = pool.submit(call)
    assert not wait([future], timeout=1).done, f"it did not wait: {future.result()}"
    return future


def open_transaction(cluster: KafkaCluster) -> Producer:
    """Of another worker, which is still in it."""
    other = cluster.sender(f"{cluster.wiring.prefix}other")
    other.begin_transaction()
    return other


def test_the_committed_offsets_wait_for_a_transaction_that_holds_others(cluster: KafkaCluster) -> None:
    for topic in REQUIRED_TOPICS:
        cluster.append(topic, 0, 1, b"h", b"v")
    broker, other = cluster.join(), open_transaction(cluster)
    stranger = Consumer({"log_level": 0, "bootstrap.servers": cluster.bootstrap, "group.id": cluster.wiring.group})
    place = TopicPartition(cluster.wiring.prefix + "feedback", 0, 1)
    other.send_offsets_to_transaction([place], stranger.consumer_group_metadata(), ANSWER_S)
    with ThreadPoolExecutor(1) as pool:
        committed = waits(lambda: broker.committed(0), pool)
        other.commit_transaction(ANSWER_S)
        assert on_both(committed.result(ANSWER_S)) == on_both({"feedback": 1})
    stranger.close()


def test_the_journal_waits_for_a_transaction_that_writes_to_it(cluster: KafkaCluster) -> None:
    broker = at_work(cluster, 6)
    broker.publish(batch(0, 2))
    other = open_transaction(cluster)
    other.produce(cluster.wiring.prefix + "journal", entry(0, 2, 4).model_dump_json().encode(), partition=0)
    other.flush(ANSWER_S)
    with ThreadPoolExecutor(1) as pool:
        journal = waits(lambda: list(broker.journal(0, at(0))), pool)
        other.commit_transaction(ANSWER_S)
        assert journal.result(ANSWER_S) == [entry(0, 0, 2), entry(0, 2, 4)]


def test_a_long_journal_is_read_from_any_batch(cluster: KafkaCluster) -> None:
    broker, count = cluster.join(), 1_200  # more than are read at once
    for number in range(count):
        cluster.append("journal", 0, 0, None, entry(0, number, number + 1).model_dump_json().encode())
    cluster.producer.flush(ANSWER_S)
    for start in (count - 1, count - 40, 1):  # 0 is what is committed
        assert list(broker.journal(0, at(start))) == [entry(0, number, number + 1) for number in range(start, count)]


def delete(cluster: KafkaCluster, topic: str, before: int) -> None:
    """As retention does."""
    (done,) = cluster.admin.delete_records([TopicPartition(cluster.wiring.prefix + topic, 0, before)]).values()
    done.result(ANSWER_S)


def test_a_journal_that_retention_took_is_an_error(cluster: KafkaCluster) -> None:
    broker = at_work(cluster, 6)
    for start in (0, 2, 4):
        broker.publish(batch(start, start + 2))
    delete(cluster, "journal", 1)
    assert len(list(broker.journal(0, at(2)))) == 2
    with pytest.raises(RecoveryError, match="no longer retained"):
        list(broker.journal(0, at(0)))


def test_inputs_that_retention_took_are_missed(cluster: KafkaCluster) -> None:
    broker = at_work(cluster, 6)
    delete(cluster, "feedback", 2)
    assert [record.position[0::2] for record in broker.fetch(0, at(0), at(4))] == [
        *(("feedback", offset) for offset in (2, 3)),
        *(("recognitions", offset) for offset in range(4)),
    ]
    delete(cluster, "feedback", 4)
    with pytest.raises(RecoveryError, match="no longer retained"):
        broker.fetch(0, at(0), at(4))


def test_inputs_deleted_before_they_were_read_are_told(cluster: KafkaCluster, caplog: pytest.LogCaptureFixture) -> None:
    broker = at_work(cluster, 6)
    delete(cluster, "feedback", 4)
    caplog.clear()
    broker.seek(0, at(2))
    assert [vars(record).get("lost") for record in caplog.records if record.levelname == "ERROR"] == ["feedback[0]@2-3"]


def test_of_senders_with_transactions_only_what_they_committed_is_given(cluster: KafkaCluster) -> None:
    sender, topic = cluster.sender(f"{cluster.wiring.prefix}device"), cluster.wiring.prefix + "feedback"
    for number, ends in enumerate([sender.commit_transaction, sender.abort_transaction, sender.commit_transaction]):
        sender.begin_transaction()
        for _ in range(2):
            sender.produce(topic, b"%d" % number, partition=0)
        sender.flush(ANSWER_S)
        ends(ANSWER_S)
    broker = cluster.join()
    records = read(broker, 4)
    assert [(record.offset, record.value) for record in records] == [(0, b"0"), (1, b"0"), (6, b"2"), (7, b"2")]
    assert list(broker.fetch(0, {"feedback": 1}, {"feedback": 8})) == records[1:]
    assert list(broker.fetch(0, {"feedback": 1}, {"feedback": 2})) == records[1:2]
    assert until(lambda: not broker.poll(1, 0.1).records and broker.lag() == {0: 0, 1: 0}, ANSWER_S), "a marker is no record"


def test_a_record_of_900_kilobytes_passes_both_ways(cluster: KafkaCluster) -> None:
    large = bytes(900_000)
    cluster.append("recognitions", 0, 1, b"h", large)
    broker = cluster.join()
    assert [record.value for record in read(broker, 1)] == [large]
    broker.publish(Transaction([output(large)], [], {0: {"recognitions": 1}}))
    assert [seen.value for seen in cluster.outputs("identities", 0)] == [large]


def test_a_journal_entry_is_as_young_as_it_is_whatever_the_times_of_the_events(cluster: KafkaCluster) -> None:
    at_work(cluster).publish(batch(0, 3, output(b"of 1970")))
    (written,) = reader(cluster.wiring, ["journal"])
    assert abs(written.timestamp - time.time() * 1_000) < 60_000


# What cannot be


@pytest.mark.parametrize("scheme", SCHEMES)
def test_input_topics_that_do_not_pair_are_an_error(clusters: Clusters, scheme: str) -> None:
    broker = clusters(scheme, partitions={"feedback": 3}).join()
    with pytest.raises(BrokerError, match="the input topics need the same number of partitions"):
        until(lambda: bool(broker.poll(1, 0.1).assigned), ANSWER_S)


def test_a_topic_that_is_missing_is_named(cluster: KafkaCluster) -> None:
    elsewhere = cluster.wiring.model_copy(update={"prefix": "nowhere.", "slot": "s"})

    def work() -> None:
        with closing(open_broker(elsewhere)) as broker:
            until(lambda: bool(broker.poll(1, 0.1).assigned), ANSWER_S)

    with pytest.raises(BrokerError, match=r"nowhere\.(feedback|recognitions)"):
        work()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_brokers_that_are_gone_end_the_worker(own_kafka: Callable[..., Kafka], scheme: str) -> None:
    kafka = own_kafka()
    cluster, other = [KafkaCluster(scheme, kafka.bootstrap, retries_s=2, transaction_timeout_s=2) for _ in range(2)]
    idle, busy = join_at_last(other), at_work(cluster)
    kafka.kill()
    with pytest.raises(BrokerError):
        busy.publish(batch(0, 3, output(b"unheard")))
    with pytest.raises(BrokerError):
        until(lambda: not idle.poll(1, 0.1), ANSWER_S)
    with pytest.raises(BrokerError):
        cluster.join()
    cluster.close()
    other.close()


@pytest.mark.parametrize("package", ["crc32c", "lz4"])
def test_a_package_that_kafka_python_wishes_for_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # type: ignore[arg-type]  # as if it were not installed
    with pytest.raises(BrokerError):
        open_broker(Wiring(broker="kafka://127.0.0.1:1", slot="s", kafka=KafkaWiring(retries_s=1)))
    assert f"the package {package} is not installed" in caplog.text


# Beside the group


def test_a_sender_sends_where_a_java_producer_would(cluster: KafkaCluster) -> None:
    keys = {b"h-%d" % number: murmur2(b"h-%d" % number) % 2 for number in range(50)}
    with producer(cluster.wiring) as sender:
        for number, key in enumerate(keys):
            sender.send(Record("feedback", -1, -1, 1_000 + number, key, b"v"))
    records = list(reader(cluster.wiring, ["feedback"]))
    assert {record.key: record.partition for record in records} == keys
    assert sorted(record.timestamp for record in records) == list(range(1_000, 1_050))
    assert len(list(reader(cluster.wiring, ["feedback", "recognitions"], start=1_040))) == 10
    assert list(reader(cluster.wiring, ["feedback"], start="end")) == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_sender_tells_a_failure_once_and_then_sends_again(clusters: Clusters, scheme: str) -> None:
    cluster = clusters(scheme, retries_s=8)  # so long what goes to no topic is tried
    with producer(cluster.wiring) as sender:
        sender.send(Record("feedback", -1, -1, 1_000, b"h", b"before"))
        sender.flush()
        with pytest.raises(BrokerError, match="not taken"):
            sender.send(Record("feedback", -1, -1, 1_001, b"h", bytes(20_000_000)))  # more than any client takes
        sender.send(Record("feedback", -1, -1, 1_002, b"h", b"between"))
        sender.flush()
        sender.send(Record("nowhere", -1, -1, 1_003, b"h", b"lost"))
        with pytest.raises(BrokerError, match="not delivered"):
            sender.flush()
        sender.send(Record("feedback", -1, -1, 1_004, b"h", b"after"))
    assert [record.value for record in reader(cluster.wiring, ["feedback"])] == [b"before", b"between", b"after"]


def murmur2(key: bytes) -> int:
    """Kafka's hash of a key (org.apache.kafka.common.utils.Utils.murmur2), made positive as its partitioner does."""
    mask, mixing = 0xFFFFFFFF, 0x5BD1E995
    hashed = (0x9747B28C ^ len(key)) & mask
    whole = len(key) // 4 * 4
    for start in range(0, whole, 4):
        word = int.from_bytes(key[start : start + 4], "little") * mixing & mask
        hashed = (hashed * mixing ^ (word ^ word >> 24) * mixing) & mask
    if whole < len(key):
        hashed = (hashed ^ int.from_bytes(key[whole:], "little")) * mixing & mask
    hashed = (hashed ^ hashed >> 13) * mixing & mask
    return (hashed ^ hashed >> 15) & 0x7FFFFFFF


def test_a_reader_with_a_stop_goes_on_until_it_is_told(cluster: KafkaCluster) -> None:
    seen: list[Record] = []
    cluster.append("labels", 0, 1, b"h", b"first")
    cluster.producer.flush(ANSWER_S)
    for record in reader(cluster.wiring, ["labels"], stop=lambda: len(seen) == 2):
        seen.append(record)
        if len(seen) == 1:
            cluster.append("labels", 1, 1, b"h", b"second")
    assert [record.value for record in seen] == [b"first", b"second"]
