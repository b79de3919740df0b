"""Rollback: a profile that got worse by what it learnt goes back to what was enrolled.

Law: a profile is judged only by recordings that everything else (phones, the other modality, habits) says are this
person's, and only before it learns from them. Who never enrolled has nothing to go back to. What guided enrolment
taught is never touched.

Theory: at each such recording, enrolment alone bets against the whole profile: the ratio of what both foretold has a
mean of at most 1 as long as the profile is right. The sum over all beginnings (Shiryaev and Roberts) grows by at most
1 a recording on average, so that by chance a profile goes back about once in ROLLED_BACK_FROM such recordings, or
less often.
"""

import math
from typing import Final

from learners.kernel import kernel
from learners.recognition.calibration import clear_calibration
from learners.recognition.gallery import compare_enrolled, forget_tails, set_probe_of_row
from learners.recognition.levels import hold_models
from stream.home.core.feedback.suspend import add_held_signal
from stream.home.core.learn import recalibrate
from stream.home.core.posterior import blind_posterior
from stream.home.core.settle import touch

__all__ = ["ROLLED_BACK_FROM", "judge_profiles"]

EVERY: Final = 2  # events: to be judged at each would cost as much as the answer
OWNED_MIN: Final = 0.9  # by everything but the recording itself
BET_MAX: Final = 1.0  # nats that one recording may say
EVIDENCE_STEP: Final = 1 / 16
ROLLED_BACK_FROM: Final = 100.0  # evidence at which a profile goes back
ROLLED_BACK: Final = 7  # of messages.ADAPTATIONS


@kernel
def judge_profiles(home, index, policy, work, out):
    """Judge by a recording, before it is learnt from, whether its owner's profile is better than their enrolment alone."""
    row = home.rows[index]
    if row.number % EVERY != 0:
        return
    for modality in range(2):
        if row.encoders[modality] == 0:
            continue
        blind_posterior(home, modality, work)
        best = 0
        for place in range(1, home.people_used + 1):
            if work.blind[place] > work.blind[best]:
                best = place
        if best == 0 or work.blind[best] < OWNED_MIN or home.people[best - 1].enrolments_used == 0:
            continue
        set_probe_of_row(home, index, modality, policy, work)
        for k in range(work.probe.shape[0]):
            work.probe[k] = (work.aligned[modality, k] - work.centre[k]) * work.scale
        enrolment = compare_enrolled(home, best - 1, policy, work)
        if enrolment != 0.0:  # 0: they enrolled with another encoder
            person = home.people[best - 1]
            nats = max(-BET_MAX, min(enrolment - work.llr[modality, best - 1], BET_MAX))
            evidence = (float(person.rollback[modality]) * EVIDENCE_STEP + 1.0) * math.exp(nats)
            person.rollback[modality] = math.floor(evidence / EVIDENCE_STEP)
            if evidence >= ROLLED_BACK_FROM:
                for gallery in range(home.galleries_used):
                    if policy.encoders[home.galleries[gallery].number].modality == modality:
                        forget_tails(person, gallery, 1)
                hold_models(work, work.holds)  # they are made anew, without those
                _roll_back(home, best, modality, work, out)


@kernel
def _roll_back(home, place, modality, work, out):
    """What was learnt of a person's voice or face since they enrolled was forgotten: say so, and forget what it calibrated."""
    person = home.people[place - 1]
    result = out.results[add_held_signal(home, work, out)]
    result.log_e, result.named, result.adapted = math.log(person.rollback[modality] * EVIDENCE_STEP), place, ROLLED_BACK
    person.rollback[modality] = 0
    clear_calibration(person.calibration)
    recalibrate(home)
    touch(home, place, work)
