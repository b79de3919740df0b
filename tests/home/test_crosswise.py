"""People under each other's names. Who enrolled so: healed when claims and phones agree, told when claims alone say so. Who never
enrolled: healed when their phones say so.
"""

from typing import Any

import pytest

from stream.contract.units import DAY_MS
from tests.support.worlds import Story

PEOPLE = ("anna", "bert", "cora")
OTHER = {"anna": "bert", "bert": "anna", "cora": "cora"}
ROUNDS, BEFORE = 12, 3


def live(phones: str, crosswise: bool = True, honest: bool = True, restarts: bool = False) -> Story:
    """A home in which anna and bert enrolled crosswise (or rightly), and the app says of every event who it was (or lies).

    `phones`: whose is carried, "their own", "the other's" or "none".
    """
    story = Story(PEOPLE, enrolled=False)
    story.run.restarts = restarts
    for person in PEOPLE:
        if phones != "none":
            story.say("phone", phone_id=f"phone-{person}", person_id=person)
    for person in PEOPLE:
        events = [story.see(OTHER[person] if crosswise else person) for _ in range(4)]
        story.say("enrol", person_id=person, event_ids=events)
    for number in range(ROUNDS):
        story.wait(DAY_MS // 4)
        for person in PEOPLE:
            see(story, person, phones)
            if number >= BEFORE:
                story.say("correct", event_id=f"e-{story.seen}", person_id=person if honest else OTHER[person])
    return story


def see(story: Story, person: str, phones: str) -> str:
    carried: dict[str, Any] = {}
    if phones != "none":
        owner = person if phones == "their own" else OTHER[person]
        carried["phones"] = [{"phone_id": f"phone-{owner}", "rssi_dbm": -55.0}]
    return story.see(person, **carried)


def named(story: Story, phones: str = "none") -> dict[str, str | None]:
    """Who each person is taken for now, without any phone."""
    return {person: story.answers(see(story, person, phones))[-1]["person_id"] for person in PEOPLE}


def told(story: Story) -> list[str]:
    return [s["adapted"] for s in story.run.values("drift-signals") if s["kind"] == "feedback" and s["adapted"]]


def test_claims_and_phones_that_agree_exchange_the_names() -> None:
    story = live("their own")
    assert named(story) == {person: person for person in PEOPLE}
    assert sum("names were exchanged" in one for one in told(story)) == 1


def test_what_was_answered_before_is_answered_again() -> None:
    story = live("their own")
    first = [i for i in story.run.values("identities") if i["revision"] == 0][12:]
    assert [i["person_id"] for i in first[:6]] == ["bert", "anna", "cora"] * 2
    assert [story.answers(i["event_id"])[-1]["person_id"] for i in first] == [*PEOPLE] * ROUNDS


def test_a_restart_after_every_record_changes_nothing() -> None:
    assert live("their own", restarts=True).run.outputs == live("their own").run.outputs


def test_claims_alone_are_told_and_do_nothing() -> None:
    story = live("none")
    assert {one for one, name in named(story).items() if name == OTHER[one] != one} == {"anna", "bert"}
    assert any("enrol anew" in one for one in told(story))
    assert not any("exchanged" in one for one in told(story))


@pytest.mark.parametrize("phones", ["none", "their own"])
def test_lies_exchange_nobody(phones: str) -> None:
    story = live(phones, crosswise=False, honest=False)
    assert named(story) == {person: person for person in PEOPLE}
    assert not any("exchanged" in one for one in told(story))


def test_phones_alone_exchange_nobody() -> None:
    story = live("the other's", crosswise=False)
    assert not any("exchanged" in one for one in told(story))
    assert named(story) == {person: person for person in PEOPLE}


def test_the_names_keep_what_is_theirs() -> None:
    story = live("their own")
    profiles: dict[str, Any] = {p["person_id"]: p for p in story.run.values("profiles")}
    assert all(profiles[person]["phones"] == [f"phone-{person}"] for person in PEOPLE)
    revisions = [(p["person_id"], p["revision"]) for p in story.run.values("profiles")]
    assert len(revisions) == len(set(revisions))
    story.say("leave", person_id="anna")
    assert named(story) == {"anna": None, "bert": "bert", "cora": "cora"}


# ---- who never enrolled


def begin_without_enrolment(crosswise: int, rounds: int, restarts: bool = False) -> Story:
    """Anna and bert never enrol; in so many of their first rounds each carries the other's phone."""
    story = Story(PEOPLE[:2], enrolled=False)
    story.run.restarts = restarts
    for person in PEOPLE[:2]:
        story.say("phone", phone_id=f"phone-{person}", person_id=person)
    for number in range(rounds):
        story.wait(DAY_MS // 4)
        for person in PEOPLE[:2]:
            see(story, person, "the other's" if number < crosswise else "their own")
    return story


def taken_for(story: Story) -> dict[str, str]:
    """Whom anna and bert are rather taken for now, without any phone."""
    posteriors = {person: story.answers(see(story, person, "none"))[-1]["posterior"] for person in PEOPLE[:2]}
    return {person: max(posterior, key=posterior.__getitem__) for person, posterior in posteriors.items()}


def test_people_who_never_enrolled_get_their_names_back_when_their_phones_say_so() -> None:
    assert taken_for(begin_without_enrolment(4, 5)) == {"anna": "bert", "bert": "anna"}
    assert taken_for(begin_without_enrolment(4, 12)) == {"anna": "anna", "bert": "bert"}
