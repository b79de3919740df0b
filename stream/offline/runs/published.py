"""What a run published, record by record, in a form in which two runs can be compared.

Law: two records tell of the same thing when their keys here are equal; the id of the policy, and the place that a record has in
its file, are no part of what it tells.
"""

import hashlib
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from stream.brokers.log_files import LogReader
from stream.contract.codec import household_of_key
from stream.contract.records import Record

__all__ = ["ALERTS", "Outcome", "Published", "outcome_of", "pair", "decode_published", "read_published"]

ALERTS: Final = "drift-alerts"  # of several homes, so that they are nobody's
_KEYS: Final = {
    "identities": ("household_id", "event_id", "revision"),
    "profiles": ("household_id", "person_id", "revision"),
    "labels": ("household_id", "event_id", "revision"),
    "presence": ("household_id", "person_id", "revision"),
    "drift-signals": ("household_id", "signal_id"),
    ALERTS: ("alert_id", "revision"),
    "dead-letters": ("topic", "partition", "offset"),
}
_NOT_TOLD: Final = ("policy_id",)
_decode: Final = msgspec.json.Decoder().decode
_encode: Final = msgspec.msgpack.Encoder(order="sorted").encode

Key = tuple[Any, ...]
Outcome = dict[tuple[str, str], str]  # by topic and home: a digest of all that was published there, in order


class Published(NamedTuple):
    """A published record: what it tells of, whose it is (empty: nobody's), when it came, what it tells (None: a tombstone)."""

    topic: str
    key: Key
    home: str
    at_ms: int
    told: dict[str, Any] | None


def decode_published(record: Record, without: Collection[str] = _NOT_TOLD) -> Published:
    """A record of an output topic, without some of its fields."""
    home = "" if record.topic == ALERTS else household_of_key(record.key)
    if record.value is None:
        return Published(record.topic, (record.key, "tombstone"), home, record.timestamp, None)
    told = _decode(record.value)
    key = tuple(told[field] for field in _KEYS[record.topic])
    return Published(record.topic, key, home, record.timestamp, {k: v for k, v in told.items() if k not in without})


def read_published(path: Path, topic: str, without: Collection[str] = _NOT_TOLD) -> Iterator[Published]:
    """All of a file, one after the other. Raises InvalidLog where it is none of that topic."""
    with closing(LogReader([str(path)], [topic], prefix=None)) as file:
        yield from (decode_published(record, without) for record in file)


def pair(a: Iterable[Published], b: Iterable[Published]) -> Iterator[tuple[Published | None, Published | None]]:
    """What two runs tell of the same thing, side by side; None: one says nothing of it. Kept is what is far apart in them."""
    waiting: tuple[dict[Key, deque[Published]], dict[Key, deque[Published]]] = (defaultdict(deque), defaultdict(deque))
    sides = iter(a), iter(b)
    more = [True, True]
    while any(more):
        for side in (0, 1):
            one = next(sides[side], None)
            if one is None:
                more[side] = False
                continue
            others = waiting[1 - side].get(one.key)
            if not others:
                waiting[side][one.key].append(one)
                continue
            other = others.popleft()
            if not others:
                del waiting[1 - side][one.key]
            yield (one, other) if side == 0 else (other, one)
    yield from ((one, None) for left in waiting[0].values() for one in left)
    yield from ((None, one) for left in waiting[1].values() for one in left)


def outcome_of(records: Iterable[Published]) -> Outcome:
    """Digests by topic and home: equal where, and only where, the same was published in the same order."""
    digests: dict[tuple[str, str], Any] = {}
    for one in records:
        place = one.topic, one.home
        if place not in digests:
            digests[place] = hashlib.blake2b(digest_size=16)
        digests[place].update(_encode([one.at_ms, one.told if one.told is not None else list(one.key)]))
    return {place: digest.hexdigest() for place, digest in digests.items()}
