"""`kithkin record` of a real Kafka: what came, the journal and the answers, and its replay."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from stream.brokers.log_files import LogReader, encode_record
from stream.contract.policy import Policy
from stream.contract.records import INPUT_TOPICS, Journal, Record
from stream.ops.local_cluster.processes import until
from stream.runtime.worker.worker import Worker
from stream.stores import MemoryStore
from tests.cli.test_cli import run
from tests.conftest import Running
from tests.support.kafka_cluster import ANSWER_S, KafkaCluster
from tests.support.recorded import recorded

RECORDS = recorded()
PARTITIONS = 4


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command silences the clients' log for the rest of its process, which is here that of the next test too."""
    yield
    logging.getLogger("stream.brokers").setLevel(logging.NOTSET)


@pytest.fixture
def cluster(kafka: Running) -> Iterator[KafkaCluster]:
    topics = [*INPUT_TOPICS, "identities", "profiles", "labels", "drift-signals", "drift-alerts", "dead-letters", "journal"]
    with closing(KafkaCluster("confluent", kafka.bootstrap, dict.fromkeys(topics, PARTITIONS))) as made:
        for one in RECORDS:
            made.append(one.topic, one.partition, one.timestamp, one.key, one.value)
        made.producer.flush(ANSWER_S)
        yield made


def work(cluster: KafkaCluster) -> None:
    """Let a worker answer all of it."""
    worker = Worker(cluster.join(), MemoryStore(), Policy())

    def answered() -> bool:
        worker.run_once()
        return worker.counts.records >= len(RECORDS)

    assert until(answered, 3 * ANSWER_S)
    worker.run_once()


def recording(cluster: KafkaCluster, out: Path, *more: str) -> str:
    wiring = cluster.wiring
    return run("record", "--from", "2020-01-01", "--broker", wiring.broker, "--prefix", wiring.prefix, "--out", out, *more)


def read(out: Path, *topics: str) -> list[Record]:
    with closing(LogReader([str(out)], topics or INPUT_TOPICS)) as log:
        return list(log)


def test_a_recording_has_all_that_the_published_answers_are_made_of_to_the_byte(cluster: KafkaCluster, tmp_path: Path) -> None:
    work(cluster)
    groups = groups_that_may_be_ours(cluster)
    out = tmp_path / "log.jsonl.zst"
    recording(cluster, out, "--outputs")
    assert groups_that_may_be_ours(cluster) == groups
    assert sorted(map(encode_record, read(out))) == sorted(map(encode_record, RECORDS))
    entries = [Journal.model_validate_json(one.value or b"") for one in read(out, "journal")]
    assert sum(entry.count for entry in entries) == len(RECORDS)
    assert "As expected" in run("replay", out, "--out", tmp_path / "answers", "--expect", out)


def groups_that_may_be_ours(cluster: KafkaCluster) -> set[str]:
    """Of a cluster in which other tests are at work too."""
    names = {group.group_id for group in cluster.admin.list_consumer_groups().result(ANSWER_S).valid}
    return {name for name in names if name.startswith((cluster.wiring.prefix, "kithkin"))}


def test_what_a_transaction_holds_open_or_took_back_is_not_recorded(cluster: KafkaCluster, tmp_path: Path) -> None:
    for number in range(2):
        sender = cluster.sender(f"{cluster.wiring.prefix}{number}")
        sender.begin_transaction()
        sender.produce(cluster.wiring.prefix + "feedback", b"never committed", b"h", 0)
        sender.flush(ANSWER_S)
        if number == 0:
            sender.abort_transaction(ANSWER_S)
    recording(cluster, tmp_path / "log.jsonl")
    assert len(read(tmp_path / "log.jsonl")) == len(RECORDS)


def test_a_replay_straight_from_the_cluster_is_that_of_its_recording(
    cluster: KafkaCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording(cluster, tmp_path / "log.jsonl")
    run("replay", tmp_path / "log.jsonl", "--out", tmp_path / "recorded")
    monkeypatch.setenv("KITHKIN_PREFIX", cluster.wiring.prefix)
    words = ("replay", "--since", "2020-01-01", "--broker", cluster.wiring.broker, "--out", tmp_path / "straight")
    assert "records of the cluster" in run(*words)
    for topic in ("identities", "profiles", "labels", "dead-letters"):
        name = f"{topic}.jsonl"
        assert (tmp_path / "straight" / name).read_bytes() == (tmp_path / "recorded" / name).read_bytes(), name
    [kept] = (tmp_path / "straight" / "logs").iterdir()
    before = kept.stat().st_mtime_ns
    cluster.append("feedback", 0, RECORDS[-1].timestamp + 1, b"h", b"{}")
    cluster.producer.flush(ANSWER_S)
    run(*words)  # the same command goes on, with what was recorded
    assert kept.stat().st_mtime_ns == before
    run(*words, "--fresh")
    [again] = (tmp_path / "straight" / "logs").iterdir()
    assert len(read(again)) == len(RECORDS) + 1


def test_pseudonyms_leave_no_household_in_the_file(cluster: KafkaCluster, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"k" * 32)
    recording(cluster, tmp_path / "log.jsonl", "--pseudonymise", str(tmp_path / "key"))
    assert len(read(tmp_path / "log.jsonl")) == len(RECORDS)
    assert b"linden" not in (tmp_path / "log.jsonl").read_bytes()


def test_topics_that_are_not_there_are_named(kafka: Running, tmp_path: Path) -> None:
    broker = f"kafka://{kafka.bootstrap}"
    told = run("record", "--from", "1h", "--broker", broker, "--prefix", "none.", "--out", tmp_path / "log.jsonl", code=2)
    assert "none.recognitions" in told
    assert list(tmp_path.iterdir()) == []
