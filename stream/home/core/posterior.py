"""The posterior: who made a kept event, by any choice of what speaks for it. The one place where evidence is put together.

Law: a modality that is missing, or a person whom it does not know yet, has a log-likelihood ratio of 0. A new event
is kept before it is answered (owned by nobody, so that it says nothing of anybody), and is then a row like all
others.

Which terms are meant where:

| what for | terms |
|---|---|
| the answer to a new event | ANSWER_TERMS: all, by who belongs now, of the vector without what its device adds |
| a kept event inferred again | AGAIN: those that may have changed since: prior and phones then, voice, face,
strangers, returning |
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.precision import LLR_STEP, MEAN_STEP, SHARE_STEP, VECTOR_STEP
from learners.recognition.calibration import calibrated_llr
from learners.recognition.fusion import quantise, softmax
from learners.recognition.gallery import compare, set_probe_of_row
from learners.recognition.habits import habit_llr
from learners.recognition.phones import LISTENED, hear_phones, hear_witnesses, phone_llr, stranger_llr
from learners.recognition.presence import belongs, log_prior
from learners.recognition.visits import take_over
from stream.home.state.layout import FACE, HABIT, PHONE, VOICE

__all__ = [
    "AGAIN", "ALIGNED", "ANSWER_TERMS", "CALIBRATED", "FACE_TERM", "HABIT_TERM", "NOW", "OWN_TERM", "PHONE_TERM",
    "PRIOR", "RETURNING", "STRANGER", "TEMPERED", "VOICE_TERM", "add_reported", "blind_posterior", "has_unenrolled",
    "is_unenrolled", "posterior", "row_logits",
]  # fmt: skip

PRIOR, VOICE_TERM, FACE_TERM, PHONE_TERM, HABIT_TERM, STRANGER, RETURNING = 1, 2, 4, 8, 16, 32, 64
NOW = 256  # by who belongs now, not by who did then
ALIGNED = 512  # the vector without what its device adds
TEMPERED = 1024  # of who never enrolled, ratios count less: they are anchored by nothing
CALIBRATED = 2048  # each person's voice and face by their own calibration
OWN_TERM = 4096  # what the policy's own model said of a new event, beside its habit
SENSED: Final = VOICE_TERM | FACE_TERM
SPOKEN: Final = PHONE_TERM | HABIT_TERM | OWN_TERM | STRANGER | RETURNING
ANSWER_TERMS: Final = PRIOR | SENSED | SPOKEN | NOW | ALIGNED | TEMPERED | CALIBRATED
AGAIN: Final = PRIOR | SENSED | PHONE_TERM | STRANGER | RETURNING

SENSED_BITS: Final = 1 << VOICE | 1 << FACE
LEFT_LLR_MAX: Final = 30.0  # nats: of who left; more is no surer
LEAST: Final = 1e-6  # probability: evidence has less than that of nobody
GUEST_SHARE_MIN: Final = 0.25  # of an event: less is no guest that could return
OFFSET_CHANCE: Final = 0.12  # a dimension's square of the mean of recordings that have no offset
_CODE: Final = np.float32(1 / VECTOR_STEP)
_VECTOR: Final = np.float32(VECTOR_STEP)
_MEAN: Final = np.float32(MEAN_STEP)


@kernel
def is_unenrolled(person):
    """Whether somebody belongs to the home now and never enrolled."""
    return person.enrolments_used == 0 and belongs(person, 0)


@kernel
def has_unenrolled(home):
    """Whether somebody of the home never enrolled, so that kept events are inferred anew now and then."""
    for p in range(home.people_used):
        if is_unenrolled(home.people[p]):
            return True
    return False


@kernel
def posterior(home, index, terms, policy, work):
    """Logits and posterior of row `index` in work, guest first; each sensor's part by column in work.llr."""
    row_logits(home, index, terms, policy, work)
    for place in range(home.people_used + 1):
        work.logits[place] = work.parts[place]
    softmax(work.logits, home.people_used + 1, work.posterior)


@kernel
def row_logits(home, index, terms, policy, work):
    """Fill work.parts with the sum of the chosen terms, and work.llr with each sensor's part."""
    row, people = home.rows[index], home.people_used
    if terms & PRIOR:
        log_prior(home, 0 if terms & NOW else row.observed_at, policy, work.prior)
        take_over(home, index, work.prior)
    for place in range(people + 1):
        work.parts[place] = work.prior[place] if terms & PRIOR else 0.0
    work.terms, work.modalities, work.stranger_llr, work.returning_llr = terms, 0, 0.0, 0.0
    work.alone = 1 if terms & ALIGNED or not has_unenrolled(home) else 0  # else nobody asks who returned
    for i in range(home.rows_used):
        work.alike[i], work.alike_known[i] = 0.0, 0
    for modality in range(2):
        if terms & (VOICE_TERM << modality) and row.encoders[modality] > 0:
            _sense(home, index, modality, policy, work)
    _add_sensed(home, work)
    if terms & PHONE_TERM and row.scanned:
        hear_phones(home, row, row.number, policy, work)
        phone_llr(home, row.number, 1.0, work, work.llr[PHONE])
        work.modalities |= 1 << PHONE
    if terms & HABIT_TERM and row.activity > 0:
        habit_llr(home, row.hour, row.activity, policy, work.llr[HABIT])
        work.modalities |= 1 << HABIT
    if terms & OWN_TERM:
        _add_own(home, row, work)
    for modality in range(PHONE, HABIT + 1):
        if work.modalities & (1 << modality):
            for p in range(people):
                work.parts[p + 1] += work.llr[modality, p]
    if terms & STRANGER and row.scanned & LISTENED:
        work.stranger_llr = stranger_llr(home.strangers, row.stranger)
    if terms & RETURNING:
        work.returning_llr = _returning_llr(home, index, policy, work)
    work.parts[0] += work.stranger_llr + work.returning_llr


@kernel
def _add_own(home, row, work):
    """What the policy's own model said of a new event: it stands in the place of the habit, to which it is added."""
    says = False
    for p in range(home.people_used):
        says = says or row.llr[HABIT, p] != 0
    if says:
        for p in range(home.people_used):
            habit = work.llr[HABIT, p] if work.modalities & (1 << HABIT) else 0.0
            work.llr[HABIT, p] = habit + float(row.llr[HABIT, p]) * LLR_STEP
        work.modalities |= 1 << HABIT


@kernel
def _sense(home, index, modality, policy, work):
    """The ratios of a row's voice or face by column, and of every kept row alone."""
    set_probe_of_row(home, index, modality, policy, work)
    if work.terms & ALIGNED:
        _align(home, index, modality, policy, work)
    compare(home, index, policy, work)
    work.modalities |= 1 << modality
    for p in range(home.people_used):
        work.llr[modality, p] = work.found[p] * _trust(home, p, policy, work)
    for i in range(home.rows_used):
        if home.rows[i].encoders[modality] == work.gallery + 1:
            work.alike[i] += work.own[i]
            work.alike_known[i] = 1


@kernel
def _trust(home, person, policy, work):
    """What a person's ratio in a gallery is multiplied by: 1 if what is known of them there is known to be theirs.

    Who enrolled by one encoder is known by it alone: in another's space they are nobody yet, and what is taken for theirs
    there is so by guesses on guesses. Claims, and sensors that agree on an event, anchor a person there.
    """
    if home.people[person].enrolments_used == 0:
        return policy.unanchored_temper if work.terms & TEMPERED else 1.0
    return work.anchored[person]


@kernel
def _align(home, index, modality, policy, work):
    """Take what the device adds off the probe, as far as that is sure; work.aligned and work.probe.

    The offset is the fading mean of what recordings of the device had beside the people who made them, shrunk by its chance part
    (James and Stein 1961).
    """
    row, numbers = home.rows[index], policy.encoders[home.galleries[work.gallery].number]
    dimensions, gallery, shrunk = numbers.dimensions, home.galleries[work.gallery], np.float32(0)
    for o in range(gallery.offsets_used):
        if gallery.offsets[o].device_name == row.device_name and numbers.fitted:
            square = 0.0
            for k in range(dimensions):
                mean = float(gallery.offsets[o].vector[k]) * MEAN_STEP
                square += mean * mean
            chance = OFFSET_CHANCE * dimensions
            if square > chance:
                shrunk = np.float32(1.0 - chance / square)
                for k in range(dimensions):
                    work.expected[k] = shrunk * (np.float32(gallery.offsets[o].vector[k]) * _MEAN)
    for k in range(dimensions):
        vector = np.float32(row.vectors[modality, k]) * _VECTOR
        work.raw[modality, k] = vector
        if shrunk > np.float32(0):
            steps = np.rint((vector - work.expected[k]) * _CODE)
            vector = min(max(steps, np.float32(-127)), np.float32(127)) * _VECTOR
        work.aligned[modality, k] = vector
        work.probe[k] = (vector - work.centre[k]) * work.scale


@kernel
def _add_sensed(home, work):
    """Voice and face together, each person's by their own calibration where that is asked for."""
    for p in range(home.people_used):
        voice = work.llr[VOICE, p] if work.modalities & (1 << VOICE) else 0.0
        face = work.llr[FACE, p] if work.modalities & (1 << FACE) else 0.0
        if work.terms & CALIBRATED and voice + face != 0.0:
            work.parts[p + 1] += calibrated_llr(home.people[p].live, voice, face)
        else:
            work.parts[p + 1] += voice + face


@kernel
def _sensor_llr(work, person):
    """Nats: what voice and face say of a person, as they are."""
    voice = work.llr[VOICE, person] if work.modalities & (1 << VOICE) else 0.0
    return voice + (work.llr[FACE, person] if work.modalities & (1 << FACE) else 0.0)


@kernel
def _returning_llr(home, without, policy, work):
    """Nats: a guest, who may be one of those who were here, against somebody never heard.

    The Chinese restaurant process over guests' recordings but for one: log((theta + sum g exp(llr)) / (theta + sum
    g)), where g is the guest share of a row. Who left the home is a guest who was here once.
    """
    mass = mixture = policy.new_guest_weight
    at = 0 if work.terms & NOW else home.rows[without].observed_at
    if work.modalities & SENSED_BITS:
        for p in range(home.people_used):
            if not belongs(home.people[p], at):
                mass += 1.0
                mixture += math.exp(min(_sensor_llr(work, p), LEFT_LLR_MAX))
    compared = 0
    for i in range(home.rows_used):
        compared += work.alike_known[i]
    if compared == 0 or has_unenrolled(home):
        return math.log(mixture / mass)
    for i in range(home.rows_used):
        share = float(home.rows[i].shares[0]) * SHARE_STEP
        if share > GUEST_SHARE_MIN and i != without:
            mass += share
            mixture += share * math.exp(work.alike[i])
    return math.log(mixture / mass)


@kernel
def add_reported(home, index, policy, work):
    """Bring a kept event in line with the pairs around it that came since: its evidence moves by what phones say now beside what
    they said before.
    """
    row, people = home.rows[index], int(home.people_used)
    for p in range(people):
        work.found[p] = 0.0
    if row.scanned:
        hear_phones(home, row, row.number, policy, work)
        phone_llr(home, row.number, 1.0, work, work.found)
    if hear_witnesses(home, row, policy) == 0:
        return
    hear_phones(home, row, row.number, policy, work)
    phone_llr(home, row.number, 1.0, work, work.llr[PHONE])
    work.logits[0] = math.log(max(float(row.evidence[0]) * SHARE_STEP, LEAST))
    for p in range(people):
        before = math.log(max(float(row.evidence[p + 1]) * SHARE_STEP, LEAST))
        work.logits[p + 1] = before + work.llr[PHONE, p] - work.found[p]
        row.llr[PHONE, p] = int(np.rint(work.llr[PHONE, p] / LLR_STEP))
    softmax(work.logits, people + 1, work.posterior)
    quantise(work.posterior, people + 1, row.evidence)
    row.modalities |= 1 << PHONE
    if row.unsettled == 0:
        row.unsettled = 1


@kernel
def blind_posterior(home, modality, work):
    """work.blind: the posterior of the event at hand without one of its sensors, given work.logits and work.llr."""
    people = home.people_used
    work.parts[0] = work.logits[0] - (work.stranger_llr if modality == PHONE else 0.0)
    for p in range(people):
        work.parts[p + 1] = work.logits[p + 1] - (work.llr[modality, p] if work.modalities & (1 << modality) else 0.0)
    softmax(work.parts, people + 1, work.blind)
