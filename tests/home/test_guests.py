"""Unnamed people: guests who return are known again; who is named once is named in all their events, for as long as it stands."""

import numpy as np
import pytest

from learners.precision import SHARE_ONE
from stream.contract.policy import Encoder, Policy
from stream.contract.records import GUEST
from stream.home.core.work import WORK
from stream.home.messages import CORRECT, LABEL, OUT
from stream.home.numbers import policy_numbers
from stream.home.state.household import Household
from tests.home.calls import label_again
from tests.home.reading import claims_of, galleries_of, is_enrolled, is_present, people_of, person_at, rows_of, steps_counted
from tests.support.worlds import FACE, POLICY, VOICE, Story, embedding, row_of

VISITORS = ("gast-1", "gast-2")
NOBODY_LIKE_THEM = -1


def visited(visits: int = 4) -> tuple[Story, dict[str, list[str]]]:
    """A home where two guests come in turn; who has which events."""
    story, events = Story(), {visitor: [] for visitor in VISITORS}
    for _ in range(visits):
        for visitor in VISITORS:
            events[visitor].append(story.see(visitor))
    return story, events


def unnamed(home: Household, events: list[str]) -> set[int]:
    found = [row_of(home, event) for event in events]
    return {int(row["unnamed"]) for row in found if row is not None}


def has_unenrolled(home: Household) -> bool:
    """Whether somebody of the home never enrolled."""
    return any(is_present(person) and not person["enrolments_used"] for person in people_of(home))


def capacity(home: Household) -> int:
    """How many events the ledger of a home keeps."""
    return POLICY.limits.rows_per_person * max(2, min(len(home.people), 4))


def test_a_guest_who_returns_is_known_as_the_same_and_another_as_another() -> None:
    story, events = visited()
    (one,), (other,) = (unnamed(story.home, own) for own in events.values())
    assert NOBODY_LIKE_THEM not in (one, other)
    assert one != other


def test_a_home_can_ask_who_a_returning_guest_is() -> None:
    story, events = visited()
    labels = [v for v in story.run.values("labels") if v["event_id"] in events["gast-1"][1:]]
    assert {v["person_id"] for v in labels} == {GUEST}
    assert len({v["unnamed_id"] for v in labels}) == 1
    assert all("returning" in v["evidence"] for v in labels)


def test_that_a_face_was_seen_before_is_no_second_sensor() -> None:
    story, _ = visited()
    again = [story.see("gast-1", voice=None) for _ in range(6)]
    assert NOBODY_LIKE_THEM not in unnamed(story.home, again)
    assert min(story.answers(event)[-1]["posterior"][GUEST] for event in again) > POLICY.publishing.label_min
    assert not {*again} & {v["event_id"] for v in story.run.values("labels")}


def test_one_claim_names_the_whole_past_of_an_unnamed_person_and_its_retraction_takes_it_back() -> None:
    story, events = visited()
    story.say("join", person_id="cora")
    before = {event: story.shares(event) for own in events.values() for event in own}
    story.say("correct", event_id=events["gast-1"][-1], person_id="cora")
    claim = story.last
    for event in events["gast-1"]:
        assert story.shares(event)["cora"] > before[event]["cora"]
        assert len(claims_of(row_of(story.home, event)))
    assert not any(len(claims_of(row_of(story.home, event))) for event in events["gast-2"])
    later = [story.see("gast-1") for _ in range(3)]
    assert story.answers(later[-1])[-1]["posterior"]["cora"] > 0.5
    story.say("retract", retracts=claim)
    assert [row for row in rows_of(story.home) if len(claims_of(row)) and not is_enrolled(row)] == []


def test_guests_are_known_again_once_who_never_enrolled_has_left() -> None:
    story, events = visited(2)
    story.say("join", person_id="cora")
    assert has_unenrolled(story.home)
    story.say("leave", person_id="cora")
    assert not has_unenrolled(story.home)
    again = story.see("gast-1")
    assert unnamed(story.home, [again]) == unnamed(story.home, events["gast-1"][-1:]) != {NOBODY_LIKE_THEM}


def test_what_names_a_guest_says_nothing_of_how_honest_its_source_is_but_once() -> None:
    story, events = visited()
    story.say("join", person_id="cora")
    story.say("correct", event_id=events["gast-1"][-1], person_id="cora")
    corrections = [claims_of(row)[claims_of(row)["kind"] == CORRECT] for row in rows_of(story.home)]
    assert sum(len(claims) for claims in corrections) > 1
    assert sum(len(steps_counted(claims)) for claims in corrections) <= 1


def test_a_guest_is_known_again_after_many_events_of_others() -> None:
    story, events = visited(2)
    for _ in range(2 * capacity(story.home)):
        story.see("anna")
    before = unnamed(story.home, events["gast-1"]) - {NOBODY_LIKE_THEM}
    assert before == unnamed(story.home, [story.see("gast-1")])


def test_a_label_that_no_longer_holds_is_taken_back() -> None:
    story = Story()
    row = next(r for r in (row_of(story.home, story.see("anna")) for _ in range(12)) if r["label"])
    work, out, people = np.zeros(1, WORK), np.zeros(1, OUT), len(story.home.people)
    row["evidence"][: people + 1] = [SHARE_ONE // 2, *[SHARE_ONE // 2 // people] * people]
    index = int(story.home.record["rows_used"]) - 1
    assert rows_of(story.home)[index]["number"] == row["number"]
    for _ in range(2):
        label_again(story.home.slot, index, policy_numbers(POLICY), work, out)
    (taken,) = out[0]["results"][: int(out[0]["results_used"])]
    assert (taken["kind"], taken["withdrawn"], taken["label_revision"]) == (LABEL, 1, 1)
    assert person_at(story.home, taken["named"]) == "anna"
    assert row["label"] == 0


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
    assert set(galleries_of(story.home)) == {VOICE, FACE, NEWER}
