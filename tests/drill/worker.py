"""The drilled worker: the process that `kithkin worker` starts, with points in its ports.

Law: it runs `stream.runtime.worker.live` as it is. Only what opens the ports is exchanged, and the client's class of producers.
"""

import importlib
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stream.brokers.kafka.cluster import Membership
from stream.brokers.kafka.topics import address
from stream.contract.policy import Policy
from stream.contract.settings import Wiring, load_wiring
from stream.runtime.worker import live

from .points import At, Orders, pointed_producer, pointed_revocation
from .sabotage import sabotaged

__all__ = ["Hired", "be_worker"]

_CLIENTS = {  # module, its class of producers, and that one's method for a record
    "confluent": ("stream.brokers.kafka.confluent", "Producer", "produce"),
    "kafka": ("stream.brokers.kafka.kafka_python", "KafkaProducer", "send"),
}
for _module, _, _ in _CLIENTS.values():  # before the fork, so that a worker starts at once
    importlib.import_module(_module)


@dataclass(frozen=True)
class Hired:
    """What a worker is told: the drill's folder, its slot, the file of its log, and what is wrong with it."""

    folder: Path
    slot: str
    log: Path
    sabotage: str | None = None


def be_worker(hired: Hired, pipe: socket.socket) -> None:
    """Be a worker until told to stop, and end this process."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.dup2(pipe.fileno(), 0)
    os.environ["KITHKIN_RESTARTS"] = "{}"
    said = os.open(hired.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(said, stream)
    wiring = load_wiring(hired.folder / "wiring.toml", slot=hired.slot)
    _point(wiring, Orders(hired.folder).pass_by, hired.sabotage)
    sys.exit(live.live(wiring, Policy()))


def _point(wiring: Wiring, at: At, sabotage: str | None) -> None:
    """Exchange what opens the ports: the store is opened first, and both are put together with the broker."""
    module, producer, send = _CLIENTS[address(wiring)[0]]
    client = importlib.import_module(module)
    setattr(client, producer, pointed_producer(getattr(client, producer), send, at))
    pointed_revocation(Membership, at)
    open_store, open_broker = live.open_store, live.open_broker
    store = _Late()

    def opened_store(url: str, wiring: Wiring) -> Any:
        store.port = open_store(url, wiring)
        return store

    def opened_broker(wiring: Wiring) -> Any:
        broker, store.port = sabotaged(sabotage, open_broker(wiring), store.port, at)
        return broker

    live.open_store, live.open_broker = opened_store, opened_broker


class _Late:
    """A store that is put together after it was handed out."""

    port: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.port, name)
