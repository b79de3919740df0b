"""What a liar can do to a home: bounds on every claim, source and day, runs that are held out, profiles that go back."""

import math
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from learners.feedback.poisoning import LIES, STAKE
from learners.precision import NATS_STEP, SHARE_ONE, SHARE_STEP
from stream.contract.policy import SOURCES
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS
from stream.home import messages
from stream.home.core.feedback.claims import LEAST
from stream.home.messages import ENROL, REJECT
from stream.home.numbers import policy_numbers
from stream.home.state import layout
from stream.home.state.layout import NOT_COUNTED
from tests.home.calls import claim_that_counts, factor_of, fold_vector, most_evidence, spend, take_back, weigh
from tests.home.reading import (
    ENROLLED,
    LEARNT,
    claims_of,
    doubts_of,
    floats,
    galleries_of,
    masses,
    people_of,
    person_at,
    phones_of,
    rows_of,
    source_of,
    suspended_of,
    tail_masses,
    tails_of,
)
from tests.support.worlds import POLICY, VOICE, Run, Shape, Story, row_of, world

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
    found = np.array(shares)
    weigh(found, who % len(shares), -nats if says_no else nats)
    assert sum(found) == pytest.approx(1)
    assert moved(shares, found) <= math.tanh(nats / 4) + 1e-9 <= nats / 4 + 1e-9


@given(spent=st.lists(st.tuples(st.integers(0, 3), st.floats(0, 9), st.booleans()), max_size=40), most=st.floats(0.1, 20))
def test_an_allowance_is_never_overdrawn_and_gives_back_exactly(spent: list[tuple[int, float, bool]], most: float) -> None:
    home, policy, granted = np.zeros(1, layout.HOME), np.zeros(1, messages.POLICY), defaultdict(float)
    policy["daily_nats"], own = most, home[0]["sources"][0]
    for day, nats, taken_back in sorted(spent, key=lambda one: one[0]):
        home["stream_time"] = day * DAY_MS
        before = int(own["spent"]) if own["day"] == day else 0
        given = spend(home, int(nats / NATS_STEP), policy) * NATS_STEP
        assert 0 <= given <= nats
        claim = home[0]["rows"][0]["claims"][0]
        if taken_back:
            take_back(home)
            assert (int(own["day"]), int(own["spent"]), int(claim["nats"])) == (day, before, 0)
        else:
            granted[day] += given
        after = int(own["spent"])
        claim["day"], claim["nats"] = day - 1, int(nats / NATS_STEP)
        take_back(home)  # of another day: nothing to give
        assert own["spent"] == after
    assert all(total <= most for total in granted.values())


@given(seed=seeds, enrolled=st.booleans(), odd=st.sampled_from([0.0, 0.5]))
def test_no_source_moves_more_in_a_day_than_it_may(seed: int, enrolled: bool, odd: float) -> None:
    run, by_day = Run(), defaultdict(float)
    run.play_all(world(seed, Shape(homes=1, records=60, enrolled=enrolled, odd=odd, erasing=False)))
    home = run.homes["h-0"]
    for index, row in enumerate(rows_of(home)):
        counts = claim_that_counts(home.slot, index)
        claim = claims_of(row)[counts] if counts >= 0 else None
        if claim is None or claim["kind"] != ENROL:
            nats = float(claim["nats"]) * NATS_STEP if claim is not None else 0.0
            assert moved(floats(home, row), floats(home, row, "evidence")) <= math.tanh(nats / 4) + ROUNDED
        for said in claims_of(row):
            by_day[SOURCES[said["source"]], int(said["day"])] += float(said["nats"]) * NATS_STEP
    for (source, _), nats in by_day.items():
        assert nats <= POLICY.claims.daily_nats[source]


@given(source=sources, lies=st.integers(1, 12))
def test_a_profile_with_a_days_lies_is_near_the_one_without(source: str, lies: int) -> None:
    honest, attacked = Story(), Story()
    for _ in range(lies):
        honest.see("a guest")
        event = attacked.see("a guest")
        attacked.say("correct", event_id=event, person_id="anna", source=source)
    for encoder in galleries_of(attacked.home):
        more = masses(attacked.home, encoder)[0] - masses(honest.home, encoder)[0]
        assert abs(more) <= POLICY.claims.daily_nats[source] / 4  # type: ignore[index]
    trusts = [phones_of(story.home)["registrations"]["log_odds"].tolist() for story in (honest, attacked)]
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
    for encoder in galleries_of(lied.home):
        tails, expected = (tails_of(story.home, encoder, 0) for story in (lied, silent))
        for field in ("learnt", "mass", "vector"):
            assert tails[field].tolist() == expected[field].tolist()
    assert people_of(lied.home)[0]["calibration"]["learnt"] == 0


# ---- who only repeats the answer


@pytest.mark.parametrize("kind", ["confirm", "correct"])
def test_who_repeats_the_answer_is_believed_little_and_teaches_nothing(kind: str) -> None:
    story = Story()
    event = story.see("anna", face=None)
    row = row_of(story.home, event)
    assert person_at(story.home, row["first_named"]) == "anna"

    def learnt() -> tuple[Any, ...]:
        app = source_of(story.home, "app")
        return int(app["right"]), int(app["wrong"]), people_of(story.home)[0]["live"].tobytes()

    before = floats(story.home, row), learnt()
    story.say(kind, event_id=event, **({} if kind == "confirm" else {"person_id": "anna"}))
    assert moved(floats(story.home, row), before[0]) <= math.tanh(POLICY.claims.echo_nats / 4) + ROUNDED
    assert learnt() == before[1]


# ---- runs of claims that contradict the sensors


@given(posterior=posteriors, says=st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_the_factor_of_a_claim_has_a_mean_of_at_most_one_while_few_lie(posterior: list[float], says: list[int]) -> None:
    factors = [factor_of(np.array(posterior), who, False) for who in range(len(posterior))]
    honest = sum(p * factor for p, factor in zip(posterior, factors, strict=True))
    for lie in says:
        assert (1 - LIES) * honest + LIES * factors[lie % len(factors)] <= 1 + 1e-9
    assert min(factors) >= 1 - STAKE
    assert max(factors) <= 1 + STAKE * (1 - LIES) / LIES


def over_beginnings(factors: list[float]) -> float:
    """The evidence of a run: over all its beginnings, what was won since."""
    return sum(math.prod(factors[first:]) for first in range(len(factors)))


def test_evidence_of_a_run_is_the_sum_over_all_beginnings() -> None:
    story = Story()
    while not suspended_of(story.home):
        story.say("correct", event_id=story.see("a guest"), person_id="anna")
    factors = []
    for row in rows_of(story.home):
        evidence = np.maximum(floats(story.home, row, "evidence"), LEAST)
        factors += [
            factor_of(evidence, int(claim["person"]), bool(claim["kind"] == REJECT))
            for claim in claims_of(row) if claim["right"] != NOT_COUNTED
        ]  # fmt: skip
    expected = math.log(over_beginnings(factors) / len(factors))
    told = [s["log_e_value"] for s in story.run.values("drift-signals") if s["kind"] == "feedback" and s["adapted"]]
    assert told == pytest.approx([expected, expected], abs=1e-6)
    assert most_evidence(4) == pytest.approx(over_beginnings([1 + STAKE * (1 - LIES) / LIES] * 4))


def lied_to(lies: int = 8, who: str = "a guest") -> tuple[Story, list[str]]:
    """A home to which somebody said again and again that a guest was Anna; and the events."""
    story, events = Story(), []
    for _ in range(lies):
        events.append(story.see(who))
        story.say("correct", event_id=events[-1], person_id="anna")
    return story, events


def signals(story: Story) -> list[Any]:
    return [s for s in story.run.values("drift-signals") if s["adapted"] or s["person_id"] == "anna"]


def test_a_run_of_lies_is_held_out_and_told() -> None:
    story, events = lied_to()
    assert suspended_of(story.home) == {("app", None), (None, "anna")}
    kept = [row for row in (row_of(story.home, event) for event in events) if row is not None]
    assert len(kept) == len(events)
    assert [row["shares"].tolist() for row in kept] == [row["evidence"].tolist() for row in kept]
    told = [s for s in signals(story) if s["kind"] == "feedback" and s["adapted"]]
    assert {(s["person_id"], s["attributes"].get("source")) for s in told} == {("anna", None), (None, "app")}
    assert all(s["log_e_value"] > 0 for s in told)


def test_a_few_lies_are_only_outweighed() -> None:
    story, _ = lied_to(lies=2)
    assert len(doubts_of(story.home)) == 0
    assert signals(story) == []


def test_taking_the_lies_back_ends_the_suspicion() -> None:
    story, _ = lied_to()
    for number in range(story.said - 7, story.said + 1):
        story.say("retract", retracts=f"f-{number}")
    assert len(doubts_of(story.home)) == 0
    assert signals(story)[-1]["log_e_value"] < 0


def test_a_run_counts_again_when_the_sensors_come_to_agree() -> None:
    """Anna's voice was enrolled as Bert's by mistake: who corrects that contradicts the sensors, and is right after all."""
    story = Story(enrolled=False)
    story.say("enrol", person_id="bert", event_ids=[story.see("anna") for _ in range(4)])
    mistake = story.last
    for _ in range(6):
        story.say("correct", event_id=story.see("anna"), person_id="anna")
    assert suspended_of(story.home) == {("app", None), (None, "anna")}
    story.say("retract", retracts=mistake)
    story.say("enrol", person_id="anna", event_ids=[story.see("anna") for _ in range(4)])
    assert suspended_of(story.home) == set()
    assert "these claims count again" in {s["adapted"] for s in signals(story)}


def test_a_run_that_is_held_out_stays_so_over_a_restart() -> None:
    story, _ = lied_to()
    before = doubts_of(story.home).tobytes()
    assert before
    story.run.restart("h")
    assert doubts_of(story.home).tobytes() == before


def test_honest_corrections_are_never_a_suspicious_run() -> None:
    story = Story()
    for number in range(40):
        who = ("anna", "bert", "a guest")[number % 3]
        story.say("correct", event_id=story.see(who, face=None), person_id=GUEST if who == "a guest" else who)
    assert len(doubts_of(story.home)) == 0


# ---- a profile that got worse


def a_home(poison: int) -> Story:
    """A home in whose folded past of Anna there are so many recordings of somebody else."""
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    for _ in range(poison):
        row = row_of(story.home, story.see("a guest", face=None))
        own = row["shares"].copy()
        row["shares"][:3] = 0, SHARE_ONE, 0
        fold_vector(story.home.slot, int(story.home.record["rows_used"]) - 1, layout.VOICE, policy_numbers(POLICY))
        row["shares"], row["encoders"] = own, 0
    return story


def lives_on(story: Story, events: int) -> None:
    for _ in range(events):
        story.see("anna", phones=[{"phone_id": "ph-1", "rssi_dbm": -50.0}])


def went_back(story: Story) -> list[Any]:
    return [s for s in story.run.values("drift-signals") if "forgotten" in (s["adapted"] or "")]


def test_a_profile_that_got_worse_goes_back_to_what_was_enrolled_and_says_so() -> None:
    story = a_home(poison=16)
    before = tail_masses(story.home, VOICE, 0)
    lives_on(story, 12)
    after = tail_masses(story.home, VOICE, 0)
    assert [(s["kind"], s["person_id"]) for s in went_back(story)] == [("feedback", "anna")]
    assert before == {ENROLLED: 6, LEARNT: 16}
    assert (after[ENROLLED], after.get(LEARNT, 0) < 12) == (6, True)


def test_a_sound_profile_never_goes_back() -> None:
    story = a_home(poison=0)
    lives_on(story, 120)
    assert went_back(story) == []


def test_allowances_of_a_day_are_kept_over_a_restart() -> None:
    story = Story()
    story.say("correct", event_id=story.see("a guest"), person_id="anna")
    before = source_of(story.home, "app").tobytes()
    assert source_of(story.home, "app")["spent"] == claims_of(rows_of(story.home)[-1])[0]["nats"] > 0
    assert source_of(story.home, "app")["day"] == story.home.record["stream_time"] // DAY_MS
    story.run.restart("h")
    assert source_of(story.home, "app").tobytes() == before


