"""Start-up checks: each fault is made on purpose in a real server, found, and told with what would be right."""

import json
import resource
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from stream.brokers.kafka.topics import reader
from stream.cli import app
from stream.contract.policy import Policy
from stream.contract.ports import BrokerError
from stream.contract.settings import KafkaWiring, Wiring
from stream.ops.checks import Check, NotReady, State, refuse_failed, run_checks
from stream.ops.checks.agreement import agreement_checks
from stream.ops.local_cluster.kafka import Kafka, Listeners
from stream.ops.topics import TOPICS, administration, create
from stream.runtime.supervision.supervisor import EXIT_OPERATOR, EXIT_SERVER_AWAY
from stream.stores import open_store
from tests.ops.conftest import Cluster, amiss

BOUND_S = 25.0  # of all checks together, when nobody answers
PASSWORD = "not-to-be-told"


# ---- nothing amiss


@pytest.mark.parametrize("scheme", ["confluent", "kafka"])
def test_a_cluster_as_it_should_be_passes(cluster: Cluster, scheme: str) -> None:
    checks = cluster.checks(broker=cluster.wiring.broker.replace("confluent", scheme))
    assert amiss(checks) == {}
    assert checks["replication"].state == "warning"  # a single broker
    refuse_failed(list(checks.values()))


def test_looking_changes_nothing(cluster: Cluster) -> None:
    cluster.committed(0, recognitions=5)
    cluster.saved(0, recognitions=5)
    before, after = cluster.checks(), cluster.checks()
    assert {**after, "Redis: clock": before["Redis: clock"]} == before
    assert open_store(cluster.wiring.store or "", cluster.wiring).claim(0).epoch == 2


# ---- topics


def test_a_topic_that_is_missing_is_named(cluster: Cluster) -> None:
    cluster.delete("journal")
    check = cluster.checks()["topics"]
    assert (check.state, f"{cluster.wiring.prefix}journal: kithkin topics create" in check.right) == ("failed", True)


def test_a_topic_that_only_the_fleet_needs_may_be_missing(cluster: Cluster) -> None:
    cluster.delete("drift-commands")
    assert amiss(cluster.checks()) == {"topics": "warning"}


def test_where_no_topic_is_one_line_says_so(cluster: Cluster) -> None:
    checks = cluster.checks(prefix="none.such.")
    assert amiss(checks) == {"topics": "failed"}
    assert all(f"none.such.{topic.name}" in checks["topics"].right for topic in TOPICS)


def test_unequal_partitions_fail(cluster: Cluster) -> None:
    cluster.delete("feedback")
    cluster.make("feedback", partitions=3)
    check = cluster.checks()["partitions"]
    assert (check.state, "recognitions: 2, feedback: 3" in check.found) == ("failed", True)


@pytest.mark.parametrize(
    ("topic", "policy", "right"),
    [
        ("profiles", "delete", "compact"),
        ("drift-alerts", "compact", "compact,delete"),
        ("recognitions", "compact", "delete"),
        ("journal", "compact,delete", "delete"),
    ],
)
def test_a_wrong_cleanup_policy_fails(cluster: Cluster, topic: str, policy: str, right: str) -> None:
    cluster.set(topic, cleanup_policy=policy)
    checks = cluster.checks()
    assert amiss(checks) == {"cleanup": "failed"}
    assert (checks["cleanup"].found, checks["cleanup"].right) == (f"{topic}: {policy}", f"cleanup.policy {topic}: {right}")


def test_more_copies_in_sync_than_there_are_fails(cluster: Cluster) -> None:
    cluster.set("identities", min_insync_replicas="2")
    assert cluster.checks()["replication"].state == "failed"


@pytest.mark.parametrize(
    ("topic", "settings", "state"),
    [
        ("journal", {"retention_ms": "3600000"}, "failed"),
        ("recognitions", {"retention_ms": "3600000"}, "failed"),
        ("feedback", {"retention_ms": "172800000"}, "warning"),
        ("journal", {"retention_ms": "-1"}, "warning"),  # longer than the inputs, without which it is of no use
        ("recognitions", {"retention_bytes": "1000000"}, "warning"),
    ],
    ids=str,
)
def test_what_recovery_needs_is_kept_long_enough(cluster: Cluster, topic: str, settings: dict[str, str], state: State) -> None:
    cluster.set(topic, **settings)
    assert amiss(cluster.checks()) == {"retention": state}


@pytest.mark.parametrize(("topic", "state"), [("dead-letters", "failed"), ("recognitions", "warning")])
def test_a_small_limit_on_records_is_found(cluster: Cluster, topic: str, state: State) -> None:
    cluster.set(topic, max_message_bytes="50000")
    assert amiss(cluster.checks()) == {"record size": state}


def test_senders_clocks_on_inputs_are_a_warning(cluster: Cluster) -> None:
    cluster.set("feedback", message_timestamp_type="CreateTime")
    assert amiss(cluster.checks()) == {"timestamps": "warning"}


def test_in_a_cluster_of_three_one_copy_in_sync_is_not_enough(own_kafka: Callable[..., Kafka], redis_url: str) -> None:
    three = own_kafka(nodes=3)
    name = f"t{uuid.uuid4().hex[:12]}"
    cluster = Cluster(Wiring(broker=f"confluent://{three.bootstrap}", store=redis_url, group=name))
    create(cluster.wiring, partitions=1)
    checks = cluster.checks()
    assert (checks["replication"].state, checks["replication"].found) == ("ok", "3 copies, 2 in sync")
    cluster.set("journal", min_insync_replicas="1")
    assert cluster.checks()["replication"].state == "failed"
    cluster.set("journal", min_insync_replicas="3")
    assert cluster.checks()["replication"].state == "warning"


# ---- brokers


def test_brokers_that_do_not_answer_are_told_in_bounded_time_and_may_come_back(cluster: Cluster) -> None:
    began_s = time.monotonic()
    checks = cluster.checks(broker="kafka://127.0.0.1:1")
    assert time.monotonic() - began_s < BOUND_S
    assert amiss(checks) == {"Kafka at 127.0.0.1:1": "failed"}
    assert "refused" in checks["Kafka at 127.0.0.1:1"].found
    with pytest.raises(BrokerError, match="refused"):
        refuse_failed(list(checks.values()))


def test_brokers_whose_limits_are_too_narrow_are_found(own_kafka: Callable[..., Kafka], cluster: Cluster) -> None:
    narrow = {
        "group.max.session.timeout.ms": "10000",
        "transaction.max.timeout.ms": "10000",
        "offsets.retention.minutes": "60",
    }
    broker = f"confluent://{own_kafka(settings=narrow).bootstrap}"
    create(cluster.wiring.model_copy(update={"broker": broker}), partitions=2)
    assert amiss(cluster.checks(broker=broker)) == {
        "Kafka: session timeout": "failed",
        "Kafka: transaction timeout": "failed",
        "Kafka: offsets kept": "warning",
        "Kafka: transactions": "failed",
    }


def test_brokers_that_cannot_keep_transactions_are_found(own_kafka: Callable[..., Kafka], cluster: Cluster) -> None:
    broker = f"confluent://{own_kafka(settings={'transaction.state.log.replication.factor': '3'}).bootstrap}"
    create(cluster.wiring.model_copy(update={"broker": broker}), partitions=2)
    assert amiss(cluster.checks(broker=broker)) == {"Kafka: transactions": "failed"}


def test_who_is_not_let_in_or_not_allowed_is_told_what_it_takes(own_kafka: Callable[..., Kafka], cluster: Cluster) -> None:
    acl = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    server = own_kafka(settings=acl, listeners=Listeners(users={"ann": PASSWORD}))
    plain = cluster.wiring.model_copy(update={"broker": f"confluent://{server.bootstrap}"})
    create(plain, partitions=2)
    named = f"confluent://{server.bootstrap_for('sasl_plaintext')}"

    def known_as(password: str) -> dict[str, Any]:
        security = {"security": "sasl_plaintext", "username": "ann", "password": password}
        return {"broker": named, "kafka": KafkaWiring.model_validate(security)}

    def checks_as(password: str) -> dict[str, Check]:
        return cluster.checks(**known_as(password))

    refused = checks_as("wrong")
    assert amiss(refused) == {f"Kafka at {named.partition('://')[2]}": "failed"}
    with pytest.raises(NotReady, match="username, password"):
        refuse_failed(list(refused.values()))

    checks = checks_as(PASSWORD)
    assert amiss(checks) == {"Kafka: limits": "warning", "Kafka: transactions": "failed", "topics": "failed"}
    assert f"transactional ids {plain.prefix}{plain.group}-*" in checks["Kafka: transactions"].right
    assert f"on the topics {plain.prefix}*" in checks["topics"].right

    allow(plain, "ann", "TOPIC", plain.prefix, ["DESCRIBE", "DESCRIBE_CONFIGS"])
    with pytest.raises(BrokerError, match=r"(?i)authoriz"):
        list(reader(plain.model_copy(update=known_as(PASSWORD)), ["identities"]))

    allow(plain, "ann", "TOPIC", plain.prefix, ["READ"])
    checks = checks_as(PASSWORD)
    assert "identities: Write" in checks["permissions"].right
    assert "journal: Write" in checks["permissions"].right

    allow(plain, "ann", "TOPIC", plain.prefix, ["WRITE"])
    assert f"on the group {plain.group}" in checks_as(PASSWORD)["states and offsets"].right

    allow(plain, "ann", "GROUP", plain.group, ["READ", "DESCRIBE"])
    allow(plain, "ann", "TRANSACTIONAL_ID", f"{plain.prefix}{plain.group}-", ["WRITE", "DESCRIBE"])
    assert amiss(checks_as(PASSWORD)) == {"Kafka: limits": "warning"}
    assert PASSWORD not in repr([checks, refused])


def allow(wiring: Wiring, user: str, kind: str, name: str, operations: list[str]) -> None:
    from confluent_kafka.admin import AclBinding, AclOperation, AclPermissionType, ResourcePatternType, ResourceType  # type: ignore[attr-defined]

    resource, who = (ResourceType[kind], name, ResourcePatternType.PREFIXED), (f"User:{user}", "*")
    bindings = [AclBinding(*resource, *who, AclOperation[operation], AclPermissionType.ALLOW) for operation in operations]
    with administration(wiring) as admin:
        for done in admin.create_acls(bindings).values():
            done.result(10)


# ---- states and offsets


def test_states_ahead_of_the_committed_offsets_fail_before_anything_is_consumed(cluster: Cluster) -> None:
    cluster.saved(1, recognitions=7, feedback=2)
    cluster.committed(1, recognitions=6, feedback=2)
    check = cluster.checks()["states and offsets"]
    assert check.state == "failed"
    stands_at = "{'recognitions': 7, 'feedback': 2, 'consents': 0, 'proofs': 0, 'sightings': 0}"
    assert f"partition 1: the states stand at {stands_at}, ahead of the committed offsets" in check.found


def test_states_of_a_transaction_that_is_just_ending_are_not_taken_for_ahead(cluster: Cluster) -> None:
    from confluent_kafka import Consumer, Producer, TopicPartition

    cluster.saved(1, recognitions=7)
    client = {"log_level": "0", "bootstrap.servers": cluster.wiring.broker.partition("://")[2]}
    member, dead = Consumer({**client, "group.id": cluster.wiring.group}), Producer({**client, "transactional.id": "dead"})
    dead.init_transactions(10)
    dead.begin_transaction()
    place = TopicPartition(f"{cluster.wiring.prefix}recognitions", 1, 7)
    dead.send_offsets_to_transaction([place], member.consumer_group_metadata(), 10)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(agreement_checks, cluster.wiring, cluster.wiring.store or "")
        assert not wait([looking], timeout=2).done, f"it did not wait: {looking.result()}"
        dead.commit_transaction(10)
        assert [(check.name, check.state) for check in looking.result(BOUND_S)] == [
            ("states and offsets", "ok"), ("homes and partitions", "ok"),
        ]  # fmt: skip
    member.close()


def test_states_that_are_behind_are_brought_up_by_the_journal(cluster: Cluster) -> None:
    cluster.sent("recognitions", 1, count=8)
    cluster.saved(1, recognitions=3)
    cluster.committed(1, recognitions=8)
    check = cluster.checks()["states and offsets"]
    assert (check.state, "behind in partitions 1" in check.found) == ("ok", True)


def test_states_that_are_behind_what_is_retained_fail(cluster: Cluster) -> None:
    cluster.sent("recognitions", 1, count=8, deleted=4)
    cluster.saved(1, recognitions=3)
    cluster.committed(1, recognitions=8)
    check = cluster.checks()["states and offsets"]
    assert (check.state, "a later copy of the store" in check.right) == ("failed", True)


def test_records_that_were_deleted_unread_are_a_warning(cluster: Cluster) -> None:
    cluster.sent("recognitions", 0, count=8, deleted=4)
    checks = cluster.checks()
    assert amiss(checks) == {"states and offsets": "warning"}
    assert checks["states and offsets"].found == "never read: 4 records of partition 0"


def test_states_of_partitions_that_the_topics_do_not_have_fail(cluster: Cluster) -> None:
    cluster.saved(2, recognitions=1)
    check = cluster.checks()["states and offsets"]
    assert (check.state, check.found) == ("failed", "there are states of partition 2")


# ---- Redis


def test_a_client_library_of_another_version_is_found(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = tmp_path / "kafka_python-3.0.7.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: kafka-python\nVersion: 3.0.7\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert metadata.version("kafka-python") == "3.0.7"
    checks = cluster.checks(broker=cluster.wiring.broker.replace("confluent", "kafka"))
    assert amiss(checks) == {"kafka-python": "failed"}
    assert "3.0.11 or newer, older than 3.1" in checks["kafka-python"].right


def test_libraries_that_are_not_installed_are_named(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = cluster.wiring.broker.replace("confluent", "kafka")
    cluster.checks(broker=broker)  # everything is imported
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    wrong = {"confluent-kafka": "failed", "kafka-python": "failed", "redis": "failed", "crc32c": "warning", "codecs": "warning"}
    assert amiss(cluster.checks(broker=broker)) == wrong


def test_few_open_files_are_a_warning(cluster: Cluster) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1000, hard))
    try:
        assert amiss(cluster.checks()) == {"open files": "warning"}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_policy_that_cannot_be_is_found(cluster: Cluster, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("[limitz]\n")
    checks = {check.name: check for check in run_checks(cluster.wiring, tmp_path / "policy.toml")}
    assert amiss(checks) == {"policy": "failed"}
    assert "limits, the nearest known key" in checks["policy"].right
    assert Policy().policy_id in cluster.checks()["policy"].found


# ---- the commands


def doctor(wiring: Wiring, *flags: str) -> tuple[int, str]:
    told = ["--broker", wiring.broker, "--store", wiring.store or "", "--prefix", wiring.prefix, "--group", wiring.group]
    result = CliRunner().invoke(app, ["doctor", *told, *flags])
    return result.exit_code, result.output


def test_doctor_prints_each_check_and_ends_with_0_or_1(cluster: Cluster) -> None:
    code, told = doctor(cluster.wiring)
    assert (code, [line.split()[0] for line in told.splitlines()].count("warning")) == (0, 1)
    assert all(f"{check.state:<7}  {check.name}: " in told for check in cluster.checks().values())
    cluster.delete("labels")
    code, told = doctor(cluster.wiring)
    there = f'failed   topics: {len(TOPICS) - 1} of {len(TOPICS)} with the prefix "{cluster.wiring.prefix}"'
    assert (code, there in told) == (1, True)


def test_doctor_tells_machines_the_same(cluster: Cluster) -> None:
    code, told = doctor(cluster.wiring, "--json")
    assert code == 0
    assert {check["name"]: check["state"] for check in json.loads(told)} == {c.name: c.state for c in cluster.checks().values()}


@pytest.mark.parametrize(("missing", "code"), [("topic", EXIT_OPERATOR), ("broker", EXIT_SERVER_AWAY)])
def test_a_worker_that_cannot_work_says_so_and_takes_nothing(cluster: Cluster, root: Path, missing: str, code: int) -> None:
    cluster.delete("labels")
    broker = cluster.wiring.broker if missing == "topic" else "confluent://127.0.0.1:1"
    told = ["--broker", broker, "--store", cluster.wiring.store or "", "--prefix", cluster.wiring.prefix, "--group", "g"]
    command = [sys.executable, "-m", "stream.cli", "worker", "--no-restart", *told]
    ended = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == code
    assert ("kithkin topics create" if missing == "topic" else "refused") in ended.stderr
