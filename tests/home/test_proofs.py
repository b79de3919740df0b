"""Proofs: a second factor counts once, fresh, of who was named, and by a key that the policy lists; nothing else gives tier 5."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contract.policy import SOURCES, Policy, ProofKey, Proofs
from stream.contract.records import FACTORS, Factor
from stream.contract.rights.signature import sign, text_of_public_key
from stream.home.step import Step
from tests.support.worlds import MINUTE_MS, Story, row_of
from tests.support.worlds import POLICY as WORLD

PRIVATE, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
KEY = ProofKey(public_key=text_of_public_key(PRIVATE))
POLICY = Policy(encoders=WORLD.encoders, proofs=Proofs(keys={"api-1": KEY}))
FRESH_MS = POLICY.tiers.pin_minutes * MINUTE_MS


class Home(Story):
    """A story whose policy lists a verifier's key."""

    def __init__(self, policy: Policy = POLICY) -> None:
        super().__init__(policy=policy)
        self.proofs = 0

    def prove(self, event_id: str, person_id: str = "anna", key: Ed25519PrivateKey = PRIVATE, **fields: Any) -> Step:
        """A proof, half a minute old when it comes, of the next nonce unless told otherwise."""
        self.proofs += 1
        value = {
            "v": 1, "proof_id": f"p-{self.proofs}", "household_id": "h", "person_id": person_id, "factor": "pin",
            "event_id": event_id, "given_at": self.desk.now + MINUTE_MS // 2, "nonce": f"n-{self.proofs}", "kid": "api-1",
        }  # fmt: skip
        return self.play("proofs", sign(value | fields, key))

    def tiers(self, event_id: str) -> list[int]:
        return [answer["tier"] for answer in self.answers(event_id)]


def outcome(step: Step) -> str:
    """Its one word: an outcome, or the reason of a dead letter."""
    (letter,) = [o.value.reason for o in step.outputs if o.topic == "dead-letters"] or [None]  # type: ignore[union-attr]
    return letter or step.outcomes[0]


def test_a_proof_raises_the_answer_that_it_is_of_and_those_of_the_next_minutes() -> None:
    home = Home()
    event, of_bert = home.see("anna"), home.see("bert")
    assert outcome(home.prove(event)) == "used"
    assert (home.tiers(event), home.tiers(of_bert)) == ([4, 5], [4])
    revised = home.answers(event)[-1]
    assert (revised["revision"], revised["person_id"], revised["cause"]["topic"]) == (1, "anna", "proofs")
    assert (home.tiers(home.see("anna")), home.tiers(home.see("bert"))) == ([5], [4])
    home.wait(FRESH_MS)
    assert home.tiers(home.see("anna")) == [4]


def test_what_was_proven_stays_proven_and_what_is_taken_back_does_not() -> None:
    home = Home()
    event = home.see("anna")
    home.prove(event)
    home.prove(event)  # another challenge was met: nothing is published again
    assert home.tiers(event) == [4, 5]
    home.say("enrol", person_id="bert", event_ids=[event])
    assert home.tiers(event) == [4, 5, 1]


def test_a_proof_does_not_replace_what_the_sensors_lack() -> None:
    home = Home()
    event = home.see("anna", face=None)
    before = home.tiers(event)
    home.prove(event)
    assert before[0] in (2, 3)
    assert home.tiers(event) == before


FORGED: dict[str, Any] = {
    "signed by another key": {"key": OTHER},
    "of a key that the policy does not list": {"kid": "api-9"},
    "of a home that it was not signed for": {"signed": {"household_id": "h-2"}},
    "of a person whom it was not signed for": {"signed": {"person_id": "bert"}},
    "of another time than it was signed for": {"signed": {"given_at": 1_763_690_000_000}},
    "with a field that was not signed": {"signed": {"device_id": "kitchen"}},
}


@pytest.mark.parametrize("change", FORGED.values(), ids=FORGED)
def test_a_forged_proof_is_a_dead_letter_and_changes_nothing(change: dict[str, Any]) -> None:
    home = Home()
    event = home.see("anna")
    before, forged = home.state, dict(change)
    value = {
        "v": 1, "proof_id": "p-1", "household_id": "h", "person_id": "anna", "factor": "pin", "event_id": event,
        "given_at": home.desk.now + MINUTE_MS // 2, "nonce": "n-1", "kid": forged.get("kid", "api-1"),
    }  # fmt: skip
    signed = sign(value | forged.get("signed", {}), forged.get("key", PRIVATE))
    step = home.play("proofs", value | {"signature": signed["signature"]})
    assert outcome(step) == "proof"
    assert (home.state, home.tiers(event)) == (before, [4])


@pytest.mark.parametrize("signature", ["", "?", "AAAA", "A" * 88])
def test_what_is_no_signature_is_a_dead_letter(signature: str) -> None:
    home = Home()
    event = home.see("anna")
    assert outcome(home.prove(event, **{"kid": "api-1"})) == "used"
    value = {"v": 1, "proof_id": "p", "household_id": "h", "person_id": "anna", "factor": "pin", "event_id": event, "nonce": "n",
             "given_at": home.desk.now, "kid": "api-1", "signature": signature}  # fmt: skip
    assert outcome(home.play("proofs", value)) == "proof"


@pytest.mark.parametrize(("not_before", "not_after", "word"), [(0, 1, "proof"), (4 * 10**12, 4_102_444_800_000, "proof")])
def test_a_key_counts_only_while_it_holds(not_before: int, not_after: int, word: str) -> None:
    key = KEY.model_copy(update={"not_before": not_before, "not_after": not_after})
    home = Home(Policy(encoders=WORLD.encoders, proofs=Proofs(keys={"api-1": key})))
    assert outcome(home.prove(home.see("anna"))) == word


def test_a_proof_counts_once() -> None:
    home = Home()
    event = home.see("anna")
    home.prove(event, nonce="n", proof_id="p")
    home.wait(2 * FRESH_MS)
    later = home.see("anna")
    assert outcome(home.prove(later, nonce="n", proof_id="p")) == "duplicate"
    assert outcome(home.prove(later, nonce="n", proof_id="p-again")) == "nonce"
    assert home.tiers(later) == [4]


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"person_id": "bert"}, "other_person"), ({"person_id": "zoe"}, "unknown_person"),
        ({"event_id": "e-99"}, "unknown_event"), ({"given_at": -2 * FRESH_MS}, "stale"), ({"given_at": -MINUTE_MS}, "stale"),
    ],
    ids=["of another member", "of a stranger", "of an event that never came", "long before", "before the event"],
)  # fmt: skip
def test_a_proof_that_is_of_something_else_proves_nothing(change: dict[str, Any], word: str) -> None:
    home = Home()
    event = home.see("anna")
    asked = {"event_id": event, "person_id": "anna"} | change
    if "given_at" in change:
        asked["given_at"] = home.desk.now + change["given_at"]
    assert outcome(home.prove(**asked)) == word
    assert home.tiers(event) == [4]
    assert home.tiers(home.see("anna")) == [4]


@settings(max_examples=25, deadline=None)
@given(st.sets(st.sampled_from(FACTORS), min_size=1), st.sampled_from(FACTORS))
def test_a_key_proves_what_the_policy_lets_it_prove_and_nothing_else(factors: set[Factor], factor: Factor) -> None:
    limited = KEY.model_copy(update={"factors": tuple(factors)})
    home = Home(Policy(encoders=WORLD.encoders, proofs=Proofs(keys={"lock": limited, "api-1": KEY})))
    home.say("phone", person_id="anna", phone_id="ph-anna")
    at = home.desk.now + MINUTE_MS
    for device, of in (("front-door", "home"), ("ph-anna", "personal")):
        sighting = {"v": 1, "sighting_id": device, "household_id": "h", "device_id": device, "device_class": of, "nonce": None}
        home.play("sightings", sighting | {"kind": "door.unlock", "observed_at": at})
    event = home.see("anna")
    told = outcome(home.prove(event, factor=factor, kid="lock", nonce="n"))
    assert (told, home.tiers(event)) == (("used", [4, 5]) if factor in factors else ("other_factor", [4]))
    if factor not in factors:
        assert home.tiers(home.see("anna")) == [4]
        assert outcome(home.prove(event, nonce="n")) == "used", "the nonce is another key's to use"


def test_factors_are_named_once_and_in_one_order_and_all_are_as_none_named() -> None:
    def policy(**key: Any) -> Policy:
        return Policy.model_validate({"proofs": {"keys": {"lock": {"public_key": KEY.public_key, **key}}}})

    assert policy(factors=["event", "pin", "event"]).policy_id == policy(factors=["pin", "event"]).policy_id
    assert policy(factors=["pin"]).policy_id != policy().policy_id == policy(factors=[*FACTORS]).policy_id
    for wrong in ([], ["voice"]):
        with pytest.raises(ValueError, match="factors"):
            policy(factors=wrong)


def test_a_proof_that_was_kept_back_is_stale() -> None:
    home = Home()
    event = home.see("anna")
    given_at = home.desk.now + MINUTE_MS
    home.wait(2 * FRESH_MS)
    assert outcome(home.prove(event, given_at=given_at)) == "stale"
    assert home.tiers(event) == [4]


kinds = st.sampled_from(["confirm", "correct", "reject"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(kinds, st.sampled_from(["anna", "bert"]), st.integers(-10, 10), st.booleans()), max_size=8))
def test_whoever_may_write_feedback_alone_gets_no_more_than_the_sensors_give(said: list[tuple[str, str, int, bool]]) -> None:
    home = Home()
    for kind, person, minutes, sure in said:
        event = home.see(person, **({} if sure else {"face": None}))
        first = home.tiers(event)[0]
        named = {} if kind == "confirm" else {"person_id": person}
        home.say(kind, at=home.desk.now + minutes * MINUTE_MS, event_id=event, source="pin", **named)
        assert max(home.tiers(event)) == first
    assert max(home.tiers(home.see("anna"))) <= 4


def test_a_pin_that_is_only_said_counts_as_said_by_the_app_and_a_proven_one_as_a_pin() -> None:
    counted = []
    for proven in (False, True):
        home = Home()
        event = home.see("anna")
        if proven:
            home.prove(event)
        home.say("correct", event_id=event, person_id="anna", source="pin")
        counted.append(SOURCES[int(row_of(home.home, event)["claims"][0]["source"])])
    assert counted == ["app", "pin"]


def test_without_a_key_in_the_policy_every_proof_is_a_dead_letter() -> None:
    home = Home(WORLD)
    assert outcome(home.prove(home.see("anna"))) == "proof"
