"""What a worker needs of this machine: its Python, its libraries, its limits, and a policy that can be read.

Law: nothing here asks the network.
"""

import platform
import resource
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

from stream.brokers.kafka.topics import address
from stream.contract.errors import ConfigError, how_to_install
from stream.contract.settings import Wiring, load_policy
from stream.stores.redis.url import is_redis

from .check import Check, judge

__all__ = ["here_checks"]

Version = tuple[int, ...]

_PYTHON_MIN: Final = (3, 11)
_FILES_MIN: Final = 1024  # a connection for each broker of a large cluster, and room
_CONFLUENT: Final = ("confluent-kafka", (2, 12), (3,))
_KAFKA_PYTHON: Final = ("kafka-python", (3, 0, 11), (3, 1))  # earlier: partitions starve after a rebalance
_CODECS: Final = {"lz4": "lz4", "snappy": "python-snappy", "zstd": "zstandard"}  # and their packages
_REDIS: Final = ("redis", (6,), None)


def here_checks(wiring: Wiring, store: str, policy: Path | None) -> Iterator[Check]:
    """Checks of this machine. Raises ConfigError when the broker's URL cannot be."""
    yield judge("Python", platform.python_version(), failed="" if sys.version_info >= _PYTHON_MIN else "3.11 or newer")
    yield from _libraries(wiring, store)
    yield _open_files()
    yield _policy(policy)


def _libraries(wiring: Wiring, store: str) -> Iterator[Check]:
    yield _library(*_CONFLUENT)  # also with kafka://, for what is asked outside of a group
    if address(wiring)[0] == "kafka":
        yield _library(*_KAFKA_PYTHON)
        crc32c = _version_of("crc32c")
        right = f"the package crc32c, without which consuming is seven times slower: {how_to_install('cluster')}"
        yield judge("crc32c", _version_text(crc32c), warning="" if crc32c else right)
        lacking = [codec for codec, package in _CODECS.items() if not _version_of(package)]
        right = f'{", ".join(lacking)} too, or what senders compress so cannot be read: {how_to_install("cluster")}'
        read = ["gzip", *(codec for codec in _CODECS if codec not in lacking)]
        yield judge("codecs", ", ".join(read), warning=right if lacking else "")
    if is_redis(store):
        yield _library(*_REDIS)


def _library(name: str, least: Version, below: Version | None) -> Check:
    found = _version_of(name)
    fits = found is not None and found >= least and (below is None or found < below)
    right = f"{_dot(least)} or newer" + (f", older than {_dot(below)}" if below else "")
    return judge(name, _version_text(found), failed="" if fits else f"{right}: {how_to_install('cluster')}")


def _version_of(name: str) -> Version | None:
    try:
        return tuple(int(part) for part in version(name).split(".")[:3] if part.isdecimal())
    except PackageNotFoundError:
        return None


def _version_text(found: Version | None) -> str:
    return _dot(found) if found else "not installed"


def _dot(numbers: Version) -> str:
    return ".".join(map(str, numbers))


def _open_files() -> Check:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= _FILES_MIN
    found = "no limit" if soft == resource.RLIM_INFINITY else f"at most {soft:,}"
    return judge("open files", found, warning="" if enough else f"{_FILES_MIN:,} or more (ulimit -n)")


def _policy(path: Path | None) -> Check:
    try:
        policy = load_policy(path)
    except ConfigError as error:
        return judge("policy", f"{error.key} = {error.value!r} ({error.source})", failed=error.right)
    return judge("policy", f"{path or 'the defaults'}, policy_id {policy.policy_id}")
