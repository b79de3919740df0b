"""Decisions: an answer allows what its tier and its age allow, and says nothing to others of whom it names."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream.contract.policy import Action, Policy
from stream.home.rights.consents import Forbid
from stream.home.rights.decision import Answered, answers_of, decide, latest_at, redact_for
from tests.support.worlds import MINUTE_MS, START_MS, Story

TIERS = {name: Action(tier=tier, max_age_s=60) for tier, name in enumerate(("list", "play", "read", "buy", "refill"), 1)}
POLICY = Policy(actions=TIERS)
answered = st.builds(
    lambda tier, name: Answered("e-1", "kitchen", START_MS, 0, tier, name if tier >= 2 else None),
    st.integers(0, 5), st.sampled_from(["anna", "bert"]),
)  # fmt: skip
actions = st.sampled_from([*TIERS])
ages = st.integers(0, 120_000)


@given(answered, actions, ages)
def test_an_answer_allows_exactly_what_its_tier_and_age_allow(answer: Answered, action: str, age_ms: int) -> None:
    decision = decide(answer, action, POLICY, START_MS + age_ms)
    asked = TIERS[action]
    assert (decision.outcome == "allow") == (answer.tier >= asked.tier and age_ms < asked.max_age_s * 1_000)
    assert (decision.expires_at is not None) == (decision.outcome == "allow")
    assert (decision.required, decision.had, decision.authenticated_at) == (asked.tier, answer.tier, START_MS)


@given(answered, actions, ages)
def test_a_second_factor_is_asked_for_only_where_it_would_do(answer: Answered, action: str, age_ms: int) -> None:
    decision = decide(answer, action, POLICY, START_MS + age_ms)
    proven = decide(answer._replace(tier=5), action, POLICY, START_MS + age_ms)
    if decision.reason == "second_factor":
        assert (decision.outcome, proven.outcome, answer.tier) == ("step_up", "allow", 4)


@given(answered, actions, ages, st.integers(1, 60_000))
def test_what_was_allowed_ends_and_does_not_begin_again(answer: Answered, action: str, age_ms: int, more_ms: int) -> None:
    earlier, later = (decide(answer, action, POLICY, START_MS + at).outcome for at in (age_ms, age_ms + more_ms))
    assert not (earlier != "allow" and later == "allow")


@given(answered, actions, ages)
def test_of_another_member_nothing_is_told_that_is_not_told_of_nobody(answer: Answered, action: str, age_ms: int) -> None:
    nobody = answer._replace(tier=1, person_id=None)
    if answer.person_id is not None:
        assert redact_for(answer, "zoe") == nobody
        assert redact_for(answer, answer.person_id) == answer


@given(answered, actions, ages, st.none() | st.integers(-60_000, 120_000))
def test_a_second_factor_is_asked_for_beside_the_tier_where_the_policy_says_so(
    answer: Answered, action: str, age_ms: int, until_ms: int | None
) -> None:
    both = Policy(actions={name: asked.model_copy(update={"second_factor": True}) for name, asked in TIERS.items()})
    now_ms = START_MS + age_ms
    answer = answer._replace(proven_until=None if until_ms is None else START_MS + until_ms)
    proven = answer.proven_until is not None and now_ms < answer.proven_until
    without, decision = decide(answer, action, POLICY, now_ms), decide(answer, action, both, now_ms)
    assert (decision.outcome == "allow") == (without.outcome == "allow" and proven)
    if decision.expires_at is not None and answer.proven_until is not None:
        assert decision.expires_at == min(without.expires_at or 0, answer.proven_until)
    if without.outcome == "allow" and not proven:
        assert decision.reason == ("second_factor" if answer.tier >= 2 else "not_recognised"), "a PIN is somebody's"


@pytest.mark.parametrize(
    ("named_h", "until_h"),
    [((), 4), ((3,), 7), ((3, 6, 9), 13), ((5,), 4), ((3, 8), 7), ((-1,), 4), (range(3, 24, 3), 24)],
)  # fmt: skip
def test_a_second_factor_counts_for_a_day_and_while_its_person_is_never_away_for_four_hours(
    named_h: tuple[int, ...], until_h: int
) -> None:
    story, hour_ms = Story(), 60 * MINUTE_MS
    event = [story.see("anna") for _ in range(len(named_h) + 1)][-1]
    record = story.home.record
    given_at = int(record["rows"]["observed_at"][int(record["rows_used"]) - 1])
    person = record["people"][story.home.people.index("anna")]
    assert answers_of(story.home)[event].proven_until is None
    person["last_pin_at"] = given_at
    rows = record["rows"][: int(record["rows_used"])]
    of_anna = np.flatnonzero(rows["named"] == story.home.people.index("anna") + 1)
    for place, hours in zip(of_anna, [*named_h, *([0] * len(of_anna))], strict=False):
        rows["observed_at"][place] = given_at + hours * hour_ms
    assert answers_of(story.home)[event].proven_until == given_at + until_h * hour_ms


forbids = st.lists(st.builds(
    Forbid, st.integers(1, 9), st.sampled_from(["anna", "bert"]), st.frozensets(actions, max_size=2),
    st.none() | st.integers(1, 5), st.just(START_MS), st.none(),
), max_size=3)  # fmt: skip


@given(answered, actions, ages, forbids)
def test_a_forbid_beats_any_tier_and_changes_nothing_else(
    answer: Answered, action: str, age_ms: int, forbidden: list[Forbid]
) -> None:
    own = [one for one in forbidden if one.person_id == answer.person_id]
    barred = any(action in one.actions or TIERS[action].tier >= (one.tier or 9) for one in own)
    decision, without = (decide(answer, action, POLICY, START_MS + age_ms, these) for these in (forbidden, ()))
    assert (decision.outcome, decision.reason) == (("deny", "forbidden") if barred else (without.outcome, without.reason))
    if barred:
        assert redact_for(answer, answer.person_id, forbidden=True) is None, "as an event that there is not"
        assert redact_for(answer, "zoe", forbidden=True) == answer._replace(tier=0, person_id=None), "as nobody of the home"


@pytest.mark.parametrize("answer", [None, Answered("e-1", "kitchen", START_MS, 0, 5, "anna")])
def test_an_unknown_action_is_denied(answer: Answered | None) -> None:
    assert decide(answer, "bank.rob", POLICY, START_MS).outcome == "deny"
    assert decide(answer, "refill", Policy(), START_MS).outcome == "deny"


def test_actions_change_no_output_and_so_not_the_name_of_a_policy() -> None:
    assert POLICY.policy_id == Policy().policy_id


def test_answers_are_those_that_were_published_last() -> None:
    story = Story()
    events = [story.see("anna"), story.see("bert"), story.see(device="kitchen", phones=[])]
    story.say("correct", event_id=events[1], person_id="anna", source="annotator")
    kept = answers_of(story.home)
    for event_id in events:
        latest = story.answers(event_id)[-1]
        assert kept[event_id] == Answered(
            event_id, "kitchen", latest["observed_at"], latest["revision"], latest["tier"], latest["person_id"],
            "voice" in latest["modalities"],
        )
    assert latest_at(story.home, "kitchen") == kept[events[-1]]
    assert latest_at(story.home, "hall") is None
