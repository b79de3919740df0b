"""Settling: events get new owners, and everything that follows from that is brought in line.

Law: what an event teaches is a function of its evidence and its claims as they now stand. `settle` is the one way in
which a claim, its replacement, its suspension or its retraction takes effect; `infer_one` and `infer_all` are the
ways in which evidence does.
"""

from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.precision import SHARE_ONE, SHARE_STEP
from learners.recognition.fusion import quantise, softmax
from learners.recognition.gallery import is_enrolled
from learners.recognition.levels import hold_models
from stream.home.core.answer import revise
from stream.home.core.feedback.claims import share_event
from stream.home.core.learn import calibrate_row, reassign, recalibrate
from stream.home.core.posterior import (
    AGAIN,
    FACE_TERM,
    PHONE_TERM,
    PRIOR,
    RETURNING,
    STRANGER,
    VOICE_TERM,
    has_unenrolled,
    posterior,
    row_logits,
)
from stream.home.state.layout import FACE, VOICE

__all__ = ["has_never_enrolled", "infer_all", "infer_one", "settle", "touch"]

SETTLED: Final = 0.05  # of an event that is certain: that it is inferred again now and then
GUEST_LOGIT_COLD: Final = -1.0  # at beta 0 of a home where nobody enrolled: rather somebody of the home than a guest
OWNED: Final = SHARE_ONE // 2  # share steps: more, and an event is somebody's


@kernel
def touch(home, place, work):
    """Have this person's profile published at the end of the step."""
    home.people[place - 1].touched, work.fresh = 1, 1


@kernel
def _keep_before(home, index, work):
    for place in range(home.people_used + 1):
        work.before[index, place] = home.rows[index].shares[place]


@kernel
def settle(home, newest, policy, work, out):
    """Let the claims of all rows marked `unsettled` take effect on shares and on what was learnt, and publish what moved.

    `newest`: index of the one row that is marked, when it has its first claim and no event after it has one, so that
    calibrations only learn one lesson more; else -1.
    """
    marked = 0
    for index in range(home.rows_used):
        if home.rows[index].unsettled:
            marked += 1
            _keep_before(home, index, work)
            share_event(home, index, work)
            reassign(home, index, work.shares, policy)
    if marked == 0:
        return
    if newest >= 0 and marked == 1:
        calibrate_row(home, newest, False)
    else:
        recalibrate(home)
    for index in range(home.rows_used):
        row = home.rows[index]
        if row.unsettled:
            revise(home, index, policy, work, out)
            row.unsettled = 0
            for p in range(home.people_used):
                moved = abs(int(row.shares[p + 1]) - int(work.before[index, p + 1]))
                if moved * SHARE_STEP >= policy.revision_change_min:
                    touch(home, p + 1, work)
    if has_unenrolled(home):
        home.next_rebuild = 0


# ---- inferring anew


@kernel
def infer_one(home, policy, work, out):
    """Re-infer the kept event that most needs it from what is known now, and publish its answer again if that moved.

    The one that is most open times the events since it was last inferred. For homes where everybody has enrolled.
    """
    stalest, most, now = -1, 0.0, int(home.next_row)
    for index in range(home.rows_used):
        row = home.rows[index]
        if row.counted and (row.encoders[VOICE] > 0 or row.encoders[FACE] > 0):
            surest = 0
            for place in range(home.people_used + 1):
                surest = max(surest, int(row.evidence[place]))
            stale = (now - int(row.inferred)) * (1.0 + SETTLED - surest * SHARE_STEP)
            if stale > most:
                stalest, most = index, stale
    if stalest < 0:
        return
    row = home.rows[stalest]
    row.inferred = now
    posterior(home, stalest, AGAIN, policy, work)
    quantise(work.posterior, int(home.people_used) + 1, row.evidence)
    _keep_before(home, stalest, work)
    share_event(home, stalest, work)
    changed = False
    for place in range(home.people_used + 1):
        changed = changed or work.shares[place] != row.shares[place]
    if changed:
        reassign(home, stalest, work.shares, policy)
        if row.claims_used > 0:
            recalibrate(home)
        revise(home, stalest, policy, work, out)


@kernel
def has_never_enrolled(home):
    """Whether somebody never enrolled, of who belongs and of who left a short while ago."""
    for p in range(home.people_used):
        if home.people[p].enrolments_used == 0:
            return True
    return False


@kernel
def infer_all(home, policy, work, out):
    """Re-infer the kept events from each other, guided enrolment apart, and publish those answers again that moved.

    Jacobi passes over all events at once, at rising weight (beta) of voices and faces of who never enrolled
    (deterministic annealing: Ueda and Nakano 1998): they are found by their phone first. (One event after the other
    is overconfident.)
    """
    people, passes, cold = int(home.people_used), 1, True
    for p in range(people):
        cold = cold and home.people[p].enrolments_used == 0
    if people == 0 or home.rows_used == 0:
        return
    if has_never_enrolled(home):
        passes = 3
    for index in range(home.rows_used):
        _keep_before(home, index, work)
        if not is_enrolled(home.rows[index]):
            row_logits(home, index, PRIOR | PHONE_TERM | STRANGER, policy, work)
            for place in range(people + 1):
                work.tables[0, index, place] = work.parts[place]
    for one in range(passes):
        beta = 1.0 if passes == 1 else 0.5 * one
        _weigh_all(home, beta, cold, policy, work)
        _take_all(home, beta, work)
    changed = False
    for index in range(home.rows_used):
        row, moved = home.rows[index], False
        for place in range(people + 1):
            work.shares[place] = row.shares[place]
            moved = moved or row.shares[place] != work.before[index, place]
            row.shares[place] = work.before[index, place]
        if moved:
            changed = True
            reassign(home, index, work.shares, policy)
    recalibrate(home)
    if changed:
        for index in range(home.rows_used):
            if _has_moved(home, index, work):
                revise(home, index, policy, work, out)


@kernel
def _has_moved(home, index, work):
    for place in range(home.people_used + 1):
        if home.rows[index].shares[place] != work.before[index, place]:
            return True
    return False


@kernel
def _weigh_all(home, beta, cold, policy, work):
    """tables[1]: the posteriors of all events that were not enrolled, in steps, each from the shares of all others as
    they are.
    """
    places = int(home.people_used) + 1
    hold_models(work, 1)
    for index in range(home.rows_used):
        if is_enrolled(home.rows[index]):
            continue
        if not cold or beta > 0.0:
            row_logits(home, index, VOICE_TERM | FACE_TERM | RETURNING, policy, work)
        else:  # nobody's ratios count yet
            for place in range(places):
                work.parts[place] = 0.0
        work.logits[0] = work.tables[0, index, 0] + beta * work.parts[0] + (GUEST_LOGIT_COLD * (1.0 - beta) if cold else 0.0)
        for place in range(1, places):
            enrolled = home.people[place - 1].enrolments_used > 0
            scale = 1.0 if enrolled else policy.unanchored_temper * beta
            work.logits[place] = work.tables[0, index, place] + scale * work.parts[place]
        softmax(work.logits, places, work.posterior)
        for place in range(places):
            work.tables[1, index, place] = np.rint(work.posterior[place] * SHARE_ONE)
    hold_models(work, 0)


@kernel
def _take_all(home, beta, work):
    """Let events be as tables[1] has them; before the last pass only those that nobody enrolled owns."""
    for index in range(home.rows_used):
        row, owned = home.rows[index], False
        if is_enrolled(row):
            continue
        for p in range(home.people_used):
            owned = owned or (home.people[p].enrolments_used > 0 and row.shares[p + 1] > OWNED)
        if beta == 1.0 or not owned:
            for place in range(home.people_used + 1):
                row.evidence[place] = int(work.tables[1, index, place])
            share_event(home, index, work)
            for place in range(home.people_used + 1):
                row.shares[place] = work.shares[place]
        row.inferred = home.next_row
