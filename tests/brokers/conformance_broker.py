"""What every broker must do. An adapter's tests subclass `BrokerConformance` and give a cluster to join.

A difference that an adapter cannot help is that test overridden in the subclass with `xfail(strict=True, reason=…)`.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import pytest

from stream.contract.errors import RecoveryError
from stream.contract.ports import Batch, Broker, BrokerError, Encoded, Fenced, Transaction, on_both
from stream.contract.records import REQUIRED_TOPICS, Journal, Record

__all__ = ["BrokerConformance", "Cluster", "at", "entry"]

POLLS_MAX = 200  # patience: a cluster may need several polls to assign or to deliver
POLL_TIMEOUT_S = 0.2
PATIENCE_S = 30


class Cluster(Protocol):
    """Topics of two partitions and one group, empty at the beginning of each test."""

    def append(self, topic: str, partition: int, timestamp: int, key: bytes | None, value: bytes | None) -> None:
        """A producer sends a record."""
        ...

    def join(self) -> Broker:
        """A new member of the group."""
        ...

    def expire(self, broker: Broker) -> None:
        """The group gives a member up, without its knowledge."""
        ...

    def outputs(self, topic: str, partition: int) -> Sequence[Encoded]:
        """What a reader of committed records sees of an output topic."""
        ...


class BrokerConformance:
    """The port's promises."""

    @pytest.fixture
    def cluster(self) -> Cluster:
        raise NotImplementedError("the adapter's test class gives the cluster")

    def test_the_first_member_is_assigned_everything_and_no_records_with_it(self, cluster: Cluster) -> None:
        cluster.append("recognitions", 0, 1, b"h", b"v")
        batch = _until_assigned(cluster.join())
        assert (batch.assigned, batch.revoked, len(batch.records)) == (frozenset({0, 1}), frozenset(), 0)

    def test_a_member_that_never_waits_in_a_poll_is_assigned_too(self, cluster: Cluster) -> None:
        broker, ends_at = cluster.join(), time.monotonic() + PATIENCE_S
        while not broker.poll(100, 0.0).assigned:
            assert time.monotonic() < ends_at, "no partition was assigned"
            time.sleep(0.005)  # as one who has something else to do

    def test_each_record_comes_once_and_in_the_order_of_its_offset(self, cluster: Cluster) -> None:
        _fill(cluster, 20)
        records = _read(_joined(cluster), 80)
        for topic in REQUIRED_TOPICS:
            for partition in (0, 1):
                assert _offsets(records, topic, partition) == list(range(20))

    def test_a_poll_gives_at_most_as_many_as_asked(self, cluster: Cluster) -> None:
        _fill(cluster, 20)
        broker = _joined(cluster)
        sizes = [len(broker.poll(7, POLL_TIMEOUT_S).records) for _ in range(20)]
        assert 0 < max(sizes) <= 7

    def test_a_record_is_given_as_it_was_sent(self, cluster: Cluster) -> None:
        cluster.append("feedback", 1, 1_763_690_000_123, b"\xff\x00key", bytes(range(256)))
        cluster.append("feedback", 1, 1_763_690_000_456, None, None)
        assert _read(_joined(cluster), 2) == [
            Record("feedback", 1, 0, 1_763_690_000_123, b"\xff\x00key", bytes(range(256))),
            Record("feedback", 1, 1, 1_763_690_000_456, None, None),
        ]

    def test_a_live_log_never_ends_and_an_idle_poll_is_empty(self, cluster: Cluster) -> None:
        batch = _joined(cluster).poll(10, 0.0)
        assert (list(batch.records), batch.assigned, batch.revoked, batch.ended) == ([], frozenset(), frozenset(), False)

    def test_without_a_commit_both_topics_stand_at_0(self, cluster: Cluster) -> None:
        assert on_both(_joined(cluster).committed(1)) == on_both({})

    def test_seek_makes_the_next_poll_go_on_from_there(self, cluster: Cluster) -> None:
        _fill(cluster, 5)
        broker = _joined(cluster)
        _read(broker, 20)
        broker.seek(1, {"recognitions": 4, "feedback": 2})
        again = _read(broker, 4)
        assert _offsets(again, "recognitions", 1) == [4]
        assert _offsets(again, "feedback", 1) == [2, 3, 4]

    def test_what_is_sought_right_after_an_assignment_holds(self, cluster: Cluster) -> None:
        _fill(cluster, 5)
        broker = _joined(cluster)
        broker.seek(0, {"recognitions": 1, "feedback": 1})
        broker.seek(0, {"recognitions": 3, "feedback": 4})
        broker.seek(1, {"recognitions": 5})
        records = _read(broker, 8)
        assert sorted(record.position for record in records if record.partition == 0) == [
            ("feedback", 0, 4),
            ("recognitions", 0, 3),
            ("recognitions", 0, 4),
        ]
        assert _offsets(records, "feedback", 1) == [0, 1, 2, 3, 4]

    def test_to_seek_one_partition_moves_no_other(self, cluster: Cluster) -> None:
        _fill(cluster, 5)
        broker = _joined(cluster)
        read = [record.position for record in broker.poll(7, PATIENCE_S).records]
        broker.seek(0, {})
        broker.seek(0, {"recognitions": 5, "feedback": 4})
        rest = [record.position for record in _read(broker, 11 - sum(partition for _, partition, _ in read))]
        assert sorted(position for position in [*read, *rest] if position.partition == 1) == [
            (topic, 1, offset) for topic in ("feedback", "recognitions") for offset in range(5)
        ]

    def test_the_lag_is_what_was_not_polled(self, cluster: Cluster) -> None:
        _fill(cluster, 20)
        broker, polled, lags = _joined(cluster), 0, []
        for _ in range(POLLS_MAX):
            polled += len(broker.poll(7, POLL_TIMEOUT_S).records)
            lags.append(broker.lag())
            assert sum(lags[-1].values()) <= 80 - polled
            if polled == 80:
                break
        assert lags[-1] == {0: 0, 1: 0}
        assert any(sum(lag.values()) > 0 for lag in lags)  # of what was polled of, the rest is known

    def test_a_published_transaction_is_visibleon_both(self, cluster: Cluster) -> None:
        _fill(cluster, 3)
        broker = _joined(cluster)
        _read(broker, 12)
        outputs = [
            Encoded("identities", 0, 11, b"h-0", b"first"),
            Encoded("profiles", 0, 12, b"h-0/alice", None),
            Encoded("identities", 1, 13, b"h-1", b"other"),
            Encoded("identities", 0, 14, b"h-0", b"second"),
            Encoded("dead-letters", 0, 15, None, b"letter"),
        ]
        broker.publish(_transaction(outputs, {0: (0, 3), 1: (0, 2)}))
        assert list(cluster.outputs("identities", 0)) == [outputs[0], outputs[3]]
        assert list(cluster.outputs("identities", 1)) == [outputs[2]]
        assert list(cluster.outputs("profiles", 0)) == [outputs[1]]
        assert list(cluster.outputs("dead-letters", 0)) == [outputs[4]]
        assert [on_both(broker.committed(partition)) for partition in (0, 1)] == [at(3), at(2)]
        assert list(broker.journal(1, at(0))) == [entry(1, 0, 2)]

    def test_the_journal_is_read_from_the_start_of_any_batch(self, cluster: Cluster) -> None:
        _fill(cluster, 6)
        broker = _joined(cluster)
        _read(broker, 24)
        for start in (0, 2, 4):
            broker.publish(_transaction([], {1: (start, start + 2)}))
        assert list(broker.journal(1, at(2))) == [entry(1, 2, 4), entry(1, 4, 6)]
        assert list(broker.journal(1, at(6))) == []
        assert list(broker.journal(0, at(0))) == []

    def test_a_journal_that_begins_later_is_an_error(self, cluster: Cluster) -> None:
        _fill(cluster, 6)
        broker = _joined(cluster)
        _read(broker, 24)
        broker.publish(_transaction([], {1: (0, 4)}))
        with pytest.raises(RecoveryError):
            list(broker.journal(1, at(1)))

    def test_fetch_gives_exactly_one_batch_and_does_not_move_the_poll(self, cluster: Cluster) -> None:
        _fill(cluster, 6)
        broker = _joined(cluster)
        read = _read(broker, 24)
        fetched = broker.fetch(1, {"recognitions": 1, "feedback": 3}, {"recognitions": 4, "feedback": 3})
        assert list(fetched) == [r for r in read if r.partition == 1 and r.topic == "recognitions" and 1 <= r.offset < 4]
        assert list(broker.fetch(0, at(2), at(2))) == []
        both = broker.fetch(0, at(2), at(4))
        assert [_offsets(both, topic, 0) for topic in REQUIRED_TOPICS] == [[2, 3], [2, 3]]
        assert list(broker.poll(10, 0.0).records) == []

    def test_a_new_member_goes_on_at_the_committed_offsets(self, cluster: Cluster) -> None:
        _fill(cluster, 4)
        first = _joined(cluster)
        _read(first, 16)
        first.publish(_transaction([], {0: (0, 4), 1: (0, 3)}))
        first.close()
        second = _joined(cluster)
        assert on_both(second.committed(1)) == at(3)
        assert sorted(record.position for record in _read(second, 2)) == [("feedback", 1, 3), ("recognitions", 1, 3)]

    def test_two_members_share_the_partitions(self, cluster: Cluster) -> None:
        first = _joined(cluster)
        second = cluster.join()
        assigned, revoked = _balance([first, second])
        assert assigned[0] | assigned[1] == {0, 1}
        assert len(assigned[0]) == len(assigned[1]) == 1
        assert revoked[0] == {0, 1}, "a rebalance is eager: all is revoked, then the new share is assigned"

    def test_each_member_reads_its_own_share(self, cluster: Cluster) -> None:
        members = [_joined(cluster), cluster.join()]
        assigned, _ = _balance(members)
        _fill(cluster, 5)
        for member, share in zip(members, assigned, strict=True):
            assert {record.partition for record in _read(member, 10)} == share

    def test_after_a_rebalance_all_that_is_not_committed_comes_again_once(self, cluster: Cluster) -> None:
        _fill(cluster, 5)
        members = [_joined(cluster)]
        _read(members[0], 20)
        members.append(cluster.join())
        for member, share in zip(members, _balance(members)[0], strict=True):
            (partition,) = share
            records = [*_read(member, 10), *member.poll(100, POLL_TIMEOUT_S).records]
            assert sorted(record.position for record in records) == [
                (topic, partition, offset) for topic in ("feedback", "recognitions") for offset in range(5)
            ]

    def test_a_partition_that_is_not_assigned_cannot_be_published(self, cluster: Cluster) -> None:
        broker = _joined(cluster)
        with pytest.raises(BrokerError, match=r"\[7\] are not all assigned"):
            broker.publish(Transaction([], [], {7: at(1)}))

    def test_a_zombie_publishes_nothing(self, cluster: Cluster) -> None:
        _fill(cluster, 3)
        zombie = _joined(cluster)
        _read(zombie, 12)
        cluster.expire(zombie)
        successor = _joined(cluster)
        with pytest.raises(Fenced):
            zombie.publish(_transaction([Encoded("identities", 0, 1, b"h-0", b"from the grave")], {0: (0, 3)}))
        assert list(cluster.outputs("identities", 0)) == []
        assert on_both(successor.committed(0)) == at(0)
        assert list(successor.journal(0, at(0))) == []

    def test_what_was_polled_in_an_older_generation_is_not_published_in_the_present_one(self, cluster: Cluster) -> None:
        """Nor by a member that has the same partition again: another may have had it meanwhile."""
        _fill(cluster, 3)
        broker = cluster.join()
        before = _until_assigned(broker).generation
        _read(broker, 12)
        other = cluster.join()
        shares, _ = _balance([broker, other])
        (partition,) = shares[0]
        late = Transaction([Encoded("identities", partition, 1, b"h-0", b"late")], [], {partition: at(3)}, before)
        with pytest.raises(Fenced):
            broker.publish(late)
        assert list(cluster.outputs("identities", partition)) == []
        assert on_both(broker.committed(partition)) == at(0)

    def test_the_successor_of_a_zombie_publishes(self, cluster: Cluster) -> None:
        _fill(cluster, 3)
        zombie = _joined(cluster)
        _read(zombie, 12)
        cluster.expire(zombie)
        successor = _joined(cluster)
        _read(successor, 12)
        successor.publish(_transaction([Encoded("identities", 0, 1, b"h-0", b"answer")], {0: (0, 3)}))
        assert [output.value for output in cluster.outputs("identities", 0)] == [b"answer"]

    def test_closing_twice_is_no_error(self, cluster: Cluster) -> None:
        broker = cluster.join()
        broker.close()
        broker.close()


def _fill(cluster: Cluster, count: int) -> None:
    for number in range(count):
        for topic in REQUIRED_TOPICS:
            for partition in (0, 1):
                cluster.append(topic, partition, 1_763_690_000_000 + number, b"h-%d" % partition, b"%d" % number)


def _joined(cluster: Cluster) -> Broker:
    broker = cluster.join()
    _until_assigned(broker)
    return broker


def _until_assigned(broker: Broker) -> Batch:
    for _ in range(POLLS_MAX):
        batch = broker.poll(100, POLL_TIMEOUT_S)
        if batch.assigned:
            return batch
    raise AssertionError("no partition was assigned")


def _balance(members: Sequence[Broker]) -> tuple[list[frozenset[int]], list[frozenset[int]]]:
    """Poll in turns until all partitions are shared among all; the latest share of each, and what each had to give up."""
    shares: list[frozenset[int]] = [frozenset()] * len(members)
    revoked: list[frozenset[int]] = [frozenset()] * len(members)
    for _ in range(POLLS_MAX):
        for index, member in enumerate(members):
            if shares[index] and shares[index] != {0, 1}:
                continue  # it has its part, and would be given records of it
            batch = member.poll(100, POLL_TIMEOUT_S)
            assert not batch.records, "records came before the group was balanced"
            if batch.assigned or batch.revoked:
                shares[index], revoked[index] = batch.assigned, revoked[index] | batch.revoked
        if all(shares) and frozenset().union(*shares) == {0, 1}:
            return shares, revoked
    raise AssertionError("the group was not balanced")


def _read(broker: Broker, count: int) -> list[Record]:
    records: list[Record] = []
    for _ in range(POLLS_MAX):
        records.extend(broker.poll(100, POLL_TIMEOUT_S).records)
        if len(records) >= count:
            return records
    raise AssertionError(f"only {len(records)} of {count} records came")


def _offsets(records: Sequence[Record], topic: str, partition: int) -> list[int]:
    return [record.offset for record in records if (record.topic, record.partition) == (topic, partition)]


def at(offset: int) -> dict[str, int]:
    """The same next offset on both topics."""
    return on_both(dict.fromkeys(REQUIRED_TOPICS, offset))


def entry(partition: int, start: int, stop: int) -> Journal:
    """Of a batch of as many records on both topics."""
    return Journal(
        partition=partition,
        offsets_from=at(start),
        offsets_to=at(stop),
        count=2 * (stop - start),
        epoch=1,
        step_version=1,
        policy_id="p",
    )


def _transaction(outputs: Sequence[Encoded], spans: Mapping[int, tuple[int, int]]) -> Transaction:
    journal = [entry(partition, *span) for partition, span in spans.items()]
    return Transaction(outputs, journal, {partition: at(stop) for partition, (_, stop) in spans.items()})
