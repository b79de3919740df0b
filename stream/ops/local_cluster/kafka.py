"""A Kafka of one or three nodes on this machine.

Law: it is Apache Kafka as anyone runs it (KRaft, combined nodes); only what costs time on a loopback of one's own is set lower.
What was published outlives every stop, also that by SIGKILL.
"""

import base64
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from stream.contract.credentials import PRIVATE_FOLDER, private

from .java import Java, java_of_kafka
from .processes import HOST, ClusterError, Server, free_ports, is_free, until

__all__ = ["Kafka", "Listeners"]

_START_S: Final = 60.0
_STOP_S: Final = 8.0
_ATTEMPTS_MAX: Final = 5  # at ports that were free a moment ago
_RECORD_BYTES_MAX: Final = 2 * 2**20  # 900 KB of a record and room for its batch
_NO_LIMIT: Final = str(2**63 - 1)
_PROTOCOLS: Final = {
    "plaintext": "PLAINTEXT",
    "tls": "SSL",
    "sasl_plaintext": "SASL_PLAINTEXT",
    "sasl_tls": "SASL_SSL",
    "controller": "PLAINTEXT",
}


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where and how a Kafka listens: `plaintext`, unless it is closed, `tls`, `sasl_plaintext`, `sasl_tls`, as in the wiring.

    Parameters
    ----------
    port
        Of the first node's first listener; None: a free one, as all other ports are.
    certificate
        PEM of its private key and its certificate chain, for TLS.
    client_ca
        PEM of who signed the certificates that clients must show; None: they need none.
    users
        Passwords by name, for SASL with PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
    closed
        Whether nobody enters without a name and password: brokers and controllers do not either, and are the first of `users`.
    """

    port: int | None = None
    certificate: Path | None = None
    client_ca: Path | None = None
    users: Mapping[str, str] = field(default_factory=dict, repr=False)
    closed: bool = False

    @property
    def names(self) -> list[str]:
        """Every listener for clients; the first is the brokers' own too."""
        plain = [*([] if self.closed else ["plaintext"]), *(["sasl_plaintext"] if self.users else [])]
        return plain + [name.replace("plaintext", "tls") for name in plain] if self.certificate else plain

    def protocol_of(self, name: str) -> str:
        """Kafka's word for how a listener, or the controllers', is spoken to."""
        return _PROTOCOLS["sasl_plaintext" if self.closed and name == "controller" else name]

    @property
    def first_user(self) -> tuple[str, str]:
        """Name and password of who brokers are to one another, where it is closed."""
        return next(iter(self.users.items()))


class Kafka:
    """Apache Kafka on 127.0.0.1, with its data in a folder.

    Parameters
    ----------
    folder
        Data, logs and settings; made if it is not there. What is in it goes on.
    nodes
        1, or 3 for what needs a majority: replicas of everything, of which two must be in sync.
    settings
        Of the brokers, before our own.
    listeners
        Where and how it listens. Ports stay over a restart.
    parent_pipe
        As of `Server`: ends the nodes with another process than this.
    """

    def __init__(
        self,
        folder: Path,
        nodes: int = 1,
        settings: Mapping[str, str] = {},
        listeners: Listeners = Listeners(),
        parent_pipe: Path | None = None,
    ) -> None:
        self._folder, self._count, self._settings, self._listeners, self._leash = folder, nodes, settings, listeners, parent_pipe
        self._java: Java | None = None
        self._ports: list[dict[str, int]] = []
        self._nodes: dict[int, Server] = {}

    @property
    def bootstrap(self) -> str:
        """Addresses of the first listener: "127.0.0.1:PORT,…"."""
        return self.bootstrap_for(self._listeners.names[0])

    def bootstrap_for(self, listener: str) -> str:
        """Addresses of one of the `Listeners`."""
        return ",".join(f"{HOST}:{ports[listener]}" for ports in self._ports)

    @property
    def pids(self) -> list[int]:
        """Process ids of the nodes that run, by node."""
        return [server.pid for _, server in sorted(self._nodes.items()) if server.running]

    def start(self, tell: Callable[[str], None] = lambda _: None) -> None:
        """Start all nodes and wait until they answer; `tell` is told what takes long, which is only the first time.

        Raises
        ------
        ClusterError
            A package is missing, the port is taken, or it ended or did not answer in time, with the last it said.
        """
        wanted = self._listeners.port
        if wanted is not None and not is_free(wanted):
            raise ClusterError(f"Kafka cannot listen on {HOST}:{wanted}: another program does. Choose another port.")
        self._java = self._java or java_of_kafka(_record, tell)
        for left in reversed(range(_ATTEMPTS_MAX)):
            self._ports = self._choose_ports()
            try:
                self._run(range(self._count))
                return self._add_users()
            except BaseException as error:
                self.stop()
                lost = any(not is_free(port) for ports in self._ports for port in ports.values())
                if not left or not lost or not isinstance(error, ClusterError):
                    raise

    def stop(self) -> None:
        """End all nodes as an operator would; one that does not within 8 s is killed. None is running afterwards."""
        for server in self._nodes.values():
            server.send(signal.SIGTERM)
            server.send(signal.SIGCONT)
        for server in self._nodes.values():
            server.wait(_STOP_S)
        self._nodes.clear()

    def kill(self, node: int = 0) -> None:
        """SIGKILL: the node ends without a word, and is gone when this returns."""
        self._nodes[node].kill()

    def pause(self, node: int = 0) -> None:
        """SIGSTOP: the node answers no more, and its connections stay."""
        self._nodes[node].send(signal.SIGSTOP)

    def resume(self, node: int = 0) -> None:
        """SIGCONT: the node goes on."""
        self._nodes[node].send(signal.SIGCONT)

    def restart(self, node: int = 0) -> None:
        """End a node if it runs, start it at the same address, and wait until all nodes that run know one another."""
        if self._nodes[node].running:
            self._nodes[node].stop(_STOP_S)
        self._run([node])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _choose_ports(self) -> list[dict[str, int]]:
        names = [*self._listeners.names, "controller"]
        ports = iter(free_ports(self._count * len(names)))
        chosen = [{name: next(ports) for name in names} for _ in range(self._count)]
        if self._listeners.port is not None:
            chosen[0][self._listeners.names[0]] = self._listeners.port
        return chosen

    def _run(self, nodes: Sequence[int]) -> None:
        assert self._java is not None, "a Kafka is started before one of its nodes"
        for node in nodes:
            folder = self._folder / f"node-{node}"
            _format(folder / "data", node, self._java)
            settings = folder / "server.properties"
            with open(settings, "w", opener=private) as file:
                file.writelines(f"{key}={value}\n" for key, value in self._settings_of(node, folder).items())
            command = self._java.command("kafka.Kafka", str(settings))
            self._nodes[node] = Server(command, folder / "kafka.log", self._leash)
        ended = False

        def is_settled() -> bool:
            nonlocal ended
            ended = not all(self._nodes[node].running for node in nodes)
            return ended or self._answers()

        if not until(is_settled, _START_S) or ended:
            said = "\n".join(self._nodes[node].last_words for node in nodes)
            raise ClusterError(f"Kafka {'ended' if ended else f'did not answer within {_START_S:.0f} s'}. It said:\n{said}")

    def _answers(self) -> bool:
        """Whether every node that runs listens and is known to the others."""
        running = [node for node, server in self._nodes.items() if server.running]
        if not all(_listens(port) for node in running for port in self._ports[node].values()):
            return False
        from confluent_kafka import KafkaException

        with suppress(KafkaException), self._admin() as admin:
            return len(admin.list_topics(timeout=5).brokers) == len(running)
        return False

    def _add_users(self) -> None:
        """Make the users known for SCRAM; for PLAIN they stand in the settings."""
        if not self._listeners.users:
            return
        from confluent_kafka.admin import ScramCredentialInfo, ScramMechanism  # type: ignore[attr-defined]
        from confluent_kafka.admin import UserScramCredentialUpsertion as Upsertion  # type: ignore[attr-defined]

        with self._admin() as admin:
            for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):  # a request takes a user only once
                credential = ScramCredentialInfo(mechanism, 4096)
                users = [Upsertion(name, credential, word.encode()) for name, word in self._listeners.users.items()]
                for done in admin.alter_user_scram_credentials(users).values():
                    done.result(10)

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        settings: dict[str, str | int | float | bool] = {"bootstrap.servers": self.bootstrap, "log_level": 0}
        if self._listeners.closed:
            name, password = self._listeners.first_user
            protocol = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN"}  # known before any user is made
            settings |= {**protocol, "sasl.username": name, "sasl.password": password}
        return AdminClient(settings)

    def _settings_of(self, node: int, folder: Path) -> dict[str, str]:
        ports = self._ports[node]
        replicas, in_sync = ("3", "2") if self._count >= 3 else ("1", "1")
        return {
            "process.roles": "broker,controller",
            "node.id": str(node),
            "controller.quorum.voters": ",".join(f"{n}@{HOST}:{p['controller']}" for n, p in enumerate(self._ports)),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": self._listeners.names[0].upper(),
            "listeners": ",".join(f"{name.upper()}://{HOST}:{port}" for name, port in ports.items()),
            "listener.security.protocol.map": ",".join(f"{name.upper()}:{self._listeners.protocol_of(name)}" for name in ports),
            "log.dirs": str(folder / "data"),
            **dict.fromkeys(
                (
                    "default.replication.factor",
                    "offsets.topic.replication.factor",
                    "transaction.state.log.replication.factor",
                    "share.coordinator.state.topic.replication.factor",
                ),
                replicas,
            ),
            **dict.fromkeys(
                ("min.insync.replicas", "transaction.state.log.min.isr", "share.coordinator.state.topic.min.isr"), in_sync
            ),
            **_LOOPBACK,
            **_security(self._listeners),
            **self._settings,
        }


# What a cluster of many machines needs and one's own loopback does not.
_LOOPBACK: Final = {
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "auto.create.topics.enable": "false",
    "message.max.bytes": str(_RECORD_BYTES_MAX),
    "replica.fetch.max.bytes": str(_RECORD_BYTES_MAX),
    "log.retention.ms": "-1",  # records keep the time at which they were recorded, which may be years ago…
    "log.message.timestamp.after.max.ms": _NO_LIMIT,  # …or, in a simulation, ahead
    "log.cleaner.dedupe.buffer.size": str(16 * 2**20),
    "broker.session.timeout.ms": "3000",  # after SIGKILL a broker is let in again when its former self has expired
    "broker.heartbeat.interval.ms": "500",
    "controlled.shutdown.retry.backoff.ms": "200",
}


def _security(listeners: Listeners) -> dict[str, str]:
    settings: dict[str, str] = {}
    if listeners.certificate:
        settings |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(listeners.certificate)}
    if listeners.client_ca:
        settings |= {"ssl.truststore.type": "PEM", "ssl.truststore.location": str(listeners.client_ca)}
        settings |= {"listener.name.tls.ssl.client.auth": "required"}
    module = "org.apache.kafka.common.security"
    known = " ".join(f'user_{name}="{password}"' for name, password in listeners.users.items())
    if listeners.closed:
        name, password = listeners.first_user
        known = f'username="{name}" password="{password}" {known}'
        controller = "listener.name.controller"
        settings |= {
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            f"{controller}.sasl.enabled.mechanisms": "PLAIN",
            f"{controller}.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required {known};",
        }
    for name in listeners.names:
        if name.startswith("sasl"):
            prefix = f"listener.name.{name}"
            settings |= {
                f"{prefix}.sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
                f"{prefix}.plain.sasl.jaas.config": f"{module}.plain.PlainLoginModule required {known};",
                f"{prefix}.scram-sha-256.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
                f"{prefix}.scram-sha-512.sasl.jaas.config": f"{module}.scram.ScramLoginModule required;",
            }
    return settings


def _format(data: Path, node: int, java: Java) -> None:
    """What Kafka's storage tool does to an empty folder, from what it did once."""
    if (data / "meta.properties").is_file():
        return
    data.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
    data.parent.chmod(PRIVATE_FOLDER)
    shutil.copy(java.kept / "bootstrap.checkpoint", data)
    directory = base64.urlsafe_b64encode(b"k" + secrets.token_bytes(15)).decode().rstrip("=")
    (data / "meta.properties").write_text(
        f"version=1\ncluster.id=kithkin-on-this-machine\nnode.id={node}\ndirectory.id={directory}\n"
    )


def _record(java: Java) -> None:
    """Start a broker and end it, for Java to note what a start takes."""
    with tempfile.TemporaryDirectory() as folder:
        kafka = Kafka(Path(folder))
        kafka._java = java
        with kafka:
            for server in kafka._nodes.values():
                server.stop(_START_S)  # the cache is written at the end


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), 1):
        return True
    return False
