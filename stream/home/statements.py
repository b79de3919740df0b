"""Statements: who belongs to a home, whose a phone is, what is taken back, what is to be forgotten.

Law: a statement changes facts alone: memberships, registrations, claims, columns, and exact counts of what is gone. What is to
be inferred from that is marked (`unsettled` rows, `touched` people, `anew` and `next_rebuild` of the home), for the compiled
core to bring in line. Nothing said cannot be taken back but erasure, after which no byte of a person is in the record: not their
vectors, nor what was said of them, nor their phones; their name goes when the home is written.
"""

import math
from typing import Any, Final, NamedTuple

import numpy as np

from learners.kernel import array, entry
from learners.precision import SHARE_ONE, SHARE_STEP
from stream.contract.policy import Policy
from stream.contract.records import GUEST, Consent, Erase, Join, Leave, Phone, Proof, Retract, Sighting
from stream.home.core.admission.seen import FEEDBACK
from stream.home.core.learn import HABIT_SHARE_MIN, recalibrate
from stream.home.messages import CAUSES, RETRACT
from stream.home.rights.consents import consent
from stream.home.rights.nonces import is_told
from stream.home.rights.proofs import prove
from stream.home.rights.sightings import forget_witnesses, sight
from stream.home.state.household import DAY_MS, Household, append, take_out
from stream.home.state.layout import ACTIVITIES_MAX, HOME, HOURS, NOT_COUNTED, PEOPLE_MAX, PHONES_MAX, UNKNOWN, WAITING_MAX
from stream.home.state.names import hash_id

__all__ = [
    "ACTIVITIES_TOTAL", "BY_ACTIVITY", "HOURS_TOTAL", "Done", "Statement", "erase_home", "erase_person", "forget_person",
    "forget_phone", "purge_departed", "recalibrate_home", "recount_row", "state", "uncount_claim", "unlearn_row",
]  # fmt: skip

SHARE_MAX: Final = 0.05  # an event that may be the person's with more than this goes with them
HABIT_NOTHING: Final = 1e-6  # of what was taken back: that little is rounding, not a count
BY_ACTIVITY, HOURS_TOTAL = HOURS, HOURS + ACTIVITIES_MAX  # of habits
ACTIVITIES_TOTAL: Final = HOURS_TOTAL + 1
LEARNT: Final = 1  # which tails: all that was not enrolled by hand
DEVICE: Final = CAUSES.index("device")
KEPT_OF_ALL: Final = (  # of a home that is erased: only what tells that a record was seen
    "next_row", "floor_of_others", "seen_used", "floors_used", "floors", "seen", "again",
)  # fmt: skip

Statement = Join | Leave | Phone | Retract | Erase | Consent | Proof | Sighting


class Done(NamedTuple):
    """What came of a statement.

    `outcomes`: words of OUTCOMES, for counting. Then whose profiles are no more; and who is to be forgotten by the fleet, too
    (None: the whole home).
    """

    outcomes: list[str]
    tombstones: list[str]
    erased: list[str | None]


def state(household: Household, value: Statement, policy: Policy, at: int, arrived: int = 0) -> Done:
    """Do what a statement asks for as of a time (ms), or say in one outcome why not; it was admitted already.

    `arrived`: the record's own time, ms; 0: it has none.
    """
    done, home = Done([], [], []), household.record
    match value:
        case Proof():
            return Done([prove(household, value, policy, arrived)], [], [])
        case Consent():
            return Done([consent(household, value)], [], [])
        case Sighting():
            return Done([sight(household, value, policy)], [], [])
    waiting, own = home["waiting"], hash_id("feedback", value.feedback_id)
    early = _is(waiting["claim"]["kind"], RETRACT) & _is(waiting["event"], own)
    if take_out(home, "waiting", early) and not isinstance(value, Erase):
        done.outcomes.append("used")  # it was taken back before it came
        return done
    match value:
        case Join():
            outcome = _join(household, value, policy)
        case Leave():
            outcome = _leave(household, value, at, done)
        case Phone():
            outcome = _phone(household, value, policy)
        case Retract():
            outcome = _retract(household, value, policy, done)
        case Erase():
            outcome = _erase(household, value, policy, done)
    done.outcomes.append(outcome)
    return done


def _is(values: Any, number: int) -> Any:
    return values == np.array(number, values.dtype)


# ---- people and phones


def _people(home: Any) -> Any:
    return home["people"][: int(home["people_used"])]


def _membership(person: Any) -> Any:
    """The last of a person's."""
    return person["memberships"][int(person["memberships_used"]) - 1]


def _is_present(person: Any) -> bool:
    """Belongs to the household now."""
    return not _membership(person)["left_at"]


def _is_unanchored(home: Any) -> bool:
    """Whether somebody of the household never enrolled."""
    return any(_is_present(person) and not person["enrolments_used"] for person in _people(home))


def _touch(home: Any, place: int) -> None:
    """Have somebody's profile published; of a place 0 nobody's."""
    if place:
        home["people"][place - 1]["touched"] = 1


def _clear_calibration(calibration: Any) -> None:
    """Nothing was learnt: ratios count as they are."""
    for name in calibration.dtype.names:
        calibration[name] = 1.0 if name == "weights" else 0


@entry(array(HOME))
def _recalibrate(homes: Any) -> None:
    recalibrate(homes[0])  # type: ignore[no-untyped-call]


def recalibrate_home(household: Household) -> None:
    """Everybody's live calibration anew: what has left the ledger, and then the ledger's claims in order."""
    _recalibrate(household.slot)


def _member(household: Household, person_id: str) -> int | None:
    """The column of a person who belongs to the household now."""
    column = household.column(person_id)
    return column if column is not None and _is_present(household.record["people"][column]) else None


def _join(household: Household, value: Join, policy: Policy) -> str:
    home, column = household.record, household.column(value.person_id)
    people_max = min(policy.limits.members_max, PEOPLE_MAX)
    if value.person_id == GUEST or (column is None and home["people_used"] >= people_max):
        return "rejected"
    if column is None:
        column = int(home["people_used"])
        person = append(home, "people")
        person["name"], person["joined_row"] = household.words.learn(value.person_id), home["next_row"]
        for calibration in (person["calibration"], person["live"]):
            _clear_calibration(calibration)
        rows = home["rows"]
        rows["shares"][:, column + 1] = rows["evidence"][:, column + 1] = rows["llr"][:, :, column] = 0
    elif _is_present(home["people"][column]):
        return "rejected"
    append(home["people"][column], "memberships")["joined_by"] = hash_id("feedback", value.feedback_id)
    home["next_rebuild"] = 0
    _touch(home, column + 1)
    return "used"


def _leave(household: Household, value: Leave, at: int, done: Done) -> str:
    column = _member(household, value.person_id)
    if column is None:
        return "unknown_person"
    membership = _membership(household.record["people"][column])
    membership["left_at"], membership["left_by"] = at, hash_id("feedback", value.feedback_id)
    membership["told_at"] = household.record["stream_time"]
    kept = household.record["rows"]["observed_at"][: int(household.record["rows_used"])]
    if (kept > at).any():
        household.record["anew"] = 1  # they were not there
    done.tombstones.append(value.person_id)
    return "used"


def _phone(household: Household, value: Phone, policy: Policy) -> str:
    home, column = household.record, None if value.person_id is None else _member(household, value.person_id)
    if value.person_id is not None and column is None:
        return "unknown_person"
    number, trust = household.words.number(value.phone_id), policy.phones.trust
    known = np.flatnonzero(home["phones"]["name"][: int(home["phones_used"])] == (number or 0)).tolist()
    if not known and home["phones_used"] >= min(policy.limits.phones_max, PHONES_MAX):
        return "rejected"
    phone = home["phones"][known[0]] if known else append(home, "phones")
    if known:
        _touch(home, int(phone["registrations"][int(phone["registrations_used"]) - 1]["person"]))
    phone["name"], registration = household.words.learn(value.phone_id), append(phone, "registrations")
    registration["feedback"] = hash_id("feedback", value.feedback_id)
    registration["from_row"] = home["next_row"]
    registration["prior_log_odds"] = math.log(trust / (1 - trust))
    registration["person"] = 0 if column is None else column + 1
    _touch(home, int(registration["person"]))
    return "used"


# ---- taking back


def _retract(household: Household, value: Retract, policy: Policy, done: Done) -> str:
    home, target = household.record, hash_id("feedback", value.retracts)
    claims = _retract_claims(home, target)
    waiting = take_out(home, "waiting", _is(home["waiting"]["claim"]["feedback"], target))
    folded = _retract_folded(home, target)
    phone = _retract_phone(home, target)
    membership = _retract_membership(household, target, policy, done)
    all_enrolled = all(person["enrolments_used"] for person in _people(home))
    if folded or phone or membership or (claims and not all_enrolled):
        home["anew"] = 1
    if claims or waiting or folded or phone or membership:
        return "used"
    if is_told(household, FEEDBACK, target):
        return "rejected"  # it had no effect, has expired, or was an erasure or a retraction itself
    return _wait(home, value, policy, done)


def _wait(home: Any, value: Retract, policy: Policy, done: Done) -> str:
    if home["waiting_used"] >= min(policy.limits.waiting_max, WAITING_MAX):
        take_out(home, "waiting", np.arange(WAITING_MAX) == 0)
        done.outcomes.append("unknown_event")
    waiting = append(home, "waiting")
    waiting["event"], claim = hash_id("feedback", value.retracts), waiting["claim"]
    claim["feedback"], claim["given_at"] = hash_id("feedback", value.feedback_id), value.given_at
    claim["kind"], claim["person"], claim["right"] = RETRACT, UNKNOWN, NOT_COUNTED
    claim["source"] = _SOURCES.index(value.source)
    return "early"


_SOURCES: Final = ("voice", "app", "pin", "annotator")  # by rank


def _retract_claims(home: Any, target: int) -> bool:
    for person in _people(home):
        if take_out(person, "enrolments", _is(person["enrolments"], target)):
            person["touched"] = 1
    found = False
    for row in home["rows"][: int(home["rows_used"])]:
        own = _is(row["claims"]["feedback"], target) & (np.arange(len(row["claims"])) < row["claims_used"])
        for claim in row["claims"][own]:  # copies
            uncount_claim(home, claim)
        if take_out(row, "claims", own):
            row["unsettled"], found = 1, True
    if found and _is_unanchored(home):
        home["next_rebuild"] = 0
    return found


def _retract_folded(home: Any, target: int) -> bool:
    """What was folded cannot be told apart: its owners are known by what the ledger still keeps of them."""
    own = _is(home["folded"]["feedback"], target)
    found = home["folded"][: int(home["folded_used"])][own[: int(home["folded_used"])]].copy()
    for folded in found:
        for column, person in enumerate(_people(home)):
            if int(folded["owners"]) >> column & 1:
                _clear_calibration(person["calibration"])
                person["touched"] = 1
                take_out(person, "tails", person["tails"]["learnt"] == folded["learnt"])
    return take_out(home, "folded", own)


def _retract_phone(home: Any, target: int) -> bool:
    for index in range(int(home["phones_used"])):
        phone = home["phones"][index]
        own = _is(phone["registrations"]["feedback"], target)
        owners = phone["registrations"]["person"][own].tolist()
        if take_out(phone, "registrations", own):
            left = int(phone["registrations_used"])
            for place in (owners[0], int(phone["registrations"][left - 1]["person"]) if left else 0):
                _touch(home, place)
            if not left:
                forget_phone(home, index)
            return True
    return False


def _retract_membership(household: Household, target: int, policy: Policy, done: Done) -> bool:
    for person in _people(household.record):
        for index in range(int(person["memberships_used"])):
            membership = person["memberships"][index]
            if membership["left_by"] == target:
                membership["left_at"] = membership["left_by"] = membership["told_at"] = 0
                person["touched"] = 1
                return True
            if membership["joined_by"] == target:
                _end(household, person, index, policy, done)
                return True
    return False


def _end(household: Household, person: Any, index: int, policy: Policy, done: Done) -> None:
    """Take one membership back; with the last of them goes the person."""
    person_id = household.words[int(person["name"])]
    if person["memberships_used"] == 1:
        erase_person(household, person_id, policy, done)
        return
    take_out(person, "memberships", np.arange(len(person["memberships"])) == index)
    if not _is_present(person):
        done.tombstones.append(person_id)


# ---- erasure


def _erase(household: Household, value: Erase, policy: Policy, done: Done) -> str:
    if value.person_id is None:
        erase_home(household, done)
        return "used"
    return "used" if erase_person(household, value.person_id, policy, done) else "unknown_person"


def erase_home(household: Household, done: Done) -> None:
    """Forget everything; what stays is that it was seen."""
    home = household.record
    done.tombstones.extend(household.words[int(person["name"])] for person in _people(home))
    kept = {name: home[name].copy() for name in KEPT_OF_ALL}
    household.clear()
    for name, value in kept.items():
        home[name] = value
    done.erased.append(None)


def erase_person(household: Household, person_id: str, policy: Policy, done: Done) -> bool:
    """Forget a person and every event that may have been theirs; False when there is nobody of that name."""
    column = household.column(person_id)
    if column is None:
        return False
    forget_person(household, column, policy)
    done.tombstones.append(person_id)
    done.erased.append(person_id)
    return True


def forget_person(household: Household, column: int, policy: Policy) -> None:
    """Take a person out of everything, with the events that may have been theirs; of others the rest is a guest's."""
    home, place = household.record, column + 1
    name, rows = int(home["people"][column]["name"]), home["rows"][: int(home["rows_used"])]
    gone = np.array([_is_of(row, place) for row in rows], bool)
    for row in rows[gone]:  # copies, which are let go
        unlearn_row(home, row, policy)
    take_out(home, "rows", gone)
    for row in home["rows"][: int(home["rows_used"])]:
        _take_out_column(home, row, column, policy)
    for gallery in home["galleries"]:
        gallery["offsets_used"] = gallery["offsets"] = 0  # they were learnt beside what this person is like
    forget_witnesses(home, home["witnesses"]["person"] == place)
    take_out(home, "people", np.arange(PEOPLE_MAX) == column)
    _free_activities(home)
    for index in reversed(range(int(home["phones_used"]))):
        registrations = home["phones"][index]["registrations"]
        take_out(home["phones"][index], "registrations", registrations["person"] == place)
        registrations["person"] -= registrations["person"] > place
        if not home["phones"][index]["registrations_used"]:
            forget_phone(home, index)
    take_out(home, "waiting", home["waiting"]["claim"]["person"] == place)
    for name_of_list in ("doubts", "consents", "presences"):
        take_out(home, name_of_list, home[name_of_list]["person"] == place)
    for listed in (home["waiting"]["claim"], home["doubts"], home["consents"], home["presences"], home["witnesses"]):
        listed["person"] -= listed["person"] > place
    owners = home["folded"]["owners"]
    owners[:] = owners & ((1 << column) - 1) | owners >> column + 1 << column
    _forget_in_monitors(home, name)
    recalibrate_home(household)


def _is_of(row: Any, place: int) -> bool:
    said = place in (row["named"], row["first_named"]) or row["label"] == place + 1
    claimed = place in row["claims"]["person"][: int(row["claims_used"])]
    return bool(said or claimed or max(row["shares"][place], row["evidence"][place]) * SHARE_STEP > SHARE_MAX)


def _take_out_column(home: Any, row: Any, column: int, policy: Policy) -> None:
    """Take a person out of an event, of which they have little; that little is a guest's."""
    place, before = column + 1, int(row["shares"][0])
    for shares in (row["shares"], row["evidence"]):
        shares[0] = min(SHARE_ONE, int(shares[0]) + int(shares[place]))
        shares[place:-1], shares[-1] = shares[place + 1 :].copy(), 0
    row["llr"][:, column:-1], row["llr"][:, -1] = row["llr"][:, column + 1 :].copy(), 0
    for name, of in (("named", place), ("first_named", place), ("label", place + 1)):
        row[name] -= row[name] > of
    row["claims"]["person"] -= row["claims"]["person"] > place
    if row["counted"]:
        after = int(row["shares"][0])
        home["guest_presence"] += after - before
        _count_habits(home, row, home["guest_habits"], _as_habit(after) - _as_habit(before), policy)


def _forget_in_monitors(home: Any, name: int) -> None:
    """Forget what was told of a person; devices are heard anew, for the person was part of it."""
    reported = home["reported"]
    take_out(home, "reported", (reported["name"] == name) & (reported["kind"] != DEVICE))
    if home["alarm_kind"] not in (0, DEVICE) and home["alarm_name"] == name:
        for field in ("alarm_kind", "alarm_name", "alarm_since", "alarm_noticed"):
            home[field] = 0
    for field in ("moved", "seen", "lately", "usual"):
        home["ears"][field] = 0


def forget_phone(home: Any, index: int) -> None:
    """Forget a phone: its registrations, and where it was heard."""
    forget_witnesses(home, home["witnesses"]["phone"] == index + 1)
    home["witnesses"]["phone"] -= home["witnesses"]["phone"] > index + 1
    take_out(home, "phones", np.arange(PHONES_MAX) == index)
    for row in home["rows"][: int(home["rows_used"])]:
        take_out(row, "sightings", row["sightings"]["phone"] == index)
        row["sightings"]["phone"] -= row["sightings"]["phone"] > index


def purge_departed(household: Household, policy: Policy) -> None:
    """Forget of whom it was said so long ago that they left that nothing said of the past can reach them."""
    home = household.record
    limit = int(home["stream_time"]) - policy.limits.departed_days * DAY_MS
    for column in reversed(range(int(home["people_used"]))):
        last = _membership(home["people"][column])
        if last["left_at"] and last["told_at"] < limit:
            forget_person(household, column, policy)


# ---- what an event had taught


def unlearn_row(home: Any, row: Any, policy: Policy) -> None:
    """Take back all that an event taught, which is about to be forgotten."""
    for claim in row["claims"][: int(row["claims_used"])]:
        uncount_claim(home, claim)
    if row["counted"]:
        recount_row(home, row, -1, policy)
    for person, share in zip(_people(home), row["shares"][1:].tolist(), strict=False):
        person["events"] -= share


def uncount_claim(home: Any, claim: Any) -> None:
    """Take back what a claim told of its source, and what it weighed of that source's allowance."""
    source = home["sources"][int(claim["source"])]
    if claim["right"] != NOT_COUNTED:
        source["right"] -= int(claim["right"])
        source["wrong"] -= SHARE_ONE - int(claim["right"])
        claim["right"] = NOT_COUNTED
    if claim["day"] == source["day"]:
        source["spent"] -= int(claim["nats"])
    claim["nats"] = 0


def recount_row(home: Any, row: Any, sign: int, policy: Policy) -> None:
    """Count (or, with sign -1, take back) an event's owners in presence and habits."""
    people, (guest, *owned) = _people(home), row["shares"].tolist()
    home["guest_presence"] = max(0, int(home["guest_presence"]) + sign * guest)
    _count_habits(home, row, home["guest_habits"], sign * _as_habit(guest), policy)
    for person, share in zip(people, owned, strict=False):
        person["presence"] = max(0, int(person["presence"]) + sign * share)
        _count_habits(home, row, person["habits"], sign * _as_habit(share), policy)
    steps = int(home["guest_presence"]) + int(people["presence"].sum())
    if steps * SHARE_STEP > policy.priors.presence_events_max:
        home["guest_presence"] //= 2
        people["presence"] //= 2
    _free_activities(home)


def _as_habit(steps: int) -> float:
    """A share of an event, as far as it counts as a habit."""
    return steps * SHARE_STEP if steps >= HABIT_SHARE_MIN else 0.0


def _count_habits(home: Any, row: Any, counts: Any, change: float, policy: Policy) -> None:
    """Count a share of an event among somebody's habits, or take it back; nothing of an activity that was forgotten."""
    if not change or not row["activity"]:
        return
    days = int(row["observed_at"]) / DAY_MS - float(home["habits_origin"])
    amount = change * 2 ** (days / policy.learning.habits_half_life_days)
    slots = np.flatnonzero(home["activities"] == row["activity"]).tolist()
    of_activity = [BY_ACTIVITY + slots[0], ACTIVITIES_TOTAL] if slots else []
    for index in [int(row["hour"]), HOURS_TOTAL, *of_activity]:
        count = counts[index] + amount
        counts[index] = count if count > abs(amount) * HABIT_NOTHING else 0.0


def _free_activities(home: Any) -> None:
    """Forget activities of which nobody has a count any more."""
    by = slice(BY_ACTIVITY, BY_ACTIVITY + ACTIVITIES_MAX)
    unknown = (home["guest_habits"][by] == 0) & (_people(home)["habits"][:, by] == 0).all(0)
    home["activities"][unknown] = 0
