"""A household as it is held in memory: its record, which stands in a slot of an array, and its words.

Law: nothing but the record and the words is of this household; two of them share nothing.
"""

from ctypes import addressof, c_char, memmove, memset
from typing import Any, Final

import numpy as np

from learners.kernel import record
from stream.home.state.layout import HOME
from stream.home.state.names import Words, hash_id

__all__ = ["DAY_MS", "MEMORY", "Household", "Slot", "append", "new_slot", "take_out"]

DAY_MS: Final = 86_400_000

Slot = np.ndarray[Any, np.dtype[Any]]  # (1,) of HOME
MEMORY: Final = record(("bytes", "u1", HOME.itemsize))  # a home, as what it is made of


def _plain(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The same fields, by name alone: NumPy reads those of its records, which are attributes too, five times slower."""
    if dtype.subdtype is not None:
        return np.dtype((_plain(dtype.subdtype[0]), dtype.shape))
    return np.dtype([(name, _plain(field)) for name, (field, *_) in dtype.fields.items()]) if dtype.fields else dtype


_PLAIN_HOME: Final = _plain(HOME)


def new_slot() -> Slot:
    """Room for one home, by itself. As NumPy's own zeros of such records it takes ten times as long."""
    return np.ndarray(1, HOME, np.zeros(HOME.itemsize, np.uint8))


class Household:
    """One home.

    Parameters
    ----------
    household_id
        Its name, the key of its records.
    slot
        (1,): an array of HOME of one, which may be a slice of a longer one.
    words
        The strings that the record refers to.
    """

    __slots__ = ("_record", "household_id", "memory", "slot", "words")

    def __init__(self, household_id: str, slot: Slot, words: Words) -> None:
        self.household_id, self.slot, self.words = household_id, slot, words
        self._record: Any = None
        self.memory: Any = slot.view(MEMORY)  # (1,): the same bytes

    @classmethod
    def new(cls, household_id: str, slot: Slot | None = None) -> "Household":
        """A household of which nothing is known; whatever stood in the slot is gone."""
        home = cls(household_id, new_slot() if slot is None else slot, Words())
        home.clear()
        return home

    @property
    def record(self) -> Any:
        """Its fields, for those who need them. NumPy's own `view` compares all of both forms, and takes twenty times as long."""
        if self._record is None:
            self._record = np.ndarray(1, _PLAIN_HOME, self.slot.view(np.uint8))[0]
        return self._record

    def clear(self) -> None:
        """Forget everything but the words: every byte is 0."""
        self.memory["bytes"] = 0

    @property
    def people(self) -> list[str]:
        """Who is known, by column: also who left a short while ago."""
        record = self.record
        return [self.words[name] for name in record["people"]["name"][: int(record["people_used"])].tolist()]

    @property
    def members(self) -> list[str]:
        """Who belongs to the home now."""
        people = self.record["people"][: int(self.record["people_used"])]
        left, used = people["memberships"]["left_at"].tolist(), people["memberships_used"].tolist()
        return [name for name, left_at, latest in zip(self.people, left, used, strict=True) if not left_at[latest - 1]]

    def column(self, person_id: str) -> int | None:
        """The column of a person, also of one who left a short while ago."""
        number = self.words.number(person_id)
        if number is None:
            return None
        people = self.record["people"]["name"][: int(self.record["people_used"])]
        return next((column for column, name in enumerate(people.tolist()) if name == number), None)

    def row(self, event_id: str) -> int | None:
        """The row of an event that is kept."""
        events = self.record["rows"]["event"][: int(self.record["rows_used"])]
        found = np.flatnonzero(events == np.array(hash_id("event", event_id), events.dtype))
        return int(found[0]) if len(found) else None


def _address(memory: Any) -> int:
    """Where an array's bytes stand; the quickest way there is. To copy or clear nested records by fields takes NumPy a hundred
    times as long as to move their bytes.
    """
    return addressof(c_char.from_buffer(memory))


def append(entry: Any, name: str) -> Any:
    """Room for one more at the end of a list of a record, all zero; the oldest goes when it is full."""
    entries, used = entry[name], int(entry[f"{name}_used"])
    start, size = _address(entries), entries.itemsize
    if used == len(entries):
        used -= 1
        memmove(start, start + size, used * size)
    memset(start + used * size, 0, size)
    entry[f"{name}_used"] = used + 1
    return entries[used]


def take_out(entry: Any, name: str, gone: Any) -> bool:
    """Take those out of a list of a record that are `gone` (as long as the list); whether there were any.

    Those behind move up, and what was freed is zero: of what is forgotten no byte stays.
    """
    entries, used = entry[name], int(entry[f"{name}_used"])
    kept = np.flatnonzero(~np.asarray(gone)[:used]).tolist()
    start, size = _address(entries), entries.itemsize
    for place, number in enumerate(kept):
        if place < number:
            memmove(start + place * size, start + number * size, size)
    memset(start + len(kept) * size, 0, (len(entries) - len(kept)) * size)
    entry[f"{name}_used"] = len(kept)
    return len(kept) < used
