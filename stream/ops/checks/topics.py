"""Whether the topics are as the contract wants them, and kept long enough to recover from.

Law: a topic is judged by what it does, not by how it was made: who makes topics by other means is right if these hold.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from stream.contract.codec import VALUE_BYTES_MAX
from stream.contract.records import INPUT_TOPICS
from stream.contract.settings import Wiring
from stream.contract.units import DAY_MS

from ..topics import MESSAGE_BYTES_MAX, TOPICS, TopicFound, find_topics, in_sync_min
from .check import Check, judge
from .kafka import make_checks

__all__ = ["topic_checks"]

_KEPT_DAYS_MIN: Final = 1
_KEPT_DAYS_WANTED: Final = 3  # the oldest copy of the store that one may have to go back to, over a weekend
_RECOVERY: Final = (*INPUT_TOPICS, "journal")  # what a store that is behind is brought up from
_ALLOWED: Final = {topic: {"READ"} for topic in INPUT_TOPICS} | {"journal": {"READ", "WRITE"}}  # of others: WRITE

Topics = Mapping[str, TopicFound]


def topic_checks(wiring: Wiring, presence: bool = False) -> list[Check]:
    """Checks of all topics of the contract; just one when none is there. `presence`: its topic is needed, too."""
    return list(make_checks("topics", wiring, lambda admin: _checks(wiring, find_topics(wiring, admin), presence)))


def _checks(wiring: Wiring, topics: Topics, presence: bool) -> Iterator[Check]:
    yield _there(wiring, topics, presence)
    if topics:
        own = [topic.name for topic in TOPICS if topic.for_worker or topic.name in INPUT_TOPICS]
        used = {name: topics[name] for name in own if name in topics}
        yield _partitions(topics)
        yield _permissions(used)
        yield _cleanup(topics)
        yield _replication(used)
        yield _retention({name: used[name] for name in _RECOVERY if name in used})
        yield _sizes(used)
        yield _timestamps(used)


def _there(wiring: Wiring, topics: Topics, presence: bool) -> Check:
    missing = [topic for topic in TOPICS if topic.name not in topics]
    needed = any(topic.for_worker or (presence and topic.name == "presence") for topic in missing)
    right = f"{', '.join(wiring.prefix + topic.name for topic in missing)}: kithkin topics create" if missing else ""
    told = f"{len(topics)} of {len(TOPICS)}" + (f' with the prefix "{wiring.prefix}"' if wiring.prefix else "")
    return judge("topics", told, failed=right if needed else "", warning=right)


def _partitions(topics: Topics) -> Check:
    counts = {name: topic.partitions for name, topic in topics.items()}
    if len(set(counts.values())) == 1:
        return judge("partitions", f"{max(counts.values())} in every topic")
    right = "the same number in every topic, since what comes of partition 7 is written to partition 7; see docs/cluster.md"
    return judge("partitions", _list(counts), failed=right)


def _permissions(topics: Topics) -> Check:
    """What the brokers' ACLs let us do."""
    lacking = {name: _ALLOWED.get(name, {"WRITE"}) - topic.allowed for name, topic in topics.items()}
    told = {name: " and ".join(sorted(names)).title() for name, names in lacking.items() if names}
    if not told:
        return judge("permissions", "all topics can be read and written as needed")
    return judge("permissions", "not all that is needed", failed=f"ACLs that allow {_list(told)}")


def _cleanup(topics: Topics) -> Check:
    wanted = {topic.name: topic.cleanup for topic in TOPICS}
    policies = {name: _words(topic.settings["cleanup.policy"]) for name, topic in topics.items()}
    wrong = {name: policy for name, policy in policies.items() if policy != wanted[name]}
    if not wrong:
        return judge("cleanup", "as in the contract")
    return judge("cleanup", _list(wrong), failed="cleanup.policy " + _list({name: wanted[name] for name in wrong}))


def _words(policy: str) -> str:
    return ",".join(sorted(policy.replace(" ", "").split(",")))


def _replication(topics: Topics) -> Check:
    """The weakest of the topics: what is lost with one broker, and what stands still without one."""
    in_sync = {name: int(topic.settings["min.insync.replicas"]) for name, topic in topics.items()}
    told = _group({name: f"{topic.replication} copies, {in_sync[name]} in sync" for name, topic in topics.items()})
    failed = warning = ""
    for name, topic in topics.items():
        copies, least = topic.replication, in_sync[name]
        if least > copies:
            failed = f"min.insync.replicas {in_sync_min(copies)}: with more than there are copies nothing can be published"
        elif copies >= 3 and least < 2:
            failed = "min.insync.replicas 2: with 1 an acknowledged record is lost with one broker, and with it exactly once"
        elif copies == least > 1:
            warning = f"min.insync.replicas {copies - 1}: otherwise nothing is published while one broker is down"
        elif copies < 3:
            warning = warning or "3 copies on 3 brokers: until then the loss of one disk can lose records"
    return judge("replication", told, failed=failed, warning=warning)


def _retention(topics: Topics) -> Check:
    """How far back a store can be brought up from: what the shortest of inputs and journal allows."""
    days = {name: _days(topic) for name, topic in topics.items()}
    by_size = {name: size for name, topic in topics.items() if (size := int(topic.settings["retention.bytes"])) >= 0}
    told = _group({name: "for ever" if kept == float("inf") else f"{kept:g} days" for name, kept in days.items()})
    shortest = min(days.values())
    right = f"retention.ms of {_KEPT_DAYS_WANTED} days or more for inputs and journal: no older copy of a store can be brought up"
    warning = right if shortest < _KEPT_DAYS_WANTED else ""
    if days.get("journal", 0) > shortest:
        warning = warning or "inputs kept at least as long as the journal, which is of no use without them"
    if by_size:
        warning = warning or f"no retention.bytes ({_list(by_size)}): under load records go before their time"
    return judge("retention", told, failed=right if shortest < _KEPT_DAYS_MIN else "", warning=warning)


def _days(topic: TopicFound) -> float:
    kept_ms = int(topic.settings["retention.ms"])
    return float("inf") if kept_ms < 0 else round(kept_ms / DAY_MS, 2)


def _sizes(topics: Topics) -> Check:
    limits = {name: int(topic.settings["max.message.bytes"]) for name, topic in topics.items()}
    inputs = {name: size for name, size in limits.items() if name in INPUT_TOPICS and size < VALUE_BYTES_MAX}
    outputs = {name: size for name, size in limits.items() if name not in INPUT_TOPICS and size < MESSAGE_BYTES_MAX}
    return judge(
        "record size",
        _list(inputs | outputs) or f"up to {min(limits.values()):,} bytes",
        failed=f"max.message.bytes {MESSAGE_BYTES_MAX} or more for outputs: they are published in batches" if outputs else "",
        warning=f"max.message.bytes {VALUE_BYTES_MAX} or more for inputs" if inputs else "",
    )


def _timestamps(topics: Topics) -> Check:
    types = {name: topics[name].settings["message.timestamp.type"] for name in INPUT_TOPICS if name in topics}
    by_senders = [name for name, kind in types.items() if kind != "LogAppendTime"]
    right = "message.timestamp.type LogAppendTime: with a sender's time, records from a clock that is behind are deleted too soon"
    told = f"the senders' in {' and '.join(by_senders)}" if by_senders else "the brokers'"
    return judge("timestamps", told, warning=right if by_senders else "")


def _list(values: Mapping[str, object]) -> str:
    return ", ".join(f"{name}: {value}" for name, value in values.items())


def _group(values: Mapping[str, str]) -> str:
    """What all say, once; else who says what."""
    kinds = set(values.values())
    return kinds.pop() if len(kinds) == 1 else _list(values)
