"""Which records were already seen: exact for a bounded number of them, and honest about what it forgot.

Law: an id that was told is never taken for new. What is older than its sender's floor and not remembered cannot be told
apart from a duplicate, so it is refused rather than answered twice.

Ids (and senders) are kept as 48-bit hashes in two generations; when the young one is full the old one is forgotten whole.
One wrong "seen" in 10^11 at the sizes here.
"""

import hashlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, get_args

__all__ = ["HASH_BYTES", "Generation", "Kind", "SeenIds", "hashed", "hashed_sender"]

Kind = Literal["event", "feedback", "sender"]

HASH_BYTES: Final = 6
PER_PERSON: Final = 28  # ids of a generation for every person of the home
PEOPLE_MIN: Final = 2
SENDERS_MAX: Final = 16  # with a floor of their own
SENDERS_CACHED: Final = 4096
_BEGUN: Final = {kind: hashlib.blake2b(digest_size=HASH_BYTES, person=kind.encode()) for kind in get_args(Kind)}


def hashed(kind: Kind, record_id: str) -> int:
    """48 bits of an id; events, feedback and senders do not meet."""
    digest = _BEGUN[kind].copy()
    digest.update(record_id.encode())
    return int.from_bytes(digest.digest(), "big")


@lru_cache(SENDERS_CACHED)
def hashed_sender(name: str) -> int:
    """48 bits of a sender's name, of which there are few."""
    return hashed("sender", name)


@dataclass(slots=True)
class Generation:
    """Ids in the order they came: as a set to ask, as bytes to keep; and the greatest time (ms) by sender."""

    packed: bytearray = field(default_factory=bytearray)
    until: dict[int, int] = field(default_factory=dict)
    numbers: set[int] = field(default_factory=set, repr=False)

    @classmethod
    def unpacked(cls, packed: bytes, until: dict[int, int]) -> "Generation":
        """The generation whose bytes these are."""
        numbers = {int.from_bytes(packed[i : i + HASH_BYTES], "big") for i in range(0, len(packed), HASH_BYTES)}
        return cls(bytearray(packed), until, numbers)

    def add(self, number: int, at: int, sender: int) -> None:
        self.numbers.add(number)
        self.packed += number.to_bytes(HASH_BYTES, "big")
        self.until[sender] = max(self.until.get(sender, 0), at)


@dataclass(slots=True)
class SeenIds:
    """Two generations of hashes, and up to when each sender's records may have been seen and forgotten.

    A sender is a device or a source of feedback: a record comes again from where it came, so that one clock that is
    ahead does not make the others' records look old.
    """

    young: Generation = field(default_factory=Generation)
    old: Generation = field(default_factory=Generation)
    floors: dict[int, int] = field(default_factory=dict)  # ms, the latest senders'
    floor_of_others: int = 0

    def __contains__(self, number: int) -> bool:
        return number in self.young.numbers or number in self.old.numbers

    def floor(self, sender: int) -> int:
        """Whatever of this sender is not later (ms) may have been seen and forgotten."""
        return self.floors.get(sender, self.floor_of_others)

    @property
    def forgotten_until(self) -> int:
        """The greatest floor of any sender, ms."""
        return max(self.floors.values(), default=self.floor_of_others)

    def add(self, number: int, at: int, sender: int, people: int) -> None:
        """Remember an id of a sender's record of time `at`, in a home of so many people."""
        if len(self.young.numbers) >= PER_PERSON * max(people, PEOPLE_MIN):
            for known, until in self.old.until.items():
                self.floors[known] = max(self.floor(known), until)
            while len(self.floors) > SENDERS_MAX:
                first = min(self.floors, key=lambda sender: (self.floors[sender], sender))
                self.floor_of_others = max(self.floor_of_others, self.floors.pop(first))
            self.old, self.young = self.young, Generation()
        self.young.add(number, at, sender)
