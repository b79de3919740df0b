"""Enrolments judged: which of their recordings are of the person who enrols, as far as recordings alone can tell.

Law: what is left out is no longer kept, and taught nothing. Of recordings that disagree, those go that agree with none while
others of the enrolment do with each other; while nobody can tell which is wrong all stay, and it is told. Nobody is left
out for being rare: only what a pack's people are far from, as noise and pictures of no face are. A recording that was enrolled
is none of another event: silence is always the same, who lives never is.

Theory: two recordings are compared as two of one person against two of any (see learners.recognition.gallery): a silent room,
noise, a neighbour agree with a person's other recordings no more than a stranger's do. Of real triples fewer than 1 in 100 lose
one, of those with a silent one 7 (far away) to 19 of 20 lose that.
"""

from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.recognition.gallery import compare, compare_row, is_enrolled, set_probe_of_row
from stream.home.messages import ENROL
from stream.home.state.layout import FACE, NOBODY, VOICE

__all__ = ["ANOTHERS", "APART", "NOBODYS", "REPEATED", "is_repeated", "judge_enrolment"]

REPEATED, APART, ANOTHERS, NOBODYS = 1, 2, 4, 8  # bits: what is wrong with recordings of an enrolment
APART_NATS: Final = 0.0  # between two recordings: less do not agree
APART_BY: Final = 3.0  # nats: so much more the others of an enrolment agree, if one is left out
SURE_NATS: Final = 1.0  # from which a recording agrees, although it is heard again
UNLIKE_NATS: Final = -3.0  # less is worth telling, also where nobody can say which is wrong
NOBODY_FROM: Final = 5.0  # mean square of what is usual among people: real ones stay below 3, pictures of no face are at 8


@kernel
def judge_enrolment(home, place, policy, work):
    """Leave out what is wrong with the recordings that a person enrolled; the bits of it."""
    faults = 0
    for gallery in range(home.galleries_used):
        numbers = policy.encoders[home.galleries[gallery].number]
        if numbers.fitted:
            faults |= _judge_gallery(home, place, gallery, policy, work)
    return faults | (0 if _has_vectors(home, place) else NOBODYS)


@kernel
def _has_vectors(home, place):
    """Whether anybody was heard or seen in any event that a person enrolled."""
    for i in range(home.rows_used):
        row = home.rows[i]
        if (row.encoders[VOICE] > 0 or row.encoders[FACE] > 0) and _enrolled_place(row) == place:
            return True
    return False


@kernel
def is_repeated(home, index, modality, policy, work):
    """Whether a new event's vector was enrolled from another event; then it is left out, and so is that unless others agree.

    Returns whose enrolment that was (a place), 0: nobody's.
    """
    row, slot = home.rows[index], home.rows[index].encoders[modality]
    for i in range(index if slot > 0 else 0):
        if home.rows[i].encoders[modality] == slot and is_enrolled(home.rows[i]) and _is_same(row, home.rows[i], modality):
            _leave_out(home, index, modality)
            place = _enrolled_place(home.rows[i])
            best, _ = _agreement(home, i, modality, policy, work)
            if best < SURE_NATS:
                _leave_out(home, i, modality)
            return max(place, 0)
    return 0


@kernel
def _enrolled_place(row):
    """The place of whose enrolment a row is; NOBODY."""
    for c in range(row.claims_used):
        if row.claims[c].kind == ENROL:
            return np.int64(row.claims[c].person)
    return np.int64(NOBODY)


@kernel
def _judge_gallery(home, place, gallery, policy, work):
    """The same of the vectors of one encoder."""
    modality = np.int64(policy.encoders[home.galleries[gallery].number].modality)
    faults, worst, least, greatest = 0, -1, np.inf, -np.inf
    for i in range(home.rows_used):
        if home.rows[i].encoders[modality] == gallery + 1 and _enrolled_place(home.rows[i]) == place:
            fault = _fault_alone(home, i, modality, policy, work)
            if fault > 0:
                faults |= fault
                _leave_out(home, i, modality)
    for i in range(home.rows_used):
        if home.rows[i].encoders[modality] == gallery + 1 and _enrolled_place(home.rows[i]) == place:
            best, elsewhere = _agreement(home, i, modality, policy, work)
            greatest = max(greatest, best)
            if best < least:
                worst, least = i, best
            if best < APART_NATS and elsewhere > -UNLIKE_NATS:
                faults |= ANOTHERS
    if worst >= 0 and least < APART_NATS and greatest - least > APART_BY:
        _leave_out(home, worst, modality)
        return faults | APART
    return faults | APART if least < UNLIKE_NATS else faults


@kernel
def _is_same(row, other, modality):
    for k in range(row.vectors.shape[1]):
        if row.vectors[modality, k] != other.vectors[modality, k]:
            return False
    return True


@kernel
def _fault_alone(home, index, modality, policy, work):
    """What is wrong with a recording by itself: it was enrolled before, or is nobody's."""
    row = home.rows[index]
    for i in range(index):
        other = home.rows[i]
        if other.encoders[modality] == row.encoders[modality] and is_enrolled(other) and _is_same(row, other, modality):
            return REPEATED
    set_probe_of_row(home, index, modality, policy, work)
    square, numbers = 0.0, policy.encoders[home.galleries[work.gallery].number]
    for k in range(numbers.dimensions):
        away = np.float64(work.probe[k])
        if numbers.fitted:  # from people in general: what is no face is so in every home
            away += np.float64(work.centre[k])
        square += away * away / (float(work.between[k]) + float(work.probe_noise))
    return NOBODYS if square > NOBODY_FROM * numbers.dimensions else 0


@kernel
def _agreement(home, index, modality, policy, work):
    """Nats by which a recording agrees best with another of its enrolment (infinite: there is none), and with other members'."""
    place = _enrolled_place(home.rows[index])
    set_probe_of_row(home, index, modality, policy, work)
    work.alone = 0
    compare(home, index, policy, work)
    best, elsewhere = -np.inf, -np.inf
    for i in range(home.rows_used):
        if i == index or home.rows[i].encoders[modality] != home.rows[index].encoders[modality]:
            continue
        whose = _enrolled_place(home.rows[i])
        if whose == place:
            best = max(best, compare_row(home, i, policy, work))
        elif whose > 0:
            elsewhere = max(elsewhere, compare_row(home, i, policy, work))
    return (np.inf if best == -np.inf else best), elsewhere


@kernel
def _leave_out(home, index, modality):
    """Forget a vector of an event: nothing is known of it but what was said."""
    row = home.rows[index]
    row.encoders[modality], row.channels[modality], row.noises[modality] = 0, 0, 0
    row.modalities &= ~(1 << modality)
    for k in range(row.vectors.shape[1]):
        row.vectors[modality, k] = 0
    row.unsettled = 1
