"""A store in Redis 7 or Valkey: what all workers of a cluster share.

Law: a save is one script, which Redis runs as one step. It refuses an epoch that is not the newest, does nothing when the
offsets already stand where it wants them, and refuses when they do not continue; so it may be said again after a lost reply.

All keys of a partition carry one hash tag, so that in a cluster they lie in one slot and the script can reach them all:

    {kithkin:PREFIX:GROUP:PARTITION}:head             a hash: epoch, offsets (JSON, topics at 0 left out)
    {kithkin:PREFIX:GROUP:PARTITION}:homes            a set of the names below
    {kithkin:PREFIX:GROUP:PARTITION}:home:HOUSEHOLD   the whole state
    kithkin:PREFIX:GROUP:partitions                   a set: which there are

Nothing expires. A replica that takes over without the master's last writes may give an epoch a second time. That does no
harm: who saves has published before, which only one of the two could do from there, and the same batch gives the same states.
"""

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from stream.contract.ports import Claimed, Fenced, Offsets, StoreError
from stream.contract.settings import Wiring

from ..fencing import is_household
from .client import RedisClient, Script

__all__ = ["RedisStore"]

_LOADED_AT_ONCE: Final = 500  # homes: some 4 MiB, so that others get their turn in between
_SCANNED_AT_ONCE: Final = 1_000
_REWRITE_EVERY_S: Final = 900.0
_LOG = logging.getLogger(__name__)

_CLAIM: Final = Script("""
local epoch = redis.call('HINCRBY', KEYS[1], 'epoch', 1)
return {epoch, redis.call('HGET', KEYS[1], 'offsets')}
""")

# KEYS: head, homes, home…   ARGV: epoch, offsets from, offsets to, length of what stands before a name in a key, state…
_SAVE: Final = Script("""
local head = redis.call('HMGET', KEYS[1], 'epoch', 'offsets')
local newest, stands_at = head[1] or '0', head[2] or '{}'
if newest ~= ARGV[1] or newest == '0' then return {'fenced', newest} end
if stands_at == ARGV[3] then return {'done', newest} end
if stands_at ~= ARGV[2] then return {'gap', stands_at} end
for i = 3, #KEYS do
    redis.call('SET', KEYS[i], ARGV[i + 2])
end
for i = 3, #KEYS do
    redis.call('SADD', KEYS[2], string.sub(KEYS[i], ARGV[4] + 1))
end
redis.call('HSET', KEYS[1], 'offsets', ARGV[3])
return {'saved', newest}
""")


class RedisStore:
    """States in Redis, under the names of a topic prefix and a group.

    Parameters
    ----------
    url
        Where it is; `redis_url` has the forms.
    wiring
        Prefix and group, and how Redis is spoken to.

    Raises
    ------
    ConfigError
        The URL has none of the forms, or a file that the wiring names cannot be read.

    Notes
    -----
    Every request is bounded by `redis.timeout_s` and said again for `redis.retries_s`; then it is a StoreError.
    """

    def __init__(self, url: str, wiring: Wiring) -> None:
        self._client = RedisClient(url, wiring)
        self._root = f"kithkin:{wiring.prefix}:{wiring.group}"
        self._overwritten, self._rewrite_at_s = False, 0.0  # whether a new append-only file is due, and when it may be asked for

    def claim(self, partition: int) -> Claimed:
        epoch, offsets = self._client.run(_CLAIM, [self._key(partition, "head")], [])
        self._client.ask("SADD", f"{self._root}:partitions", partition)
        return Claimed(epoch, json.loads(offsets or "{}"))

    def offsets(self, partition: int) -> Offsets:
        stored = self._client.ask("HGET", self._key(partition, "head"), "offsets")
        return cast(dict[str, int], json.loads(stored or "{}"))

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        before = self._key(partition, "home:")
        for start in range(0, len(households), _LOADED_AT_ONCE):
            names = households[start : start + _LOADED_AT_ONCE]
            states = self._client.ask("MGET", *[before + name for name in names])
            found.update((name, state) for name, state in zip(names, states, strict=True) if state is not None)
        return found

    def read(self, places: Sequence[tuple[int, str]]) -> list[bytes | None]:
        return self._client.read([self._key(partition, f"home:{name}") for partition, name in places]) if places else []

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        before = self._key(partition, "home:")
        keys = [self._key(partition, "head"), self._key(partition, "homes"), *[before + name for name in states]]
        numbers: list[str | bytes | int] = [epoch, _canonical(offsets_from), _canonical(offsets_to), len(before)]
        self._rewrite()
        outcome, found = self._client.run(_SAVE, keys, [*numbers, *states.values()])
        if outcome == b"fenced":
            raise Fenced(f"partition {partition}: epoch {epoch} can save no more, since {found.decode()} is the newest")
        if outcome == b"gap":
            raise StoreError(
                f"partition {partition}: the states stand at {json.loads(found)}, so a save from {dict(offsets_from)} "
                "would leave a gap"
            )

    def forget_overwritten(self) -> None:
        """Ask for a new append-only file: in the old one stands all that was ever saved. Seldom: it costs a copy of all homes."""
        self._overwritten = True
        self._rewrite()

    def _rewrite(self) -> None:
        now_s = time.monotonic()
        if self._overwritten and now_s >= self._rewrite_at_s:
            self._rewrite_at_s = now_s + _REWRITE_EVERY_S
            try:
                self._client.ask("BGREWRITEAOF")
                self._overwritten = False
            except StoreError as error:  # tried again later: an erasure is no reason to stop
                _LOG.warning("what was erased may stand in Redis's append-only file until it is rewritten: %s", error)

    def households(self, partition: int) -> Iterable[str]:
        found: set[str] = set()
        cursor: bytes | int = 0
        while True:  # in pieces, since a set of all homes at once would hold up everybody else
            cursor, names = self._client.ask("SSCAN", self._key(partition, "homes"), cursor, "COUNT", _SCANNED_AT_ONCE)
            found.update(name.decode() for name in names)
            if not int(cursor):
                return sorted(filter(is_household, found))

    def partitions(self) -> Sequence[int]:
        return sorted(map(int, self._client.ask("SMEMBERS", f"{self._root}:partitions")))

    def close(self) -> None:
        self._client.close()

    def _key(self, partition: int, name: str) -> str:
        return f"{{{self._root}:{partition}}}:{name}"


def _canonical(offsets: Offsets) -> str:
    """Equal text for equal offsets; a topic that is absent stands at 0."""
    return json.dumps({topic: offset for topic, offset in offsets.items() if offset}, sort_keys=True)
