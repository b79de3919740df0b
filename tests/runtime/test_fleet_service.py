"""The fleet stage on a real Kafka and Redis: it works, tells how it is, and can be killed."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from confluent_kafka import Producer, TopicPartition

from stream.brokers.kafka.groups import onlooker
from stream.brokers.kafka.producer import Announcer
from stream.brokers.kafka.topics import producer, reader
from stream.contract.errors import RecoveryError
from stream.contract.policy import Policy
from stream.contract.ports import Fenced
from stream.contract.records import Record
from stream.contract.settings import KafkaWiring, Wiring, toml_of
from stream.ops.local_cluster.processes import Server, free_ports, until
from stream.runtime.fleet.processor import FleetProcessor, encode_alert
from stream.runtime.fleet.service import read_again
from stream.stores import MemoryStore
from tests.conftest import Running, to_be_had
from tests.drill.fleet import FleetDrill, differences, fleet_drill, missed_or_doubled, newest
from tests.fleet.test_fleet import heard, quiet
from tests.support.fleet_signals import signal

PATIENCE_S = 90.0


@pytest.fixture
def wiring(kafka: Running, redis_url: str, topics: Callable[..., str]) -> Wiring:
    prefix = topics(2)
    listen = f"127.0.0.1:{free_ports(1)[0]}"
    return Wiring(broker=f"confluent://{kafka.bootstrap}", store=redis_url, prefix=prefix, group=f"{prefix}g", listen=listen)


@contextmanager
def stage(wiring: Wiring, folder: Path) -> Iterator[Server]:
    (folder / "wiring.toml").write_text(toml_of(wiring))
    command = [sys.executable, "-m", "stream.cli", "fleet", "--no-restart", "--wiring", str(folder / "wiring.toml")]
    server = Server(command, folder / "fleet.log")
    try:
        yield server
    finally:
        server.stop(10)


def ask(wiring: Wiring, path: str) -> tuple[int, str]:
    try:
        with urlopen(f"http://{wiring.listen}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metrics(wiring: Wiring) -> str:
    try:
        return ask(wiring, "/metrics")[1]
    except OSError:  # it does not listen yet
        return ""


def alerts(wiring: Wiring) -> list[dict[str, Any]]:
    return [json.loads(record.value or b"{}") for record in reader(wiring, ["drift-alerts"])]


def test_signals_become_alerts_that_can_be_looked_at_and_acknowledged(wiring: Wiring, tmp_path: Path) -> None:
    told = [*quiet(), signal("h", 12.0, person_id="alice", kind="person", device_id=None), *quiet(4, hours=8)]
    with stage(wiring, tmp_path) as server, producer(wiring) as sender:
        for one in told:
            sender.send(Record("drift-signals", 0, 0, 0, one.household_id.encode(), one.model_dump_json().encode()))
        sender.send(Record("drift-signals", 0, 0, 0, b"h", b"rubbish"))
        sender.flush()
        assert until(lambda: not server.running or bool(alerts(wiring)), PATIENCE_S), server.last_words
        (opened,) = alerts(wiring)
        assert opened["suggested_action"] == "Re-enrol alice."

        shown = opened | {"runbook": "drift-person.md"}
        assert json.loads(ask(wiring, "/alerts")[1]) == [shown]
        path, at = f"/alerts/{opened['alert_id']}", opened["opened_at"]
        first = {"revision": 0, "at": at, "state": "opened", "severity": opened["severity"], "says": opened["summary"]}
        assert until(lambda: json.loads(ask(wiring, path)[1])["history"] == [first], PATIENCE_S), server.last_words
        assert json.loads(ask(wiring, path)[1]) == shown | {"history": [first]}
        assert json.loads(ask(wiring, "/closed")[1]) == {"alerts": [], "last": None}
        assert ask(wiring, "/alerts/a-unknown")[0] == 404
        assert ask(wiring, "/healthz") == (200, "ok\n")
        assert 'kithkin_fleet_signals_total{outcome="unreadable"} 1.0' in ask(wiring, "/metrics")[1]
        assert 'kithkin_fleet_alerts_standing{severity="medium"} 1.0' in ask(wiring, "/metrics")[1]

        command = {"v": 1, "command_id": "c", "alert_id": opened["alert_id"], "kind": "acknowledge", "by": "ops"}
        value = json.dumps(command | {"given_at": opened["updated_at"]}).encode()
        sender.send(Record("drift-commands", 0, 0, 0, opened["alert_id"].encode(), value))
        sender.flush()
        assert until(lambda: len(alerts(wiring)) == 2, PATIENCE_S), server.last_words
        assert alerts(wiring)[1] == opened | {
            "state": "updated", "revision": 1, "acknowledged_by": "ops", "change": "ops has it in hand.",
        }  # fmt: skip
        server.stop(10)
        assert server.exit_code == 0, server.last_words


def test_what_a_worker_says_compressed_and_in_a_transaction_is_read_to_its_end(wiring: Wiring, tmp_path: Path) -> None:
    """Five hundred at once, for librdkafka compresses only what gets smaller by it; a commit's marker is no lag."""
    brokers = wiring.broker.removeprefix("confluent://")
    settings = {"bootstrap.servers": brokers, "log_level": 0, "compression.type": "lz4"}
    worker = Producer({**settings, "transactional.id": f"{wiring.prefix}worker"})
    worker.init_transactions(PATIENCE_S)
    worker.begin_transaction()
    for number in range(500):
        worker.produce(f"{wiring.prefix}drift-signals", signal(f"h-{number}", -30.0).model_dump_json(), partition=number % 2)
    worker.commit_transaction(PATIENCE_S)

    with stage(wiring, tmp_path) as server:
        all_of_it = ('kithkin_fleet_signals_total{outcome="taken"} 500.0', "kithkin_fleet_lag 0.0")
        assert until(lambda: all(line in metrics(wiring) for line in all_of_it), PATIENCE_S), server.last_words


def test_a_wrong_topic_prefix_is_the_operators_fault(wiring: Wiring, tmp_path: Path) -> None:
    with stage(wiring.model_copy(update={"prefix": "nobody.made."}), tmp_path) as server:
        assert until(lambda: not server.running, PATIENCE_S)
        assert server.exit_code == 2
        assert "nobody.made.drift-signals" in server.last_words


def test_of_two_announcers_only_the_newer_is_heard(wiring: Wiring) -> None:
    (said,) = map(encode_alert, heard([*quiet(), signal("h", 12.0)], until_hours=6)[1])
    older = Announcer(wiring, "announcer")
    newer = Announcer(wiring, "announcer")
    with pytest.raises(Fenced):
        older([said])
    newer([said])
    for one in (older, newer):
        one.close()
    assert [alert["state"] for alert in alerts(wiring)] == ["opened"]


def test_what_was_acknowledged_and_lost_by_the_store_is_read_again(wiring: Wiring) -> None:
    told = [signal(f"h-{number}", 1.0) for number in range(20)]
    with producer(wiring) as sender:
        for one in told:
            sender.send(Record("drift-signals", 0, 0, 0, one.household_id.encode(), one.model_dump_json().encode()))
    lie = list(reader(wiring, ["drift-signals"]))
    ends = {partition: 1 + max(one.offset for one in lie if one.partition == partition) for partition in (0, 1)}
    acknowledge(wiring, ends)
    processor = FleetProcessor(MemoryStore(), lambda _: None, Policy().alerting)
    for one in lie[:5]:
        processor.take(one)
    read_again(wiring, processor)
    assert {partition: processor.next_offset("drift-signals", partition) for partition in ends} == ends
    assert {household for household, _ in processor.fleet.waiting} == {one.household_id for one in told}


def test_what_was_acknowledged_lost_and_deleted_is_told(wiring: Wiring) -> None:
    acknowledge(wiring, {0: 7})
    impatient = wiring.model_copy(update={"kafka": KafkaWiring(retries_s=2.0)})
    with pytest.raises(RecoveryError, match="7 was acknowledged"):
        read_again(impatient, FleetProcessor(MemoryStore(), lambda _: None, Policy().alerting))


def acknowledge(wiring: Wiring, offsets: dict[int, int]) -> None:
    with onlooker(wiring, "read_uncommitted") as client:
        places = [TopicPartition(f"{wiring.prefix}drift-signals", *place) for place in offsets.items()]
        client.commit(offsets=places, asynchronous=False)


def test_the_drill_notices_what_is_lost_doubled_or_told_in_two_forms(tmp_path: Path) -> None:
    _, told = heard([*quiet(), signal("h", 12.0), signal("i", 12.0)], until_hours=6)
    right = [Record("drift-alerts", 0, 0, 0, one.key, one.value) for one in map(encode_alert, told)]
    other = [replace(right[0], value=(right[0].value or b"").replace(b'"h"', b'"x"'))]
    seen = tmp_path / "seen"
    seen.write_text("".join(f"{alert.alert_id} 0\n" for alert in told))
    expected = newest(right)
    assert [*differences(right, right, expected), *missed_or_doubled(seen, right)] == []
    assert len([*differences(right[:1], right, expected)]) == 1
    assert len([*differences(right, right[1:], expected)]) == 1
    assert len([*differences([*other, *right], right, expected)]) == 1
    seen.write_text(f"{told[0].alert_id} 0\n" * 2)
    assert len([*missed_or_doubled(seen, right)]) == 2


def test_killed_again_and_again_it_ends_as_if_nobody_had_touched_it(tmp_path: Path) -> None:
    with to_be_had():
        lines, complaints = fleet_drill(FleetDrill(tmp_path, kills=5, homes=200, days=30))
    assert complaints == [], lines
