"""What is asked of the Redis that holds the states: that it loses nothing it confirmed, and says so when it is full.

Law: nothing is written. What this user may not ask is a warning, since a store needs no more than to read and write.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from redis import Redis, RedisCluster
from redis.exceptions import NoPermissionError, RedisClusterException, RedisError

from stream.contract.settings import Wiring
from stream.stores.redis.client import open_redis
from stream.stores.redis.faults import fault_of
from stream.stores.redis.url import without_secrets

from .check import Check, judge

__all__ = ["redis_checks"]

_VERSION_MIN: Final = (6, 2)
_VERSION_WANTED: Final = (7, 0)
_FULL_SHARE: Final = 0.95  # of the memory: a write is about to be refused
_TIGHT_SHARE: Final = 0.75  # a copy for the append-only file's rewriting may not fit beside it
_SKEW_S_MAX: Final = 2.0


def redis_checks(url: str, wiring: Wiring) -> Iterator[Check]:
    """Checks of every server that may hold states: one, or the masters of a cluster. Raises ConfigError."""
    name = f"Redis at {without_secrets(url)}"
    try:
        client = open_redis(url, wiring)
        try:
            servers = _servers(client)
            yield judge(name, f"answers, {len(servers)} master{'s' if len(servers) > 1 else ''}")
            for place, server in servers.items():
                yield from _server(f"Redis {place}".strip(), server)
        finally:
            client.close()
    except (RedisError, RedisClusterException, OSError) as error:
        fault = fault_of(error)
        yield Check(name, "failed", fault.sentence, "a Redis that answers and lets us in", fault.passes)


def _servers(client: Redis | RedisCluster) -> dict[str, Redis]:
    """A client for each server that takes writes, by its place; a place of "" needs none."""
    if isinstance(client, RedisCluster):
        return {node.name: client.get_redis_connection(node) for node in client.get_primaries()}
    client.ping()
    return {"": client}


def _server(name: str, server: Redis) -> Iterator[Check]:
    try:
        told: Mapping[str, Any] = server.info()
        clock = _clock(name, server)
    except NoPermissionError:
        right = "an ACL with +info +time +config|get for this user, so that persistence and eviction can be checked"
        yield judge(name, "tells this user nothing of itself", warning=right)
        return
    yield _version(name, told)
    yield _role(name, told)
    yield _persistence(name, server, told)
    yield _files_written(name, told)
    policy = told["maxmemory_policy"]
    right = "noeviction: any other forgets households to make room (CONFIG SET maxmemory-policy noeviction, and in its file)"
    yield judge(f"{name}: eviction", policy, failed="" if policy == "noeviction" else right)
    yield _memory(name, told)
    yield clock


def _version(name: str, told: Mapping[str, Any]) -> Check:
    text = told["redis_version"]
    numbers = tuple(map(int, text.split(".")[:2]))
    found = f"Valkey {told['valkey_version']}, as Redis {text}" if "valkey_version" in told else text
    return judge(
        f"{name}: version",
        found,
        failed="" if numbers >= _VERSION_MIN else "7 or newer; 6.2 at least",
        warning="" if numbers >= _VERSION_WANTED else "7 or newer",
    )


def _role(name: str, told: Mapping[str, Any]) -> Check:
    right = "" if told["role"] == "master" else "a master: name it in the URL, or its sentinels with redis+sentinel://"
    return judge(f"{name}: role", "master" if told["role"] == "master" else "replica", failed=right)


def _persistence(name: str, server: Redis, told: Mapping[str, Any]) -> Check:
    name = f"{name}: persistence"
    if told["aof_enabled"]:
        return judge(name, "append-only file")
    try:
        snapshots = server.config_get("save")["save"]
    except NoPermissionError:
        right = "appendonly yes; or +config|get for this user, to see whether there are snapshots"
        return judge(name, "no append-only file; of snapshots nothing is told", warning=right)
    if snapshots:
        right = "appendonly yes: after a crash of Redis all since the last snapshot is applied again from the journal"
        return judge(name, f"snapshots only (save {snapshots})", warning=right)
    right = "appendonly yes, in its file or on its command line: with none, a restart of Redis forgets every household"
    return judge(name, "none", failed=right)


def _files_written(name: str, told: Mapping[str, Any]) -> Check:
    states = {key: told.get(f"{key}_status") for key in ("aof_last_write", "aof_last_bgrewrite", "rdb_last_bgsave")}
    bad = [key for key, state in states.items() if state not in ("ok", None)]
    right = "that Redis can write its files: see its log, and the room on its disk"
    check = judge(f"{name}: files", f"failed: {', '.join(bad)}" if bad else "written", failed=right if bad else "")
    return replace(check, passes=True)


def _memory(name: str, told: Mapping[str, Any]) -> Check:
    used, most = told["used_memory"], told["maxmemory"] or told.get("total_system_memory", 0)
    whose = "maxmemory" if told["maxmemory"] else "the machine's"
    if not most:
        return judge(f"{name}: memory", f"{_mib(used)} used; how much there is, is not told")
    share = used / most
    right = "more of it: households never expire"
    check = judge(
        f"{name}: memory",
        f"{_mib(used)} of {_mib(most)} ({whose}), {share:.0%}",
        failed=right if share > _FULL_SHARE else "",
        warning=right if share > _TIGHT_SHARE else "",
    )
    return replace(check, passes=True)  # a worker that ended because of it is to begin again when there is more


def _mib(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _clock(name: str, server: Redis) -> Check:
    asked_at_s = time.time()
    seconds, micros = server.time()
    halfway_s = (asked_at_s + time.time()) / 2
    skew_s = seconds + micros / 1e6 - halfway_s
    right = f"less than {_SKEW_S_MAX:g} s: latencies and lag would be told wrongly (answers are not); set both by NTP"
    return judge(f"{name}: clock", f"{skew_s:+.1f} s against this machine's", warning=right if abs(skew_s) > _SKEW_S_MAX else "")
