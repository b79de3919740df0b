"""LESSON: what a kept event, or one that just came, tells a model of the policy's own; read from the home's record.

Law: a lesson is a kept event with a claim that holds, of which is known whose it was: as for calibrations, a share of at
least .8 is theirs and one of at most .2 is not. Guided enrolment is none: it tells neither when somebody comes nor where.
What a voice, a face or the time of the day says to the core by itself is said there; here stand only facts, which a model may
put together otherwise.
"""

from typing import Any, Final

import numpy as np

from learners.kernel import array, entry_at_first_use, kernel, record
from learners.precision import SHARE_ONE
from learners.recognition.gallery import is_enrolled
from stream.home.core.feedback.claims import find_heeded
from stream.home.messages import EVENT
from stream.home.state.layout import HOME, PHONES_MAX, PLACES, ROWS_MAX

__all__ = ["LESSON", "LESSONS_MAX", "NOT_HEARD", "NO_CHANNEL", "THEIRS", "UNDECIDED", "read"]

THEIRS, NOT_THEIRS, UNDECIDED = 1, 0, -1
NO_CHANNEL: Final = -1
NOT_HEARD: Final = -128
LESSONS_MAX: Final = ROWS_MAX + 1  # and the event that just came, which is first
_MOST: Final = SHARE_ONE * 4 // 5
_LEAST: Final = SHARE_ONE // 5

LESSON = record(
    ("observed_at", "<i8"),
    ("device_name", "<i2"),  # word
    ("activity", "<i2"),  # word; 0: none
    ("channels", "i1", 2),  # of VOICE and FACE; NO_CHANNEL: none came
    ("reserved", "u1", 2),
    ("phones", "i1", PHONES_MAX),  # dBm, by the home's phones; NOT_HEARD
    ("owners", "i1", PLACES),  # THEIRS, NOT_THEIRS, UNDECIDED
    ("reserved_too", "u1", 7),
)


@kernel
def _read_parts(lesson, part):
    """What rows and events have in common."""
    lesson.device_name, lesson.activity = part.device_name, part.activity
    for m in range(2):
        lesson.channels[m] = part.channels[m] if part.encoders[m] > 0 else NO_CHANNEL
    for phone in range(PHONES_MAX):
        lesson.phones[phone] = NOT_HEARD
    for s in range(part.sightings_used):
        heard = part.sightings[s]
        lesson.phones[heard.phone] = max(lesson.phones[heard.phone], heard.rssi_dbm)


@entry_at_first_use(array(HOME), array(EVENT), array(LESSON), array(np.dtype("i8")))
def read(homes: Any, events: Any, lessons: Any, counts: Any) -> None:
    """Fill in lessons[0] from a recognition events[0], of which nobody has said whose it is, and then the lessons of its home,
    oldest row first; counts[0] is how many those are.
    """
    home, used = homes[events[0].home], 0
    lessons[0].observed_at = events[0].at
    _read_parts(lessons[0], events[0])
    for place in range(PLACES):
        lessons[0].owners[place] = UNDECIDED
    for index in range(home.rows_used):
        row = home.rows[index]
        if not is_enrolled(row) and find_heeded(home, row) >= 0:
            used += 1
            lessons[used].observed_at = row.observed_at
            _read_parts(lessons[used], row)
            for place in range(PLACES):
                share = int(row.shares[place])
                lessons[used].owners[place] = THEIRS if share >= _MOST else NOT_THEIRS if share <= _LEAST else UNDECIDED
    counts[0] = used
