from collections.abc import Sequence
from threading import Event

import pytest

from stream.brokers import Crash, Fault, Faults, MemoryBroker, MemoryLog
from stream.brokers.kafka.cluster import Membership, within
from stream.contract.errors import RecoveryError
from stream.contract.ports import Batch, Broker, BrokerError, Encoded, Fenced, Transaction
from stream.contract.records import REQUIRED_TOPICS
from tests.brokers.conformance_broker import BrokerConformance, Cluster, entry

OUTPUT = Encoded("identities", 0, 1, b"h-1", b"answer")
ENTRY = entry(0, 0, 2)
TRANSACTION = Transaction([OUTPUT], [ENTRY], {0: ENTRY.offsets_to})


class MemoryCluster:
    def __init__(self) -> None:
        self._log = MemoryLog(2)

    def append(self, topic: str, partition: int, timestamp: int, key: bytes | None, value: bytes | None) -> None:
        self._log.append(topic, partition, timestamp, key, value)

    def join(self) -> Broker:
        return MemoryBroker(self._log)

    def expire(self, broker: Broker) -> None:
        assert isinstance(broker, MemoryBroker)
        self._log.evict(broker.member)

    def outputs(self, topic: str, partition: int) -> Sequence[Encoded]:
        return self._log.outputs(topic, partition)


class TestMemoryBroker(BrokerConformance):
    @pytest.fixture
    def cluster(self) -> Cluster:
        return MemoryCluster()


def _at_work(*faults: Fault, records: int = 2) -> tuple[MemoryLog, MemoryBroker, Faults]:
    """A member that has its assignment and has polled, and whom these faults surely strike."""
    log, certain = MemoryLog(1), Faults(0, {})
    for number in range(records):
        for topic in REQUIRED_TOPICS:
            log.append(topic, 0, number, b"h-1", b"%d" % number)
    broker = MemoryBroker(log, certain)
    broker.poll(10, 0)
    broker.poll(10, 0)
    certain.chances.update(dict.fromkeys(faults, 1.0))
    return log, broker, certain


def _visible(log: MemoryLog) -> tuple[int, int, int]:
    return len(log.outputs("identities", 0)), len(log.journal(0)), log.committed(0)["feedback"]


@pytest.mark.parametrize("fault", ["crash_before_publish", "crash_in_publish"])
def test_a_crash_up_to_the_commit_leaves_nothing_visible(fault: Fault) -> None:
    log, broker, _ = _at_work(fault)
    with pytest.raises(Crash):
        broker.publish(TRANSACTION)
    assert _visible(log) == (0, 0, 0)


def test_a_crash_after_the_commit_leaves_all_visible() -> None:
    log, broker, _ = _at_work("crash_after_publish")
    with pytest.raises(Crash):
        broker.publish(TRANSACTION)
    assert _visible(log) == (1, 1, 2)


def test_an_aborted_transaction_is_an_error_and_leaves_nothing_visible() -> None:
    log, broker, _ = _at_work("broker_error_at_publish")
    with pytest.raises(BrokerError):
        broker.publish(TRANSACTION)
    assert _visible(log) == (0, 0, 0)


def test_a_lost_reply_is_an_error_although_all_is_visible() -> None:
    log, broker, _ = _at_work("lost_reply_of_publish")
    with pytest.raises(BrokerError):
        broker.publish(TRANSACTION)
    assert _visible(log) == (1, 1, 2)


def test_who_stood_still_while_the_group_went_on_is_fenced() -> None:
    log, broker, faults = _at_work("zombie_before_publish")
    faults.stand_still = lambda: log.evict(broker.member)
    with pytest.raises(Fenced):
        broker.publish(TRANSACTION)
    assert _visible(log) == (0, 0, 0)


def test_who_stood_still_unnoticed_publishes() -> None:
    log, broker, _ = _at_work("zombie_before_publish")
    broker.publish(TRANSACTION)
    assert _visible(log) == (1, 1, 2)


def test_a_batch_from_before_a_rebalance_is_fenced() -> None:
    log, broker, _ = _at_work()
    MemoryBroker(log)
    with pytest.raises(Fenced):
        broker.publish(TRANSACTION)
    assert _visible(log) == (0, 0, 0)


def test_a_rebalance_in_a_batch_makes_its_publish_fenced() -> None:
    log, broker, _ = _at_work("rebalance_in_batch")
    broker.poll(10, 0)
    with pytest.raises(Fenced):
        broker.publish(TRANSACTION)
    assert _visible(log) == (0, 0, 0)


def test_a_member_given_up_joins_anew_at_its_next_poll() -> None:
    log, broker, _ = _at_work()
    log.evict(broker.member)
    batch = broker.poll(10, 0)
    assert (batch.assigned, batch.revoked, len(batch.records)) == (frozenset({0}), frozenset({0}), 0)


def test_after_a_new_assignment_uncommitted_records_come_again() -> None:
    log, broker, _ = _at_work()
    log.rebalance()
    broker.poll(10, 0)
    assert len(broker.poll(10, 0).records) == 4


def test_redelivery_gives_records_from_before_the_position_again() -> None:
    _, broker, _ = _at_work("redeliver", records=100)
    broker.seek(0, {"recognitions": 50, "feedback": 50})
    records = broker.poll(200, 0).records
    assert 100 < len(records) <= 140
    assert {record.offset for record in records} == set(range(100 - len(records) // 2, 100))


def test_a_topic_held_back_is_absent_from_a_poll_and_not_lost() -> None:
    _, broker, faults = _at_work("hold_back")
    broker.seek(0, {})
    first = broker.poll(10, 0).records
    faults.cease()
    second = broker.poll(10, 0).records
    assert [len({record.topic for record in part}) for part in (first, second)] == [1, 1]
    places = [(topic, 0, number) for topic in ("feedback", "recognitions") for number in (0, 1)]
    assert sorted(record.position for record in [*first, *second]) == places


def test_a_producers_duplicate_is_the_same_record_at_a_new_offset() -> None:
    log = MemoryLog(1, Faults(0, {"duplicate": 1.0}))
    log.append("feedback", 0, 7, b"h-1", b"{}")
    one, two = log.inputs(0, {}, log.end(0))
    assert (one.offset, two.offset) == (0, 1)
    assert (one.timestamp, one.key, one.value) == (two.timestamp, two.key, two.value)


def test_without_faults_records_come_as_they_arrived_at_the_log() -> None:
    log = MemoryLog(2)
    places = [("feedback", 1), ("recognitions", 0), ("recognitions", 1), ("feedback", 0), ("recognitions", 0)]
    for topic, partition in places:
        log.append(topic, partition, 0, None, None)
    broker = MemoryBroker(log)
    broker.poll(10, 0)
    polls = [broker.poll(2, 0).records for _ in range(3)]
    assert [(record.topic, record.partition) for records in polls for record in records] == places


def test_a_sealed_log_ends_with_its_last_record() -> None:
    log, broker, _ = _at_work()
    assert not broker.poll(10, 0).ended
    log.sealed = True
    assert broker.poll(10, 0).ended
    broker.seek(0, {"recognitions": 1, "feedback": 2})
    assert broker.poll(10, 0).ended


def test_a_journal_no_longer_retained_is_an_error() -> None:
    log, broker, _ = _at_work()
    broker.publish(TRANSACTION)
    log.forget_journal(0, 1)
    with pytest.raises(RecoveryError, match="no longer holds the batch"):
        broker.journal(0, {"recognitions": 0, "feedback": 0})


def test_the_same_seed_strikes_the_same() -> None:
    runs = []
    for _ in range(2):
        faults = Faults(5, {"crash_before_publish": 0.3, "hold_back": 0.5})
        runs.append([(faults.strike("crash_before_publish"), faults.strike("hold_back"), faults.choose(9)) for _ in range(50)])
    assert runs[0] == runs[1]
    assert {hit for run in runs for hit, _, _ in run} == {True, False}


# ---- what the clients' brokers share


def test_who_is_given_no_share_for_longer_than_any_rebalance_takes_is_told() -> None:
    membership = Membership()
    assert membership.news() is None
    membership._since -= 700
    with pytest.raises(BrokerError, match="the group gave no share for 660 s"):
        membership.news()
    membership.note_assigned([], None)
    assert membership.news() == Batch(generation=1)
    assert membership.news() is None, "an empty share is a share"


def test_a_call_that_does_not_come_back_is_an_error_in_time() -> None:
    over = Event()
    with pytest.raises(BrokerError, match="no answer came within 0 s"):
        within(0.05, over.wait, "no answer came")
    over.set()


def test_a_call_that_comes_back_is_done_or_raises_as_it_did() -> None:
    done: list[int] = []
    within(60.0, lambda: done.append(1), "no answer came")
    assert done == [1]
    with pytest.raises(ZeroDivisionError):
        within(60.0, lambda: divmod(1, 0), "no answer came")
