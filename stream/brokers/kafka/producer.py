"""Publishes what is already decided and saved, so that it may be said again.

Law: all of one announcement becomes visible, or nothing; and of announcers of one name only the newest can announce. One that
stood still for long and wakes up puts nothing old on top of what came since.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from stream.contract.ports import BrokerError, Encoded, Fenced
from stream.contract.settings import Wiring

from .topics import Names, librdkafka, require_client

__all__ = ["Announcer", "explain_errors"]

_DOING: Final = ("announcing", "a newer process announces now")
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
            from confluent_kafka import Producer
        self._names, self._patience_s = Names(wiring.prefix), wiring.kafka.retries_s
        settings = {
            **librdkafka(wiring),
            "transactional.id": f"{wiring.prefix}{name}",
            "transaction.timeout.ms": int(wiring.kafka.transaction_timeout_s * 1_000),
            "partitioner": "murmur2_random",
            "error_cb": lambda _: None,  # what is fatal is raised by the next call; librdkafka would raise it in any
        }
        self._producer = Producer(settings)
        with explain_errors(*_DOING):
            self._producer.init_transactions(self._patience_s)

    def __call__(self, outputs: Sequence[Encoded]) -> None:
        """Publish in this order. Raises Fenced when there is a newer one of this name, else BrokerError; both end the process."""
        if not outputs:
            return
        with explain_errors(*_DOING):
            self._producer.begin_transaction()
            for output in outputs:
                self._producer.produce(self._names.wire(output.topic), output.value, output.key)
            self._producer.commit_transaction(self._patience_s)  # fails if one of them was not delivered

    def close(self) -> None:
        """Let what is under way end. Never raises."""
        self._producer.flush(_CLOSE_S)


@contextmanager
def explain_errors(doing: str, fenced: str) -> Iterator[None]:
    """Around calls of a transactional client: its errors become ours. `fenced`: what it means that there is a newer one."""
    from confluent_kafka import KafkaError, KafkaException

    try:
        yield
    except (KafkaException, BufferError) as error:
        reason = error.args[0]
        if not isinstance(reason, KafkaError):
            raise BrokerError(f"{doing}: {error}") from error
        if reason.code() in (KafkaError._FENCED, KafkaError.INVALID_PRODUCER_EPOCH, KafkaError.PRODUCER_FENCED):
            raise Fenced(f"{doing}: {fenced}: {reason.str()}") from error
        raise BrokerError(f"{doing}: {reason.str()}") from error
