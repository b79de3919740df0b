"""Which records were already seen: as many as a home may be late by, in a few bits each.

Law: an id that was told is never taken for new. What is older than its sender's floor and not remembered cannot be
told apart from a duplicate, so it is refused rather than answered twice. A sender is a device or a source of
feedback: a record comes again from where it came, with the time it had, so that one clock that is ahead does not make the others'
records look old, and a record that is later than all of its sender's is new.

Theory of operation: Bloom filters (Bloom 1970) of SEEN_PER_FILTER ids each, the youngest first, for what sensors report and
for what is said: much less is said than done, and what is said comes later. The oldest filter is let go when the youngest is
full; its senders' times are their floors then. The youngest is asked about every record: of reports it has the ids twice, by
different bits of them, and one in 40 million new ones is taken for seen; of what is said one in 160,000. Older filters are
asked about records that are no later than theirs of that sender: of what comes out of order by so much, one in 10,000 is
taken for seen.
"""

from typing import Final

import numpy as np

from learners.kernel import array, entry, kernel
from stream.home.state.layout import AGAIN_BYTES, FILTERS_MAX, HOME, SEEN_PER_FILTER, SENDERS_MAX
from stream.home.state.names import HASH_BYTES

__all__ = [
    "FEEDBACK", "RECOGNISED", "add_seen", "add_told", "begin_filter_of", "floor_of", "forgotten_until", "is_seen", "was_told",
]  # fmt: skip

RECOGNISED, FEEDBACK = 0, 1  # of which records a filter is
FILTERS_MIN: Final = 3  # of recognitions, in a home of two; one more for every further person
FEEDBACK_FILTERS: Final = 2
PLACES_OF_ID: Final = 10  # bits
HALF_ID: Final = 4 * HASH_BYTES  # bits


@kernel
def _place(number, i, bits):
    """The bit of so many, a power of two, that stands for an id, one of PLACES_OF_ID."""
    here, last = np.int64(number), bits - 1
    return ((here & last) + (i * (here >> 11) & last) + i * i * (here >> 22 & last) + i) & last


@kernel
def _turn(number):
    """An id with its halves the other way round, so that bits that stand for it are others."""
    here = np.int64(number)
    return here >> HALF_ID | (here & (1 << HALF_ID) - 1) << HALF_ID


@kernel
def _has(bits, number):
    for i in range(PLACES_OF_ID):
        bit = _place(number, i, 8 * len(bits))
        if bits[bit >> 3] >> (bit & 7) & 1 == 0:
            return False
    return True


@kernel
def _set(bits, number):
    for i in range(PLACES_OF_ID):
        bit = _place(number, i, 8 * len(bits))
        bits[bit >> 3] |= np.uint8(1 << (bit & 7))


@kernel
def _mark(home, kind, number):
    """Put an id into the youngest filter."""
    _set(home.seen[kind, 0].bits, number)
    if kind == RECOGNISED:
        _set(home.again, _turn(number))
    home.seen[kind, 0].ids += 1


@kernel
def _until(filtered, sender):
    """The latest time of a sender's records in a filter, ms."""
    for s in range(filtered.senders_used):
        if filtered.senders[s].sender == sender:
            return np.int64(filtered.senders[s].at)
    return np.int64(filtered.others_until)


@kernel
def is_seen(home, kind, number, sender, at):
    """Whether a record of that id came before, as far as is remembered; of time 0: whatever time it had."""
    for f in range(home.seen_used[kind]):
        if (f == 0 or at == 0 or at <= _until(home.seen[kind, f], sender)) and _has(home.seen[kind, f].bits, number):
            if kind != RECOGNISED or f > 0 or _has(home.again, _turn(number)):
                return True
    return False


@kernel
def floor_of(home, sender):
    """Whatever of this sender is not later (ms) may have been seen and forgotten."""
    for f in range(home.floors_used):
        if home.floors[f].sender == sender:
            return int(home.floors[f].at)
    return int(home.floor_of_others)


@kernel
def forgotten_until(home):
    """The greatest floor of any sender, ms."""
    latest = int(home.floor_of_others)
    if home.floors_used > 0:
        latest = int(home.floors[0].at)
        for f in range(1, home.floors_used):
            latest = max(latest, int(home.floors[f].at))
    return latest


@kernel
def add_seen(home, kind, number, sender, at):
    """Remember an id of a sender's record of time `at`."""
    if home.seen_used[kind] == 0 or home.seen[kind, 0].ids >= SEEN_PER_FILTER:
        kept = FEEDBACK_FILTERS if kind == FEEDBACK else min(max(int(home.people_used) + 1, FILTERS_MIN), FILTERS_MAX)
        begin_filter(home, kind, kept)
    youngest = home.seen[kind, 0]
    _mark(home, kind, number)
    for s in range(youngest.senders_used):
        if youngest.senders[s].sender == sender:
            youngest.senders[s].at = max(int(youngest.senders[s].at), at)
            return
    if youngest.senders_used < SENDERS_MAX:
        new = youngest.senders[youngest.senders_used]
        new.sender, new.at = sender, at
        youngest.senders_used += 1
    else:
        youngest.others_until = max(int(youngest.others_until), at)


@kernel
def begin_filter(home, kind, kept):
    """Begin another filter; of more than are kept the oldest goes, and its senders get floors."""
    while home.seen_used[kind] >= kept:
        oldest = home.seen[kind, home.seen_used[kind] - 1]
        for s in range(oldest.senders_used):
            _raise_floor(home, oldest.senders[s].sender, int(oldest.senders[s].at))
        home.floor_of_others = max(int(home.floor_of_others), int(oldest.others_until))
        home.seen_used[kind] -= 1
    for f in range(home.seen_used[kind], 0, -1):
        home.seen[kind, f] = home.seen[kind, f - 1]
    home.seen_used[kind] += 1
    youngest = home.seen[kind, 0]
    youngest.ids, youngest.senders_used, youngest.others_until = 0, 0, 0
    for i in range(len(youngest.bits)):
        youngest.bits[i] = 0
    for i in range(AGAIN_BYTES if kind == RECOGNISED else 0):
        home.again[i] = 0


@kernel
def _raise_floor(home, sender, at):
    """Of too many floors the lowest becomes that of all others."""
    at = max(at, floor_of(home, sender))
    lowest = 0
    for f in range(home.floors_used):
        if home.floors[f].sender == sender:
            home.floors[f].at = at
            return
        if home.floors[f].at < home.floors[lowest].at:
            lowest = f
    if home.floors_used < SENDERS_MAX:
        lowest = int(home.floors_used)
        home.floors_used += 1
    else:
        kept = min(int(home.floors[lowest].at), at)
        home.floor_of_others = max(int(home.floor_of_others), kept)
        if at <= kept:
            return
    home.floors[lowest].sender, home.floors[lowest].at = sender, at


@entry(array(HOME), array(np.dtype(np.int64)))
def begin_filter_of(homes, told):
    """Begin a filter of a home with ids whose senders are for the caller to tell: `told` (1 + n,) is its kind, then hashes."""
    begin_filter(homes[0], told[0], FILTERS_MAX)
    for i in range(1, len(told)):
        _mark(homes[0], told[0], told[i])


@entry(array(HOME), array(np.dtype(np.int64)))
def was_told(homes, asked):
    """Whether an id was seen in a home, as far as is remembered: `asked` (2,) is its kind and hash; 1 or 0 comes in its place."""
    asked[0] = 1 if is_seen(homes[0], asked[0], asked[1], 0, 0) else 0


@entry(array(HOME), array(np.dtype(np.int64)))
def add_told(homes, told):
    """Remember an id in a home: `told` (4,) is its kind, its hash, its sender's, and its time."""
    add_seen(homes[0], told[0], told[1], np.uint64(told[2]), told[3])
