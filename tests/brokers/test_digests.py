"""Digests of what is read: those of the whole files, whatever form they have and however they are read."""

import bz2
import gzip
import hashlib
import io
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.brokers.digests import DigestedFile, FileDigest, RecordDigests
from stream.brokers.log_files import LogReader
from tests.support.log_forms import LINES, ROWS, in_file, own_time
from tests.support.recorded import recorded, recorded_lines

RECORDS = own_time(recorded())


def digest_of(path: Path | str) -> FileDigest:
    raw = Path(path).read_bytes()
    return FileDigest(hashlib.sha256(raw).hexdigest(), len(raw))


def digests(*files: Path | str) -> list[FileDigest]:
    with closing(LogReader([*map(str, files)], prefix=None, digested=True)) as log:
        assert list(log)
        return log.digests()


@pytest.mark.parametrize("form", [*LINES, *ROWS])
def test_of_every_form_it_is_that_of_the_file(form: str, tmp_path: Path) -> None:
    files = in_file(form, RECORDS, tmp_path / "log")
    assert digests(*files) == [digest_of(file) for file in files]


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lambda raw: gzip.compress(raw) + gzip.compress(b"\n")])
def test_of_a_packed_file_it_is_that_of_its_bytes(pack: object, tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(pack(b"".join(recorded_lines())))  # type: ignore[operator]
    assert digests(tmp_path / "log") == [digest_of(tmp_path / "log")]


def test_what_was_not_read_counts_too(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"".join(recorded_lines()))
    with closing(LogReader([str(tmp_path / "log")], digested=True)) as log:
        next(iter(log))
        assert log.digests() == [digest_of(tmp_path / "log")]


@given(st.binary(max_size=60), st.lists(st.one_of(st.integers(-1, 20), st.tuples(st.integers(0, 60))), max_size=6))
def test_however_a_file_is_read_and_sought_in_it_is_digested_once(raw: bytes, steps: list[int | tuple[int]]) -> None:
    digested = DigestedFile(io.BytesIO(raw))
    file = io.BufferedReader(digested, 8)
    for step in steps:
        if isinstance(step, tuple):
            file.seek(step[0])
        else:
            file.read(step)
    assert digested.digest() == FileDigest(hashlib.sha256(raw).hexdigest(), len(raw))


def test_the_same_records_in_another_order_differ_by_their_order_alone() -> None:
    records = recorded()
    turned = [record for topic in ("feedback", "recognitions") for record in records if record.topic == topic]
    found = []
    for order in (records, turned, [replace(records[0], timestamp=1), *records[1:]]):
        one = RecordDigests()
        for record in order:
            one.note([record])
        found.append(one)
    assert found[0].partitions() == found[1].partitions()
    assert found[0].order != found[1].order
    assert found[0].partitions() != found[2].partitions()
    whole = RecordDigests()
    whole.note(records)
    assert (whole.order, whole.partitions()) == (found[0].order, found[0].partitions())
