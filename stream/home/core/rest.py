"""HOME at rest: which of its bytes are kept, and the kernels that write and read them.

Law: one text writes and reads, so that both cannot disagree. Kept is what is used: of a list as many entries as it has, of
shares and ratios those of people there are, of vectors those that are there. After reading all else is zero; `number` of
galleries is for the reader to find. Whatever was read: every count, number of a word and index is within its bounds, or the
whole is refused.
"""

from typing import Any, Final

import numpy as np

from learners.kernel import array, entry, kernel, record
from stream.home.messages import CAUSES, CONFIRM, ENROL, RETRACT
from stream.home.state.household import MEMORY
from stream.home.state.layout import (
    CHANNELS_MAX,
    CONSENTS_MAX,
    DEVICES_MAX,
    DOUBTS_MAX,
    EARS_MAX,
    ENCODERS_MAX,
    FILTER,
    FILTERS_MAX,
    FOLDED_MAX,
    GALLERY,
    GUEST_PLACE,
    HOME,
    HOURS,
    MODALITIES,
    NOBODY,
    PEOPLE_MAX,
    PERSON,
    PHONE_STATE,
    PHONES_MAX,
    REPORTED_MAX,
    ROW,
    ROWS_MAX,
    SENDERS_MAX,
    SOURCES,
    TIERS,
    UNKNOWN,
    WAITING_MAX,
    WITNESSES_MAX,
)  # fmt: skip

__all__ = ["NUMBERS", "RAW", "READING", "RENUMBERING", "TIMES", "WRITING", "carry"]

WRITING, READING, RENUMBERING = 0, 1, 2  # ways; the last gives words other numbers, and moves nothing

RAW = record(  # a home at rest, and how far it was written or read
    ("cursor", "<i8"),  # at last: how many bytes that were
    ("length", "<i8"),  # bytes that may be read
    ("way", "<i4"),
    ("failed", "<i2"),  # more was to be read than there is, or a number is out of its bounds
    ("disordered", "<i2"),  # the home refers to its words in another order than they have
    ("bytes", "u1", HOME.itemsize),  # what is told beside fields is less than what is left out
)
HABITS: Final = len(np.zeros((), HOME)["guest_habits"])
HABITS_MASK: Final = 4  # bytes that tell which of them are not 0
KINDS: Final = len(CAUSES)


# As int64, not int: a kernel is compiled anew for every int that it is called with.


def _span(owner: np.dtype[Any], first: str, last: str = "") -> tuple[np.int64, np.int64]:
    """Where a field begins, or some neighbouring ones, and how many bytes they have."""
    fields: Any = owner.fields
    start, (field, place, *_) = fields[first][1], fields[last or first]
    return np.int64(start), np.int64(place + field.itemsize - start)


def _list(owner: np.dtype[Any], name: str) -> tuple[np.int64, np.int64, np.int64]:
    """Where a list begins, bytes of an entry, and the most there may be."""
    fields: Any = owner.fields
    field, place, *_ = fields[name]
    return np.int64(place), np.int64(field.subdtype[0].itemsize), np.int64(field.shape[-1])


TIMES, NUMBERS = _span(HOME, "stream_time", "habits_origin"), _span(HOME, "next_row", "witnesses_used")
GUEST_HABITS, STREAMS = _span(HOME, "guest_habits"), _span(HOME, "unknown_voices", "sources")
GALLERIES, PEOPLE, PHONES, ROWS = (_list(HOME, name) for name in ("galleries", "people", "phones", "rows"))
DEVICES, EARS, REPORTED, DOUBTS = (_list(HOME, name) for name in ("devices", "ears", "reported", "doubts"))
FOLDED, WAITING, FLOORS, SEEN, CONSENTS = (_list(HOME, name) for name in ("folded", "waiting", "floors", "seen", "consents"))
PRESENCES, WITNESSES = _list(HOME, "presences"), _list(HOME, "witnesses")
AGAIN: Final = _span(HOME, "again")
FILTER_HEAD, SENDERS = _span(FILTER, "others_until", "bits"), _list(FILTER, "senders")
GALLERY_HEAD, GALLERY_COUNT = _span(GALLERY, "fingerprint", "name"), _span(GALLERY, "offsets_used")
OFFSETS: Final = _list(GALLERY, "offsets")
PERSON_TIMES, PERSON_NUMBERS = _span(PERSON, "events", "last_pin_at"), _span(PERSON, "joined_row", "touched")
CALIBRATIONS, PERSON_HABITS = _span(PERSON, "calibration", "live"), _span(PERSON, "habits")
PERSON_STREAMS, PLACES_SEEN = _span(PERSON, "shift", "habit"), _list(PERSON, "places")
ENROLMENTS, MEMBERSHIPS, TAILS = (_list(PERSON, name) for name in ("enrolments", "memberships", "tails"))
PHONE_HEAD = _span(PHONE_STATE, "name", "registrations_used")
REGISTRATIONS: Final = _list(PHONE_STATE, "registrations")
ROW_HEAD, EVENT_ID = _span(ROW, "observed_at", "noises"), _list(ROW, "event_id")
VECTORS, EVIDENCE, SHARES, RATIOS = _span(ROW, "vectors"), _span(ROW, "evidence"), _span(ROW, "shares"), _span(ROW, "llr")
SIGHTINGS, CLAIMS = _list(ROW, "sightings"), _list(ROW, "claims")
VECTOR, RATIO = VECTORS[1] // 2, RATIOS[1] // MODALITIES
EIGHT, NOTHING = np.int64(8), np.int64(0)
OF_KEPT, OF_WAITING = np.int64(GUEST_PLACE), np.int64(UNKNOWN)  # the least person of a claim


# ---- moving bytes


@kernel
def _move(memory, raw, place, size):
    """Move some bytes of a home the way that it goes, if there is room for them."""
    start = raw.cursor
    if size > raw.length - start:
        raw.failed = 1
        return
    here, there, count = np.uint64(place), np.uint64(start), np.uint64(size)  # unsigned: nobody counts from the end
    held, kept = memory.bytes, raw.bytes
    if raw.way == WRITING:
        for i in range(count):
            kept[there + i] = held[here + i]
    else:
        for i in range(count):
            held[here + i] = kept[there + i]
    raw.cursor = start + size


@kernel
def _move_list(memory, raw, place, listed, used):
    """Move the entries of a list that are used; of one that claims more than there is room for, none."""
    if 0 <= used <= listed[2]:
        _move(memory, raw, place + listed[0], used * listed[1])
    else:
        raw.failed = 1


@kernel
def _move_habits(memory, raw, place):
    """Move bits of those counts that are not 0, and these."""
    start = np.uint64(raw.cursor)
    if raw.length - raw.cursor < HABITS_MASK:
        raw.failed = 1
        return
    if raw.way == WRITING:
        for i in range(HABITS_MASK):
            raw.bytes[start + np.uint64(i)] = 0
    raw.cursor += HABITS_MASK
    for i in range(HABITS):
        at, bit = start + np.uint64(i // 8), np.uint8(1 << i % 8)
        if raw.way == WRITING:
            here, there = np.uint64(place + 8 * i), False
            for k in range(np.uint64(8)):
                there = there or memory.bytes[here + k] != 0
            if there:
                raw.bytes[at] |= bit
        if raw.bytes[at] & bit:
            _move(memory, raw, np.int64(place + 8 * i), EIGHT)


@kernel
def _move_shares(memory, raw, place, people):
    """Move evidence, and shares where they are others: a byte tells that."""
    size = 2 * (people + 1)
    _move(memory, raw, place + EVIDENCE[0], size)
    at = np.uint64(raw.cursor)
    if raw.cursor >= raw.length:
        raw.failed = 1
        return
    evidence, shares = np.uint64(place + EVIDENCE[0]), np.uint64(place + SHARES[0])
    if raw.way == WRITING:
        raw.bytes[at] = 0
        for i in range(np.uint64(size)):
            if memory.bytes[evidence + i] != memory.bytes[shares + i]:
                raw.bytes[at] = 1
    else:
        for i in range(np.uint64(size)):
            memory.bytes[shares + i] = memory.bytes[evidence + i]
    raw.cursor += 1
    if raw.bytes[at]:
        _move(memory, raw, place + SHARES[0], size)


# ---- the parts of a home


@kernel
def _move_people(memory, home, raw):
    for column in range(np.int64(home.people_used)):
        person, place = home.people[column], PEOPLE[0] + column * PEOPLE[1]
        _move(memory, raw, place + PERSON_TIMES[0], PERSON_TIMES[1])
        _move(memory, raw, place + PERSON_NUMBERS[0], PERSON_NUMBERS[1])
        _move(memory, raw, place + CALIBRATIONS[0], CALIBRATIONS[1])
        _move_habits(memory, raw, place + PERSON_HABITS[0])
        _move(memory, raw, place + PERSON_STREAMS[0], PERSON_STREAMS[1])
        _move_list(memory, raw, place, PLACES_SEEN, np.int64(home.galleries_used))
        _move_list(memory, raw, place, ENROLMENTS, np.int64(person.enrolments_used))
        _move_list(memory, raw, place, MEMBERSHIPS, np.int64(person.memberships_used))
        _move_list(memory, raw, place, TAILS, np.int64(person.tails_used))


@kernel
def _move_rows(memory, home, raw):
    people = np.int64(home.people_used)
    for index in range(np.int64(home.rows_used)):
        row, place = home.rows[index], ROWS[0] + index * ROWS[1]
        _move(memory, raw, place + ROW_HEAD[0], ROW_HEAD[1])
        _move_list(memory, raw, place, EVENT_ID, np.int64(row.event_id_length))
        for modality in range(2):
            if row.encoders[modality]:
                _move(memory, raw, place + VECTORS[0] + modality * VECTOR, VECTOR)
        _move_shares(memory, raw, place, people)
        for modality in range(MODALITIES):
            if row.modalities & 1 << modality:
                _move(memory, raw, place + RATIOS[0] + modality * RATIO, people)
        _move_list(memory, raw, place, SIGHTINGS, np.int64(row.sightings_used))
        _move_list(memory, raw, place, CLAIMS, np.int64(row.claims_used))


@kernel
def _move_home(memory, home, raw):
    """All of a home, numbers first, for they tell how much there is of the rest."""
    _move(memory, raw, TIMES[0], TIMES[1])
    _move(memory, raw, NUMBERS[0], NUMBERS[1])
    _move(memory, raw, STREAMS[0], STREAMS[1])
    _move_habits(memory, raw, GUEST_HABITS[0])
    if raw.failed or not _counts_fit(home):
        raw.failed = 1
        return
    for gallery in range(np.int64(home.galleries_used)):
        place = GALLERIES[0] + gallery * GALLERIES[1]
        _move(memory, raw, place + GALLERY_HEAD[0], GALLERY_HEAD[1])
        _move(memory, raw, place + GALLERY_COUNT[0], GALLERY_COUNT[1])
        _move_list(memory, raw, place, OFFSETS, np.int64(home.galleries[gallery].offsets_used))
    _move_people(memory, home, raw)
    for phone in range(np.int64(home.phones_used)):
        place = PHONES[0] + phone * PHONES[1]
        _move(memory, raw, place + PHONE_HEAD[0], PHONE_HEAD[1])
        _move_list(memory, raw, place, REGISTRATIONS, np.int64(home.phones[phone].registrations_used))
    _move_rows(memory, home, raw)
    _move_list(memory, raw, NOTHING, DEVICES, np.int64(home.devices_used))
    _move_list(memory, raw, NOTHING, EARS, np.int64(home.ears_used))
    _move_list(memory, raw, NOTHING, REPORTED, np.int64(home.reported_used))
    _move_list(memory, raw, NOTHING, DOUBTS, np.int64(home.doubts_used))
    _move_list(memory, raw, NOTHING, FOLDED, np.int64(home.folded_used))
    _move_list(memory, raw, NOTHING, WAITING, np.int64(home.waiting_used))
    _move_list(memory, raw, NOTHING, FLOORS, np.int64(home.floors_used))
    for kind in range(2):
        for index in range(np.int64(home.seen_used[kind])):
            place = SEEN[0] + (kind * SEEN[2] + index) * SEEN[1]
            _move(memory, raw, place + FILTER_HEAD[0], FILTER_HEAD[1])
            _move_list(memory, raw, place, SENDERS, np.int64(home.seen[kind, index].senders_used))
    _move_list(memory, raw, NOTHING, CONSENTS, np.int64(home.consents_used))
    _move_list(memory, raw, NOTHING, PRESENCES, np.int64(home.presences_used))
    _move_list(memory, raw, NOTHING, WITNESSES, np.int64(home.witnesses_used))
    if home.seen_used[0] > 0:
        _move(memory, raw, AGAIN[0], AGAIN[1])


# ---- bounds


@kernel
def _counts_fit(home):
    """Whether no list of a home has more than there is room for, or less than nothing."""
    fit = 0 <= home.people_used <= PEOPLE_MAX and 0 <= home.phones_used <= PHONES_MAX
    fit = fit and 0 <= home.rows_used <= ROWS_MAX and 0 <= home.galleries_used <= ENCODERS_MAX
    fit = fit and 0 <= home.devices_used <= DEVICES_MAX
    fit = fit and 0 <= home.ears_used <= EARS_MAX and 0 <= home.reported_used <= REPORTED_MAX
    fit = fit and 0 <= home.doubts_used <= DOUBTS_MAX and 0 <= home.folded_used <= FOLDED_MAX
    fit = fit and 0 <= home.waiting_used <= WAITING_MAX and 0 <= home.floors_used <= SENDERS_MAX
    fit = fit and 0 <= home.consents_used <= CONSENTS_MAX and 0 <= home.presences_used <= PEOPLE_MAX
    fit = fit and 0 <= home.witnesses_used <= WITNESSES_MAX
    for kind in range(2):
        fit = fit and 0 <= home.seen_used[kind] <= FILTERS_MAX
    return fit


@kernel
def _claim_fits(home, claim, person_min, kind_max):
    person = person_min <= claim.person <= home.people_used
    return person and 0 <= claim.source < SOURCES and CONFIRM <= claim.kind <= kind_max


@kernel
def _row_fits(home, row):
    """Whether whatever a row refers to is there."""
    people = home.people_used
    fits = 0 <= row.named <= people and 0 <= row.first_named <= people and 0 <= row.label <= people + 1
    fits = fits and 0 <= row.tier <= TIERS + 1 and 0 <= row.first_tier <= TIERS + 1 and 0 <= row.hour < HOURS
    fits = fits and 0 <= row.modalities < 2 << MODALITIES
    for modality in range(2):
        fits = fits and 0 <= row.encoders[modality] <= home.galleries_used
        fits = fits and 0 <= row.channels[modality] < CHANNELS_MAX
    for i in range(row.sightings_used):
        fits = fits and 0 <= row.sightings[i].phone < home.phones_used
    for i in range(row.claims_used):
        fits = fits and _claim_fits(home, row.claims[i], OF_KEPT, np.int64(ENROL))
    return fits


@kernel
def _is_sound(home):
    """Whether what a home refers to is there, nobody is without a membership, and no phone without a registration."""
    people, galleries, sound = home.people_used, home.galleries_used, 0 <= home.alarm_kind < KINDS
    for column in range(people):
        person = home.people[column]
        sound = sound and person.memberships_used > 0
        for i in range(person.tails_used):
            tail = person.tails[i]
            sound = sound and 0 <= tail.encoder < galleries
            sound = sound and 0 <= tail.channel < CHANNELS_MAX and 0 <= tail.learnt < 2
    for i in range(home.phones_used):
        phone = home.phones[i]
        sound = sound and phone.registrations_used > 0
        for k in range(phone.registrations_used):
            sound = sound and 0 <= phone.registrations[k].person <= people
    for i in range(home.rows_used):
        sound = sound and _row_fits(home, home.rows[i])
    for i in range(home.ears_used):
        sound = sound and 0 <= home.ears[i].encoder < galleries
    for i in range(home.reported_used):
        sound = sound and 0 <= home.reported[i].kind < KINDS
    for i in range(home.doubts_used):
        doubt = home.doubts[i]
        sound = sound and NOBODY <= doubt.person <= people and NOBODY <= doubt.source < SOURCES
        sound = sound and (doubt.person == NOBODY) != (doubt.source == NOBODY)
    for i in range(home.waiting_used):
        sound = sound and _claim_fits(home, home.waiting[i].claim, OF_WAITING, np.int64(RETRACT))
    for i in range(home.consents_used):
        sound = sound and 0 < home.consents[i].person <= people
    for i in range(home.presences_used):
        sound = sound and 0 < home.presences[i].person <= people
    for i in range(home.witnesses_used):
        witness = home.witnesses[i]
        sound = sound and 0 <= witness.phone <= home.phones_used and 0 <= witness.person <= people
        sound = sound and (witness.phone == 0) == (witness.person == 0)
    return sound


# ---- words


@kernel
def _word(raw, words, number):
    """The number that a word has from now on."""
    if not 0 <= number < len(words):
        raw.failed = 1
    elif raw.way == RENUMBERING:
        return words[number]
    elif raw.way == WRITING and number > 0 and words[number] == 0:
        words[0] += 1
        words[number] = words[0]  # its number, if words are in the order in which the record refers to them
        if words[0] != number:
            raw.disordered = 1
    return number


@kernel
def _number_words(home, raw, words):
    """See to every word that a home refers to."""
    home.alarm_name = _word(raw, words, home.alarm_name)
    for i in range(len(home.activities)):
        home.activities[i] = _word(raw, words, home.activities[i])
    for i in range(home.galleries_used):
        gallery = home.galleries[i]
        gallery.name = _word(raw, words, gallery.name)
        for k in range(gallery.offsets_used):
            gallery.offsets[k].device_name = _word(raw, words, gallery.offsets[k].device_name)
    for i in range(home.people_used):
        home.people[i].name = _word(raw, words, home.people[i].name)
    for i in range(home.phones_used):
        home.phones[i].name = _word(raw, words, home.phones[i].name)
    for i in range(home.rows_used):
        row = home.rows[i]
        row.device_name, row.activity = _word(raw, words, row.device_name), _word(raw, words, row.activity)
    for i in range(home.devices_used):
        home.devices[i].name = _word(raw, words, home.devices[i].name)
    for i in range(home.ears_used):
        home.ears[i].device_name = _word(raw, words, home.ears[i].device_name)
    for i in range(home.reported_used):
        home.reported[i].name = _word(raw, words, home.reported[i].name)
    for i in range(home.consents_used):
        consent = home.consents[i]
        consent.client = _word(raw, words, consent.client)
        for k in range(len(consent.actions)):
            consent.actions[k] = _word(raw, words, consent.actions[k])
    for i in range(home.presences_used):
        home.presences[i].device_name = _word(raw, words, home.presences[i].device_name)
    for i in range(home.witnesses_used):
        home.witnesses[i].happened = _word(raw, words, home.witnesses[i].happened)


@entry(array(MEMORY), array(HOME), array(RAW), array(np.dtype(np.int16)))
def carry(memories, homes, raws, words):
    """Write a home's bytes, read them, or give its words other numbers.

    It failed if the home counts, or refers to, what is not there, or there are fewer bytes than that; what was read is then of
    no use.

    Parameters
    ----------
    memories, homes
        (1,) each, and the same memory: the home. When it is read all is cleared first.
    raws
        (1,): what is written or read, and which way (WRITING, READING, RENUMBERING).
    words
        By number of a word, and 0. WRITING: 1 is set where it is referred to, and at 0 how many are. READING: only its length
        counts. RENUMBERING: their new numbers.
    """
    memory, home, raw = memories[0], homes[0], raws[0]
    raw.cursor, raw.failed, raw.disordered = 0, 0, 0
    if raw.way == READING:
        held = memory.bytes
        for i in range(len(held)):
            held[i] = 0
        raw.length = min(raw.length, len(raw.bytes))
    else:
        raw.length = len(raw.bytes)
    if raw.way != RENUMBERING:
        _move_home(memory, home, raw)
    if raw.failed == 0:
        _number_words(home, raw, words)
    if raw.failed == 0 and raw.way == READING and not _is_sound(home):
        raw.failed = 1
