"""What a worker is told of how much, and what it tells of that."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from stream.contract.records import Unlisted

from .batch import Ordering, by_content

__all__ = ["Counts", "Progress", "WorkerLimits"]


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much a worker takes at once, and when it gives up. None of it changes what a journalled batch gives."""

    records_max: int = 1_000  # of one poll with a backlog: what is done again at most when a process dies in the middle
    records_min: int = 1_000  # of one poll when it is quiet; it doubles as long as polls bring as many as they may
    poll_timeout_s: float = 0.02  # sets the latency at low rates
    resident_bytes_max: int = 128 * 2**20  # encoded; live objects weigh a small multiple
    dead_letters_window: int = 1_000  # latest records among which dead letters are counted
    dead_letters_min: int = 200  # so many before the share is looked at: a quiet topic may well begin with rubbish
    dead_letters_share_max: float = 0.5
    accept_new_topics: bool = False  # whether to go on with input topics that were made anew
    ordering: Ordering = by_content


@dataclass(slots=True)
class Counts:
    """What a worker has done since it started, and what it holds. Batches applied again count only as `recoveries`."""

    batches: int = 0
    records: int = 0  # polled and published: events and dead letters
    events: int = 0  # records that are no dead letters
    recoveries: int = 0  # journalled batches of one partition applied again
    rebalances: int = 0  # changes of what is assigned
    households_new: int = 0  # homes begun because the store had no state of them
    households_loaded: int = 0  # homes decoded from the store; the same home again after it had to leave memory
    outcomes: Counter[str] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)  # by reason
    left_out: Counter[str] = field(default_factory=Counter)  # parts of events that could not be read, by the field at fault
    recognitions: int = 0  # polled, whatever became of them
    unlisted: Counter[Unlisted] = field(default_factory=Counter)  # their vectors of encoders that the policy does not list
    outputs: Counter[str] = field(default_factory=Counter)  # by topic
    resident_homes: int = 0  # in memory now
    resident_bytes: int = 0  # what they weigh at rest
    misplaced: int = 0  # homes seen whose records lie in another partition than their key's
    quarantined: int = 0  # households of the assigned partitions that are left out now


class Progress(NamedTuple):
    """What one `run_once` did: `records` published in it, partitions now owned, and whether the log has ended."""

    records: int
    partitions: frozenset[int]
    ended: bool
