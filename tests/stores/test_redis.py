"""The store in a real Redis (or Valkey): one server, nodes of a cluster, a master behind sentinels, TLS; and what it says."""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract.errors import ConfigError
from stream.contract.ports import StateStore, StoreError
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import HOST, until
from stream.ops.local_cluster.redis import Redis
from stream.stores import open_store, without_secrets
from stream.stores.redis.client import RedisClient, open_redis
from stream.stores.redis.heartbeats import Heartbeats, open_heartbeats
from stream.stores.redis.url import RedisUrl
from tests.stores.conformance_store import FIRST, SECOND, START, OpenStore, StoreConformance
from tests.support.redis_forms import PATIENCE_S, Certificates, Sentineled, asked, certificates, cluster, sentineled, wiring
from tests.support.redis_proxy import Proxy

SECRET = "s3cr3t-w0rd"
OwnRedis = Callable[..., Redis]


class RedisConformance(StoreConformance):
    """The suite on a Redis of any form; each test has a group, and so states, of its own."""

    @pytest.fixture
    def url(self) -> str:
        raise NotImplementedError("the class of a form says where its servers are")

    @pytest.fixture
    def wired(self) -> Wiring:
        return wiring()

    @pytest.fixture
    def open_store(self, url: str, wired: Wiring) -> Iterator[OpenStore]:
        with ExitStack() as opened:
            yield lambda: opened.enter_context(closing(open_store(url, wired)))

    def test_groups_and_prefixes_do_not_see_each_other(self, url: str, wired: Wiring, store: StateStore) -> None:
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-1": b"one"})
        for other in (wired.model_copy(update={"prefix": "test."}), wired.model_copy(update={"group": f"{wired.group}x"})):
            with closing(open_store(url, other)) as strange:
                assert strange.partitions() == []
                assert strange.claim(0) == (1, {})
                assert strange.load(0, ["h-1"]) == {}

    def test_a_note_on_the_board_is_read_by_all_until_it_is_replaced_or_expires(self, url: str, wired: Wiring) -> None:
        heartbeats = open_heartbeats(url, wired)
        assert heartbeats is not None
        with closing(heartbeats), closing(Heartbeats(url, wired)) as reader:
            assert reader.all() == {}
            heartbeats.put("w-2", {"lag": 7, "partitions": [1, 2]}, ttl_s=600)
            heartbeats.put("w-1", {"lag": 1}, ttl_s=600)
            heartbeats.put("w-1", {"lag": 0}, ttl_s=600)
            heartbeats.put("w-0", {"lag": 3}, ttl_s=0.05)
            assert until(lambda: reader.all() == {"w-1": {"lag": 0}, "w-2": {"lag": 7, "partitions": [1, 2]}}, PATIENCE_S)
            assert list(reader.all()) == ["w-1", "w-2"]

    def test_of_a_note_that_expired_nothing_is_left(self, url: str, wired: Wiring) -> None:
        with closing(Heartbeats(url, wired)) as heartbeats, closing(open_redis(url, wired)) as client:
            heartbeats.put("w-0", {}, ttl_s=0.01)
            assert until(lambda: heartbeats.all() == {}, PATIENCE_S)
            heartbeats.put("w-1", {}, ttl_s=600)
            assert client.smembers(f"{{kithkin:{wired.prefix}:{wired.group}:workers}}:names") == {b"w-1"}


class TestOneServer(RedisConformance):
    @pytest.fixture
    def url(self, redis_url: str) -> str:
        return redis_url


class TestClusterOfOne(RedisConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def url(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        with cluster(tmp_path_factory.mktemp("cluster"), 1) as (node,):
            yield f"redis+cluster://{HOST}:{node.port}"


class TestClusterOfThree(RedisConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def url(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        with cluster(tmp_path_factory.mktemp("cluster"), 3) as nodes:
            yield f"redis+cluster://{','.join(f'{HOST}:{node.port}' for node in nodes)}"

    def test_partitions_lie_on_different_nodes(self, url: str, store: StateStore) -> None:
        for partition in range(12):
            store.save(partition, store.claim(partition).epoch, START, FIRST, {"h-1": b"%d" % partition})
        assert [store.load(partition, ["h-1"]) for partition in range(12)] == [{"h-1": b"%d" % p} for p in range(12)]
        assert all(asked(port, "DBSIZE") > 0 for _, port in RedisUrl.parse(url).hosts)


class TestBehindSentinels(RedisConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def url(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
        with sentineled(tmp_path_factory.mktemp("sentinel")) as watched:
            yield watched.url


class TestWithTls(RedisConformance):
    """Our side of TLS, with a certificate of our own; the server's side is Python's, since not every Redis has one."""

    @pytest.fixture(scope="class")
    @classmethod
    def files(cls, tmp_path_factory: pytest.TempPathFactory) -> Certificates:
        return certificates(tmp_path_factory.mktemp("tls") / "files")

    @pytest.fixture(scope="class")
    @classmethod
    def gate(cls, files: Certificates, redis_url: str) -> Iterator[Proxy]:
        with Proxy(RedisUrl.parse(redis_url).hosts[0][1], files.context(ask_client=True)) as gate:
            yield gate

    @pytest.fixture
    def url(self, gate: Proxy) -> str:
        return f"rediss://{HOST}:{gate.port}/0"

    @pytest.fixture
    def wired(self, files: Certificates) -> Wiring:
        return wiring(ca_file=files.ca, certificate_file=files.client[0], key_file=files.client[1])

    def test_a_certificate_of_a_stranger_is_not_trusted(self, url: str) -> None:
        assert "set redis.ca_file to who signed it" in _refusal(url, wiring())

    def test_a_server_that_asks_for_our_certificate_is_told(self, url: str, files: Certificates) -> None:
        assert "set redis.certificate_file and redis.key_file" in _refusal(url, wiring(ca_file=files.ca, retries_s=0.2))

    def test_a_certificate_of_another_name_is_not_trusted(self, gate: Proxy, wired: Wiring) -> None:
        assert "is of another name" in _refusal(f"rediss://localhost:{gate.port}/0", wired)

    def test_a_server_that_speaks_no_tls_is_told(self, redis_url: str) -> None:
        impatient = wiring(timeout_s=0.3, retries_s=0)
        assert "does not answer a TLS handshake" in _refusal(redis_url.replace("redis:", "rediss:"), impatient)


def test_when_the_master_dies_the_store_goes_on_with_its_replica(tmp_path: Path) -> None:
    with sentineled(tmp_path) as watched, closing(open_store(watched.url, wiring(timeout_s=2, retries_s=PATIENCE_S))) as store:
        epoch = store.claim(0).epoch
        store.save(0, epoch, START, FIRST, {"h-1": b"one"})
        assert until(lambda: _in_step(watched), PATIENCE_S)
        watched.master.kill()
        store.save(0, epoch, FIRST, SECOND, {"h-1": b"uno"})
        assert watched.master_port == watched.replica.port
        assert store.load(0, ["h-1"]) == {"h-1": b"uno"}


def _in_step(watched: Sentineled) -> bool:
    told = asked(watched.master.port, "INFO", "replication")
    return bool(told["slave0"]["offset"] == told["master_repl_offset"])


# ---- what Redis cannot do, in words


@pytest.fixture
def port(own_redis: OwnRedis) -> int:
    """Of a server that this test may set up as it likes."""
    return own_redis().port


def _refusal(url: str, wired: Wiring | None = None) -> str:
    """What a save says that cannot be; nothing of it is there, and it is not for want of patience."""
    with closing(open_store(url, wired or wiring(retries_s=0.2))) as store, pytest.raises(StoreError) as told:
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-1": b"one"})
    assert SECRET not in "".join(map(str, [told.value, told.value.__cause__, store.__dict__]))
    return str(told.value)


@pytest.mark.parametrize("given", ["", f":{SECRET}x@", f"nobody:{SECRET}@"])
def test_a_wrong_password_is_told_without_it(port: int, given: str) -> None:
    asked(port, "CONFIG SET", "requirepass", SECRET)
    told = _refusal(f"redis://{given}{HOST}:{port}/0")
    assert "refuses the name or the password: set redis.username and redis.password_file" in told


@pytest.mark.parametrize("where", ["url", "wiring", "file"])
def test_a_password_may_stand_in_three_places(port: int, where: str, tmp_path: Path) -> None:
    asked(port, "CONFIG SET", "requirepass", SECRET)
    (tmp_path / "password").write_text(f"{SECRET}\nmore\n")
    wired = {"url": wiring(), "wiring": wiring(password=SECRET), "file": wiring(password_file=tmp_path / "password")}[where]
    with closing(open_store(f"redis://{f':{SECRET}@' if where == 'url' else ''}{HOST}:{port}/0", wired)) as store:
        assert store.claim(0).epoch == 1
        assert SECRET not in repr(vars(store)["_client"])


def test_a_user_that_may_not_do_enough_is_told_what_is_needed(port: int) -> None:
    asked(port, "ACL SETUSER", "worker", "on", f">{SECRET}", "~{other}*", "+@all")
    assert "the keys `kithkin:*` and `{kithkin:*`" in _refusal(f"redis://worker:{SECRET}@{HOST}:{port}/0")


def test_a_user_that_may_do_what_is_told_is_enough(port: int) -> None:
    allowed = ["~kithkin:*", "~{kithkin:*", "+@read", "+@write", "+@scripting", "+@connection"]
    asked(port, "ACL SETUSER", "worker", "on", f">{SECRET}", *allowed)
    url, wired = f"redis://worker:{SECRET}@{HOST}:{port}/0", wiring()
    with closing(open_store(url, wired)) as store, closing(Heartbeats(url, wired)) as heartbeats:
        store.save(0, store.claim(0).epoch, START, FIRST, {"h-1": b"one"})
        assert (list(store.households(0)), store.load(0, ["h-1"])) == (["h-1"], {"h-1": b"one"})
        heartbeats.put("w-1", {}, ttl_s=60)
        assert heartbeats.all() == {"w-1": {}}


def test_a_database_that_is_not_there_is_told_at_once(port: int, caplog: pytest.LogCaptureFixture) -> None:
    assert "has no such database" in _refusal(f"redis://{HOST}:{port}/99", wiring(retries_s=PATIENCE_S))
    assert "asked again" not in caplog.text


def test_a_replica_is_told_from_its_master(port: int, own_redis: OwnRedis) -> None:
    asked(port, "REPLICAOF", HOST, own_redis().port)
    assert "is a replica, which takes no writes: name the master" in _refusal(f"redis://{HOST}:{port}/0")


def test_a_redis_that_cannot_write_its_files_is_told(own_redis: OwnRedis) -> None:
    server = own_redis(settings={"appendonly": "no", "save": "3600 1"})
    Path(asked(server.port, "CONFIG GET", "dir")["dir"], "dump.rdb").mkdir()  # where its copy should go
    asked(server.port, "SET", "other", "1")
    asked(server.port, "BGSAVE")
    assert until(lambda: asked(server.port, "INFO", "persistence")["rdb_last_bgsave_status"] == "err", PATIENCE_S)
    assert "cannot write its own files and so takes no writes: free its disk" in _refusal(server.url)
    server.kill()  # at a gentler word it would try to write first


def test_too_few_replicas_are_told(port: int) -> None:
    asked(port, "CONFIG SET", "min-replicas-to-write", 1)
    assert "has fewer good replicas than its `min-replicas-to-write`" in _refusal(f"redis://{HOST}:{port}/0")


def test_keys_of_another_program_are_left_alone(port: int) -> None:
    wired = wiring()
    asked(port, "SET", f"{{kithkin::{wired.group}:0}}:head", "mine")
    assert "holds something else under our keys" in _refusal(f"redis://{HOST}:{port}/0", wired)
    assert asked(port, "GET", f"{{kithkin::{wired.group}:0}}:head") == "mine"


def test_nobody_listening_is_told_with_the_place(own_redis: OwnRedis) -> None:
    server = own_redis()
    server.stop()
    told = _refusal(f"redis://:{SECRET}@{HOST}:{server.port}/0")
    assert re.search(rf"^redis://:\*\*\*@{HOST}:{server.port}/0 cannot be reached: .*refused", told)


def test_a_service_that_no_sentinel_knows_is_told(tmp_path: Path) -> None:
    with sentineled(tmp_path) as watched:
        assert "no sentinel answers that knows a healthy master" in _refusal(f"redis+sentinel://{HOST}:{watched.port}/others")


def test_a_cluster_and_a_single_server_are_told_apart(tmp_path: Path, redis_url: str) -> None:
    with cluster(tmp_path, 2) as nodes:
        port = nodes[0].port if asked(nodes[0].port, "CLUSTER KEYSLOT", "x") >= 8_192 else nodes[1].port
        client = RedisClient(f"redis://{HOST}:{port}", wiring())
        with pytest.raises(StoreError, match=r"is a node of a cluster: write its URL as redis\+cluster://"), closing(client):
            client.ask("GET", "x")
    assert "is no cluster: write its URL as redis://" in _refusal(redis_url.replace("redis:", "redis+cluster:"))


def test_a_cluster_without_all_slots_is_told(tmp_path: Path) -> None:
    with cluster(tmp_path, 1) as (node,):
        asked(node.port, "CLUSTER DELSLOTSRANGE", 0, 8_191)
        assert "does not serve all of its slots" in _refusal(f"redis+cluster://{HOST}:{node.port}")


def test_a_warning_is_logged_when_something_has_to_be_asked_again(own_redis: OwnRedis, caplog: pytest.LogCaptureFixture) -> None:
    server = own_redis()
    server.stop()
    with caplog.at_level(logging.WARNING, "stream"):
        _refusal(server.url)
    assert [record.getMessage().partition(" cannot")[0] for record in caplog.records] == [server.url]


# ---- URLs


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("redis://here", RedisUrl("single", False, (("here", 6379),), "", 0, None, None)),
        ("redis://here/", RedisUrl("single", False, (("here", 6379),), "", 0, None, None)),
        ("rediss://al%3Ace:p%40ss%2F@[::1]:6380/12", RedisUrl("single", True, (("::1", 6380),), "", 12, "al:ce", "p@ss/")),
        ("redis://:word@h:1/0", RedisUrl("single", False, (("h", 1),), "", 0, None, "word")),
        ("redis+sentinel://a,b:1/homes", RedisUrl("sentinel", False, (("a", 26379), ("b", 1)), "homes", 0, None, None)),
        ("rediss+sentinel://u:p@a/homes/3", RedisUrl("sentinel", True, (("a", 26379),), "homes", 3, "u", "p")),
        ("rediss+cluster://a:1,b:2/0", RedisUrl("cluster", True, (("a", 1), ("b", 2)), "", 0, None, None)),
    ],
)
def test_a_url_has_one_of_three_forms(url: str, parsed: RedisUrl) -> None:
    assert RedisUrl.parse(url) == parsed


@pytest.mark.parametrize(
    "url",
    [
        "redis://", "redis://a,b", "redis://a/homes", "redis://a:b", "redis://a/0?password=x", "redis+sentinel://a", "redis:/a",
        "redis+sentinel://a/homes/x", "redis+cluster://a/1", "redis+cluster://", "redis+mesh://a", "unix://a", "redis://a/0/1",
        "redis://a b", "redis://:secret word@a:port", "redis://a:0", "redis://a:65536", "redis+cluster://a:1,b:99999/0",
    ],
)  # fmt: skip
def test_a_url_of_no_form_is_refused_with_those_there_are(url: str) -> None:
    with pytest.raises(ConfigError, match=r"redis\+sentinel://HOST\[:PORT\],…/SERVICE\[/DB\]") as told:
        open_store(url)
    assert "secret word" not in str(told.value)


@given(st.text(), st.text(), st.sampled_from(["redis", "rediss+sentinel", "redis+cluster", "rubbish"]))
def test_no_password_is_ever_shown(before: str, after: str, scheme: str) -> None:
    password = before + SECRET + after
    for rest in ("alice:{}@host:1/0", ":{}@host", "host/0?password={}", "host#{}", "h:{}@x@y,z"):
        for begin in (f"{scheme}://", f"{scheme}:/", ""):
            assert SECRET not in without_secrets(begin + rest.format(password))


def test_what_may_be_a_password_without_a_name_is_not_shown_either() -> None:
    assert without_secrets(f"redis://{SECRET}@host") == "redis://***@host"


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"password_file": "missing"}, "redis.password_file"),
        ({"ca_file": "missing"}, "redis.ca_file"),
        ({"certificate_file": __file__}, "redis.certificate_file"),
        ({"key_file": __file__}, "redis.certificate_file"),
    ],
)
def test_a_file_that_is_not_there_is_told_before_anything_is_connected(settings: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError) as told:
        open_store("rediss://nowhere.invalid", wiring(**settings))
    assert told.value.key == key


def test_a_plain_client_is_connected_as_the_stores_are(redis_url: str) -> None:
    with closing(open_redis(redis_url, wiring())) as client:
        assert client.info("server")["redis_version"]


@pytest.mark.parametrize("url", ["memory:", "states.db"])
def test_a_store_that_is_not_redis_has_no_board(url: str) -> None:
    assert open_heartbeats(url, wiring()) is None
