"""Taking back: what was learnt is a function of what the ledger now holds, so nothing stays of what was taken back."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from learners.precision import SHARE_STEP
from learners.recognition.gallery import ANCHOR, REST
from learners.recognition.habits import Habits
from stream.contract.policy import Limits, Policy
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS
from stream.home.learning.learning import HABIT_SHARE_MIN
from stream.home.recognition.evidence import habit_of
from stream.home.state.home import Home
from tests.support.worlds import POLICY, Desk, Run, Shape, Story, feedback, world

ROOMY = Policy(limits=Limits(rows_per_person=32, ledger_days=3650))  # nothing leaves the ledger in so short a life
seeds = st.integers(0, 2**32 - 1)
sources = st.sampled_from(["voice", "app", "pin", "annotator"])


def lived(seed: int, policy: Policy = POLICY, **shape: Any) -> tuple[Run, Desk]:
    """A home that lived, and the desk where what follows gets its place."""
    records = world(seed, Shape(homes=1, **shape))
    return Run(policy).play_all(records), Desk(now=records[-1].timestamp)


def say(run: Run, desk: Desk, kind: str, feedback_id: str, **fields: Any) -> list[str]:
    return list(run.play(desk.record("feedback", feedback("h-0", feedback_id, desk.now, kind, **fields))).outcomes)


def learnt(home: Home) -> dict[str, Any]:
    """All that claims can change, but habits (whose counts are taken back but for rounding)."""
    return {
        "shares": [(row.event_id, row.shares, row.evidence, row.claims) for row in home.rows],
        "presence": (home.presence.guest_steps, list(home.presence.steps)),
        "honesty": {s: (h.right_steps, h.wrong_steps) for s, h in home.honesty.items()},
        "calibration": [person.live.state() for person in home.people],
        "events": [person.events for person in home.people],
        "vectors": {e: space.mass().tolist() for e, space in home.spaces.items()},
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What of `learnt` is not as it was, by name: the whole would fill a screen."""
    return [what for what in before if before[what] != after[what]]


def a_claim(home: Home, number: int, who: int) -> tuple[str, dict[str, Any]]:
    """A correct or reject about some event of the ledger and some member or guest."""
    free = [row for row in home.rows if not row.enrolled]
    members = [GUEST, *(p.person_id for p in home.people if p.present)]
    assume(free)
    fields = {"event_id": free[number % len(free)].event_id, "person_id": members[who % len(members)]}
    return ("correct" if number % 3 else "reject"), fields


@given(seed=seeds, number=st.integers(0, 99), who=st.integers(0, 5), source=sources)
def test_a_claim_and_its_retraction_leave_an_enrolled_home_as_it_was(seed: int, number: int, who: int, source: str) -> None:
    run, desk = lived(seed, records=30, odd=0.0, erasing=False)
    home = run.homes["h-0"]
    assume(all(person.enrolled for person in home.people))
    kind, fields = a_claim(home, number, who)
    before = learnt(home)
    assert say(run, desk, kind, "f-claim", source=source, **fields) in (["used"], ["contradictory"])
    assert say(run, desk, "retract", "f-back", retracts="f-claim") == ["used"]
    assert changed(before, learnt(home)) == []


@given(seed=seeds, number=st.integers(0, 99), who=st.integers(0, 5), first=sources, second=sources)
def test_taking_back_the_later_claim_brings_the_earlier_back(seed: int, number: int, who: int, first: str, second: str) -> None:
    run, desk = lived(seed, records=30, odd=0.0, erasing=False)
    home = run.homes["h-0"]
    assume(all(person.enrolled for person in home.people))
    kind, fields = a_claim(home, number, who)
    say(run, desk, kind, "f-first", source=first, **fields)
    before = learnt(home)
    desk.now += 1000
    say(run, desk, "correct", "f-second", source=second, **a_claim(home, number, who + 1)[1])
    say(run, desk, "retract", "f-back", retracts="f-second")
    assert changed(before, learnt(home)) == []


@given(seed=seeds, enrolled=st.booleans(), erasing=st.booleans(), people=st.integers(1, 4))
def test_what_was_learnt_is_what_the_ledger_holds(seed: int, enrolled: bool, erasing: bool, people: int) -> None:
    run, _ = lived(seed, ROOMY, records=40, enrolled=enrolled, erasing=erasing, people=people, odd=0.5)
    home = run.homes["h-0"]
    counted = [row for row in home.rows if row.counted]
    sums = [sum(round(row.shares[i] / SHARE_STEP) for row in counted) for i in range(len(home.people) + 1)]
    assert [home.presence.guest_steps, *home.presence.steps] == sums
    assert [p.events for p in home.people] == [sum(row.shares[i + 1] for row in home.rows) for i in range(len(home.people))]
    for source, honesty in home.honesty.items():
        told = [c.right for row in home.rows for c in row.claims if c.source == source and c.right is not None]
        assert honesty.right_steps * SHARE_STEP == sum(told)
        assert honesty.wrong_steps * SHARE_STEP == len(told) - sum(told)


@given(seed=seeds, enrolled=st.booleans())
def test_habits_are_those_of_the_events_that_the_ledger_holds(seed: int, enrolled: bool) -> None:
    run, _ = lived(seed, ROOMY, records=40, enrolled=enrolled, erasing=False, odd=0.5)
    home, plain = run.homes["h-0"], Habits(POLICY.learning.habits_half_life_days)
    people = [p.person_id for p in home.people]
    plain.learn_one({}, GUEST, day=home.habits.day)
    for row in home.rows:
        if row.counted and row.activity is not None:
            for name, share in zip([GUEST, *people], row.shares, strict=True):
                if share > HABIT_SHARE_MIN:
                    plain.learn_one(habit_of(row.activity, row.observed_at), name, share, row.observed_at / DAY_MS)
    for person in people:
        shown, expected = home.habits.of(person), plain.of(person)
        assert {f: sorted(v) for f, v in shown.items()} == {f: sorted(v) for f, v in expected.items()}
        for feature in expected:
            assert shown[feature] == pytest.approx(expected[feature], abs=2e-4)


@given(seed=seeds, enrolled=st.booleans())
def test_whatever_is_taken_back_stands_nowhere_any_more(seed: int, enrolled: bool) -> None:
    """Every feedback of a life is taken back, the newest first: what is left was learnt from sensors alone, and of nobody."""
    shape = Shape(homes=1, records=30, enrolled=enrolled, erasing=False)
    records = world(seed, shape)
    run, desk = Run(ROOMY).play_all(records), Desk(now=records[-1].timestamp)
    home = run.homes["h-0"]
    said = dict.fromkeys(json.loads(r.value or b"")["feedback_id"] for r in records if r.topic == "feedback")
    for target in reversed(said):
        say(run, desk, "retract", f"back-{target}", retracts=target)
        claims = [c for row in home.rows for c in row.claims] + [w.claim for w in home.waiting]
        assert target not in {claim.feedback_id for claim in claims}
    assert (home.people, home.phones) == ([], {})
    assert {(h.right_steps, h.wrong_steps) for h in home.honesty.values()} == {(0, 0)}


def test_a_folded_claim_taken_back_is_forgotten_with_all_that_was_folded_of_its_owners() -> None:
    story = Story()
    story.say("correct", event_id=story.see("anna"), person_id="anna")
    claim, anna = story.last, story.home.column("anna") or 0
    for _ in range(40):
        story.see("bert")
    spaces = story.home.spaces.values()
    assert all({tail.which for tail in space.tails(anna)} == {ANCHOR, REST} for space in spaces)
    assert story.say("retract", retracts=claim).outcomes == ["used"]
    assert all({tail.which for tail in space.tails(anna)} == {ANCHOR} for space in spaces)
    assert story.home.people[anna].calibration is None
    assert story.say("retract", retracts=claim).outcomes == ["rejected"]
