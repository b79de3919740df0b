"""Who enrolled by one encoder is nobody yet in another's space: what is known there needs an anchor from outside it."""

import base64

import numpy as np
import pytest

from learners.recognition.gallery import ANCHORED_ONE
from stream.contract.policy import Encoder, Policy
from tests.support.worlds import FACE, POLICY, Story, embedding

PEOPLE = ("anna", "bert", "cora")


def face_only(story: Story, person: str) -> str:
    return story.see(person, voice=None)


def enrolled_by_voice(people: tuple[str, ...] = PEOPLE) -> Story:
    """A home to which a camera is added after everybody enrolled by voice."""
    story = Story(people, enrolled=False)
    for person in people:
        story.say("enrol", person_id=person, event_ids=[story.see(person, face=None) for _ in range(6)])
    return story


def named(story: Story, event: str) -> tuple[str | None, int]:
    answer = story.answers(event)[0]
    return answer["person_id"], answer["tier"]


def test_in_a_space_where_nobody_enrolled_nobody_is_named_by_guesses_on_guesses() -> None:
    story, rng = enrolled_by_voice(), np.random.default_rng(1)
    answers = [named(story, face_only(story, str(rng.choice(PEOPLE)))) for _ in range(40)]
    assert [answer for answer in answers if answer[0] is not None] == []


@pytest.mark.parametrize("seed", range(3))
def test_an_encoder_that_was_renamed_names_nobody_until_something_else_tells_who_is_who(seed: int) -> None:
    """Without a pack, beside phones that are heard by chance: each event alone tells nothing of whose the new vectors are."""
    encoder, rng = Encoder(modality="voice", length=32, metric="cosine", within=0.0884), np.random.default_rng(seed)
    story = Story(PEOPLE, enrolled=False, policy=Policy(encoders={"enc-a": encoder, "enc-b": encoder}))
    centres = rng.standard_normal((2, len(PEOPLE), 32))

    def hear(space: int, who: int, phones: list[str]) -> str:
        vector = centres[space, who] / np.linalg.norm(centres[space, who]) + 0.0884 * rng.standard_normal(32)
        voice = {"encoder": ("enc-a", "enc-b")[space], "embedding": base64.b64encode(vector.astype("<f2").tobytes()).decode()}
        return story.see(voice=voice, phones=[{"phone_id": phone, "rssi_dbm": float(rng.integers(-85, -55))} for phone in phones])

    for who, person in enumerate(PEOPLE):
        story.say("phone", phone_id=f"ph-{person}", person_id=person)
        story.say("enrol", person_id=person, event_ids=[hear(0, who, [f"ph-{person}"]) for _ in range(3)])
    heard = [(who, hear(1, who, [f"ph-{p}" for p in PEOPLE if rng.random() < 0.5])) for who in rng.integers(3, size=40)]
    answers = [(PEOPLE[who], *named(story, event)) for who, event in heard]
    wrong = [tier for person, name, tier in answers if name not in (None, person)]
    assert len(wrong) <= 1
    assert all(tier < 3 for tier in wrong)


def test_what_another_sensor_is_sure_of_anchors_a_space() -> None:
    story = enrolled_by_voice()
    for _ in range(6):
        for person in PEOPLE:
            story.see(person)
    answers = [(person, named(story, face_only(story, person))) for _ in range(3) for person in PEOPLE]
    assert all(name == person and tier >= 2 for person, (name, tier) in answers)


def test_claims_anchor_a_space() -> None:
    story = enrolled_by_voice()
    for _ in range(6):
        for person in PEOPLE:
            story.say("correct", event_id=face_only(story, person), person_id=person)
    answers = [(person, named(story, face_only(story, person))) for _ in range(3) for person in PEOPLE]
    assert all(name == person for person, (name, _) in answers)


def test_what_was_folded_is_anchored_as_its_events_were() -> None:
    story = enrolled_by_voice(("anna", "bert"))
    for _ in range(20):
        story.see("anna")
    for _ in range(20):  # a guest's face, heard as nobody's
        story.see(None, face={"encoder": FACE, "embedding": embedding(FACE, "gast", story.rng)})
    anna, numbers = story.home.record["people"][0], story.home.record["galleries"]["number"]
    face, tails = [*POLICY.encoders].index(FACE), anna["tails"][: int(anna["tails_used"])]
    faces = [tail for tail in tails if numbers[tail["encoder"]] == face]
    assert faces
    assert all(tail["anchored"] > ANCHORED_ONE / 2 for tail in faces)
