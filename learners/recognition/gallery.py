"""The gallery: who a vector is like, learnt from a bounded number of kept vectors with soft owners.

Law: what a person is like is a function of the kept rows and tails alone, so taking a row back, or giving it other owners, takes
back exactly what was learnt from it.

Theory: two-covariance PLDA (Ioffe 2006; Brümmer and de Villiers 2010) with forgetting and channels. A row i of noise
n_i, seen |t| days from the probe, tells of person p with weight r_ip / (n_i + min(q |t|, q_max)); what is of one
channel, M together, tells of a probe of another with weight 1 / (1 / M + d), d the variance of a person's move
between the two: a person moves once, not once a recording. The person's posterior mean is m with precision 1/between
+ the sum of weights; the log-likelihood ratio compares N(x; m, 1/precision + n) with N(x; 0, between + n), tempered,
since dimensions are not independent. A row that must go is folded into a tail of its owners and channel: one row that
counts as many. Each row by itself is also somebody: whoever made that one recording, which is how a guest who returns
is told.
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.precision import LLR_STEP, MEAN_32, NOISE_32, NOISE_STEP, ONE_32, SHARE_32, SHARE_STEP, VECTOR_32, ZERO_32
from learners.recognition.levels import set_model

__all__ = [
    "ANCHORED_ONE", "COMPARED_MASS_MIN", "DAY_MS", "FOLDED_SHARE_MIN", "LLR_MAX", "OWNED_MAX", "compare",
    "compare_enrolled", "expect", "fold_row", "forget_tails", "is_enrolled", "set_probe_of_row",
]  # fmt: skip

DAY_MS: Final = 86_400_000
LLR_MAX: Final = 7.9  # nats: no sensor is believed more than 2700 : 1
COMPARED_MASS_MIN: Final = np.float32(1e-3)  # a person with less evidence than this is not known in this gallery
OWNED_MAX: Final = np.float32(0.75)  # an event that people of the home own to more than this is no stranger's
LEAST_WEIGHT: Final = np.float32(0.002)  # of a kept row: less moves nobody's mean
FOLDED_SHARE_MIN: Final = 0.02  # less is too little to move a mean; forgotten instead
CHANNELS_KEPT: Final = 2  # whose folded past is kept of a person, beside what was enrolled by hand
SAID: Final = 0.8  # how far a claim that is no enrolment says whose a recording is
ANCHORED_MASS: Final = 2.0  # recordings that are surely somebody's: with so many they are known in a gallery
ENROL: Final = 4  # kind of a claim: guided enrolment
ANCHORED_ONE: Final = 100.0  # steps of a tail's `anchored`


@kernel
def is_enrolled(row):
    """Whether a row's owner was enrolled by hand: such a claim outranks all others."""
    for i in range(row.claims_used):
        if row.claims[i].kind == ENROL:
            return True
    return False


@kernel
def _claimed_weight(row, person):
    """Recordings' worth of what claims on a row say of a person: enrolment, however noisy, is what their space begins with."""
    found = 0.0
    for i in range(row.claims_used):
        if row.claims[i].person == person + 1:
            found = max(found, ANCHORED_MASS if row.claims[i].kind == ENROL else SAID)
    return found


@kernel
def _sensor_support(row, person, modality, people):
    """How far the other sensors, as they were at the answer, say that a row is a person's: 1 surely, 0 nothing, -1 not.

    The person's likelihood against the mean of all others', whoever is likelier at home.
    """
    own, others = 0.0, 1.0  # of a guest no sensor says anything
    for column in range(people):
        nats = 0.0
        for other in range(row.llr.shape[0]):
            if other != modality and row.modalities & (1 << other):
                nats += float(row.llr[other, column]) * LLR_STEP
        if column == person:
            own = math.exp(nats)
        else:
            others += math.exp(nats)
    others /= people
    return (own - others) / (own + others)


# ---- comparing


@kernel
def set_probe_of_row(home, index, modality, policy, work):
    """Compare a kept row's vector: against everything but itself."""
    row = home.rows[index]
    set_model(home, row.encoders[modality] - 1, policy, work)
    work.probe_day = float(row.observed_at) / DAY_MS
    work.probe_noise = np.float32(row.noises[modality]) * NOISE_32
    work.probe_channel = row.channels[modality]
    for k in range(policy.encoders[home.galleries[work.gallery].number].dimensions):
        work.probe[k] = (np.float32(row.vectors[modality, k]) * VECTOR_32 - work.centre[k]) * work.scale


@kernel
def _weight(age, noise, policy):
    """Of a whole recording seen `age` days from the probe."""
    return np.float32(1.0 / (float(noise) + min(policy.forgetting_per_day * abs(age), policy.forgetting_most)))


@kernel
def _weigh_rows(home, without, policy, work):
    """Weights of whole kept rows; 0 of those of other galleries, and of the one that is left out. And of anybody."""
    numbers = policy.encoders[home.galleries[work.gallery].number]
    modality, slot = numbers.modality, work.gallery + 1
    for i in range(home.rows_used):
        row = home.rows[i]
        work.weights[i] = ZERO_32
        if row.encoders[modality] == slot and i != without:
            age = float(row.observed_at) / DAY_MS - work.probe_day
            work.weights[i] = _weight(age, np.float32(row.noises[modality]) * NOISE_32, policy)
    square, variance = work.total[1], work.total[2]
    for k in range(numbers.dimensions):
        variance[k] = work.between[k] + work.probe_noise
        square[k] = work.probe[k] * work.probe[k] / variance[k]
    away, spread = _sum_and_product(square, variance, numbers.dimensions)
    work.anybody = away + math.log(spread)


@kernel
def _gather(home, person, policy, work):
    """Fill in the weighted sum of what is known of a person, in total[0]; its mass."""
    numbers = policy.encoders[home.galleries[work.gallery].number]
    modality, dimensions, mass, sensed = numbers.modality, numbers.dimensions, ZERO_32, 0.0
    anchored = 0.0 if home.people[person].enrolments_used > 0 else ANCHORED_MASS  # of who never enrolled nobody asks
    total, found, sums = work.total[0], work.channel_mass, work.channel_sums
    for channel in range(numbers.channels):
        found[channel] = ZERO_32
    for t in range(home.people[person].tails_used):
        tail = home.people[person].tails[t]
        if tail.encoder == work.gallery and not (work.enrolled_only and tail.learnt):
            weight = tail.mass * _weight(tail.day - work.probe_day, numbers.noise[tail.channel], policy)
            _add_to_channel(found, sums, tail.channel, weight, dimensions)
            if tail.learnt:
                sensed += float(tail.mass) * (float(tail.anchored) / ANCHORED_ONE)
            else:
                anchored = ANCHORED_MASS
            own = sums[tail.channel]
            for k in range(dimensions):
                own[k] += weight * (np.float32(tail.vector[k]) * MEAN_32)
    for i in range(home.rows_used):
        row = home.rows[i]
        weight = np.float32(row.shares[person + 1]) * SHARE_32 * work.weights[i]
        if weight > LEAST_WEIGHT and not (work.enrolled_only and not is_enrolled(row)):
            _add_to_channel(found, sums, row.channels[modality], weight, dimensions)
            if anchored < ANCHORED_MASS:
                share, said = float(row.shares[person + 1]) * SHARE_STEP, _claimed_weight(row, person)
                anchored += share * said
                if said == 0.0:
                    sensed += share * _sensor_support(row, person, modality, home.people_used)
            own, per_step, vector = sums[row.channels[modality]], weight * VECTOR_32, row.vectors[modality]
            for k in range(dimensions):
                own[k] += per_step * np.float32(vector[k])
    for k in range(dimensions):
        total[k] = ZERO_32
    for channel in range(numbers.channels):
        if found[channel] > ZERO_32:
            kept, own = ONE_32 / (ONE_32 + found[channel] * numbers.shift[channel, work.probe_channel]), sums[channel]
            mass += found[channel] * kept
            for k in range(dimensions):
                total[k] += own[k] * kept
    for k in range(dimensions):
        total[k] = (total[k] - mass * work.centre[k]) * work.scale
    work.anchored[person] = min((anchored + max(sensed, 0.0)) / ANCHORED_MASS, 1.0)
    return mass


@kernel
def _add_to_channel(found, sums, channel, weight, dimensions):
    """Count a weight of a channel; of its first, the channel's sum begins at 0."""
    if found[channel] == ZERO_32:
        for k in range(dimensions):
            sums[channel, k] = ZERO_32
    found[channel] += weight


@kernel
def _sum_and_product(terms, factors, count):
    """The sum of terms and the product of factors, each as four that are put together at last: so they need not wait
    for each other.
    """
    one, two, three, four = 0.0, 0.0, 0.0, 0.0
    first, second, third, fourth = 1.0, 1.0, 1.0, 1.0
    whole = count - count % 4
    for k in range(0, whole, 4):
        one, two = one + float(terms[k]), two + float(terms[k + 1])
        three, four = three + float(terms[k + 2]), four + float(terms[k + 3])
        first, second = first * float(factors[k]), second * float(factors[k + 1])
        third, fourth = third * float(factors[k + 2]), fourth * float(factors[k + 3])
    for k in range(whole, count):
        one, first = one + float(terms[k]), first * float(factors[k])
    return (one + two) + (three + four), (first * second) * (third * fourth)


@kernel
def _llr(mass, dimensions, temperature, work):
    """Nats: of one person, from the weighted sum total[0] and the mass of what is known of them, against anybody."""
    gathered, square, variance = work.total[0], work.total[1], work.total[2]
    for k in range(dimensions):
        spared = ONE_32 / (work.inverse[k] + mass)
        variance[k] = spared + work.probe_noise
        apart = gathered[k] * spared - work.probe[k]
        square[k] = apart * apart / variance[k]
    away, spread = _sum_and_product(square, variance, dimensions)
    return min(max(0.5 * temperature * (work.anybody - away - math.log(spread)), -LLR_MAX), LLR_MAX)


@kernel
def compare(home, without, policy, work):
    """Log-likelihood ratios of the probe, nats: found[column] of each person, own[row] of whoever made that one recording.

    Of unknown people 0, and of rows that people of the home own to OWNED_MAX or more. Row `without` is left out (-1:
    none). Rows are compared only where work.alone asks for it.
    """
    numbers = policy.encoders[home.galleries[work.gallery].number]
    dimensions, temperature = numbers.dimensions, numbers.temperature
    _weigh_rows(home, without, policy, work)
    for p in range(home.people_used):
        mass = _gather(home, p, policy, work)
        work.found[p] = _llr(mass, dimensions, temperature, work) if mass > COMPARED_MASS_MIN else 0.0
    for i in range(home.rows_used):
        work.own[i] = 0.0
    for i in range(home.rows_used if work.alone else 0):
        row, owned = home.rows[i], ZERO_32
        for p in range(home.people_used):
            owned += np.float32(row.shares[p + 1]) * SHARE_32
        if work.weights[i] > ZERO_32 and owned < OWNED_MAX:
            work.own[i] = compare_row(home, i, policy, work)


@kernel
def compare_row(home, index, policy, work):
    """The probe's log-likelihood ratio, nats, of whoever made one kept row of its gallery; after `compare`, which weighs rows."""
    row, numbers = home.rows[index], policy.encoders[home.galleries[work.gallery].number]
    shift = numbers.shift[row.channels[numbers.modality], work.probe_channel]
    weight = work.weights[index] / (ONE_32 + work.weights[index] * shift)
    for k in range(numbers.dimensions):
        vector = np.float32(row.vectors[numbers.modality, k]) * VECTOR_32
        work.total[0, k] = weight * (vector - work.centre[k]) * work.scale
    return _llr(weight, numbers.dimensions, numbers.temperature, work)


@kernel
def compare_enrolled(home, person, policy, work):
    """A person's log-likelihood ratio, nats, as if nothing were known of them but what they enrolled; 0: nothing is."""
    numbers = policy.encoders[home.galleries[work.gallery].number]
    _weigh_rows(home, -1, policy, work)
    work.enrolled_only = 1
    mass = _gather(home, person, policy, work)
    work.enrolled_only = 0
    return _llr(mass, numbers.dimensions, numbers.temperature, work) if mass > COMPARED_MASS_MIN else 0.0


@kernel
def expect(home, shares, policy, work):
    """Where the probe would lie if made by people with these `shares` (steps, guest first), in work.expected; how
    surely that is known.

    Each person's mean counts by their share and by mass / (mass + 1): of somebody heard once half. 0 to 1.
    """
    dimensions, sure = policy.encoders[home.galleries[work.gallery].number].dimensions, ZERO_32
    _weigh_rows(home, -1, policy, work)
    for k in range(dimensions):
        work.expected[k] = ZERO_32
    for p in range(home.people_used):
        if shares[p + 1] > 0:
            mass = _gather(home, p, policy, work)
            if mass > COMPARED_MASS_MIN:
                part = np.float32(shares[p + 1]) * SHARE_32 / (mass + ONE_32)
                sure += part * mass
                for k in range(dimensions):
                    work.expected[k] += part * work.total[0, k]
    if sure > ZERO_32:
        for k in range(dimensions):
            work.expected[k] /= sure
    return sure


# ---- folding


@kernel
def fold_row(home, index, modality, policy):
    """Let a row's vector go into its owners' tails of its channel; a full tail forgets as much as it takes in."""
    row = home.rows[index]
    gallery, channel = row.encoders[modality] - 1, row.channels[modality]
    numbers = policy.encoders[home.galleries[gallery].number]
    learnt = 0 if is_enrolled(row) else 1
    worth = float(numbers.noise[channel]) / (float(row.noises[modality]) * NOISE_STEP)
    day = float(row.observed_at) / DAY_MS
    for p in range(home.people_used):
        share = float(row.shares[p + 1]) * SHARE_STEP
        if share < FOLDED_SHARE_MIN:
            continue
        tail = home.people[p].tails[_tail_of(home.people[p], gallery, channel, learnt)]
        if tail.mass == ZERO_32:
            tail.day, tail.since = day, day
        before, mass = float(tail.mass), share * worth
        part, sure = mass / (before + mass), float(tail.anchored)
        said = _claimed_weight(row, p)
        outside = min(said, 1.0) if said > 0.0 else _sensor_support(row, p, modality, home.people_used)
        tail.anchored = int(np.rint(sure + part * (ANCHORED_ONE * outside - sure)))
        for k in range(numbers.dimensions):
            mean = np.float32(tail.vector[k]) * MEAN_32
            moved = mean + np.float32(part) * (np.float32(row.vectors[modality, k]) * VECTOR_32 - mean)
            tail.vector[k] = np.int16(np.rint(moved / MEAN_32))
        tail.day += part * (day - tail.day)
        tail.mass = np.float32(min(before + mass, policy.tail_mass_max))
        if learnt:
            _forget_lightest(home.people[p], gallery)


@kernel
def _tail_of(person, gallery, channel, learnt):
    """The index of such a tail; an empty one where there was none, in the place of the lightest learnt one when all are taken."""
    for t in range(person.tails_used):
        tail = person.tails[t]
        if tail.encoder == gallery and tail.channel == channel and tail.learnt == learnt:
            return t
    if person.tails_used == len(person.tails):
        lightest = -1
        for t in range(person.tails_used):
            if person.tails[t].learnt and (lightest < 0 or person.tails[t].mass < person.tails[lightest].mass):
                lightest = t
        _remove_tail(person, max(lightest, 0))
    t = person.tails_used
    person.tails_used = t + 1
    tail = person.tails[t]
    tail.encoder, tail.channel, tail.learnt, tail.mass, tail.day, tail.since = gallery, channel, learnt, ZERO_32, 0.0, 0.0
    tail.anchored = 0
    for k in range(len(tail.vector)):
        tail.vector[k] = 0
    return t


@kernel
def _remove_tail(person, index):
    """Those behind it move up."""
    for t in range(index, person.tails_used - 1):
        person.tails[t] = person.tails[t + 1]
    person.tails_used -= 1


@kernel
def _forget_lightest(person, gallery):
    """Of more learnt channels of a gallery than are kept, forget the lightest."""
    there, lightest = 0, -1
    for t in range(person.tails_used):
        if person.tails[t].encoder == gallery and person.tails[t].learnt:
            there += 1
            if lightest < 0 or person.tails[t].mass < person.tails[lightest].mass:
                lightest = t
    if there > CHANNELS_KEPT:
        _remove_tail(person, lightest)


@kernel
def forget_tails(person, gallery, learnt):
    """Unlearn what was folded of a person in one gallery: enrolled by hand (0), or not (1)."""
    t = 0
    while t < person.tails_used:
        if person.tails[t].encoder == gallery and person.tails[t].learnt == learnt:
            _remove_tail(person, t)
        else:
            t += 1
