"""Kafka: two clients behind one port, what they share, and how addresses, secrets, slots and journals are
dealt with.

`confluent` and `kafka_python` are the brokers, `cluster` what both do; a client library is imported only by
who asks for it.
"""

__all__: list[str] = []
