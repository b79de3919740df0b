"""What a liar can do to a home: bounds on every claim, source and day, runs that are held out, profiles that go back."""

import math
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.feedback.annotators import NATS_STEP, Allowance, weigh_claim
from learners.feedback.poisoning import LIES, STAKE, surprise, suspicion
from learners.precision import SHARE_STEP
from learners.recognition.gallery import ANCHOR, REST
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS
from stream.home.learning.claims import heeded
from stream.home.state.ledger import Row
from tests.support.worlds import POLICY, VOICE, Run, Shape, Story, world

seeds = st.integers(0, 2**32 - 1)
sources = st.sampled_from(["voice", "app", "pin", "annotator"])
posteriors = st.lists(st.floats(1e-4, 1), min_size=2, max_size=6).map(lambda found: [x / sum(found) for x in found])
ROUNDED = 2 * SHARE_STEP  # of the shares of an event: what rounding may move


def moved(one: Any, other: Any) -> float:
    """How much of an event is whose it was not: half the sum of differences."""
    return 0.5 * sum(abs(a - b) for a, b in zip(one, other, strict=True))


# ---- what one claim, and one day of claims, may do


@given(shares=posteriors, who=st.integers(0, 5), nats=st.floats(0, 9), says_no=st.booleans())
def test_a_claim_moves_no_more_than_its_nats_allow(shares: list[float], who: int, nats: float, says_no: bool) -> None:
    found = weigh_claim(shares, who % len(shares), nats, says_no)
    assert sum(found) == pytest.approx(1)
    assert moved(shares, found) <= math.tanh(nats / 4) + 1e-9 <= nats / 4 + 1e-9


@given(spent=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 9), st.booleans()), max_size=40), most=st.floats(0.1, 20))
def test_an_allowance_is_never_overdrawn_and_gives_back_exactly(spent: list[tuple[int, float, bool]], most: float) -> None:
    own, granted = Allowance(), defaultdict(float)
    for day, nats, taken_back in sorted(spent, key=lambda one: one[0]):
        before = own.steps if own.day == day else 0
        given = own.spend(day, nats, most)
        assert 0 <= given <= nats
        if taken_back:
            own.give_back(day, given)
            assert (own.day, own.steps) == (day, before)
        else:
            granted[day] += given
        own.give_back(day - 1, nats)  # of another day: nothing to give
    assert all(total <= most for total in granted.values())


@given(seed=seeds, enrolled=st.booleans(), odd=st.sampled_from([0.0, 0.5]))
def test_no_source_moves_more_in_a_day_than_it_may(seed: int, enrolled: bool, odd: float) -> None:
    run, by_day = Run(), defaultdict(float)
    run.play_all(world(seed, Shape(homes=1, records=60, enrolled=enrolled, odd=odd, erasing=False)))
    home = run.homes["h-0"]
    for row in home.rows:
        claim = heeded(home, row)
        if claim is None or claim.kind != "enrol":
            assert moved(row.shares, row.evidence) <= math.tanh((claim.nats if claim else 0.0) / 4) + ROUNDED
        for said in row.claims:
            by_day[said.source, said.day] += said.nats
    for (source, _), nats in by_day.items():
        assert nats <= POLICY.claims.daily_nats[source]


@given(source=sources, lies=st.integers(1, 12))
def test_a_profile_with_a_days_lies_is_near_the_one_without(source: str, lies: int) -> None:
    honest, attacked = Story(), Story()
    for _ in range(lies):
        honest.see("a guest")
        event = attacked.see("a guest")
        attacked.say("correct", event_id=event, person_id="anna", source=source)
    for encoder, space in attacked.home.spaces.items():
        more = float((space.mass() - honest.home.spaces[encoder].mass())[0])
        assert abs(more) <= POLICY.claims.daily_nats[source] / 4  # type: ignore[index]
    trusts = [[trust.log_odds for _, _, trust in story.home.panel.phones] for story in (honest, attacked)]
    assert trusts[0] == trusts[1]


def test_what_sensors_never_came_to_agree_with_leaves_nothing_behind() -> None:
    """A lie weighs something as long as it can be taken back, and nothing from then on; so the folded past knows none of it."""
    silent, lied = Story(), Story()
    for story in (silent, lied):
        event = story.see("a guest")
        if story is lied:
            story.say("correct", event_id=event, person_id="anna", source="annotator")
            assert story.shares(event)["anna"] > 0
        for _ in range(2 * POLICY.limits.rows_per_person):
            story.see("bert")
    for encoder, space in lied.home.spaces.items():
        tails, expected = space.tails(0), silent.home.spaces[encoder].tails(0)
        assert [(t.which, t.mass, t.vector.tolist()) for t in tails] == [(t.which, t.mass, t.vector.tolist()) for t in expected]
    assert lied.home.people[0].calibration is None


# ---- who only repeats the answer


@pytest.mark.parametrize("kind", ["confirm", "correct"])
def test_who_repeats_the_answer_is_believed_little_and_teaches_nothing(kind: str) -> None:
    story = Story()
    event = story.see("anna", face=None)
    row = story.home.row(event)
    assert row is not None
    assert row.first_named == "anna"
    before = row.shares, story.home.honesty["app"].predict_one(), story.home.people[0].live.state()
    story.say(kind, event_id=event, **({} if kind == "confirm" else {"person_id": "anna"}))
    assert moved(row.shares, before[0]) <= math.tanh(POLICY.claims.echo_nats / 4) + ROUNDED
    assert (story.home.honesty["app"].predict_one(), story.home.people[0].live.state()) == before[1:]


# ---- runs of claims that contradict the sensors


@given(posterior=posteriors, says=st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_the_factor_of_a_claim_has_a_mean_of_at_most_one_while_few_lie(posterior: list[float], says: list[int]) -> None:
    factors = [surprise(posterior, who, False) for who in range(len(posterior))]
    honest = sum(p * factor for p, factor in zip(posterior, factors, strict=True))
    for lie in says:
        assert (1 - LIES) * honest + LIES * factors[lie % len(factors)] <= 1 + 1e-9
    assert min(factors) >= 1 - STAKE
    assert max(factors) <= 1 + STAKE * (1 - LIES) / LIES


def test_suspicion_is_the_sum_over_all_beginnings() -> None:
    factors = [2.0, 0.5, 3.0, 1.5]
    plain = sum(math.prod(factors[first:]) for first in range(len(factors)))
    assert suspicion(factors).evidence == pytest.approx(plain)
    assert suspicion(factors).log_e_value == pytest.approx(math.log(plain / 4))
    assert suspicion([]).log_e_value == 0


def lied_to(lies: int = 8, who: str = "a guest") -> tuple[Story, list[str]]:
    """A home to which somebody said again and again that a guest was Anna; and the events."""
    story, events = Story(), []
    for _ in range(lies):
        events.append(story.see(who))
        story.say("correct", event_id=events[-1], person_id="anna")
    return story, events


def rows(story: Story, events: list[str]) -> list[Row]:
    return [row for row in story.home.rows if row.event_id in events]


def signals(story: Story) -> list[Any]:
    return [s for s in story.run.values("drift-signals") if s["adapted"] or s["person_id"] == "anna"]


def test_a_run_of_lies_is_held_out_and_told() -> None:
    story, events = lied_to()
    assert {doubt.key for doubt in story.home.disbelief if doubt.held} == {("app", None), (None, "anna")}
    assert [row.shares for row in rows(story, events)] == [row.evidence for row in rows(story, events)]
    told = [s for s in signals(story) if s["kind"] == "feedback" and s["adapted"]]
    assert {(s["person_id"], s["attributes"].get("source")) for s in told} == {("anna", None), (None, "app")}
    assert all(s["log_e_value"] > 0 for s in told)


def test_a_few_lies_are_only_outweighed() -> None:
    story, _ = lied_to(lies=2)
    assert story.home.disbelief == []
    assert signals(story) == []


def test_taking_the_lies_back_ends_the_suspicion() -> None:
    story, _ = lied_to()
    for number in range(story.said - 7, story.said + 1):
        story.say("retract", retracts=f"f-{number}")
    assert story.home.disbelief == []
    assert signals(story)[-1]["log_e_value"] < 0


def test_a_run_counts_again_when_the_sensors_come_to_agree() -> None:
    """Anna's voice was enrolled as Bert's by mistake: who corrects that contradicts the sensors, and is right after all."""
    story = Story(enrolled=False)
    story.say("enrol", person_id="bert", event_ids=[story.see("anna") for _ in range(4)])
    mistake = story.last
    for _ in range(6):
        story.say("correct", event_id=story.see("anna"), person_id="anna")
    assert {doubt.key for doubt in story.home.disbelief if doubt.held} == {("app", None), (None, "anna")}
    story.say("retract", retracts=mistake)
    story.say("enrol", person_id="anna", event_ids=[story.see("anna") for _ in range(4)])
    assert not any(doubt.held for doubt in story.home.disbelief)
    assert "these claims count again" in {s["adapted"] for s in signals(story)}


def test_a_run_that_is_held_out_stays_so_over_a_restart() -> None:
    story, _ = lied_to()
    before = story.home.disbelief
    story.run.restart("h")
    assert story.home.disbelief == before


def test_honest_corrections_are_never_a_suspicious_run() -> None:
    story = Story()
    for number in range(40):
        who = ("anna", "bert", "a guest")[number % 3]
        story.say("correct", event_id=story.see(who, face=None), person_id=GUEST if who == "a guest" else who)
    assert story.home.disbelief == []


# ---- a profile that got worse


def a_home(poison: int) -> Story:
    """A home in whose folded past of Anna there are so many recordings of somebody else."""
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    for _ in range(poison):
        row = story.home.row(story.see("a guest", face=None))
        assert row is not None
        story.home.spaces[VOICE].share(row.number, [1.0, 0.0])
        story.home.spaces[VOICE].fold(row.number, REST)
        row.encoders = ()
    return story


def lives_on(story: Story, events: int) -> None:
    for _ in range(events):
        story.see("anna", phones=[{"phone_id": "ph-1", "rssi_dbm": -50.0}])


def went_back(story: Story) -> list[Any]:
    return [s for s in story.run.values("drift-signals") if "forgotten" in (s["adapted"] or "")]


def test_a_profile_that_got_worse_goes_back_to_what_was_enrolled_and_says_so() -> None:
    story = a_home(poison=16)
    before = {tail.which: tail.mass for tail in story.home.spaces[VOICE].tails(0)}
    lives_on(story, 12)
    after = {tail.which: tail.mass for tail in story.home.spaces[VOICE].tails(0)}
    assert [(s["kind"], s["person_id"]) for s in went_back(story)] == [("feedback", "anna")]
    assert before == {ANCHOR: 6, REST: 16}
    assert (after[ANCHOR], after.get(REST, 0) < 12) == (6, True)


def test_a_sound_profile_never_goes_back() -> None:
    story = a_home(poison=0)
    lives_on(story, 120)
    assert went_back(story) == []


def test_allowances_of_a_day_are_kept_over_a_restart() -> None:
    story = Story()
    story.say("correct", event_id=story.see("a guest"), person_id="anna")
    before = story.home.allowances["app"]
    assert before.steps * NATS_STEP == story.home.rows[-1].claims[0].nats
    assert before.day == story.home.stream_time // DAY_MS
    story.run.restart("h")
    assert story.home.allowances["app"] == before


