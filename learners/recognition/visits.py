"""Visits: who touches a device is mostly who was heard or seen at it a moment ago.

Law: an event that came with a voice or a face is judged by those, if they can be used, and never by who was there before: a
silence is nobody's. Only one without either takes over, and it teaches nothing of visits.

Theory: with probability c such an event is of the same person as the latest one at the device that had a voice or a face, at
most VISIT_MS before; else it is somebody else's, each as often as ever. c is learnt in each home from pairs of recognised events,
as the mean of a Beta.
"""

import math

import numpy as np

from learners.kernel import kernel
from learners.precision import SHARE_ONE, SHARE_STEP
from learners.recognition.gallery import is_enrolled

__all__ = ["CAME", "count_visit", "is_sensed", "take_over"]

CAME = 16  # bit of a kept event's `modalities`: a voice or a face came with it, whether or not it could be used

VISIT_MS = 300_000  # between two events at a device that may be one visit
SAME, OTHER = 0, 1  # places in `home.visits`
FIRST_SAME, FIRST_OTHER = 4.5, 0.5  # pairs' worth of what is assumed of a home
ALONE = 1e-6  # probability of anybody else: less is none
LEAST = 1e-9  # probability of anybody who belongs
PAIRS_MAX = 200.0  # of more the older count half
SURE = 0.6  # of an event, to teach: more would leave out guests, of whom one is less sure


@kernel
def is_sensed(row):
    """Whether a kept event has a voice or a face."""
    return row.encoders[0] > 0 or row.encoders[1] > 0


@kernel
def _latest_at_device(home, index):
    """The kept event whose visit event `index` may belong to; -1: none."""
    row = home.rows[index]
    for i in range(index - 1, -1, -1):
        other = home.rows[i]
        if other.device_name == row.device_name and is_sensed(other):
            return i if abs(int(row.observed_at) - int(other.observed_at)) <= VISIT_MS else -1
    return -1


@kernel
def take_over(home, index, prior):
    """Change log probabilities `prior` (guest, then columns; minus infinity of who does not belong) by who was just met there."""
    latest = -1 if home.rows[index].modalities & CAME else _latest_at_device(home, index)
    if latest < 0:
        return
    other, there, leaving = home.rows[latest], 0.0, 0.0
    for place in range(home.people_used + 1):
        if prior[place] > -np.inf:
            share = float(other.shares[place]) * SHARE_STEP
            there, leaving = there + share, leaving + share / max(1.0 - math.exp(prior[place]), ALONE)
    if there <= 0.0:
        return
    same = FIRST_SAME + float(home.visits[SAME])
    c = same / (same + FIRST_OTHER + float(home.visits[OTHER]))
    for place in range(home.people_used + 1):
        if prior[place] > -np.inf:
            share, usual = float(other.shares[place]) * SHARE_STEP, math.exp(prior[place])
            others = usual * (leaving - share / max(1.0 - usual, ALONE))
            prior[place] = math.log(max(c * share + (1.0 - c) * others, 0.0) / there + LEAST)


@kernel
def count_visit(home, index):
    """Learn from a recognised event that leaves the ledger, and the one after it at the device, whether one person made both.

    Guided enrolment is no visit, and teaches nothing.
    """
    row, best, after = home.rows[index], 0, 0
    if not is_sensed(row) or is_enrolled(row):
        return
    for i in range(index + 1, home.rows_used):
        other = home.rows[i]
        if other.device_name == row.device_name and is_sensed(other):
            if is_enrolled(other) or abs(int(row.observed_at) - int(other.observed_at)) > VISIT_MS:
                return
            for place in range(1, home.people_used + 1):
                best = place if row.evidence[place] > row.evidence[best] else best
                after = place if other.evidence[place] > other.evidence[after] else after
            if row.evidence[best] >= SURE * SHARE_ONE and other.evidence[after] >= SURE * SHARE_ONE:
                _count_pair(home, SAME if best == after else OTHER)
            return


@kernel
def _count_pair(home, kind):
    home.visits[kind] += np.float32(1.0)
    if float(home.visits[SAME] + home.visits[OTHER]) > PAIRS_MAX:
        home.visits[SAME] *= np.float32(0.5)
        home.visits[OTHER] *= np.float32(0.5)
