"""What goes into the compiled core and what comes out of it: numbers between the words at both ends.

Law: an EVENT is what a decoded record means in this home, its words numbered; a RESULT is what is to be said because
of it, in the order it is to be said. `names` makes the one, `publish` turns the other into records.
"""

from typing import Final

from learners.kernel import record
from stream.home.state.layout import (
    ACTIVITIES_MAX,
    CHANNELS_MAX,
    DIMENSIONS,
    HEADING,
    ID_MAX,
    PEOPLE_MAX,
    PLACES,
    SIGHTING,
    SIGHTINGS_MAX,
    SOURCES,
    TIERS,
    USUAL,
)

__all__ = [
    "ADAPTATIONS", "ADMITTED", "ANSWER", "CAUSES", "CLAIM_KINDS", "CONFIRM", "CORRECT", "ENCODER_NUMBERS", "ENROL",
    "ENROLMENT_FAULTS", "EVENT", "FOLLOW_UP", "LABEL", "OUT", "OUTCOME", "OUTCOMES", "POLICY",
    "POLICY_ENCODERS_MAX", "PRESENCE_KIND", "PROFILE",
    "PROFILES_MAX", "PROFILE_KIND", "PROTOTYPE", "PROTOTYPES_MAX", "RECOGNITION",
    "REFUSALS", "REJECT", "RESULT", "RESULTS_MAX", "RETRACT", "ROOMS_MAX", "SIGNAL", "STATEMENT",
]  # fmt: skip

# Kinds of event
RECOGNITION, CONFIRM, REJECT, CORRECT, ENROL, RETRACT, STATEMENT, FOLLOW_UP = range(8)
CLAIM_KINDS: Final = {CONFIRM: "confirm", REJECT: "reject", CORRECT: "correct", ENROL: "enrol", RETRACT: "retract"}
# STATEMENT: something rare (join, leave, phone, retract, erase) asks to be admitted; FOLLOW_UP: it was done, bring all in line.

EVENT = record(
    ("at", "<i8"),  # its own time, ms
    ("arrived", "<i8"),  # the record's, ms; 0: it has none
    ("record", "<u8"),  # hash of the record's id: of an event, or of a feedback
    ("sender", "<u8"),  # hash of whose clock that is
    ("event", "<u8"),  # hash of the event that it is, or is about
    ("home", "<i4"),  # index among the homes of the batch
    ("device_name", "<i2"),  # word
    ("activity", "<i2"),  # word; 0: none
    ("encoder_names", "<i2", 2),  # words, of VOICE and FACE
    ("kind", "i1"),
    ("source", "i1"),  # index: voice, app, pin, annotator
    ("person", "i1"),  # place; UNKNOWN: names nobody of this home
    ("hour", "i1"),  # bin
    ("scanned", "i1"),
    ("stranger", "i1"),
    ("sightings_used", "i1"),
    ("event_id_length", "i1"),
    ("encoders", "i1", 2),  # of VOICE and FACE: number in the policy + 1; 0: none
    ("channels", "i1", 2),
    ("noises", "u1", 2),
    ("first", "i1"),  # of an enrolment's events the first, which is admitted for all
    ("last", "i1"),  # and the last, after which the home is tidied
    ("erases", "i1"),  # a statement that hangs on no clock
    ("sensed", "i1"),  # a statement that a sensor makes: its id is kept among those of recognitions
    ("reserved", "u1", 2),
    ("event_id", "u1", ID_MAX),
    ("vectors", "i1", (2, DIMENSIONS)),
    ("sightings", SIGHTING, SIGHTINGS_MAX),
    ("own", "i1", PEOPLE_MAX),  # LLR_STEP, by column: what the policy's own model says of a recognition; see home.own
)

# Kinds of result
OUTCOME, ANSWER, LABEL, SIGNAL, PROFILE_KIND, ADMITTED, PRESENCE_KIND = range(7)
ROOMS_MAX: Final = 4  # of somebody, that are told
OUTCOMES: Final = (
    "answered", "used", "contradictory", "early", "duplicate", "expired", "unknown_person", "unknown_event", "rejected",
    "refused", "wrong_clock", "bad_enrolment", "stale", "nonce", "other_person",
    "unknown_device", "no_sighting", "other_factor",
)  # fmt: skip
REFUSALS: Final = ("", "too_old", "forgotten", "future")
# Kinds of subject
ENROLMENT_FAULTS: Final = ("repeated", "apart", "of_another", "of_nobody")  # bits; see core.feedback.enrolment
CAUSES: Final = ("none", "device", "person", "encoder", "phone", "habit", "feedback", "unknown_voices", "unknown")
# What was done: of a device, a person, a phone; watched anew; claims suspended or counting again; a profile rolled back.
ADAPTATIONS: Final = ("", "device", "person", "phone", "anew", "suspended", "restored", "rolled_back", "crosswise", "exchanged")

RESULT = record(
    ("observed_at", "<i8"),
    ("event_at", "<i8"),
    ("probability", "<f8"),  # of a label; of a presence: of being at home
    ("log_e", "<f8"),  # of a signal, nats; of a presence its half-life, hours
    ("posterior", "<f8", PLACES),
    ("beliefs", "<f8", 9),  # of a signal, by kind of cause
    ("event", "<i4"),  # index in the batch
    ("unnamed", "<i4"),  # of a label: number of the recurring guest's first event; -1
    ("profile", "<i4"),  # index in the profiles
    ("members", "<u4"),  # bits of the columns that the posterior lists
    ("label_revision", "<i4"),
    ("revision", "<i4"),
    ("streams", "<i4"),  # of a signal: subjects that are watched
    ("name", "<i2"),  # of a signal: word of a device or encoder, or of a person
    ("rooms", "<i2", ROOMS_MAX),  # of a presence: words of devices, whose probabilities are in `posterior`
    ("kind", "i1"),
    ("outcome", "i1"),
    ("refusal", "i1"),  # index in REFUSALS
    ("tier", "i1"),
    ("named", "i1"),  # place; 0: nobody. Of a label: whom; of a presence: they are taken to be at home
    ("modalities", "i1"),  # bits; of a label: what supports it, 8: the guest returned
    ("withdrawn", "i1"),
    ("cause", "i1"),  # of a signal: index in CAUSES
    ("source", "i1"),  # of a signal about claims: index + 1; 0: none
    ("adapted", "i1"),  # index in ADAPTATIONS
    ("adapted_galleries", "i1"),  # bits
    ("held", "i1"),  # 1: a signal about claims or a profile, whose id says so; 2: the fleet is to forget a person, or the home
    ("event_id_length", "i1"),
    ("reserved", "u1", 5),
    ("event_id", "u1", ID_MAX),
)
PROTOTYPES_MAX: Final = 48
PROTOTYPE = record(
    ("since", "<i8"),  # ms
    ("mass", "<f8"),
    ("vector", "<f4", DIMENSIONS),
    ("device_name", "<i2"),  # word; 0: the folded past
    ("encoder", "i1"),  # index in the galleries
    ("reserved", "u1", 5),
)
PROFILE = record(
    ("trust", "<f8"),
    ("drift", "<f8"),
    ("events", "<f8"),
    ("last_seen_at", "<i8"),
    ("updated_at", "<i8"),
    ("weights", "<f8", 2),  # calibration, of VOICE and FACE
    ("offset", "<f8"),
    ("learnt", "<f8"),
    ("habits", "<f8", 27),  # as of a person
    ("phones", "<u8"),  # bits of the home's phones
    ("revision", "<i4"),
    ("known", "i1", 2),  # which weights were ever taught
    ("column", "i1"),
    ("prototypes_used", "i1"),
    ("activities", "<i2", ACTIVITIES_MAX),  # the words that `habits` counts
    ("enrol_faults", "i1"),  # bits, of ENROLMENT_FAULTS
    ("reserved", "u1", 5),
    ("prototypes", PROTOTYPE, PROTOTYPES_MAX),
)

POLICY_ENCODERS_MAX: Final = 16
ENCODER_NUMBERS = record(
    ("temperature", "<f8"),
    ("centre_spread", "<f8"),  # variance a dimension of where the people of a home lie
    ("fingerprint", "<i8"),  # of the projection
    ("between", "<f4", DIMENSIONS),  # variance between people, in units of that within one
    ("noise", "<f4", CHANNELS_MAX),
    ("shift", "<f4", (CHANNELS_MAX, CHANNELS_MAX)),  # variance of a person's move between channels
    ("channel_means", "<f4", (CHANNELS_MAX, DIMENSIONS)),  # what a channel adds to everybody, which vectors come without
    ("heading_scale", "<f4", HEADING),
    ("heading", "<i4", HEADING),  # the dimensions in which people differ least
    ("usual", "<i4", USUAL),  # dimensions evenly spread
    ("dimensions", "<i4"),
    ("channels", "<i4"),
    ("heading_used", "<i4"),
    ("usual_used", "<i4"),
    ("modality", "<i4"),
    ("fitted", "<i4"),
)
POLICY = record(
    ("late_ms", "<i8"),
    ("gap_ms", "<i8"),
    ("ahead_ms", "<i8"),
    ("ledger_ms", "<i8"),
    ("waiting_ms", "<i8"),
    ("departed_ms", "<i8"),
    ("pin_ms", "<i8"),
    ("session_ms", "<i8"),
    ("rows_per_person", "<i8"),
    ("waiting_max", "<i8"),
    ("phone_heard", "<f8"),  # log(heard with owner / heard without)
    ("phone_unheard", "<f8"),  # log((1 - …) / (1 - …))
    ("slope_per_db", "<f8"),
    ("rssi_even_dbm", "<f8"),
    ("signal_llr_max", "<f8"),
    ("phone_rate", "<f8"),
    ("forgetting_per_day", "<f8"),
    ("forgetting_most", "<f8"),
    ("tail_mass_max", "<f8"),
    ("unanchored_temper", "<f8"),
    ("unnamed_llr_min", "<f8"),
    ("new_guest_weight", "<f8"),
    ("rebuild_growth", "<f8"),
    ("habits_half_life_days", "<f8"),
    ("guest_share", "<f8"),
    ("guest_weight", "<f8"),
    ("person_weight", "<f8"),
    ("presence_events_max", "<f8"),
    ("prior_right", "<f8", SOURCES),
    ("prior_wrong", "<f8", SOURCES),
    ("nats_enrolled", "<f8"),
    ("nats_max", "<f8"),
    ("echo_nats", "<f8"),
    ("daily_nats", "<f8", SOURCES),
    ("suspicious_from", "<f8"),
    ("least_log_odds", "<f8", TIERS),  # of the tiers' least probabilities
    ("aims", "<f8", TIERS),  # of wrong answers: budget times share
    ("tier_rate", "<f8"),
    ("lower_nats", "<f8"),
    ("higher_nats", "<f8"),
    ("revision_change_min", "<f8"),
    ("label_min", "<f8"),
    ("label_withdrawn_below", "<f8"),
    ("label_llr_min", "<f8"),
    ("profile_events", "<f8"),
    ("sure", "<f8"),
    ("alarm_nats", "<f8"),  # evidence at which a home alarms
    ("decide_after_events", "<i8"),
    ("adapting", "<i8"),
    ("presence", "<i8"),  # it is published
    ("home_share", "<f8"),
    ("home_half_life_h", "<f8"),
    ("phone_heard_home", "<f8"),
    ("phone_heard_away", "<f8"),
    ("phone_off", "<f8"),
    ("phone_left", "<f8"),
    ("phone_half_life_h", "<f8"),
    ("present_from", "<f8"),
    ("away_from", "<f8"),
    ("silence", "<f8"),
    ("presence_change_min", "<f8"),
    ("own_attribution", "<i8"),  # the whole answer says who it was, and not everything but the sensor in question
    ("encoders", ENCODER_NUMBERS, POLICY_ENCODERS_MAX),
)

RESULTS_MAX: Final = 4_096
PROFILES_MAX: Final = 64
OUT = record(
    ("results_used", "<i4"),
    ("profiles_used", "<i4"),
    ("overflowed", "<i4"),  # results that found no room: an error of ours
    ("next_event", "<i4"),  # where `apply` stopped: there is more to do
    ("purge", "<i4"),  # of this home somebody left so long ago that they are to be forgotten before it goes on; -1: none
    ("reserved", "<i4"),
    ("results", RESULT, RESULTS_MAX),
    ("profiles", PROFILE, PROFILES_MAX),
)
