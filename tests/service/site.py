"""A whole site without a network: a log in memory, a worker on it, a store, and the service in front."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from argon2 import PasswordHasher
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI
from fastapi.testclient import TestClient
from joserfc.jwk import ECKey, OKPKey

from stream.contract.policy import Action, Policy, Presence, ProofKey, Proofs
from stream.contract.ports import Encoded, StateStore
from stream.contract.records import Cause, Identity, Record
from stream.contract.rights.signature import text_of_public_key
from stream.home.state.at_rest import encode_home
from stream.runtime.service.access import Tokens
from stream.runtime.service.app import create_app
from stream.runtime.service.assertions import Assertions
from stream.runtime.service.decisions import Decisions, Signer
from stream.runtime.service.events.follow import Follower
from stream.runtime.service.events.outbox import Outbox
from stream.runtime.service.handles import Handles
from stream.runtime.service.homes import Homes
from stream.runtime.service.page.gate import Gate
from stream.runtime.service.page.home_page import HomePage
from stream.runtime.service.page.sessions import Sessions
from stream.runtime.service.page.told import Told
from stream.runtime.service.settings import Client, Service
from stream.runtime.service.verifier import Verifier
from stream.stores import MemoryStore
from tests.support.worlds import POLICY as WORLD
from tests.support.worlds import Story

__all__ = ["KEYS", "POLICY", "PRIVATE", "SECRETS", "Served", "Site", "serve"]

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SECRETS = {"pharmacy": "p" * 32, "music": "m" * 32}
KEYS: dict[str, Any] = {"lender": OKPKey.generate_key("Ed25519"), "shop": ECKey.generate_key("P-256")}  # in the place of a secret
POLICY = Policy(
    encoders=WORLD.encoders,
    proofs=Proofs(keys={"api-1": ProofKey(public_key=text_of_public_key(PRIVATE))}),
    presence=Presence(publish=True),
    actions={"pharmacy.refill": Action(tier=5), "mail.read": Action(tier=3),
        "mail.send": Action(tier=3, second_factor=True), "list.show": Action(tier=1)},
)  # fmt: skip


class Served(NamedTuple):
    """A service, and what it is made of."""

    app: FastAPI
    handles: Handles
    verifier: Verifier
    outbox: Outbox
    sessions: Sessions


def serve(
    folder: Path, store: StateStore, publish: Callable[[Record], None], clock: Callable[[], int], url: str = "http://testserver"
) -> Served:
    """A service whose files are in a folder, and whose homes' pages are at a URL."""
    verifier = Verifier(folder / "verifier.db", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    clients = {name: Client(secret_sha256=sha256(secret.encode()).hexdigest()) for name, secret in SECRETS.items()}
    clients |= {name: Client(keys=(key.as_dict(private=False),)) for name, key in KEYS.items()}
    settings = Service(secret_file=folder / "s", proof_key_file=folder / "k", clients=clients)
    signer, handles, homes = Signer("api-1", PRIVATE), Handles(b"s" * 32), Homes(store, POLICY)
    decisions = Decisions(homes, POLICY, handles, (verifier, signer), publish)
    outbox = Outbox(folder / "events.db", settings.issuer, signer)
    sessions = Sessions(folder / "sessions.db", settings.session_idle_days)
    page = HomePage(homes, Told(POLICY, verifier, handles, [*clients]), Gate(sessions, url), publish)
    tokens = Tokens(settings, b"s" * 32, Assertions(folder / "assertions.db", settings))
    return Served(create_app(decisions, tokens, outbox, page, clock), handles, verifier, outbox, sessions)


class Site(Story):
    """A home `h` of anna and bert, who enrolled; what the service sends comes to the home at once."""

    def __init__(self, folder: Path) -> None:
        self.sent: list[Record] = []
        super().__init__(policy=POLICY)
        self.store, self.folder = MemoryStore(), folder
        self._epoch, self._saved = self.store.claim(0).epoch, 0
        self.served = serve(folder, self.store, self._publish, lambda: self.desk.now)
        self.handles, self.verifier, self.outbox = self.served.handles, self.served.verifier, self.served.outbox
        self.http = TestClient(self.served.app)
        self.follower, self._answers_read, self._decisions_read = Follower(self.outbox, self._publish), 0, 0
        self.tokens = {name: self.token(name, secret) for name, secret in SECRETS.items()}

    def _publish(self, record: Record) -> None:
        self.sent.append(record)

    def work(self) -> None:
        """What was sent to the home is applied, and its state saved: what the worker does."""
        for record in [record for record in self.sent if record.topic != "decisions"]:
            self.sent.remove(record)
            self.run.play(self.desk.raw(record.topic, record.key, record.value))
        before, self._saved = self._saved, self._saved + 1
        self.store.save(0, self._epoch, {"feedback": before}, {"feedback": self._saved}, {"h": encode_home(self.home)})

    def revise(self, event_id: str, person_id: str | None, tier: int) -> None:
        """A worker's next answer to an event, as if a later fact had brought that."""
        last = Identity(**self.answers(event_id)[-1])
        cause = Cause(topic="feedback", partition=0, offset=self.said)
        later = {"revision": last.revision + 1, "person_id": person_id, "tier": tier, "cause": cause}
        value = last.model_copy(update=later).model_dump_json().encode()
        self.run.outputs.append(Encoded("identities", 0, self.desk.now, b"h", value))

    def follow(self) -> None:
        """The service reads what the worker and itself published, to the end: answers first, decisions after them."""
        answers = [one for one in self.run.outputs if one.topic == "identities"]
        for one in answers[self._answers_read :]:
            self.follower.take(Record(one.topic, 0, 0, self.desk.now, one.key, one.value), self.desk.now)
        self._answers_read = len(answers)
        while len(decisions := self.decisions) > self._decisions_read:
            self._decisions_read += 1
            self.follower.take(decisions[self._decisions_read - 1], self.desk.now)

    @property
    def decisions(self) -> list[Record]:
        """The audit."""
        return [record for record in self.sent if record.topic == "decisions"]

    def restart(self) -> None:
        """The service ends and begins again: it reads the audit, and then all."""
        self.outbox.close()
        self.outbox = Outbox(self.folder / "events.db", "urn:kithkin:api", Signer("api-1", PRIVATE))
        self.follower, self._answers_read, self._decisions_read = Follower(self.outbox, self._publish), 0, 0
        for record in self.decisions:
            self.follower.take(record, self.desk.now)
        self.follow()

    def token(self, client: str, secret: str, **fields: str) -> Any:
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret} | fields
        answer = self.http.post("/oauth/token", data=form)
        return answer.json().get("access_token", answer)

    def forbid(self, consent_id: str, person: str = "anna", **what: Any) -> None:
        self.grant(consent_id, person, None, "forbid", **{"scopes": [], "actions": []} | what)

    def grant(
        self, consent_id: str, person: str = "anna", client: str | None = "pharmacy", kind: str = "grant", **fields: Any
    ) -> None:
        self.play("consents", {
            "v": 1, "consent_id": consent_id, "household_id": "h", "person_id": person, "client_id": client, "kind": kind,
            "scopes": ["person"], "actions": [*POLICY.actions], "given_at": self.desk.now, "expires_at": None,
        } | fields)  # fmt: skip
        self.work()

    def ask(self, action: str, client: str = "pharmacy", **about: str) -> Any:
        """The answer to a request for a decision."""
        body = {"home": self.handles.home_of(client, "h"), "action": action} | about
        return self.post("/v1/decisions", body, client)

    def post(self, path: str, body: object, client: str = "pharmacy") -> Any:
        return self.http.post(path, json=body, headers=self.headers(client))

    def headers(self, client: str = "pharmacy") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[client]}"}
