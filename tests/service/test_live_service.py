"""The service beside real workers, Kafka and Redis: a step-up from end to end, by its commands."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener, urlopen

from stream.brokers.kafka.topics import producer, reader
from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.contract.settings import Wiring, toml_of
from stream.home.step import Step
from stream.ops.local_cluster.processes import free_ports, until
from stream.runtime.service.verifier import Verifier
from tests.conftest import Running
from tests.support.worlds import POLICY, Story

PATIENCE_S = 120.0
SECRET, PIN = "s" * 40, "271828"


class Told(Story):
    """A story whose records are kept."""

    def __init__(self) -> None:
        self.records: list[tuple[str, dict[str, Any]]] = []
        super().__init__()

    def play(self, topic: str, value: dict[str, Any]) -> Step:
        self.records.append((topic, value))
        return super().play(topic, value)

    def until_now(self) -> list[Record]:
        """The same, moved in time so that the last of them is of now."""
        by_ms = int(time.time() * 1_000) - self.desk.now
        moved = []
        for topic, value in self.records:
            times = {name: value[name] + by_ms for name in ("observed_at", "given_at") if name in value}
            moved.append(Record(topic, 0, 0, max(times.values()), b"h", json.dumps(value | times).encode()))
        return moved


def kithkin(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-c", "from stream.cli import main; main()", *map(str, arguments)]


def answer(url: str, body: bytes | None, headers: dict[str, str]) -> dict[str, Any]:
    """The JSON that comes back, of a problem too; empty as long as nobody answers."""
    try:
        with urlopen(Request(url, body, headers), timeout=10) as response:
            found: dict[str, Any] = json.load(response)
    except HTTPError as problem:
        with problem:
            found = json.load(problem)
    except URLError:
        return {}
    return found


def test_a_step_up_works_from_the_recognition_to_the_proof(
    kafka: Running, redis_url: str, topics: Callable[..., str], tmp_path: Path
) -> None:
    prefix = topics(2)
    wiring = Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=prefix, group=f"{prefix}group", store=redis_url)
    key = subprocess.run(kithkin("pin", "key", tmp_path / "api-1.key"), check=True, capture_output=True, text=True).stdout
    kept = toml_of(POLICY.model_copy(update={"actions": {}, "proofs": Policy().proofs})).replace("actions = {}\n", "")
    policy = tmp_path / "policy.toml"
    policy.write_text(f'{kept.replace("[proofs]", "").replace("keys = {}", "")}\n{key}\n[actions."pharmacy.refill"]\ntier = 5\n')
    (tmp_path / "service.key").write_text("0123456789abcdef" * 4)
    service = tmp_path / "service.toml"
    digest = sha256(SECRET.encode()).hexdigest()
    files = 'secret_file = "service.key"\nproof_key_file = "api-1.key"\n'
    service.write_text(f'{files}[clients.pharmacy]\nsecret_sha256 = "{digest}"\n')
    with closing(Verifier(tmp_path / "verifier.db")) as verifier:
        verifier.set("h", "anna", PIN)
    story, (port,) = Told(), free_ports(1)
    event = story.see("anna")
    sends = ["--broker", wiring.broker, "--prefix", prefix]
    everywhere = [*sends, "--group", wiring.group, "--store", str(wiring.store), "--policy", policy]
    with ExitStack() as ends:
        for command in (["worker", "--no-restart"], ["api", "--service", service, "--listen", f"127.0.0.1:{port}"]):
            log = ends.enter_context((tmp_path / f"{command[0]}.log").open("wb"))
            process = subprocess.Popen(kithkin(*command, *everywhere), stderr=log, env=os.environ)
            ends.callback(process.wait)
            ends.callback(process.kill)
        # What was enrolled is known before the event comes: the two topics have no order between them but their time.
        *opening, spoken = story.until_now()
        _send(wiring, opening)
        assert until(lambda: _applied(wiring) == len(opening), PATIENCE_S), _logs(tmp_path)
        _send(wiring, [spoken])
        granted = ["h", "anna", "pharmacy", "--action", "pharmacy.refill", "--service", service]
        granting = kithkin("consent", "grant", *granted, *sends)
        home = json.loads(subprocess.run(granting, check=True, capture_output=True, text=True).stdout)["home"]
        at = f"http://127.0.0.1:{port}"
        form = urlencode({"grant_type": "client_credentials", "client_id": "pharmacy", "client_secret": SECRET}).encode()
        assert until(lambda: "access_token" in answer(f"{at}/oauth/token", form, {}), PATIENCE_S), _logs(tmp_path)
        token = answer(f"{at}/oauth/token", form, {})["access_token"]
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        asked = json.dumps({"home": home, "action": "pharmacy.refill", "event_id": event}).encode()

        def decided() -> dict[str, Any]:
            return answer(f"{at}/v1/decisions", asked, headers)

        assert until(lambda: decided().get("outcome") == "step_up", PATIENCE_S), (decided(), _logs(tmp_path))
        first = decided()
        assert (first["reason"], first["acr"]) == ("second_factor", "urn:kithkin:tier:4")
        challenge = f"{at}/v1/challenges/{first['challenge_id']}"
        assert answer(challenge, json.dumps({"pin": PIN}).encode(), headers) == {"status": "proven"}
        assert until(lambda: decided().get("outcome") == "allow", PATIENCE_S), (decided(), _logs(tmp_path))
        assert (decided()["sub"], decided()["acr"]) == (first["sub"], "urn:kithkin:tier:5")
        _correct_on_the_page(at, service, event)
    revised = [json.loads(record.value or b"") for record in reader(wiring, ["identities"])]
    last = [identity for identity in revised if identity["event_id"] == event][-1]
    assert (last["tier"], last["person_id"], last["cause"]["topic"]) == (5, "anna", "proofs")
    audit = [json.loads(record.value or b"") for record in reader(wiring, ["decisions"])]
    assert {"step_up", "allow"} <= {decision["outcome"] for decision in audit}
    assert [letter.value for letter in reader(wiring, ["dead-letters"])] == []
    texts = [(tmp_path / name).read_text() for name in ("worker.log", "api.log")]
    texts += [(record.value or b"").decode() for record in reader(wiring, ["proofs", "decisions", "consents"])]
    assert [text for text in texts if PIN in text] == []


def _correct_on_the_page(at: str, service: Path, event: str) -> None:
    """By a link of `kithkin home-link` to what the worker makes of it."""
    linking = subprocess.run(kithkin("home-link", "h", "--service", service), check=True, capture_output=True, text=True)
    opener = build_opener(HTTPCookieProcessor())

    def ask(path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"X-Kithkin-Page": "1", "Content-Type": "application/json"}
        with opener.open(Request(f"{at}/page/{path}", body and json.dumps(body).encode(), headers), timeout=30) as response:
            return json.loads(response.read() or b"null")

    ask("session", {"token": linking.stdout.strip().partition("#")[2]})
    ask("feedback", {"event_id": event, "person_id": "bert"})

    def claimed() -> list[str]:
        return [claim["person_id"] for one in ask("state")["events"] if one["event_id"] == event for claim in one["claims"]]

    assert until(lambda: claimed() == ["bert"], PATIENCE_S), ask("state")


def _send(wiring: Wiring, records: Sequence[Record]) -> None:
    with producer(wiring) as sender:
        for record in records:
            sender.send(replace(record, timestamp=int(time.time() * 1_000)))


def _applied(wiring: Wiring) -> int:
    """Records that a worker has done."""
    return sum(json.loads(record.value or b"")["count"] for record in reader(wiring, ["journal"]))


def _logs(folder: Path) -> str:
    return "\n".join(path.read_text()[-3_000:] for path in folder.glob("*.log"))
