"""What a client is told: whether an action may be done, by whom, and what would help.

Law: an answer holds no name, no id of a person or a home, and no vector; by it a client cannot tell a home or a member that it
may not know of from one that there is not, nor another member who spoke from nobody. Every decision on a home that it may ask
about is published for an audit.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

import msgspec

from stream.contract.policy import Policy
from stream.contract.records import Decided, Record
from stream.contract.rights.signature import sign
from stream.contract.units import MINUTE_MS
from stream.home.presence import presences_of
from stream.home.rights.consents import Granted, consents_of, forbids_of
from stream.home.rights.decision import Answered, Decision, answer_to, decide, is_forbidden, latest_at, redact_for

from .handles import Handles, Person
from .homes import Homes
from .verifier import Place, Verdict, Verifier

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from stream.home.state.household import Household

__all__ = ["Answer", "AtHome", "Challenge", "Decisions", "Known", "Signer", "acr"]

_CHALLENGES_MAX: Final = 10_000
_OWNER_TIER: Final = 3  # from which on wrong PINs of others do not bar a person
_UNKNOWN: Final = Decision("deny", "unknown_event", None, 0)


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision as a client gets it; `as_of`: the home's stream time. Times in ms."""

    decision_id: str
    outcome: Literal["allow", "step_up", "deny"]
    reason: str
    acr: str
    required: str | None
    sub: str | None
    auth_time: int | None
    expires_at: int | None
    challenge_id: str | None
    max_age_s: int | None
    as_of: int | None


class Known(NamedTuple):
    """What a client may know of a person."""

    sub: str
    scopes: list[str]
    actions: list[str]
    since: int
    expires_at: int | None
    as_of: int


class AtHome(NamedTuple):
    """What a client may know of whether a person is at home, at the time it asks. Times in ms."""

    sub: str
    home: float
    present: bool
    since: int


class Challenge(NamedTuple):
    """What is to be proven: that an event was of a person."""

    client_id: str
    household_id: str
    person_id: str
    device_id: str
    event_id: str
    observed_at: int
    until_ms: int
    owner: bool  # the person's own voice reached tier 3 in it


class Signer(NamedTuple):
    """The verifier's private key, and its name in the policy."""

    kid: str
    private: "Ed25519PrivateKey"


def acr(tier: int) -> str:
    """A tier as an authentication context class.

    >>> acr(3)
    'urn:kithkin:tier:3'
    """
    return f"urn:kithkin:tier:{tier}"


class Decisions:
    """Decides, challenges and tells of people.

    Parameters
    ----------
    homes, policy, handles, verifier, signer
        Of the service.
    publish
        Sends a record: its topic, key and value are set, its place is the broker's to give.
    """

    def __init__(
        self, homes: Homes, policy: Policy, handles: Handles, proving: tuple[Verifier, Signer], publish: Callable[[Record], None]
    ) -> None:
        self._homes, self._policy, self._handles, self._publish = homes, policy, handles, publish
        self._verifier, self._signer = proving
        self._challenges: dict[str, Challenge] = {}
        self._standing: dict[Challenge, str] = {}  # the other way round

    async def decide(self, client_id: str, home: str, asked: tuple[str, str | None, str | None], now_ms: int) -> Answer:
        """`home`: what the client calls it; `asked`: the action, and an event, or else a device whose latest event is meant."""
        action, event_id, device_id = asked
        household = await self._homes.find_soon(self._handles.home(client_id, home))
        granted = [] if household is None else [g for g in consents_of(household, client_id, now_ms) if action in g.actions]
        answer = None
        if household is not None and granted:
            answer = latest_at(household, device_id) if device_id else answer_to(household, event_id or "")
        return self._answer(household, granted, (client_id, action, answer), now_ms)

    def _answer(
        self, household: "Household | None", granted: list[Granted], asked: tuple[str, str, Answered | None], now_ms: int
    ) -> Answer:
        client_id, action, answer = asked
        own = next((g for g in granted if answer is not None and g.person_id == answer.person_id), None)
        seen = redact_for(answer, own.person_id if own else None, self._is_forbidden(household, answer, action, now_ms))
        own = None if seen is None else own
        decision = _UNKNOWN if seen is None else decide(seen, action, self._policy, now_ms)
        household_id = None if household is None else household.household_id
        sub = None if own is None or household_id is None else self._handles.sub(client_id, Person(household_id, own.number))
        challenge_id = None
        if decision.reason == "second_factor" and own is not None and seen is not None and household_id is not None:
            challenge_id = self._challenge(client_id, household_id, own.person_id, seen)
        decision_id = secrets.token_urlsafe(16)
        if household_id is not None and granted:
            self._audit(Decided(
                decision_id=decision_id, household_id=household_id, client_id=client_id, action=action,
                event_id=None if answer is None else answer.event_id, revision=None if answer is None else answer.revision,
                required=decision.required, had=decision.had, outcome=decision.outcome, sub=sub, at=now_ms,
            ))  # fmt: skip
        known = self._policy.actions.get(action) if decision.required is not None else None
        return Answer(
            decision_id, decision.outcome, "unknown" if decision.outcome == "deny" else decision.reason, acr(decision.had),
            None if decision.required is None else acr(decision.required), sub, decision.authenticated_at, decision.expires_at,
            challenge_id, known.max_age_s if known else None,
            int(household.record["stream_time"]) if household is not None and granted else None,
        )  # fmt: skip

    def _is_forbidden(self, household: "Household | None", answer: Answered | None, action: str, now_ms: int) -> bool:
        if household is None or answer is None or action not in self._policy.actions:
            return False
        return is_forbidden(answer, action, self._policy, forbids_of(household, now_ms))

    def _challenge(self, client_id: str, household_id: str, person_id: str, answer: Answered) -> str:
        """The id of what is to be proven, which is its nonce too; the same as long as it stands."""
        until_ms = answer.observed_at + self._policy.tiers.pin_minutes * MINUTE_MS
        wanted = Challenge(
            client_id, household_id, person_id, answer.device_id, answer.event_id, answer.observed_at, until_ms,
            answer.voiced and answer.tier >= _OWNER_TIER,
        )
        name = self._standing.get(wanted)
        if name is None:
            while len(self._challenges) >= _CHALLENGES_MAX:
                self._end(next(iter(self._challenges)))
            name = secrets.token_urlsafe(16)
            self._challenges[name], self._standing[wanted] = wanted, name
        return name

    def find_pending(self, household_id: str, now_ms: int) -> dict[str, Challenge]:
        """What is to be proven in a home, by its id."""
        return {
            name: one for name, one in self._challenges.items() if one.household_id == household_id and now_ms < one.until_ms
        }

    def refuse(self, household_id: str, challenge_id: str, now_ms: int) -> bool:
        """End a challenge of a home; whether there was such a one."""
        return challenge_id in self.find_pending(household_id, now_ms) and self._end(challenge_id)

    def _end(self, challenge_id: str) -> bool:
        """Whether there was such a challenge, which is no more."""
        ended = self._challenges.pop(challenge_id, None)
        if ended is not None:
            self._standing.pop(ended, None)
        return ended is not None

    def meet(self, client_id: str, challenge_id: str, pin: str, now_ms: int) -> Verdict | None:
        """Check the PIN of a challenge, and publish a proof if it is right; None: there is no such challenge of this client."""
        challenge = self._challenges.get(challenge_id)
        if challenge is None or challenge.client_id != client_id:
            return None
        if now_ms >= challenge.until_ms:
            self._end(challenge_id)
            return None
        place = Place(challenge.household_id, challenge.person_id, challenge.device_id, challenge.owner)
        verdict = self._verifier.check(place, pin, now_ms)
        if verdict == "right" and self._end(challenge_id):
            proof = {
                "v": 1, "proof_id": secrets.token_urlsafe(16), "household_id": challenge.household_id,
                "person_id": challenge.person_id, "factor": "pin", "event_id": challenge.event_id,
                "given_at": max(now_ms, challenge.observed_at), "nonce": challenge_id, "kid": self._signer.kid,
            }  # fmt: skip
            self._send("proofs", challenge.household_id, msgspec.json.encode(sign(proof, self._signer.private)), now_ms)
        return verdict

    def look_up(self, client_id: str, sub: str, now_ms: int) -> Known | None:
        """What a client may know of a person; None: nobody whom it may know of."""
        person = self._handles.person(client_id, sub)
        household = self._homes.find(None if person is None else person.household_id)
        if person is None or household is None:
            return None
        for granted in consents_of(household, client_id, now_ms):
            if granted.number == person.consent and "person" in granted.scopes:
                return Known(
                    sub, sorted(granted.scopes), sorted(granted.actions), granted.given_at, granted.expires_at,
                    int(household.record["stream_time"]),
                )  # fmt: skip
        return None

    def presence(self, client_id: str, home: str, now_ms: int) -> tuple[list[AtHome], int] | None:
        """Of those of a home who let the client know, and the home's stream time; None: of nobody whom it may know of."""
        household_id = self._handles.home(client_id, home)
        household = None if household_id is None else self._homes.find(household_id)
        granted = [] if household is None else consents_of(household, client_id, now_ms)
        subs = {g.person_id: g.number for g in granted if "presence" in g.scopes}
        if household is None or household_id is None or not subs:
            return None
        known = []
        for one in presences_of(household, self._policy):
            if one.person_id in subs:
                sub = self._handles.sub(client_id, Person(household_id, subs[one.person_id]))
                known.append(AtHome(sub, one.home_at(now_ms), one.present, one.since))
        return known, int(household.record["stream_time"])

    def _audit(self, decided: Decided) -> None:
        self._send("decisions", decided.household_id, decided.model_dump_json().encode(), decided.at)

    def _send(self, topic: str, household_id: str, value: bytes, now_ms: int) -> None:
        self._publish(Record(topic, 0, 0, now_ms, household_id.encode(), value))
