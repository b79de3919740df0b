"""Which topics the input topics are: Kafka gives each an id of its own (KIP-516), and a name may come back with another.

Law: a topic that is deleted and made anew, or gets partitions, under a running worker is noticed within a second or two; a client
would go on at offsets that mean other records. What brokers do not tell (older than 2.8) is not compared.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

from stream.contract.errors import NewTopics
from stream.contract.ports import BrokerError, InputTopic
from stream.contract.records import INPUT_TOPICS
from stream.contract.settings import Wiring

from .topics import Names

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

__all__ = ["TopicWatch", "input_topics"]

_EVERY_S: Final = 1.0
_ANSWER_S: Final = 5.0

Topics = Mapping[str, InputTopic]


def input_topics(wiring: Wiring, admin: "AdminClient") -> Topics:
    """The input topics that are there, by their names in the contract; where brokers give no ids, those are empty."""
    from confluent_kafka import KafkaException, TopicCollection, Uuid

    names, found = Names(wiring.prefix), {}
    asked = TopicCollection([names.wire(topic) for topic in INPUT_TOPICS])
    for wire, described in admin.describe_topics(asked, request_timeout=_ANSWER_S).items():
        with suppress(KafkaException):  # one that is not there just now
            topic = described.result(_ANSWER_S)
            known = "" if str(topic.topic_id) == str(Uuid(0, 0)) else str(topic.topic_id)
            as_kafka_writes = known.replace("+", "-").replace("/", "_")  # so that it is the same for every client
            found[names.ours(wire)] = InputTopic(as_kafka_writes, len(topic.partitions))
    return found


class TopicWatch:
    """Asks again and again, in a thread of its own.

    Parameters
    ----------
    ask
        The input topics by the contract's names, those that are there. What it raises only means to ask again.
    close
        Of the client that `ask` asks.
    accept
        Whether a worker that begins anew goes on with other topics: then only this process has to end.
    """

    def __init__(self, ask: Callable[[], Topics], close: Callable[[], object], accept: bool) -> None:
        self._ask, self._close, self._accept = ask, close, accept
        self._over, self._changed = Event(), ""
        self.topics: Topics = {}
        with suppress(Exception):
            self.topics = ask()
        self._thread = Thread(target=self._look, name="topics", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises NewTopics when they are no longer those of the beginning; BrokerError when the next process accepts them."""
        if self._changed:
            raise (BrokerError if self._accept else NewTopics)(self._changed)

    def close(self) -> None:
        """Never raises."""
        self._over.set()
        self._thread.join(_EVERY_S)
        with suppress(Exception):
            self._close()

    def _look(self) -> None:
        while not self._over.wait(_EVERY_S) and not self._changed:
            with suppress(Exception):
                now = self._ask()
                self.topics = self.topics or now
                told = (topic.differs(name, self.topics[name]) for name, topic in now.items() if name in self.topics)
                self._changed = "; ".join(filter(None, told))
