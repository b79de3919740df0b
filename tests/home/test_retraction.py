"""Taking back: what was learnt is a function of what the ledger now holds, so nothing stays of what was taken back."""

import json
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from learners.precision import SHARE_ONE, SHARE_STEP
from stream.contract.policy import SOURCES, Limits, Policy
from stream.contract.records import GUEST, Record
from stream.contract.units import DAY_MS
from stream.home.core.learn import HABIT_SHARE_MIN
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.household import Household
from stream.home.state.layout import ACTIVITIES_MAX, CLAIMS_MAX, HOURS
from stream.home.state.names import hash_id
from tests.home.reading import (
    ENROLLED,
    LEARNT,
    claims_of,
    enrolled_all,
    galleries_of,
    is_enrolled,
    is_present,
    masses,
    people_of,
    rows_of,
    steps_counted,
    tail_masses,
    used,
)
from tests.support.worlds import POLICY, Desk, Run, Shape, Story, feedback, world

PATIENT = Policy(limits=Limits(ledger_days=3650))  # nothing leaves the ledger but what finds no room
PEOPLE = Shape().people  # of whom nobody was forgotten: their share of events that stay is a guest's, past all claims
LEAST_ROOM = 2 * PATIENT.limits.rows_per_person  # events, in any home
seeds = st.integers(0, 2**32 - 1)
sources = st.sampled_from(["voice", "app", "pin", "annotator"])


def lived(seed: int, policy: Policy = POLICY, **shape: Any) -> tuple[Run, Desk]:
    """A home that lived, and the desk where what follows gets its place, by the home's clock.

    A single record that is days ahead does not move it, but a second does, and with it goes what is due by then.
    """
    run = Run(policy).play_all(world(seed, Shape(homes=1, **shape)))
    return run, Desk(now=int(run.homes["h-0"].record["stream_time"]))


def room(people: int) -> int:
    """How many events the ledger of a home of so many has room for."""
    return PATIENT.limits.rows_per_person * max(2, min(people, 4))


def lived_in_ledger(seed: int, most: int = 4 * PATIENT.limits.rows_per_person, **shape: Any) -> tuple[Run, list[Record]]:
    """A home that lived as long as its ledger (or so many events of it) had room for all of its events; and its records."""
    run, played = Run(PATIENT), list[Record]()
    for record in world(seed, Shape(homes=1, **shape)):
        home = run.homes.setdefault("h-0", Household.new("h-0"))
        before, rows, people = encode_home(home), int(home.record["rows_used"]), len(home.people)
        if record.topic == "recognitions" and rows >= min(room(len(home.members)), most):
            break
        run.play(record)
        if len(home.people) < people and rows > room(len(home.people)):  # a smaller home has less room
            run.homes["h-0"] = decode_home(before, PATIENT)
            break
        played.append(record)
    return run, played


def say(run: Run, desk: Desk, kind: str, feedback_id: str, **fields: Any) -> list[str]:
    return list(run.play(desk.record("feedback", feedback("h-0", feedback_id, desk.now, kind, **fields))).outcomes)


def learnt(home: Household) -> dict[str, Any]:
    """All that claims can change, but habits (whose counts are taken back but for rounding)."""
    people, sources, rows = people_of(home), home.record["sources"], rows_of(home)
    return {
        "shares": [tuple(row[f].tolist() for f in ("event", "shares", "evidence")) for row in rows],
        "claims": [claims_of(row).tobytes() for row in rows],
        "presence": (int(home.record["guest_presence"]), people["presence"].tolist()),
        "reliability": (sources["right"].tolist(), sources["wrong"].tolist()),
        "calibration": [person["live"].tobytes() for person in people],
        "events": people["events"].tolist(),
        "vectors": {encoder: masses(home, encoder) for encoder in galleries_of(home)},
    }


def event_id_of(row: Any) -> str:
    return row["event_id"][: int(row["event_id_length"])].tobytes().decode()  # type: ignore[no-any-return]


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What of `learnt` is not as it was, by name: the whole would fill a screen."""
    return [what for what in before if before[what] != after[what]]


def a_claim(home: Household, number: int, who: int) -> tuple[str, dict[str, Any]]:
    """A correct or reject about some event of the ledger and some member or guest."""
    free = [row for row in rows_of(home) if not is_enrolled(row) and row["claims_used"] < CLAIMS_MAX - 1]  # none has to go
    members = [GUEST, *(name for name, person in zip(home.people, people_of(home), strict=True) if is_present(person))]
    assume(free)
    fields = {"event_id": event_id_of(free[number % len(free)]), "person_id": members[who % len(members)]}
    return ("correct" if number % 3 else "reject"), fields


@given(seed=seeds, number=st.integers(0, 99), who=st.integers(0, 5), source=sources)
def test_a_claim_and_its_retraction_leave_an_enrolled_home_as_it_was(seed: int, number: int, who: int, source: str) -> None:
    run, desk = lived(seed, records=30, odd=0.0, erasing=False)
    home = run.homes["h-0"]
    assume(enrolled_all(home) and len(home.people) == PEOPLE)
    kind, fields = a_claim(home, number, who)
    before = learnt(home)
    assert say(run, desk, kind, "f-claim", source=source, **fields) in (["used"], ["contradictory"])
    assert say(run, desk, "retract", "f-back", retracts="f-claim") == ["used"]
    assert changed(before, learnt(home)) == []


@given(seed=seeds, number=st.integers(0, 99), who=st.integers(0, 5), first=sources, second=sources)
def test_taking_back_the_later_claim_brings_the_earlier_back(seed: int, number: int, who: int, first: str, second: str) -> None:
    run, desk = lived(seed, records=30, odd=0.0, erasing=False)
    home = run.homes["h-0"]
    assume(enrolled_all(home) and len(home.people) == PEOPLE)
    kind, fields = a_claim(home, number, who)
    say(run, desk, kind, "f-first", source=first, **fields)
    before, people = learnt(home), home.people
    desk.now += 1000
    say(run, desk, "correct", "f-second", source=second, **a_claim(home, number, who + 1)[1])
    say(run, desk, "retract", "f-back", retracts="f-second")
    assume(home.people == people)  # nobody who left was due to be forgotten in that second
    assert changed(before, learnt(home)) == []


@given(seed=seeds, enrolled=st.booleans(), erasing=st.booleans(), people=st.integers(1, 4))
def test_what_was_learnt_is_what_the_ledger_holds(seed: int, enrolled: bool, erasing: bool, people: int) -> None:
    run, _ = lived_in_ledger(seed, records=60, enrolled=enrolled, erasing=erasing, people=people, odd=0.5)
    home = run.homes["h-0"]
    rows, people = rows_of(home), people_of(home)
    counted = rows[rows["counted"] == 1]
    sums = [sum(counted["shares"][:, place].tolist()) for place in range(len(people) + 1)]
    assert [int(home.record["guest_presence"]), *people["presence"].tolist()] == sums
    assert people["events"].tolist() == [sum(rows["shares"][:, column + 1].tolist()) for column in range(len(people))]
    for number in range(len(SOURCES)):
        source, own = home.record["sources"][number], [claims_of(row)[claims_of(row)["source"] == number] for row in rows]
        told = [right for claims in own for right in steps_counted(claims)]
        assert source["right"] == sum(told)
        assert source["wrong"] == len(told) * SHARE_ONE - sum(told)


Habit = tuple[str, Any]  # "hour" and its bin, or "activity" and its word


def habits_kept(home: Household, column: int) -> dict[Habit, float]:
    """Somebody's own shares by hour and by activity, as far as they are counted."""
    counts, names = people_of(home)[column]["habits"].tolist(), home.record["activities"].tolist()
    hours, activities, (by_hour, by_activity) = counts[:HOURS], counts[HOURS : HOURS + ACTIVITIES_MAX], counts[-2:]
    found: dict[Habit, float] = {("hour", hour): count / by_hour for hour, count in enumerate(hours) if count}
    for name, count in zip(names, activities, strict=True):
        if count:
            found["activity", home.words[name]] = count / by_activity
    return found


def habits_of_ledger(home: Household, column: int, half_life_days: float) -> dict[Habit, float]:
    """The same from what the ledger holds, plainly."""
    counts: dict[Habit, float] = defaultdict(float)
    for row in rows_of(home):
        steps, activity = int(row["shares"][column + 1]), int(row["activity"])
        if row["counted"] and activity and steps >= HABIT_SHARE_MIN:
            passed = float(home.record["habits_day"]) - int(row["observed_at"]) / DAY_MS
            for habit in (("hour", int(row["hour"])), ("activity", home.words[activity])):
                counts[habit] += steps * SHARE_STEP * 0.5 ** (passed / half_life_days)
    totals = {kind: sum(count for (of, _), count in counts.items() if of == kind) for kind, _ in counts}
    return {habit: count / totals[habit[0]] for habit, count in counts.items()}


@given(seed=seeds, enrolled=st.booleans())
def test_habits_are_those_of_the_events_that_the_ledger_holds(seed: int, enrolled: bool) -> None:
    run, _ = lived_in_ledger(seed, records=60, enrolled=enrolled, erasing=False, odd=0.5)
    home = run.homes["h-0"]
    for column in range(len(home.people)):
        kept, expected = habits_kept(home, column), habits_of_ledger(home, column, POLICY.learning.habits_half_life_days)
        assert kept.keys() == expected.keys()
        assert kept == pytest.approx(expected, abs=2e-4)


@given(seed=seeds, enrolled=st.booleans(), people=st.integers(1, 3))
def test_whatever_is_taken_back_stands_nowhere_any_more(seed: int, enrolled: bool, people: int) -> None:
    """Every feedback of a life is taken back, the newest first: what is left was learnt from sensors alone, and of nobody."""
    run, records = lived_in_ledger(seed, LEAST_ROOM, people=people, records=30, enrolled=enrolled, erasing=False)
    home, desk = run.homes["h-0"], Desk(now=records[-1].timestamp)
    said = dict.fromkeys(json.loads(r.value or b"")["feedback_id"] for r in records if r.topic == "feedback")
    for target in reversed(said):
        say(run, desk, "retract", f"back-{target}", retracts=target)
        claims = [*(claims_of(row)["feedback"] for row in rows_of(home)), used(home.record, "waiting")["claim"]["feedback"]]
        assert not any(hash_id("feedback", target) in found for found in claims)
    assert (home.people, int(home.record["phones_used"])) == ([], 0)
    assert not home.record["sources"]["right"].any()
    assert not home.record["sources"]["wrong"].any()


def test_a_folded_claim_taken_back_is_forgotten_with_all_that_was_folded_of_its_owners() -> None:
    story = Story()
    story.say("correct", event_id=story.see("anna"), person_id="anna")
    claim, anna = story.last, story.home.people.index("anna")
    for _ in range(40):
        story.see("bert")
    encoders = list(galleries_of(story.home))
    assert [set(tail_masses(story.home, encoder, anna)) for encoder in encoders] == [{ENROLLED, LEARNT}] * 2
    assert story.say("retract", retracts=claim).outcomes == ["used"]
    assert [set(tail_masses(story.home, encoder, anna)) for encoder in encoders] == [{ENROLLED}] * 2
    assert people_of(story.home)[anna]["calibration"]["learnt"] == 0
    assert story.say("retract", retracts=claim).outcomes == ["rejected"]
