"""Start-up checks of Redis: each fault is made on purpose in a real server, found, and told with what would be right."""

from collections.abc import Callable
from pathlib import Path

import pytest
from redis import Redis as Client

from stream.contract.ports import BrokerError
from stream.contract.settings import RedisWiring
from stream.ops.checks import NotReady, State, refuse_failed
from stream.ops.local_cluster.processes import free_ports
from stream.ops.local_cluster.redis import Redis
from tests.ops.conftest import Cluster, amiss
from tests.support.redis_proxy import Proxy

PASSWORD = "not-to-be-told"


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"maxmemory-policy": "allkeys-lru"}, {"Redis: eviction": "failed"}),
        ({"appendonly": "no"}, {"Redis: persistence": "failed"}),
        ({"appendonly": "no", "save": "60 1"}, {"Redis: persistence": "warning"}),
    ],
    ids=str,
)
def test_a_redis_that_would_forget_is_found(
    own_redis: Callable[..., Redis], cluster: Cluster, settings: dict[str, str], wrong: dict[str, State]
) -> None:
    assert amiss(cluster.checks(store=own_redis(settings=settings).url)) == wrong


@pytest.mark.parametrize(("room", "state"), [(0.999, "failed"), (0.85, "warning")])
def test_a_redis_that_is_full_is_found(own_redis: Callable[..., Redis], cluster: Cluster, room: float, state: State) -> None:
    redis = own_redis()
    with Client(port=redis.port) as client:
        client.setrange("ballast", 50_000_000, "x")
        client.config_set("maxmemory", int(client.info()["used_memory"] / room))
    checks = cluster.checks(store=redis.url)
    assert amiss(checks) == {"Redis: memory": state}
    assert checks["Redis: memory"].passes, "a worker tries again until there is more"


def test_a_replica_is_found(own_redis: Callable[..., Redis], cluster: Cluster) -> None:
    replica = own_redis(settings={"replicaof": f"127.0.0.1 {own_redis().port}"})
    assert amiss(cluster.checks(store=replica.url)) == {"Redis: role": "failed"}


FULL_DISK = (b"aof_last_write_status:ok", b"aof_last_write_status:er", {"Redis: files": "failed"})
ANOTHER_CLOCK = (b"*2\r\n$10\r\n1", b"*2\r\n$10\r\n2", {"Redis: clock": "warning"})


@pytest.mark.parametrize(("told", "other", "wrong"), [FULL_DISK, ANOTHER_CLOCK], ids=["a full disk", "another clock"])
def test_what_a_redis_tells_is_believed(
    own_redis: Callable[..., Redis], cluster: Cluster, told: bytes, other: bytes, wrong: dict[str, State]
) -> None:
    with Proxy(own_redis().port, instead={told: other}) as proxy:
        assert amiss(cluster.checks(store=f"redis://127.0.0.1:{proxy.port}/0")) == wrong


@pytest.mark.parametrize(("series", "state"), [("5.0", "failed"), ("6.2", "warning")], ids=["too old", "old"])
def test_an_old_redis_is_told_whatever_is_installed_here(
    own_redis: Callable[..., Redis], cluster: Cluster, series: str, state: State
) -> None:
    redis = own_redis()
    with Client(port=redis.port) as client:
        own = client.info("server")["redis_version"]
    older = f"{series}.{'9' * (len(own) - len(series) - 1)}"  # as long: what the proxy changes keeps its length
    with Proxy(redis.port, instead={f"redis_version:{own}".encode(): f"redis_version:{older}".encode()}) as proxy:
        assert amiss(cluster.checks(store=f"redis://127.0.0.1:{proxy.port}/0")) == {"Redis: version": state}


def test_a_redis_that_does_not_answer_may_come_back(cluster: Cluster) -> None:
    url = f"redis://127.0.0.1:{free_ports(1)[0]}/0"
    checks = cluster.checks(store=url)
    assert amiss(checks) == {f"Redis at {url}": "failed"}
    with pytest.raises(BrokerError, match="cannot be reached"):
        refuse_failed(list(checks.values()))


def test_a_redis_that_does_not_let_us_in_is_the_operator_s_and_no_password_is_told(
    own_redis: Callable[..., Redis], cluster: Cluster
) -> None:
    redis = own_redis()
    with Client(port=redis.port) as client:
        client.config_set("requirepass", PASSWORD)
    wrong = RedisWiring.model_validate({"password": f"{PASSWORD}!"})
    checks = cluster.checks(store=redis.url, redis=wrong)
    assert amiss(checks) == {f"Redis at {redis.url}": "failed"}
    with pytest.raises(NotReady, match="refuses the name or the password"):
        refuse_failed(list(checks.values()))
    assert amiss(cluster.checks(store=redis.url.replace("//", f"//:{PASSWORD}@"))) == {}
    assert PASSWORD not in repr(checks)


def test_a_user_who_may_only_use_the_store_is_no_fault_but_a_warning(own_redis: Callable[..., Redis], cluster: Cluster) -> None:
    redis = own_redis()
    with Client(port=redis.port) as client:
        may = ["~*", "+@read", "+@write", "+@scripting", "+@connection"]
        client.execute_command("ACL", "SETUSER", "ann", "on", f">{PASSWORD}", *may)
    named = RedisWiring.model_validate({"username": "ann", "password": PASSWORD})
    assert amiss(cluster.checks(store=redis.url, redis=named)) == {"Redis": "warning"}


def test_a_file_as_a_store_is_a_warning(cluster: Cluster, tmp_path: Path) -> None:
    assert amiss(cluster.checks(store=str(tmp_path / "states.db"))) == {"store": "warning"}


# ---- this machine
