"""What a home does about a change that was confirmed: the old counts for less, so that the new is learnt as
it is.

Law: nothing that was said is lost, nobody is forgotten; a change that was none costs some sureness and no
more. What is watched anew has seen nothing: evidence of before a change that was dealt with is no evidence of
the next.
"""

from typing import Final

import numpy as np

from learners.drift.residual import residuals_in
from learners.drift.sequential import reset_stream
from learners.kernel import kernel
from learners.precision import MEAN_STEP, MEAN_STEPS_MAX
from learners.recognition.phones import doubt_phone
from stream.home.core.drift.causes import DEVICE, FEEDBACK, HABIT, KIND, PERSON, PHONE, ROWS_MIN, UNKNOWN_VOICES, find_owners
from stream.home.messages import ADAPTATIONS
from stream.home.state.layout import ENCODERS_MAX, HEADING, OFFSETS_MAX, SOURCES, USUAL

__all__ = ["adapt", "reset_devices", "reset_monitors_of"]

TAIL_KEPT: Final = 2.0  # recordings' worth of somebody's folded past after they changed
_NOTHING, _DEVICE, _PERSON, _PHONE = (ADAPTATIONS.index(word) for word in ("", "device", "person", "phone"))


@kernel
def adapt(home, subject, since, policy, work):
    """Begin anew with what changed since an event: (index in ADAPTATIONS, 0: nothing; bits of galleries)."""
    kind, name, done, galleries = subject // KIND, subject % KIND, _NOTHING, 0
    if kind == DEVICE:
        for encoder in range(np.int64(home.galleries_used)):
            if _measure_offset(home, (encoder, name), since, policy, work):
                done, galleries = _DEVICE, galleries | (1 << encoder)
        return done, galleries
    for column in range(home.people_used):
        if home.people[column].name != name:
            continue
        if kind == PERSON:
            done = _PERSON
            for t in range(home.people[column].tails_used):
                tail = home.people[column].tails[t]
                tail.mass = min(tail.mass, np.float32(TAIL_KEPT))
        elif kind == PHONE:
            for phone in range(home.phones_used):
                state = home.phones[phone]
                latest = state.registrations[state.registrations_used - 1]
                if state.registrations_used > 0 and latest.person == column + 1:
                    doubt_phone(latest)
                    done = _PHONE
    return done, galleries


@kernel
def _measure_offset(home, ear, since, policy, work):
    """What a device adds to everybody in one gallery is from now on what it added since it changed; whether
    enough is known.

    `ear`: (gallery, word of the device). Of too many devices the one heard longest ago loses its offset.
    """
    encoder, device = ear
    numbers, gallery, rows = policy.encoders[home.galleries[encoder].number], home.galleries[encoder], 0
    first = np.int64(0)
    for i in range(home.rows_used):
        row = home.rows[i]
        its = row.device_name == device and row.encoders[numbers.modality] == encoder + 1
        if its and row.number >= since:
            first = np.int64(row.number) if rows == 0 else first
            rows += 1
    if rows < ROWS_MIN:
        return False
    find_owners(home, encoder, first, policy, work)
    slot = 0
    while slot < gallery.offsets_used and gallery.offsets[slot].device_name != device:
        slot += 1
    if slot == OFFSETS_MAX:
        for moved in range(OFFSETS_MAX - 1):
            gallery.offsets[moved] = gallery.offsets[moved + 1]
        slot = OFFSETS_MAX - 1
    gallery.offsets_used = max(int(gallery.offsets_used), slot + 1)
    gallery.offsets[slot].device_name = device
    for k in range(np.int64(numbers.dimensions)):
        residuals_in(home, encoder, first, k, work)
        total, mass = 0.0, 0.0
        for i in range(home.rows_used):
            row = home.rows[i]
            its = row.device_name == device and row.encoders[numbers.modality] == encoder + 1
            if its and row.number >= first:
                total += (1.0 - work.tables[2, i, 0]) * work.own[i]
                mass += 1.0 - work.tables[2, i, 0]
        steps = np.rint(total / max(mass, 1.0) / MEAN_STEP)
        gallery.offsets[slot].vector[k] = int(min(max(steps, -MEAN_STEPS_MAX), MEAN_STEPS_MAX))
    return True


@kernel
def reset_monitors_of(home, kind, name):
    """Begin anew with all that a change of a subject touches: of people and devices that is everything."""
    everything = kind != PHONE and kind != HABIT and kind != FEEDBACK and kind != UNKNOWN_VOICES
    if everything:
        reset_devices(home)
    for column in range(home.people_used):
        person = home.people[column]
        if everything or (kind == PHONE and person.name == name):
            reset_stream(person.phone.session, person.phone.numbers[:])
        if everything or (kind == HABIT and person.name == name):
            reset_stream(person.habit.session, person.habit.numbers[:])
        if everything:
            reset_stream(person.shift.session, person.shift.numbers[:])
            for encoder in range(ENCODERS_MAX):
                person.places[encoder].seen = 0
                for k in range(USUAL):
                    person.places[encoder].usual[k] = 0
    if everything or kind == UNKNOWN_VOICES:
        reset_stream(home.unknown_voices.session, home.unknown_voices.numbers[:])
    if kind == FEEDBACK:
        for source in range(SOURCES):
            reset_stream(home.sources[source].claims.session, home.sources[source].claims.numbers[:])


@kernel
def reset_devices(home):
    """Begin anew with every device: what comes next is the usual."""
    for i in range(home.ears_used):
        ear = home.ears[i]
        reset_stream(ear.moved.session, ear.moved.numbers[:])
        ear.seen = 0
        for k in range(HEADING):
            ear.lately[k], ear.usual[k] = 0, 0
