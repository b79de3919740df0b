"""The cause of a change: what is believed of everything that is watched in a home, and which one is named.

Law: a home's evidence is the mean over all it is watched for, weighed by how often each kind of cause is met
a priori, so that its own mean is at most 1 as long as nothing changes. The largest part names the cause; less
than half of the whole is "unknown". Looking changes nothing. Whose a recording is, is asked of everything but
itself, unless the policy wants it otherwise.

A *subject* is a kind of cause (as in CAUSES) and a word, in one number: KIND * kind + word; word 0 of what
the home has one of. In scratch, by kind and by index among devices, people (columns) or galleries: tables[0]
has parts and then beliefs, tables[1] nats of each gallery (ENCODERS_MAX * kind + gallery; NaN: not known),
tables[2] whose each row is.
"""

import math
from typing import Final

import numpy as np

from learners.drift.localise import evidence_of_shift, evidence_of_some
from learners.drift.residual import residuals_in
from learners.drift.sequential import EQUAL, RATE_SHARES, STARTS, evidence_of
from learners.kernel import kernel
from learners.precision import SHARE_STEP
from learners.recognition.fusion import softmax
from learners.recognition.phones import LISTENED, stranger_llr
from learners.recognition.presence import log_prior
from stream.home.messages import CAUSES
from stream.home.state.layout import ENCODERS_MAX, MODALITIES, PLACES, SOURCES

__all__ = [
    "CLAIMED_MIN", "DEVICE", "ENCODER", "FEEDBACK", "HABIT", "KIND", "PERSON", "PHONE", "ROWS_MIN", "UNKNOWN",
    "UNKNOWN_VOICES", "believe", "count_subjects", "evidence_about", "find_owners", "part_causes",
]  # fmt: skip

KIND: Final = 65_536
DEVICE, PERSON, ENCODER, PHONE, HABIT, FEEDBACK, UNKNOWN_VOICES, UNKNOWN = range(1, 9)
KINDS: Final = len(CAUSES)
MET: Final = (0.0, 0.4, 0.3, 0.0, 0.1, 0.05, 0.05, 0.1, 0.0)  # how often each kind of cause is met
ENCODER_SHARE: Final = 0.25  # how often it is an encoder, against one device
NAMED_MIN: Final = 0.5
ROWS_MIN: Final = 4  # recordings: fewer say nothing of who or what moved
CLAIMED_MIN: Final = 0.9  # of an event's shares, all claims considered: then feedback says who it was
OWNED_MIN: Final = 1.0  # recordings: of whom there are fewer, nothing can be said to have moved
LLR_STEP: Final = 1 / 16  # nats


@kernel
def evidence_about(home, subject):
    """(e-value, number of an event): the evidence that a subject changed, and since when its surest stream
    has it.

    The mean over all that is watched of it; nothing of what is not watched.
    """
    kind, name = subject // KIND, subject % KIND
    total, streams, most, since = 0.0, 0, -1.0, 0
    if kind == DEVICE:
        for i in range(home.ears_used):
            if home.ears[i].device_name == name:
                stakes = home.ears[i].moved.numbers[4:]
                evidence = evidence_of(stakes, EQUAL) / STARTS
                total, streams = total + evidence, streams + 1
                if evidence > most:
                    most, since = evidence, int(stakes[0])
    elif kind in (PERSON, PHONE, HABIT):
        for column in range(home.people_used):
            if home.people[column].name == name:
                person = home.people[column]
                if kind == PERSON:
                    return evidence_of(person.shift.numbers[4:], EQUAL) / STARTS, int(person.shift.numbers[4])
                stakes = person.phone.numbers[2:] if kind == PHONE else person.habit.numbers[2:]
                return evidence_of(stakes, RATE_SHARES) / STARTS, int(stakes[0])
    elif kind == UNKNOWN_VOICES:
        stakes = home.unknown_voices.numbers[2:]
        return evidence_of(stakes, RATE_SHARES) / STARTS, int(stakes[0])
    elif kind == FEEDBACK:
        for source in range(SOURCES):
            if home.sources[source].claims.session.session > 0:
                stakes = home.sources[source].claims.numbers[2:]
                evidence = evidence_of(stakes, RATE_SHARES) / STARTS
                total, streams = total + evidence, streams + 1
                if evidence > most:
                    most, since = evidence, int(stakes[0])
    return total / max(streams, 1), since


@kernel
def count_subjects(home):
    """(subjects, people): what has shown anything yet, and every device; of how many people."""
    subjects, people, feedback = int(home.devices_used), 0, 0
    for column in range(home.people_used):
        person = home.people[column]
        shown = int(person.shift.session.session > 0) + int(person.phone.session.session > 0)
        shown += int(person.habit.session.session > 0)
        seen = 0
        for gallery in range(ENCODERS_MAX):
            seen += person.places[gallery].seen
        subjects += shown
        if shown + seen > 0:
            people += 1
    for source in range(SOURCES):
        if home.sources[source].claims.session.session > 0:
            feedback = 1
    return subjects + feedback + int(home.unknown_voices.session.session > 0), people


@kernel
def _subject(home, kind, index):
    """The subject of a kind at an index, or 0 if there is none."""
    name = np.int64(0)
    if kind == DEVICE:
        name = np.int64(home.devices[index].name) if index < home.devices_used else name
    elif kind == ENCODER:
        name = np.int64(home.galleries[index].name) if index < home.galleries_used else name
    elif kind in (PERSON, PHONE, HABIT):
        name = np.int64(home.people[index].name) if index < home.people_used else name
    elif index == 0 and kind in (FEEDBACK, UNKNOWN_VOICES):
        return np.int64(KIND * kind)
    return KIND * kind + name if name > 0 else np.int64(0)


@kernel
def part_causes(home, work):
    """Fill tables[0] with each subject's evidence times how often that is met: (sum, surest subject)."""
    _, people = count_subjects(home)
    total, most, surest = 0.0, -1.0, np.int64(0)
    for kind in range(KINDS):
        alike = 1
        if kind == DEVICE:
            alike = max(1, int(home.devices_used))
        elif kind in (PERSON, PHONE, HABIT):
            alike = max(1, people)
        for index in range(PLACES):
            work.tables[0, kind, index] = 0.0
            subject = _subject(home, kind, index)
            if subject > 0 and MET[kind] > 0.0:
                part = MET[kind] / alike * evidence_about(home, subject)[0]
                work.tables[0, kind, index] = part
                total += part
                if part > most:
                    most, surest = part, subject
    return total, surest


@kernel
def find_owners(home, encoder, first, policy, work):
    """Fill tables[2] with whose a gallery's kept recordings from event `first` on are: by row, guest first.
    And work.inverse.

    By claims where they are sure, else by all but the recording itself (`own_attribution`: by all there is).
    """
    numbers, people = policy.encoders[home.galleries[encoder].number], int(home.people_used) + 1
    for k in range(numbers.dimensions):
        work.inverse[k] = np.float32(1) / numbers.between[k]
    for i in range(home.rows_used):
        row, owned = home.rows[i], work.tables[2, i]
        if row.number < first or row.encoders[numbers.modality] != encoder + 1:
            continue
        most, total = 0, 0
        for place in range(people):
            most, total = max(most, int(row.shares[place])), total + int(row.shares[place])
        if policy.own_attribution != 0 or (row.claims_used > 0 and most * SHARE_STEP >= CLAIMED_MIN):
            for place in range(people):
                owned[place] = int(row.shares[place]) / max(total, 1)
            continue
        log_prior(home, row.observed_at, policy, work.parts)
        if row.scanned & LISTENED:
            work.parts[0] += stranger_llr(home.strangers, row.stranger)
        for modality in range(MODALITIES):
            if modality != numbers.modality and int(row.modalities) & (1 << modality) != 0:
                for place in range(1, people):
                    work.parts[place] += int(row.llr[modality, place - 1]) * LLR_STEP
        softmax(work.parts, people, work.blind)
        for place in range(people):
            owned[place] = work.blind[place]


@kernel
def _belongs(home, cause, index, row, work):
    """How far a kept recording is a cause's, 0 to 1."""
    if cause == PERSON:
        return work.tables[2, row, index + 1]
    if cause == DEVICE and home.rows[row].device_name != home.devices[index].name:
        return 0.0
    return 1.0 - work.tables[2, row, 0]


@kernel
def _add_channels(home, encoder, where, policy, work):
    """Add to work.own, one dimension of a gallery's recordings from an event on, what their channel adds beside
    what those of their device had before it.

    `where`: that event and the dimension.
    """
    first, dimension = where
    numbers, slot = policy.encoders[home.galleries[encoder].number], encoder + 1
    modality = numbers.modality
    for i in range(home.rows_used):
        row, before, usual = home.rows[i], 0, 0.0
        if row.number < first or row.encoders[modality] != slot:
            continue
        for j in range(i):
            other = home.rows[j]
            if other.number < first and other.encoders[modality] == slot and other.device_name == row.device_name:
                before += 1
                usual += np.float64(numbers.channel_means[other.channels[modality], dimension])
        work.own[i] += np.float64(numbers.channel_means[row.channels[modality], dimension]) - usual / max(before, 1)


@kernel
def _explain(home, encoder, since, policy, work):
    """Fill tables[1]: nats for each device, person and encoder that it moved one gallery's vectors."""
    numbers, rows, devices = policy.encoders[home.galleries[encoder].number], 0, 0
    first = np.int64(0)
    for i in range(home.rows_used):
        if home.rows[i].number >= since and home.rows[i].encoders[numbers.modality] == encoder + 1:
            first = np.int64(home.rows[i].number) if rows == 0 else first
            rows, devices = rows + 1, devices + 1
            for j in range(i):
                row = home.rows[j]
                its = row.number >= first and row.encoders[numbers.modality] == encoder + 1
                if its and row.device_name == home.rows[i].device_name:
                    devices -= 1
                    break
    if rows < ROWS_MIN:
        return
    find_owners(home, encoder, first, policy, work)
    for dimension in range(-1, np.int64(numbers.dimensions)):  # the weights come first
        if dimension >= 0:
            residuals_in(home, encoder, first, dimension, work)
            _add_channels(home, encoder, (first, dimension), policy, work)
        for kind in range(DEVICE, ENCODER + 1):
            for index in range(PLACES):
                if _subject(home, kind, index) == 0 or (kind == ENCODER and index != encoder):
                    continue
                total, there = 0.0, 0
                for i in range(home.rows_used):
                    row = home.rows[i]
                    if row.number >= first and row.encoders[numbers.modality] == encoder + 1:
                        weight = _belongs(home, kind, index, i, work)
                        total += weight * (work.own[i] if dimension >= 0 else 1.0)
                        there += int(kind == DEVICE and row.device_name == home.devices[index].name)
                found = work.tables[1, ENCODERS_MAX * kind + encoder]
                if dimension >= 0:
                    found[index] += total * total
                    continue
                known = there > 0 or (kind == ENCODER and devices > 1)
                known = known or (kind == PERSON and total >= OWNED_MIN)
                found[index] = 0.0 if known else math.nan
                work.tables[1, ENCODERS_MAX * (ENCODER + 1 + kind) + encoder, index] = total
    for kind in range(DEVICE, ENCODER + 1):
        for index in range(PLACES):
            found = work.tables[1, ENCODERS_MAX * kind + encoder]
            if not math.isnan(found[index]):
                mass = work.tables[1, ENCODERS_MAX * (ENCODER + 1 + kind) + encoder, index]
                found[index] = evidence_of_shift(found[index], mass, numbers.dimensions)


@kernel
def believe(home, since, policy, work):
    """Turn the parts of tables[0] into what is believed of each cause, 0 to 1; the subject that is named.

    That of most belief, if it is at least half. Of those that move recordings also counts what the kept
    events since then show.
    """
    for kind in range(DEVICE, ENCODER + 1):
        for encoder in range(ENCODERS_MAX):
            for index in range(PLACES):
                work.tables[1, ENCODERS_MAX * kind + encoder, index] = math.nan
    for encoder in range(np.int64(home.galleries_used)):
        _explain(home, encoder, since, policy, work)
    beliefs, nats = work.tables[0], work.tables[1]
    whole, of_devices, total, most, named = 0.0, 0.0, 0.0, -math.inf, np.int64(KIND * UNKNOWN)
    for index in range(PLACES):
        of_devices += beliefs[DEVICE, index]
        whole += beliefs[DEVICE, index] + beliefs[PERSON, index]
    for encoder in range(np.int64(home.galleries_used)):
        known = not math.isnan(nats[ENCODERS_MAX * ENCODER + encoder, encoder])
        beliefs[ENCODER, encoder] = ENCODER_SHARE * of_devices if known else 0.0
    for kind in range(DEVICE, ENCODER + 1):
        for index in range(PLACES):
            if beliefs[kind, index] > 0.0:
                first = ENCODERS_MAX * kind
                shown = evidence_of_some(nats[first : first + ENCODERS_MAX, index], ENCODERS_MAX)
                beliefs[kind, index] = math.log(beliefs[kind, index]) + shown
                most = max(most, beliefs[kind, index])
            else:
                beliefs[kind, index] = -math.inf
    for kind in range(DEVICE, ENCODER + 1):
        for index in range(PLACES):
            beliefs[kind, index] = math.exp(beliefs[kind, index] - most) if most > -math.inf else 0.0
            total += beliefs[kind, index]
    for kind in range(DEVICE, ENCODER + 1):
        for index in range(PLACES):
            beliefs[kind, index] *= whole / max(total, 1.0)
    total, most = 0.0, 0.0
    for kind in range(KINDS):
        for index in range(PLACES):
            total += beliefs[kind, index]
    for kind in range(KINDS):
        for index in range(PLACES):
            beliefs[kind, index] /= total if total > 0.0 else 1.0
            if beliefs[kind, index] > most:
                most, subject = beliefs[kind, index], _subject(home, kind, index)
                named = subject if most >= NAMED_MIN else named
    return named
