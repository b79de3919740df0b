"""The topics of the contract, and how they are made in a cluster.

Law: what is there is never changed, least of all its number of partitions. Every topic has the same number, since a worker
writes what came of partition 7 to partition 7; and it stays, since with another number most households' next records would
go to other partitions, away from their states and out of their order.

Records carry the brokers' time (LogAppendTime): retention counts from when a record arrived, so neither a device whose clock
stands in 1970 nor a recorded log that is fed anew has its records deleted before they were read.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from stream.brokers.kafka.topics import Names, librdkafka, require_client
from stream.contract.errors import ConfigError
from stream.contract.ports import BrokerError
from stream.contract.settings import Wiring
from stream.contract.units import DAY_MS

if TYPE_CHECKING:
    from confluent_kafka import KafkaError
    from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

__all__ = [
    "MESSAGE_BYTES_MAX", "TIMEOUT_S", "TOPICS", "Created", "Topic", "TopicFound", "administration", "create", "find_topics",
    "in_sync_min",
]  # fmt: skip

_REPLICATION_WANTED: Final = 3  # one broker may be down for maintenance while another fails
MESSAGE_BYTES_MAX: Final = 1_048_588  # Kafka's own default: a batch of ours may fill it
TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Topic:
    """One line of the contract's table of topics, with how long records are kept."""

    name: str
    key: str
    cleanup: str  # Kafka's cleanup.policy, its words in alphabetical order
    days: int | None  # kept so long after arrival; None: the newest of each key for ever
    for_worker: bool = True  # False: a worker runs without it

    def settings(self, replication: int) -> dict[str, str]:
        """Kafka's settings of this topic, as `create` makes it."""
        made = {
            "cleanup.policy": self.cleanup,
            "retention.ms": str(self.days * DAY_MS if self.days is not None else -1),
            "message.timestamp.type": "LogAppendTime",
            "min.insync.replicas": str(in_sync_min(replication)),
            "max.message.bytes": str(MESSAGE_BYTES_MAX),
        }
        if "compact" in self.cleanup:  # what was erased or replaced is off the disks soon, however quiet the topic is
            made |= {"max.compaction.lag.ms": str(DAY_MS), "delete.retention.ms": str(DAY_MS)}
        return made


TOPICS: Final = (
    Topic("recognitions", "household_id", "delete", 7),
    Topic("feedback", "household_id", "delete", 7),
    Topic("consents", "household_id", "delete", 7, for_worker=False),
    Topic("proofs", "household_id", "delete", 7, for_worker=False),
    Topic("sightings", "household_id", "delete", 7, for_worker=False),
    Topic("identities", "household_id", "delete", 30),
    Topic("profiles", "household_id/person_id", "compact", None),
    Topic("labels", "household_id", "delete", 30),
    Topic("presence", "household_id/person_id", "compact", None, for_worker=False),
    Topic("drift-signals", "household_id", "delete", 7),
    Topic("drift-alerts", "alert_id", "compact,delete", 90),
    Topic("drift-commands", "alert_id", "delete", 7, for_worker=False),
    Topic("decisions", "household_id", "delete", 30, for_worker=False),
    Topic("journal", "(by partition)", "delete", 7),
    Topic("dead-letters", "as it came", "delete", 30),
)


class Created(NamedTuple):
    """What `create` says of one topic: its full name, whether it was made now, and its number of partitions."""

    name: str
    made: bool
    partitions: int


@dataclass(frozen=True, slots=True)
class TopicFound:
    """A topic as it stands in the cluster."""

    partitions: int
    replication: int  # the least of its partitions
    settings: Mapping[str, str]  # Kafka's, those that were set and the defaults
    allowed: frozenset[str]  # what we may do with it: names of ACL operations


def in_sync_min(replication: int) -> int:
    """Right `min.insync.replicas`: what was acknowledged survives a broker, and one broker may be down.

    >>> [in_sync_min(replication) for replication in (1, 2, 3, 5)]
    [1, 1, 2, 2]
    """
    return 2 if replication >= 3 else 1


@contextmanager
def administration(wiring: Wiring) -> Iterator["AdminClient"]:
    """An administrator's connection to the brokers.

    Raises
    ------
    ConfigError
        The wiring cannot be, the client library is missing, or they do not let us in or allow what is asked.
    BrokerError
        They do not answer in ten seconds, or do not do it; also from inside the block.
    """
    with require_client(wiring):
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import AdminClient

    told: list[KafkaError] = []  # librdkafka says what is the matter here, and in the exception only that time has passed
    settings: dict[str, Any] = {**librdkafka(wiring), "log_level": 0, "error_cb": told.append}
    # It is ended here: what is left to the garbage collector may be found by it in one of librdkafka's own threads, which aborts.
    with AdminClient(settings) as admin:
        try:
            yield admin
        except KafkaException as error:
            admin.poll(0)
            raise _explain([error.args[0], *told], wiring) from None


def _explain(faults: Sequence["KafkaError"], wiring: Wiring) -> ConfigError | BrokerError:
    """Whose fault it is, and what would be right."""
    from confluent_kafka import KafkaError

    ours = wiring.prefix
    allow = {
        KafkaError.TOPIC_AUTHORIZATION_FAILED: f"Describe, DescribeConfigs, Read, Write (and Create) on the topics {ours}*",
        KafkaError.GROUP_AUTHORIZATION_FAILED: f"Describe and Read on the group {wiring.group}",
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: f"Describe and Write on the transactional ids {ours}{wiring.group}-*",
        KafkaError.CLUSTER_AUTHORIZATION_FAILED: "Describe and DescribeConfigs on the cluster",
    }
    for fault in faults:
        if fault.code() in allow:
            right = f"a user whom an ACL allows {allow[fault.code()]}"
            return ConfigError("kafka.username", wiring.kafka.username, fault.str(), right)
        if fault.code() in (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.SASL_AUTHENTICATION_FAILED):
            right = "what the brokers accept, together with mechanism, username, password and certificates in [kafka]"
            return ConfigError("kafka.security", wiring.kafka.security, fault.str(), right)
    reason = next((fault for fault in faults[1:] if fault.code() != KafkaError._ALL_BROKERS_DOWN), faults[0])
    silent = (KafkaError._TRANSPORT, KafkaError._TIMED_OUT, KafkaError._RESOLVE, KafkaError._ALL_BROKERS_DOWN)
    does_not = "does not answer" if reason.code() in silent else "does not do as asked"
    return BrokerError(f"{wiring.broker} {does_not}: {reason.str()}")


def find_topics(wiring: Wiring, admin: "AdminClient") -> dict[str, TopicFound]:
    """Those of our topics that are there, by their names in the contract. Raises KafkaException."""
    from confluent_kafka import KafkaError, KafkaException, TopicCollection
    from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]

    names = Names(wiring.prefix)
    wires = {topic.name: names.wire(topic.name) for topic in TOPICS}
    asked = TopicCollection([*wires.values()])
    topics = admin.describe_topics(asked, include_authorized_operations=True, request_timeout=TIMEOUT_S)
    resources = {wire: ConfigResource(ConfigResource.Type.TOPIC, wire) for wire in wires.values()}
    settings = admin.describe_configs([*resources.values()], request_timeout=TIMEOUT_S)
    there = {}
    for name, wire in wires.items():
        try:
            topic, entries = topics[wire].result(), settings[resources[wire]].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            continue
        there[name] = TopicFound(
            len(topic.partitions),
            min(len(partition.replicas) for partition in topic.partitions),
            {key: entry.value for key, entry in entries.items()},
            frozenset(operation.name for operation in topic.authorized_operations),
        )
    return there


def create(wiring: Wiring, partitions: int, replication: int | None = None) -> list[Created]:
    """Make those topics of the contract that are missing.

    Parameters
    ----------
    partitions
        Of every topic. More than there will ever be workers, since it cannot change later.
    replication
        Copies of every record; None: three, or as many as there are brokers.

    Returns
    -------
    One line a topic, in the contract's order.

    Raises
    ------
    ConfigError
        Topics are there with another number of partitions. Nothing was made.
    BrokerError
        The brokers cannot be reached or refuse.
    """
    with administration(wiring) as admin:
        brokers = len(admin.list_topics(timeout=TIMEOUT_S).brokers)
        copies = min(_REPLICATION_WANTED, brokers) if replication is None else replication
        if copies > brokers:
            raise ConfigError("replication", copies, f"{brokers} brokers", f"at most {brokers}: each copy lies on another broker")
        there = find_topics(wiring, admin)
        _refuse_other_partitions(wiring, partitions, there)
        missing = [topic for topic in TOPICS if topic.name not in there]
        made = _make(admin, [_new(wiring.prefix, topic, partitions, copies) for topic in missing])
        _refuse_other_partitions(wiring, partitions, _all_known(wiring, admin))  # who was quicker may have made others
    return [Created(wiring.prefix + topic.name, wiring.prefix + topic.name in made, partitions) for topic in TOPICS]


def _new(prefix: str, topic: Topic, partitions: int, replication: int) -> "NewTopic":
    from confluent_kafka.admin import NewTopic  # type: ignore[attr-defined]

    return NewTopic(prefix + topic.name, partitions, replication, config=topic.settings(replication))


def _make(admin: "AdminClient", topics: Sequence["NewTopic"]) -> set[str]:
    """Names of those that were made now; another may have been quicker."""
    from confluent_kafka import KafkaError, KafkaException

    made = set()
    for name, answer in (admin.create_topics(list(topics), operation_timeout=TIMEOUT_S) if topics else {}).items():
        try:
            answer.result()
            made.add(name)
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise
    return made


def _all_known(wiring: Wiring, admin: "AdminClient") -> dict[str, TopicFound]:
    """All topics, once the brokers have heard from their controller what was made. Raises BrokerError."""
    until_s = time.monotonic() + TIMEOUT_S
    while len(there := find_topics(wiring, admin)) < len(TOPICS):
        if time.monotonic() > until_s:
            raise BrokerError(f"{wiring.broker} made the topics, but does not know them all after {TIMEOUT_S:g} s")
        time.sleep(_POLL_S)
    return there


def _refuse_other_partitions(wiring: Wiring, partitions: int, there: Mapping[str, TopicFound]) -> None:
    counts = {wiring.prefix + name: topic.partitions for name, topic in there.items()}
    if set(counts.values()) - {partitions}:
        right = ", ".join(map(str, sorted(set(counts.values()))))
        raise ConfigError(
            "partitions",
            partitions,
            "there are " + ", ".join(f"{name} with {count}" for name, count in counts.items()),
            f"{right} as they have. It does not change in a live system: households would move to other partitions, away from "
            "their states and out of their order. To have another number, move to topics of another prefix: kithkin topics grow",
        )
