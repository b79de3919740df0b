"""Feedback, one example for each row of the contract's table and for each of its oddities."""

import json
from typing import Any

import pytest

from stream.contract.policy import SOURCES
from stream.contract.records import GUEST
from stream.contract.units import DAY_MS, HOUR_MS
from stream.home.state import layout
from tests.home.reading import ENROLLED, claims_of, holding, person_at, rows_of, source_of, tail_masses
from tests.support.worlds import FACE, POLICY, Story, row_of

PHONE = [{"phone_id": "ph-1", "rssi_dbm": -55.0}]


def profile(story: Story, person: str) -> Any:
    """The newest profile of a person; None after a tombstone."""
    last = [o for o in story.run.outputs if o.topic == "profiles" and o.key == f"h/{person}".encode()][-1]
    return None if last.value is None else json.loads(last.value)


# ---- people


def test_join_makes_a_member_of_whom_nothing_is_known() -> None:
    story = Story(people=())
    story.say("join", person_id="anna")
    published = profile(story, "anna")
    assert (published["revision"], published["encoders"], published["habits"], published["phones"]) == (0, {}, {}, [])
    assert set(story.answers(story.see("anna"))[0]["posterior"]) == {"anna", GUEST}


def test_join_of_a_member_changes_nothing_of_what_is_known() -> None:
    story = Story()
    story.say("join", person_id="anna")
    assert story.answers(story.see("anna"))[0]["person_id"] == "anna"


def test_nobody_is_called_guest() -> None:
    assert Story().say("join", person_id=GUEST).outcomes == ["rejected"]


def test_leave_ends_the_profile_and_takes_the_person_out_of_answers() -> None:
    story = Story()
    story.say("leave", person_id="anna")
    assert profile(story, "anna") is None
    assert set(story.answers(story.see("anna"))[0]["posterior"]) == {"bert", GUEST}


def test_leave_of_a_stranger_is_of_an_unknown_person() -> None:
    assert Story().say("leave", person_id="cora").outcomes == ["unknown_person"]


def test_after_leave_what_is_said_of_the_past_still_counts_for_it() -> None:
    story = Story()
    event = story.see("bert")
    story.say("leave", person_id="anna")
    assert story.say("correct", event_id=event, person_id="anna").outcomes == ["used"]
    assert story.shares(event)["anna"] > 0


def test_who_comes_back_soon_is_still_known() -> None:
    story = Story()
    story.say("leave", person_id="anna")
    story.wait(DAY_MS)
    story.say("join", person_id="anna")
    assert story.answers(story.see("anna"))[0]["person_id"] == "anna"


def test_who_comes_back_after_a_month_starts_from_nothing() -> None:
    story = Story()
    story.say("leave", person_id="anna")
    story.wait(30 * DAY_MS)
    story.see("bert")
    story.say("join", person_id="anna")
    published = profile(story, "anna")
    assert published["encoders"] == {}


# ---- phones


def test_phone_tells_whose_it_is_from_then_on() -> None:
    story = Story()
    before = story.see(phones=PHONE)
    story.say("phone", phone_id="ph-1", person_id="anna")
    after = story.see(phones=PHONE)
    p_before, p_after = (story.answers(e)[0]["posterior"]["anna"] for e in (before, after))
    assert p_after > p_before
    assert len(story.answers(before)) == 1


def test_phone_to_another_person_leaves_the_past_as_it_was() -> None:
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    first = story.see(phones=PHONE)
    before = story.shares(first)
    story.say("phone", phone_id="ph-1", person_id="bert")
    assert story.shares(first) == before
    posterior = story.answers(story.see(phones=PHONE))[0]["posterior"]
    assert posterior["bert"] > posterior["anna"]


def test_phone_of_nobody_says_nothing_of_anybody() -> None:
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    story.say("phone", phone_id="ph-1", person_id=None)
    event = story.see(phones=PHONE)
    posterior, (anna, bert) = story.answers(event)[0]["posterior"], row_of(story.home, event)["evidence"][1:3].tolist()
    assert anna == bert
    assert posterior["anna"] == pytest.approx(posterior["bert"], abs=1.5e-6)  # what is rounded off 1 is somebody's
    assert profile(story, "anna")["phones"] == []


def test_phone_of_a_stranger_is_of_an_unknown_person() -> None:
    assert Story().say("phone", phone_id="ph-1", person_id="cora").outcomes == ["unknown_person"]


# ---- claims


def test_enrol_makes_a_person_known() -> None:
    story = Story(people=("anna", "bert", "cora"), enrolled=False)
    events = [story.see("anna") for _ in range(4)]
    story.say("enrol", person_id="anna", event_ids=events)
    assert all(story.shares(event)["anna"] == 1 for event in events)
    assert story.answers(story.see("anna"))[0]["person_id"] == "anna"


def test_confirm_makes_the_answer_surer_and_raises_no_tier() -> None:
    story = Story()
    event = story.see("anna", face=None)
    before = story.shares(event)["anna"]
    assert story.say("confirm", event_id=event).outcomes == ["used"]
    assert story.shares(event)["anna"] >= before
    assert {a["tier"] for a in story.answers(event)} == {story.answers(event)[0]["tier"]}


def test_confirm_of_an_answer_that_named_nobody_is_rejected() -> None:
    story = Story()
    assert story.say("confirm", event_id=story.see("a guest")).outcomes == ["rejected"]


def test_reject_takes_the_name_off_an_answer() -> None:
    story = Story(enrolled=False)
    event = story.see(phones=PHONE)
    before = story.shares(event)["anna"]
    story.say("reject", event_id=event, person_id="anna", source="annotator")
    assert story.shares(event)["anna"] < before


def test_correct_gives_an_event_to_somebody_else() -> None:
    story = Story()
    event = story.see(activity="music.play")
    story.say("correct", event_id=event, person_id="bert")
    assert max(story.shares(event), key=story.shares(event).__getitem__) == "bert"
    assert [a["revision"] for a in story.answers(event)] == [0, 1]


def test_correct_to_guest_says_that_it_was_nobody_of_the_home() -> None:
    story = Story()
    event = story.see(activity="music.play")
    story.say("correct", event_id=event, person_id=GUEST)
    assert story.shares(event)[GUEST] > 0.5


def test_a_claim_about_a_stranger_is_of_an_unknown_person() -> None:
    story = Story()
    assert story.say("correct", event_id=story.see("anna"), person_id="cora").outcomes == ["unknown_person"]


def test_what_a_liar_says_is_outweighed_by_two_sensors() -> None:
    story = Story()
    event = story.see("anna")
    story.say("correct", event_id=event, person_id="bert", source="voice")
    assert story.shares(event)["anna"] > 0.5


# ---- taking back


def test_retract_takes_a_claim_back() -> None:
    story = Story()
    event = story.see(activity="music.play")
    before = story.shares(event)
    story.say("correct", event_id=event, person_id="bert")
    assert story.say("retract", retracts=story.last).outcomes == ["used"]
    assert story.shares(event) == before


def test_retract_of_what_took_an_earlier_claims_place_brings_that_back() -> None:
    story = Story()
    event = story.see(activity="music.play")
    story.say("correct", event_id=event, person_id="bert")
    before = story.shares(event)
    story.say("correct", event_id=event, person_id="anna", source="annotator")
    story.say("retract", retracts=story.last)
    assert story.shares(event) == pytest.approx(before, abs=0.02)  # what the annotator said of the app's honesty is gone too


def test_retract_of_an_enrolment_makes_a_person_unknown_again() -> None:
    story = Story(people=("anna", "bert", "cora"), enrolled=False)
    story.say("enrol", person_id="anna", event_ids=[story.see("anna") for _ in range(4)])
    story.say("retract", retracts=story.last)
    assert story.answers(story.see("anna"))[0]["person_id"] is None


def test_retract_of_a_join_is_as_if_the_person_had_never_come() -> None:
    story = Story()
    story.say("join", person_id="cora")
    story.say("retract", retracts=story.last)
    assert profile(story, "cora") is None
    assert b"cora" not in story.state


def test_retract_of_a_leave_brings_the_person_back() -> None:
    story = Story()
    story.say("leave", person_id="anna")
    story.say("retract", retracts=story.last)
    assert story.answers(story.see("anna"))[0]["person_id"] == "anna"


def test_retract_of_a_return_is_as_if_the_person_had_stayed_away() -> None:
    story = Story()
    story.say("leave", person_id="anna")
    story.say("join", person_id="anna")
    assert story.say("retract", retracts=story.last).outcomes == ["used"]
    assert set(story.answers(story.see("anna"))[0]["posterior"]) == {"bert", GUEST}


def test_retract_of_a_phone_brings_the_earlier_owner_back() -> None:
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    story.say("phone", phone_id="ph-1", person_id="bert")
    story.say("retract", retracts=story.last)
    assert profile(story, "anna")["phones"] == ["ph-1"]


def test_retract_before_what_it_takes_back_keeps_that_from_happening() -> None:
    story = Story()
    event = story.see(activity="music.play")
    before = story.shares(event)
    assert story.say("retract", retracts="f-later").outcomes == ["early"]
    story.say("correct", feedback_id="f-later", event_id=event, person_id="bert")
    assert story.shares(event) == before


def test_a_retraction_cannot_be_had_of_an_erasure() -> None:
    story = Story()
    story.say("retract", retracts="f-erase")
    story.say("erase", feedback_id="f-erase", person_id="anna")
    assert b"anna" not in story.state
    assert story.say("retract", retracts="f-erase").outcomes == ["rejected"]


# ---- erasure


def test_erase_forgets_a_person_and_who_returns_starts_from_nothing() -> None:
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    story.see("anna", activity="music.play", phones=PHONE)
    story.say("erase", person_id="anna")
    assert profile(story, "anna") is None
    assert [word for word in (b"anna", b"ph-1") if word in story.state] == []
    story.say("join", person_id="anna")
    published = profile(story, "anna")
    assert (published["encoders"], published["habits"], published["phones"]) == ({}, {}, [])
    event = story.see("anna")
    row = row_of(story.home, event)
    assert row["modalities"] & 1 << layout.VOICE
    assert row["llr"][layout.VOICE, story.home.column("anna")] == 0


def test_erase_of_null_forgets_the_household() -> None:
    story = Story()
    story.say("erase", person_id=None)
    assert (profile(story, "anna"), profile(story, "bert")) == (None, None)
    assert set(story.answers(story.see("anna"))[0]["posterior"]) == {GUEST}


def test_erase_works_however_late_it_comes() -> None:
    story = Story()
    story.say("erase", at=story.desk.now - 400 * DAY_MS, person_id="anna")
    assert b"anna" not in story.state


def test_erase_of_who_left_long_ago_leaves_none_of_their_voice() -> None:
    story = Story()
    code = rows_of(story.home)[0]["vectors"][layout.VOICE].tobytes()
    assert code in story.state
    story.say("leave", person_id="anna")
    story.wait(8 * DAY_MS)
    story.see("bert")
    story.say("erase", person_id="anna")
    assert code not in story.state
    assert code not in story.home.memory.tobytes()


# ---- oddities


def test_a_duplicate_does_nothing() -> None:
    story = Story()
    event = story.see(activity="music.play")
    story.say("correct", event_id=event, person_id="bert")
    before, answers = story.state, len(story.run.outputs)
    assert story.say("correct", feedback_id=story.last, event_id=event, person_id="anna").outcomes == ["duplicate"]
    assert (story.state, len(story.run.outputs)) == (before, answers)


def test_an_early_claim_applies_right_after_its_event_was_answered() -> None:
    early, late = Story(), Story()
    assert early.say("correct", event_id="e-x", person_id="bert").outcomes == ["early"]
    early.see(event_id="e-x", activity="music.play")
    late.see(event_id="e-x", activity="music.play")
    late.say("correct", event_id="e-x", person_id="bert")
    assert [a["revision"] for a in early.answers("e-x")] == [0, 1]
    assert early.shares("e-x") == pytest.approx(late.shares("e-x"), abs=0.01)


def test_an_early_claim_waits_a_week_at_most() -> None:
    story = Story()
    story.say("correct", event_id="never", person_id="bert")
    story.wait(6 * DAY_MS)
    story.see("anna")
    assert story.run.outcomes["unknown_event"] == 0
    story.wait(2 * DAY_MS)
    for _ in range(3):  # a device alone moves the home's time by days when it says so three times
        story.see("anna")
    assert story.run.outcomes["unknown_event"] == 1


def test_no_more_early_claims_wait_than_there_is_room_for() -> None:
    story = Story()
    for n in range(POLICY.limits.waiting_max + 3):
        story.say("correct", event_id=f"never-{n}", person_id="bert")
    assert story.home.record["waiting_used"] == POLICY.limits.waiting_max
    assert story.run.outcomes["unknown_event"] == 3


def test_enrolments_of_events_that_never_come_leave_nothing() -> None:
    story = Story(enrolled=False)
    for n in range(100):
        story.say("enrol", person_id="anna", event_ids=[f"never-{n}"])
    story.wait(8 * DAY_MS)
    for _ in range(3):
        story.see("bert")
    assert story.home.people[0] == "anna"
    assert (story.home.record["people"][0]["enrolments_used"], story.home.record["waiting_used"]) == (0, 0)


def test_a_claim_about_an_event_that_left_the_ledger_has_expired() -> None:
    story = Story()
    event = story.see("anna")
    for _ in range(40):
        story.see("bert")
    before = story.shares(f"e-{story.seen}")
    assert story.say("correct", event_id=event, person_id="bert").outcomes == ["expired"]
    assert story.shares(f"e-{story.seen}") == before


def test_of_two_claims_the_later_given_holds_whichever_came_first() -> None:
    shares = []
    for order in ((0, 1), (1, 0)):
        story = Story()
        event, at = story.see(activity="music.play"), story.desk.now
        said = [("anna", at + HOUR_MS // 4), ("bert", at + HOUR_MS // 2)]
        outcomes = [story.say("correct", event_id=event, person_id=said[n][0], at=said[n][1]).outcomes for n in order]
        assert outcomes == [["used"], ["contradictory"]]
        shares.append(story.shares(event))
    assert max(shares[0], key=shares[0].__getitem__) == max(shares[1], key=shares[1].__getitem__) == "bert"


@pytest.mark.parametrize(("stronger", "weaker"), [("annotator", "pin"), ("annotator", "app"), ("app", "voice")])
def test_the_more_reliable_source_holds_though_the_other_is_later(stronger: str, weaker: str) -> None:
    story = Story()
    event = story.see(activity="music.play")
    story.say("correct", event_id=event, person_id="anna", source=stronger)
    before = story.shares(event)
    story.say("correct", event_id=event, person_id="bert", source=weaker)
    row = row_of(story.home, event)
    assert len(claims_of(row)) == 2
    assert (SOURCES[holding(row)["source"]], person_at(story.home, holding(row)["person"])) == (stronger, "anna")
    assert story.shares(event) == before


def test_no_it_was_not_anna_and_yes_it_was_bert_do_not_contradict() -> None:
    story = Story()
    event = story.see("anna")
    story.say("reject", event_id=event, person_id="anna")
    assert story.say("correct", event_id=event, person_id="bert").outcomes == ["used"]


def test_a_claim_too_weak_to_be_kept_teaches_nothing() -> None:
    story = Story()
    event = story.see("anna")
    for _ in range(6):
        story.say("correct", event_id=event, person_id="anna", source="annotator")
    before = source_of(story.home, "voice").tobytes()
    story.say("correct", event_id=event, person_id="anna", source="voice")
    assert source_of(story.home, "voice").tobytes() == before


def test_a_claim_about_somebody_forgotten_meanwhile_is_nobodys() -> None:
    """She leaves; a claim about her waits for its event; she is forgotten; the event comes."""
    story = Story(people=("anna",))
    story.say("leave", person_id="anna")
    story.wait(3 * HOUR_MS)
    story.say("correct", event_id="e-later", person_id="anna")
    story.wait(7 * DAY_MS - 2 * HOUR_MS)
    for _ in range(3):
        story.see("a guest")
    story.see("a guest", event_id="e-later")
    assert b"anna" not in story.state
    assert (source_of(story.home, "app")["right"], source_of(story.home, "app")["wrong"]) == (0, 0)


def test_a_source_that_the_policy_does_not_list_is_heard_all_the_same() -> None:
    policy = POLICY.model_copy(update={"priors": POLICY.priors.model_copy(update={"honesty": {"app": 0.9}})})
    story = Story(policy=policy)
    assert story.say("correct", event_id=story.see("anna"), person_id="bert", source="voice").outcomes == ["used"]


def test_a_device_whose_clock_is_ahead_does_not_silence_the_others() -> None:
    story = Story()
    for _ in range(200):
        story.wait(-30_000)
        story.see("anna", device_id="fast", observed_at=story.desk.now + 2 * HOUR_MS)
        story.see("anna", device_id="right")
    assert story.run.outcomes["refused"] == 0


def test_the_folded_part_of_a_retracted_enrolment_is_forgotten() -> None:
    story = Story()
    first = story.last
    story.say("enrol", person_id="bert", event_ids=[story.see("bert") for _ in range(3)])
    for _ in range(40):
        story.see("anna")
    bert = story.home.column("bert")
    assert bert is not None
    assert ENROLLED in tail_masses(story.home, FACE, bert)
    story.say("retract", retracts=first)
    assert ENROLLED not in tail_masses(story.home, FACE, bert)

