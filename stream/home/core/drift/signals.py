"""What a home reports to the fleet of change: alarms, what caused them and what was done, and in calm a
heartbeat.

Law: a home alarms when its evidence reaches what comes once in `false_alarm_events` by chance (`alarm_nats`).
It names one cause, and looks again when more events came, and only then, if the evidence stands, does
something about it and watches anew. The same evidence is reported under one name: when a cause gets another,
the old one is taken back. When a subject is due is a function of what is believed now, of what was reported
last, and of the time between.
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel
from stream.home.core.drift.adapt import adapt, reset_monitors_of
from stream.home.core.drift.causes import (
    DEVICE,
    FEEDBACK,
    HABIT,
    KIND,
    PERSON,
    PHONE,
    UNKNOWN,
    UNKNOWN_VOICES,
    believe,
    count_subjects,
    evidence_about,
    part_causes,
)
from stream.home.core.work import add_result
from stream.home.messages import ADAPTATIONS, CAUSES, SIGNAL
from stream.home.state.layout import PLACES, REPORTED_MAX

__all__ = ["ERASED", "LOG_E_STEP", "forget_reported", "note_reported", "report", "report_erased"]

HOUR_MS: Final = 3_600_000
LOG_E_STEP: Final = 1 / 64  # nats
LEAST: Final = -1_920  # of those steps, -30 nats: of no evidence at all
NOTABLE: Final = math.log(5)  # nats
NOTABLE_E: Final = math.exp(NOTABLE)
NOTABLE_EVERY_MS: Final = 6 * HOUR_MS
HEARTBEAT_MS: Final = 7 * 24 * HOUR_MS
RATE_E_MAX: Final = 10_000.0  # reported of a share: learnt from little, it can be wildly sure (docs/drift.md)
PATIENCE: Final = 3  # times as many events, until the device in question speaks: with it go its attributes
ERASED: Final = 2  # `held` of a signal that asks to forget a person, or without a name the home
_ANEW: Final = ADAPTATIONS.index("anew")


@kernel
def note_reported(home, subject, log_e, at):
    """Remember what was last reported of a subject (steps of LOG_E_STEP), and when (ms); its index in
    `reported`.

    When there is no room, in the place of what was reported longest ago.
    """
    kind, name, index, oldest = subject // KIND, subject % KIND, int(home.reported_used), 0
    for i in range(home.reported_used):
        if home.reported[i].kind == kind and home.reported[i].name == name:
            index = i
        if home.reported[i].at < home.reported[oldest].at:
            oldest = i
    if index == REPORTED_MAX:
        index = oldest
    home.reported_used = max(int(home.reported_used), index + 1)
    entry = home.reported[index]
    entry.at, entry.log_e, entry.name, entry.kind, entry.settled = at, log_e, name, kind, 0
    for i in range(len(entry.reserved)):
        entry.reserved[i] = 0
    return index


@kernel
def forget_reported(home, index):
    """Take one entry out; those behind it move up."""
    for i in range(index, home.reported_used - 1):
        home.reported[i] = home.reported[i + 1]
    home.reported_used -= 1


@kernel
def _steps_of(e_value):
    """Nats in whole steps, as they are kept."""
    return max(LEAST, int(np.rint(math.log(e_value) / LOG_E_STEP))) if e_value > 0.0 else LEAST


@kernel
def _signal(home, subject, e_value, work, out):
    """Report how a subject stands at the event that was kept last; the index of that result."""
    kind, at = subject // KIND, home.rows[home.rows_used - 1].observed_at
    of_shares = kind in (PHONE, HABIT, FEEDBACK, UNKNOWN_VOICES)
    steps = _steps_of(min(e_value, RATE_E_MAX) if of_shares else e_value)
    note_reported(home, subject, steps, at)
    index = add_result(out, SIGNAL, work.event, at)
    result = out.results[index]
    result.observed_at, result.log_e, result.cause, result.name = at, steps * LOG_E_STEP, kind, subject % KIND
    result.streams = count_subjects(home)[0]
    return index


@kernel
def _is_due(home, subject, e_value, alarm_nats):
    """Whether it is time to report a subject again, at the event that was kept last."""
    kind, name, at = subject // KIND, subject % KIND, home.rows[home.rows_used - 1].observed_at
    log_e = _steps_of(e_value) * LOG_E_STEP
    for i in range(home.reported_used):
        entry = home.reported[i]
        if entry.kind == kind and entry.name == name:
            before, elapsed = entry.log_e * LOG_E_STEP, at - entry.at
            if elapsed >= HEARTBEAT_MS:
                return True
            if entry.settled != 0:
                return False
            if before < alarm_nats and log_e >= alarm_nats:
                return True
            fell = before >= 0.0 and log_e < 0.0
            return elapsed >= NOTABLE_EVERY_MS and (log_e > NOTABLE or before > NOTABLE or fell)
    return True


@kernel
def _stands(entry, at):
    """Whether this was reported as notable, and is to be followed: of what was dealt with, after a week."""
    return entry.log_e >= 0 and (entry.settled == 0 or at - entry.at >= HEARTBEAT_MS)


@kernel
def _take_back(home, named, work, out):
    """The same evidence is reported under one name."""
    at = home.rows[home.rows_used - 1].observed_at
    for i in range(home.reported_used):
        entry = home.reported[i]
        subject = np.int64(entry.kind) * KIND + np.int64(entry.name)
        if subject != named and _stands(entry, at):
            _signal(home, subject, 0.0, work, out)


@kernel
def _name_cause(home, policy, weighed, work, out):
    """Alarm, or when that was enough events ago name the cause again, and if the evidence stands do something
    about it.

    `weighed`: the evidence of the home, and the surest subject.
    """
    total, surest = weighed
    decides, stands = home.alarm_kind != 0, _steps_of(total) * LOG_E_STEP >= policy.alarm_nats
    since = int(home.alarm_since) if decides else evidence_about(home, surest)[1]
    subject = believe(home, since, policy, work)
    if decides:
        home.alarm_kind, home.alarm_name, home.alarm_since, home.alarm_noticed = 0, 0, 0, 0
        _take_back(home, subject if stands else np.int64(KIND * UNKNOWN), work, out)
        if not stands:
            return
    else:
        home.alarm_kind, home.alarm_name = subject // KIND, subject % KIND
        home.alarm_since, home.alarm_noticed = since, home.next_row
    e_value, done, galleries = max(evidence_about(home, subject)[0], total), 0, 0
    if decides and policy.adapting != 0:
        done, galleries = adapt(home, subject, since, policy, work)
    result = out.results[_signal(home, subject, e_value, work, out)]
    for kind in range(len(CAUSES)):
        for index in range(PLACES):
            result.beliefs[kind] += work.tables[0, kind, index]
    if decides:
        result.adapted, result.adapted_galleries = done if done != 0 else _ANEW, galleries
        for i in range(home.reported_used):
            if np.int64(home.reported[i].kind) * KIND + np.int64(home.reported[i].name) == subject:
                home.reported[i].settled = 1
        reset_monitors_of(home, subject // KIND, subject % KIND)
    else:
        _take_back(home, subject, work, out)


@kernel
def report(home, policy, e_max, work, out):
    """Report what is due of the device of the event kept last, and of everything else when there is something
    to report.

    `e_max`: the greatest e-value of what this event bears on.
    """
    row = home.rows[home.rows_used - 1]
    at, here, standing, last = row.observed_at, np.int64(KIND * DEVICE) + np.int64(row.device_name), False, -1
    for i in range(home.reported_used):
        standing = standing or _stands(home.reported[i], at)
        if home.reported[i].kind == DEVICE and home.reported[i].name == row.device_name:
            last = i
    if e_max < NOTABLE_E and home.alarm_kind == 0 and not standing:
        if last < 0 or at - home.reported[last].at >= HEARTBEAT_MS:
            _signal(home, here, evidence_about(home, here)[0], work, out)
        return
    weighed = part_causes(home, work)
    total, speaker = weighed
    if home.alarm_kind != 0:
        events, enough = home.next_row - home.alarm_noticed, policy.decide_after_events
        if home.alarm_kind == DEVICE and home.alarm_name != row.device_name:
            enough *= PATIENCE
        if events >= enough:
            _name_cause(home, policy, weighed, work, out)
            return
    elif _steps_of(total) * LOG_E_STEP >= policy.alarm_nats:
        _name_cause(home, policy, weighed, work, out)
    if home.alarm_kind != 0:
        speaker = np.int64(home.alarm_kind) * KIND + np.int64(home.alarm_name)
    else:
        total = 0.0
    e_value = max(evidence_about(home, speaker)[0], total)
    if _is_due(home, speaker, e_value, policy.alarm_nats):
        _signal(home, speaker, e_value, work, out)
        _take_back(home, speaker, work, out)
    reported = int(home.reported_used)
    if here != speaker and _is_due(home, here, 0.0, policy.alarm_nats):
        _signal(home, here, 0.0, work, out)
    for i in range(reported):
        subject = np.int64(home.reported[i].kind) * KIND + np.int64(home.reported[i].name)
        followed = subject not in (here, speaker) and _stands(home.reported[i], at)
        if followed and _is_due(home, subject, 0.0, policy.alarm_nats):
            _signal(home, subject, 0.0, work, out)


@kernel
def report_erased(home, out, work, name, at):
    """Ask the fleet to forget a person (their word), or with 0 the whole home."""
    result = out.results[add_result(out, SIGNAL, work.event, at)]
    result.observed_at, result.log_e, result.name, result.held = at, LEAST * LOG_E_STEP, name, ERASED
    result.cause = PERSON if name != 0 else 0
