"""Sightings: two reports of the same are a phone that was heard; one is nothing, and none gives a tier that sensors do not."""

from itertools import permutations
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from stream.contract.policy import Policy, ProofKey, Proofs
from stream.contract.rights.signature import sign, text_of_public_key
from stream.home.state.at_rest import decode_home, encode_home
from stream.home.state.layout import WITNESSES_MAX
from stream.home.step import Step
from tests.support.worlds import FACE, MINUTE_MS, Run, Shape, Story, embedding, row_of, world
from tests.support.worlds import POLICY as WORLD

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
POLICY = Policy(encoders=WORLD.encoders, proofs=Proofs(keys={"lock-1": ProofKey(public_key=text_of_public_key(PRIVATE))}))
FRESH_MS = POLICY.tiers.pin_minutes * MINUTE_MS
PHONES = {"anna": "ph-anna", "bert": "ph-bert"}
SECOND_MS = 1_000


class Home(Story):
    """A story in which everybody has a phone, and things happen at the door."""

    def __init__(self, people: tuple[str, ...] = ("anna", "bert")) -> None:
        super().__init__(people, policy=POLICY)
        for person in people:
            self.say("phone", phone_id=PHONES[person], person_id=person)
        self.sights = 0

    def sight(self, device: str, at: int, **fields: Any) -> Step:
        """A report, by somebody's phone or else by a sensor of the home; nothing of it takes time."""
        self.sights += 1
        value = {
            "v": 1, "sighting_id": f"s-{self.sights}", "household_id": "h", "device_id": device, "kind": "door.unlock",
            "device_class": "personal" if device.startswith("ph-") else "home", "nonce": None, "observed_at": at,
        }  # fmt: skip
        return self.run.play(self.desk.record("sightings", value | fields))

    def meet(self, person: str = "anna", after_ms: int = 0, **fields: Any) -> list[str]:
        """Both reports, at the next minute and so long after it; their outcomes."""
        at = self.desk.now + MINUTE_MS + after_ms
        return [self.sight(device, at, **fields).outcomes[0] for device in ("front-door", PHONES[person])]

    def tap(self, **parts: Any) -> dict[str, float]:
        """A touch at a device where nobody was just met; the answer's posterior."""
        posterior: dict[str, float] = self.answers(self.see(activity="light.on", **parts))[0]["posterior"]
        return posterior

    def prove(self, event_id: str, person_id: str = "anna", **fields: Any) -> str:
        value = {
            "v": 1, "proof_id": f"p-{self.desk.now}", "household_id": "h", "person_id": person_id, "factor": "event",
            "event_id": event_id, "given_at": self.desk.now + MINUTE_MS // 2, "nonce": f"n-{self.desk.now}", "kid": "lock-1",
        }  # fmt: skip
        return self.play("proofs", sign(value | fields, PRIVATE)).outcomes[0]

    def tiers(self, event_id: str) -> list[int]:
        return [answer["tier"] for answer in self.answers(event_id)]


def tapped(*reports: tuple[str, int, dict[str, Any]], after_ms: int = 0) -> dict[str, float]:
    """What is answered to a touch at the next minute, after reports of so many ms beside it."""
    home = Home()
    at = home.desk.now + MINUTE_MS
    for device, beside, fields in reports:
        home.sight(device, at + beside, **fields)
    return home.tap(observed_at=at + after_ms)


NOTHING = tapped()
PAIR = tapped(("front-door", 0, {}), ("ph-anna", 0, {}))


# ---- laws


def test_a_pair_speaks_for_whose_phone_it_is_as_that_phone_does() -> None:
    heard = Home()
    by_phone = heard.tap(observed_at=heard.desk.now + MINUTE_MS, phones=[{"phone_id": "ph-anna"}, {"phone_id": "ph-bert"}])
    both = tapped(*[(device, 0, {}) for device in ("front-door", "ph-anna", "ph-bert")])
    assert NOTHING["anna"] < PAIR["anna"] < 0.9
    assert PAIR["bert"] < NOTHING["bert"]
    assert both == pytest.approx(by_phone, abs=0.05)


@pytest.mark.parametrize("order", [*permutations([("front-door", 0), ("ph-anna", 9_000), ("back-door", -5_000)])])
def test_the_order_of_reports_does_not_matter(order: tuple[tuple[str, int], ...]) -> None:
    told = tapped(*[(device, at, {}) for device, at in order])
    assert told == tapped(("front-door", 0, {}), ("ph-anna", 9_000, {}))


@pytest.mark.parametrize("device", ["front-door", "ph-anna"])
def test_one_report_alone_does_nothing(device: str) -> None:
    assert tapped((device, 0, {})) == NOTHING
    assert tapped((device, 0, {}), (device, 0, {})) == NOTHING


@pytest.mark.parametrize("first", ["front-door", "ph-anna"])
@pytest.mark.parametrize(("apart", "is_pair"), [(10_000, True), (10_001, False)])
def test_reports_of_more_than_ten_seconds_apart_are_no_pair(first: str, apart: int, is_pair: bool) -> None:
    second = "ph-anna" if first == "front-door" else "front-door"
    assert (tapped((first, 0, {}), (second, apart, {}), after_ms=apart) != NOTHING) is is_pair


UNPAIRED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "of something else": ({"kind": "door.unlock"}, {"kind": "garage.open"}),
    "by another nonce": ({"nonce": "n-1"}, {"nonce": "n-2"}),
    "both of the home": ({}, {"device_class": "home"}),
    "both personal": ({"device_class": "personal", "device_id": "ph-bert"}, {}),
    "by a phone that nobody registered": ({}, {"device_id": "ph-zoe"}),
}


@pytest.mark.parametrize(("one", "other"), UNPAIRED.values(), ids=UNPAIRED)
def test_what_is_no_pair_does_nothing(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert tapped(("front-door", 0, one), ("ph-anna", 0, other)) == NOTHING
    assert tapped(("ph-anna", 0, other), ("front-door", 0, one)) == NOTHING


def test_a_nonce_is_compared_only_where_both_have_one() -> None:
    assert tapped(("front-door", 0, {"nonce": "n-1"}), ("ph-anna", 0, {"nonce": "n-1"})) == PAIR
    assert tapped(("front-door", 0, {"nonce": "n-1"}), ("ph-anna", 0, {})) == PAIR


def test_a_nonce_counts_once() -> None:
    home = Home()
    assert home.meet(nonce="n-1") == ["early", "used"]
    home.wait(2 * FRESH_MS)
    assert home.meet(nonce="n-1") == ["nonce", "nonce"]
    assert home.sight("front-door", home.desk.now + MINUTE_MS).outcomes == ["early"]
    assert home.sight("ph-bert", home.desk.now + MINUTE_MS, nonce="n-1").outcomes == ["nonce"]


def test_an_event_long_before_or_after_hears_nothing() -> None:
    for after, hears in ((-10_000, True), (-10_001, False), (60_000, True), (60_001, False)):
        told = tapped(("front-door", 0, {}), ("ph-anna", 0, {}), after_ms=after)
        assert (told["anna"] > NOTHING["anna"] + 0.02) is hears, after


def test_a_phone_that_is_nobodys_or_somebody_elses_now_is_no_evidence() -> None:
    home = Home()
    at = home.desk.now + 2 * MINUTE_MS
    home.sight("front-door", at)
    home.sight("ph-anna", at)
    home.say("phone", phone_id="ph-anna", person_id=None)
    assert home.sight("ph-anna", at).outcomes == ["unknown_device"]
    event = home.see(activity="light.on", observed_at=at)
    assert row_of(home.home, event)["sightings_used"] == 0
    home.say("phone", phone_id="ph-anna", person_id="bert")
    event = home.see(activity="light.on", observed_at=at)
    assert row_of(home.home, event)["sightings_used"] == 0


def test_a_pair_that_is_told_after_the_answer_moves_it_as_if_it_had_been_told_before() -> None:
    home = Home()
    at = home.desk.now + MINUTE_MS
    event = home.see(activity="light.on", observed_at=at)
    before = home.answers(event)
    home.sight("ph-anna", at)
    assert home.answers(event) == before
    home.sight("front-door", at)
    (first, again) = home.answers(event)
    assert first["posterior"] == NOTHING
    assert again["posterior"] == pytest.approx(PAIR, abs=0.01)
    assert again["tier"] <= first["tier"]
    assert again["cause"]["topic"] == "sightings"


def test_it_counts_once_however_often_it_is_told() -> None:
    pair = (("front-door", 0, {}), ("ph-anna", 0, {}))
    assert tapped(*pair, ("front-door", 1, {}), ("ph-anna", 1, {}), ("ph-anna", 2, {})) == PAIR
    heard = [{"phone_id": "ph-anna", "rssi_dbm": -50.0}]
    home, told = Home(), Home()
    told.meet()
    assert told.tap(phones=heard) == home.tap(phones=heard)


reports = st.lists(
    st.tuples(st.sampled_from(["front-door", "ph-anna", "ph-bert"]), st.integers(-70, 15), st.sampled_from([None, "n-1", "n-2"])),
    max_size=8,
)


@settings(max_examples=25, deadline=None)
@given(reports, st.booleans(), st.booleans())
def test_whoever_may_write_sightings_alone_gets_no_tier_of_a_second_sensor(told: list[Any], face: bool, phone: bool) -> None:
    """Of voice alone never tier 4, of nothing sensed never 3, and never 5."""
    home = Home()
    at = home.desk.now + MINUTE_MS
    for n, (device, seconds, nonce) in enumerate(told):
        home.sight(device, at + seconds * SECOND_MS, nonce=nonce and f"{nonce}-{n // 2}")
    parts = {"face": {"encoder": FACE, "embedding": embedding(FACE, "anna", home.rng)}} if face else {}
    parts |= {"phones": []} if phone else {}
    event = home.see(activity="light.on", observed_at=at, **parts)
    home.meet(after_ms=-MINUTE_MS)
    assert max(home.tiers(event)) <= (3 if face else 2)
    assert len(home.tiers(event)) == 1 or home.tiers(event)[1] <= home.tiers(event)[0]


# ---- the second factor


def test_a_signed_proof_that_a_pair_bears_out_gives_tier_5() -> None:
    home = Home()
    home.meet()
    event = home.see("anna")
    assert home.prove(event) == "used"
    assert home.tiers(event) == [4, 5]


@pytest.mark.parametrize("told", [(), ("front-door",), ("ph-anna",), ("front-door", "ph-bert")])
def test_a_proof_of_an_event_that_was_not_seen_of_them_proves_nothing(told: tuple[str, ...]) -> None:
    home = Home()
    for device in told:
        home.sight(device, home.desk.now + MINUTE_MS)
    event = home.see("anna")
    assert home.prove(event) == "no_sighting"
    assert home.prove(event, factor="pin") == "used"


def test_a_pair_without_a_signature_proves_nothing() -> None:
    home = Home()
    event = home.see("anna")
    before = home.tiers(event)
    for _ in range(4):
        home.meet(after_ms=-MINUTE_MS)
    assert home.tiers(event)[:1] == before
    assert max(home.tiers(event)) == before[0] == 4


def test_a_pair_of_long_ago_bears_no_proof_out() -> None:
    home = Home()
    home.meet()
    home.wait(FRESH_MS + MINUTE_MS)
    event = home.see("anna")
    assert home.prove(event) == "no_sighting"


# ---- what is kept


def test_what_comes_too_late_is_stale_and_what_is_kept_is_bounded() -> None:
    home = Home()
    home.see("anna")
    now = home.desk.now
    assert home.sight("front-door", now - FRESH_MS - MINUTE_MS).outcomes == ["stale"]
    for n in range(2 * WITNESSES_MAX):
        home.sight("front-door", now + n)
    assert home.home.record["witnesses_used"] == WITNESSES_MAX
    home.wait(2 * FRESH_MS)
    home.see("anna")
    home.sight("front-door", home.desk.now)
    assert home.home.record["witnesses_used"] == 1


def test_the_same_report_again_is_a_duplicate() -> None:
    home = Home()
    home.sight("front-door", home.desk.now, sighting_id="s")
    before = home.state
    assert home.sight("ph-anna", home.desk.now, sighting_id="s").outcomes == ["duplicate"]
    assert home.state == before


@pytest.mark.parametrize("told", ["after", "before"])
def test_of_who_is_forgotten_no_report_is_left_and_others_keep_theirs(told: str) -> None:
    home = Home()
    if told == "before":
        home.see("bert")
    home.meet("anna", nonce="n-1")
    home.meet("bert", after_ms=30 * SECOND_MS)
    home.say("erase", person_id="anna")
    reports = home.home.record["witnesses"][: int(home.home.record["witnesses_used"])]
    assert [(int(one["phone"]), int(one["person"])) for one in reports] == [(0, 0), (1, 1)]
    assert [word for word in (b"anna", b"ph-anna") if word in home.state] == []
    assert row_of(home.home, home.see(activity="light.on"))["sightings_used"] == 1
    home.say("erase", person_id=None)
    assert home.home.record["witnesses_used"] == 0
    assert [word for word in (b"bert", b"door") if word in home.state] == []


def test_whose_phone_is_taken_back_is_not_sighted_by_it() -> None:
    home = Home(("anna",))
    registered = home.last
    home.meet()
    home.say("retract", retracts=registered)
    assert home.home.record["witnesses_used"] == 0
    assert row_of(home.home, home.see(activity="light.on"))["sightings_used"] == 0


def test_reports_are_written_with_the_home() -> None:
    home = Home()
    home.meet(nonce="n-1")
    home.run.homes["h"] = decode_home(home.state, POLICY)
    assert encode_home(home.home) == home.state
    assert home.tap() == PAIR


@pytest.mark.parametrize("size", [1, 2, 7, 500])
def test_where_a_batch_ends_does_not_matter(size: int) -> None:
    records = world(8, Shape(homes=2, people=2, records=60, sighted=0.5, erasing=False))
    whole, batched = Run().play_each(records), Run().play_in_batches(records, size)
    assert (batched.outputs, batched.states()) == (whole.outputs, whole.states())
    without = Run().play_all([record for record in records if record.topic != "sightings"])
    assert without.values("identities") != whole.values("identities")
