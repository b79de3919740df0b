"""Profiles: what is known of a member, as a snapshot to be published."""

import numpy as np

from learners.kernel import kernel
from learners.precision import MEAN_STEP, SHARE_STEP, VECTOR_STEP
from stream.home.core.work import add_result
from stream.home.messages import PROFILE_KIND, PROTOTYPES_MAX
from stream.home.state.layout import FACE, VOICE

__all__ = ["add_profile"]

PROTOTYPE_MASS_MIN = 0.5  # recordings' worth: less is no prototype
DAY_MS = 86_400_000


@kernel
def add_profile(home, column, policy, work, out):
    """A snapshot of one member; its result."""
    person, at = home.people[column], int(out.profiles_used)
    out.profiles_used = at + 1
    profile = out.profiles[at]
    profile.column, profile.revision, profile.updated_at = column, person.revision, work.at
    profile.events, profile.last_seen_at = person.events * SHARE_STEP, person.last_seen_at
    profile.enrol_faults = person.enrol_faults
    profile.learnt, profile.offset = float(person.live.learnt), person.live.offset
    for m in range(2):
        profile.weights[m], profile.known[m] = person.live.weights[m], person.live.known[m]
    for i in range(person.habits.shape[0]):
        profile.habits[i] = person.habits[i]
    for slot in range(profile.activities.shape[0]):
        profile.activities[slot] = home.activities[slot]
    profile.phones, profile.drift, profile.prototypes_used = np.uint64(0), 0.0, 0
    for phone in range(home.phones_used):
        state = home.phones[phone]
        if state.registrations[state.registrations_used - 1].person == column + 1:
            profile.phones |= np.uint64(1) << np.uint64(phone)
    owned, square = 0.0, 0.0
    for index in range(home.rows_used):
        share = float(home.rows[index].shares[column + 1]) * SHARE_STEP
        owned, square = owned + share, square + share * share
    profile.trust = square / owned if owned > 0.0 else 0.0
    for t in range(person.tails_used):
        tail = person.tails[t]
        prototype = _add_prototype(profile, tail.encoder, 0, int(np.rint(tail.since * DAY_MS)))
        prototype.mass = tail.mass
        for k in range(tail.vector.shape[0]):
            prototype.vector[k] = np.float32(tail.vector[k]) * np.float32(MEAN_STEP)
    for index in range(home.rows_used):
        for m in range(VOICE, FACE + 1):
            if home.rows[index].encoders[m] > 0:
                _gather_prototype(home, index, m, column, profile)
    kept = 0
    for p in range(profile.prototypes_used):
        if profile.prototypes[p].device_name == 0 or profile.prototypes[p].mass >= PROTOTYPE_MASS_MIN:
            profile.prototypes[kept] = profile.prototypes[p]
            kept += 1
    profile.prototypes_used = kept
    result = out.results[add_result(out, PROFILE_KIND, work.event, work.at)]
    result.profile, result.name = at, person.name
    person.revision += 1
    person.published = person.events


@kernel
def _add_prototype(profile, gallery, device, since):
    """An empty prototype; the last one is written over when there are too many."""
    at = min(int(profile.prototypes_used), PROTOTYPES_MAX - 1)
    profile.prototypes_used = at + 1
    prototype = profile.prototypes[at]
    prototype.encoder, prototype.device_name, prototype.since, prototype.mass = gallery, device, since, 0.0
    for k in range(prototype.vector.shape[0]):
        prototype.vector[k] = np.float32(0)
    return prototype


@kernel
def _gather_prototype(home, index, modality, column, profile):
    """Add the first row of a device (and an encoder) with all later ones: their mean by the person's shares."""
    first, slot, total = home.rows[index], home.rows[index].encoders[modality], 0.0
    for i in range(index):
        if home.rows[i].device_name == first.device_name and home.rows[i].encoders[modality] == slot:
            return
    prototype = _add_prototype(profile, slot - 1, first.device_name, int(first.observed_at))
    for i in range(index, home.rows_used):
        row = home.rows[i]
        if row.device_name == first.device_name and row.encoders[modality] == slot:
            prototype.since = min(int(prototype.since), int(row.observed_at))
            share = float(row.shares[column + 1]) * SHARE_STEP
            total += share
            for k in range(prototype.vector.shape[0]):
                prototype.vector[k] += np.float32(share) * np.float32(row.vectors[modality, k])
    prototype.mass = total
    for k in range(prototype.vector.shape[0]):
        prototype.vector[k] = prototype.vector[k] * np.float32(VECTOR_STEP / total) if total > 0.0 else np.float32(0)
