"""Every example is short, typed, and does what its first line says."""

import ast
import json
import runpy
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

from stream import Household, Policy, feedback
from stream.brokers.kafka.topics import producer, reader
from stream.contract.codec import decode
from stream.contract.policy import ProofKey, Proofs
from stream.contract.records import Alert, Recognition, Record
from stream.contract.settings import Wiring
from stream.offline.simulation.sample import Sample, write_sample
from stream.ops.service_folder import make_key
from tests.conftest import Running
from tests.support.worlds import POLICY as WORLD
from tests.support.worlds import Story

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LINES_MAX = 30
START_MS = 1_763_690_000_000


def main_of(name: str) -> Callable[..., Any]:
    """What an example does when it is called as a program."""
    found: Callable[..., Any] = runpy.run_path(str(ROOT / "examples" / f"{name}.py"))["main"]
    return found


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(Sample(homes=2, days=6, seed=4), tmp_path_factory.mktemp("sample")).log


@pytest.fixture
def wiring(kafka: Running, topics: Callable[..., str]) -> Wiring:
    return Wiring(broker=f"kafka://{kafka.bootstrap}", prefix=topics(partitions=1))


# ---- all of them


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_at_most_thirty_lines_and_is_told_of(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= LINES_MAX
    assert f"python {path.name}" in (ast.get_docstring(ast.parse(text)) or "")
    assert f"`{path.name}`" in (ROOT / "docs" / "python.md").read_text("utf-8")
    assert f'main_of("{path.stem}")' in Path(__file__).read_text("utf-8"), "it is run by a test"


# ---- each


def test_a_recognition_that_is_sent_can_be_read(wiring: Wiring) -> None:
    main_of("send_recognition")(wiring.broker.removeprefix("kafka://"), wiring.prefix)
    (record,) = reader(wiring.model_copy(update={"broker": wiring.broker.replace("kafka:", "confluent:")}), ["recognitions"])
    event = decode(record, Policy())
    assert event.left_out == ()
    assert Recognition.model_validate_json(record.value or b"").household_id == "linden-1"


def test_a_hub_proves_who_opened_the_door(wiring: Wiring, tmp_path: Path) -> None:
    key = ProofKey(public_key=make_key(tmp_path / "lock-1.key"), factors=("event",))
    home = Story(policy=Policy(encoders=WORLD.encoders, proofs=Proofs(keys={"lock-1": key})))
    home.say("phone", phone_id="phone-anna", person_id="anna")
    event, brokers = home.see("anna"), wiring.broker.removeprefix("kafka://")
    names, now_ms = ("h", "anna", "phone-anna", event), home.desk.now + 1_000
    main_of("prove_by_event")(str(tmp_path / "lock-1.key"), *names, brokers, wiring.prefix, at=now_ms)
    there = wiring.model_copy(update={"broker": wiring.broker.replace("kafka:", "confluent:")})
    sent = [replace(record, timestamp=now_ms) for topic in ("sightings", "proofs") for record in reader(there, [topic])]
    outcomes = [home.run.play(record).outcomes for record in sent]
    assert outcomes == [["early"], ["used"], ["used"]]
    assert [answer["tier"] for answer in home.answers(event)][-1] == 5


def test_alerts_are_posted_each_once(wiring: Wiring, capsys: pytest.CaptureFixture[str]) -> None:
    alert = Alert(alert_id="a-1", household_id="h", state="opened", cause_kind="device", opened_at=START_MS, updated_at=START_MS,
                  severity="high", summary="The kitchen is deaf.", suggested_action="Look at it.", members=["h"], evidence={},
                  revision=0)  # type: ignore[call-arg]  # fmt: skip
    posted: list[Any] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with producer(wiring) as sender:
        sender.send(Record("drift-alerts", 0, 0, START_MS, b"a-1", alert.model_dump_json().encode()))
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        for _ in range(2):
            url = f"http://127.0.0.1:{server.server_port}/alerts"
            main_of("alerts_to_webhook")(url, wiring.broker, wiring.prefix, follow=False)
        server.shutdown()
    assert [event["data"]["alert_id"] for event in posted] == ["a-1"]
    assert capsys.readouterr().out == "opened high: The kitchen is deaf. Look at it.\n"


def test_a_device_recognises_by_what_was_published_and_forgets_who_left(wiring: Wiring) -> None:
    home = Household("linden-1")
    for person_id in ("ana", "ben"):
        home.tell(feedback.Join(person_id=person_id), at=START_MS)
    home.tell(feedback.Phone(phone_id="phone-ana", person_id="ana"), at=START_MS)
    home.recognise(phones=["phone-ana"], at=START_MS + 1000)
    with producer(wiring) as sender:
        for person_id, profile in home.profiles.items():
            sender.send(Record("profiles", 0, 0, START_MS, f"linden-1/{person_id}".encode(), profile.model_dump_json().encode()))
        sender.send(Record("profiles", 0, 0, START_MS, b"linden-1/ben", None))
    found = main_of("recognise_on_device")("linden-1", wiring.broker, wiring.prefix)
    assert sorted(found) == ["ana", "guest"]


def test_columns_of_a_replay_are_as_long_as_its_answers(log: Path, tmp_path: Path) -> None:
    columns = main_of("replay_to_columns")(str(log), str(tmp_path / "out"))
    answers = len((tmp_path / "out" / "identities.jsonl").read_text().splitlines())
    assert answers > 50
    assert {len(column) for column in columns.values()} == {answers}


def test_recordings_become_a_pack_a_card_and_a_policy(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(24), 6)
    vectors = rng.standard_normal((24, 32))[person] + 0.5 * rng.standard_normal((len(person), 32))
    np.savez(tmp_path / "recordings.npz", emb=vectors.astype("f4"), person=person.astype(str))
    policy = main_of("fit_own_encoder")(str(tmp_path / "recordings.npz"), str(tmp_path / "out"))
    assert policy.projection("mine-1").fitted
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["mine-1.md", "mine-1.npz", "policy.toml"]


def test_a_river_pipeline_learns_from_labels(log: Path, tmp_path: Path) -> None:
    assert main_of("own_river_model")(str(log), str(tmp_path / "out")) > 0.2


def test_a_river_model_in_the_policy_learns_whose_desk_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    main, own = main_of("own_model_in_policy"), main_of("own_model_in_policy").__globals__["OWN"]
    without = main(Policy())
    assert "own model" not in capsys.readouterr().out
    assert main(Policy(own_model=own)) > without + 0.3
    assert "the policy's own model      +3.00" in capsys.readouterr().out
