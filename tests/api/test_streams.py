"""Replays and subscriptions of a program of one's own."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stream import Household, Policy, feedback, replay, subscribe
from stream.api.streams import Tombstone
from stream.brokers.kafka.topics import producer
from stream.contract.errors import ConfigError
from stream.contract.records import Identity, Label, Profile, Record
from stream.contract.settings import Wiring
from stream.offline.simulation.sample import Sample, write_sample
from tests.conftest import Running

START_MS = 1_763_690_000_000


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sample(Sample(homes=2, days=4, seed=1), tmp_path_factory.mktemp("sample")).log


def test_a_replay_writes_what_the_worker_publishes_and_counts_it(log: Path, tmp_path: Path) -> None:
    summary = replay(log, tmp_path / "out")
    lines = (tmp_path / "out" / "identities.jsonl").read_text().splitlines()
    assert summary.finished
    assert len(lines) == summary.counts.outputs["identities"] > 50
    assert all(Identity(**json.loads(line)["value"]).policy_id == Policy().policy_id for line in lines)


def test_a_policy_of_a_replay_is_one_or_its_file(log: Path, tmp_path: Path) -> None:
    (tmp_path / "strict.toml").write_text("[tiers]\npersonal = 0.97\n")
    replay([log], tmp_path / "a", tmp_path / "strict.toml")
    replay([str(log)], tmp_path / "b", Policy.model_validate({"tiers": {"personal": 0.97}}))
    a, b = ((tmp_path / name / "identities.jsonl").read_bytes() for name in "ab")
    assert a == b
    with pytest.raises(ConfigError, match="policy"):
        replay(log, tmp_path / "c", "nowhere.toml")


def test_what_nobody_publishes_is_told(log: Path) -> None:
    with pytest.raises(ValueError, match=r"'identites' is nothing to subscribe to: one of identities, .*, alerts"):
        subscribe("identites")  # type: ignore[call-overload]


# ---- on a real Kafka


@pytest.fixture
def wiring(kafka: Running, topics: Callable[..., str]) -> Wiring:
    return Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=topics(partitions=1))


def publish(wiring: Wiring, topic: str, values: list[tuple[str, bytes | None]]) -> None:
    with producer(wiring) as sender:
        for offset, (key, value) in enumerate(values):
            sender.send(Record(topic, 0, offset, START_MS + offset, key.encode(), value))


@pytest.fixture
def home() -> Household:
    made = Household("linden-1")
    made.tell(feedback.Join(person_id="ana"), at=START_MS)
    for n in range(5):
        made.recognise(phones=["phone-ana"], at=START_MS + 1000 * n)
    return made


def test_a_group_goes_on_where_it_stood(wiring: Wiring, home: Household) -> None:
    answers = [*home.answers.values()]
    publish(wiring, "identities", [("linden-1", answer.model_dump_json().encode()) for answer in answers])
    group = f"{wiring.prefix}g"
    first = subscribe("identities", wiring, group=group, follow=False)
    assert [next(first), next(first), next(first)] == answers[:3]
    first.close()  # the third was in hand
    assert [*subscribe("identities", wiring, group=group, follow=False)] == answers[2:]
    assert [*subscribe("identities", wiring, group=group, follow=False)] == []
    assert [*subscribe("identities", wiring.broker, wiring.prefix, follow=False)] == answers, "nobody's group: all that is kept"


def test_profiles_come_with_those_that_are_to_be_forgotten(wiring: Wiring, home: Household) -> None:
    profile = home.profiles["ana"]
    publish(wiring, "profiles", [("linden-1/ana", profile.model_dump_json().encode()), ("linden-1/ben", None)])
    told: list[Any] = [*subscribe("profiles", wiring, follow=False)]
    assert told == [profile, Tombstone("linden-1", "ben")]
    assert isinstance(told[0], Profile)


def test_labels_come_typed_and_without_what_a_later_version_added(wiring: Wiring, caplog: pytest.LogCaptureFixture) -> None:
    label = Label(event_id="e", household_id="h", person_id="ana", probability=0.99, evidence=["voice"], revision=0,
                  cause={"topic": "recognitions", "partition": 0, "offset": 3})  # type: ignore[call-arg, arg-type]  # fmt: skip
    later = json.dumps(label.model_dump() | {"colour": "blue"}).encode()
    publish(wiring, "labels", [("h", later), ("h", b"not JSON")])
    assert [*subscribe("labels", wiring, follow=False)] == [label]
    assert "is no label that can be read" in caplog.text


def test_following_ends_when_it_is_told_to(wiring: Wiring, home: Household) -> None:
    answers = [*home.answers.values()]
    publish(wiring, "identities", [("linden-1", answer.model_dump_json().encode()) for answer in answers])
    found: list[Identity] = []
    for answer in subscribe("identities", wiring, follow=lambda: len(found) < len(answers)):
        found.append(answer)
    assert found == answers
