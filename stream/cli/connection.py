"""Which cluster a command speaks to, and whether it is there.

Law: a command that looks at a cluster or feeds it takes the wiring that is in force (`ops.local_cluster.place`).
"""

import logging
import time
from collections.abc import Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from stream.contract.settings import Wiring

__all__ = [
    "client_logs_silenced", "note_begin", "policy_in_force", "refuse_misspelt", "refuse_missing", "service_in_force",
    "wiring_in_force",
]  # fmt: skip

_ANSWER_S: Final = 3.0  # who looks at a terminal does not wait for longer,
_WHOLE_S: Final = 3.5  # nor for longer in all, of which a busy machine may spend most on beginning,
_LEAST_S: Final = 0.5  # but so long is asked

_BEGAN_S: ContextVar[float | None] = ContextVar("_BEGAN_S", default=None)


def note_begin() -> None:
    """The process of a command begins: what it then spends on imports is not waited for once more."""
    _BEGAN_S.set(time.monotonic())


def _patience_s() -> float:
    """How long the brokers may take to answer now."""
    began_s = _BEGAN_S.get()
    return _ANSWER_S if began_s is None else max(_LEAST_S, min(_ANSWER_S, began_s + _WHOLE_S - time.monotonic()))


def wiring_in_force(wiring: Path | None, **flags: str | None) -> "Wiring":
    """The wiring of a command that looks at a cluster or feeds it; `flags` as for `load_wiring`. Raises ConfigError."""
    from stream.ops.local_cluster import place  # nothing heavy is imported before a command needs it

    return place.wiring_in_force(wiring, **flags)


def policy_in_force(policy: Path | None, wiring: Path | None, store: str | None) -> Path | None:
    """The policy of who asks a cluster: as it is given, else of the running `kithkin up` that is asked; None: the defaults."""
    from stream.ops.local_cluster import place

    found = None if policy is not None else place.place_in_force(wiring, store=store)
    return found.policy_file if found is not None and found.policy_file.is_file() else policy


def service_in_force(service: Path | None) -> Path:
    """The service's settings: as they are given, else ./service.toml, else those of a running `kithkin up`."""
    from stream.ops.local_cluster import place

    here = Path("service.toml")
    if service is not None or here.is_file():
        return service or here
    found = place.place_in_force(None)
    return here if found is None else found.service.settings_file


def refuse_misspelt(wiring: "Wiring") -> None:
    """Look whether the URLs of brokers and store can be, before anything is started. Raises ConfigError."""
    from stream.brokers.kafka.topics import address
    from stream.contract.settings import store_of
    from stream.stores import refuse_unknown_form

    address(wiring)
    refuse_unknown_form(store_of(wiring))


def refuse_missing(wiring: "Wiring", topics: Sequence[str]) -> None:
    """Look whether the brokers answer and have these topics, before a client tries for half a minute.

    That nobody answers is said within 5 s, of which a command may spend most on beginning (`note_begin`).

    Raises
    ------
    BrokerError
        Nobody answers, or refuses us.
    ConfigError
        A topic is missing.
    """
    from stream.brokers.kafka.topics import partitions_of
    from stream.ops.topics import administration

    client_logs_silenced()
    with administration(wiring) as admin:
        partitions_of(admin, wiring, topics, _patience_s())


def client_logs_silenced() -> None:
    """Let no client of Kafka write on the terminal: what matters of it becomes an error of the command."""
    logging.getLogger("stream.brokers").setLevel(logging.CRITICAL)
