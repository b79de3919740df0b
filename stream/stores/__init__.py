"""Stores of states: where the homes stand between events, with the offsets they stand at.

Law: every store passes `tests/stores/conformance_store.py`; which one is behind a worker changes nothing but where bytes lie.
"""

from stream.contract.errors import ConfigError, how_to_install
from stream.contract.ports import StateStore
from stream.contract.settings import Wiring

from .memory import MemoryStore
from .redis.url import REDIS_FORMS, RedisUrl, is_redis, without_secrets
from .sqlite import SqliteStore

__all__ = ["MemoryStore", "SqliteStore", "open_store", "refuse_unknown_form", "without_secrets"]


def open_store(url: str, wiring: Wiring | None = None) -> StateStore:
    """The store that a URL or path names.

    Parameters
    ----------
    url
        `memory:`; the path of a SQLite file, which ends in `.db` and is made if it is missing; or a URL of Redis.
    wiring
        How Redis is spoken to, and whose states it holds; None: as the environment says.

    Raises
    ------
    ConfigError
        It names none of them, or Redis without its client being installed.

    >>> type(open_store("memory:")).__name__
    'MemoryStore'
    """
    refuse_unknown_form(url)
    if url == "memory:":
        return MemoryStore()
    return _redis_store(url, wiring or Wiring()) if is_redis(url) else SqliteStore(url)


def refuse_unknown_form(url: str) -> None:
    """Raises ConfigError where `open_store` would because of the URL itself; opens nothing."""
    if is_redis(url):
        RedisUrl.parse(url)
    elif url != "memory:" and not url.endswith(".db"):
        right = f'the path of a SQLite file ending in ".db", "memory:", or {REDIS_FORMS}'
        raise ConfigError("store", without_secrets(url), "the store to open", right)


def _redis_store(url: str, wiring: Wiring) -> StateStore:
    try:
        from .redis.store import RedisStore
    except ModuleNotFoundError:
        right = f"a file, or Redis with its client installed: {how_to_install('cluster')}"
        raise ConfigError("store", without_secrets(url), "the store to open", right) from None
    return RedisStore(url, wiring)
