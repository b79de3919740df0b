"""Presence: who is at home, as a function of time; the same whatever the batches, and nothing of it stays of who is erased."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from learners.kernel import array, entry_at_first_use
from learners.occupancy import whereabouts
from stream.contract.policy import Policy, Presence
from stream.contract.records import MODELS
from stream.contract.units import HOUR_MS, MINUTE_MS
from stream.home.presence import presences_of
from tests.support.worlds import POLICY as WORLD
from tests.support.worlds import Run, Shape, Story, world

POLICY = Policy(encoders=WORLD.encoders, presence=Presence(publish=True))
seeds = st.integers(0, 2**32 - 1)
searched = settings(max_examples=12)


# ---- laws


@searched
@given(seed=seeds, size=st.sampled_from([2, 7, 40]))
def test_presence_is_the_same_whatever_the_batches_and_restarts(seed: int, size: int) -> None:
    records = world(seed, Shape())
    serial = Run(POLICY).play_each(records)
    for other in (Run(POLICY).play_in_batches(records, size), Run(POLICY, restarts=True, stale=255).play_all(records)):
        assert other.outputs == serial.outputs
        assert other.states() == serial.states()
    assert serial.values("presence")


@searched
@given(seed=seeds)
def test_what_comes_again_says_nothing_again(seed: int) -> None:
    records = world(seed, Shape(records=20))
    once, twice = Run(POLICY).play_all(records), Run(POLICY).play_all([again for record in records for again in (record, record)])
    assert twice.values("presence") == once.values("presence")


@searched
@given(seed=seeds)
def test_nothing_else_depends_on_whether_presence_is_published(seed: int) -> None:
    records = world(seed, Shape())
    plain, told = Run(WORLD).play_all(records), Run(POLICY).play_all(records)
    assert not [output for output in plain.outputs if output.topic == "presence"]
    other = [(o.topic, o.key, (o.value or b"").replace(POLICY.policy_id.encode(), WORLD.policy_id.encode()))
             for o in told.outputs if o.topic != "presence"]  # fmt: skip
    assert other == [(o.topic, o.key, o.value or b"") for o in plain.outputs]


@searched
@given(seed=seeds)
def test_every_record_is_the_contracts_and_each_has_its_place(seed: int) -> None:
    run, revisions = Run(POLICY).play_all(world(seed, Shape())), dict[bytes, list[int]]()
    for output in run.outputs:
        if output.topic == "presence":
            assert output.key is not None
            if output.value is None:
                revisions[output.key] = []
                continue
            told = MODELS["presence"].model_validate_json(output.value)
            assert output.key == f"{told.household_id}/{told.person_id}".encode()
            assert sum(told.rooms.values()) <= told.home + 1e-5
            revisions.setdefault(output.key, []).append(told.revision)
    for numbers in revisions.values():
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("kind", ["erase", "leave"])
def test_of_who_is_gone_a_tombstone_is_published_and_nothing_more(kind: str) -> None:
    story = Story(policy=POLICY)
    assert {one["person_id"] for one in story.run.values("presence")} == {"anna", "bert"}
    story.say(kind, person_id="anna")
    assert [o.key for o in story.run.outputs if o.topic == "presence" and o.value is None] == [b"h/anna"]
    said = len(story.run.outputs)
    for person in ("anna", "bert", "anna"):
        story.wait(HOUR_MS)
        story.see(person)
    later = [json.loads(o.value) for o in story.run.outputs[said:] if o.topic == "presence" and o.value]
    assert {one["person_id"] for one in later} <= {"bert"}
    assert [one.person_id for one in presences_of(story.home, POLICY)] == ["bert"]
    assert kind == "leave" or b"anna" not in story.state
    told = [o.value or b"" for o in story.run.outputs[said:]]
    assert kind == "leave" or not any(b"anna" in value for value in told)


def test_who_left_while_nothing_was_published_is_not_known_of() -> None:
    story = Story(policy=POLICY)
    story.run.policy = Policy()
    story.say("leave", person_id="anna")
    assert [one.person_id for one in presences_of(story.home, POLICY)] == ["bert"]


def test_who_comes_back_is_told_of_again() -> None:
    story = Story(policy=POLICY)
    story.say("leave", person_id="anna")
    story.say("join", person_id="anna")
    story.see("bert")
    assert "anna" in {one.person_id for one in presences_of(story.home, POLICY)}


# ---- what it means


def home_of(story: Story, person: str) -> float:
    """Probability that somebody is at home, at the home's own time."""
    (one,) = [one for one in presences_of(story.home, POLICY) if one.person_id == person]
    return one.home_at(int(story.home.record["stream_time"]))


def present(story: Story, person: str) -> bool:
    return next(one.present for one in presences_of(story.home, POLICY) if one.person_id == person)


def with_phones() -> Story:
    story = Story(policy=POLICY)
    for person in ("anna", "bert"):
        story.say("phone", phone_id=f"ph-{person}", person_id=person)
    return story


def listen(story: Story, *people: str, after_ms: int = 5 * MINUTE_MS) -> None:
    """A hub hears these phones."""
    story.wait(after_ms - MINUTE_MS)
    story.see(None, device="hub", phones=[{"phone_id": f"ph-{person}", "rssi_dbm": -70.0} for person in people])


def test_who_is_heard_is_at_home_and_where() -> None:
    story = Story(policy=POLICY)
    story.wait(12 * HOUR_MS)
    story.see("anna", device="hall")
    assert home_of(story, "anna") > 0.95
    assert present(story, "anna")
    told = [one for one in story.run.values("presence") if one["person_id"] == "anna"][-1]
    assert max(told["rooms"], key=told["rooms"].__getitem__) == "hall"
    assert told["rooms"]["hall"] > 0.9
    assert told["evidence"] == ["voice", "face"]


def test_one_silence_of_a_phone_does_not_send_its_owner_away_and_more_do() -> None:
    story = with_phones()
    for _ in range(6):
        listen(story, "anna", "bert")
    listen(story, "bert")
    assert present(story, "anna")
    for _ in range(2):
        listen(story, "bert")
    assert home_of(story, "anna") < 0.3
    for _ in range(4):
        listen(story, "bert")
    assert not present(story, "anna")
    assert present(story, "bert")
    for _ in range(2):
        listen(story, "anna", "bert")
    assert present(story, "anna")


def test_a_phone_that_is_silent_while_its_owner_speaks_is_off_and_says_nothing_then() -> None:
    story = with_phones()
    for _ in range(4):
        listen(story, "bert")
        story.see("anna", phones=[{"phone_id": "ph-bert", "rssi_dbm": -70.0}])
    for _ in range(6):
        listen(story, "bert")
    assert present(story, "anna")


def test_what_is_done_by_nobody_known_makes_nobody_sure() -> None:
    story = Story(policy=POLICY)
    story.wait(24 * HOUR_MS)
    for _ in range(12):
        story.wait(10 * MINUTE_MS)
        story.see(None, activity="light.on")
    for person in ("anna", "bert"):
        assert 0.3 < home_of(story, person) < 0.8


def test_a_claim_that_it_was_somebody_else_takes_their_presence_back() -> None:
    story = Story(policy=POLICY)
    story.wait(24 * HOUR_MS)
    event = story.see(None, activity="light.on")
    story.say("correct", event_id=event, person_id="anna")
    of_anna, of_bert = home_of(story, "anna"), home_of(story, "bert")
    story.say("correct", event_id=event, person_id="bert")
    assert home_of(story, "anna") < of_anna - 0.05
    assert home_of(story, "bert") > of_bert + 0.05


def test_what_is_published_foretells_what_follows_as_long_as_nothing_is_seen() -> None:
    """Of a guest who says nothing, in a room of nobody's, only time passes."""
    story = with_phones()
    listen(story, "anna", "bert")
    (foretold,) = [one for one in presences_of(story.home, POLICY) if one.person_id == "anna"]
    said = len(story.run.values("presence"))
    story.wait(3 * HOUR_MS)
    story.say("join", person_id="cora")
    assert [one["person_id"] for one in story.run.values("presence")[said:]] == ["cora"]
    assert home_of(story, "anna") == pytest.approx(foretold.home_at(int(story.home.record["stream_time"])))


# ---- one person's chain


shares = st.floats(0.05, 0.95)
states = st.lists(st.floats(0.05, 1), min_size=whereabouts.STATES, max_size=whereabouts.STATES)


numbers = array(np.dtype("f8"))


@entry_at_first_use(numbers, numbers)
def let_pass(state: Any, times: Any) -> None:
    whereabouts.pass_time(state, times[0], (times[1], times[2]), (times[3], times[4], times[5]))  # type: ignore[no-untyped-call]


@entry_at_first_use(numbers, numbers)
def listened(state: Any, scan: Any) -> None:
    whereabouts.see_phone(state, scan[0] > 0.0, (scan[1], scan[2]), 1.0)  # type: ignore[no-untyped-call]


@given(state=states, first=shares, second=shares, to=shares)
def test_time_passes_alike_in_one_step_or_in_two(state: list[float], first: float, second: float, to: float) -> None:
    one = np.array(state) / sum(state)
    two, home = one.copy(), one[3:].sum()
    let_pass(one, np.array([first + second, to, 2.0, 0.1, 0.03, 12.0]))
    for hours in (first, second):
        let_pass(two, np.array([hours, to, 2.0, 0.1, 0.03, 12.0]))
    assert one == pytest.approx(two)
    assert one.sum() == pytest.approx(1)
    assert one[3:].sum() == pytest.approx(to + (home - to) * 2.0 ** (-(first + second) / 2))


@given(state=states, heard=st.booleans())
def test_a_phone_is_weighed_as_in_a_textbook(state: list[float], heard: bool) -> None:
    """The forward step of a hidden Markov model: prior times likelihood, by state."""
    believed = np.array(state) / sum(state)
    there = np.array([0.02, 0.02, 0.9, 0.9, 0.02, 0.9])  # away: on, off, left at home; at home: the same
    expected = believed * (there if heard else 1 - there)
    listened(believed, np.array([float(heard), 0.9, 0.02]))
    assert believed == pytest.approx(expected / expected.sum(), abs=1e-5)
