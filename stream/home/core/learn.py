"""Learning: what an event teaches, and how it is taken back.

Law: everything learnt from an event hangs on its row's shares; `reassign` is the only way to change them, and undoes what the old
shares had taught. What has left the ledger sits in its owners' tails and can be forgotten only with them.
"""

from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.precision import LLR_STEP, MEAN_STEP, MEAN_STEPS_MAX, SHARE_STEP
from learners.recognition.calibration import copy_calibration, learn_calibration
from learners.recognition.fusion import quantise
from learners.recognition.gallery import expect, fold_row, is_enrolled, set_probe_of_row
from learners.recognition.habits import count_habit
from learners.recognition.phones import LISTENED, learn_phone, learn_strangers
from learners.recognition.presence import count_presence, fade_presence
from learners.recognition.visits import CAME, count_visit
from stream.home.core.feedback.claims import distrust, find_heeded, share_event
from stream.home.core.posterior import blind_posterior
from stream.home.state.layout import (
    ENCODERS_MAX,
    FACE,
    FOLDED_MAX,
    FOLDED_PER_PERSON,
    HABIT,
    MODALITIES,
    NOBODY,
    NOT_COUNTED,
    OFFSETS_MAX,
    PEOPLE_MAX,
    PHONE,
    PLACES,
    VOICE,
)

__all__ = ["add_row", "calibrate_row", "fold", "learn_event", "reassign", "recalibrate", "remove_row"]

HABIT_SHARE_MIN: Final = 82  # share steps: .02 of an event
OFFSET_GAIN: Final = np.float32(0.15)  # of one sure recording
_MEAN: Final = np.float32(MEAN_STEP)


# ---- a new event


@kernel
def _gallery(home, event, modality, policy):
    """The gallery in which an event's vector stands, which begins with the first; NOBODY: it has none, or there is no room."""
    number = event.encoders[modality] - 1
    if number < 0:
        return NOBODY
    for index in range(home.galleries_used):
        if home.galleries[index].number == number:
            return index
    index = int(home.galleries_used)
    if index == ENCODERS_MAX:
        return NOBODY
    gallery = home.galleries[index]
    gallery.number, gallery.name, gallery.offsets_used = number, event.encoder_names[modality], 0
    gallery.fingerprint = policy.encoders[number].fingerprint
    home.galleries_used += 1
    return index


@kernel
def add_row(home, event, policy):
    """Keep an event, owned by nobody yet; its index."""
    index = int(home.rows_used)
    home.rows_used = index + 1
    row = home.rows[index]
    row.observed_at, row.event, row.number, row.unnamed, row.inferred = event.at, event.event, home.next_row, -1, home.next_row
    row.device_name, row.activity, row.hour = event.device_name, event.activity, event.hour
    row.revision, row.label_revision = 0, -1
    came = event.encoder_names[VOICE] != 0 or event.encoder_names[FACE] != 0
    row.modalities, row.scanned, row.stranger, row.counted = CAME if came else 0, event.scanned, event.stranger, 0
    row.tier, row.named, row.first_tier, row.first_named, row.label, row.unsettled = 0, 0, 0, 0, 0, 0
    row.claims_used, row.sightings_used, row.event_id_length = 0, event.sightings_used, event.event_id_length
    # The place was another event's: nothing of that may stay, lest erasure miss it.
    for s in range(row.sightings.shape[0]):
        row.sightings[s] = event.sightings[s]
    for i in range(row.event_id.shape[0]):
        row.event_id[i] = event.event_id[i]
    for c in range(row.claims.shape[0]):
        row.claims[c].feedback, row.claims[c].given_at = 0, 0
    for m in range(2):
        row.encoders[m] = _gallery(home, event, m, policy) + 1
        row.channels[m], row.noises[m] = event.channels[m], event.noises[m]
        for k in range(row.vectors.shape[1]):
            row.vectors[m, k] = event.vectors[m, k] if row.encoders[m] > 0 else 0
    for place in range(PLACES):
        row.evidence[place], row.shares[place] = 0, 0
    for m in range(MODALITIES):
        for p in range(PEOPLE_MAX):
            row.llr[m, p] = event.own[p] if m == HABIT else 0  # until it is answered
    for i in range(4):
        row.reserved[i] = 0
    home.next_row += 1
    return index


@kernel
def learn_event(home, index, policy, work):
    """Learn from a new event as it was answered: work has its posterior, its logits and what every sensor said."""
    row, places = home.rows[index], int(home.people_used) + 1
    quantise(work.posterior, places, work.shares)
    row.modalities = work.modalities | (row.modalities & CAME)
    for m in range(MODALITIES):
        if work.modalities & (1 << m):
            for p in range(home.people_used):
                row.llr[m, p] = int(np.rint(work.llr[m, p] / LLR_STEP))
    for m in range(2):
        if row.encoders[m] > 0:
            _learn_offset(home, index, m, policy, work)
    if row.scanned and (row.encoders[VOICE] > 0 or row.encoders[FACE] > 0):
        _learn_phones(home, index, policy, work)
    for place in range(places):
        row.evidence[place] = work.shares[place]
    row.counted = 1
    reassign(home, index, work.shares, policy)


@kernel
def _learn_offset(home, index, modality, policy, work):
    """Learn from a recording what its device adds, given who probably made it."""
    row = home.rows[index]
    set_probe_of_row(home, index, modality, policy, work)
    gallery, numbers = home.galleries[work.gallery], policy.encoders[home.galleries[work.gallery].number]
    gain = OFFSET_GAIN * expect(home, work.shares, policy, work)
    at = 0
    while at < gallery.offsets_used and gallery.offsets[at].device_name != row.device_name:
        at += 1
    known = at < gallery.offsets_used
    for k in range(numbers.dimensions):
        before = np.float32(gallery.offsets[at].vector[k]) * _MEAN if known else np.float32(0)
        away = (work.raw[modality, k] - work.centre[k]) * work.scale - work.expected[k] - before
        steps = np.rint((before + gain * away) / _MEAN)
        work.total[2, k] = min(max(steps, np.float32(-MEAN_STEPS_MAX)), np.float32(MEAN_STEPS_MAX))
    if not known and gallery.offsets_used == OFFSETS_MAX:
        at, known = 0, True
    for o in range(at, gallery.offsets_used - 1):
        gallery.offsets[o] = gallery.offsets[o + 1]
    if not known:
        gallery.offsets_used += 1
    latest = gallery.offsets[gallery.offsets_used - 1]
    latest.device_name = row.device_name
    for k in range(latest.vector.shape[0]):
        latest.vector[k] = np.int16(work.total[2, k]) if k < numbers.dimensions else 0


@kernel
def _learn_phones(home, index, policy, work):
    """Who spoke by everything but the phones tells how far the phones are to be trusted."""
    row = home.rows[index]
    blind_posterior(home, PHONE, work)
    if row.scanned & LISTENED:
        learn_strangers(home.strangers, row.stranger, work.blind[0])
    for phone in range(home.phones_used):
        place = work.heard_place[phone]
        if place > 0:
            learn_phone(home.phones[phone], row.number, work.heard[phone], work.blind[place], policy.phone_rate)


# ---- shares


@kernel
def reassign(home, index, shares, policy):
    """Give an event other owners (share steps): take back what the old shares taught, learn the new."""
    row, counted = home.rows[index], not is_enrolled(home.rows[index])
    for place in range(home.people_used + 1):
        before = int(row.shares[place]) if row.counted else 0
        after = int(shares[place]) if counted else 0
        count_presence(home, place, after - before)
        if row.activity > 0:
            change = (after if after >= HABIT_SHARE_MIN else 0) - (before if before >= HABIT_SHARE_MIN else 0)
            if change != 0:
                count_habit(home, row, place, change * SHARE_STEP, policy)
        if place > 0:
            home.people[place - 1].events += int(shares[place]) - int(row.shares[place])
    for place in range(home.people_used + 1):
        row.shares[place] = shares[place]
    row.counted = 1 if counted else 0
    fade_presence(home, policy)


# ---- calibrations


@kernel
def recalibrate(home):
    """Everybody's calibration anew: what has left the ledger, and then the ledger's claims in order."""
    for p in range(home.people_used):
        copy_calibration(home.people[p].calibration, home.people[p].live)
    for index in range(home.rows_used):
        if home.rows[index].claims_used > 0:
            calibrate_row(home, index, False)


@kernel
def calibrate_row(home, index, folded):
    """Let everybody's calibration (`folded`: that of what has left the ledger) learn from a claimed event.

    Guided enrolment and who only repeats the answer teach it nothing. Returns whether it taught.
    """
    row = home.rows[index]
    best = find_heeded(home, row)
    if best < 0 or row.claims[best].right == NOT_COUNTED:
        return False
    others = max(1, int(home.people_used) - 1)
    for p in range(home.people_used):
        share = float(row.shares[p + 1]) * SHARE_STEP
        voice = float(row.llr[VOICE, p]) * LLR_STEP if row.modalities & (1 << VOICE) else 0.0
        face = float(row.llr[FACE, p]) * LLR_STEP if row.modalities & (1 << FACE) else 0.0
        if (voice != 0.0 or face != 0.0) and not 0.2 < share < 0.8:
            right = share >= 0.8
            calibration = home.people[p].calibration if folded else home.people[p].live
            learn_calibration(calibration, voice, face, right, 1.0 if right else 1.0 / others)
    return True


# ---- leaving the ledger


@kernel
def fold(home, index, policy, work):
    """Let an event go into its owners' tails; what was claimed about it stays learnt.

    If it is the oldest, everybody's live calibration stays as it is: its lesson was their first, and now stands in their base.
    """
    row = home.rows[index]
    count_visit(home, index)
    if distrust(home, row):
        share_event(home, index, work)
        reassign(home, index, work.shares, policy)
        recalibrate(home)
    taught = calibrate_row(home, index, True) if row.claims_used > 0 else False
    for m in range(2):
        if row.encoders[m] > 0:
            fold_row(home, index, m, policy)
    best, enrolled = find_heeded(home, row), is_enrolled(row)
    for c in range(row.claims_used):
        _remember_folded(home, row, c, best == c, 0 if enrolled else 1)
    remove_row(home, index)
    if taught and index > 0:
        recalibrate(home)


@kernel
def _remember_folded(home, row, claim, counts, learnt):
    """Of a claim on a folded event: whose tails hold what it taught. Of others there is nothing to take back."""
    owners = 0
    for p in range(home.people_used):
        if counts and row.shares[p + 1] >= HABIT_SHARE_MIN:
            owners |= 1 << p
    feedback, found = row.claims[claim].feedback, -1
    for f in range(home.folded_used):
        if home.folded[f].feedback == feedback:
            found = f
    if found < 0:
        if home.folded_used >= min(FOLDED_MAX, FOLDED_PER_PERSON * max(2, int(home.people_used))):
            for f in range(home.folded_used - 1):
                home.folded[f] = home.folded[f + 1]
            home.folded_used -= 1
        found = int(home.folded_used)
        home.folded_used += 1
    entry = home.folded[found]
    entry.feedback, entry.owners, entry.learnt = feedback, owners, learnt
    for i in range(3):
        entry.reserved[i] = 0


@kernel
def remove_row(home, index):
    """Those behind it move up."""
    for i in range(index, home.rows_used - 1):
        home.rows[i] = home.rows[i + 1]
    home.rows_used -= 1
