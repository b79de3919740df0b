"""Presence: who is at home and where, from phones, voices, faces and what is done.

Law: it is a function of the events that the ledger keeps, of what was folded of others, and of the home's time. So a claim that
gives an event another owner moves presence too, batches and restarts do not, and time nearly as was published:
to + (p - to) 2^(-t / half-life). It is published when it is not as foretold, when somebody is elsewhere, when they come or go.

Theory: each person is a chain of their own (`learners.occupancy`). An event is of one of those who are at home or of a guest,
each as often as ever; so that it was somebody's with probability s speaks for their being at home by

    W / (w + W) (1 + s / S)

where S is what others have of the event and W what they have of all, members as far as they are at home, and w what the person
has of all. Of an event that tells nothing s / S is w / W, and that is 1. What speaks against somebody counts less of events that
follow on one another: they are one visit.

`present` has two thresholds: it begins at one and ends at a lower one, so that it does not flap between.
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel
from learners.occupancy.whereabouts import MODES, ON, STATES, at_home, pass_time, see_phone, settle_down, weigh_home
from learners.precision import SHARE_STEP
from learners.recognition.phones import LISTENED, trust_at
from learners.recognition.presence import belongs, log_prior
from learners.recognition.visits import CAME
from stream.home.core.work import add_result
from stream.home.messages import PRESENCE_KIND, ROOMS_MAX
from stream.home.state.layout import HABIT, HOURS, PHONE

__all__ = ["fold_presence", "tell_presence"]

HOUR_MS: Final = 3_600_000.0
DAY_MS, BIN_MS = 86_400_000, 10_800_000
HOURS_MAX: Final = 10_000.0  # as good as for ever
LEAST: Final = 0.002  # of an event that others may have: no answer is surer
LISTENS_H: Final = 1 / 30  # between two times that a device listens for phones, for both to count in full
VISIT_H: Final = 0.5  # the same of events that are somebody else's
EVIDENCE_MS: Final = 3_600_000  # how long something is told to speak for somebody
SILENT_H_MAX: Final = 4.0  # of longer, nobody knows whether anything listened
VISIT_MS: Final = 900_000  # between two events of one visit
ACTS_PER_HOUR: Final = 0.5  # visits at home, until it is learnt
ACTED_PRIOR_H: Final = 24.0  # hours' worth of that assumption
ACTED_H_MAX: Final = 500.0  # beyond that the older half counts half
HOUR_SMOOTHING: Final = 0.02  # of what somebody does, spread evenly over the day
TRUSTED: Final = 0.5  # a phone that goes with its owner this surely counts in full
LISTENED_PRIOR: Final = 10.0  # times' worth of what is assumed of how often a phone is heard
LISTENED_MAX: Final = 200.0  # beyond that the older half counts half
AHEAD_MS: Final = 5_400_000  # for how it goes on is told by what is usual so much later
MOST: Final = 0.5  # of an event: it is told to be theirs
ROOM_H: Final = 0.5  # half-life of where somebody is, at home
ROOM_LEAST: Final = 0.05  # probability of a room that is told


# ---- the ledger in order of time


@kernel
def _next_row(home, after, index):
    """The kept event that follows on one at time `after` with that index (-1: all at that time follow); -1: none does."""
    found = -1
    for i in range(home.rows_used):
        at = int(home.rows[i].observed_at)
        if (at > after or (at == after and i > index >= 0)) and (found < 0 or at < int(home.rows[found].observed_at)):
            found = i
    return found


@kernel
def _last_fold(home):
    """Up to when events were folded."""
    at = 0
    for n in range(home.presences_used):
        at = max(at, int(home.presences[n].folded_at))
    return at


# ---- evidence


@kernel
def _rates(presence, policy):
    """How often a phone is heard that is at home and on, and one that is not."""
    heard = policy.phone_heard_home * LISTENED_PRIOR + float(presence.listened[0])
    return min(heard / (LISTENED_PRIOR + float(presence.listened[1])), 0.99), policy.phone_heard_away


@kernel
def _phone_of(home, row, place):
    """Whether somebody's phone was heard, and how far it is to be trusted; (False, 0) of somebody who has none."""
    heard, trusted = False, 0.0
    for phone in range(home.phones_used):
        state, owner, at = home.phones[phone], 0, 0
        for r in range(state.registrations_used):
            if state.registrations[r].from_row <= row.number:
                owner, at = int(state.registrations[r].person), r
        if owner == place:
            here = False
            for s in range(row.sightings_used):
                here = here or row.sightings[s].phone == phone
            trust = trust_at(state.registrations[at])
            if here and not heard:
                heard, trusted = True, trust
            elif here == heard:
                trusted = max(trusted, trust)
    return heard, trusted


@kernel
def _pace(home, place, at):
    """How much somebody does at that time of the day, against the average."""
    habits, hour = home.people[place - 1].habits, at % DAY_MS // BIN_MS
    total = 0.0
    for i in range(HOURS):
        total += habits[i]
    return 1.0 if total <= 0.0 else HOURS * (habits[hour] / total + HOUR_SMOOTHING) / (1.0 + HOURS * HOUR_SMOOTHING)


@kernel
def _weigh_silence(home, at, hours, policy, work):
    """For some hours until now somebody did nothing, as far as is known; who usually does then is less likely at home."""
    for n in range(home.presences_used):
        presence = home.presences[n]
        rate = (ACTS_PER_HOUR * ACTED_PRIOR_H + float(presence.acted[0])) / (ACTED_PRIOR_H + float(presence.acted[1]))
        silent = min(hours, SILENT_H_MAX) * _pace(home, int(presence.person), at - np.int64(hours * HOUR_MS / 2))
        weigh_home(work.states[n], math.exp(-policy.silence * rate * silent))


@kernel
def _count_acts(home, row, hours, acts, work):
    """Learn how often people come to a device, at home; what follows within a quarter of an hour is the same visit."""
    for n in range(home.presences_used):
        presence = home.presences[n]
        presence.acted[1] += np.float32(min(hours, SILENT_H_MAX) * at_home(work.states[n]))
        if acts and float(row.shares[presence.person]) * SHARE_STEP > MOST:
            if int(row.observed_at) - int(presence.acted_at) > VISIT_MS:
                presence.acted[0] += np.float32(1.0)
            presence.acted_at = row.observed_at
        if float(presence.acted[1]) > ACTED_H_MAX:
            presence.acted[0] *= np.float32(0.5)
            presence.acted[1] *= np.float32(0.5)


@kernel
def _weigh_event(home, row, hours, work):
    """Who made an event is at home. `hours`: since the event before. work.prior has log probabilities."""
    of_others, of_all = float(row.shares[0]) * SHARE_STEP, math.exp(work.prior[0])
    for n in range(home.presences_used):
        place, home_now = int(home.presences[n].person), at_home(work.states[n])
        of_others += float(row.shares[place]) * SHARE_STEP * home_now
        of_all += math.exp(work.prior[place]) * home_now
    for n in range(home.presences_used):
        place, home_now = int(home.presences[n].person), at_home(work.states[n])
        own, usual = float(row.shares[place]) * SHARE_STEP, math.exp(work.prior[place])
        if usual > 0.0:
            others, rest = max(of_others - own * home_now, LEAST), max(of_all - usual * home_now, LEAST)
            ratio = rest / (usual + rest) * (1.0 + own / others)
            work.ratios[n] = ratio if ratio >= 1.0 else ratio ** min(1.0, hours / VISIT_H)
        else:
            work.ratios[n] = 1.0
    for n in range(home.presences_used):
        weigh_home(work.states[n], work.ratios[n])


@kernel
def _weigh_phones(home, row, listening, policy, work):
    """Whose phone was heard. `listening`: hours since a device did so before, and whether it is learnt how often they are."""
    hours, learns = listening
    weight = min(1.0, hours / LISTENS_H)
    for n in range(home.presences_used):
        presence = home.presences[n]
        heard, trust = _phone_of(home, row, int(presence.person))
        if trust > 0.0:
            if learns:
                _count_listening(presence, heard, work.states[n])
            see_phone(work.states[n], heard, _rates(presence, policy), weight * min(1.0, trust / TRUSTED))


@kernel
def _count_listening(presence, heard, state):
    """Learn how often a phone is heard that is there and on, as far as it is believed to be."""
    there = np.float32(state[MODES + ON])
    presence.listened[1] += there
    if heard:
        presence.listened[0] += there
    if float(presence.listened[1]) > LISTENED_MAX:
        presence.listened[0] *= np.float32(0.5)
        presence.listened[1] *= np.float32(0.5)


@kernel
def _half_life_h(home, place, at, policy):
    """In what time half of what is known of somebody is no longer so: long, when they usually do nothing, at night."""
    return policy.home_half_life_h / _pace(home, place, at)


@kernel
def _pass_time(home, at, hours, policy, work):
    """Let hours pass until a time."""
    for n in range(home.presences_used):
        half_life_h = _half_life_h(home, int(home.presences[n].person), at - np.int64(hours * HOUR_MS / 2), policy)
        phone = policy.phone_off, policy.phone_left, policy.phone_half_life_h
        pass_time(work.states[n], hours, (policy.home_share, half_life_h), phone)


@kernel
def _step(home, index, moment, policy, work):
    """Go on to a kept event, and see what it tells. `moment`: when the event before was, when one last listened (ms), and whether
    it learns; the same afterwards.
    """
    before, listened, learns = moment
    row, at = home.rows[index], int(home.rows[index].observed_at)
    hours = min(float(at - before) / HOUR_MS, HOURS_MAX)
    _pass_time(home, at, hours, policy, work)
    _weigh_silence(home, at, hours, policy, work)
    acts = (row.modalities & CAME) != 0 or row.activity > 0
    if learns:
        _count_acts(home, row, hours, acts, work)
    if acts:
        _weigh_event(home, row, hours, work)
    if row.scanned & LISTENED:
        _weigh_phones(home, row, (min(float(at - listened) / HOUR_MS, HOURS_MAX), learns), policy, work)
        listened = at
    return at, listened, learns


# ---- what is known


@kernel
def _begin(home, policy, work):
    """What is believed as of what was folded, in work.states; everybody who belongs to the home is listed."""
    for p in range(home.people_used):
        known = False
        for n in range(home.presences_used):
            known = known or home.presences[n].person == p + 1
        if not known and belongs(home.people[p], 0):
            _list_person(home, p + 1)
    log_prior(home, 0, policy, work.prior)
    for n in range(home.presences_used):
        presence = home.presences[n]
        if presence.folded_at == 0:
            settle_down(work.states[n], policy.home_share, policy.phone_off, policy.phone_left)
        else:
            for i in range(STATES):
                work.states[n, i] = float(presence.states[i])


@kernel
def _list_person(home, place):
    """Nothing is known of them yet."""
    presence = home.presences[home.presences_used]
    home.presences_used += 1
    presence.since, presence.folded_at, presence.acted_at, presence.home, presence.revision = 0, 0, 0, 0.0, 0
    presence.device_name, presence.person, presence.present, presence.half_life_h = 0, place, 0, 0.0
    for i in range(STATES):
        presence.states[i] = 0.0
    for i in range(2):
        presence.listened[i], presence.acted[i] = 0.0, 0.0


@kernel
def fold_presence(home, index, policy, work):
    """An event leaves the ledger: what it tells of presence is kept, unless something later was folded before."""
    before, at = _last_fold(home), int(home.rows[index].observed_at)
    if at <= before:
        return
    _begin(home, policy, work)
    _step(home, index, (before, before, 1), policy, work)
    for n in range(home.presences_used):
        home.presences[n].folded_at = at
        for i in range(STATES):
            home.presences[n].states[i] = np.float32(work.states[n, i])


@kernel
def tell_presence(home, policy, work, out):
    """Publish of everybody what is not as it was foretold."""
    _begin(home, policy, work)
    now, before = int(home.stream_time), _last_fold(home)
    moment, index = (before, before, 0), _next_row(home, before, -1)
    while index >= 0 and int(home.rows[index].observed_at) <= now:
        moment = _step(home, index, moment, policy, work)
        index = _next_row(home, moment[0], index)
    hours = min(float(max(now - moment[0], 0)) / HOUR_MS, HOURS_MAX)
    _pass_time(home, now, hours, policy, work)
    for n in range(home.presences_used):
        presence = home.presences[n]
        if belongs(home.people[presence.person - 1], 0):
            _tell(home, n, now, policy, (work, out))
        else:
            presence.since, presence.device_name, presence.present = 0, 0, 0


@kernel
def _tell(home, n, now, policy, scratch):
    """Publish somebody's presence, if that is news."""
    work, out = scratch
    presence, share = home.presences[n], at_home(work.states[n])
    device = _rooms(home, int(presence.person), now, work)
    passed = float(max(now - int(presence.since), 0)) / HOUR_MS
    half_life_h = max(float(presence.half_life_h), LEAST)
    told = policy.home_share + (float(presence.home) - policy.home_share) * 2.0 ** (-passed / half_life_h)
    present = int(presence.present)
    if share >= policy.present_from:
        present = 1
    elif share <= policy.away_from:
        present = 0
    moved = presence.since == 0 or abs(share - told) >= policy.presence_change_min or present != presence.present
    if not moved and (device == 0 or device == presence.device_name):
        return
    result = out.results[add_result(out, PRESENCE_KIND, work.event, now)]
    result.probability, result.named, result.revision = share, present, presence.revision
    result.name, result.modalities = home.people[presence.person - 1].name, _evidence(home, int(presence.person), now)
    for i in range(ROOMS_MAX):
        result.rooms[i], result.posterior[i] = work.rooms[i], work.room_shares[i] * share
    presence.half_life_h = np.float32(_half_life_h(home, int(presence.person), now + AHEAD_MS, policy))
    result.log_e = float(presence.half_life_h)
    presence.since, presence.home, presence.device_name, presence.present = now, np.float32(share), device, present
    presence.revision += 1


@kernel
def _rooms(home, place, now, work):
    """Fill work.rooms and work.room_shares with devices where somebody is, if they are at home; the likeliest device, 0: none."""
    for i in range(ROOMS_MAX):
        work.rooms[i], work.room_shares[i] = 0, 0.0
    before = index = -1
    index = _next_row(home, before, -1)
    while index >= 0 and int(home.rows[index].observed_at) <= now:
        row = home.rows[index]
        at, share = int(row.observed_at), float(row.shares[place]) * SHARE_STEP
        fades = 2.0 ** (-min(float(at - max(before, 0)) / HOUR_MS, HOURS_MAX) / ROOM_H)
        if row.modalities & CAME or row.activity > 0:
            _move_to(work, row.device_name, share, fades)
            before = at
        index = _next_row(home, at, index)
    fades, device, most = 2.0 ** (-min(float(now - max(before, 0)) / HOUR_MS, HOURS_MAX) / ROOM_H), 0, 0.0
    for i in range(ROOMS_MAX):
        work.room_shares[i] *= fades
        if work.room_shares[i] < ROOM_LEAST:
            work.rooms[i], work.room_shares[i] = 0, 0.0
        elif work.room_shares[i] > most:
            device, most = int(work.rooms[i]), work.room_shares[i]
    return device


@kernel
def _move_to(work, device, share, fades):
    """Somebody was at a device with probability `share`; of four, the least likely gives way to another."""
    found = least = 0
    known = False
    for i in range(ROOMS_MAX):
        work.room_shares[i] *= fades * (1.0 - share)
        if work.rooms[i] == device:
            found, known = i, True
        if work.room_shares[i] < work.room_shares[least]:
            least = i
    if not known:
        found = least
        work.rooms[found], work.room_shares[found] = device, 0.0
    work.room_shares[found] += share


@kernel
def _evidence(home, place, now):
    """Bits of what spoke for somebody within the last hour: VOICE, FACE, PHONE, and HABIT of what was only done."""
    bits = 0
    for i in range(home.rows_used):
        row = home.rows[i]
        if now - EVIDENCE_MS <= int(row.observed_at) <= now:
            if float(row.shares[place]) * SHARE_STEP > MOST:
                for modality in range(2):
                    bits |= 1 << modality if row.encoders[modality] > 0 else 0
                bits |= 1 << HABIT if row.activity > 0 else 0
            if row.scanned & LISTENED and row.sightings_used > 0 and _phone_of(home, row, place)[0]:
                bits |= 1 << PHONE
    return bits
