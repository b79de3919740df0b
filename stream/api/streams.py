"""Logs replayed, and published records as they come: for a program of your own.

Law: a replay is the worker's, and writes what the worker would publish. A subscription of a group goes on where that group stood.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

if TYPE_CHECKING:
    from stream.contract.policy import Policy
    from stream.contract.records import Alert, Identity, Label, Presence, Profile
    from stream.contract.settings import Wiring
    from stream.offline.replay.replay import Summary

__all__ = ["Tombstone", "Topic", "replay", "subscribe"]

Logs = str | PathLike[str]
Topic = Literal["identities", "profiles", "labels", "presence", "alerts"]


class Tombstone(NamedTuple):
    """Of `profiles` and `presence`: a person left, or is to be forgotten; so is what a device keeps of them."""

    household_id: str
    person_id: str


def replay(
    logs: Logs | Sequence[Logs],
    out: str | PathLike[str],
    policy: "Policy | str | PathLike[str] | None" = None,
    fresh: bool = False,
) -> "Summary":
    """Run logs through the worker that runs live.

    Parameters
    ----------
    logs
        Files of any form that docs/logs.md tells, one or several.
    out
        Directory where one JSON Lines file per output topic is written.
    policy
        A policy, or the path of its TOML file; as kithkin comes.
    fresh
        Begin anew over an earlier replay into the same directory.

    Returns
    -------
    Summary
        Counts of what happened, and the weight of the states.

    Raises
    ------
    ConfigError
        A ValueError: a setting that cannot be, or a directory of another run; nothing was changed.
    InvalidLog
        A file is no log, or not to its end.
    """
    from stream.contract.policy import Policy
    from stream.contract.settings import Wiring, load_policy
    from stream.offline.replay.replay import Replay
    from stream.offline.replay.replay import replay as run

    named = [logs] if isinstance(logs, str | PathLike) else logs
    given = policy if isinstance(policy, Policy) else load_policy(None if policy is None else Path(policy))
    return run(Replay([fspath(log) for log in named], Path(out), given, Wiring(store="memory:"), fresh=fresh))


@overload
def subscribe(
    topic: Literal["identities"],
    broker: "str | Wiring | None" = None,
    prefix: str | None = None,
    group: str | None = None,
    follow: bool | Callable[[], bool] = True,
) -> "Generator[Identity, None, None]": ...
@overload
def subscribe(
    topic: Literal["profiles"],
    broker: "str | Wiring | None" = None,
    prefix: str | None = None,
    group: str | None = None,
    follow: bool | Callable[[], bool] = True,
) -> "Generator[Profile | Tombstone, None, None]": ...
@overload
def subscribe(
    topic: Literal["labels"],
    broker: "str | Wiring | None" = None,
    prefix: str | None = None,
    group: str | None = None,
    follow: bool | Callable[[], bool] = True,
) -> "Generator[Label, None, None]": ...
@overload
def subscribe(
    topic: Literal["presence"],
    broker: "str | Wiring | None" = None,
    prefix: str | None = None,
    group: str | None = None,
    follow: bool | Callable[[], bool] = True,
) -> "Generator[Presence | Tombstone, None, None]": ...
@overload
def subscribe(
    topic: Literal["alerts"],
    broker: "str | Wiring | None" = None,
    prefix: str | None = None,
    group: str | None = None,
    follow: bool | Callable[[], bool] = True,
) -> "Generator[Alert, None, None]": ...
def subscribe(
    topic: Topic,
    broker: "str | Wiring | None" = None,
    prefix: str | None = None,
    group: str | None = None,
    follow: bool | Callable[[], bool] = True,
) -> Generator[Any, None, None]:
    """Published records, typed, as they come. `close` it where it is not read to its end, to leave its group at once.

    Parameters
    ----------
    topic
        Which: "identities", "profiles" and "presence" (with a `Tombstone` of whoever is to be forgotten), "labels" or "alerts".
    broker
        `confluent://HOST:PORT` or a whole Wiring, for passwords and certificates; by default as for the commands: what
        KITHKIN_* say, else a running `kithkin up`, else 127.0.0.1:9092.
    prefix
        Stands before every topic's name; needed only where the broker's wiring does not say it.
    group
        Its name in Kafka: it goes on after the last record that was dealt with, that is, after which another was asked for.
        When it is killed, what it had in hand comes again, and up to 500 records before that. None: all that is kept.
    follow
        True: for ever. False: to where the topic ends now. A function: as long as it gives True; asked five times a second.

    Raises
    ------
    ConfigError
        A ValueError: the wiring cannot be, a client library is missing (extra `cluster`), or there is no such topic.
    BrokerError
        The brokers do not answer, or refuse.
    """
    from stream.contract.records import Identity, Label, Presence, Profile
    from stream.contract.settings import Wiring
    from stream.ops.local_cluster.place import wiring_in_force

    models = {"identities": Identity, "profiles": Profile, "labels": Label, "presence": Presence, "alerts": None}
    if topic not in models:
        raise ValueError(f"{topic!r} is nothing to subscribe to: one of {', '.join(models)}")
    if isinstance(broker, Wiring):
        wiring = broker if prefix is None else broker.model_copy(update={"prefix": prefix})
    else:
        wiring = wiring_in_force(None, broker=broker, prefix=prefix)
    return _read(wiring, topic, models[topic], (group, _stop(follow)))


def _stop(follow: bool | Callable[[], bool]) -> Callable[[], bool] | None:
    if isinstance(follow, bool):
        return (lambda: False) if follow else None
    return lambda: not follow()


def _read(
    wiring: "Wiring", topic: Topic, model: Any, how: tuple[str | None, Callable[[], bool] | None]
) -> Generator[Any, None, None]:
    from stream.runtime.fleet.subscribe import subscribe as alerts
    from stream.runtime.subscription import read_model, subscription

    group, stop = how
    if model is None:
        with closing(alerts(wiring, group=group, stop=stop)) as states:
            yield from states
        return
    with closing(subscription(wiring, topic, group, stop)) as records:
        for record in records:
            if topic in ("profiles", "presence") and record.key and not record.value:
                household_id, _, person_id = record.key.decode(errors="replace").partition("/")
                yield Tombstone(household_id, person_id)
            elif (value := read_model(record, model)) is not None:
                yield value
