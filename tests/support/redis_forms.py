"""Redis as people run it: a cluster of nodes, a master with its replica and a sentinel, a server behind TLS."""

import shutil
import ssl
import subprocess
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import redis

from stream.contract.settings import RedisWiring, Wiring
from stream.ops.local_cluster.processes import HOST, Server, free_ports, until
from stream.ops.local_cluster.redis import Redis, redis_program

__all__ = ["PATIENCE_S", "Certificates", "Sentineled", "asked", "certificates", "cluster", "sentineled", "wiring"]

PATIENCE_S = 60.0
SLOTS = 16_384
SERVICE = "homes"


def wiring(**settings: Any) -> Wiring:
    """A group that no other test has, with these settings of Redis."""
    return Wiring(group=f"g{uuid.uuid4().hex[:12]}", redis=RedisWiring(**settings))


def asked(port: int, *command: str | int) -> Any:
    """One server's reply to one command."""
    with redis.Redis(host=HOST, port=port, decode_responses=True) as client:
        return client.execute_command(*command)  # type: ignore[no-untyped-call]


@contextmanager
def cluster(folder: Path, nodes: int) -> Iterator[Sequence[Redis]]:
    """Nodes that share the slots evenly, and know it."""
    settings = {"cluster-enabled": "yes", "cluster-config-file": "nodes.conf"}
    with _all([Redis(folder / f"node-{number}", settings) for number in range(nodes)]) as running:
        for number, node in enumerate(running):
            asked(node.port, "CLUSTER ADDSLOTSRANGE", SLOTS * number // nodes, SLOTS * (number + 1) // nodes - 1)
            asked(node.port, "CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in running[1:]:
            asked(running[0].port, "CLUSTER MEET", HOST, node.port)
        assert until(lambda: all(_is_whole(node, nodes) for node in running), PATIENCE_S)
        yield running


def _is_whole(node: Redis, nodes: int) -> bool:
    info: dict[str, str] = asked(node.port, "CLUSTER INFO")
    return info["cluster_state"] == "ok" and info["cluster_size"] == str(nodes)


@dataclass(frozen=True)
class Sentineled:
    """A master, its replica, and the sentinel that watches them."""

    master: Redis
    replica: Redis
    port: int

    @property
    def url(self) -> str:
        return f"redis+sentinel://{HOST}:{self.port}/{SERVICE}/0"

    @property
    def master_port(self) -> int:
        """Where the sentinel sends clients now."""
        return int(asked(self.port, "SENTINEL GET-MASTER-ADDR-BY-NAME", SERVICE)[1])


@contextmanager
def sentineled(folder: Path) -> Iterator[Sentineled]:
    """A master with a replica that is in step, watched by one sentinel that loses patience after a second."""
    with _all([Redis(folder / "master"), Redis(folder / "replica")]) as (master, replica):
        asked(replica.port, "REPLICAOF", HOST, master.port)
        (port,) = free_ports(1)
        (folder / "sentinel.conf").write_text(
            f"port {port}\nbind {HOST}\ndir {folder}\nsentinel monitor {SERVICE} {HOST} {master.port} 1\n"
            f"sentinel down-after-milliseconds {SERVICE} 1000\nsentinel failover-timeout {SERVICE} 5000\n"
        )
        sentinel = Server([redis_program(), str(folder / "sentinel.conf"), "--sentinel"], folder / "sentinel.log")
        try:
            both = Sentineled(master, replica, port)
            assert until(lambda: _watches(both), PATIENCE_S), sentinel.log.read_text()
            yield both
        finally:
            sentinel.stop(5)


def _watches(both: Sentineled) -> bool:
    try:
        known = asked(both.port, "SENTINEL REPLICAS", SERVICE)
        return len(known) == 1 and asked(both.replica.port, "INFO", "replication")["master_link_status"] == "up"
    except redis.RedisError:
        return False


@dataclass(frozen=True)
class Certificates:
    """PEM files: of who signs, of a server on 127.0.0.1, and of a client."""

    ca: Path
    server: tuple[Path, Path]
    client: tuple[Path, Path]

    def context(self, ask_client: bool = False) -> ssl.SSLContext:
        """The server's side."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.ca)
        context.load_cert_chain(*self.server)
        context.verify_mode = ssl.CERT_REQUIRED if ask_client else ssl.CERT_NONE
        return context


def certificates(folder: Path) -> Certificates:
    """New ones, made by openssl."""
    if shutil.which("openssl") is None:
        pytest.skip("The certificates of this test are made by openssl, which is not on the PATH.")
    folder.mkdir()
    made = {name: (folder / f"{name}.pem", folder / f"{name}.key") for name in ("ca", "server", "client")}
    ca, key = made["ca"]
    for name, (certificate, own_key) in made.items():
        signed = [] if name == "ca" else ["-CA", str(ca), "-CAkey", str(key), "-addext", f"subjectAltName=IP:{HOST}"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN=kithkin-{name}"]
        files = ["-keyout", str(own_key), "-out", str(certificate)]
        subprocess.run([*command, *files, *signed], check=True, capture_output=True)
    return Certificates(ca, made["server"], made["client"])


@contextmanager
def _all(servers: Sequence[Redis]) -> Iterator[Sequence[Redis]]:
    begun: list[Callable[[], None]] = []
    try:
        for server in servers:
            begun.append(server.stop)
            server.start()
        yield servers
    finally:
        for end in begun:
            end()
