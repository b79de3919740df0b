"""Whether the input topics are the ones that states were made of, and records lie where their keys belong.

Law: offsets mean nothing without the topic they were counted in. Beside the offsets of a partition stands which topics those
were; where they are others, a worker stops before it takes a record, unless it was told to go on: then it begins those anew. What
it reads twice by that is known by its id.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Final

from stream.contract.errors import NewTopics
from stream.contract.ports import InputTopic

from .partitioning import partition_of

__all__ = ["TOPICS", "Placement", "encode_topics", "find_made_anew"]

TOPICS: Final = "!topics"  # its name in the store; no household id has a "!"
_CHECKED_MAX: Final = 200_000  # homes: about 20 MB


def encode_topics(topics: Mapping[str, InputTopic]) -> bytes:
    """As it stands beside the states of a partition."""
    return json.dumps({name: [topic.topic_id, topic.partitions] for name, topic in topics.items()}, sort_keys=True).encode()


def find_made_anew(stored: bytes | None, topics: Mapping[str, InputTopic], accept: bool) -> list[str] | None:
    """Topics that are no longer those of the states, to be begun at their beginning; None: they are as they were.

    Raises
    ------
    NewTopics
        They are others, or have other partitions, and that is not accepted.
    """
    before = {name: InputTopic(*told) for name, told in json.loads(stored or b"{}").items()}
    why = [told for name, topic in topics.items() if name in before and (told := topic.differs(name, before[name]))]
    if why and not accept:
        raise NewTopics("; ".join(why))
    if not why:
        return None
    return [name for name, topic in topics.items() if name in before and topic.is_other_than(before[name])]


class Placement:
    """Looks once at each home whether its records lie in the partition that Kafka's own partitioner gives its key."""

    def __init__(self) -> None:
        self._checked: set[str] = set()
        self.misplaced = 0  # homes

    def note(self, partition: int, partitions: int, households: Iterable[str]) -> int:
        """Homes that had records in a partition; how many of those that were not known yet lie wrong."""
        fresh = {*households} - self._checked
        if len(self._checked) > _CHECKED_MAX:
            self._checked.clear()
        self._checked |= fresh
        wrong = sum(household != "" and partition_of(household.encode(), partitions) != partition for household in fresh)
        self.misplaced += wrong
        return wrong
