"""Phones: what hearing somebody's phone tells of who spoke, and how far to trust that phone.

Law: a phone's evidence is bounded by its reliability, and its reliability is learnt only from what other sensors said. A
report of somebody's phone that a sensor of the home bears out is that phone heard at that moment; but it is no sensor that agrees
with another (`core.answer`).

Theory: of a phone that goes with its owner, P(heard | owner speaks) is high and its signal near; of one that lies on
the counter or went to somebody else, hearing it has nothing to do with who speaks. The evidence is the mixture of
both, the weight (Dawid and Skene 1979 call it the worker's reliability) a log-odds moved by how well either explains
what was heard, given who spoke as seen by voice and face alone.

Reports (`home.witnesses`) are of something that happened: one by a phone and one by a sensor of the home make a pair. Whether
they do is a function of the reports that there are, whichever came first. A device that did not listen, but beside which a pair
tells of a phone, heard that phone; of all others it says nothing.
"""

import math
from typing import Final

import numpy as np

from learners.kernel import kernel

__all__ = [
    "APART_MS", "HEARD_AFTER_MS", "LISTENED", "REPORTED", "doubt_phone", "hear_phones", "hear_witnesses", "is_paired",
    "learn_phone", "learn_strangers", "phone_llr", "stranger_llr", "trust_at",
]  # fmt: skip

SPEAKS: Final = 0.3  # share of a home's events at which one certain person speaks
LOG_ODDS_MIN, LOG_ODDS_MAX = -5.0, 2.0  # a phone can win trust back, and never has all of it
PRIOR_EVENTS: Final = 10.0  # the weight of what is assumed of strangers' phones
EVENTS_MAX: Final = 400.0  # beyond that the older half counts half
LISTENED, REPORTED = 1, 2  # bits of an event's `scanned`: the device listened; pairs told of phones that it had not heard
APART_MS: Final = 10_000  # between two reports of the same, at most
HEARD_BEFORE_MS, HEARD_AFTER_MS = 10_000, 60_000  # an event that long before and after a pair is of who was there


@kernel
def hear_phones(home, seen, number, policy, work):
    """Of every phone, heard or not, that belonged to somebody of the home at event `number`: heard[phone], heard_place[phone].

    `seen` has `sightings` and `scanned`: of an event or of a row. `heard`: nats, the owner speaks against somebody else does, if
    the phone goes with its owner.
    """
    for phone in range(home.phones_used):
        state, work.heard_place[phone] = home.phones[phone], 0
        for r in range(state.registrations_used - 1, -1, -1):
            if state.registrations[r].from_row <= number:
                work.heard_place[phone] = state.registrations[r].person
                break
        work.heard[phone] = policy.phone_unheard if seen.scanned & LISTENED else 0.0
    for s in range(seen.sightings_used):
        signal = policy.slope_per_db * (float(seen.sightings[s].rssi_dbm) - policy.rssi_even_dbm)
        near = max(-policy.signal_llr_max, min(signal, policy.signal_llr_max))
        work.heard[seen.sightings[s].phone] = policy.phone_heard + near


@kernel
def is_paired(home, index):
    """Whether report `index` is of a phone that still is whose it was, and a sensor of the home reports the same."""
    own = home.witnesses[index]
    if own.phone == 0:
        return False
    phone = home.phones[own.phone - 1]
    if phone.registrations[phone.registrations_used - 1].person != own.person:
        return False
    for i in range(home.witnesses_used):
        other = home.witnesses[i]
        if other.phone == 0 and other.happened == own.happened and abs(int(other.at) - int(own.at)) <= APART_MS:
            if other.nonce == 0 or own.nonce == 0 or other.nonce == own.nonce:
                return True
    return False


@kernel
def hear_witnesses(home, row, policy):
    """Let an event have heard the phones that pairs around it tell of, as if neither near nor far; how many it had not heard."""
    heard = 0
    for w in range(home.witnesses_used):
        after = int(row.observed_at) - int(home.witnesses[w].at)
        if -HEARD_BEFORE_MS <= after <= HEARD_AFTER_MS and is_paired(home, w):
            heard += _add_heard(row, int(home.witnesses[w].phone) - 1, policy)
    return heard


@kernel
def _add_heard(row, phone, policy):
    for s in range(row.sightings_used):
        if row.sightings[s].phone == phone:
            return 0
    if row.sightings_used == len(row.sightings):
        return 0
    sighting = row.sightings[row.sightings_used]
    sighting.phone, sighting.rssi_dbm = phone, np.int8(np.rint(policy.rssi_even_dbm))
    row.sightings_used += 1
    row.scanned |= REPORTED
    return 1


@kernel
def trust_at(registration):
    """Probability that the phone goes with its owner; never 0 or 1."""
    return _logistic(registration.prior_log_odds + registration.log_odds)


@kernel
def _logistic(log_odds):
    return 1.0 / (1.0 + math.exp(-log_odds))


@kernel
def _registration(state, number):
    """The index of the registration that held at an event."""
    for r in range(state.registrations_used - 1, -1, -1):
        if state.registrations[r].from_row <= number:
            return r
    return 0


@kernel
def phone_llr(home, number, learnt, work, out):
    """Fill out[column] with nats: what people's phones say; of several phones the one that speaks most for its owner.

    `learnt`: 1, or 0 for phones that are trusted as much as when they were registered.
    """
    for p in range(home.people_used):
        out[p] = 0.0
    for phone in range(home.phones_used):
        if work.heard_place[phone] > 0:
            state, column = home.phones[phone], int(work.heard_place[phone]) - 1
            registration = state.registrations[_registration(state, number)]
            trust = _logistic(registration.prior_log_odds + learnt * registration.log_odds)
            own = math.log(trust * math.exp(work.heard[phone]) + 1.0 - trust)
            out[column] = own if out[column] == 0.0 else max(own, out[column])


@kernel
def learn_phone(state, number, llr, owner, rate):
    """Learn from one event: `owner` is the probability that the owner spoke, by the other sensors.

    Going with its owner, the phone is heard like this with probability proportional to 1 + owner (e^llr - 1); if it
    does not, it is heard in the same way whoever speaks: with the typical share in the place of `owner`.
    """
    registration = state.registrations[_registration(state, number)]
    informative = 1.0 + owner * (math.exp(llr) - 1.0)
    blind = 1.0 + SPEAKS * (math.exp(llr) - 1.0)
    moved = registration.log_odds + rate * math.log(informative / blind)
    registration.log_odds = max(LOG_ODDS_MIN, min(moved, LOG_ODDS_MAX))


@kernel
def doubt_phone(registration):
    """Trust it no more than even, until it proves itself: it may have changed hands."""
    registration.log_odds = max(LOG_ODDS_MIN, min(registration.log_odds, -registration.prior_log_odds))


@kernel
def stranger_llr(strangers, heard):
    """Nats: a guest spoke, against a member, by whether a phone that nobody registered was heard.

    `strangers`: with guests, guests, with members, members. A neighbour's television that is always heard soon says nothing.
    """
    guest = (strangers[0] + 0.3 * PRIOR_EVENTS) / (strangers[1] + PRIOR_EVENTS)
    member = (strangers[2] + 0.1 * PRIOR_EVENTS) / (strangers[3] + PRIOR_EVENTS)
    return math.log(guest / member) if heard else math.log((1.0 - guest) / (1.0 - member))


@kernel
def learn_strangers(strangers, heard, guest):
    """Count an event by the probability that a guest spoke; both sides halve when they get long."""
    strangers[1] += guest
    strangers[3] += 1.0 - guest
    if heard:
        strangers[0] += guest
        strangers[2] += 1.0 - guest
    if strangers[1] + strangers[3] > EVENTS_MAX:
        for i in range(4):
            strangers[i] /= 2.0
