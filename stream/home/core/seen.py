"""Which records were already seen: exact for a bounded number of them, and honest about what it forgot.

Law: an id that was told is never taken for new. What is older than its sender's floor and not remembered cannot be
told apart from a duplicate, so it is refused rather than answered twice. A sender is a device or a source of
feedback: a record comes again from where it came, so that one clock that is ahead does not make the others' records
look old.

Ids (and senders) are kept as 48-bit hashes in two generations; when the young one is full the old one is forgotten whole.
"""

from typing import Final

from learners.kernel import kernel
from stream.home.state.layout import SEEN_PER_PERSON, SENDERS_MAX

__all__ = ["add_seen", "floor_of", "forgotten_until", "is_seen"]

PEOPLE_MIN: Final = 2
YOUNG, OLD = 0, 1


@kernel
def is_seen(home, number):
    """Whether a record of that id came before, as far as is remembered."""
    for generation in range(2):
        for i in range(home.seen_used[generation]):
            if home.seen[generation, i] == number:
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
def add_seen(home, number, at, sender):
    """Remember an id of a sender's record of time `at`."""
    if home.seen_used[YOUNG] >= SEEN_PER_PERSON * max(int(home.people_used), PEOPLE_MIN):
        _forget_old(home)
    home.seen[YOUNG, home.seen_used[YOUNG]] = number
    home.seen_used[YOUNG] += 1
    for s in range(home.senders_used[YOUNG]):
        if home.senders[YOUNG, s].sender == sender:
            home.senders[YOUNG, s].at = max(int(home.senders[YOUNG, s].at), at)
            return
    if home.senders_used[YOUNG] < SENDERS_MAX:
        entry = home.senders[YOUNG, home.senders_used[YOUNG]]
        entry.sender, entry.at = sender, at
        home.senders_used[YOUNG] += 1
    else:
        home.others_until[YOUNG] = max(int(home.others_until[YOUNG]), at)


@kernel
def _forget_old(home):
    """The old generation's senders get floors, the young one becomes the old."""
    for s in range(home.senders_used[OLD]):
        _raise_floor(home, home.senders[OLD, s].sender, int(home.senders[OLD, s].at))
    home.floor_of_others = max(int(home.floor_of_others), int(home.others_until[OLD]))
    for i in range(home.seen_used[YOUNG]):
        home.seen[OLD, i] = home.seen[YOUNG, i]
    for s in range(home.senders_used[YOUNG]):
        home.senders[OLD, s] = home.senders[YOUNG, s]
    home.seen_used[OLD], home.senders_used[OLD] = home.seen_used[YOUNG], home.senders_used[YOUNG]
    home.others_until[OLD] = home.others_until[YOUNG]
    home.seen_used[YOUNG], home.senders_used[YOUNG], home.others_until[YOUNG] = 0, 0, 0


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
