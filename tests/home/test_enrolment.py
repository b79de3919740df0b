"""What is no person is not believed: recordings of an enrolment that are not the person's are left out, and told."""

import base64
from typing import Any

import numpy as np
import pytest

from stream.contract.policy import Policy
from tests.support.worlds import FACE, POLICY, VOICE, Story, embedding

RNG = np.random.default_rng(5)


def text(vector: Any) -> str:
    return base64.b64encode(np.asarray(vector).astype("<f2").tobytes()).decode()


def said(vector: Any, encoder: str = VOICE) -> dict[str, Any]:
    return {"encoder": encoder, "embedding": vector if isinstance(vector, str) else text(vector)}


def room(seed: int = 0) -> str:
    """A recording of a room: like nobody's in the home, the same at every time."""
    return embedding(VOICE, f"room-{seed}", np.random.default_rng(seed))


def enrolled(*voices: str | None) -> Story:
    """Anna enrols by these (None: by recordings of hers), after bert did."""
    story = Story(enrolled=False)
    story.say("enrol", person_id="bert", event_ids=[story.see("bert", face=None) for _ in range(3)])
    parts = [{} if voice is None else {"voice": said(voice)} for voice in voices]
    story.say("enrol", person_id="anna", event_ids=[story.see("anna", face=None, **part) for part in parts])
    return story


def faults(story: Story) -> list[str]:
    """As the last profile tells them."""
    profiles: list[Any] = [p for p in story.run.values("profiles") if p["person_id"] == "anna"]
    return list(profiles[-1]["health"].get("enrolment", []))


def heard(story: Story, voice: str) -> Any:
    return story.answers(story.see("anna", face=None, voice=said(voice)))[-1]


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_recording_of_a_room_among_three_is_left_out_and_told(at: int) -> None:
    voices = [None, None, None]
    voices[at] = room()  # type: ignore[call-overload]
    story = enrolled(*voices)
    assert faults(story) == ["apart"]
    assert story.run.outcomes["bad_enrolment"] == 1
    told = [s for s in story.run.values("drift-signals") if s["kind"] == "enrolment"]
    assert [(s["person_id"], "enrol anew" in s["adapted"]) for s in told] == [("anna", True)]
    assert heard(story, room())["person_id"] is None
    assert story.answers(story.see("anna", face=None))[-1]["person_id"] == "anna"


SHIPPED = Policy()  # with packs that know what is nobody


def silence(number: int, noise: float = 0.0) -> str:
    """What the encoder makes of nobody (silence, white noise), and a little beside it: `noise`, distance."""
    vector, beside = SHIPPED.projection(VOICE).nobody.vectors[number], np.random.default_rng(number).standard_normal(256)
    return text(vector + noise * beside / np.linalg.norm(beside))


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("number", [0, 1])
def test_who_enrols_by_what_the_pack_knows_for_nobody_is_told_and_is_nobody(number: int, noise: float) -> None:
    story = Story(enrolled=False, policy=SHIPPED)
    events = [story.see("anna", face=None, voice=said(silence(number, noise))) for _ in range(3)]
    story.say("enrol", person_id="anna", event_ids=events)
    assert faults(story) == ["of_nobody"]
    assert story.run.outcomes["bad_enrolment"] == 1
    answer = heard(story, silence(number))
    assert (answer["person_id"], answer["tier"], answer["modalities"]) == (None, 0, [])


@pytest.mark.parametrize("number", [0, 1])
def test_silence_beside_a_face_says_no_more_than_no_voice(number: int) -> None:
    answers = []
    for voice in (None, said(silence(number))):
        story = Story(policy=SHIPPED)
        answers.append(story.answers(story.see("anna", voice=voice))[-1])
    assert answers[0] == answers[1]
    assert answers[0]["modalities"]


def test_good_recordings_are_all_kept() -> None:
    story = enrolled(None, None, None, None)
    assert (faults(story), story.run.outcomes["bad_enrolment"]) == ([], 0)
    rows = story.home.record["rows"][: int(story.home.record["rows_used"])]
    assert (rows["encoders"][:, 0] > 0).all()


def test_the_same_recording_twice_counts_once_and_is_none_of_a_later_event() -> None:
    story = enrolled(room(), room(), room())
    assert faults(story) == ["repeated"]
    answer = heard(story, room())
    assert (answer["tier"], answer["modalities"]) == (0, [])


def test_two_recordings_that_disagree_both_stay_and_it_is_told() -> None:
    story = enrolled(room(), None)
    assert faults(story) == ["apart"]
    rows = story.home.record["rows"][: int(story.home.record["rows_used"])]
    assert (rows["encoders"][:, 0] > 0).all()


def test_a_recording_of_another_member_is_told_as_such_and_left_out() -> None:
    story = enrolled(None, None, embedding(VOICE, "bert", RNG))
    assert set(faults(story)) == {"apart", "of_another"}
    assert story.answers(story.see("bert", face=None))[-1]["person_id"] == "bert"


@pytest.mark.parametrize("picture", ["noise", "zero"])
def test_a_picture_of_no_face_is_left_out(picture: str) -> None:
    length = POLICY.encoders[FACE].length
    vector = RNG.normal(0, 0.1, length) if picture == "noise" else np.full(length, 1e-3)
    story = Story(enrolled=False)
    events = [story.see("anna", voice=None, face=said(vector, FACE)), story.see("anna", voice=None)]
    story.say("enrol", person_id="anna", event_ids=events)
    assert "of_nobody" in faults(story)
    answer = story.answers(story.see(None, face=said(vector * 1.01, FACE)))[-1]
    assert answer["tier"] < 2


def test_who_was_enrolled_under_each_others_names_is_told_as_such() -> None:
    story = Story(enrolled=False)
    for name, person in (("anna", "bert"), ("bert", "anna")):
        story.say("enrol", person_id=name, event_ids=[story.see(person) for _ in range(3)])
    for _ in range(8):
        for person in ("anna", "bert"):
            story.say("correct", event_id=story.see(person), person_id=person)
    assert any("enrol anew" in (s["adapted"] or "") for s in story.run.values("drift-signals"))


def test_claims_of_somebody_who_lies_are_not_told_as_an_enrolment() -> None:
    story = Story()
    for _ in range(8):
        story.say("correct", event_id=story.see("anna"), person_id="bert")
        story.see("bert")
    assert not any("enrol anew" in (s["adapted"] or "") for s in story.run.values("drift-signals"))
