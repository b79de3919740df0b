"""HOME: everything that is remembered of a household, as one record of named fields.

Law: nothing that could be derived stands here, and every number is at stored precision: a home that was written and
read back goes on as the one that was not. Strings are not here: people, devices, phones, activities and encoders are
*words*, numbers from 1 that stand in a table beside the record (`names`); ids of events and of feedback are 48-bit
hashes, but for the kept events' own ids, which revisions need. Every field is told in FIELDS: its unit, its limit and
the reason.

Numbers that are calculated with are signed, so that interpreted and compiled arithmetic agree. Columns are numbered
as in `people`. Where a list has the guest too it is first, so that a person's place is their column + 1: in shares,
and wherever a field is called `person`. Times are milliseconds (`…_at`), 0 where there is none.
"""

from typing import Final

from learners.kernel import record
from learners.occupancy.whereabouts import STATES

__all__ = [
    "ACTIVITIES_MAX", "AGAIN_BYTES", "CHANNELS_MAX", "CLAIM", "CLAIMS_MAX", "CONSENT", "CONSENTS_MAX", "CONSENT_ACTIONS_MAX",
    "DEVICES_MAX", "DIMENSIONS", "DOUBTS_MAX", "EARS_MAX", "ENCODERS_MAX", "ENROLMENTS_MAX", "FACE", "FILTERS_MAX",
    "FILTER_BYTES", "FOLDED_MAX", "FOLDED_PER_PERSON", "GALLERY", "GUEST_PLACE", "HABIT", "HEADING", "HOME", "HOURS",
    "ID_MAX", "MEMBERSHIPS_MAX", "MODALITIES", "NOBODY", "NOT_COUNTED", "OFFSETS_MAX", "PEOPLE_MAX", "PERSON", "PHONE",
    "PHONES_MAX", "PHONE_STATE", "PLACES", "PRESENCE", "REGISTRATIONS_MAX", "REPORTED_MAX", "ROW", "ROWS_MAX", "SEEN_PER_FILTER",
    "SENDERS_MAX", "SIGHTING", "SIGHTINGS_MAX", "SOURCES", "TAILS_MAX", "TIERS", "UNKNOWN", "USUAL", "VOICE",
    "WAITING_MAX", "WITNESS", "WITNESSES_MAX",
]  # fmt: skip

PEOPLE_MAX: Final = 16  # members of a home, and who left a short while ago
PLACES: Final = PEOPLE_MAX + 1  # guest, then every column
ROWS_MAX: Final = 33  # kept events: 8 for each of 4 people, and the one that just came
CLAIMS_MAX: Final = 4  # kept about one event: beyond that the lowest in rank goes
DIMENSIONS: Final = 64  # of a projected vector: 32 lose 1.5 to 4 points of top-1, more gain nothing
ENCODERS_MAX: Final = 4  # whose vectors one home keeps: two modalities, and the next version of each
CHANNELS_MAX: Final = 8  # kinds of recording that a pack knows
PHONES_MAX: Final = 32  # registered in a home
REGISTRATIONS_MAX: Final = 4  # of one phone: older ones can no longer be retracted
SIGHTINGS_MAX: Final = 16  # registered phones heard at one event
MEMBERSHIPS_MAX: Final = 4  # of one person: older ones can no longer be retracted
ENROLMENTS_MAX: Final = 4  # guided enrolments of a person that are known by name: older ones cannot be taken back
FOLDED_PER_PERSON: Final = 8  # claims on folded events that can still be taken back
FOLDED_MAX: Final = 120
TAILS_MAX: Final = 12  # folded pasts of one person, over encoders, channels, and enrolled or learnt
OFFSETS_MAX: Final = 2  # devices whose offset is kept, by encoder
CONSENTS_MAX: Final = 24  # that stand in a home, of all its people: more are refused
CONSENT_ACTIONS_MAX: Final = 8  # of one consent
WITNESSES_MAX: Final = 16  # reports of what happened at a home, of the last minutes: of more the oldest goes
WAITING_MAX: Final = 32  # claims that came before their event
DOUBTS_MAX: Final = 20  # runs of claims that contradict the sensors: by source, or about one person
FILTERS_MAX: Final = 8  # in which records are known again; a small home has fewer
FILTER_BYTES: Final = 256
AGAIN_BYTES: Final = 128  # of the youngest of recognitions: 11 bits more, and it takes one of 2.7 million for seen
SEEN_PER_FILTER: Final = 96  # ids: 21 bits each, so that a full one takes one of 18,000 others for seen
SENDERS_MAX: Final = 16  # with a floor of their own
DEVICES_MAX: Final = 16  # that are watched
EARS_MAX: Final = PEOPLE_MAX  # encoders of devices that are watched
REPORTED_MAX: Final = 96  # subjects of change that something was reported of
HOURS: Final = 8  # bins of three
ACTIVITIES_MAX: Final = 17  # told apart in habits, and one that just came
TIERS: Final = 4  # the fifth is the fourth and a proof
SOURCES: Final = 4  # voice, app, pin, annotator: by rank
ID_MAX: Final = 64  # bytes of an id
HEADING: Final = 24  # dimensions that a mean shift is looked for in
USUAL: Final = 16  # dimensions that a person's shift is looked for in

VOICE, FACE, PHONE, HABIT = 0, 1, 2, 3  # rows of a table of log-likelihood ratios
MODALITIES: Final = 4
GUEST_PLACE: Final = 0
UNKNOWN: Final = -1  # a claim's person that is not yet known: "yes" of an event that has not come
NOBODY: Final = -1
NOT_COUNTED: Final = -1  # of a claim's `right`: it tells nothing of how reliable its source is

CLAIM = record(
    ("feedback", "<u8"),  # hash of the feedback that said it
    ("given_at", "<i8"),
    ("day", "<i4"),  # of stream time, when it was counted
    ("right", "<i2"),  # share steps: as right as it was counted; NOT_COUNTED: not
    ("nats", "<i2"),  # NATS_STEP: what it weighs, fixed when it was counted
    ("source", "i1"),
    ("kind", "i1"),  # CONFIRM, REJECT, CORRECT, ENROL of `events`; in `waiting` also RETRACT
    ("person", "i1"),  # place
    ("reserved", "u1", 5),
)
SIGHTING = record(("phone", "i1"), ("rssi_dbm", "i1"))  # index in `phones`
ROW = record(
    ("observed_at", "<i8"),
    ("event", "<u8"),  # hash of the event's id
    ("number", "<i4"),  # rising
    ("unnamed", "<i4"),  # number of the first event of the same recurring guest; -1: nobody like them was here
    ("inferred", "<i4"),  # `next_row` when it was last inferred
    ("device_name", "<i2"),  # word
    ("activity", "<i2"),  # word; 0: none
    ("revision", "<i2"),
    ("label_revision", "<i2"),  # of the last label published; -1: none
    ("modalities", "i1"),  # bits of VOICE, FACE, PHONE, HABIT: which rows of `llr` count; 16: a voice or a face came
    ("scanned", "i1"),  # bits: 1: the device listened for phones; 2: witnesses told of some that it had not heard
    ("stranger", "i1"),  # a phone that nobody had registered was heard
    ("counted", "i1"),  # its shares are in presence and habits (guided enrolment is in neither)
    ("tier", "i1"),
    ("named", "i1"),  # place; 0: nobody
    ("first_tier", "i1"),  # of the first answer
    ("first_named", "i1"),
    ("label", "i1"),  # place + 1; 0: none
    ("unsettled", "i1"),  # 1: a statement changed its claims; 2: it was proven. Cleared before the step ends
    ("hour", "i1"),
    ("claims_used", "i1"),
    ("sightings_used", "i1"),
    ("event_id_length", "i1"),
    ("encoders", "i1", 2),  # of VOICE and FACE: index in `galleries` + 1; 0: no vector is kept
    ("channels", "i1", 2),
    ("noises", "u1", 2),  # NOISE_STEP
    ("event_id", "u1", ID_MAX),
    ("vectors", "i1", (2, DIMENSIONS)),  # VECTOR_STEP
    ("evidence", "<i2", PLACES),  # share steps: the posterior of sensors and prior alone
    ("shares", "<i2", PLACES),  # the same with claims
    ("reserved", "u1", 4),
    ("llr", "i1", (MODALITIES, PEOPLE_MAX)),  # LLR_STEP, as at the answer
    ("sightings", SIGHTING, SIGHTINGS_MAX),
    ("claims", CLAIM, CLAIMS_MAX),
)
CALIBRATION = record(  # logistic regression on log-likelihood ratios: weights of VOICE and FACE, and an offset (nats)
    ("weights", "<f8", 2),
    ("offset", "<f8"),
    ("learnt", "<i4"),  # comparisons
    ("known", "i1", 2),  # whether a modality ever taught its weight
    ("reserved", "u1", 2),
)
TAIL = record(  # one row that stands for many: what was folded of a person
    ("day", "<f8"),  # mean time
    ("since", "<f8"),  # first time, days
    ("mass", "<f4"),  # recordings
    ("encoder", "i1"),  # index in `galleries`
    ("learnt", "i1"),  # 0: enrolled by hand, 1: all else
    ("channel", "i1"),
    ("anchored", "i1"),  # 1/100: how far others than these recordings said whose they are
    ("vector", "<i2", DIMENSIONS),  # MEAN_STEP
)
SESSION = record(("total", "<f4"), ("session", "<i4"), ("events", "<i4"))  # the session going on: sum of values, number, events
RISE = record(("session", SESSION), ("numbers", "<f4", 9))  # real values that should not rise; see learners.drift
RATE = record(("session", SESSION), ("numbers", "<f4", 7))  # shares that should stay
PLACE = record(("seen", "<i4"), ("usual", "<i2", USUAL))  # where somebody usually is, by encoder (MEAN_STEP)
MEMBERSHIP = record(
    ("joined_by", "<u8"),
    ("left_by", "<u8"),
    ("left_at", "<i8"),
    ("told_at", "<i8"),  # of stream time, when that was said: from then on it is counted when they are forgotten
)
PERSON = record(
    ("events", "<i8"),  # share steps learnt, ever
    ("published", "<i8"),  # the same at the last profile
    ("last_seen_at", "<i8"),
    ("last_pin_at", "<i8"),
    ("enrolments", "<u8", ENROLMENTS_MAX),  # feedback that stands, oldest first
    ("memberships", MEMBERSHIP, MEMBERSHIPS_MAX),  # oldest first; more than one of who left and soon came back
    ("calibration", CALIBRATION),  # learnt from claims on events that have left the ledger
    ("live", CALIBRATION),  # and with the claims of the ledger's; derived, but dear
    ("habits", "<f8", HOURS + ACTIVITIES_MAX + 2),  # by hour, by activity, and both totals; see `habits_day`
    ("joined_row", "<i4"),  # number of the first event after the first `join`
    ("revision", "<i4"),  # of the next profile
    ("presence", "<i4"),  # share steps: how often met
    ("name", "<i2"),  # word
    ("rollback", "<i2", 2),  # 1/16: evidence that enrolment alone is the better profile, of VOICE and FACE
    ("memberships_used", "i1"),
    ("enrolments_used", "i1"),
    ("tails_used", "i1"),
    ("enrol_faults", "i1"),  # bits: what was wrong with recordings that they enrolled; see core.feedback.enrolment
    ("touched", "i1"),  # its profile is to be published: cleared before the step ends
    ("reserved", "u1", 5),
    ("shift", RISE),  # whether they stray from where they usually are
    ("phone", RATE),  # how often their phone speaks against them
    ("habit", RATE),
    ("places", PLACE, ENCODERS_MAX),
    ("reserved_too", "u1", 4),
    ("tails", TAIL, TAILS_MAX),
)
REGISTRATION = record(
    ("feedback", "<u8"),
    ("prior_log_odds", "<f8"),  # that the phone goes with its owner
    ("log_odds", "<f8"),  # and what was learnt of that
    ("from_row", "<i4"),
    ("person", "i1"),  # place; 0: nobody's
    ("reserved", "u1", 3),
)
PHONE_STATE = record(
    ("registrations", REGISTRATION, REGISTRATIONS_MAX),  # oldest first
    ("name", "<i2"),
    ("registrations_used", "i1"),
    ("reserved", "u1", 5),
)
OFFSET = record(("device_name", "<i2"), ("vector", "<i2", DIMENSIONS))  # what a device adds (MEAN_STEP)
GALLERY = record(  # what a home keeps of one encoder, beside rows and tails
    ("fingerprint", "<u4"),  # of the projection: under another, what is kept means nothing
    ("name", "<i2"),
    ("number", "i1"),  # in the policy; set when the home is brought
    ("offsets_used", "i1"),
    ("offsets", OFFSET, OFFSETS_MAX),  # the device heard longest ago first
)
SOURCE = record(
    ("right", "<i4"),  # share steps, beside the prior's
    ("wrong", "<i4"),
    ("day", "<i4"),  # of stream time
    ("spent", "<i4"),  # NATS_STEP, on that day
    ("claims", RATE),  # how often claims contradict the sensors
)
DEVICE = record(("seen_at", "<i8"), ("session", "<i4"), ("name", "<i2"), ("reserved", "u1", 2))
EAR = record(  # one encoder on one device: what its vectors have beside those who made them
    ("moved", RISE),
    ("seen", "<i4"),
    ("lately", "<i2", HEADING),  # MEAN_STEP
    ("usual", "<i2", HEADING),
    ("device_name", "<i2"),
    ("encoder", "i1"),
    ("reserved", "u1"),
)
REPORTED = record(("at", "<i8"), ("log_e", "<i2"), ("name", "<i2"), ("kind", "i1"), ("settled", "i1"), ("reserved", "u1", 2))
DOUBT = record(("reported_at", "<i8"), ("source", "i1"), ("person", "i1"), ("suspended", "i1"), ("reserved", "u1", 5))
FOLDED = record(("feedback", "<u8"), ("owners", "<i4"), ("learnt", "i1"), ("reserved", "u1", 3))  # bits of columns
WAITING = record(("event", "<u8"), ("claim", CLAIM))
CONSENT = record(
    ("consent", "<u8"),  # hash of its id, of which ids for the client are made
    ("given_at", "<i8"),
    ("expires_at", "<i8"),  # 0: when it is revoked
    ("client", "<i2"),  # word; 0: a forbid
    ("actions", "<i2", CONSENT_ACTIONS_MAX),  # words; 0: none
    ("person", "i1"),  # place
    ("scopes", "i1"),  # bits of SCOPES in rights.consents; of a forbid: from which tier on, 0: none
    ("reserved", "u1", 4),
)
PRESENCE = record(  # whether a person is at home; see core.presence
    ("since", "<i8"),  # ms: of what was published last; 0: nothing was, or it was taken back
    ("folded_at", "<i8"),  # up to when `states` has what the ledger no longer keeps
    ("acted_at", "<i8"),  # when they were last at a device, of what was folded
    ("states", "<f4", STATES),  # probabilities then; see learners.occupancy
    ("listened", "<f4", 2),  # while they were at home: how often their phone was heard, and how often a device listened
    ("acted", "<f4", 2),  # the same: how often they came to a device, and hours
    ("home", "<f4"),  # probability of being at home, as published last
    ("half_life_h", "<f4"),  # of that, as published last
    ("revision", "<i4"),  # of what is published next
    ("device_name", "<i2"),  # word: where they were last, as published; 0: nowhere
    ("person", "i1"),  # place
    ("present", "i1"),  # they are taken to be at home
)
WITNESS = record(  # a report of something that happened at the home; see rights.sightings
    ("at", "<i8"),  # ms
    ("nonce", "<i8"),  # hash; 0: none
    ("happened", "<i2"),  # word
    ("phone", "i1"),  # index in `phones` + 1; 0: a sensor of the home reports it
    ("person", "i1"),  # place of who had that phone then
    ("reserved", "u1", 4),
)
SENDER = record(("sender", "<u8"), ("at", "<i8"))
FILTER = record(  # ids of records that were seen, in their order; see core.admission
    ("others_until", "<i8"),  # ms: the latest of the senders beyond SENDERS_MAX
    ("ids", "<i2"),
    ("senders_used", "i1"),
    ("reserved", "u1", 5),
    ("bits", "u1", FILTER_BYTES),
    ("senders", SENDER, SENDERS_MAX),  # and their latest times
)
HOME = record(
    ("stream_time", "<i8"),  # the greatest time that records agree on; see core.admission
    ("other_time", "<i8"),  # another, that some record said
    ("time_senders", "<u8", 2),  # who said so last: the time that is believed, and the other
    ("floor_of_others", "<i8"),  # whatever of a sender without a floor is not later may have been seen and forgotten
    ("strangers", "<f8", 4),  # phones nobody registered: heard with guests, guests, with members, members
    ("habits_day", "<f8"),  # the latest
    ("habits_origin", "<f8"),  # counts are in units of 2 ** ((day - origin) / half-life)
    ("guest_habits", "<f8", HOURS + ACTIVITIES_MAX + 2),
    ("next_row", "<i4"),
    ("next_rebuild", "<i4"),  # at that number everything is inferred anew (people who never enrolled)
    ("guest_presence", "<i4"),  # share steps
    ("visits", "<f4", 2),  # pairs of events at a device within a visit: of the same person, of another
    ("alarm_since", "<i4"),
    ("alarm_noticed", "<i4"),
    ("thresholds", "<i4", (TIERS, 2)),  # 1/4096 nats, by tier: of guests answered as members, of members as others
    ("activities", "<i2", ACTIVITIES_MAX),  # words, in the order met; 0: free
    ("alarm_name", "<i2"),
    ("seen_used", "i1", 2),  # of recognitions, and of feedback
    ("time_words", "i1", 2),  # how many records agree on it, up to three; a second sender counts as three
    ("time_vouched", "i1", 2),  # some record came when it says that it was made
    ("alarm_kind", "i1"),  # 0: none
    ("people_used", "i1"),
    ("rows_used", "i1"),
    ("phones_used", "i1"),
    ("galleries_used", "i1"),
    ("devices_used", "i1"),
    ("ears_used", "i1"),
    ("reported_used", "i1"),
    ("doubts_used", "i1"),
    ("folded_used", "i1"),
    ("waiting_used", "i1"),
    ("floors_used", "i1"),
    ("anew", "i1"),  # a statement asks that all be inferred anew: cleared before the step ends
    ("consents_used", "i1"),
    ("presences_used", "i1"),
    ("witnesses_used", "i1"),
    ("reserved", "u1", 10),
    ("unknown_voices", RATE),  # shares of guests
    ("sources", SOURCE, SOURCES),
    ("galleries", GALLERY, ENCODERS_MAX),
    ("people", PERSON, PEOPLE_MAX),
    ("phones", PHONE_STATE, PHONES_MAX),
    ("rows", ROW, ROWS_MAX),  # the ledger: the last events, oldest first
    ("devices", DEVICE, DEVICES_MAX),
    ("ears", EAR, EARS_MAX),
    ("reported", REPORTED, REPORTED_MAX),
    ("doubts", DOUBT, DOUBTS_MAX),
    ("folded", FOLDED, FOLDED_MAX),  # claims that have left the ledger, oldest first
    ("waiting", WAITING, WAITING_MAX),
    ("floors", SENDER, SENDERS_MAX),
    ("consents", CONSENT, CONSENTS_MAX),  # that were not revoked, oldest first
    ("presences", PRESENCE, PEOPLE_MAX),  # in the order in which people came; none where presence is not published
    ("witnesses", WITNESS, WITNESSES_MAX),  # in the order in which they came
    ("seen", FILTER, (2, FILTERS_MAX)),  # recognitions, then feedback; the youngest filter first
    ("again", "u1", AGAIN_BYTES),  # the ids of the youngest filter of recognitions once more, by other bits
)
