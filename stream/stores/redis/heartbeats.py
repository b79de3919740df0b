"""Heartbeats: what the workers of a cluster write of how they are, for whoever asks.

Law: what is written here decides nothing and is gone when its writer is: a note without a sequel expires by itself.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from stream.contract.settings import Wiring

from .client import RedisClient, Script
from .url import is_redis

__all__ = ["Heartbeats", "open_heartbeats"]

# KEYS: index, note   ARGV: worker, note, its life in ms, what stands before a worker in a note's key
_PUT: Final = Script("""
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('SADD', KEYS[1], ARGV[1])
for _, worker in ipairs(redis.call('SMEMBERS', KEYS[1])) do
    if redis.call('EXISTS', ARGV[4] .. worker) == 0 then redis.call('SREM', KEYS[1], worker) end
end
return 1
""")


class Heartbeats:
    """One note for each worker of a group, in the Redis that holds their states.

    Parameters
    ----------
    url, wiring
        As for `RedisStore`. Nothing is asked twice: a note that was lost is followed by the next.
    """

    def __init__(self, url: str, wiring: Wiring) -> None:
        self._client = RedisClient(url, wiring, retries_s=0)
        root = f"{{kithkin:{wiring.prefix}:{wiring.group}:workers}}"
        self._index, self._before = f"{root}:names", f"{root}:note:"

    def put(self, worker: str, status: Mapping[str, Any], ttl_s: float) -> None:
        """Replace a worker's note. `status` is JSON; it is gone after `ttl_s` seconds. Raises StoreError."""
        life_ms = round(ttl_s * 1000)
        self._client.run(_PUT, [self._index, self._before + worker], [worker, json.dumps(dict(status)), life_ms, self._before])

    def all(self) -> dict[str, dict[str, Any]]:
        """The notes that hold, by worker, sorted; one that is no JSON object is empty. Raises StoreError."""
        workers = sorted(name.decode(errors="replace") for name in self._client.ask("SMEMBERS", self._index))
        notes = self._client.ask("MGET", *[self._before + worker for worker in workers]) if workers else []
        return {worker: _read(note) for worker, note in zip(workers, notes, strict=True) if note is not None}

    def close(self) -> None:
        """Release the connections. Never raises."""
        self._client.close()


def _read(note: bytes) -> dict[str, Any]:
    """Whatever stands there: a worker of another version may write anything."""
    try:
        told = json.loads(note)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def open_heartbeats(url: str, wiring: Wiring) -> Heartbeats | None:
    """The heartbeats beside a store; None if the store is not Redis and so has no place for them. Raises ConfigError."""
    return Heartbeats(url, wiring) if is_redis(url) else None
