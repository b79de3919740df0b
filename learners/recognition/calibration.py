"""Calibration per person: how far the fleet's log-likelihood ratios hold for this one.

Law: a person nobody said anything about keeps the fleet's calibration, and no run of feedback moves it out of bounds.

Theory: logistic regression on log-likelihood ratios (Brümmer 2010), here online, started at weight 1 and offset 0; targets and
non-targets weigh the same, so that the offset is not the prior. The step is that of River's `LogisticRegression`
under `SGD(RATE)`.
"""

import math
from typing import Final

from learners.kernel import kernel

__all__ = ["RATE", "calibrated_llr", "clear_calibration", "copy_calibration", "learn_calibration"]

RATE: Final = 0.03
WEIGHT_MIN, WEIGHT_MAX = 0.6, 1.4
OFFSET_MAX: Final = 0.7  # nats


@kernel
def clear_calibration(calibration):
    """Nothing was learnt."""
    calibration.learnt, calibration.offset = 0, 0.0
    for m in range(2):
        calibration.weights[m], calibration.known[m] = 1.0, 0
        calibration.reserved[m] = 0


@kernel
def copy_calibration(source, target):
    """Let one be as another is."""
    target.learnt, target.offset = source.learnt, source.offset
    for m in range(2):
        target.weights[m], target.known[m], target.reserved[m] = source.weights[m], source.known[m], 0


@kernel
def calibrated_llr(calibration, voice, face):
    """The recalibrated sum (nats); a modality of 0 says nothing, and nothing at all gives 0."""
    if calibration.learnt == 0 or (voice == 0.0 and face == 0.0):
        return voice + face
    total = max(-OFFSET_MAX, min(calibration.offset, OFFSET_MAX))
    if voice != 0.0:
        total += max(WEIGHT_MIN, min(calibration.weights[0], WEIGHT_MAX)) * voice
    if face != 0.0:
        total += max(WEIGHT_MIN, min(calibration.weights[1], WEIGHT_MAX)) * face
    return total


@kernel
def learn_calibration(calibration, voice, face, right, weight):
    """Learn from one comparison's log-likelihood ratios (0: not there); `right`: it was this person. As heavy as `weight`."""
    score = calibration.offset
    if voice != 0.0:
        score += calibration.weights[0] * voice
    if face != 0.0:
        score += calibration.weights[1] * face
    predicted = 1.0 / (1.0 + math.exp(-max(-30.0, min(score, 30.0))))
    gradient = weight * (predicted - (1.0 if right else 0.0))
    calibration.learnt += 1
    calibration.offset -= RATE * gradient
    if voice != 0.0:
        calibration.weights[0] -= RATE * gradient * voice
        calibration.known[0] = 1
    if face != 0.0:
        calibration.weights[1] -= RATE * gradient * face
        calibration.known[1] = 1
