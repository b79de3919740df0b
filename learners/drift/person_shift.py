"""How far a person's recordings stray from where that person usually is, the way their latest ones went.

Law: a recording is scored before it is learnt from, and against recordings of before its session, so that as
long as nothing changes its score varies about what it always was. A record of zeros has seen nothing.

Theory: as `mean_shift`, of one person. Where they lately were is the mean of what is kept of them anyhow;
only where they usually are has to be remembered. (A person's mated score will not do: a recogniser that
learns fits a changed voice from its second recording on, and its score is bounded.)
"""

import math
from typing import Final

import numpy as np

from learners.drift.mean_shift import follow
from learners.kernel import kernel
from learners.precision import MEAN_STEP, SHARE_STEP, VECTOR_STEP

__all__ = ["learn_person_shift", "score_person_shift"]

USUALLY: Final = 100  # recordings in the mean of what is usual
SEEN_MIN: Final = 8  # before that nothing is usual
LATELY_MIN: Final = 2.0  # recordings kept of a person, to say where they lately were


@kernel
def score_person_shift(home, whose, before, vector, numbers):
    """How far a vector (k,) strays, given what is kept of before event `before`; NaN: not known yet. 0: the
    latest are as usual.

    `whose`: (gallery, column). `numbers`, of the encoder: `usual`, the dimensions that are looked at, evenly
    spread.
    """
    encoder, column = whose
    place = home.people[column].places[encoder]
    modality, slot, place_of, rows, mass = numbers.modality, encoder + 1, column + 1, 0, 0
    while rows < home.rows_used and home.rows[rows].number < before:
        if home.rows[rows].encoders[modality] == slot:
            mass += int(home.rows[rows].shares[place_of])
        rows += 1
    if place.seen < SEEN_MIN or mass * SHARE_STEP < LATELY_MIN:
        return math.nan
    along, square = 0.0, 0.0
    for k in range(numbers.usual_used):
        dimension, total = numbers.usual[k], 0
        for i in range(rows):
            if home.rows[i].encoders[modality] == slot:
                total += int(home.rows[i].shares[place_of]) * int(home.rows[i].vectors[modality, dimension])
        usual = np.float64(place.usual[k]) * MEAN_STEP
        way = VECTOR_STEP * total / mass - usual
        along += (np.float64(vector[dimension]) - usual) * way
        square += way * way
    return along / math.sqrt(square) if square > 0.0 else 0.0


@kernel
def learn_person_shift(place, vector, numbers):
    """Count a vector in; of several that are alike (those of a session) only one."""
    seen = min(int(place.seen) + 1, USUALLY)
    place.seen = seen
    for k in range(numbers.usual_used):
        place.usual[k] = follow(place.usual[k], np.float64(vector[numbers.usual[k]]), 1.0 / seen)
