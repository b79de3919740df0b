"""What a move would find: how much there is, and what stands in its way.

Law: looking changes nothing.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from stream.brokers.kafka.groups import bounds, committed_offsets, onlooker
from stream.brokers.kafka.producer import explain_errors
from stream.brokers.kafka.topics import Names
from stream.contract.errors import ConfigError
from stream.contract.ports import StateStore, on_both
from stream.contract.records import INPUT_TOPICS
from stream.contract.settings import Wiring
from stream.stores.moves import GROWING, Growth, has_cut

from ..topics import TIMEOUT_S, administration
from .copier import COPYING, group_of, places_of

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

__all__ = ["Plan", "hindrances", "look", "positions"]

Place = tuple[str, int]  # topic as on the wire, partition


@dataclass(frozen=True, slots=True)
class Plan:
    """What is there under the old prefix, and what must be done before it can be moved (`hindrances`, whole sentences)."""

    growth: Growth
    state: Literal["new", "begun", "done"]
    homes: int
    waiting: Mapping[str, int]  # records by topic, that would be copied
    hindrances: Sequence[str]


def look(wiring: Wiring, stores: tuple[StateStore, StateStore], to_prefix: str, partitions: int) -> Plan:
    """How a move stands, or would. `stores`: of the states under the old prefix, and of those under the new one.

    Raises
    ------
    ConfigError
        The old topics are not there, or not in pairs.
    BrokerError, StoreError
        Brokers or store do not answer.
    """
    old, new = stores
    growth = Growth(wiring.prefix, _partitions(wiring), to_prefix, partitions)
    begun, cut = Growth.beside(new, 0) == growth, has_cut(new, growth)
    return Plan(
        growth,
        "new" if not begun else "begun" if GROWING in new.offsets(0) else "done",
        sum(1 for partition in range(growth.partitions_before) for _ in old.households(partition)),
        _count_waiting(wiring, group_of(wiring, growth) if cut else wiring.group),
        [] if cut else hindrances(wiring, old, growth),
    )


def hindrances(wiring: Wiring, old: StateStore, growth: Growth) -> list[str]:
    """What must be done before the old prefix can be moved, before the cut. Raises as `look`."""
    with administration(wiring) as admin:
        working = _members(wiring, admin)
    return [*_still_working(wiring, working), *_behind(wiring, old, growth)]


def positions(wiring: Wiring) -> dict[Place, int]:
    """The next offsets of inputs that the wiring's group has committed, once no transaction is open. Raises BrokerError."""
    with explain_errors(*COPYING), onlooker(wiring, "read_committed") as client:
        patience_s = wiring.kafka.retries_s + wiring.kafka.transaction_timeout_s
        return committed_offsets(client, places_of(client, wiring, INPUT_TOPICS), patience_s)


def _partitions(wiring: Wiring) -> int:
    """Of each input topic."""
    with administration(wiring) as admin:
        numbers = Counter(place.topic for place in places_of(admin, wiring, INPUT_TOPICS))
    if len({*numbers.values()}) > 1:
        raise ConfigError("prefix", wiring.prefix, f"partitions: {dict(numbers)}", "one whose input topics have equally many")
    return numbers[wiring.prefix + INPUT_TOPICS[0]]


def _count_waiting(wiring: Wiring, group: str) -> Counter[str]:
    """By topic, how many records come after what a group has committed (markers of transactions are counted with them)."""
    waiting = Counter[str]()
    with explain_errors(*COPYING), onlooker(wiring.model_copy(update={"group": group}), "read_uncommitted") as client:
        places = places_of(client, wiring)
        committed = committed_offsets(client, places, TIMEOUT_S)
        for place in places:
            first, end = bounds(client, place, TIMEOUT_S)
            waiting[Names(wiring.prefix).ours(place.topic)] += end - max(first, committed[place.topic, place.partition])
    return waiting


def _members(wiring: Wiring, admin: "AdminClient") -> dict[str, int]:
    """Who of the group has partitions of the old inputs, by host and id: how many. Raises KafkaException."""
    from confluent_kafka import KafkaError, KafkaException

    ours = {wiring.prefix + topic for topic in INPUT_TOPICS}
    try:
        group = admin.describe_consumer_groups([wiring.group], request_timeout=TIMEOUT_S)[wiring.group].result(TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:
            return {}
        raise
    found = {}
    for member in group.members:
        places = member.assignment.topic_partitions if member.assignment else []
        if taken := {place.partition for place in places if place.topic in ours}:
            found[f"{member.host.lstrip('/')} ({member.member_id})"] = len(taken)
    return found


def _still_working(wiring: Wiring, working: Mapping[str, int]) -> Iterator[str]:
    if working:
        who = ", ".join(f"{name} has {count} partitions" for name, count in working.items())
        yield (
            f'Workers still read the topics of "{wiring.prefix}": {who}. Stop them (SIGTERM); what comes meanwhile waits in the '
            f"topics. One that was killed counts until its session ends, {wiring.kafka.session_timeout_s:g} s after"
        )


def _behind(wiring: Wiring, store: StateStore, growth: Growth) -> Iterator[str]:
    """States that are not where outputs are."""
    committed = positions(wiring)
    for partition in range(growth.partitions_before):
        stands_at = store.offsets(partition)
        outputs = {topic: committed.get((wiring.prefix + topic, partition), 0) for topic in INPUT_TOPICS}
        if on_both(stands_at) != outputs:
            yield (
                f"Partition {partition}: the states stand at {on_both(stands_at)}, the outputs at {outputs}. Start a worker "
                f'under "{wiring.prefix}" once more, which brings the states up; stop it with SIGTERM when it said "taken over"'
            )
