"""Consents: they stand from their grant until they end, and nothing of them stays."""

from typing import Any

import pytest
from pydantic import ValidationError

from stream.contract.records import Consent
from stream.home.rights.consents import Granted, consents_of, forbids_of, handle_of
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.layout import CONSENTS_MAX
from stream.home.state.names import hash_id
from tests.support.worlds import POLICY, Story


def grant(story: Story, consent_id: str, kind: str = "grant", **fields: Any) -> list[str]:
    value = {
        "v": 1, "consent_id": consent_id, "household_id": "h", "person_id": "anna", "client_id": "pharmacy", "kind": kind,
        "scopes": ["person"], "actions": ["pharmacy.refill"], "given_at": story.desk.now, "expires_at": None,
    }  # fmt: skip
    return story.play("consents", value | fields).outcomes


def standing(story: Story, client: str = "pharmacy") -> list[Granted]:
    return [*consents_of(story.home, client, story.desk.now)]


def test_a_consent_stands_until_it_is_revoked_and_not_again() -> None:
    story = Story()
    assert grant(story, "c-1", scopes=["presence", "person"]) == ["used"]
    (granted,) = standing(story)
    assert (granted.person_id, granted.scopes, granted.actions) == ("anna", {"person", "presence"}, {"pharmacy.refill"})
    assert standing(story, "bank") == []
    assert grant(story, "c-1") == ["duplicate"]
    assert grant(story, "c-1", "revoke") == ["used"]
    assert standing(story) == []
    assert grant(story, "c-1") == ["duplicate"]
    assert grant(story, "c-2") == ["used"]
    assert [granted.number for granted in standing(story)] == [hash_id("consent", "c-2")]


def test_a_consent_ends_with_its_time_with_who_leaves_and_with_an_erasure() -> None:
    story = Story()
    grant(story, "c-1", expires_at=story.desk.now + 10 * 60_000)
    grant(story, "c-2", person_id="bert", client_id="music")
    grant(story, "c-3", person_id="anna", client_id="bank")
    assert len(standing(story)) == 1
    story.wait(10 * 60_000)
    assert standing(story) == []
    story.say("leave", person_id="bert")
    assert standing(story, "music") == []
    story.say("erase", person_id="anna")
    assert standing(story, "bank") == []
    assert [word for word in (b"bank", b"anna") if word in story.state] == []


def test_who_is_no_member_consents_to_nothing_and_there_is_a_limit() -> None:
    story = Story()
    assert grant(story, "c-0", person_id="zoe") == ["unknown_person"]
    assert grant(story, "c-0", "revoke") == ["rejected"]
    told = [grant(story, f"c-{n}") for n in range(1, CONSENTS_MAX + 2)]
    assert told == [["used"]] * CONSENTS_MAX + [["rejected"]]


def test_consents_are_written_with_the_home() -> None:
    story = Story()
    grant(story, "c-1", scopes=[])
    grant(story, "c-2", person_id="bert", client_id="music", actions=["music.play", "music.stop"])
    before = standing(story), standing(story, "music")
    story.run.homes["h"] = decode_home(story.state, POLICY)
    assert (standing(story), standing(story, "music")) == before
    assert encode_home(story.home) == story.state


def test_forgetting_one_person_leaves_the_consents_of_the_others() -> None:
    story = Story(("anna", "bert", "carl"))
    grant(story, "c-1", person_id="carl")
    story.say("erase", person_id="anna")
    assert [granted.person_id for granted in standing(story)] == ["carl"]


def forbid(story: Story, consent_id: str, **fields: Any) -> list[str]:
    return grant(story, consent_id, "forbid", **{"client_id": None, "scopes": [], "actions": []} | fields)


def test_a_forbid_stands_as_a_consent_does_and_is_none() -> None:
    story = Story()
    grant(story, "c-1")
    assert forbid(story, "f-1", person_id="bert", actions=["door.unlock"], tier=4) == ["used"]
    assert forbid(story, "f-2", actions=["music.play"], expires_at=story.desk.now + 10 * 60_000) == ["used"]
    assert forbid(story, "f-3", person_id="zoe", tier=1) == ["unknown_person"]
    assert len([*consents_of(story.home, None, story.desk.now)]) == 1
    first, second = forbids_of(story.home, story.desk.now)
    assert (first.person_id, first.actions, first.tier) == ("bert", {"door.unlock"}, 4)
    assert (second.person_id, second.actions, second.tier) == ("anna", {"music.play"}, None)
    story.run.homes["h"] = decode_home(story.state, POLICY)
    assert [*forbids_of(story.home, story.desk.now)] == [first, second]
    story.wait(10 * 60_000)
    assert [*forbids_of(story.home, story.desk.now)] == [first]
    assert grant(story, handle_of(first.number), "revoke", person_id="bert", client_id=None, actions=[]) == ["used"]
    assert [*forbids_of(story.home, story.desk.now)] == []


def test_what_a_person_may_not_do_stands_again_when_they_come_back_and_is_forgotten_with_them() -> None:
    story = Story()
    forbid(story, "f-1", person_id="bert", tier=2)
    story.say("leave", person_id="bert")
    assert [*forbids_of(story.home, story.desk.now)] == []
    story.wait(60_000)
    story.say("join", person_id="bert")
    assert len([*forbids_of(story.home, story.desk.now)]) == 1
    story.say("erase", person_id="bert")
    assert int(story.home.record["consents_used"]) == 0


@pytest.mark.parametrize(
    "fields",
    [{"kind": "forbid"}, {"kind": "forbid", "client_id": None}, {"kind": "grant", "client_id": None}, {"tier": 3},
     {"kind": "forbid", "client_id": None, "scopes": []}],
)  # fmt: skip
def test_what_is_neither_a_grant_nor_a_forbid_is_refused(fields: dict[str, Any]) -> None:
    value = {
        "v": 1, "consent_id": "c-1", "household_id": "h", "person_id": "anna", "client_id": "pharmacy", "kind": "grant",
        "scopes": ["person"], "actions": [], "given_at": 1763690000000, "expires_at": None,
    } | fields  # fmt: skip
    with pytest.raises(ValidationError):
        Consent.model_validate(value)
