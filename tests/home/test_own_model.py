"""A model of the policy's own: what it says is a function of the home's events and claims, and a term like the others."""

import doctest
import json
import math
from functools import cache
from typing import Any

import numpy as np
import pytest

import stream.home.own.term
import stream.home.step as stepping
from stream.contract.codec import decode
from stream.contract.policy import OwnModel, Policy
from stream.contract.records import Record
from stream.home.own.term import Foretold, OwnTerm, own_term, weigh
from stream.home.state.at_rest import decode_home
from stream.home.state.household import Household
from stream.home.state.layout import HABIT
from stream.home.step import step_batch
from stream.offline.why.explanation import explain
from stream.offline.why.history import play_all
from tests.support.worlds import MINUTE_MS, POLICY, Run, Shape, Story, feedback, recognition, row_of, world

NAIVE = "river.naive_bayes.BernoulliNB"
ALL = ("hour", "weekday", "activity", "device", "channels", "phones")


@cache  # made when a test asks for it: to load River takes two seconds
def policy_of(classifier: str = NAIVE, **told: Any) -> Policy:
    """One whose model is believed early, so that it says much."""
    told = {"features": ALL, "prior_weight": 0.01, "llr_max": 4.0} | told
    return Policy(encoders=POLICY.encoders, own_model=OwnModel(classifier=classifier, **told))


worlds = pytest.mark.parametrize("records", [world(s, Shape(records=60, enrolled=s % 3 < 2)) for s in range(6)], ids=range(6))


def outputs_of(run: Run, policy: Policy) -> list[Any]:
    """Every output but for the policy's name."""
    named = f'"{policy.policy_id}"'.encode()
    return [o._replace(value=o.value and o.value.replace(named, b'"..."')) for o in run.outputs]


def assert_same(one: Run, other: Run) -> None:
    assert one.outputs == other.outputs
    assert one.states() == other.states()


def answers(run: Run) -> dict[tuple[str, str], Any]:
    told = (value for value in run.values("identities") if value["revision"] == 0)
    return {(value["household_id"], value["event_id"]): value["posterior"] for value in told}


# ---- a function of rows and claims


@pytest.mark.parametrize("size", [1, 7, 1000])
@worlds
def test_batches_of_any_size_give_the_same_bytes(size: int, records: list[Record]) -> None:
    assert_same(Run(policy_of()).play_in_batches(records, size), Run(policy_of()).play_each(records))


@worlds
def test_a_home_that_was_written_and_read_back_goes_on_as_the_one_that_was_not(records: list[Record]) -> None:
    assert_same(Run(policy_of(), restarts=True, stale=0xFF).play_all(records), Run(policy_of(), stale=0xFF).play_all(records))


def test_what_is_kept_at_hand_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    records = world(2, Shape(records=120))
    kept = Run(policy_of()).play_all(records)
    monkeypatch.setattr(stepping, "_IDLE", {})
    monkeypatch.setattr(stepping, "own_term", lambda policy: OwnTerm(policy.own_model, 0))
    assert_same(Run(policy_of()).play_all(records), kept)


def test_it_changes_answers_and_one_that_says_nothing_changes_none() -> None:
    records, plain = world(2, Shape(records=120)), Run(POLICY)
    own, silent = policy_of(), policy_of(prior_weight=1e9)
    plain.play_all(records)
    quiet = Run(silent).play_all(records)
    assert outputs_of(quiet, silent) == outputs_of(plain, POLICY)
    assert quiet.states() == plain.states()
    told, others = answers(Run(own).play_all(records)), answers(plain)
    changed = [key for key in told if told[key] != others[key]]
    assert len(changed) > len(told) / 4


# ---- what it learns


def story(policy: Policy, taught: int = 6) -> Story:
    """Anna at her desk, Bert at his bench; of each so many events somebody says whose they were."""
    told = Story(policy=policy)
    for _ in range(taught):
        for who, device in (("anna", "desk"), ("bert", "bench")):
            event = told.see(who, device=device)
            told.say("correct", event_id=event, person_id=who, source="annotator")
    return told


def of_device() -> Policy:
    return policy_of(features=("device",), llr_max=2.0)


def posterior(told: Story, device: str) -> Any:
    """Of an event of which nothing is known but where it was."""
    told.wait(60 * MINUTE_MS)
    return told.answers(told.see(None, device=device, activity="a.new.one"))[0]["posterior"]


def test_who_was_told_of_at_a_device_is_likelier_there_and_the_others_less_likely() -> None:
    plain, own = (posterior(story(policy), "desk") for policy in (POLICY, of_device()))
    assert own["anna"] > plain["anna"] + 0.1
    assert own["bert"] < plain["bert"] - 0.1


def test_it_says_no_more_than_it_may() -> None:
    small = policy_of(features=("device",), llr_max=0.25)
    plain, own = (posterior(story(policy), "desk") for policy in (POLICY, small))
    for one, other in (("anna", "guest"), ("bert", "guest")):
        moved = np.log(own[one] / own[other]) - np.log(plain[one] / plain[other])
        assert 0.2 < abs(moved) < 0.26


def test_nobody_who_was_never_told_of_is_known_and_guided_enrolment_tells_nothing() -> None:
    plain, own = (Story(policy=policy) for policy in (POLICY, of_device()))
    for told in (plain, own):
        told.say("correct", event_id=told.see("anna", device="desk"), person_id="anna", source="annotator")
    assert posterior(own, "desk") == posterior(plain, "desk")


def test_how_often_somebody_is_met_it_leaves_to_the_prior() -> None:
    """What it says is nothing, on the mean of its lessons, however many more are of one."""
    told = Story(policy=policy_of(features=("device",), prior_weight=1.0))
    for number in range(12):
        who, device = ("bert", "bench") if number in (1, 4, 9) else ("anna", "desk")
        told.say("correct", event_id=told.see(who, device=device), person_id=who, source="annotator")
    desk, bench = (np.array(said_at(told, device)[:2]) for device in ("desk", "bench"))
    assert desk[0] > 4
    assert (np.abs(9 * desk + 3 * bench) <= 6).all(), "but for what rounding does"


@pytest.mark.parametrize("seed", range(20))
def test_how_far_it_is_believed_is_what_a_slow_search_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    prior, count = rng.uniform(0.1, 5), int(rng.integers(1, 30))
    said, often = rng.normal(0.5, rng.uniform(0.2, 3), count), rng.normal(0, 1, count)
    theirs = rng.random(count) < 1 / (1 + np.exp(-often - 0.8 * said))
    spread = math.sqrt(np.mean(said**2))
    weights = np.linspace(0, min(4 / spread, 2), 20_001)
    against = np.where(theirs, -1, 1)[:, None] * (often[:, None] + said[:, None] * weights)
    slow = weights[np.argmin(np.log1p(np.exp(against)).sum(0) + prior / 2 * (spread * weights) ** 2)]
    foretold = [Foretold(*one) for one in zip(said.tolist(), often.tolist(), theirs.tolist(), strict=True)]
    assert weigh(foretold, prior) == pytest.approx(slow, abs=2e-4)


def test_how_far_it_is_believed_is_as_its_docstring_shows() -> None:
    assert doctest.testmod(stream.home.own.term) == (0, 4)


# ---- taken back


def test_a_claim_that_is_taken_back_taught_nothing() -> None:
    between, after = zip(*map(said_around, (False, True)), strict=True)
    assert after[0] == after[1]
    assert between[0] != between[1], "it had taught something"


def said_around(claimed: bool) -> tuple[list[int], list[list[int]]]:
    """What the model says of an event when a claim stands, or was never said; and then, when none stands."""
    told = story(of_device(), taught=3)
    event = told.see("anna", device="bench")
    if claimed:
        told.say("correct", event_id=event, person_id="anna", source="annotator", feedback_id="f-x")
    between = said_at(told, "bench")
    if claimed:
        told.say("retract", retracts="f-x")
    return between, [said_at(told, "bench"), said_at(told, "desk")]


def said_at(told: Story, device: str) -> list[int]:
    """What the model says of an event there, in steps."""
    event_id = told.see(None, device=device, phones=[])
    row = row_of(told.home, event_id)
    assert row is not None, "it is kept"
    return row["llr"][HABIT].tolist()  # type: ignore[no-any-return]


def test_a_claim_that_is_taken_back_just_before_an_event_is_so_in_one_batch_too() -> None:
    """Below it was another, by which the event is somebody else's as soon as that has been brought in line."""
    told = story(of_device(), taught=3)
    event = told.see(None, device="hall", phones=[])
    told.say("correct", event_id=event, person_id="anna")
    told.say("correct", event_id=event, person_id="bert", source="annotator")
    records = [
        told.desk.record("feedback", feedback("h", "f-back", told.desk.now, "retract", retracts=told.last)),
        told.desk.record("recognitions", recognition("h", "e-x", told.desk.now, "hall", phones=[])),
    ]
    taught = said_of(Run(of_device(), homes={"h": copy_of(told)}).play_all(records[1:]))
    serial, together = (Run(of_device(), homes={"h": copy_of(told)}) for _ in range(2))
    assert said_of(together.play_in_batches(records, 2)) == said_of(serial.play_each(records)) != taught


def copy_of(told: Story) -> Household:
    return decode_home(told.state, of_device())


def said_of(run: Run) -> list[int]:
    row = row_of(run.homes["h"], "e-x")
    assert row is not None, "it is kept"
    return row["llr"][HABIT].tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize("person", ["anna", None])
def test_of_who_is_erased_nothing_stays_in_memory(person: str | None) -> None:
    told, term = story(of_device()), own_term(of_device())
    assert term is not None
    said_at(told, "desk")
    assert "h" in term._fitted
    told.say("erase", person_id=person)
    assert "h" not in term._fitted
    assert posterior(told, "desk").keys() == ({"bert", "guest"} if person else {"guest"})


# ---- beside the others


def test_the_terms_of_an_answer_add_up_with_it() -> None:
    """`explain` itself refuses terms that do not give what was published."""
    records: list[Record] = world(4, Shape(homes=1, records=90))
    run = Run(policy_of()).play_all(records)
    events = [event_id for _, event_id in answers(run)][-30:]
    shown = 0
    for history in play_all(records, "h-0", events, policy_of()):
        told = explain(history, policy_of())
        assert told.log_odds is None or sum(term.nats for term in told.terms) == pytest.approx(told.log_odds, abs=1e-9)
        shown += any(term.name == "own" for term in told.terms)
    assert shown >= 5


def test_a_model_that_fails_is_an_error_of_that_home_alone() -> None:
    """The household is left as it was before the batch, as after every error at one of its events."""
    policy = policy_of("tests.support.own_models.Failing", features=("hour",))
    records, run = world(2, Shape(records=60, erasing=False)), Run(policy)
    events = [decode(record, policy) for record in records]
    calm = [event for event in events if event.value.household_id == "h-1" and "recognition" in event.record.topic]
    noisy = [event for event in events if event.value.household_id == "h-0"]
    run.homes = {name: Household.new(name) for name in ("h-0", "h-1")}
    done = step_batch(run.homes, [*noisy, *calm], policy)
    assert {name: str(failure.error) for name, failure in done.failures.items()} == {"h-0": "of somebody's own model"}
    assert all(answer is not None for answer in done.responses[len(noisy) :])
    assert json.loads(done.responses[-1].outputs[0].value)  # type: ignore[union-attr]
