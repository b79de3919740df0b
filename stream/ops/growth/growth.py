"""The move, step by step: what each leaves behind is what the next one, or the same one given again, begins from.

Law: a step that was made changes nothing when it is made again, and none begins before the one before it is whole:

1. New partitions are reserved in the store, then the new topics are made: a worker that is started there waits.
2. The old partitions are closed in the store: no worker goes on there. Only then is it looked whether states and outputs agree.
3. All homes are copied (`states`).
4. From where on inputs are copied is put down with the brokers: the offsets that the workers had come to. That is the cut.
5. Profiles and all inputs after the cut are copied (`copier`), with their times.
6. The new partitions are opened: workers may start, and senders may be moved over.

From then on what still comes to the old topics is copied, whenever and as long as it is asked for (`follow`).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Final, NamedTuple

from stream.contract.errors import RecoveryError
from stream.contract.ports import BrokerError, Claimed, StateStore
from stream.contract.records import INPUT_TOPICS
from stream.contract.settings import Wiring
from stream.stores.moves import Growth

from ..topics import TIMEOUT_S, administration, create, find_topics
from .copier import Copier
from .plan import hindrances, positions
from .states import NewPartitions, claim_closed, close_old, reopen_old

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

__all__ = ["Step", "follow", "grow"]

_POLL_S: Final = 0.05
_SENDERS_TIME, _ARRIVAL = "CreateTime", "LogAppendTime"


class Step(NamedTuple):
    """Where a move has come to: what is done, and of long steps how much of how much (None: not known)."""

    text: str
    done: int = 0
    total: int | None = None


def grow(wiring: Wiring, stores: tuple[StateStore, StateStore], growth: Growth, replication: int | None = None) -> Iterator[Step]:
    """Move what is under the old prefix; a step each time something was done. Given again it goes on, or copies what came late.

    Parameters
    ----------
    wiring
        Of the old prefix.
    stores
        Where the states under the old prefix lie, and where those under the new one shall.
    growth
        From where to where.
    replication
        Copies of every record of the new topics; None: as `create`.

    Raises
    ------
    ConfigError
        The new prefix is not free, or the old one has moved elsewhere.
    RecoveryError
        Something must be done first; nothing was changed by that.
    BrokerError, StoreError, Fenced
        From brokers and store. Given again, it goes on.
    """
    old, new = stores
    target = wiring.model_copy(update={"prefix": growth.to_prefix})
    begun = Growth.beside(new, 0) is not None
    if not begun:
        _refuse(hindrances(wiring, old, growth))
    partitions = NewPartitions(new, growth)
    if begun and not partitions.is_cut and (found := hindrances(wiring, old, growth)):
        claims = claim_closed(old, growth)  # by one who was killed before the second look
        partitions.confirm()  # whoever takes over from now on claims after us
        _reopen_and_refuse(found, old, claims)
    if not partitions.are_open:
        create(target, growth.partitions, replication)
        yield Step(f'the topics of "{growth.to_prefix}" are there, with {growth.partitions} partitions')
        claims = close_old(old, growth)
        yield Step(f'"{growth.from_prefix}" is closed: no worker goes on there')
        if not partitions.is_cut and (found := hindrances(wiring, old, growth)):
            _reopen_and_refuse(found, old, claims)
        for done, total in partitions.fill(old):
            yield Step("homes copied", done, total)
        _keep_times(target, _SENDERS_TIME)
    with closing(Copier(wiring, growth)) as copier:
        if not partitions.is_cut:
            with partitions.guard_cut():
                copier.begin(positions(wiring))
            yield Step("the cut is put down: inputs are copied from where the workers had come to")
        copied: Counter[str] = Counter()
        for more in copier.copy():
            copied += more
            yield Step("records copied", copied.total())
    if not partitions.are_open:
        _keep_times(target, _ARRIVAL)
        partitions.open()
        yield Step(f'"{growth.to_prefix}" is open')


def follow(wiring: Wiring, growth: Growth, stop: Callable[[], bool]) -> Iterator[Counter[str]]:
    """Of a move that is done, copy what still comes to the old topics until `stop`; how many of each, after each transaction."""
    with closing(Copier(wiring, growth)) as copier:
        yield from copier.copy(stop)


def _refuse(found: Sequence[str]) -> None:
    if found:
        raise RecoveryError(" ".join(f"{one}." for one in found))


def _reopen_and_refuse(found: Sequence[str], old: StateStore, claims: Mapping[int, Claimed]) -> None:
    """A worker may have begun between the look and the closing: then the old partitions are opened again, for it to go on."""
    reopen_old(old, claims)
    _refuse(found)


def _keep_times(wiring: Wiring, kind: str) -> None:
    """Whose time records of the input topics carry: while old ones are copied theirs, for it orders what a home hears."""
    from confluent_kafka.admin import AlterConfigOpType, ConfigEntry, ConfigResource  # type: ignore[attr-defined]

    with administration(wiring) as admin:
        if _times(wiring, admin) == {kind}:
            return
        entry = ConfigEntry("message.timestamp.type", kind, incremental_operation=AlterConfigOpType.SET)
        names = [wiring.prefix + topic for topic in INPUT_TOPICS]
        asked = [ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=[entry]) for name in names]
        for answer in admin.incremental_alter_configs(asked, request_timeout=TIMEOUT_S).values():
            answer.result(TIMEOUT_S)
        until_s = time.monotonic() + TIMEOUT_S
        while _times(wiring, admin) != {kind}:
            if time.monotonic() > until_s:
                raise BrokerError(f"{wiring.broker} took {kind} for the input topics, but does not know it after {TIMEOUT_S:g} s")
            time.sleep(_POLL_S)


def _times(wiring: Wiring, admin: "AdminClient") -> set[str]:
    there = find_topics(wiring, admin)
    return {there[topic].settings["message.timestamp.type"] for topic in INPUT_TOPICS}
