from collections.abc import Mapping, Sequence

import pytest

from stream.contract.ports import Batch, Broker, Claimed, Offsets, StateStore, Transaction
from stream.contract.records import Journal, Record
from tests.support import simulator
from tests.support.simulator import Ports, simulate

HISTORIES = 100
SABOTAGED = 30  # histories in which a sabotage must show at least once


@pytest.mark.parametrize("first", range(0, HISTORIES, 10))
def test_every_faulty_history_equals_a_serial_run_of_its_journal(first: int) -> None:
    assert [complaint for seed in range(first, first + 10) for complaint in _complaints(seed)] == []


def test_a_seed_gives_the_same_history_again() -> None:
    assert simulate(7) == simulate(7)


def test_all_kinds_of_faults_strike() -> None:
    struck = set().union(*(simulate(seed).struck for seed in range(1_000, 1_015)))
    assert struck == {*simulator.CHANCES, "duplicate"}


def _complaints(seed: int) -> list[str]:
    return [f"seed {seed}: {complaint}" for complaint in simulate(seed).complaints]


class _PassBroker:
    """A broker as it is, for sabotage of one part of it."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        return self.broker.poll(records_max, timeout_s)

    def committed(self, partition: int) -> Offsets:
        return self.broker.committed(partition)

    def journal(self, partition: int, offsets: Offsets) -> Sequence[Journal]:
        return list(self.broker.journal(partition, offsets))

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        return self.broker.fetch(partition, offsets_from, offsets_to)

    def seek(self, partition: int, offsets: Offsets) -> None:
        self.broker.seek(partition, offsets)

    def publish(self, transaction: Transaction) -> None:
        self.broker.publish(transaction)

    def close(self) -> None:
        self.broker.close()


class _PassStore:
    """A store as it is, for sabotage of one part of it."""

    def __init__(self, store: StateStore) -> None:
        self.store = store

    def claim(self, partition: int) -> Claimed:
        return self.store.claim(partition)

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        return self.store.load(partition, households)

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        self.store.save(partition, epoch, offsets_from, offsets_to, states)

    def households(self, partition: int) -> Sequence[str]:
        return list(self.store.households(partition))

    def partitions(self) -> Sequence[int]:
        return self.store.partitions()

    def close(self) -> None:
        self.store.close()


class _PublishesLate(_PassBroker):
    """Publishes a batch only after its states were saved, when the next is asked for."""

    late: Transaction | None = None

    def poll(self, records_max: int, timeout_s: float) -> Batch:
        if self.late is not None:
            transaction, self.late = self.late, None
            self.broker.publish(transaction)
        return self.broker.poll(records_max, timeout_s)

    def publish(self, transaction: Transaction) -> None:
        self.late = transaction


class _PublishesTheHalf(_PassBroker):
    """Publishes outputs in a transaction of their own, before journal and offsets."""

    def publish(self, transaction: Transaction) -> None:
        self.broker.publish(Transaction(transaction.outputs, [], {}))
        self.broker.publish(Transaction([], transaction.journal, transaction.offsets))


class _FetchesAnother(_PassBroker):
    """Gives a recovery another batch of the same size."""

    def fetch(self, partition: int, offsets_from: Offsets, offsets_to: Offsets) -> Sequence[Record]:
        records = self.broker.fetch(partition, offsets_from, offsets_to)
        return [*records[1:], *records[-1:]]


class _LosesAState(_PassStore):
    """Saves one household less than it was given."""

    def save(self, partition: int, epoch: int, offsets_from: Offsets, offsets_to: Offsets, states: Mapping[str, bytes]) -> None:
        self.store.save(partition, epoch, offsets_from, offsets_to, dict(list(states.items())[1:]))


class _ForgetsTheQuarantine(_PassStore):
    """Does not keep what stands beside the states."""

    def load(self, partition: int, households: Sequence[str]) -> dict[str, bytes]:
        return {name: state for name, state in self.store.load(partition, households).items() if not name.startswith("!")}


@pytest.mark.parametrize(
    "ports",
    [
        pytest.param(lambda broker, store: (_PublishesLate(broker), store), id="saved before it was published"),
        pytest.param(lambda broker, store: (_PublishesTheHalf(broker), store), id="outputs without their offsets"),
        pytest.param(lambda broker, store: (_FetchesAnother(broker), store), id="another batch in recovery"),
        pytest.param(lambda broker, store: (broker, _LosesAState(store)), id="a state lost"),
        pytest.param(lambda broker, store: (broker, _ForgetsTheQuarantine(store)), id="a quarantine forgotten"),
    ],
)
def test_a_sabotaged_runtime_is_found_out(ports: Ports) -> None:
    assert any(simulate(seed, ports).complaints for seed in range(SABOTAGED))
