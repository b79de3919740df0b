"""One step at a time: what a recognition is answered, and when something is said again."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from stream.contract.records import GUEST, OUTPUT_TOPICS
from stream.contract.units import DAY_MS, HOUR_MS
from stream.home.messages import OUTCOMES
from tests.support.worlds import FACE, POLICY, START_MS, VOICE, Story, embedding, row_of

PHONE = [{"phone_id": "ph-1", "rssi_dbm": -50.0}]


def answer(story: Story, person: str | None, **parts: Any) -> Any:
    return story.answers(story.see(person, **parts))[0]


# ---- answers


def test_a_home_without_members_answers_that_it_was_a_guest() -> None:
    found = answer(Story(people=()), "anna")
    assert (found["posterior"], found["person_id"], found["tier"]) == ({GUEST: 1.0}, None, 0)


def test_a_home_of_which_nothing_is_known_answers_what_it_assumes() -> None:
    posterior = answer(Story(people=("anna", "bert", "cora", "dirk"), enrolled=False), None, activity="music.play")["posterior"]
    share = POLICY.priors.guest_share
    assert posterior == pytest.approx({GUEST: share} | dict.fromkeys(("anna", "bert", "cora", "dirk"), (1 - share) / 4), abs=1e-3)


@pytest.mark.parametrize("person", ["anna", "bert"])
def test_who_is_enrolled_is_named_by_voice_and_face(person: str) -> None:
    found = answer(Story(), person)
    assert (found["person_id"], found["modalities"]) == (person, ["voice", "face"])
    assert found["posterior"][person] > 0.99


def test_a_guest_is_named_nobody() -> None:
    found = answer(Story(), "a guest")
    assert (found["person_id"], found["tier"]) == (None, 0)
    assert found["posterior"][GUEST] > 0.5


@pytest.mark.parametrize(("absent", "left"), [("voice", ["face"]), ("face", ["voice"])])
def test_a_missing_modality_says_nothing_of_anybody(absent: str, left: list[str]) -> None:
    story = Story()
    found = answer(story, "anna", **{absent: None})
    assert (found["modalities"], max(found["posterior"], key=found["posterior"].__getitem__)) == (left, "anna")


def test_a_vector_of_poor_quality_is_left_out() -> None:
    story = Story()
    poor = {"encoder": FACE, "embedding": embedding(FACE, "anna", story.rng), "quality": {"detection_score": -9.0}}
    assert answer(story, "anna", face=poor)["modalities"] == ["voice"]


def test_no_scan_is_told_from_a_scan_that_heard_nobody() -> None:
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    unscanned, scanned = (answer(story, None, phones=p, activity="music.play")["posterior"]["anna"] for p in (None, []))
    assert scanned < unscanned


def test_the_prior_learns_who_is_usually_there() -> None:
    story = Story()
    before = answer(story, None, activity="music.play")["posterior"]
    for _ in range(20):
        story.see("anna")
    after = answer(story, None, activity="light.on")["posterior"]
    assert after["anna"] > before["anna"]


# ---- tiers


def test_purchases_need_two_sensors_that_agree() -> None:
    story = Story()
    assert answer(story, "anna")["tier"] == 4
    assert answer(story, "anna", face=None)["tier"] <= 3


def test_no_claim_of_any_source_raises_a_tier() -> None:
    story = Story()
    event = story.see("a guest", activity="music.play")
    for source in ("voice", "app", "pin", "annotator"):
        story.say("correct", event_id=event, person_id="anna", source=source)
    assert {a["tier"] for a in story.answers(event)} == {0}
    assert {a["person_id"] for a in story.answers(event)} == {None}


# ---- labels and profiles


def test_an_event_that_two_sensors_are_sure_of_is_a_label() -> None:
    story = Story()
    event = story.see("anna")
    last = story.run.values("labels")[-1]
    assert (last["event_id"], last["person_id"], last["evidence"], last["revision"]) == (event, "anna", ["voice", "face"], 0)
    assert last["probability"] >= POLICY.publishing.label_min


def test_what_only_a_person_said_is_no_label() -> None:
    story = Story()
    event = story.see(None, activity="music.play")
    story.say("correct", event_id=event, person_id="anna", source="annotator")
    assert event not in {label["event_id"] for label in story.run.values("labels")}


def test_a_profile_is_enough_to_recognise_by() -> None:
    story = Story()
    story.say("phone", phone_id="ph-1", person_id="anna")
    profile = [p for p in story.run.values("profiles") if p["person_id"] == "anna"][-1]
    assert set(profile["encoders"]) == {VOICE, FACE}
    assert profile["phones"] == ["ph-1"]
    raw = base64.b64decode(profile["encoders"][VOICE]["prototypes"][0]["embedding"])
    prototype = np.frombuffer(raw, "<f2").astype("f4")
    near, far = (
        np.mean([prototype @ np.frombuffer(base64.b64decode(embedding(VOICE, who, story.rng)), "<f2") for _ in range(9)])
        for who in ("anna", "bert")
    )
    assert near > far


def test_a_profile_is_refreshed_after_so_many_events() -> None:
    story = Story()
    before = len([p for p in story.run.values("profiles") if p["person_id"] == "anna"])
    for _ in range(2 * POLICY.publishing.profile_events):
        story.see("anna")
    profiles = [p for p in story.run.values("profiles") if p["person_id"] == "anna"]
    assert 1 <= len(profiles) - before <= 3
    assert [p["revision"] for p in profiles] == list(range(len(profiles)))


# ---- time


def test_what_is_too_far_back_is_refused_with_a_dead_letter_and_learnt_from_by_nobody() -> None:
    story = Story()
    before = story.home.record.copy()
    story.see("anna", observed_at=story.desk.now - 40 * DAY_MS)
    for name in ("other_time", "time_senders", "time_words", "time_vouched"):  # but for what time that record said
        before[name] = story.home.record[name]
    assert story.home.record.tobytes() == before.tobytes()
    letter = story.run.values("dead-letters")[-1]
    assert (letter["reason"], letter["topic"]) == ("too_old", "recognitions")


def test_what_is_late_by_hours_is_answered_like_any_other() -> None:
    assert answer(Story(), "anna", observed_at=1_763_690_000_000 - 5 * HOUR_MS)["person_id"] == "anna"


def test_an_event_leaves_the_ledger_when_it_is_old_or_one_too_many() -> None:
    story = Story()
    first = story.see("anna")
    for _ in range(POLICY.limits.rows_per_person * 2):
        story.see("anna")
    assert row_of(story.home, first) is None
    last = f"e-{story.seen}"
    story.wait((POLICY.limits.ledger_days + 1) * DAY_MS)
    for _ in range(3):  # a device alone moves the home's time by months when it says so three times
        story.see("anna")
    assert (row_of(story.home, last), story.home.record["rows_used"]) == (None, 1)


def test_what_happened_is_told_in_words_of_a_closed_set() -> None:
    story = Story()
    story.say("confirm", event_id="e-1")
    story.say("reject", event_id="never", person_id="anna")
    story.say("retract", retracts="f-1")
    assert set(story.run.outcomes) <= set(OUTCOMES)
    assert {o.topic for o in story.run.outputs} <= set(OUTPUT_TOPICS)
    assert json.loads(story.run.outputs[0].value or b"")["cause"]["offset"] == 0


@pytest.mark.parametrize("at", [START_MS - 50 * 365 * DAY_MS // 2, START_MS + 2 * DAY_MS, START_MS + 70 * 365 * DAY_MS])
@pytest.mark.parametrize("whole", [False, True])
def test_an_erasure_is_done_by_whatever_clock_and_moves_none(at: int, whole: bool) -> None:
    story, twin = Story(), Story()
    now = int(story.home.record["stream_time"])
    for one, given_at in ((story, at), (twin, None)):
        step = one.say("erase", at=given_at, person_id=None if whole else "anna")
        assert step.outcomes == ["used"]
        told = [output.value for output in step.outputs if output.topic == "drift-signals"]
        assert all(signal.observed_at <= one.desk.now for signal in told)
    assert int(story.home.record["stream_time"]) == (0 if whole else now)
    for one in (story, twin):
        later = one.see("bert")
        assert len(one.answers(later)) == 1
        one.say("correct", event_id=later, person_id="bert")
    assert story.run.values("identities") == twin.run.values("identities")
