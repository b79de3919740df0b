"""Unnamed people: guests who return are known again; who is named once is named in all their events, for as long as it stands."""

import pytest

from stream.contract.policy import Encoder, Policy
from stream.contract.records import GUEST
from stream.home.context import Turn
from stream.home.learning.learning import capacity
from stream.home.recognition.publish import label
from stream.home.state.home import Home
from tests.support.worlds import FACE, POLICY, VOICE, Desk, Story, embedding, recognition

VISITORS = ("gast-1", "gast-2")


def visited(visits: int = 4) -> tuple[Story, dict[str, list[str]]]:
    """A home where two guests come in turn; who has which events."""
    story, events = Story(), {visitor: [] for visitor in VISITORS}
    for _ in range(visits):
        for visitor in VISITORS:
            events[visitor].append(story.see(visitor))
    return story, events


def unnamed(home: Home, events: list[str]) -> set[int | None]:
    return {row.unnamed for row in home.rows if row.event_id in events}


def test_a_guest_who_returns_is_known_as_the_same_and_another_as_another() -> None:
    story, events = visited()
    (one,), (other,) = (unnamed(story.home, own) for own in events.values())
    assert one is not None
    assert other is not None
    assert one != other


def test_a_home_can_ask_who_a_returning_guest_is() -> None:
    story, events = visited()
    labels = [v for v in story.run.values("labels") if v["event_id"] in events["gast-1"][1:]]
    assert {v["person_id"] for v in labels} == {GUEST}
    assert len({v["unnamed_id"] for v in labels}) == 1
    assert all("returning" in v["evidence"] for v in labels)


def test_one_claim_names_the_whole_past_of_an_unnamed_person_and_its_retraction_takes_it_back() -> None:
    story, events = visited()
    story.say("join", person_id="cora")
    before = {event: story.shares(event) for own in events.values() for event in own}
    story.say("correct", event_id=events["gast-1"][-1], person_id="cora")
    claim = story.last
    for event in events["gast-1"]:
        assert story.shares(event)["cora"] > before[event]["cora"]
        assert story.home.row(event).claims  # type: ignore[union-attr]
    assert all(not story.home.row(event).claims for event in events["gast-2"])  # type: ignore[union-attr]
    later = [story.see("gast-1") for _ in range(3)]
    assert story.answers(later[-1])[-1]["posterior"]["cora"] > 0.5
    story.say("retract", retracts=claim)
    assert [row for row in story.home.rows if row.claims and not row.enrolled] == []


def test_guests_are_known_again_once_who_never_enrolled_has_left() -> None:
    story, events = visited(2)
    story.say("join", person_id="cora")
    assert story.home.unanchored
    story.say("leave", person_id="cora")
    assert not story.home.unanchored
    again = story.see("gast-1")
    assert unnamed(story.home, [again]) == unnamed(story.home, events["gast-1"][-1:]) != {None}


def test_what_names_a_guest_says_nothing_of_how_honest_its_source_is_but_once() -> None:
    story, events = visited()
    story.say("join", person_id="cora")
    story.say("correct", event_id=events["gast-1"][-1], person_id="cora")
    counted = [c for row in story.home.rows for c in row.claims if c.kind == "correct" and c.right is not None]
    assert len(counted) <= 1


def test_a_guest_is_known_again_after_many_events_of_others() -> None:
    story, events = visited(2)
    for _ in range(2 * capacity(story.home, POLICY)):
        story.see("anna")
    before = unnamed(story.home, events["gast-1"]) - {None}
    again = story.home.row(story.see("gast-1"))
    assert again is not None
    assert before == {again.unnamed}


def test_a_label_that_no_longer_holds_is_taken_back() -> None:
    story = Story()
    row = next(r for r in (story.home.row(story.see("anna")) for _ in range(12)) if r and r.label)
    record = Desk().record("recognitions", recognition("h", "e-x", story.desk.now))
    turn = Turn(story.home, POLICY, record, story.desk.now)
    row.evidence = (0.5, *([0.5 / len(story.home.people)] * len(story.home.people)))
    label(turn, row)
    label(turn, row)
    (taken,) = [output.value for output in turn.outputs]
    assert (taken.withdrawn, taken.person_id, taken.revision) == (True, "anna", 1)  # type: ignore[union-attr]
    assert row.label is None


NEWER = "resemblyzer-0.2"


def test_a_new_version_of_an_encoder_is_learnt_beside_the_old_from_what_other_sensors_say() -> None:
    """Its vectors are compared with its own alone, and the profile moves over as evidence comes."""
    encoders = dict(POLICY.encoders) | {NEWER: Encoder(modality="voice", length=256, metric="cosine", pack=VOICE)}
    story = Story(policy=Policy(encoders=encoders))

    def see(person: str, face: bool) -> dict[str, float]:
        turned = embedding(VOICE, f"another space: {person}", story.rng)
        parts = {"voice": {"encoder": NEWER, "embedding": turned}} | ({} if face else {"face": None})
        return story.answers(story.see(person, **parts))[0]["posterior"]  # type: ignore[no-any-return]

    first = see("anna", face=False)
    for _ in range(10):
        see("anna", face=True)
        see("bert", face=True)
    assert first["anna"] == pytest.approx(first["bert"], abs=0.05)  # nobody is known in the new space
    for person, other in (("anna", "bert"), ("bert", "anna")):
        told = [see(person, face=False) for _ in range(6)]
        assert all(posterior[person] > posterior[other] for posterior in told)
        assert sum(posterior[person] for posterior in told) / 6 > 0.75
    assert set(story.home.spaces) == {VOICE, FACE, NEWER}
