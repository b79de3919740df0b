"""Homes in which somebody tries to be somebody else.

Law: every try is on a copy of the home as it is at that moment, so no try helps or hinders another; packs were fitted on other
people than those who are judged.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.quality.hard_worlds import hard_scenarios, home_of
from bench.quality.people import Side, write_half
from bench.quality.tools import SHARED, tool
from bench.quality.trials import Settings, policy_for
from stream.contract.codec import decode
from stream.contract.policy import Policy, ProofKey, Proofs
from stream.contract.records import GUEST, Identity, InvalidRecord, Record
from stream.contract.rights.signature import sign, text_of_public_key
from stream.contract.units import MINUTE_MS
from stream.home.rights.decision import Answered, answers_of
from stream.home.state.household import Household
from stream.home.step import step

__all__ = ["WORLDS", "Tried", "attack_homes"]

WORLDS: Final = ("guests", "poison", "kin")
KID: Final = "api-1"
OWN, OTHER = Ed25519PrivateKey.from_private_bytes(b"k" * 32), Ed25519PrivateKey.from_private_bytes(b"o" * 32)
EVERY: Final = 5  # records apart are events about which feedback is written
PROTECTED, PURCHASE = 5, 4


class Tried(NamedTuple):
    """Tries by kind, and those that came to more than they should."""

    tries: Counter[str]
    won: Counter[str]

    def count(self, kind: str, won: bool) -> None:
        self.tries[kind] += 1
        self.won[kind] += won


def attack_homes(side: Side, homes: int, seed: int, scratch: Path) -> Iterator[tuple[str, Tried]]:
    """Of each world: what was tried in so many homes of the people of a side."""
    world: Any = tool("world")
    world.SCENARIOS |= hard_scenarios(world)
    people = write_half(SHARED / "data", scratch / f"{side.voices}-{side.name}", side)
    known = Proofs(keys={KID: ProofKey(public_key=text_of_public_key(OWN))})
    policy = policy_for(side, Settings(cache=scratch, packs=scratch)).model_copy(update={"proofs": known})
    corpus, args = world.Corpus(people, side.voices), argparse.Namespace(seed=seed, enrol=None, phoneless=0.1)
    for name in WORLDS:
        tried, make = Tried(Counter(), Counter()), home_of(world, name)
        for index in range(homes):
            _attack(make(corpus, world.SCENARIOS[name], index, args).run(name), policy, tried)
        yield name, tried


def _attack(planned: Any, policy: Policy, tried: Tried) -> None:
    """Play a home, and try at each recognition that is no guided enrolment."""
    home, truth = Household.new(planned.id), {one["event_id"]: one for one in planned.truth}
    for number, (_, at, topic, _, value) in enumerate(sorted(planned.items, key=lambda item: item[0])):
        outputs = step(home, decode(_record(topic, number, at, planned.id, value), policy), policy).outputs
        if topic != "recognitions" or truth[value["event_id"]]["phase"] == 0:
            continue
        first = next(one for one in (output.value for output in outputs) if isinstance(one, Identity) and one.revision == 0)
        speaker = str(truth[value["event_id"]]["who"])
        attempt = _Attempt(home, policy, first, number)
        attempt.know_pin(speaker, tried)
        if number % EVERY == 0:
            attempt.write_feedback(speaker, tried)
        if (first.person_id, first.tier) == (speaker, PURCHASE):
            attempt.show_proofs(tried)


class _Attempt:
    """Tries on an event that was just answered."""

    def __init__(self, home: Household, policy: Policy, first: Identity, number: int) -> None:
        self.home, self.policy, self.first, self.number = home, policy, first, number

    def know_pin(self, speaker: str, tried: Tried) -> None:
        """Whoever spoke has the PIN of that other member whom the answer thinks likeliest: the verifier signs for them."""
        likely = {who: p for who, p in self.first.posterior.items() if who not in (speaker, GUEST)}
        if not likely:
            return
        victim = max(likely, key=lambda who: likely[who])
        kind = "a housemate" if speaker in self.first.posterior else "a guest"
        answer = self._after([self._proof(victim)])
        tried.count(f"{kind} with the PIN", answer.tier == PROTECTED)
        tried.count(f"{kind} taken for the owner at tier 3", self.first.tier >= 3 and self.first.person_id == victim)

    def show_proofs(self, tried: Tried) -> None:
        """The owner is there, at tier 4: what raises the answer without the owner's PIN for it."""
        owner, at, minutes = str(self.first.person_id), self.first.observed_at, self.policy.tiers.pin_minutes * MINUTE_MS
        other = next((who for who in self.first.posterior if who not in (owner, GUEST)), "nobody")
        genuine = self._proof(owner)
        altered = json.loads(genuine.value or b"") | {"event_id": self.first.event_id, "nonce": "another"}
        shown = {
            "genuine (to compare)": [genuine],
            "forged: another's key": [self._proof(owner, OTHER)],
            "forged: a key that is not listed": [self._proof(owner, OTHER, kid="api-2")],
            "forged: changed after it was signed": [replace(genuine, value=json.dumps(altered).encode())],
            "forged: no signature": [replace(genuine, value=json.dumps(altered | {"signature": ""}).encode())],
            "replayed: the nonce of another": [self._proof(owner, event_id="e-none"), self._proof(owner, proof_id="p-2")],
            "foreign: of another home": [self._proof(owner, household_id="h-other")],
            "foreign: another home's, sent here": [replace(self._proof(owner, household_id="h-other"), key=self._key)],
            "foreign: another member's PIN": [self._proof(other)],
            "stale: too long after the event": [self._proof(owner, given_at=at + minutes + 1)],
            "stale: from before the event": [self._proof(owner, given_at=at - 1)],
            "stale: came too late": [replace(genuine, timestamp=at + 2 * minutes + 2_000)],
        }
        before = [one for one in answers_of(self.home).values() if one.person_id == owner and one.observed_at < at - 2 * minutes]
        if before:
            earlier = self._proof(owner, event_id=before[-1].event_id, given_at=before[-1].observed_at + 1_000)
            shown["replayed: a proof of an earlier event"] = [earlier, replace(earlier, timestamp=at + 1_000)]
        for kind, records in shown.items():
            tried.count(kind, self._after(records).tier == PROTECTED)

    def write_feedback(self, speaker: str, tried: Tried) -> None:
        """Whoever may write `feedback` says that it was another member, or whom it was, by any source and as of any time."""
        others = [who for who in self.first.posterior if who not in (speaker, GUEST)]
        for source in ("pin", "annotator", "app", "voice"):
            claims = [{"kind": "correct", "person_id": who} for who in others[:2]] + [{"kind": "confirm"}]
            for claim in claims:
                for after_ms in (0, 4 * MINUTE_MS):
                    said = {
                        "v": 1, "feedback_id": f"x-{self.number}", "household_id": self.home.household_id, "source": source,
                        "given_at": self.first.observed_at + after_ms, "event_id": self.first.event_id,
                    } | claim  # fmt: skip
                    answer = self._after([_record("feedback", self.number, said["given_at"], self.home.household_id, said)])
                    tried.count("write access to `feedback`", answer.tier > self.first.tier)

    def _after(self, records: list[Record]) -> Answered:
        """The answer to the event in a copy of the home that took these records."""
        copy = Household(self.home.household_id, self.home.slot.copy(), self.home.words)
        for record in records:
            try:
                event = decode(record, self.policy)
            except InvalidRecord:
                continue
            if event.value.household_id == copy.household_id:
                step(copy, event, self.policy)
        return answers_of(copy)[self.first.event_id]

    @property
    def _key(self) -> bytes:
        return self.home.household_id.encode()

    def _proof(self, person_id: str, key: Ed25519PrivateKey = OWN, **fields: Any) -> Record:
        value = {
            "v": 1, "proof_id": "p-1", "household_id": self.home.household_id, "person_id": person_id, "factor": "pin",
            "event_id": self.first.event_id, "given_at": self.first.observed_at + 1_000, "nonce": "n-1", "kid": KID,
        } | fields  # fmt: skip
        signed = sign(value, key)
        return _record("proofs", self.number, int(value["given_at"]), str(value["household_id"]), signed)


def _record(topic: str, offset: int, at: int, key: str, value: Any) -> Record:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return Record(topic, 0, offset, at, key.encode(), raw)
