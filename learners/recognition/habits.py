"""Habits: who does what at which hour, learnt with a half-life.

Law: old habits fade by event time, not by the number of events; unknown activities and new people cost nothing.

Theory: naive Bayes on categories (the hour in bins, the activity) whose counts halve every half-life, each person's
smoothed towards everybody's together. Habits separate people weakly (equal error rate 36 % in ARAS), so the evidence
is tempered and clipped.

Counts of one person are a table: HOURS bins, ACTIVITIES slots, and the totals of both. They are kept in units that
grow with the day, so that nothing has to fade: 2 ** ((day - origin) / half-life).
"""

import math
from typing import Final

from learners.kernel import kernel

__all__ = ["ACTIVITIES", "HOURS", "count_habit", "habit_llr", "slot_of"]

HOURS: Final = 8
ACTIVITIES: Final = 17  # 16 are told apart, and one that just came
NOTHING: Final = 1e-6  # of what was taken back: that little is rounding, not a count
SMOOTHING: Final = 8.0  # events' worth of everybody's habits in each person's
TEMPERATURE: Final = 0.5
LLR_MAX: Final = 1.0  # nats, over all features together
REBASE_HALF_LIVES: Final = 16.0


@kernel
def slot_of(home, activity):
    """Where an activity (word) is counted; -1: nowhere yet."""
    for slot in range(ACTIVITIES):
        if home.activities[slot] == activity:
            return slot
    return -1


@kernel
def _counts(home, place):
    """The table of a place."""
    return home.guest_habits if place == 0 else home.people[place - 1].habits


@kernel
def _sum(home, index):
    """Over guest and people."""
    total = home.guest_habits[index]
    for p in range(home.people_used):
        total += home.people[p].habits[index]
    return total


@kernel
def count_habit(home, row, place, weight, policy):
    """Count the hour and the activity of a row for a place; a negative weight takes that much back."""
    day = float(row.observed_at) / 86_400_000.0
    if day > home.habits_day:
        home.habits_day = day
        _rebase(home, policy.habits_half_life_days)
    amount = weight * math.pow(2.0, (day - home.habits_origin) / policy.habits_half_life_days)
    nothing, slot = abs(amount) * NOTHING, slot_of(home, row.activity)
    if slot < 0 and weight > 0.0:
        slot = slot_of(home, 0)
        home.activities[slot] = row.activity
    counts = _counts(home, place)
    for feature in range(2):
        index, total = (int(row.hour), HOURS + ACTIVITIES) if feature == 0 else (HOURS + slot, HOURS + ACTIVITIES + 1)
        if feature == 0 or slot >= 0:
            count, whole = counts[index] + amount, counts[total] + amount
            counts[index] = count if count > nothing else 0.0
            counts[total] = whole if whole > nothing else 0.0
    if slot >= 0:
        _keep_few(home, slot)


@kernel
def _keep_few(home, slot):
    """Free an activity that nobody is counted for; of too many forget the rarest."""
    if _sum(home, HOURS + slot) == 0.0:
        home.activities[slot] = 0
        return
    rarest, least = -1, 0.0
    for other in range(ACTIVITIES):
        if home.activities[other] == 0:
            return
        count = _sum(home, HOURS + other)
        if rarest < 0 or count < least:
            rarest, least = other, count
    home.activities[rarest] = 0
    for place in range(home.people_used + 1):
        counts = _counts(home, place)
        counts[HOURS + ACTIVITIES + 1] = max(0.0, counts[HOURS + ACTIVITIES + 1] - counts[HOURS + rarest])
        counts[HOURS + rarest] = 0.0


@kernel
def _rebase(home, half_life):
    """Bring the growing unit back to 1, rarely."""
    passed = (home.habits_day - home.habits_origin) / half_life
    if passed > REBASE_HALF_LIVES:
        scale = math.pow(2.0, -passed)
        for place in range(home.people_used + 1):
            counts = _counts(home, place)
            for index in range(HOURS + ACTIVITIES + 2):
                counts[index] *= scale
        home.habits_origin = home.habits_day


@kernel
def habit_llr(home, hour, activity, policy, out):
    """Fill out[column] with nats: this person against everybody; 0 for what was never seen."""
    unit = math.pow(2.0, (home.habits_day - home.habits_origin) / policy.habits_half_life_days)
    smoothing, slot = SMOOTHING * unit, slot_of(home, activity)
    for p in range(home.people_used):
        out[p] = 1.0
    for feature in range(2):
        first, size, index, total = 0, HOURS, int(hour), HOURS + ACTIVITIES
        if feature == 1:
            first, size, index, total = HOURS, ACTIVITIES, HOURS + slot, HOURS + ACTIVITIES + 1
        counted = _sum(home, index) if feature == 0 or slot >= 0 else 0.0
        if counted == 0.0:
            continue
        values = 0
        for other in range(first, first + size):
            if _sum(home, other) > 0.0:
                values += 1
        everybody = (counted + unit) / (_sum(home, total) + unit * (values + 1))
        expected = smoothing * everybody
        for p in range(home.people_used):
            counts = home.people[p].habits
            out[p] *= (counts[index] + expected) / (counts[total] + smoothing) / everybody
    for p in range(home.people_used):
        out[p] = max(-LLR_MAX, min(TEMPERATURE * math.log(out[p]), LLR_MAX))
