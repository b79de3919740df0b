"""Change in a home: every answered event goes through what watches for it, and every claim.

Law: watching decides nothing about who it was. Nothing is measured against itself: a voice is compared with a
person where face, phone and habit (or feedback) are sure of them, a phone with its owner where voice and face
are; so a person's voice that changed is not taken for another person's.

Theory: one small stream for each thing that could have changed. One value goes into it for each session,
which is what one device saw without a longer break, known by the number of its first event.
"""

import math
from typing import Final

import numpy as np

from learners.drift.mean_shift import learn_mean_shift, score_mean_shift
from learners.drift.person_shift import learn_person_shift, score_person_shift
from learners.drift.residual import residual
from learners.drift.sequential import EQUAL, STARTS, evidence_of, learn_rate, learn_rise, reset_stream
from learners.kernel import kernel
from learners.precision import SHARE_STEP, VECTOR_STEP
from learners.recognition.fusion import softmax
from stream.home.core.drift.adapt import reset_devices
from stream.home.core.drift.causes import CLAIMED_MIN, DEVICE
from stream.home.core.drift.signals import forget_reported, report
from stream.home.messages import ENROL
from stream.home.state.layout import DEVICES_MAX, EARS_MAX, FACE, HABIT, HEADING, NOT_COUNTED, PHONE, VOICE

__all__ = ["forget_person_in_monitors", "monitor_claim", "monitor_event"]

PHONE_RATE, HABIT_RATE, FEEDBACK_RATE, GUEST_RATE = 0.3, 0.4, 0.1, 0.2  # what is assumed of a home at first
WATCHED_SOURCES: Final = 2  # voice and app: anybody may speak there; annotators and a PIN outrank them
FEW_EARS_MIN: Final = 2  # encoders of devices that are watched, of a small home; else one for each person
SILENT_MS: Final = 30 * 86_400_000  # a device that saw nothing for so long gives its place to another
PHONE_LLR_MIN: Final = 0.5  # nats: less is no word for its owner
SURE_AT_ALL_MIN: Final = 0.5  # of an answer: less is not sure without habits, which say little
WHOLE: Final = -1  # no sensor is left out


@kernel
def monitor_event(home, event, policy, work, out):
    """Learn from the event that was kept last what it says of change; report what is to be reported.

    Writes over work.expected, total, parts, blind, own, inverse and tables.
    """
    row = home.rows[home.rows_used - 1]
    number = np.int64(row.number)
    session = np.int64(_session(home, event.device_name, event.at, number, policy.session_ms))
    e_max, heard, whole = 0.0, False, policy.own_attribution != 0
    for modality in (VOICE, FACE):
        if row.encoders[modality] > 0:
            heard, encoder = True, int(row.encoders[modality]) - 1
            numbers = policy.encoders[home.galleries[encoder].number]
            index = _ear(home, event.device_name, encoder)
            if index >= 0:
                # Whoever spoke, a device adds the same: who is alone for a week is no new device.
                residual(home, encoder, session, policy, work)
                ear = home.ears[index]
                score = score_mean_shift(ear, work.expected, numbers)
                if not math.isnan(score):
                    learn_rise(ear.moved, score, session, number)
                if session == number:
                    learn_mean_shift(ear, work.expected, numbers)
                e_max = max(e_max, evidence_of(ear.moved.numbers[4:], EQUAL) / STARTS)
            place = _surely(work, np.int64(home.people_used), WHOLE if whole else modality, policy.sure)
            if place > 0:
                strayed = _learn_stray(home, (encoder, place - 1), (session, number), work.raw[modality], numbers)
                e_max = max(e_max, strayed)
    e_max = max(e_max, _monitor_people(home, session, policy, work))
    if heard:
        guest = min(work.posterior[0], 1.0)
        e_max = max(e_max, learn_rate(home.unknown_voices, guest, session, number, GUEST_RATE))
    report(home, policy, e_max, work, out)


@kernel
def monitor_claim(home, index, claim, policy, work):
    """Learn what a claim about a kept event says: of its source, and of who it was."""
    row, most, place = home.rows[index], 0, 0
    said, number = row.claims[claim], np.int64(row.number)
    if said.kind == ENROL:
        return
    if said.right != NOT_COUNTED and said.source < WATCHED_SOURCES:
        wrong = 1.0 - int(said.right) * SHARE_STEP
        learn_rate(home.sources[said.source].claims, wrong, number, number, FEEDBACK_RATE)
    for i in range(home.people_used + 1):
        if row.shares[i] > most:
            most, place = int(row.shares[i]), i
    voice, face = int(row.modalities) & (1 << VOICE) != 0, int(row.modalities) & (1 << FACE) != 0
    # Of events with both it was known when they came.
    if row.claims_used == 0 or voice == face or place == 0 or most * SHARE_STEP < CLAIMED_MIN:
        return
    for modality in (VOICE, FACE):
        if row.encoders[modality] > 0:
            encoder = int(row.encoders[modality]) - 1
            numbers = policy.encoders[home.galleries[encoder].number]
            for k in range(numbers.dimensions):
                work.expected[k] = np.float32(row.vectors[modality, k]) * np.float32(VECTOR_STEP)
            _learn_stray(home, (encoder, place - 1), (number, number), work.expected[:], numbers)


@kernel
def _learn_stray(home, whose, when, vector, numbers):
    """Learn how far a recording of a gallery strays from the person (its column) whose it surely is; the
    e-value of that.

    `whose`: gallery and column; `when`: session and event.
    """
    (encoder, column), (session, number) = whose, when
    person = home.people[column]
    score = score_person_shift(home, whose, session, vector, numbers)
    if session == number:
        learn_person_shift(person.places[encoder], vector, numbers)
    return 0.0 if math.isnan(score) else learn_rise(person.shift, score, session, number)


@kernel
def _monitor_people(home, session, policy, work):
    """Learn how phones and habits fit who it was, where other sensors are sure of that; the greatest e-value.

    A phone has a say when its owner is there, or when it is near and its owner is not; the latter speaks
    against it.
    """
    people, e_max, sensors = np.int64(home.people_used), 0.0, int(work.modalities)
    number = np.int64(home.rows[home.rows_used - 1].number)
    if sensors & (1 << PHONE) != 0 and sensors & (1 << VOICE | 1 << FACE) != 0:
        day = math.floor(work.day)  # one value a day: who leaves a phone behind does so for a day
        work.parts[0] = work.logits[0] - work.stranger_llr
        for column in range(people):
            work.parts[column + 1] = work.logits[column + 1] - work.llr[PHONE, column]
        softmax(work.parts, people + 1, work.blind)
        for column in range(people):
            near = -math.inf
            for phone in range(home.phones_used):
                if work.heard_place[phone] == column + 1:
                    near = max(near, work.heard[phone])
            against, owner = 1.0 if near < 0.0 else 0.0, work.blind[column + 1]
            elsewhere = owner <= 1.0 - policy.sure and near > PHONE_LLR_MIN
            if near > -math.inf and (owner >= policy.sure or elsewhere):
                against = against if owner >= policy.sure else 1.0
                e_max = max(e_max, learn_rate(home.people[column].phone, against, day, number, PHONE_RATE))
    if sensors & (1 << HABIT) != 0:
        most = 0.0
        for place in range(people + 1):
            most = max(most, work.posterior[place])
        place = _surely(work, people, np.int64(HABIT), policy.sure) if most >= SURE_AT_ALL_MIN else 0
        if place > 0:
            against = 1.0 if work.llr[HABIT, place - 1] < 0.0 else 0.0
            e_max = max(e_max, learn_rate(home.people[place - 1].habit, against, session, number, HABIT_RATE))
    return e_max


@kernel
def _surely(work, people, without, sure):
    """The place of who it surely was by all sensors but one; 0 if that is a guest, or nobody."""
    most, place, total = work.logits[0], 0, 0.0
    for column in range(people):
        logit = work.logits[column + 1] - (work.llr[without, column] if without >= 0 else 0.0)
        if logit > most:
            most, place = logit, column + 1
    if place > 0:
        total = math.exp(work.logits[0] - most)
        for column in range(people):
            logit = work.logits[column + 1] - (work.llr[without, column] if without >= 0 else 0.0)
            total += math.exp(logit - most)
    return place if sure * total <= 1.0 else 0


# ---- devices


@kernel
def _session(home, device, at, number, session_ms):
    """The session of a device that an event belongs to; the device is watched from now on.

    Of too many devices the one that saw nothing for longest is let go.
    """
    index, oldest = -1, np.int64(0)
    for i in range(home.devices_used):
        if home.devices[i].name == device:
            index = i
        if home.devices[i].seen_at < home.devices[oldest].seen_at:
            oldest = i
    if index < 0:
        if home.devices_used == DEVICES_MAX:
            _stop_watching(home, oldest)
        index = int(home.devices_used)
        home.devices_used = index + 1
        new = home.devices[index]
        new.seen_at, new.session, new.name = 0, 0, device
        for i in range(len(new.reserved)):
            new.reserved[i] = 0
    known = home.devices[index]
    if abs(at - known.seen_at) > session_ms:
        known.session = number
    known.seen_at = max(known.seen_at, at)
    return known.session


@kernel
def _stop_watching(home, index):
    """Watch a device no longer, and forget what was reported of it."""
    name, kept = home.devices[index].name, 0
    for i in range(home.ears_used):
        if home.ears[i].device_name != name:
            if kept < i:
                home.ears[kept] = home.ears[i]
            kept += 1
    home.ears_used = kept
    for i in range(home.reported_used):
        if home.reported[i].kind == DEVICE and home.reported[i].name == name:
            forget_reported(home, np.int64(i))
            break
    for i in range(index, home.devices_used - 1):
        home.devices[i] = home.devices[i + 1]
    home.devices_used -= 1


@kernel
def _ear(home, device, encoder):
    """The index of what watches one encoder on a device, which is begun if there is room; else -1.

    To make room, devices that saw nothing for long are watched no longer.
    """
    for i in range(home.ears_used):
        if home.ears[i].device_name == device and home.ears[i].encoder == encoder:
            return i
    i = np.int64(0)
    while i < home.devices_used:
        if home.devices[i].seen_at < home.stream_time - SILENT_MS and home.devices[i].name != device:
            _stop_watching(home, i)
        else:
            i += 1
    index = int(home.ears_used)
    if index >= min(max(FEW_EARS_MIN, int(home.people_used)), EARS_MAX):
        return -1
    home.ears_used = index + 1
    ear = home.ears[index]
    ear.device_name, ear.encoder, ear.reserved, ear.seen = device, encoder, 0, 0
    reset_stream(ear.moved.session, ear.moved.numbers[:])
    for k in range(HEADING):
        ear.lately[k], ear.usual[k] = 0, 0
    return index


# ---- erasure


@kernel
def forget_person_in_monitors(home, column):
    """Forget what was reported of a person; devices are heard anew, for the person was part of what they
    usually hear.

    Before their column is taken out of `people`, with which go the streams about them.
    """
    name, i = home.people[column].name, np.int64(0)
    while i < home.reported_used:
        if home.reported[i].kind != DEVICE and home.reported[i].name == name:
            forget_reported(home, np.int64(i))
        else:
            i += 1
    reset_devices(home)
    if home.alarm_kind != DEVICE and home.alarm_name == name:
        home.alarm_kind, home.alarm_name, home.alarm_since, home.alarm_noticed = 0, 0, 0, 0
