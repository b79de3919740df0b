"""Scratch of the compiled core: what is known of the event at hand, and room to calculate in. Nothing of it lasts."""

import numpy as np

from learners.kernel import kernel, record
from learners.occupancy.whereabouts import STATES
from stream.home.messages import RESULTS_MAX, ROOMS_MAX
from stream.home.state.layout import (
    CHANNELS_MAX,
    CLAIM,
    DIMENSIONS,
    MODALITIES,
    PEOPLE_MAX,
    PHONES_MAX,
    PLACES,
    ROWS_MAX,
    SOURCES,
)

__all__ = ["WORK", "add_result", "clear_result"]

WORK = record(
    ("logits", "<f8", PLACES),  # of guest and every column: prior and all evidence
    ("posterior", "<f8", PLACES),
    ("runs", "<f8", SOURCES + PLACES),  # evidence against each source, and against what is said of each place
    ("prior", "<f8", PLACES),  # log; minus infinity of who does not belong
    ("parts", "<f8", PLACES),  # logits of some terms alone
    ("blind", "<f8", PLACES),  # a posterior without one of the sensors
    ("llr", "<f8", (MODALITIES, PEOPLE_MAX)),  # VOICE, FACE, PHONE, HABIT as they are fused: tempered, before recalibration
    ("found", "<f8", PEOPLE_MAX),  # of the probe, by column, in one gallery
    ("masses", "<f8", PEOPLE_MAX),  # recordings' worth of what a gallery has of somebody, and one
    ("anchored", "<f8", PEOPLE_MAX),  # how far others than the gallery tell that what it has of somebody is theirs: 0 to 1
    ("own", "<f8", ROWS_MAX),  # the same of each kept row alone: whoever made that one recording
    ("alike", "<f8", ROWS_MAX),  # summed over galleries
    ("heard", "<f8", PHONES_MAX),  # by phone: log-likelihood ratio if it goes with its owner
    ("stranger_llr", "<f8"),  # nats: a guest spoke, by whether an unregistered phone was heard
    ("returning_llr", "<f8"),  # nats: a guest who may be one of those who were here
    ("day", "<f8"),  # of the event at hand
    ("at", "<i8"),  # the same in ms
    ("probe_day", "<f8"),
    ("anybody", "<f8"),  # of the probe: distance from people in general, and the logarithm of their spread
    ("claim", CLAIM),  # the one at hand
    ("states", "<f8", (PEOPLE_MAX, STATES)),  # where everybody is, in the order of `presences`; see learners.occupancy
    ("ratios", "<f8", PEOPLE_MAX),  # the same: how much likelier an event is with them at home
    ("room_shares", "<f8", ROOMS_MAX),  # probabilities of `rooms`
    ("tables", "<f8", (3, ROWS_MAX, PLACES)),  # of all rows at once, for a cold home
    ("raw", "<f4", (2, DIMENSIONS)),  # vectors of VOICE and FACE as they came
    ("aligned", "<f4", (2, DIMENSIONS)),  # less what the device adds
    ("probe", "<f4", DIMENSIONS),  # what is compared: a vector, less the centre, times the scale
    ("total", "<f4", (3, DIMENSIONS)),
    ("channel_sums", "<f4", (CHANNELS_MAX, DIMENSIONS)),  # of a person: weighted vectors by channel
    ("channel_mass", "<f4", CHANNELS_MAX),
    ("expected", "<f4", DIMENSIONS),  # where the probe would lie if made by some people, or another mean
    ("centre", "<f4", DIMENSIONS),  # of what is compared: where the people of the home lie
    ("inverse", "<f4", DIMENSIONS),  # 1 / variance between people
    ("between", "<f4", DIMENSIONS),
    ("held", "<f4", (2, 3, DIMENSIONS)),  # by modality: centre, between and inverse of its gallery, while `holds`
    ("held_scale", "<f4", 2),
    ("weights", "<f4", ROWS_MAX),  # of whole kept rows
    ("scale", "<f4"),  # of what is compared: 1, but where a home learns it
    ("probe_noise", "<f4"),
    ("probe_channel", "<i4"),
    ("gallery", "<i4"),  # where the probe is compared
    ("held_gallery", "<i4", 2),  # whose model is held; -1: none
    ("event", "<i4"),  # index of the event at hand, for results
    ("terms", "<i4"),  # of the posterior being made
    ("run_claims", "<i4", SOURCES + PLACES),  # claims that it is made of
    ("enrol_outcomes", "<i4"),  # bits of what became of an enrolment's events
    ("members", "<i4"),  # bits of the columns that an answer lists
    ("shares", "<i2", PLACES),  # of an event, before they are taken
    ("evidence", "<i2", PLACES),
    ("before", "<i2", (ROWS_MAX, PLACES)),  # shares of all rows, before they are inferred anew
    ("rooms", "<i2", ROOMS_MAX),  # words of devices where somebody may be
    ("heard_place", "i1", PHONES_MAX),  # by phone: its owner's place; 0: nobody's, or not of this home
    ("alike_known", "i1", ROWS_MAX),  # which rows were compared
    ("skips", "i1"),  # the enrolment going on was not admitted
    ("fresh", "i1"),  # somebody's profile is to be published
    ("modalities", "i1"),  # bits of VOICE, FACE, PHONE, HABIT: which rows of `llr` count
    ("alone", "i1"),  # compare with each kept row alone, too
    ("enrolled_only", "i1"),  # compare as if nothing were known of people but what was enrolled by hand
    ("holds", "i1"),  # nothing is learnt now that models are made of
    ("reserved", "u1", 3),
)


@kernel
def add_result(out, kind, event, at):
    """Room for one more result; its index. When there is none the last is written over and `overflowed` says so."""
    index = out.results_used
    if index < RESULTS_MAX:
        out.results_used = index + 1
    else:
        out.overflowed += 1
        index = RESULTS_MAX - 1
    clear_result(out.results[index])
    out.results[index].kind = kind
    out.results[index].event = event
    out.results[index].event_at = at
    return index


@kernel
def clear_result(result):
    """Everything 0, but for the number of an unnamed guest: none."""
    result.observed_at, result.probability, result.log_e = 0, 0.0, 0.0
    for place in range(PLACES):
        result.posterior[place] = 0.0
    for kind in range(len(result.beliefs)):
        result.beliefs[kind] = 0.0
    result.unnamed, result.profile, result.members = np.int32(-1), np.int32(-1), np.uint32(0)
    result.label_revision, result.revision, result.streams, result.name = 0, 0, 0, 0
    result.outcome, result.refusal, result.tier, result.named, result.modalities = 0, 0, 0, 0, 0
    result.withdrawn, result.cause, result.source, result.adapted, result.adapted_galleries = 0, 0, 0, 0, 0
    result.held, result.event_id_length = 0, 0
    for i in range(ROOMS_MAX):
        result.rooms[i] = 0
