"""The levels of a home: where its people lie in an encoder's space, and without a pack how far apart, and how noisy they are.

Law: levels are a function of the kept rows and tails alone, so what is taken back leaves no trace in them.

Theory: homes lie around the pack's mean as corpora do that a fit had not seen. What a home shows of itself is shrunk by what
chance makes of so few people (empirical Bayes: Efron and Morris 1973). Where no pack tells scale and spread of people either, a
home learns them too.
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.precision import MEAN_32, ONE_32, SHARE_32, SHARE_STEP, VECTOR_32, ZERO_32

__all__ = ["hold_models", "set_model"]

GUEST_WORTH: Final = 0.5  # of a person, to where people lie: a recording by itself
LEVELS_PRIOR: Final = 4.0  # recordings' worth of the policy's scale, where no pack tells it
SPREAD_MIN: Final = 0.25  # of people, in units of the variance within one


@kernel
def hold_models(work, holds):
    """From now on nothing is learnt that models are made of, so that each is made once; or (0) something may be again."""
    work.holds = holds
    for modality in range(2):
        work.held_gallery[modality] = -1


@kernel
def set_model(home, gallery, policy, work):
    """What vectors of a gallery are compared by: between people, the home's own centre, and of an unfitted encoder its scale."""
    numbers = policy.encoders[home.galleries[gallery].number]
    modality, dimensions, held = numbers.modality, numbers.dimensions, work.held[numbers.modality]
    if work.holds and work.held_gallery[modality] == gallery:
        work.gallery, work.scale = gallery, work.held_scale[modality]
        for k in range(dimensions):
            work.centre[k], work.between[k], work.inverse[k] = held[0, k], held[1, k], held[2, k]
        return
    _make_model(home, gallery, policy, work)
    if work.holds:
        work.held_gallery[modality], work.held_scale[modality] = gallery, work.scale
        for k in range(dimensions):
            held[0, k], held[1, k], held[2, k] = work.centre[k], work.between[k], work.inverse[k]


@kernel
def _make_model(home, gallery, policy, work):
    numbers = policy.encoders[home.galleries[gallery].number]
    work.gallery, work.scale = gallery, ONE_32
    for k in range(numbers.dimensions):
        work.centre[k], work.between[k] = ZERO_32, numbers.between[k]
    if numbers.fitted == 0:
        _learn_levels(home, numbers, work)
    elif numbers.centre_spread > 0:
        _find_centre(home, numbers, work)
    for k in range(numbers.dimensions):
        work.inverse[k] = ONE_32 / work.between[k]


@kernel
def _find_centre(home, numbers, work):
    """How far from the pack's people those lie who come to this home: its language, rooms and microphones, alike for all.

    Each person counts by mass / (mass + 1), a guest's recording by half: their mean, shrunk by what chance makes of it. How far
    homes lie apart is the pack's, or what this home shows of itself if that is more (empirical Bayes).
    """
    dimensions, slot, modality, count = numbers.dimensions, work.gallery + 1, numbers.modality, 0.0
    for p in range(home.people_used):
        work.masses[p] = 1.0
        for t in range(home.people[p].tails_used):
            if home.people[p].tails[t].encoder == work.gallery:
                work.masses[p] += float(home.people[p].tails[t].mass)
    for i in range(home.rows_used):
        if home.rows[i].encoders[modality] == slot:
            for p in range(home.people_used):
                work.masses[p] += float(home.rows[i].shares[p + 1]) * SHARE_STEP
    for p in range(home.people_used):
        for t in range(home.people[p].tails_used):
            tail = home.people[p].tails[t]
            if tail.encoder == work.gallery:
                weight = float(tail.mass) / work.masses[p]
                count += weight
                for k in range(dimensions):
                    work.centre[k] += np.float32(weight) * (np.float32(tail.vector[k]) * MEAN_32)
    for i in range(home.rows_used):
        row = home.rows[i]
        if row.encoders[modality] == slot:
            weight = GUEST_WORTH * float(row.shares[0]) * SHARE_STEP
            for p in range(home.people_used):
                weight += float(row.shares[p + 1]) * SHARE_STEP / work.masses[p]
            count += weight
            per_step, vector = np.float32(weight) * VECTOR_32, row.vectors[modality]
            for k in range(dimensions):
                work.centre[k] += per_step * np.float32(vector[k])
    if count > 0.0:
        _shrink_centre(count, numbers, work)


@kernel
def _shrink_centre(count, numbers, work):
    """The sum over so many people in work.centre becomes where they lie, as far as that is more than chance."""
    dimensions, square, chance = numbers.dimensions, 0.0, 0.0
    for k in range(dimensions):
        work.centre[k] /= np.float32(count)
        centre = np.float64(work.centre[k])  # float() of one of 4 bytes would stay one where this is compiled
        square += centre * centre
        chance += (float(work.between[k]) + GUEST_WORTH) / count
    spread = max(numbers.centre_spread, (square - chance) / dimensions)
    for k in range(dimensions):
        work.centre[k] *= np.float32(spread / (spread + (float(work.between[k]) + GUEST_WORTH) / count))


@kernel
def _learn_levels(home, numbers, work):
    """Centre, scale and spread of people as far as this home's own recordings tell them."""
    dimensions, slot, modality = numbers.dimensions, work.gallery + 1, numbers.modality
    count = 0.0
    for i in range(home.rows_used):
        if home.rows[i].encoders[modality] == slot:
            count += 1.0
            for k in range(dimensions):
                work.centre[k] += np.float32(home.rows[i].vectors[modality, k]) * VECTOR_32
    for p in range(home.people_used):
        for t in range(home.people[p].tails_used):
            tail = home.people[p].tails[t]
            if tail.encoder == work.gallery:
                count += float(tail.mass)
                for k in range(dimensions):
                    work.centre[k] += tail.mass * (np.float32(tail.vector[k]) * MEAN_32)
    if count == 0.0:
        return
    for k in range(dimensions):
        work.centre[k] /= np.float32(count)
    spread_within, freedom, total = 0.0, 0.0, 0.0
    for p in range(home.people_used):
        mass = ZERO_32
        for k in range(dimensions):
            work.expected[k] = ZERO_32
        for i in range(home.rows_used):
            if home.rows[i].encoders[modality] == slot:
                share = np.float32(home.rows[i].shares[p + 1]) * SHARE_32
                mass += share
                for k in range(dimensions):
                    work.expected[k] += share * (np.float32(home.rows[i].vectors[modality, k]) * VECTOR_32)
        for k in range(dimensions):
            work.expected[k] /= max(mass, np.float32(1e-3))
        freedom += max(float(mass) - 1.0, 0.0)
        for i in range(home.rows_used):
            if home.rows[i].encoders[modality] == slot and home.rows[i].shares[p + 1] > 0:
                share = np.float32(home.rows[i].shares[p + 1]) * SHARE_32
                spread_within += float(share) * _distance(home.rows[i].vectors[modality], VECTOR_32, work.expected, dimensions)
        for t in range(home.people[p].tails_used):
            tail = home.people[p].tails[t]
            if tail.encoder == work.gallery:
                total += float(tail.mass) * _distance(tail.vector, MEAN_32, work.centre, dimensions)
    for i in range(home.rows_used):
        if home.rows[i].encoders[modality] == slot:
            total += _distance(home.rows[i].vectors[modality], VECTOR_32, work.centre, dimensions)
    within = (LEVELS_PRIOR + spread_within) / (LEVELS_PRIOR + freedom)
    apart = max(total / count / within - 1.0, SPREAD_MIN)
    spread = (LEVELS_PRIOR * float(numbers.between[0]) + count * apart) / (LEVELS_PRIOR + count)
    for k in range(dimensions):
        work.between[k] = np.float32(spread)
    work.scale = np.float32(1.0 / math.sqrt(within))


@kernel
def _distance(steps, step, mean, dimensions):
    """Mean square over dimensions between a vector in steps and a mean."""
    square = 0.0
    for k in range(dimensions):
        away = np.float64(np.float32(steps[k]) * step - mean[k])
        square += away * away
    return square / dimensions
