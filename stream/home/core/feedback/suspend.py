"""Suspension: runs of claims that contradict the sensors, from one source or about one person, do not count.

Law: whether a run is suspended is a function of the ledger as it now stands: of its claims, and of what the sensors
now say of their events. So a run counts again once the sensors come to agree, or enough of it was taken back. What is
suspended teaches nothing; what it taught is undone. Who only repeats the answer is not heard for or against.
"""

import math
from typing import Final

import numpy as np

from learners.feedback.poisoning import evidence_most, surprise
from learners.kernel import kernel
from learners.precision import SHARE_STEP
from stream.home.core.drift.causes import KIND
from stream.home.core.drift.signals import note_reported
from stream.home.core.feedback.claims import LEAST
from stream.home.core.feedback.crosswise import are_crosswise, exchange_crosswise
from stream.home.core.settle import settle
from stream.home.core.work import add_result
from stream.home.messages import ENROL, REJECT, SIGNAL
from stream.home.state.layout import DOUBTS_MAX, NOBODY, NOT_COUNTED, PLACES, SOURCES

__all__ = ["FEEDBACK_CAUSE", "add_held_signal", "review"]

DAY_MS: Final = 86_400_000
FEEDBACK_CAUSE: Final = 6  # of messages.CAUSES
SUSPENDED, RESTORED, CROSSWISE, EXCHANGED = 5, 6, 8, 9  # of messages.ADAPTATIONS
REPORTED_STEP: Final = 1 / 64  # nats
RESOLVED: Final = -1.0  # nats, reported of a run of which nothing is left


@kernel
def review(home, policy, work, out):
    """Suspend the runs of claims that are suspicious now, let those count again that no longer are, and report both."""
    claims = 0
    for index in range(home.rows_used):
        claims += int(home.rows[index].claims_used)
    if home.doubts_used == 0 and (claims == 0 or evidence_most(claims) < policy.suspicious_from):
        return
    if home.doubts_used > 0 and exchange_crosswise(home, policy, work, out):
        out.results[add_held_signal(home, work, out)].adapted = EXCHANGED
    _weigh_runs(home, work)
    for run in range(SOURCES + PLACES):
        if work.run_claims[run] > 0 and work.runs[run] >= policy.suspicious_from:
            _doubt(home, run)
    changed = 0
    for d in range(home.doubts_used):
        doubt = home.doubts[d]
        if (doubt.suspended != 0) != (work.runs[_run_of(doubt)] >= policy.suspicious_from):
            doubt.suspended = 1 - doubt.suspended
            changed |= 1 << d
            _mark(home, doubt)
    settle(home, -1, policy, work, out)
    d = 0
    while d < home.doubts_used:
        gone = _report(home, d, (changed >> d) & 1, work, out)
        if gone:
            changed = (changed & ((1 << d) - 1)) | ((changed >> (d + 1)) << d)
        else:
            d += 1


@kernel
def _weigh_runs(home, work):
    """The evidence against each source, and against all that is said of each place."""
    for run in range(SOURCES + PLACES):
        work.runs[run], work.run_claims[run] = 0.0, 0
    for index in range(home.rows_used):
        row = home.rows[index]
        for c in range(row.claims_used):
            claim = row.claims[c]
            if claim.right != NOT_COUNTED:
                for place in range(home.people_used + 1):
                    work.parts[place] = max(float(row.evidence[place]) * SHARE_STEP, LEAST)
                factor = surprise(work.parts, int(home.people_used) + 1, claim.person, claim.kind == REJECT)
                for of_person in range(2):
                    run = SOURCES + claim.person if of_person else claim.source + 0
                    work.runs[run] = (work.runs[run] + 1.0) * factor
                    work.run_claims[run] += 1


@kernel
def _run_of(doubt):
    return int(doubt.source) if doubt.source != NOBODY else SOURCES + int(doubt.person)


@kernel
def _doubt(home, run):
    """Begin to look after a run, if nobody does."""
    for d in range(home.doubts_used):
        if _run_of(home.doubts[d]) == run:
            return
    if home.doubts_used < DOUBTS_MAX:
        doubt = home.doubts[home.doubts_used]
        home.doubts_used += 1
        doubt.source = run if run < SOURCES else NOBODY
        doubt.person = NOBODY if run < SOURCES else run - SOURCES
        doubt.suspended, doubt.reported_at = 0, 0
        for i in range(5):
            doubt.reserved[i] = 0


@kernel
def _mark(home, doubt):
    """The events of which a run speaks are to be settled."""
    for index in range(home.rows_used):
        row = home.rows[index]
        for c in range(row.claims_used):
            claim = row.claims[c]
            if claim.kind != ENROL and (claim.source == doubt.source or claim.person == doubt.person):
                row.unsettled = 1


@kernel
def _report(home, index, changed, work, out):
    """Say that a run is suspended or no longer, how it stands once a day, and at last that nothing of it is left:
    then it is gone.
    """
    doubt = home.doubts[index]
    run, now = _run_of(doubt), home.stream_time
    nats = math.log(work.runs[run] / work.run_claims[run]) if work.run_claims[run] > 0 else 0.0
    over = not doubt.suspended and (work.run_claims[run] == 0 or nats < 0.0)
    if changed or over or now - doubt.reported_at >= DAY_MS:
        doubt.reported_at = now
        nats = RESOLVED if over else nats
        result = out.results[add_held_signal(home, work, out)]
        result.log_e, result.adapted = nats, (SUSPENDED if doubt.suspended else RESTORED) if changed else 0
        if doubt.suspended and are_crosswise(home):
            result.adapted = CROSSWISE
        if doubt.source != NOBODY:
            result.source = doubt.source + 1
            # Whoever monitors sources for change says no more of it.
            noted = note_reported(home, KIND * FEEDBACK_CAUSE, int(np.rint(nats / REPORTED_STEP)), work.at)
            home.reported[noted].settled = doubt.suspended
        else:
            result.named = doubt.person
    if over:
        for d in range(index, home.doubts_used - 1):
            home.doubts[d] = home.doubts[d + 1]
        home.doubts_used -= 1
    return over


@kernel
def add_held_signal(home, work, out):
    """A signal about claims or a profile, whose id says so; its index."""
    index = add_result(out, SIGNAL, work.event, work.at)
    result = out.results[index]
    result.cause, result.held, result.streams = FEEDBACK_CAUSE, 1, SOURCES + int(home.people_used) + 1
    return index
