"""`up`, `feed` and `identities`: from nothing to answers on the screen, and back to nothing but what was learnt."""

import json
import logging
import os
import re
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest
import redis
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from stream.brokers.kafka.topics import producer, reader
from stream.cli.connection import refuse_missing, wiring_in_force
from stream.cli.live.feed import pace
from stream.cli.live.identities import line_of as told_of
from stream.cli.live.identities import moment_ms
from stream.contract.errors import ConfigError
from stream.contract.ports import BrokerError
from stream.contract.records import INPUT_TOPICS, Cause, Identity, Record
from stream.contract.settings import Wiring
from stream.ops.local_cluster.local import Wish, prepare_service
from stream.ops.local_cluster.place import Place, default_folder
from stream.ops.local_cluster.processes import ClusterError, is_free, until
from stream.ops.status import Status, readable
from tests.cli.test_cli import run
from tests.conftest import Running
from tests.support.recorded import line_of, recorded, recorded_lines, write_log

START_S, ANSWER_S, END_S = 120, 60, 20  # on a machine that has much else to do
KITHKIN = [sys.executable, "-m", "stream.cli"]


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """A command may silence a log for the rest of its process, which is here that of the next test too."""
    yield
    logging.getLogger("stream.brokers").setLevel(logging.NOTSET)


@dataclass
class Up:
    """A `kithkin up` that said how to use it."""

    process: subprocess.Popen[str]
    said: Path
    place: Place

    @property
    def ports(self) -> list[int]:
        filed = tomllib.loads(self.place.wiring_file.read_text())
        return [int(filed[name].removesuffix("/0").rpartition(":")[2]) for name in ("broker", "store")]

    @property
    def api(self) -> str:
        return self.place.service.home_url

    def end(self, number: signal.Signals) -> int:
        """Signal it; its exit code, after everything it started has gone."""
        ports = [*self.ports, *([urlsplit(self.api).port or 0] if self.api else [])]
        self.process.send_signal(number)
        code = self.process.wait(END_S)
        assert until(lambda: all(map(is_free, ports)), END_S), "a server outlived it"
        return code


@contextmanager
def up(folder: Path, *more: str) -> Iterator[Up]:
    said = folder.parent / f"{folder.name}.said"
    with said.open("w") as output:
        process = subprocess.Popen([*KITHKIN, "up", "--dir", str(folder), *more], stdout=output, stderr=output, text=True)
    try:
        assert until(lambda: process.poll() is not None or "kithkin status" in said.read_text(), START_S)
        assert process.poll() is None, said.read_text()
        yield Up(process, said, Place(folder))
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def folder(kafka: Running, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default folder of `up`, of a user without any data. Where no cluster can be had, `kafka` says so."""
    monkeypatch.setenv("JGO_CACHE_DIR", os.environ.get("JGO_CACHE_DIR") or str(Path.home() / ".cache" / "jgo"))  # made once
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KITHKIN_BROKER", raising=False)
    default_folder().parent.mkdir(parents=True)
    return default_folder()


def answers() -> list[str]:
    """Revision 0 of what was published, by event, as `identities` shows it without any flag."""
    lines = map(json.loads, run("identities", "--json").splitlines())
    return sorted(f"{line['key']} {line['value']['event_id']}" for line in lines if line["value"]["revision"] == 0)


def test_from_nothing_to_answers_and_on_after_a_stop_until_a_part_is_lost(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nobody enters without the passwords, which are told nowhere."""
    for table in ("KAFKA", "REDIS"):  # of other servers: neither the worker nor who looks takes them for these
        monkeypatch.setenv(f"KITHKIN_{table}__PASSWORD", "of-another")
    log = write_log(tmp_path / "log.jsonl", recorded_lines())
    run("replay", log, "--out", tmp_path / "replayed")
    lines = map(json.loads, (tmp_path / "replayed" / "identities.jsonl").read_text().splitlines())
    expected = sorted(f"{line['key']} {line['value']['event_id']}" for line in lines if line["value"]["revision"] == 0)
    with up(folder) as cluster:
        assert until(lambda: "Ready" in cluster.said.read_text(), ANSWER_S)
        run("feed", log)
        assert until(lambda: answers() == expected, ANSWER_S)
        address = cluster.api
        assert (urlsplit(address).hostname, f"{address}/docs" in cluster.said.read_text()) == ("127.0.0.1", True)
        assert until(lambda: "/page/#" in cluster.said.read_text(), ANSWER_S)
        (link,) = re.findall(rf"^ *({address}/page/#\S+)$", cluster.said.read_text(), re.MULTILINE)
        assert [opens(link), opens(link)] == [204, 401], "a link works once"
        assert opens(run("home-link", min(answers()).split()[0]).splitlines()[0]) == 204
        (home, event), *_ = (answer.split() for answer in answers())
        assert "no such action" not in run("decide", home, event, "playlist.play"), "by the policy that was made"
        refuse_strangers(cluster, folder)
        told = [run("status"), run("doctor"), cluster.said.read_text(), repr(wiring_in_force(None)), *arguments_of_all()]
        assert cluster.end(signal.SIGINT) == 0
    assert find_passwords(folder, told) == []
    with up(folder) as cluster:
        assert cluster.api == address
        assert answers() == expected
        run("feed", log)
        assert until(lambda: json.loads(run("status", "--json"))["lag"] == 0, ANSWER_S)
        assert answers() == expected  # its events were known
        redis_pid = (folder / "redis" / "redis.log").read_text().rpartition("pid=")[2].partition(",")[0]
        os.kill(int(redis_pid), signal.SIGKILL)
        assert cluster.process.wait(END_S) == 1
        assert "Redis has ended" in cluster.said.read_text()
        assert all(map(is_free, cluster.ports))


def opens(link: str) -> int:
    """What a browser is answered that opens a link to a home's page."""
    url, _, token = link.partition("#")
    headers = {"X-Kithkin-Page": "1", "Content-Type": "application/json"}
    try:
        with urlopen(Request(f"{url}session", json.dumps({"token": token}).encode(), headers), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as refused:
        refused.close()
        return refused.code


def test_a_cluster_ends_with_its_terminal_and_runs_once_in_a_folder(folder: Path) -> None:
    with up(folder, "--workers", "2", "--no-api") as cluster:
        assert not (folder / "service").exists()
        assert not cluster.place.policy_file.exists()
        refused = run("up", code=1)
        assert all(f":{port}" in refused for port in cluster.ports)
        (port, _) = cluster.ports
        assert f"127.0.0.1:{port}" in run("up", "--dir", folder.parent / "other", "--kafka-port", str(port), code=1)
        refused = run("up", "--dir", folder.parent / "third", "--redis-port", str(port), code=1)
        assert f"127.0.0.1:{port}" in refused
        assert cluster.end(signal.SIGKILL) == -signal.SIGKILL
    assert not Place(folder).running


def refuse_strangers(cluster: Up, folder: Path) -> None:
    """Nobody enters Kafka, its controller or Redis without a password."""
    kafka_port, redis_port = cluster.ports
    settings = (folder / "kafka" / "node-0" / "server.properties").read_text()
    (controller,) = re.findall(r"CONTROLLER://(\S+?:\d+)", settings)
    for entrance in ({"bootstrap.servers": f"127.0.0.1:{kafka_port}"}, {"bootstrap.controllers": controller}):
        with pytest.raises(KafkaException):
            AdminClient({**entrance, "log_level": 0}).describe_cluster(request_timeout=2).result(5)
    with redis.Redis(port=redis_port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def find_passwords(folder: Path, told: list[str]) -> list[str]:
    """Where a password stands among what was told and in files that are not for it; these are for their owner alone."""
    passwords = [(folder / f"{server}.password").read_text().strip() for server in ("kafka", "redis")]
    assert min(map(len, passwords)) >= 32
    passwords += [(folder / "service" / name).read_text().strip() for name in ("service.key", "api-1.key")]
    holders = {"kafka.password", "redis.password", "server.properties", "redis.conf", "service.key", "api-1.key"}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.stat().st_mode & 0o777 for path in files if path.name in holders} == {0o600}
    told = told + [path.read_bytes().decode(errors="replace") for path in files if path.name not in holders]
    return [text[:200] for text in told for password in passwords if password in text]


def arguments_of_all() -> list[str]:
    """The arguments of every process of this machine, as `ps` shows them."""
    listed = subprocess.run(["ps", "-Awwo", "args="], capture_output=True, text=True, check=True).stdout
    assert "redis" in listed
    return listed.splitlines()


def test_what_is_wrong_is_said_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text("no_such_key = 1")
    assert "no_such_key" in run("up", "--dir", tmp_path / "never", "--policy", tmp_path / "policy.toml", code=2)
    assert not (tmp_path / "never").exists()


def test_wrong_settings_of_the_service_are_said_before_anything_starts(tmp_path: Path) -> None:
    place = Place(tmp_path / "up")
    place.service.make("http://127.0.0.1:8095")
    place.service.settings_file.write_text(f"{place.service.settings_file.read_text()}\nno_such_key = 1")
    assert "no_such_key" in run("up", "--dir", place.folder, code=2)
    place.policy_file.write_text("nor_this = 1")
    assert "nor_this" in run("up", "--dir", place.folder, "--no-api", code=2)
    assert not (place.folder / "kafka").exists()


def test_with_a_policy_of_ones_own_the_api_runs_once_that_lists_its_key(tmp_path: Path) -> None:
    place, own = Place(tmp_path / "up"), tmp_path / "own.toml"
    own.write_text("")
    port, why = prepare_service(place, Wish(place.folder, policy=own))
    assert (port, place.service.key_lines in why) == (None, True)
    own.write_text(place.service.key_lines)
    assert prepare_service(place, Wish(place.folder, policy=own)) == (urlsplit(place.service.home_url).port, "")
    assert prepare_service(place, Wish(place.folder, api=False)) == (None, "")


def test_the_api_stays_where_it_was_unless_somebody_is_there(tmp_path: Path) -> None:
    place = Place(tmp_path / "up")
    first, _ = prepare_service(place, Wish(place.folder))
    secret = (tmp_path / "up" / "service" / "service.key").read_bytes()
    assert prepare_service(place, Wish(place.folder))[0] == first
    with socket.create_server(("127.0.0.1", first or 0)):
        moved, _ = prepare_service(place, Wish(place.folder))
        with pytest.raises(ClusterError, match="--api-port"):
            prepare_service(place, Wish(place.folder, api_port=first))
    assert place.service.home_url == f"http://127.0.0.1:{moved}" != f"http://127.0.0.1:{first}"
    assert (tmp_path / "up" / "service" / "service.key").read_bytes() == secret
    text = place.service.settings_file.read_text()
    place.service.settings_file.write_text(text.replace(place.service.home_url, "https://home.example"))
    prepare_service(place, Wish(place.folder))
    assert place.service.home_url == "https://home.example", "behind a proxy, and not ours to change"


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClusterError, match="cannot hold a cluster's data"), Place(tmp_path / "file" / "in-it").hold():
        pass


# Which cluster a command speaks to


def test_a_running_cluster_is_found_unless_someone_says_where_the_brokers_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KITHKIN_BROKER", raising=False)
    place, default = Place(default_folder()), Wiring().broker
    own = tmp_path / "own.toml"
    own.write_text('broker = "kafka://own:1"')
    with place.hold():
        assert wiring_in_force(None).broker == default, "it has only begun to start"
        place.wiring_file.write_text('broker = "confluent://running:1"')
        assert wiring_in_force(None).broker == "confluent://running:1"
        assert wiring_in_force(None, prefix="p.").prefix == "p."
        assert wiring_in_force(own).broker == "kafka://own:1"
        assert wiring_in_force(None, broker="kafka://flag:1").broker == "kafka://flag:1"
        monkeypatch.setenv("KITHKIN_BROKER", "kafka://variable:1")
        assert wiring_in_force(None).broker == "kafka://variable:1"
        monkeypatch.delenv("KITHKIN_BROKER")
    assert wiring_in_force(None).broker == default, "it has ended"


def test_topics_that_are_missing_are_named(kafka: Running) -> None:
    with pytest.raises(ConfigError, match=r"no\.such\.feedback"):
        refuse_missing(Wiring(broker=f"confluent://{kafka.bootstrap}", prefix="no.such."), INPUT_TOPICS)


def test_brokers_that_do_not_answer_are_named() -> None:
    with pytest.raises(BrokerError, match=r"127\.0\.0\.1:1"):
        refuse_missing(Wiring(broker="confluent://127.0.0.1:1"), INPUT_TOPICS)


class Homes:
    """A store that counts how often it is asked; there is a home once `households` has one."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self.asked = 0

    def partitions(self) -> list[int]:
        self.asked += 1
        return [0]

    def households(self, partition: int) -> list[str]:
        return self.found

    def close(self) -> None:
        pass


def test_homes_are_asked_for_over_one_connection_and_only_where_there_may_be_a_new_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """At first, for there may be some from before, and then once the workers say that something came."""
    homes, over = Homes(), Event()
    opened: list[str] = []
    told: list[str] = []
    events = iter([0, 0, 0, 3, 4, 5])

    def open_store(url: str, wiring: Wiring) -> Homes:
        opened.append(url)
        return homes

    def looks(*_: object) -> Status:
        count = next(events)
        homes.found = ["h-1"] * (count > 3)
        return Status({"w": readable({"partitions": [0], "events": count})}, {0: 0})

    monkeypatch.setattr("stream.ops.status.look", looks)
    monkeypatch.setattr("stream.ops.status.observe", lambda wiring: nullcontext())
    monkeypatch.setattr("stream.stores.open_store", open_store)
    monkeypatch.setattr("stream.stores.redis.heartbeats.open_heartbeats", lambda url, wiring: Homes())
    monkeypatch.setattr("stream.runtime.service.settings.load_service", lambda path: None)
    monkeypatch.setattr("stream.runtime.service.page.sessions.link_to", lambda settings, home, now_ms: f"of {home}")
    up_module = sys.modules["stream.cli.live.up"]
    monkeypatch.setattr(up_module, "_EVERY_S", 0)
    cluster: Any = SimpleNamespace(
        wiring=Wiring(store="redis://127.0.0.1:1/0"), partitions=1, api=SimpleNamespace(answers=True),
        place=SimpleNamespace(service=SimpleNamespace(settings_file=None)),
    )  # fmt: skip
    up_module._look(cluster, None, over, told.append)
    assert [line.rpartition(" ")[2].partition("[")[0] for line in told] == ["now.", "h-1"]
    assert (len(opened), homes.asked) == (1, 3)


# feed


@pytest.fixture
def wiring(kafka: Running, topics: Callable[..., str]) -> Wiring:
    return Wiring(broker=f"confluent://{kafka.bootstrap}", prefix=topics(4))


def flags(wiring: Wiring) -> list[str]:
    return ["--broker", wiring.broker, "--prefix", wiring.prefix]


def test_what_is_fed_stands_in_every_partition_as_it_stood_in_the_log(wiring: Wiring, tmp_path: Path) -> None:
    world = tmp_path / "world"
    world.mkdir()
    write_log(world / "log.jsonl", recorded_lines())
    told = run("feed", world, *flags(wiring))
    assert f"{len(recorded()):,} events sent" in told
    places = {(r.topic, r.partition, r.offset): (r.key, r.value) for r in reader(wiring, INPUT_TOPICS)}
    assert places == {(r.topic, r.partition, r.offset): (r.key, r.value) for r in recorded()}


def test_a_simulated_neighbourhood_needs_no_log(wiring: Wiring) -> None:
    run("feed", "--simulate", "3", "--days", "4", "--seed", "1", *flags(wiring))
    assert {(r.key, r.value) for r in reader(wiring, INPUT_TOPICS)} == {(r.key, r.value) for r in recorded(seed=1)}


@pytest.mark.parametrize("arguments", [[], ["log.jsonl", "--simulate", "3"], ["log.jsonl", "--rate", "1", "--speed", "1"]])
def test_what_cannot_be_fed_is_said(arguments: list[str]) -> None:
    assert "it should be" in run("feed", *arguments, code=2)


def test_a_rate_is_kept_and_no_event_comes_early() -> None:
    began_s = time.monotonic()
    due_s = [time.monotonic() - began_s for _ in pace(recorded()[:21], rate=100, speed=None, stop=lambda: False)]
    assert all(at_s >= number / 100 for number, at_s in enumerate(due_s))


def test_recorded_time_is_kept_at_a_speed() -> None:
    records = recorded()[:40]
    span_ms = max(r.timestamp for r in records) - records[0].timestamp
    began_s = time.monotonic()
    assert list(pace(records, rate=None, speed=span_ms / 200, stop=lambda: False)) == list(records)
    assert time.monotonic() - began_s >= 0.2


def test_an_interruption_ends_a_long_wait() -> None:
    sent = []
    for record in pace(recorded(), rate=0.001, speed=None, stop=lambda: bool(sent)):
        sent.append(record)
    assert sent == [recorded()[0]]


# identities


def identity(tier: int, person: str | None, revision: int = 0) -> Identity:
    return Identity(
        event_id="e-1", household_id="h-042", observed_at=1763690000123, revision=revision,
        posterior={"alice": 0.91, "guest": 0.09}, person_id=person, tier=tier, modalities=["voice", "phone"],
        policy_id="0", cause=Cause(topic="recognitions", partition=0, offset=7),
    )  # fmt: skip


def test_a_line_says_when_where_who_how_sure_and_by_what() -> None:
    assert told_of(identity(2, "alice")).plain.split() == [
        "2025-11-21", "01:53:20", "h-042", "alice", "91%", "2", "personal", "voice,", "phone",
    ]  # fmt: skip
    assert "alice?" in told_of(identity(0, None)).plain
    assert told_of(identity(1, None, revision=2)).plain.endswith("(revised)")


def test_a_moment_is_so_long_ago_or_a_date() -> None:
    assert [moment_ms(told, now_s=1e6) for told in ("90s", "10m", "2h", "3d")] == [999910000, 999400000, 992800000, 740800000]
    assert moment_ms("2025-11-21T03:53:20+02:00", now_s=0) == moment_ms("2025-11-21T01:53:20", now_s=0) == 1763690000000
    with pytest.raises(ConfigError, match="yesterday"):
        moment_ms("yesterday", now_s=0)


@pytest.fixture
def published(wiring: Wiring, tmp_path: Path) -> list[Record]:
    """Answers on a real broker."""
    run("replay", write_log(tmp_path / "log.jsonl", recorded_lines()), "--out", tmp_path / "out")
    with producer(wiring) as sender:
        for line in map(json.loads, (tmp_path / "out" / "identities.jsonl").read_text().splitlines()):
            value = json.dumps(line["value"]).encode()
            sender.send(Record(line["topic"], 0, 0, line["timestamp"], line["key"].encode(), value))
    return list(reader(wiring, ["identities"]))


def test_what_was_published_is_shown_as_whole_records_or_as_lines(published: list[Record], wiring: Wiring) -> None:
    lines = run("identities", "--json", *flags(wiring)).encode().splitlines(keepends=True)
    assert sorted(lines) == sorted(map(line_of, published))
    told = run("identities", *flags(wiring)).splitlines()
    expected = [told_of(Identity.model_validate_json(record.value or b"")).plain for record in published]
    assert sorted(line.rstrip() for line in told) == sorted(line.rstrip() for line in expected)


def test_one_household_or_one_time_can_be_asked_for(published: list[Record], wiring: Wiring) -> None:
    household = (published[0].key or b"").decode()
    shown = run("identities", "--json", "--household", household, *flags(wiring)).encode().splitlines(keepends=True)
    assert shown == [line_of(record) for record in published if record.key == published[0].key]
    assert len(run("identities", "--since", "1h", *flags(wiring)).splitlines()) == len(published)
    assert run("identities", "--since", "2999-01-01", *flags(wiring)) == ""


def test_followed_answers_are_shown_as_they_come(wiring: Wiring, tmp_path: Path) -> None:
    said = tmp_path / "said"
    with said.open("w") as output:
        process = subprocess.Popen([*KITHKIN, "identities", "--follow", "--since", "1h", "--json", *flags(wiring)], stdout=output)
    try:
        for number in range(3):
            value = identity(2, "alice", revision=number).model_dump_json().encode()
            with producer(wiring) as sender:
                sender.send(Record("identities", 0, 0, 0, b"h-042", value))
            assert until(lambda count=number + 1: said.read_text().count("\n") == count, ANSWER_S)
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 0
