"""Which records were already seen: exact for a bounded number of them, and honest about what it forgot.

Law: an id that was told is never taken for new. What is older than `floor` and not remembered cannot be told apart from
a duplicate, so it is refused rather than answered twice.

Ids are kept as 48-bit hashes in two generations; when the young one is full the old one is forgotten whole. One wrong
"seen" in 10^11 at the sizes here.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final

__all__ = ["HASH_BYTES", "SeenIds", "hashed"]

HASH_BYTES: Final = 6
PER_PERSON: Final = 64  # ids of a generation for every person of the home
PEOPLE_MIN: Final = 2


def hashed(kind: str, record_id: str) -> int:
    """48 bits of an id; events and feedback do not meet."""
    return int.from_bytes(hashlib.blake2b(record_id.encode(), digest_size=HASH_BYTES, person=kind.encode()[:16]).digest(), "big")


@dataclass(slots=True)
class SeenIds:
    """Two generations of hashes, and the greatest time (ms) of what each holds."""

    young: set[int] = field(default_factory=set)
    old: set[int] = field(default_factory=set)
    young_until: int = 0
    old_until: int = 0
    floor: int = 0  # whatever is not later may have been seen and forgotten

    def __contains__(self, number: int) -> bool:
        return number in self.young or number in self.old

    def add(self, number: int, at: int, people: int) -> None:
        """Remember an id of a record of time `at`, in a home of so many people."""
        if len(self.young) >= PER_PERSON * max(people, PEOPLE_MIN):
            self.floor = max(self.floor, self.old_until)
            self.old, self.old_until = self.young, self.young_until
            self.young, self.young_until = set(), 0
        self.young.add(number)
        self.young_until = max(self.young_until, at)
