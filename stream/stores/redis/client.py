"""A Redis that is asked again for a while when it does not answer: one server, a master behind sentinels, or a cluster.

Law: whatever is said through here may be said twice, since a lost reply is asked for again; so only what changes nothing
the second time, or nothing that matters, is said. What failed is asked anew over a new connection: no late reply of an
earlier request can be taken for the answer of a later one.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Any, Final, Protocol, cast

from redis import Redis, RedisCluster
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff
from redis.cluster import ClusterNode
from redis.connection import ConnectionPool, PythonRespSerializer, SSLConnection
from redis.exceptions import NoScriptError, RedisClusterException, RedisError
from redis.retry import Retry
from redis.sentinel import Sentinel

from stream.contract.credentials import password_of, tls_files
from stream.contract.ports import StoreError
from stream.contract.settings import RedisWiring, Wiring

from .faults import fault_of
from .url import RedisUrl, without_secrets

__all__ = ["RedisClient", "Script", "open_redis"]

_LOG = logging.getLogger(__name__)
_PAUSE: Final = ExponentialWithJitterBackoff(cap=2.0, base=0.05)  # seconds between requests that failed
_READ_BYTES: Final = 2**18  # of one read from the socket: a batch of homes comes in a few instead of hundreds

Argument = str | bytes | int


class _Speaks(Protocol):
    """What is needed of a client of redis-py, which types it only in part."""

    def execute_command(self, *command: Argument) -> Any: ...

    def close(self) -> None: ...


class Script:
    """A Lua script, which Redis runs as one step."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisClient:
    """Requests with patience: for `redis.retries_s`, each of them for at most `redis.timeout_s`.

    Parameters
    ----------
    url
        One of the forms of `RedisUrl`. Nothing is connected before the first request.
    wiring
        Passwords (those of the URL come first), TLS and times.
    retries_s
        Overrides the wiring's; 0: everything is asked once.

    Raises
    ------
    ConfigError
        The URL has none of the forms, or a file that the wiring names cannot be read.
    """

    def __init__(self, url: str, wiring: Wiring, retries_s: float | None = None) -> None:
        self._url, self._name = RedisUrl.parse(url), without_secrets(url)
        self._settings = _settings(self._url, wiring.redis)
        self._sentinel_settings = _sentinel_settings(self._settings, wiring.redis)
        self._retries_s = wiring.redis.retries_s if retries_s is None else retries_s
        self._client: _Speaks | None = None

    def __repr__(self) -> str:
        return f"RedisClient({self._name!r})"

    def ask(self, *command: Argument) -> Any:
        """The reply to one command, as bytes. Raises StoreError with a sentence that says what to do."""
        return self._patiently(lambda client: client.execute_command(*command))

    def read(self, keys: Sequence[str]) -> list[bytes | None]:
        """The value of each key, wherever it lies; None: there is none. Raises as `ask`."""

        def request(client: _Speaks) -> Any:
            return client.mget_nonatomic(keys) if isinstance(client, RedisCluster) else client.execute_command("MGET", *keys)

        return cast("list[bytes | None]", self._patiently(request))

    def run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Any:
        """The reply of a script, whose keys lie in one slot. Raises as `ask`."""

        def request(client: _Speaks) -> Any:
            try:
                return client.execute_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
            except NoScriptError:  # a server that is new, or was restarted
                return client.execute_command("EVAL", script.text, len(keys), *keys, *arguments)

        return self._patiently(request)

    def close(self) -> None:
        """Release the connections. Never raises."""
        client, self._client = self._client, None
        if client is not None:
            with suppress(RedisError, OSError):
                client.close()

    def _patiently(self, request: Callable[[_Speaks], Any]) -> Any:
        give_up_at, failures = time.monotonic() + self._retries_s, 0
        while True:
            try:
                if self._client is None:
                    self._client = _connect(self._url, self._settings, self._sentinel_settings)
                return request(self._client)
            except (RedisError, RedisClusterException, OSError) as error:
                self.close()
                failures += 1
                fault, pause_s = fault_of(error), _PAUSE.compute(failures)
                if not fault.passes or time.monotonic() + pause_s > give_up_at:
                    raise StoreError(f"{self._name} {fault.sentence}") from error
                if failures == 1:
                    _LOG.warning("%s %s; asked again for %g s", self._name, fault.sentence, self._retries_s)
                time.sleep(pause_s)


def open_redis(url: str, wiring: Wiring) -> Redis | RedisCluster:
    """A plain client of redis-py, connected as the stores are, for those who look at Redis itself.

    It does not ask again, and its errors are redis-py's: `fault_of` puts them into words.

    Raises
    ------
    ConfigError
        As `RedisClient`.
    redis.exceptions.RedisError, redis.exceptions.RedisClusterException
        From the first request on; from here if the URL is a cluster's.
    """
    parsed = RedisUrl.parse(url)
    settings = _settings(parsed, wiring.redis)
    return _connect(parsed, settings, _sentinel_settings(settings, wiring.redis))


class _InOnePiece(PythonRespSerializer):
    """Sends a command in one write. redis-py writes twice for every argument of 6 KB, which is most of the cost of a save."""

    def __init__(self) -> None:
        super().__init__(6_000, _bytes_of)

    def pack(self, *arguments: Argument) -> list[bytes]:
        return [b"".join(super().pack(*arguments))]  # type: ignore[no-untyped-call]


def _bytes_of(argument: Argument) -> bytes:
    return argument if isinstance(argument, bytes) else str(argument).encode()


def _connect(url: RedisUrl, settings: dict[str, Any], sentinel_settings: dict[str, Any]) -> Redis | RedisCluster:
    if url.form == "cluster":
        return RedisCluster(startup_nodes=[ClusterNode(host, port) for host, port in url.hosts], **settings)
    settings = {**settings, "db": url.database, "command_packer": _InOnePiece()}
    if url.form == "sentinel":
        sentinels = Sentinel(url.hosts, sentinel_kwargs=sentinel_settings)
        return cast(Redis, sentinels.master_for(url.service, **settings))
    if settings.pop("ssl", False):
        settings["connection_class"] = SSLConnection
    ((host, port),) = url.hosts
    return Redis.from_pool(ConnectionPool(host=host, port=port, **settings))


def _settings(url: RedisUrl, wiring: RedisWiring) -> dict[str, Any]:
    """What redis-py is told, whatever the form of the URL."""
    settings: dict[str, Any] = {
        "username": url.username or wiring.username,
        "password": url.password or password_of("redis", wiring),
        "socket_timeout": wiring.timeout_s,
        "socket_connect_timeout": wiring.timeout_s,
        "socket_read_size": _READ_BYTES,
        "retry": Retry(NoBackoff(), 0),  # patience is ours, so that it has one measure
    }
    return settings | _tls(wiring) if url.tls else settings


def _sentinel_settings(settings: dict[str, Any], wiring: RedisWiring) -> dict[str, Any]:
    """The same for the sentinels, which have a password of their own, or none."""
    password = wiring.sentinel_password.get_secret_value() if wiring.sentinel_password else None
    return {**settings, "username": None, "password": password}


def _tls(wiring: RedisWiring) -> dict[str, Any]:
    keys = {"ca_file": "ssl_ca_certs", "certificate_file": "ssl_certfile", "key_file": "ssl_keyfile"}
    return {"ssl": True, **{keys[name]: str(path) for name, path in tls_files("redis", wiring).items()}}
