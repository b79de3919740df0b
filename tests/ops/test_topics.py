"""The topics of the contract in a real Kafka: made once, never changed."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stream.cli import app
from stream.contract.errors import ConfigError
from stream.contract.ports import BrokerError
from stream.contract.records import MODELS
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import until
from stream.ops.topics import TOPICS, TopicFound, administration, create, find_topics
from tests.conftest import Running


@pytest.fixture
def wiring(kafka: Running) -> Wiring:
    """A prefix of its own on the shared Kafka."""
    return Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=f"t{uuid.uuid4().hex[:12]}.")


def there(wiring: Wiring) -> dict[str, TopicFound]:
    with administration(wiring) as admin:
        return find_topics(wiring, admin)


def delete(wiring: Wiring, topic: str) -> None:
    with administration(wiring) as admin:
        admin.delete_topics([wiring.prefix + topic])[wiring.prefix + topic].result(10)
        assert until(lambda: topic not in find_topics(wiring, admin), 10)


def test_there_is_a_topic_for_every_record_of_the_contract() -> None:
    assert {topic.name for topic in TOPICS} == set(MODELS)


def test_what_create_makes_is_what_is_found(wiring: Wiring) -> None:
    made = create(wiring, partitions=3)
    assert [(topic.name, topic.made, topic.partitions) for topic in made] == [(wiring.prefix + t.name, True, 3) for t in TOPICS]
    stands = there(wiring)
    assert list(stands) == [topic.name for topic in TOPICS]
    for topic in TOPICS:
        asked = topic.settings(replication=1)
        assert (stands[topic.name].partitions, stands[topic.name].replication) == (3, 1)
        assert {key: stands[topic.name].settings[key] for key in asked} == asked


def test_made_again_nothing_changes(wiring: Wiring) -> None:
    create(wiring, partitions=2)
    before = there(wiring)
    assert [topic.made for topic in create(wiring, partitions=2)] == [False] * len(TOPICS)
    assert there(wiring) == before


def test_only_what_is_missing_is_made(wiring: Wiring) -> None:
    create(wiring, partitions=2)
    delete(wiring, "labels")
    assert [topic.name for topic in create(wiring, partitions=2) if topic.made] == [f"{wiring.prefix}labels"]


def test_both_schemes_make_the_same(wiring: Wiring) -> None:
    create(wiring.model_copy(update={"broker": wiring.broker.replace("confluent", "kafka")}), partitions=2)
    assert not any(topic.made for topic in create(wiring, partitions=2))


def test_two_who_make_them_at_once_make_each_topic_once(wiring: Wiring) -> None:
    with ThreadPoolExecutor() as pool:
        made = [topic.name for result in pool.map(lambda _: create(wiring, 2), range(4)) for topic in result if topic.made]
    assert sorted(made) == sorted(wiring.prefix + topic.name for topic in TOPICS)


@pytest.mark.parametrize("other", [1, 4], ids=["fewer", "more"])
def test_the_number_of_partitions_does_not_change_and_nothing_is_made(wiring: Wiring, other: int) -> None:
    create(wiring, partitions=2)
    delete(wiring, "labels")
    before = there(wiring)
    with pytest.raises(ConfigError, match=r"should be 2 as they have.*households would move.*kithkin topics grow"):
        create(wiring, partitions=other)
    assert there(wiring) == before


def test_more_copies_than_brokers_are_refused(wiring: Wiring) -> None:
    with pytest.raises(ConfigError, match=r"replication = 3 \(1 brokers\).*at most 1"):
        create(wiring, partitions=2, replication=3)
    assert there(wiring) == {}


def test_a_broker_that_is_not_there_is_told_by_its_address() -> None:
    nowhere = Wiring(broker="kafka://127.0.0.1:1")
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1 .*refused"), administration(nowhere) as admin:
        admin.list_topics(timeout=1)


def test_the_command_says_what_it_made_what_was_there_and_what_it_refuses(wiring: Wiring) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, ["topics", *arguments, "--broker", wiring.broker, "--prefix", wiring.prefix])
        return result.exit_code, result.output

    code, told = run("create", "--partitions", "2")
    assert (code, told.count("made ")) == (0, len(TOPICS))
    code, told = run("create", "--partitions", "2")
    assert (code, told.count("was there ")) == (0, len(TOPICS))
    code, told = run("create", "--partitions", "3")
    assert (code, "partitions = 3" in told) == (2, True)
    code, told = run("check")
    assert (code, "failed" in told, "2 in every topic" in told) == (0, False, True)


def test_the_documentation_tells_whoever_makes_topics_by_other_means(root: Path) -> None:
    rows = [line.split(" | ") for line in (root / "docs" / "cluster.md").read_text().splitlines() if line.startswith("| `")]
    told = {name.strip("`| "): (row[2], row[3].removesuffix(" |")) for row in rows if len(row) == 4 for name in row[0].split(",")}
    assert told == {t.name: (t.cleanup, f"{t.days} days" if t.days else "the newest of each") for t in TOPICS}
