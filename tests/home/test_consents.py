"""Consents: they stand from their grant until they end, and nothing of them stays."""

from typing import Any

from stream.home.rights.consents import Granted, consents_of
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
