"""Publishes what is already decided and saved, so that it may be said again.

Law: all of one announcement becomes visible, or nothing; and of announcers of one name only the newest can announce. One that
stood still for long and wakes up puts nothing old on top of what came since.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from stream.contract.ports import BrokerError, Encoded, Fenced
from stream.contract.settings import Wiring

from .topics import Names, librdkafka, require_client

if TYPE_CHECKING:
    from confluent_kafka import KafkaException

__all__ = ["Announcer"]

_CLOSE_S: Final = 5.0


class Announcer:
    """A producer whose partitions are those of the keys.

    Parameters
    ----------
    wiring
        Where, and under which prefix.
    name
        Its transactional id, after the prefix.

    Raises
    ------
    ConfigError
        The wiring cannot be, or the client library is missing.
    BrokerError
        The brokers do not answer.
    """

    def __init__(self, wiring: Wiring, name: str) -> None:
        with require_client(wiring):
            from confluent_kafka import KafkaException, Producer
        self._names, self._patience_s = Names(wiring.prefix), wiring.kafka.retries_s
        settings = {
            **librdkafka(wiring),
            "transactional.id": f"{wiring.prefix}{name}",
            "transaction.timeout.ms": int(wiring.kafka.transaction_timeout_s * 1_000),
            "partitioner": "murmur2_random",
            "error_cb": lambda _: None,  # what is fatal is raised by the next call; librdkafka would raise it in any
        }
        self._producer = Producer(settings)
        try:
            self._producer.init_transactions(self._patience_s)
        except KafkaException as error:
            raise _ours(error) from error

    def __call__(self, outputs: Sequence[Encoded]) -> None:
        """Publish in this order. Raises Fenced when there is a newer one of this name, else BrokerError; both end the process."""
        from confluent_kafka import KafkaException

        if not outputs:
            return
        try:
            self._producer.begin_transaction()
            for output in outputs:
                self._producer.produce(self._names.wire(output.topic), output.value, output.key)
            self._producer.commit_transaction(self._patience_s)  # fails if one of them was not delivered
        except (KafkaException, BufferError) as error:
            raise _ours(error) from error

    def close(self) -> None:
        """Let what is under way end. Never raises."""
        self._producer.flush(_CLOSE_S)


def _ours(error: "KafkaException | BufferError") -> BrokerError | Fenced:
    from confluent_kafka import KafkaError

    reason = error.args[0]
    if not isinstance(reason, KafkaError):
        return BrokerError(f"announcing: {error}")
    if reason.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED):
        return Fenced(f"announcing: a newer process announces now: {reason.str()}")
    return BrokerError(f"announcing: {reason.str()}")
