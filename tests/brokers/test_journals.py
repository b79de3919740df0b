"""The search in a journal: what it finds, and what it costs, on partitions of every shape."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.brokers.kafka.journals import Span, read_batch, read_journal
from stream.contract.errors import RecoveryError
from stream.contract.records import Journal, Record


class Partitions:
    """Partitions in memory whose offsets have gaps; counts what is read of them."""

    def __init__(self, records: Sequence[Record], retained_from: int = 0) -> None:
        self._records, self._retained_from = [record for record in records if record.offset >= retained_from], retained_from
        self.reads = self.records_read = 0

    def bounds(self, topic: str, partition: int) -> tuple[int, int]:
        return self._retained_from, max([self._retained_from, *(record.offset + 2 for record in self._records)])

    def read(self, span: Span, records_max: int | None = None) -> list[Record]:
        found = [record for record in self._records if record.topic == span.topic and record.offset >= span.start]
        found = [record for record in found if span.stop is None or record.offset < span.stop][:records_max]
        self.reads, self.records_read = self.reads + 1, self.records_read + len(found)
        return found

    def close(self) -> None:
        """Nothing to release."""


@st.composite
def chains(draw: st.DrawFn) -> tuple[list[Journal], list[Record]]:
    """Entries as batches make them, each beginning where the last ended, and where they stand."""
    offsets, place, entries, records = {"recognitions": 0, "feedback": 0}, 0, [], []
    for steps in draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 4)), min_size=1, max_size=80)):
        recognitions, feedback, gap = steps
        after = {"recognitions": offsets["recognitions"] + recognitions, "feedback": offsets["feedback"] + feedback}
        if after != offsets:
            count = recognitions + feedback
            entry = Journal(
                partition=0, offsets_from=offsets, offsets_to=after, count=count, epoch=1, step_version=1, policy_id="p"
            )
            records.append(Record("journal", 0, place, 0, None, entry.model_dump_json().encode()))
            entries.append(entry)
            place += gap  # a marker of a transaction at least, aborted batches at times
        offsets = after
    return entries, records


@given(chains())
def test_from_any_batch_on_the_journal_is_read_to_its_end(chain: tuple[list[Journal], list[Record]]) -> None:
    entries, records = chain
    for index, entry in enumerate(entries):
        assert list(read_journal(Partitions(records), 0, entry.offsets_from)) == entries[index:]


@given(chains(), st.integers(0, 200))
def test_what_retention_took_is_an_error_and_the_rest_is_not(chain: tuple[list[Journal], list[Record]], retained: int) -> None:
    entries, records = chain
    for index, (entry, record) in enumerate(zip(entries, records, strict=True)):
        partitions = Partitions(records, retained)
        if record.offset >= retained:
            assert list(read_journal(partitions, 0, entry.offsets_from)) == entries[index:]
        else:
            with pytest.raises(RecoveryError, match="no longer retained"):
                list(read_journal(partitions, 0, entry.offsets_from))


@given(chains(), st.integers(0, 300), st.integers(0, 300))
def test_from_where_no_batch_begins_nothing_is_read(
    chain: tuple[list[Journal], list[Record]], recognitions: int, feedback: int
) -> None:
    entries, records = chain
    wanted = {"recognitions": recognitions, "feedback": feedback}
    if wanted not in [entry.offsets_from for entry in entries]:
        with pytest.raises(RecoveryError):
            list(read_journal(Partitions(records), 0, wanted))


@pytest.mark.parametrize("behind", [1, 10, 1_000, 9_999])
def test_what_is_read_of_a_long_journal_is_not_much_more_than_what_must_be_applied(behind: int) -> None:
    count = 10_000
    records = []
    for number in range(count):
        entry = Journal(
            partition=0,
            offsets_from={"recognitions": number, "feedback": 0},
            offsets_to={"recognitions": number + 1, "feedback": 0},
            count=1,
            epoch=1,
            step_version=1,
            policy_id="p",
        )
        records.append(Record("journal", 0, 2 * number, 0, None, entry.model_dump_json().encode()))
    partitions = Partitions(records)
    found = list(read_journal(partitions, 0, {"recognitions": count - behind, "feedback": 0}))
    assert len(found) == behind
    assert partitions.records_read <= 4 * behind + 30
    assert partitions.reads <= 30 + partitions.records_read / 100


def test_a_batch_without_records_of_a_topic_asks_nothing_of_it() -> None:
    partitions = Partitions([Record("feedback", 0, 4, 0, None, b"v")])
    span = {"recognitions": 7, "feedback": 4}
    assert [record.offset for record in read_batch(partitions, 0, span, {**span, "feedback": 5})] == [4]
    assert partitions.reads == 1
