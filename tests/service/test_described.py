"""Every route as its description has it: whatever is sent, the service answers in its own words, and tells nobody's name.

Schemathesis makes the requests from the OpenAPI that the service itself gives, the same ones every time.
"""

import logging
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from stream.runtime.service.events import routes
from tests.service.site import SECRETS, Site

EXAMPLES = 12  # of each route: enough to meet each parameter's odd forms
HEADERS = {"X-Kithkin-Page": "1"}
PIN, PEOPLE = "271828", ("anna", "bert")
OWN = ("/page/", "/v1/consents")  # what a home's own people see names them


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A home that a client may ask about, with a challenge that stands."""
    site = Site(tmp_path)
    site.verifier.set("h", "anna", PIN)
    return site


class Callers:
    """Who asks: nobody, somebody with a wrong token, each client, and the home itself."""

    def __init__(self, site: Site) -> None:
        link = site.served.sessions.link("h", site.desk.now)
        site.http.post("/page/session", json={"token": link}, headers=HEADERS)
        self._cookie = site.http.cookies["kithkin"]
        site.http.cookies.clear()
        self._site = site

    def __iter__(self) -> Any:
        return iter(("nobody", "wrong", "home", *SECRETS))

    def headers(self, caller: str) -> dict[str, str]:
        if caller == "home":
            return HEADERS | {"Cookie": f"kithkin={self._cookie}"}
        told = {"nobody": {}, "wrong": {"Authorization": "Bearer x.y.z"}}
        return told[caller] if caller in told else self._site.headers(caller)


def known_words(site: Site) -> dict[str, list[str]]:
    """What fields hold that mean something here, so that not every request ends at the first look."""
    site.tokens = {name: site.token(name, secret) for name, secret in SECRETS.items()}
    site.grant(f"c-{site.seen}")  # the one before may have been revoked
    event = site.see("anna")
    site.work()
    asked = site.ask("pharmacy.refill", event_id=event).json()
    return {
        "home": [site.handles.home_of(client, home) for client in SECRETS for home in ("h", "h-9")], "event_id": [event, "e-99"],
        "device_id": ["kitchen"], "action": ["pharmacy.refill", "mail.read", "bank.rob"], "sub": [asked["sub"]],
        "challenge_id": [asked["challenge_id"]], "pin": [PIN, "000001"], "person_id": [*PEOPLE, "guest"],
        "client_id": [*SECRETS], "client_secret": [*SECRETS.values()], "scope": [""], "consent_id": ["c-1", asked["sub"]],
    }  # fmt: skip


def put_words(given_to: Any, words: dict[str, list[str]], pick: st.DataObject) -> None:
    """In the place of what was made, in half of the fields that have such words."""
    for name in [name for name in given_to or {} if name in words] if isinstance(given_to, dict) else []:
        if pick.draw(st.booleans(), label=name):
            given_to[name] = pick.draw(st.sampled_from(words[name]), label=name)


def test_whatever_is_sent_no_answer_is_an_error_of_the_server_or_tells_of_people(
    site: Site, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(logging.getLogger("httpx2"), "propagate", False)  # who asks knows what it asked
    monkeypatch.setattr(routes, "_WAIT_S", 0.1)  # a long poll waits all the same, and looks twice
    schema, words, callers = schemathesis.openapi.from_asgi("/openapi.json", site.http.app), dict[str, list[str]](), Callers(site)
    texts: list[str] = []
    done: set[tuple[str, str]] = set()  # what was asked by whom, and answered with success

    def ask(case: Any, pick: st.DataObject) -> None:
        for part in (case.path_parameters, case.body, case.query):
            put_words(part, words, pick)
        for caller in callers:
            site.http.cookies.clear()
            sent = case.as_transport_kwargs(base_url="http://testserver")
            sent["headers"] = {**sent.get("headers", {}), **callers.headers(caller)}
            sent.pop("cookies", None)
            answer = site.http.request(**sent)
            assert answer.status_code < 500, (case, caller, answer.text)
            if answer.is_success:
                done.add((case.operation.label, caller))
            if not case.path.startswith(OWN):
                texts.append(answer.text)
        site.wait(2_000)  # limits are of others' tests; tokens hold for all of this one

    for result in schema.get_all_operations():
        operation = result.ok()
        words.update(known_words(site))
        callers = Callers(site)  # the session before may have been left
        tried = given(case=operation.as_strategy(), pick=st.data())(ask)
        tried = settings(max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
                         suppress_health_check=[*HealthCheck])(tried)  # fmt: skip
        seed(0)(tried)()
    texts += [caplog.text, *capfd.readouterr()]
    secrets = [*PEOPLE, PIN, "embedding", "AAAAAA"]
    assert [(secret, text[:200]) for secret in secrets for text in texts if secret in text] == []
    answered = {caller: {label for label, who in done if who == caller} for caller in callers}
    free = {"GET /.well-known/jwks.json", "POST /oauth/token"}
    assert (answered["nobody"] - free, answered["wrong"] - free) == (set(), set())
    clients = {"POST /v1/decisions", "GET /v1/people/{sub}", "POST /v1/events/poll", "DELETE /v1/consents/{consent_id}"}
    assert clients <= answered["pharmacy"], "or the words above reach nothing"
    assert {"GET /page/state", "GET /page/export", "DELETE /page/session"} <= answered["home"]
    assert [label for label in answered["music"] if "people" in label] == [], "it has no consent"
