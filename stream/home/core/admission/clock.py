"""What time it is in a home: the greatest time that its records agree on.

Law: no record alone moves a home's time far. Whatever the clocks of its devices and apps say, what follows a record whose time is
wrong is answered. Times come from the records alone, so a replay believes what the worker believed.

Theory of operation: beside the time that is believed, a home keeps another, which some records said. A record near the believed
time agrees with it. One further off speaks for the other; as soon as two senders do, or one three times in a row, both change
places, and so they do at once while the believed time is one record's word, or no record's that came when it says it was made.
Until then what is too far ahead is done as of the home's own time, and what is too far behind is refused.
"""

from typing import Final

import numpy as np

from learners.kernel import kernel
from stream.home.messages import RECOGNITION

__all__ = ["FORGOTTEN", "FUTURE", "SURE", "TOO_OLD", "believe"]

BELIEVED, OTHER = 0, 1
SURE: Final = 3  # words: of one sender in a row; another sender's counts for all of them
TOO_OLD, FORGOTTEN, FUTURE = 1, 2, 3  # of messages.REFUSALS


@kernel
def believe(home, event, policy):
    """Let a record say what time it is.

    Returns
    -------
    (refusal, told)
        0 or why it cannot be done; and whether its time is found to be wrong, and was not before. What is done although its time
        is not believed has the home's: `event.at` is changed.
    """
    at, late = np.int64(event.at), np.int64(policy.late_ms)
    vouched = event.arrived != 0 and abs(at - event.arrived) <= policy.ahead_ms  # it came when it says that it was made
    if home.stream_time == 0:
        home.stream_time, home.other_time = at, 0
        _speak_first(home, BELIEVED, event.sender, 1, vouched)
        return 0, 0
    ahead = at - np.int64(home.stream_time)
    if -late <= ahead <= policy.ahead_ms:
        home.stream_time = max(np.int64(home.stream_time), at)
        _speak(home, BELIEVED, event.sender, vouched)
        home.time_words[OTHER] = min(int(home.time_words[OTHER]), 1)
        return 0, 0
    if _gives_way(home, vouched):
        home.other_time, home.stream_time = home.stream_time, at
        _change_places(home)
        _speak_first(home, BELIEVED, event.sender, 1, vouched)
        return 0, 0
    agrees, told = _speak_for_other(home, event, vouched, late)
    if home.time_words[OTHER] >= SURE:
        home.other_time, home.stream_time = home.stream_time, home.other_time
        _change_places(home)
        return 0, 0
    if ahead > late:
        refusal = FUTURE if ahead > policy.gap_ms and not agrees else 0
        event.at = home.stream_time
        return refusal, told
    refused = ahead < -late and not agrees and event.kind == RECOGNITION
    return (TOO_OLD, told) if refused else (0, 0)


@kernel
def _gives_way(home, vouched):
    """Whether the believed time is worth less than any other record's: one word, or nobody's who came when they say."""
    if home.time_vouched[BELIEVED] == 0:
        return vouched or home.time_words[BELIEVED] < SURE
    return vouched and home.time_words[BELIEVED] < SURE


@kernel
def _speak_first(home, which, sender, words, vouched):
    home.time_senders[which], home.time_words[which], home.time_vouched[which] = sender, words, 1 if vouched else 0


@kernel
def _speak(home, which, sender, vouched):
    """One more word for a time."""
    words = 1 if home.time_senders[which] == sender else SURE
    home.time_senders[which], home.time_words[which] = sender, min(int(home.time_words[which]) + words, SURE)
    if vouched:
        home.time_vouched[which] = 1


@kernel
def _speak_for_other(home, event, vouched, late):
    """Whether a record agrees with the other time; else it is that now, which is told.

    Against a time that records vouch for, those that came at another time than they say have no word.
    """
    counts = vouched or home.time_vouched[BELIEVED] == 0
    at = np.int64(event.at)
    if home.other_time != 0 and abs(at - np.int64(home.other_time)) <= late:
        agrees = counts and home.time_words[OTHER] > 0
        home.other_time = max(np.int64(home.other_time), at)
        if counts:
            _speak(home, OTHER, event.sender, vouched)
        return agrees, 0
    home.other_time = at
    _speak_first(home, OTHER, event.sender, 1 if counts else 0, vouched)
    return False, 1


@kernel
def _change_places(home):
    """The believed time was another; the other has to be said anew."""
    sender, vouched = home.time_senders[BELIEVED], home.time_vouched[BELIEVED]
    words = home.time_words[OTHER]
    home.time_senders[BELIEVED], home.time_vouched[BELIEVED] = home.time_senders[OTHER], home.time_vouched[OTHER]
    home.time_words[BELIEVED] = words
    home.time_senders[OTHER], home.time_vouched[OTHER], home.time_words[OTHER] = sender, vouched, 1
