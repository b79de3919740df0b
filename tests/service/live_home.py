"""A home with a running worker and the service before it, on this machine: a log in memory, a SQLite store, HTTP."""

import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import uvicorn

from stream.brokers import MemoryBroker, MemoryLog
from stream.contract.records import Record
from stream.home.step import Step
from stream.ops.local_cluster.processes import free_ports, until
from stream.runtime.service.page.sessions import Sessions
from stream.runtime.worker.worker import Worker
from stream.stores import SqliteStore
from tests.service.site import POLICY, SECRETS, Served, serve
from tests.support.one_worker import CALM
from tests.support.worlds import Story

__all__ = ["LiveHome", "Played", "live_home"]

PATIENCE_S = 60.0


class Played(Story):
    """A story whose records are kept, the last of them of now."""

    def __init__(self, *people: str) -> None:
        self.played: list[tuple[str, dict[str, Any]]] = []
        super().__init__(people or ("anna", "bert"), policy=POLICY)

    def play(self, topic: str, value: dict[str, Any]) -> Step:
        self.played.append((topic, value))
        return super().play(topic, value)

    @property
    def records(self) -> list[Record]:
        by_ms = int(time.time() * 1_000) - self.desk.now
        moved = []
        for topic, value in self.played:
            times = {name: value[name] + by_ms for name in ("observed_at", "given_at") if name in value}
            moved.append(Record(topic, 0, 0, max(times.values()), b"h", json.dumps(value | times).encode()))
        return moved


class LiveHome:
    """Where a browser finds it, and what reached the worker."""

    def __init__(self, folder: Path, log: MemoryLog, url: str) -> None:
        self.url, self.log, self._folder = url, log, folder
        self.served: Served | None = None

    def send(self, record: Record) -> None:
        """To the worker, at once."""
        self.log.append(record.topic, 0, record.timestamp, record.key, record.value)

    def link(self, household: str = "h") -> str:
        """What `kithkin home-link` prints, made by another process than the service."""
        with closing(Sessions(self._folder / "sessions.db", 30)) as sessions:
            return f"{self.url}/page/#{sessions.link(household, int(time.time() * 1_000))}"

    def token(self, client: str) -> bytes:
        """A client's own form for a token."""
        return f"grant_type=client_credentials&client_id={client}&client_secret={SECRETS[client]}".encode()


@contextmanager
def live_home(folder: Path, story: Played) -> Iterator[LiveHome]:
    """What was played is known to the worker when it begins."""
    log, (port,) = MemoryLog(), free_ports(1)
    home = LiveHome(folder, log, f"http://127.0.0.1:{port}")
    for record in story.records:
        home.send(replace(record))
    stop, ready = Event(), Event()

    def work() -> None:
        with closing(SqliteStore(folder / "homes.db")) as store:
            worker = Worker(MemoryBroker(log), store, POLICY, CALM)
            while not stop.is_set():
                worker.run_once()
                stop.wait(0.02)

    def answer() -> None:
        with closing(SqliteStore(folder / "homes.db")) as store:
            home.served = serve(folder, store, home.send, lambda: int(time.time() * 1_000), home.url)
            server = uvicorn.Server(uvicorn.Config(home.served.app, port=port, log_level="warning"))
            server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
            servers.append(server)
            ready.set()
            server.run()

    servers: list[uvicorn.Server] = []
    threads = [Thread(target=work), Thread(target=answer)]
    for thread in threads:
        thread.start()
    try:
        assert ready.wait(PATIENCE_S)
        assert until(lambda: servers[0].started and len(log.outputs("identities", 0)) >= story.seen, PATIENCE_S)
        yield home
    finally:
        stop.set()
        for server in servers:
            server.should_exit = True
        for thread in threads:
            thread.join(PATIENCE_S)
