"""Relapse: a profile that got worse by what it learnt goes back to what was enrolled.

Law: a profile is judged only by recordings that everything else (phones, the other modality, habits) says are this person's,
and only before it learns from them. Who never enrolled has nothing to go back to. What guided enrolment taught is never touched.

Theory: at each such recording, enrolment alone bets against the whole profile: the ratio of what both foretold has a mean of at
most 1 as long as the profile is right. The sum over all beginnings (Shiryaev and Roberts) grows by at most 1 a recording on
average, so that by chance a profile goes back about once in RELAPSED_FROM such recordings, or less often.
"""

import math
from typing import Final

from learners.recognition.fusion import softmax
from learners.recognition.gallery import REST
from stream.contract.records import Output

from ..context import Turn
from ..learning.learning import recalibrate
from ..recognition.evidence import Probe, Weighed
from ..state.home import RELAPSE_STEP, Person
from .signals import signal_of

__all__ = ["RELAPSED_FROM", "judge_profiles"]

EVERY: Final = 2  # events: to be judged at each would cost as much as the answer
OWNED_MIN: Final = 0.9  # by everything but the recording itself
BET_MAX: Final = 1.0  # nats that one recording may say
RELAPSED_FROM: Final = 100.0  # evidence at which a profile goes back
FORGOTTEN: Final = "what was learnt since enrolment is forgotten: enrolment alone foretold their recordings better"


def judge_profiles(turn: Turn, probe: Probe, weighed: Weighed) -> None:
    """Judge by a recording, before it is learnt from, whether its owner's profile is better than their enrolment alone."""
    home = turn.home
    for encoder, heard in probe.heard.items() if probe.number % EVERY == 0 else ():
        modality, space = turn.policy.encoders[encoder].modality, home.spaces[encoder]
        llr = weighed.llr[modality]
        blind = softmax([a - b for a, b in zip(weighed.logits, [0.0, *llr], strict=True)])
        column = blind.index(max(blind)) - 1
        if column < 0 or blind[column + 1] < OWNED_MIN or not home.panel.enrolled[column]:
            continue
        enrolled = {row.number for row in home.rows if row.enrolled}
        enrolment = space.llr_as_enrolled(heard, probe.day, column, enrolled)
        if enrolment:  # 0: they enrolled with another encoder
            _bet(turn, home.people[column], modality, enrolment - llr[column])


def _bet(turn: Turn, person: Person, modality: str, nats: float) -> None:
    """Let one recording speak for enrolment alone, or against it."""
    evidence = (person.relapse.get(modality, 0.0) + 1) * math.exp(max(-BET_MAX, min(nats, BET_MAX)))
    person.relapse[modality] = math.floor(evidence / RELAPSE_STEP) * RELAPSE_STEP
    if evidence >= RELAPSED_FROM:
        _go_back(turn, person, modality)


def _go_back(turn: Turn, person: Person, modality: str) -> None:
    """Forget what was learnt of a person's voice or face since they enrolled, and say so."""
    home, column = turn.home, turn.home.people.index(person)
    for encoder, space in home.spaces.items():
        if turn.policy.encoders[encoder].modality == modality:
            space.forget_tail(column, REST)
    told = signal_of(turn, (None, person.person_id), math.log(person.relapse.pop(modality)), FORGOTTEN)
    turn.outputs.append(Output("drift-signals", home.household_id, told))
    person.calibration = None
    recalibrate(home)
    turn.touch(person.person_id)
