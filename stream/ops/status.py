"""How a cluster of workers is: what each wrote of itself, and what the brokers say is left to do.

Law: looking changes nothing and needs no worker. Lag is counted from what the group committed, so that it is right also for
partitions that nobody has.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, Final

from rich.box import SIMPLE_HEAVY
from rich.console import Group
from rich.table import Table
from rich.text import Text

from stream.brokers.kafka.groups import bounds, committed_offsets, onlooker
from stream.brokers.kafka.topics import PATIENCE_S, address, partitions_of, require_client
from stream.contract.ports import BrokerError, StoreError
from stream.contract.records import INPUT_TOPICS, OPTIONAL_TOPICS
from stream.contract.settings import Wiring
from stream.stores.redis.heartbeats import Heartbeats

if TYPE_CHECKING:
    from confluent_kafka import Consumer

__all__ = ["Status", "look", "observe", "picture", "readable"]


@dataclass(frozen=True, slots=True)
class Status:
    """One look: the workers' notes by slot, the lag by partition, and why there are no notes if there can be none."""

    workers: Mapping[str, Mapping[str, Any]]
    lag: Mapping[int, int]
    silent: str | None = None

    @property
    def owners(self) -> dict[int, str]:
        """Who has which partition."""
        return {partition: slot for slot, note in self.workers.items() for partition in note["partitions"]}

    def as_json(self) -> dict[str, Any]:
        """For machines."""
        owners = self.owners
        return {
            "workers": dict(self.workers),
            "partitions": {str(partition): {"lag": lag, "worker": owners.get(partition)} for partition, lag in self.lag.items()},
            "lag": sum(self.lag.values()),
            "events_per_s": sum(note["events_per_s"] for note in self.workers.values()),
        }


_NOTE: Final[Mapping[str, tuple[type | UnionType, Any]]] = {  # what is read of a note: its type, and what stands for it else
    "host": (str, "?"), "pid": (int | str, "?"), "version": (str, "?"), "partitions": (list, []),
    "events_per_s": (int | float, 0.0), "events": (int, 0), "last_batch_s": (int | float | None, None),
    "last_recovery": (dict | None, None), "restarts": (int, 0), "quarantined": (int, 0), "stopping": (bool, False),
}  # fmt: skip


def readable(note: Mapping[str, Any]) -> dict[str, Any]:
    """A worker's note with all that is read of it; what one of another version leaves out or means otherwise is not known.

    >>> readable({"partitions": "0-3", "pid": 7})["partitions"]
    []
    """
    known: dict[str, Any] = {name: note.get(name) for name in _NOTE}
    fit: dict[str, Any] = {name: value if isinstance(value, _NOTE[name][0]) else _NOTE[name][1] for name, value in known.items()}
    fit["partitions"] = sorted(partition for partition in fit["partitions"] if isinstance(partition, int))
    return {**note, **fit}


@contextmanager
def observe(wiring: Wiring) -> Iterator["Consumer"]:
    """A client for `look`, for as long as it looks. Raises ConfigError, and BrokerError when the brokers do not answer."""
    with require_client(wiring):
        from confluent_kafka import KafkaException
    try:
        with onlooker(wiring, "read_uncommitted") as consumer:
            yield consumer
    except KafkaException as error:
        raise BrokerError(f"the brokers at {address(wiring)[1]} do not answer: {error.args[0].str()}") from None


def look(wiring: Wiring, observer: "Consumer", heartbeats: Heartbeats | None) -> Status:
    """How it is now. Raises KafkaException, and ConfigError when the topics are not there."""
    lag = _lags(wiring, observer)
    if heartbeats is None:
        return Status({}, lag, "a store in a file has no place for the workers' notes")
    try:
        return Status({slot: readable(note) for slot, note in heartbeats.all().items()}, lag)
    except StoreError as error:
        return Status({}, lag, str(error))


def _lags(wiring: Wiring, observer: "Consumer") -> dict[int, int]:
    """Input records not yet committed, of both topics, by partition. Raises as `look`."""
    places = partitions_of(observer, wiring, INPUT_TOPICS, optional=OPTIONAL_TOPICS)
    stands_at = committed_offsets(observer, places, PATIENCE_S)
    lag = dict.fromkeys(sorted(place.partition for place in places), 0)
    for place in places:
        first, end = bounds(observer, place, PATIENCE_S)
        lag[place.partition] += end - max(first, stands_at[place.topic, place.partition])
    return lag


def picture(status: Status) -> Group:
    """Two tables: workers, and partitions that are behind or that nobody has."""
    parts: list[Table | Text] = [_workers(status)]
    if status.silent:
        parts.append(Text(f"What the workers do is not known: {status.silent}", style="yellow"))
    owners = status.owners
    shown = {partition: lag for partition, lag in status.lag.items() if lag or partition not in owners}
    if shown:
        parts.append(_partitions(shown, owners))
    return Group(*parts)


def _workers(status: Status) -> Table:
    """A worker's two lines: what it is, and where; of a terminal of 80 columns nothing is cut."""
    rate = sum(note["events_per_s"] for note in status.workers.values())
    table = Table(show_footer=True, box=SIMPLE_HEAVY, padding=(0, 1), collapse_padding=True, pad_edge=False)
    table.add_column("worker", f"{len(status.workers)} workers")
    table.add_column("partitions", f"{len(status.owners)} of {len(status.lag)}")
    table.add_column("events/s", f"{rate:,.0f}", justify="right")
    table.add_column("lag", f"{sum(status.lag.values()):,}", justify="right")
    table.add_column("last batch", justify="right")
    table.add_column("last recovery")
    table.add_column("restarts", str(sum(note["restarts"] for note in status.workers.values())), justify="right")
    for column in table.columns:
        column.overflow = "fold"  # rather than that a number is cut
    for slot, note in status.workers.items():
        table.add_row(
            Text.assemble(
                slot, " (stopping)" if note["stopping"] else "", (f"\n{note['version']}, {note['host']} {note['pid']}", "dim")
            ),
            _ranges(note["partitions"]) or "none, idle",
            f"{note['events_per_s']:,.0f}",
            f"{sum(status.lag.get(partition, 0) for partition in note['partitions']):,}",
            "none yet" if note["last_batch_s"] is None else f"{note['last_batch_s']:,.1f} s ago",
            _recovery(note["last_recovery"]),
            str(note["restarts"]),
        )
    return table


def _partitions(lag: Mapping[int, int], owners: Mapping[int, str]) -> Table:
    table = Table("partition", "worker")
    table.add_column("lag", justify="right")
    for partition, behind in lag.items():
        table.add_row(str(partition), owners.get(partition, "[red]nobody[/]"), f"{behind:,}")
    return table


def _recovery(recovery: Mapping[str, Any] | None) -> str:
    if recovery is None:
        return "none yet"
    at, batches, took_s = (recovery.get(name) for name in ("at", "batches", "took_s"))
    if not isinstance(at, str) or not isinstance(took_s, int | float):
        return "?"
    return f"{at[11:19]}, {batches} batches in {took_s:.1f} s"


def _ranges(numbers: list[int]) -> str:
    """Sorted numbers in short.

    >>> _ranges([0, 1, 2, 5, 7, 8])
    '0-2, 5, 7-8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
