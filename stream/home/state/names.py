"""Words and hashes: what a home's record has in the place of strings.

Law: a word is a number from 1, the same as long as the home is not written; 0 is none. What the record refers to by no
number is forgotten when it is written, and the words behind it move up (see `at_rest`): whoever keeps numbers from before asks
again.

Ids of records are 48 bits of their hash: one wrong "seen" in 10^11 at the sizes of a home.
"""

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, Literal, get_args

__all__ = ["HASH_BYTES", "WORDS_MAX", "Kind", "Words", "hash_id", "hash_sender"]

Kind = Literal["event", "feedback", "sender", "proof", "nonce", "consent", "sighting"]

HASH_BYTES: Final = 6
WORDS_MAX: Final = 32_767  # of one home between two writings: a number has two bytes
SENDERS_CACHED: Final = 4096
_BEGUN: Final = {
    kind: hashlib.blake2b(digest_size=HASH_BYTES, person=kind.encode()) for kind in get_args(Kind)
}  # fmt: skip


def hash_id(kind: Kind, record_id: str) -> int:
    """48 bits of an id; those of one kind and of another do not meet."""
    digest = _BEGUN[kind].copy()
    digest.update(record_id.encode())
    return int.from_bytes(digest.digest(), "big")


@lru_cache(SENDERS_CACHED)
def hash_sender(name: str) -> int:
    """48 bits of a sender's name, of which there are few."""
    return hash_id("sender", name)


class Words:
    """The strings of one home, in the order they were met.

    Examples
    --------
    >>> words = Words(["anna", "kitchen"])
    >>> words.number("kitchen"), words.number("bert"), words.learn("bert"), words[3]
    (2, None, 3, 'bert')
    """

    __slots__ = ("listed", "numbers")

    def __init__(self, listed: Iterable[str] = ()) -> None:
        self.listed = list(listed)  # word `number` stands at `number - 1`
        self.numbers = {word: number for number, word in enumerate(self.listed, 1)}  # to be read
        if len(self.numbers) < len(self.listed):
            raise ValueError("a word is told twice")

    def __getitem__(self, number: int) -> str:
        if number < 1:
            raise IndexError(f"{number} is no word's number: they count from 1")
        return self.listed[number - 1]

    def __len__(self) -> int:
        return len(self.listed)

    def number(self, word: str) -> int | None:
        """The number of a word that was learnt."""
        return self.numbers.get(word)

    def learn(self, word: str) -> int:
        """The number of a word, which is the next if it had none."""
        number = self.numbers.get(word)
        if number is None:
            number = len(self.listed) + 1
            assert number <= WORDS_MAX, "so many words are not of one home: writing it forgets those that are not used"
            self.listed.append(word)
            self.numbers[word] = number
        return number

    def renumber(self, numbers: Sequence[int]) -> None:
        """Give words other numbers: `numbers[n]` to word n, which are 1 and the following; 0: it is forgotten."""
        found = {number: word for word, number in zip(self.listed, numbers[1:], strict=True) if number}
        self.listed = [found[number] for number in range(1, len(found) + 1)]
        self.numbers = {word: number for number, word in enumerate(self.listed, 1)}
