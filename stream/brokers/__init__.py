"""Brokers of records: where inputs come from and outputs go, atomically with the offsets.

Law: every broker passes `tests/brokers/conformance_broker.py`. A client library is imported only by who asks for it.
"""

from stream.contract.ports import Broker
from stream.contract.settings import Wiring

from .faults import Crash, Fault, Faults
from .kafka.topics import address, require_client
from .memory import MemoryBroker, MemoryLog

__all__ = ["Crash", "Fault", "Faults", "MemoryBroker", "MemoryLog", "open_broker"]


def open_broker(wiring: Wiring) -> Broker:
    """A new member of the wiring's group; it has its assignment after some polls.

    Raises
    ------
    ConfigError
        The wiring cannot be, or the client library that its URL names is not installed.
    BrokerError
        The brokers do not answer, or refuse us.
    """
    scheme, _ = address(wiring)
    with require_client(wiring):
        if scheme == "confluent":
            from .kafka.confluent import confluent_broker

            return confluent_broker(wiring)
        from .kafka.kafka_python import kafka_python_broker

        return kafka_python_broker(wiring)
