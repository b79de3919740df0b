"""Statements: what each does to the facts of a home, and what it leaves for the core to bring in line."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from learners.precision import SHARE_ONE
from stream.contract.records import FEEDBACK
from stream.home import statements
from stream.home.messages import CAUSES, CORRECT, ENROL, RETRACT
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import DAY_MS, Household
from stream.home.state.layout import HOME, MEMBERSHIPS_MAX, NOT_COUNTED, PEOPLE_MAX, REGISTRATIONS_MAX, UNKNOWN, WAITING_MAX
from stream.home.state.names import hash_id
from stream.home.statements import Done, forget_person, forget_phone, purge_departed, uncount_claim
from tests.home.homes import POLICY, used_bytes

GOLDEN = Path(__file__).parent.parent / "golden"
NAMES = ("odd", "enrolled")
each_home = pytest.mark.parametrize("name", NAMES)


def home_of(name: str = "odd") -> Household:
    """A home that has lived: four people, of whom nothing was said lately; or three, of whom something was."""
    return decode_home((GOLDEN / f"home-v3-{name}.bin").read_bytes(), POLICY)


def state(household: Household, kind: str, **said: Any) -> Done:
    """Let a home be told something now."""
    at = said.pop("at", int(household.record["stream_time"]) + 1000)
    value = {"v": 1, "feedback_id": said.pop("feedback_id", "f-new"), "household_id": "h-0", "given_at": at, "source": "app"}
    return statements.state(household, FEEDBACK.validate_python(value | {"kind": kind} | said), POLICY, at)


def used(entry: Any, name: str) -> Any:
    return entry[name][: int(entry[f"{name}_used"])]


def people_of(household: Household) -> list[str]:
    return [household.words[int(name)] for name in used(household.record, "people")["name"]]


def person_of(household: Household, person_id: str) -> Any:
    column = household.column(person_id)
    assert column is not None, f"{person_id} is not of this home"
    return household.record["people"][column]


def nothing_is_left_behind(household: Household) -> bool:
    """Whether all that a home does not use is zero, as after it was read."""
    raw = encode_home(household)
    own, again = household.memory["bytes"][0], decode_home(raw, POLICY)
    home_at = {name: HOME.fields[name] for name in ("people", "phones", "rows", "waiting", "doubts", "reported", "folded")}
    for name, (field, place, *_) in home_at.items():
        start = place + int(household.record[f"{name}_used"]) * field.base.itemsize
        if own[start : place + field.itemsize].any():
            return False
    return encode_home(again) == raw


# ---- people


def test_a_join_is_a_column_of_whom_nothing_is_known() -> None:
    household = home_of()
    household.record["rows"]["shares"][:, 5:] = 77  # what stood there before
    assert state(household, "join", person_id="zoe") == Done(["used"], [], [])
    home, person = household.record, person_of(household, "zoe")
    assert (people_of(household)[-1], int(person["joined_row"]), int(person["touched"])) == ("zoe", int(home["next_row"]), 1)
    assert used(person, "memberships").tolist() == [(hash_id("feedback", "f-new"), 0, 0, 0)]
    assert not used(home, "rows")["shares"][:, 5].any()
    assert person["live"]["weights"].tolist() == [1.0, 1.0]
    assert home["next_rebuild"] == 0


@pytest.mark.parametrize("person_id", ["guest", "bert:h-0"])
def test_a_guest_and_who_is_here_cannot_join(person_id: str) -> None:
    household = home_of()
    raw = encode_home(household)
    assert state(household, "join", person_id=person_id).outcomes == ["rejected"]
    assert encode_home(household) == raw


def test_no_more_people_join_than_there_is_room_for() -> None:
    household = home_of()
    found = [state(household, "join", person_id=f"p{n}", feedback_id=f"f-{n}").outcomes for n in range(PEOPLE_MAX)]
    assert found.count(["used"]) == PEOPLE_MAX - 4
    assert found[-1] == ["rejected"]


def test_who_comes_back_soon_is_still_known() -> None:
    household = home_of()
    before = person_of(household, "bert:h-0").copy()
    for n in range(MEMBERSHIPS_MAX + 2):
        assert state(household, "leave", person_id="bert:h-0", feedback_id=f"l-{n}") == Done(["used"], ["bert:h-0"], [])
        assert state(household, "leave", person_id="bert:h-0").outcomes == ["unknown_person"]
        assert state(household, "join", person_id="bert:h-0", feedback_id=f"j-{n}").outcomes == ["used"]
    person = person_of(household, "bert:h-0")
    assert person["tails"].tobytes() == before["tails"].tobytes()
    assert used(person, "memberships")["joined_by"].tolist() == [hash_id("feedback", f"j-{n}") for n in range(2, 6)]


def test_who_left_long_ago_is_forgotten() -> None:
    household = home_of()
    state(household, "leave", person_id="bert:h-0")
    purge_departed(household, POLICY)
    assert "bert:h-0" in people_of(household)
    household.record["stream_time"] += (POLICY.limits.departed_days + 1) * DAY_MS
    purge_departed(household, POLICY)
    assert people_of(household) == [p for p in people_of(home_of()) if p != "bert:h-0"]
    assert b"bert" not in encode_home(household)


# ---- phones


def test_a_phone_is_somebodys_from_then_on() -> None:
    household = home_of()
    assert state(household, "phone", phone_id="ph-new", person_id="bert:h-0").outcomes == ["used"]
    phone = used(household.record, "phones")[-1]
    (registration,) = used(phone, "registrations")
    assert household.words[int(phone["name"])] == "ph-new"
    assert (int(registration["person"]), int(registration["from_row"])) == (2, int(household.record["next_row"]))
    assert registration["prior_log_odds"] == math.log(0.9 / 0.1)
    assert person_of(household, "bert:h-0")["touched"] == 1


def test_a_phone_passes_to_another_and_both_profiles_are_published() -> None:
    household = home_of()
    for n, person_id in enumerate(["bert:h-0", "cora:h-0", None, "dirk:h-0"] * 2):
        state(household, "phone", phone_id="ph-new", person_id=person_id, feedback_id=f"f-{n}")
    registrations = used(used(household.record, "phones")[-1], "registrations")
    assert registrations["person"].tolist() == [2, 3, 0, 4]
    assert len(registrations) == REGISTRATIONS_MAX
    assert used(household.record, "people")["touched"].tolist() == [0, 1, 1, 1]


@pytest.mark.parametrize("person_id", ["nobody", "guest"])
def test_a_phone_of_a_stranger_is_of_an_unknown_person(person_id: str) -> None:
    assert state(home_of(), "phone", phone_id="ph-new", person_id=person_id).outcomes == ["unknown_person"]


def test_no_more_phones_than_there_is_room_for() -> None:
    household = home_of()
    found = [state(household, "phone", phone_id=f"p-{n}", person_id=None).outcomes for n in range(40)]
    assert found[-1] == ["rejected"]
    assert household.record["phones_used"] == POLICY.limits.phones_max


def test_a_phone_that_is_forgotten_was_heard_nowhere() -> None:
    household = home_of()
    home = household.record
    names = used(home, "phones")["name"].copy()
    heard = [[int(names[s["phone"]]) for s in used(row, "sightings")] for row in used(home, "rows")]
    forget_phone(home, 0)
    after = used(home, "phones")["name"]
    assert after.tolist() == names[1:].tolist()
    found = [[int(after[s["phone"]]) for s in used(row, "sightings")] for row in used(home, "rows")]
    assert found == [[name for name in own if name != names[0]] for own in heard]
    assert nothing_is_left_behind(household)


# ---- taking back


def feedback_of(household: Household) -> dict[int, str]:
    """Ids of all that was ever said in the golden homes, by hash."""
    return {hash_id("feedback", f"f{n:04d}:h-0"): f"f{n:04d}:h-0" for n in range(400)}


def a_claim(household: Household, enrolled: bool) -> tuple[str, Any, Any]:
    """Some claim of the ledger: its feedback, its row, itself."""
    ids = feedback_of(household)
    return next(
        (ids[int(claim["feedback"])], row, claim)
        for row in used(household.record, "rows") for claim in used(row, "claims") if (claim["kind"] == ENROL) == enrolled
    )  # fmt: skip


def test_a_claim_that_is_taken_back_tells_nothing_of_its_source_and_its_event_is_to_be_settled() -> None:
    household = home_of("enrolled")
    target, row, claim = a_claim(household, enrolled=False)
    claim["right"], claim["nats"], source = 3000, 100, household.record["sources"][int(claim["source"])]
    source["right"], source["wrong"], source["day"], source["spent"] = 3000, SHARE_ONE - 3000, claim["day"], 100
    before = int(row["claims_used"])
    assert state(household, "retract", retracts=target) == Done(["used"], [], [])
    assert (int(row["claims_used"]), int(row["unsettled"])) == (before - 1, 1)
    assert [int(source[name]) for name in ("right", "wrong", "spent")] == [0, 0, 0]


def test_an_enrolment_that_is_taken_back_stands_no_more() -> None:
    household = home_of("enrolled")
    target, row, claim = a_claim(household, enrolled=True)
    person = household.record["people"][int(claim["person"]) - 1]
    before = int(person["enrolments_used"])
    assert state(household, "retract", retracts=target).outcomes == ["used"]
    assert (int(person["enrolments_used"]), int(person["touched"]), int(row["unsettled"])) == (before - 1, 1, 1)
    assert int(household.record["anew"]) == int(before == 1)
    assert state(household, "retract", retracts=target).outcomes == ["rejected"]


def test_what_was_folded_of_a_claim_goes_with_all_that_was_folded_of_its_owners() -> None:
    household = home_of()
    home, person = household.record, household.record["people"][1]
    entry = home["folded"][0]
    home["folded_used"], entry["feedback"], entry["owners"], entry["learnt"] = 1, hash_id("feedback", "f-old"), 0b10, 1
    person["calibration"]["learnt"] = 3
    before = set(used(person, "tails")["learnt"].tolist())
    assert before == {0, 1}
    others = home["people"][0]["tails"].tobytes()
    assert state(household, "retract", retracts="f-old").outcomes == ["used"]
    assert set(used(person, "tails")["learnt"].tolist()) == {0}
    assert (int(person["calibration"]["learnt"]), int(person["touched"]), int(home["anew"])) == (0, 1, 1)
    assert person["calibration"]["weights"].tolist() == [1.0, 1.0]
    assert home["people"][0]["tails"].tobytes() == others
    assert home["folded_used"] == 0


def test_a_phone_that_is_taken_back_is_its_earlier_owners() -> None:
    household = home_of()
    state(household, "phone", phone_id="ph-new", person_id="bert:h-0", feedback_id="f-1")
    state(household, "phone", phone_id="ph-new", person_id="cora:h-0", feedback_id="f-2")
    phones = int(household.record["phones_used"])
    assert state(household, "retract", retracts="f-2").outcomes == ["used"]
    assert used(used(household.record, "phones")[-1], "registrations")["person"].tolist() == [2]
    assert state(household, "retract", retracts="f-1").outcomes == ["used"]
    assert household.record["phones_used"] == phones - 1
    assert b"ph-new" not in encode_home(household)


def test_a_leave_that_is_taken_back_never_was() -> None:
    household = home_of()
    before = person_of(household, "bert:h-0")["memberships"].tobytes()
    state(household, "leave", person_id="bert:h-0", feedback_id="f-left")
    assert state(household, "retract", retracts="f-left") == Done(["used"], [], [])
    assert person_of(household, "bert:h-0")["memberships"].tobytes() == before


def test_a_join_that_is_taken_back_is_as_if_nobody_had_come() -> None:
    household = home_of()
    raw = encode_home(household)
    state(household, "join", person_id="zoe", feedback_id="f-joined")
    assert state(household, "retract", retracts="f-joined") == Done(["used"], ["zoe"], ["zoe"])
    again = encode_home(household)
    assert b"zoe" not in again
    assert len(again) <= len(raw)


def test_a_return_that_is_taken_back_is_as_if_they_had_stayed_away() -> None:
    household = home_of()
    state(household, "leave", person_id="bert:h-0", feedback_id="f-left")
    state(household, "join", person_id="bert:h-0", feedback_id="f-back")
    assert state(household, "retract", retracts="f-back") == Done(["used"], ["bert:h-0"], [])
    assert len(used(person_of(household, "bert:h-0"), "memberships")) == 1


def test_a_retraction_waits_for_what_it_takes_back() -> None:
    household = home_of()
    home = household.record
    home["waiting_used"] = 0
    found = [state(household, "retract", retracts=f"never-{n}", feedback_id=f"f-{n}").outcomes for n in range(WAITING_MAX + 1)]
    assert found == [["early"]] * WAITING_MAX + [["unknown_event", "early"]]
    last = used(home, "waiting")[-1]
    assert (int(last["event"]), int(last["claim"]["kind"])) == (hash_id("feedback", f"never-{WAITING_MAX}"), RETRACT)
    assert (int(last["claim"]["person"]), int(last["claim"]["right"])) == (UNKNOWN, NOT_COUNTED)
    assert used(home, "waiting")["event"][0] == hash_id("feedback", "never-1")
    assert state(household, "retract", retracts="f-5").outcomes == ["used"]
    assert home["waiting_used"] == WAITING_MAX - 1


def test_what_was_taken_back_before_it_came_does_nothing_unless_it_is_an_erasure() -> None:
    household = home_of()
    household.record["waiting_used"] = 0
    state(household, "retract", retracts="f-later", feedback_id="f-1")
    assert state(household, "leave", person_id="bert:h-0", feedback_id="f-later") == Done(["used"], [], [])
    assert household.record["waiting_used"] == 0
    state(household, "retract", retracts="f-erase", feedback_id="f-2")
    assert state(household, "erase", person_id="bert:h-0", feedback_id="f-erase").erased == ["bert:h-0"]
    assert household.record["waiting_used"] == 0


# ---- erasure


@each_home
def test_of_who_is_erased_no_byte_stays(name: str) -> None:
    for column, person_id in enumerate(people_of(home_of(name))):
        household = home_of(name)
        home = household.record
        theirs = [row for row in used(home, "rows") if row["shares"][column + 1] > SHARE_ONE * 0.9]
        vectors = [row["vectors"][m].tobytes() for row in theirs for m in range(2) if row["encoders"][m]]
        tails = [tail["vector"].tobytes() for tail in used(home["people"][column], "tails")]
        phones = [
            household.words[int(phone["name"])].encode() for phone in used(home, "phones")
            if set(used(phone, "registrations")["person"].tolist()) == {column + 1}
        ]  # fmt: skip
        assert vectors
        assert state(household, "erase", person_id=person_id) == Done(["used"], [person_id], [person_id])
        raw = encode_home(household)
        assert [gone for gone in (person_id.encode(), *phones, *vectors, *tails) if gone in raw] == []
        assert [gone for gone in (*vectors, *tails) if gone in household.memory.tobytes()] == []
        assert nothing_is_left_behind(household)


@each_home
def test_what_is_left_of_an_erased_persons_events_is_a_guests(name: str) -> None:
    for column in range(int(home_of(name).record["people_used"])):
        household, before = home_of(name), home_of(name)
        forget_person(household, column, POLICY)
        kept = {int(row["number"]): row for row in used(before.record, "rows")}
        for row in used(household.record, "rows"):
            was, others = kept[int(row["number"])], [c for c in range(4) if c != column]
            assert row["shares"][1:4].tolist() == was["shares"][1:5][others].tolist()
            assert row["shares"][0] == was["shares"][0] + was["shares"][column + 1]
            assert row["llr"][:, :3].tolist() == was["llr"][:, others].tolist()
            assert max(was["shares"][column + 1], was["evidence"][column + 1]) <= 0.05 * SHARE_ONE


@each_home
def test_what_forgotten_events_had_taught_is_taken_back(name: str) -> None:
    for column in range(int(home_of(name).record["people_used"])):
        household, before = home_of(name), home_of(name)
        home, was = household.record, before.record
        forget_person(household, column, POLICY)
        numbers = set(used(home, "rows")["number"].tolist())
        gone = [row for row in used(was, "rows") if int(row["number"]) not in numbers]
        moved = [row for row in used(was, "rows") if int(row["number"]) in numbers and row["counted"]]
        taught = sum((row["shares"].astype(int) for row in gone if row["counted"]), np.zeros(PEOPLE_MAX + 1, int))
        expected = int(was["guest_presence"]) - taught[0] + sum(int(row["shares"][column + 1]) for row in moved)
        assert int(home["guest_presence"]) == expected
        others = [c for c in range(int(was["people_used"])) if c != column]
        assert used(home, "people")["presence"].tolist() == [int(was["people"]["presence"][c]) - taught[c + 1] for c in others]
        events = sum((row["shares"].astype(int) for row in gone), np.zeros(PEOPLE_MAX + 1, int))
        assert used(home, "people")["events"].tolist() == [int(was["people"]["events"][c]) - events[c + 1] for c in others]
        told = [claim for row in gone for claim in used(row, "claims") if claim["right"] != NOT_COUNTED]
        right = [sum(int(claim["right"]) for claim in told if claim["source"] == source) for source in range(4)]
        assert home["sources"]["right"].tolist() == (was["sources"]["right"] - right).tolist()


def test_habits_are_those_of_the_events_that_are_left() -> None:
    household, before = home_of(), home_of()
    forget_person(household, 0, POLICY)
    home, was = household.record, before.record
    numbers = set(used(home, "rows")["number"].tolist())
    for place in range(1, 4):
        left = was["people"][place]["habits"].copy()
        for row in used(was, "rows"):
            share = int(row["shares"][place + 1]) / SHARE_ONE
            if int(row["number"]) not in numbers and row["counted"] and row["activity"] and share >= 82 / SHARE_ONE:
                days = row["observed_at"] / DAY_MS - was["habits_origin"]
                amount = share * 2 ** (days / POLICY.learning.habits_half_life_days)
                slot = was["activities"].tolist().index(int(row["activity"]))
                left[[int(row["hour"]), 25, 8 + slot, 26]] -= amount
        assert home["people"][place - 1]["habits"] == pytest.approx(left, abs=1e-5)


def test_what_is_numbered_by_columns_moves_up() -> None:
    household = home_of()
    home = household.record
    home["doubts_used"], home["folded_used"], home["waiting_used"] = 3, 1, 2
    home["doubts"][:3]["source"], home["doubts"][:3]["person"] = [-1, -1, 0], [4, 2, -1]
    home["folded"][0]["owners"] = 0b1111
    home["waiting"][:2]["claim"]["person"], home["waiting"][:2]["claim"]["kind"] = [3, UNKNOWN], [CORRECT, RETRACT]
    phones = [used(phone, "registrations")["person"].tolist() for phone in used(home, "phones")]
    forget_person(household, 1, POLICY)
    assert used(home, "doubts")[["source", "person"]].tolist() == [(-1, 3), (0, -1)]
    assert home["folded"][0]["owners"] == 0b111
    assert used(home, "waiting")["claim"]["person"].tolist() == [2, UNKNOWN]
    moved = {0: 0, 1: 1, 3: 2, 4: 3}
    expected = [[moved[place] for place in own if place != 2] for own in phones]
    assert [used(phone, "registrations")["person"].tolist() for phone in used(home, "phones")] == [own for own in expected if own]


def test_monitors_forget_a_person_and_hear_devices_anew() -> None:
    household = home_of()
    home, words = household.record, household.words
    name, device, person = words.number("bert:h-0"), CAUSES.index("device"), CAUSES.index("person")
    home["reported_used"] = 3
    home["reported"][:3]["kind"], home["reported"][:3]["name"] = [device, person, person], [name, name, words.number("cora:h-0")]
    home["alarm_kind"], home["alarm_name"], home["alarm_since"] = person, name, 5
    forget_person(household, 1, POLICY)
    assert used(home, "reported")["kind"].tolist() == [device, person]
    assert [int(home[f"alarm_{field}"]) for field in ("kind", "name", "since", "noticed")] == [0, 0, 0, 0]
    ears = used(home, "ears")
    assert (len(ears) > 0, ears["seen"].any(), ears["usual"].any(), ears["moved"]["numbers"].any()) == (True, False, False, False)
    assert ears["device_name"].all()


def test_an_erased_home_has_nothing_left_but_that_it_was_seen() -> None:
    household = home_of()
    people, before = people_of(household), home_of().record
    assert state(household, "erase", person_id=None) == Done(["used"], people, [None])
    home = household.record
    assert (home["stream_time"], home["next_row"]) == (0, before["next_row"])
    for name in ("seen_used", "floor_of_others"):
        assert home[name].tolist() == before[name].tolist()
    assert (home["seen"].tobytes(), home["floors"].tobytes()) == (before["seen"].tobytes(), before["floors"].tobytes())
    raw = encode_home(household)
    assert household.words.listed == []
    assert len(raw) < 1000 + 600 * int(before["seen_used"].sum()) + 16 * int(before["floors_used"])
    assert not household.memory["bytes"][0][~used_bytes(household)].any()


def test_who_is_unknown_cannot_be_erased() -> None:
    household = home_of()
    raw = encode_home(household)
    assert state(household, "erase", person_id="nobody") == Done(["unknown_person"], [], [])
    assert encode_home(household) == raw


def test_live_calibrations_are_found_anew_once_a_person_is_gone() -> None:
    household = home_of("enrolled")
    home = household.record
    used(home, "people")["live"]["learnt"] = 99
    forget_person(household, 0, POLICY)
    base = used(home, "people")["calibration"]["learnt"]
    claimed = sum(int(c["right"]) != NOT_COUNTED for row in used(home, "rows") for c in used(row, "claims"))
    assert (used(home, "people")["live"]["learnt"] - base <= claimed).all()


def test_a_claim_is_uncounted_once() -> None:
    household = home_of("enrolled")
    home, claim = household.record, a_claim(household, enrolled=False)[2]
    claim["right"], claim["nats"], claim["day"] = 4000, 10, home["sources"][int(claim["source"])]["day"]
    before = home["sources"].copy()
    uncount_claim(home, claim)
    uncount_claim(home, claim)
    of, changed = int(claim["source"]), home["sources"]
    assert [int(changed[of][n]) - int(before[of][n]) for n in ("right", "wrong", "spent")] == [-4000, 4000 - SHARE_ONE, -10]


def test_golden_homes_are_what_these_tests_need() -> None:
    later = [json.loads(line)["topic"] for line in (GOLDEN / "later.jsonl").read_text("utf-8").splitlines()]
    assert set(later) <= {"recognitions", "feedback"}
    assert len(people_of(home_of("odd"))) == 4
    assert all(person["enrolments_used"] for person in used(home_of("enrolled").record, "people"))
