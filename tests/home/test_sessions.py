"""Sessions: on a device of one's own its person counts for what asks for little, and from tier 3 on who is recognised."""

from typing import Any

import pytest

from stream.contract.policy import Policy
from tests.support.worlds import POLICY, Story

PERSONAL = {"session_id": "s-1", "person_id": "bert", "device_class": "personal"}


def answer(story: Story, person: str | None, session: dict[str, Any] | None, **parts: Any) -> Any:
    return story.answers(story.see(person, session=session, input="voice" if person else "touch", **parts))[0]


@pytest.mark.parametrize("policy", [POLICY, Policy()])
@pytest.mark.parametrize(("session", "touched"), [
    (PERSONAL, "bert"),
    (PERSONAL | {"person_id": "somebody-else"}, None),
    (PERSONAL | {"person_id": None}, None),
    ({"session_id": "s-2", "device_class": "personal"}, None),
    (PERSONAL | {"device_class": "communal"}, None),
])  # fmt: skip
def test_for_whom_a_device_acts(session: dict[str, Any], touched: str | None, policy: Policy) -> None:
    story = Story(policy=policy)
    story.wait(3_600_000)
    by_touch = answer(story, None, session, activity="light.on")
    assert by_touch["tier"] <= 2
    assert by_touch["acts_for"] == touched
    by_voice = answer(story, "anna", session)
    if by_voice["tier"] > 2:
        assert by_voice["acts_for"] == by_voice["person_id"] == "anna"


def test_without_a_session_nothing_is_said_of_it_and_with_one_the_answer_is_the_same() -> None:
    story, other = Story(), Story()
    plain, told = answer(story, "anna", None), answer(other, "anna", PERSONAL)
    assert "acts_for" not in plain
    assert {key: value for key, value in told.items() if key != "acts_for"} == plain


@pytest.mark.parametrize(
    "session", [{}, {"session_id": "a b", "device_class": "personal"}, PERSONAL | {"device_class": "car"}, "s-1", 7]
)
def test_a_session_that_cannot_be_read_costs_no_answer(session: Any) -> None:
    story = Story()
    told = answer(story, "anna", session)
    assert told["person_id"] == "anna"
    assert "acts_for" not in told


def test_input_that_is_none_costs_no_answer() -> None:
    story = Story()
    assert story.answers(story.see("anna", input="gesture"))[0]["person_id"] == "anna"
