"""The states of all homes, from the partitions where they are to those where the new number puts them.

Law: of an old partition that is closed nothing changes any more, so what is copied of it is a function of what was there; and how
many homes a new partition has stands among its own offsets, saved in one step with them. So a copy that was stopped anywhere goes
on from there, and whoever copies beside us is refused by the store.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from stream.brokers.partitioning import partition_of
from stream.contract.errors import ConfigError
from stream.contract.ports import Claimed, Offsets, StateStore
from stream.stores.moves import CUT, GROWING, GROWTH, MOVED, Growth

__all__ = ["NewPartitions", "claim_closed", "close_old", "reopen_old"]

_AT_ONCE: Final = 500  # homes: some MiB, as a worker loads them


class NewPartitions:
    """The partitions under the new prefix while they are filled: no worker takes them before they are opened.

    Parameters
    ----------
    store
        Where the new prefix's states lie.
    growth
        The move; one that has begun there must be the same.

    Raises
    ------
    ConfigError
        Something else stands under that prefix.
    StoreError
        The store does not answer. Here and in all methods, which also raise Fenced when somebody else has claimed a partition.
    """

    def __init__(self, store: StateStore, growth: Growth) -> None:
        self._store, self._growth = store, growth
        self._claims: dict[int, tuple[int, dict[str, int]]] = {}  # of those that are not open: our epoch, and their offsets
        reserved = [self._is_reserved(partition) for partition in range(growth.partitions)]  # before any is changed
        for partition, before in enumerate(reserved):
            self._take(partition, before)

    @property
    def are_open(self) -> bool:
        """Whether all were opened: workers may have them by now."""
        return not self._claims

    @property
    def is_cut(self) -> bool:
        """Whether it is with the brokers from where on inputs are copied."""
        return 0 not in self._claims or self._claims[0][1].get(CUT) == 2

    def fill(self, old: StateStore, at_once: int = _AT_ONCE) -> Iterator[tuple[int, int]]:
        """Copy all homes of an old store whose partitions are closed; how many there are of how many, after each step."""
        before = range(self._growth.partitions_before)
        total, done = sum(1 for partition in before for _ in old.households(partition)), 0
        seen: Counter[int] = Counter()  # of the homes of a new partition, in the one order that they always have
        for partition in before:
            by_target: defaultdict[int, list[str]] = defaultdict(list)
            for home in old.households(partition):
                if self._is_its_place(old, partition, home):
                    by_target[partition_of(home.encode(), self._growth.partitions)].append(home)
                else:
                    total -= 1
            for target, names in by_target.items():
                for start in range(0, len(names), at_once):
                    some = names[start : start + at_once]
                    if target in self._claims:
                        there = self._claims[target][1][GROWING] - 1
                        self._add(target, old.load(partition, some[max(0, there - seen[target]) :]))
                    seen[target] += len(some)
                    done += len(some)
                    yield done, total

    def confirm(self) -> None:
        """Raises Fenced where somebody else has begun to move the same."""
        self._save(0, self._claims[0][1], {})

    @contextmanager
    def guard_cut(self) -> Iterator[None]:
        """Around putting the cut down: raises Fenced before it where it is no longer ours to do, and after it `is_cut`."""
        self._save(0, self._claims[0][1] | {CUT: 1}, {})
        yield
        self._save(0, self._claims[0][1] | {CUT: 2}, {})

    def open(self) -> None:
        """Let workers have them: they begin at the beginning of the new topics. Partition 0 is the last: it knows of the cut."""
        for partition in sorted(self._claims, reverse=True):
            self._save(partition, {}, {})
            del self._claims[partition]

    def _is_reserved(self, partition: int) -> bool:
        """Whether it is ours from before. Raises ConfigError when it is somebody else's."""
        standing = Growth.beside(self._store, partition)
        if standing is None and (self._store.offsets(partition) or any(self._store.households(partition))):
            right = "one under which no states stand, for they would be mixed up with those that are copied"
            raise ConfigError("to-prefix", self._growth.to_prefix, "there are states", right)
        if standing not in (None, self._growth):
            assert standing is not None
            right = f'what moves there, from "{standing.from_prefix}" to {standing.partitions} partitions, or another prefix'
            raise ConfigError("to-prefix", self._growth.to_prefix, "another move has begun there", right)
        return standing is not None

    def _take(self, partition: int, reserved: bool) -> None:
        if reserved and GROWING not in self._store.offsets(partition):
            return
        claimed = self._store.claim(partition)
        self._claims[partition] = claimed.epoch, dict(claimed.offsets)
        if not reserved:
            self._save(partition, {GROWING: 1}, {GROWTH: self._growth.encode()})

    def _is_its_place(self, old: StateStore, partition: int, home: str) -> bool:
        """Whether this is the state of a home to go on with: of one known in two halves, the one in its key's partition."""
        right = partition_of(home.encode(), self._growth.partitions_before)
        others = [right] if partition != right else []
        if others and not old.load(right, [home]):
            others = [other for other in range(partition) if old.load(other, [home])]
        return not any(old.load(other, [home]) for other in others)

    def _add(self, partition: int, states: dict[str, bytes]) -> None:
        if states:
            offsets = self._claims[partition][1]
            self._save(partition, offsets | {GROWING: offsets[GROWING] + len(states)}, states)

    def _save(self, partition: int, to: Offsets, states: dict[str, bytes]) -> None:
        epoch, offsets = self._claims[partition]
        self._store.save(partition, epoch, offsets, to, states)
        self._claims[partition] = epoch, dict(to)


def close_old(store: StateStore, growth: Growth) -> dict[int, Claimed]:
    """Let no worker go on with the states under the old prefix; our claims. Who has them by now can save no more.

    Raises
    ------
    ConfigError
        They have moved elsewhere.
    StoreError, Fenced
        From the store; the latter when a worker starts at this moment.
    """
    claims = {partition: store.claim(partition) for partition in range(growth.partitions_before)}
    for partition, (epoch, offsets) in claims.items():
        if MOVED not in offsets:
            store.save(partition, epoch, offsets, {**offsets, MOVED: 1}, {GROWTH: growth.encode()})
        elif (standing := Growth.beside(store, partition)) != growth:
            to = f'"{standing.to_prefix}" with {standing.partitions} partitions' if standing else "another prefix"
            raise ConfigError("prefix", growth.from_prefix, f"its homes have moved to {to}", "the one that homes are under now")
    return claims


def claim_closed(store: StateStore, growth: Growth) -> dict[int, Claimed]:
    """Our claims of the partitions that `close_old` has closed, which may be some. Raises StoreError."""
    closed = [partition for partition in range(growth.partitions_before) if MOVED in store.offsets(partition)]
    return {partition: store.claim(partition) for partition in closed}


def reopen_old(store: StateStore, claims: Mapping[int, Claimed]) -> None:
    """Take `close_old` back, unless somebody else has closed them since. Raises Fenced then, or StoreError."""
    for partition, (epoch, offsets) in claims.items():
        before = {topic: at for topic, at in offsets.items() if topic != MOVED}
        store.save(partition, epoch, before | {MOVED: 1}, before, {})
