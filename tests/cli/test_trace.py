"""`kithkin trace` of a real Kafka: from an event to its places, its batch and what was published of it."""

import json
import logging
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from stream.contract.policy import Policy
from stream.contract.records import INPUT_TOPICS, Journal
from stream.ops.local_cluster.processes import until
from stream.runtime.worker.worker import Worker, WorkerLimits
from stream.stores import MemoryStore
from tests.cli.test_cli import plain, run
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


@pytest.fixture(scope="module")
def cluster(kafka: Running) -> Iterator[KafkaCluster]:
    """With every record of the log answered but the last event, which came twice before."""
    topics = [*INPUT_TOPICS, "identities", "profiles", "labels", "drift-signals", "drift-alerts", "dead-letters", "journal"]
    with closing(KafkaCluster("confluent", kafka.bootstrap, dict.fromkeys(topics, PARTITIONS))) as made:
        worker = Worker(made.join(), MemoryStore(), Policy(), WorkerLimits(records_max=50, records_min=50))

        def answered() -> bool:
            worker.run_once()
            return worker.counts.records >= sent

        sent = 0
        # A broker gives topics in any order: what is said of an event comes once all events are answered.
        for topics in ({"recognitions"}, set(INPUT_TOPICS) - {"recognitions"}):
            part = [one for one in RECORDS if one.topic in topics]
            for one in part:
                made.append(one.topic, one.partition, one.timestamp, one.key, one.value)
            made.producer.flush(ANSWER_S)
            sent += len(part)
            assert until(answered, 3 * ANSWER_S)
        dead = {"v": 1, "event_id": "e-dead", "household_id": "linden-01"}
        made.append("recognitions", 0, RECORDS[-1].timestamp, b"linden-01", json.dumps(dead).encode())
        made.producer.flush(ANSWER_S)
        sent += 1
        assert until(answered, 3 * ANSWER_S)
        worker.finish()
        yield made


def asked(cluster: KafkaCluster, *words: str, code: int = 0) -> str:
    flags = ("--broker", cluster.wiring.broker, "--prefix", cluster.wiring.prefix, "--since", "2020-01-01")
    return run("trace", *words, *flags, code=code)


def value(raw: bytes | None) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(raw or b"{}")
    return told


def test_an_event_leads_to_its_offset_its_batch_and_all_that_was_published_of_it(cluster: KafkaCluster) -> None:
    events = [value(one.value) for one in RECORDS if one.topic == "recognitions"]
    identities = [value(one.value) for p in range(PARTITIONS) for one in cluster.outputs("identities", p)]
    revised = next(one for one in reversed(identities) if one["revision"] > 0 and one["cause"]["topic"] == "feedback")
    event, home = revised["event_id"], revised["household_id"]
    assert (home, event) in {(one["household_id"], one["event_id"]) for one in events}
    (arrival,) = json.loads(asked(cluster, event, "--household", home, "--json"))
    entry = Journal.model_validate(arrival["batch"])
    assert entry.offsets_from["recognitions"] <= arrival["offset"] < entry.offsets_to["recognitions"]
    assert entry.policy_id == Policy().policy_id
    count = sum((one["household_id"], one["event_id"]) == (home, event) for one in identities)
    told_of = [made for made in arrival["made"] if made["place"].startswith("identities[")]
    assert len(told_of) == count > 1
    assert told_of[0]["cause"] == arrival["place"] == f"recognitions[{entry.partition}]@{arrival['offset']}"
    assert told_of[0]["says"].startswith("revision 0: ")
    assert any(made["cause"].startswith("feedback[") for made in told_of[1:])
    told = plain(asked(cluster, event, "--household", home))
    for words in (arrival["place"], entry.places[0], f"policy {entry.policy_id}", arrival["journal_place"], "(by feedback["):
        assert words in told, told


def test_a_dead_letter_is_told_with_its_reason(cluster: KafkaCluster) -> None:
    told = plain(asked(cluster, "e-dead"))
    assert "dead-letters[0]@" in told
    assert "field: " in told


def test_an_event_that_is_not_there_or_is_several_homes_is_told(cluster: KafkaCluster) -> None:
    assert "which is in no recognition" in plain(asked(cluster, "e-nowhere", code=2))
    homes: dict[str, set[str]] = {}
    for one in (value(one.value) for one in RECORDS if one.topic == "recognitions"):
        homes.setdefault(one["event_id"], set()).add(one["household_id"])
    shared = next(event for event, own in homes.items() if len(own) > 1)
    assert "--household = None (needed, for" in plain(asked(cluster, shared, code=2))
