"""Residuals: what a recording has beside the places of those who made it.

Law: whoever spoke, a device adds the same. So the places of people are taken off, each by their share, as
they were known before.

Theory: a place is the posterior mean of a person's vectors under N(0, between): the weighted sum of what is
kept, over its mass and 1 / between; drawn towards people in general as far as little is known.
"""

from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.precision import MEAN_32, ONE_32, SHARE_32, VECTOR_32, VECTOR_STEP, ZERO_32

__all__ = ["residual", "residuals_in"]

SHARE_MIN: Final = 1 / 64  # less of somebody is nobody


@kernel
def residual(home, encoder, before, policy, work):
    """Fill work.expected with what the raw vector of a gallery's modality has beside its people, by the
    posterior of the event at hand, which was kept last; what its channel adds is of the device.

    Their places as they were known before event `before`. Overwrites work.total[0].
    """
    numbers = policy.encoders[home.galleries[encoder].number]
    modality, dimensions, total, left = numbers.modality, numbers.dimensions, work.total[0], work.expected
    channel = home.rows[home.rows_used - 1].channels[modality]
    for k in range(dimensions):
        left[k] = work.raw[modality, k] + numbers.channel_means[channel, k]
    for column in range(home.people_used):
        share = np.float32(work.posterior[column + 1])
        if share < SHARE_MIN:
            continue
        mass = ZERO_32
        for k in range(dimensions):
            total[k] = ZERO_32
        for t in range(home.people[column].tails_used):
            tail = home.people[column].tails[t]
            if tail.encoder == encoder:
                mass += tail.mass
                for k in range(dimensions):
                    total[k] += tail.mass * (np.float32(tail.vector[k]) * MEAN_32)
        for i in range(home.rows_used):
            row = home.rows[i]
            if row.number < before and row.encoders[modality] == encoder + 1 and row.shares[column + 1] > 0:
                owned = np.float32(row.shares[column + 1]) * SHARE_32
                mass += owned
                step = owned * VECTOR_32
                for k in range(dimensions):
                    total[k] += step * np.float32(row.vectors[modality, k])
        for k in range(dimensions):
            left[k] -= share * total[k] / (mass + ONE_32 / numbers.between[k])


@kernel
def residuals_in(home, encoder, first, dimension, work):
    """Fill work.own[row], one dimension alone, of a gallery's kept rows from event `first` on: beside whose
    they are.

    That stands in work.tables[2]: by row, guest first. Places of people are as they were known before;
    work.inverse is 1 / between, work.parts is written over.
    """
    slot, rows = encoder + 1, home.rows
    modality = 0
    for i in range(home.rows_used):
        if rows[i].encoders[1] == slot:
            modality = 1
    for column in range(home.people_used):
        mass, total = ZERO_32, ZERO_32
        for t in range(home.people[column].tails_used):
            tail = home.people[column].tails[t]
            if tail.encoder == encoder:
                mass += tail.mass
                total += tail.mass * (np.float32(tail.vector[dimension]) * MEAN_32)
        for i in range(home.rows_used):
            if rows[i].number < first and rows[i].encoders[modality] == slot:
                owned = np.float32(rows[i].shares[column + 1]) * SHARE_32
                mass += owned
                total += owned * VECTOR_32 * np.float32(rows[i].vectors[modality, dimension])
        work.parts[column + 1] = np.float64(total / (mass + work.inverse[dimension]))
    for i in range(home.rows_used):
        if rows[i].number >= first and rows[i].encoders[modality] == slot:
            left = np.float64(rows[i].vectors[modality, dimension]) * VECTOR_STEP
            for column in range(home.people_used):
                left -= work.tables[2, i, column + 1] * work.parts[column + 1]
            work.own[i] = left
