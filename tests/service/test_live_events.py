"""The service beside a real Kafka, killed meanwhile: what was granted and fell short is withdrawn once, and its client told."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from stream.brokers.kafka.topics import producer, reader
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import free_ports, until
from stream.runtime.service.events.outbox import jti_of
from tests.conftest import Running
from tests.service.test_live_service import PATIENCE_S, SECRET, answer, kithkin


class Service:
    """`kithkin api` with one client, which polls."""

    def __init__(self, folder: Path, wiring: Wiring) -> None:
        key = subprocess.run(kithkin("pin", "key", folder / "api-1.key"), check=True, capture_output=True, text=True).stdout
        (folder / "policy.toml").write_text(f'{key}\n[actions."mail.read"]\ntier = 3\n')
        (folder / "service.key").write_text("0123456789abcdef" * 4)
        files = 'secret_file = "service.key"\nproof_key_file = "api-1.key"\n'
        digest = sha256(SECRET.encode()).hexdigest()
        (folder / "service.toml").write_text(f'{files}[clients.pharmacy]\nsecret_sha256 = "{digest}"\n')
        self.folder, self.wiring = folder, wiring

    @contextmanager
    def running(self) -> Iterator["Service"]:
        """Killed at the end."""
        (port,) = free_ports(1)
        files = ["--service", self.folder / "service.toml", "--policy", self.folder / "policy.toml"]
        sends = ["--broker", self.wiring.broker, "--prefix", self.wiring.prefix, "--store", str(self.wiring.store)]
        with (self.folder / "api.log").open("ab") as log:
            command = kithkin("api", "--listen", f"127.0.0.1:{port}", *files, *sends)
            process = subprocess.Popen(command, stderr=log, env=os.environ)
            try:
                self.at = f"http://127.0.0.1:{port}"
                form = {"grant_type": "client_credentials", "client_id": "pharmacy", "client_secret": SECRET}
                body = urlencode(form).encode()
                assert until(lambda: "access_token" in answer(f"{self.at}/oauth/token", body, {}), PATIENCE_S), self.log
                self.token = answer(f"{self.at}/oauth/token", body, {})["access_token"]
                yield self
            finally:
                process.kill()
                process.wait()

    @property
    def log(self) -> str:
        return (self.folder / "api.log").read_text()[-3_000:]

    def poll(self, *ack: str) -> set[str]:
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        wanted = json.dumps({"returnImmediately": True, "ack": ack}).encode()
        return {*answer(f"{self.at}/v1/events/poll", wanted, headers)["sets"]}


def send(wiring: Wiring, topic: str, *values: dict[str, Any]) -> None:
    with producer(wiring) as sender:
        for value in values:
            sender.send(Record(topic, 0, 0, int(time.time() * 1_000), b"h", json.dumps(value).encode()))


def decided(number: int) -> dict[str, Any]:
    return {
        "v": 1, "decision_id": f"d-{number}", "household_id": "h", "client_id": "pharmacy", "action": "mail.read",
        "event_id": f"e-{number}", "revision": 0, "required": 3, "had": 4, "outcome": "allow", "sub": "s",
        "at": int(time.time() * 1_000), "withdrawn_at": None, "cause": None,
    }  # fmt: skip


def revised(number: int, revision: int, tier: int, person_id: str | None = "anna") -> dict[str, Any]:
    return {
        "v": 1, "event_id": f"e-{number}", "household_id": "h", "observed_at": 0, "revision": revision, "posterior": {},
        "person_id": person_id, "tier": tier, "modalities": [], "policy_id": "", "acts_for": None,
        "cause": {"topic": "feedback", "partition": 0, "offset": revision},
    }  # fmt: skip


def test_what_fell_short_is_withdrawn_once_though_the_service_is_killed(
    kafka: Running, redis_url: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    prefix = topics(2)
    wiring = Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}group", store=redis_url)
    service = Service(tmp_path, wiring)
    with service.running():
        send(wiring, "identities", *[revised(number, 0, 4) for number in range(4)])
        send(wiring, "decisions", *[decided(number) for number in range(4)])
        send(wiring, "identities", revised(0, 1, 2), revised(1, 1, 4, "bert"), revised(2, 1, 3))
        assert until(lambda: len(service.poll()) == 2, PATIENCE_S), service.log
        assert service.poll(jti_of("d-0")) == {jti_of("d-1")}
    send(wiring, "identities", revised(0, 2, 0, None), revised(3, 1, 0, None))  # while it is away
    with service.running():
        assert until(lambda: len(service.poll()) == 2, PATIENCE_S), service.log
        assert service.poll() == {jti_of("d-1"), jti_of("d-3")}, "what was acknowledged does not come again"
    audit = [json.loads(record.value or b"") for record in reader(wiring, ["decisions"])]
    withdrawn = [(one["decision_id"], one["cause"]["offset"]) for one in audit if one["withdrawn_at"]]
    assert sorted(withdrawn) == [("d-0", 1), ("d-1", 1), ("d-3", 1)]
