"""What is asked of the brokers themselves: that they answer, are new enough, and let us publish in transactions.

Law: no group is joined and nothing is consumed or published. The one trace is a transactional id of its own, which expires.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from stream.brokers.kafka.security import kafka_python_security
from stream.brokers.kafka.topics import address, librdkafka, require_client
from stream.contract.errors import ConfigError
from stream.contract.ports import BrokerError
from stream.contract.settings import Wiring

from ..topics import TIMEOUT_S, administration
from .check import Check, State, judge

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

__all__ = ["make_checks", "kafka_checks"]

_VERSION_MIN: Final = (2, 5)  # a transaction that carries the group's metadata: KIP-447
_VERSION_WANTED: Final = (4, 0)  # a dead producer's transaction cannot be left hanging: KIP-890
_OFFSETS_DAYS_MIN: Final = 7  # a group that stands still for so long goes on where it stood


def make_checks(
    name: str, wiring: Wiring, ask: Callable[["AdminClient"], Iterable[Check]], refused: State = "failed"
) -> Iterator[Check]:
    """The checks that `ask` makes; where the brokers refuse or fail, one that says so."""
    try:
        with administration(wiring) as admin:
            yield from ask(admin)
    except ConfigError as error:
        yield Check(name, refused, f"{error.key} = {error.value!r} ({error.source})", error.right)
    except BrokerError as error:
        yield Check(name, "failed", str(error), "brokers that answer", passes=True)


def kafka_checks(wiring: Wiring) -> list[Check]:
    """Checks of the brokers; just one, which failed, when they do not answer. Raises ConfigError on a URL that cannot be."""
    reached = list(make_checks(f"Kafka at {address(wiring)[1]}", wiring, lambda admin: _answers(wiring, admin)))
    if any(check.state == "failed" for check in reached):
        return reached
    limits = make_checks("Kafka: limits", wiring, lambda admin: _limits(wiring, admin), refused="warning")
    transactions = make_checks("Kafka: transactions", wiring, lambda _: [_transactions(wiring)])
    return [*reached, *limits, *transactions]


def _answers(wiring: Wiring, admin: "AdminClient") -> Iterator[Check]:
    nodes = sorted(admin.list_topics(timeout=TIMEOUT_S).brokers)
    yield judge(f"Kafka at {address(wiring)[1]}", f"answers, {len(nodes)} broker{'s' if len(nodes) > 1 else ''}")
    yield _version(wiring, nodes)


def _version(wiring: Wiring, nodes: Iterable[int]) -> Check:
    """The oldest of the brokers; only kafka-python tells."""
    with require_client(wiring):
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

    servers, patience_ms = address(wiring)[1].split(","), int(TIMEOUT_S * 1_000)
    try:
        admin = KafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=patience_ms, **kafka_python_security(wiring.kafka))
        try:
            oldest = min(admin.get_broker_version_data(node).broker_version for node in nodes)
        finally:
            admin.close()
    except KafkaError as error:
        return judge("Kafka: version", f"not told: {error}", warning="every broker can be reached from here")
    return judge(
        "Kafka: version",
        ".".join(map(str, oldest)),
        failed="" if oldest >= _VERSION_MIN else "2.5 or newer",
        warning="" if oldest >= _VERSION_WANTED else "4.0 or newer, where a dead producer's transaction cannot be left hanging",
    )


def _limits(wiring: Wiring, admin: "AdminClient") -> Iterator[Check]:
    """What the brokers allow, against the wiring."""
    told = _settings(admin)
    session_ms = wiring.kafka.session_timeout_s * 1_000
    least, most = int(told["group.min.session.timeout.ms"]), int(told["group.max.session.timeout.ms"])
    right = f"kafka.session_timeout_s from {least / 1_000:g} to {most / 1_000:g}, as the brokers allow"
    yield judge("Kafka: session timeout", f"{session_ms / 1_000:g} s", failed="" if least <= session_ms <= most else right)

    longest_s = int(told["transaction.max.timeout.ms"]) / 1_000
    right = f"kafka.transaction_timeout_s up to {longest_s:g}, as the brokers allow"
    timeout_s = wiring.kafka.transaction_timeout_s
    yield judge("Kafka: transaction timeout", f"{timeout_s:g} s", failed="" if timeout_s <= longest_s else right)

    days = int(told["offsets.retention.minutes"]) / 1_440
    right = f"{_OFFSETS_DAYS_MIN} days or more (offsets.retention.minutes): a group without offsets cannot go on with its states"
    yield judge("Kafka: offsets kept", f"{days:g} days", warning="" if days >= _OFFSETS_DAYS_MIN else right)


def _settings(admin: "AdminClient") -> Mapping[str, Any]:
    """Settings of one broker."""
    from confluent_kafka.admin import ConfigResource  # type: ignore[attr-defined]

    node = min(admin.list_topics(timeout=TIMEOUT_S).brokers)
    asked_of = ConfigResource(ConfigResource.Type.BROKER, str(node))
    (answer,) = admin.describe_configs([asked_of], request_timeout=TIMEOUT_S).values()
    return {name: entry.value for name, entry in answer.result().items()}


def _transactions(wiring: Wiring) -> Check:
    """Ask for what a worker asks for first; raises KafkaException."""
    from confluent_kafka import Producer

    settings = {
        **librdkafka(wiring),
        "log_level": 0,
        "transactional.id": f"{wiring.prefix}{wiring.group}-checks",
        "transaction.timeout.ms": int(wiring.kafka.transaction_timeout_s * 1_000),
    }
    Producer(settings).init_transactions(TIMEOUT_S)
    return judge("Kafka: transactions", "a coordinator answers")
