"""The layout: where every field stands, for a state that was written is read by where it stands; and the page that tells it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream.home.state import describe, layout

ROOT = Path(__file__).parent.parent.parent
BYTES_MAX = 96 * 1024  # of a home in memory: ten thousand of them fit into a gigabyte
RECORDS = list(describe.records())
each_record = pytest.mark.parametrize("name", RECORDS)


def dtype_of(name: str) -> Any:
    return getattr(layout, name)


def alignment(dtype: Any) -> int:
    """Of the largest number in it, in bytes."""
    if dtype.subdtype:
        return alignment(dtype.subdtype[0])
    return max(alignment(field) for field, *_ in dtype.fields.values()) if dtype.fields else dtype.itemsize


def places() -> Iterator[str]:
    """Every field of every record: where it stands, its bytes and its type."""
    for name in RECORDS:
        yield f"{name} {dtype_of(name).itemsize}"
        for field, (kind, place, *_) in dtype_of(name).fields.items():
            item, shape = kind.subdtype or (kind, ())
            own = next((n for n in RECORDS if dtype_of(n) == item), item.str)
            yield f"  {place:>6} {kind.itemsize:>6} {field} {own} {'x'.join(map(str, shape))}".rstrip()


def test_every_field_stands_where_it_stood(golden: Callable[[Path, bytes], None]) -> None:
    golden(ROOT / "tests" / "golden" / "layout-v6.txt", ("\n".join(places()) + "\n").encode())


def test_all_records_are_told() -> None:
    found = {name for name, value in vars(layout).items() if isinstance(value, np.dtype) and name.isupper()}
    assert set(RECORDS) == found


@each_record
def test_nothing_is_padding_and_every_number_is_aligned(name: str) -> None:
    dtype, end = dtype_of(name), 0
    for field, (kind, place, *_) in dtype.fields.items():
        assert (field, place) == (field, end)
        assert place % alignment(kind) == 0, field
        end += kind.itemsize
    assert (end, end % alignment(dtype)) == (dtype.itemsize, 0)


@each_record
def test_what_is_reserved_only_aligns(name: str) -> None:
    reserved = {field: kind.itemsize for field, (kind, *_) in dtype_of(name).fields.items() if field.startswith("reserved")}
    assert {field: size for field, size in reserved.items() if size >= 16} == {}


@each_record
def test_a_list_can_be_counted(name: str) -> None:
    fields = dtype_of(name).fields
    for field in [field.removesuffix("_used") for field in fields if field.endswith("_used")]:
        count, (item, shape) = fields[f"{field}_used"][0], fields[field][0].subdtype
        assert shape[-1] <= np.iinfo(count.base).max
        assert shape[:-1] == count.shape, "of several lists each has its count"
        assert item.itemsize


@each_record
def test_a_name_is_no_attribute_of_numpys_records(name: str) -> None:
    """Interpreted, a kernel would get that instead of the field."""
    assert [field for field in dtype_of(name).names if hasattr(np.record, field) or hasattr(np.ndarray, field)] == []


def test_a_home_in_memory_is_bounded() -> None:
    assert layout.HOME.itemsize <= BYTES_MAX


def test_limits_are_those_of_the_lists() -> None:
    most = {limit.name: limit.value for limit in describe.limits()}
    home = layout.HOME.fields
    for name, limit in (
        ("people", "PEOPLE_MAX"), ("rows", "ROWS_MAX"), ("phones", "PHONES_MAX"), ("galleries", "ENCODERS_MAX"),
        ("ears", "EARS_MAX"), ("devices", "DEVICES_MAX"),
        ("presences", "PEOPLE_MAX"), ("reported", "REPORTED_MAX"), ("doubts", "DOUBTS_MAX"), ("folded", "FOLDED_MAX"),
        ("witnesses", "WITNESSES_MAX"),
        ("waiting", "WAITING_MAX"), ("consents", "CONSENTS_MAX"), ("floors", "SENDERS_MAX"), ("seen", "FILTERS_MAX"),
    ):  # fmt: skip
        assert home[name][0].shape[-1] == most[limit]
    assert most["PLACES"] == most["PEOPLE_MAX"] + 1
    assert most["DOUBTS_MAX"] >= most["SOURCES"] + most["PEOPLE_MAX"], "every source, and every person that is spoken of"


def test_the_page_tells_the_layout_as_it_is() -> None:
    page = (ROOT / "docs" / "state.md").read_text("utf-8")
    assert page == describe.page(), "python -m stream.home.state.describe > docs/state.md"


def test_a_comment_beside_a_field_is_its_meaning() -> None:
    fields = {field.name: field for field in describe.fields_of("ROW")}
    assert (fields["shares"].unit, fields["shares"].shape) == ("", "PLACES")
    assert fields["evidence"].meaning.startswith("share steps")
    assert (fields["evidence"].unit, fields["observed_at"].unit) == ("1/4096 of an event", "ms")
    assert "reserved" not in fields
