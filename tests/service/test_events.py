"""Events from end to end: an answer is revised, and the client that acted on it is told, by poll or push."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet

from stream.contract.errors import ConfigError
from stream.contract.records import Decided
from stream.ops.local_cluster.processes import until
from stream.runtime.fleet.webhook import RetryPolicy
from stream.runtime.service.events.outbox import SESSION_REVOKED, jti_of
from stream.runtime.service.events.push import Push
from stream.runtime.service.settings import load_service
from tests.service.site import Site

AT_ONCE = {"returnImmediately": True}
PATIENCE_S = 30.0


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A home whose anna lets two clients ask."""
    site = Site(tmp_path)
    site.grant("c-1")
    site.grant("c-2", client="music")
    return site


def granted(site: Site, client: str = "pharmacy") -> dict[str, Any]:
    event = site.see("anna")
    site.work()
    answer = site.ask("mail.read", client, event_id=event).json()
    assert answer["outcome"] == "allow"
    site.follow()
    answer["event_id"] = event
    return dict(answer)


def taken_back(site: Site, client: str = "pharmacy") -> dict[str, Any]:
    """A decision whose answer was somebody else's after all."""
    answer = granted(site, client)
    site.revise(answer["event_id"], "bert", 4)
    site.follow()
    return answer


def poll(site: Site, client: str = "pharmacy", **wanted: Any) -> Any:
    answer = site.post("/v1/events/poll", AT_ONCE | wanted, client)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_decision_whose_answer_is_revised_comes_as_one_event_that_verifies(site: Site) -> None:
    answer = granted(site)
    assert poll(site) == {"sets": {}, "moreAvailable": False}
    site.revise(answer["event_id"], None, 1)
    site.follow()
    ((jti, text),) = poll(site)["sets"].items()
    keys = KeySet.import_key_set(site.http.get("/.well-known/jwks.json").json())
    token = jwt.decode(text, keys, algorithms=["EdDSA"])
    assert (token.header["typ"], jti) == ("secevent+jwt", jti_of(answer["decision_id"]))
    assert (token.claims["jti"], token.claims["aud"], token.claims["iss"]) == (jti, "pharmacy", "urn:kithkin:api")
    assert token.claims["sub_id"] == {
        "format": "complex", "session": {"format": "opaque", "id": answer["decision_id"]},
        "user": {"format": "iss_sub", "iss": "urn:kithkin:api", "sub": answer["sub"]},
    }  # fmt: skip
    assert {*token.claims["events"]} == {SESSION_REVOKED}
    assert {"sub", "exp"} & {*token.claims} == set(), "which RFC 8417 and the Shared Signals Framework leave out"
    assert [text for text in (str(token.claims), str(token.header)) if "anna" in text or "bert" in text] == []


def test_an_acknowledged_event_does_not_come_again_and_only_its_client_can_do_that(site: Site) -> None:
    jti = jti_of(taken_back(site)["decision_id"])
    assert poll(site, "music") == {"sets": {}, "moreAvailable": False}
    assert poll(site, "music", ack=[jti])["sets"] == {}
    assert {*poll(site)["sets"]} == {*poll(site)["sets"]} == {jti}
    assert poll(site, ack=[jti])["sets"] == {}
    site.restart()
    assert poll(site)["sets"] == {}


def test_the_audit_has_the_same_record_again_with_its_cause_once(site: Site) -> None:
    answer = taken_back(site)
    site.revise(answer["event_id"], "anna", 4)
    site.revise(answer["event_id"], None, 0)
    site.follow()
    site.restart()
    first, second = [Decided.model_validate_json(record.value or b"") for record in site.decisions]
    assert second.withdrawn_at is not None
    assert second.cause is not None
    assert second.cause.topic == "feedback"
    assert second.model_copy(update={"withdrawn_at": None, "cause": None}) == first
    assert [record.key for record in site.decisions] == [b"h", b"h"]


def test_a_restart_offers_again_what_was_not_taken_as_the_same_event(site: Site) -> None:
    taken_back(site)
    before = poll(site)
    site.restart()
    assert site.outbox.list_pending("pharmacy")[0] == before["sets"]


def test_an_answer_that_stays_enough_withdraws_nothing(site: Site) -> None:
    answer = granted(site)
    site.revise(answer["event_id"], "anna", 3)
    site.follow()
    assert poll(site)["sets"] == {}
    assert len(site.decisions) == 1


def test_a_client_gets_as_many_as_it_wants_and_says_what_it_cannot_use(site: Site) -> None:
    jtis = [jti_of(taken_back(site)["decision_id"]) for _ in range(3)]
    some = poll(site, maxEvents=2)
    assert ([*some["sets"]], some["moreAvailable"]) == (jtis[:2], True)
    assert poll(site, maxEvents=0) == {"sets": {}, "moreAvailable": True}
    rest = poll(site, ack=jtis[:1], setErrs={jtis[1]: {"err": "invalid_key", "description": "no such key"}}, members="unknown")
    assert ([*rest["sets"]], rest["moreAvailable"]) == (jtis[2:], False)


def test_events_ask_for_a_scope_of_their_own(site: Site) -> None:
    site.tokens["pharmacy"] = site.token("pharmacy", "p" * 32, scope="decisions")
    refused = site.post("/v1/events/poll", AT_ONCE)
    assert (refused.status_code, "events" in refused.headers["www-authenticate"]) == (403, True)
    assert site.http.post("/v1/events/poll", json=AT_ONCE).status_code == 401
    assert site.http.get("/.well-known/jwks.json").status_code == 200
    assert "d" not in site.http.get("/.well-known/jwks.json").json()["keys"][0]


def test_a_poll_that_may_wait_is_answered_when_there_is_something(site: Site) -> None:
    jti = jti_of(taken_back(site)["decision_id"])
    assert {*site.post("/v1/events/poll", {}).json()["sets"]} == {jti}


# ---- push


class Receiver:
    """Answers a POST with the next of some codes, then 202; keeps what came."""

    def __init__(self, codes: list[int]) -> None:
        self.had: list[tuple[str, str]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.had.append((self.headers["Content-Type"], body))
                code = codes.pop(0) if codes else 202
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/events"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def pushing(site: Site) -> Iterator[Callable[[list[int]], Receiver]]:
    """Pushes the pharmacy's events to a receiver that answers so."""
    stop, ends = threading.Event(), list[Callable[[], object]]()

    def begin(codes: list[int]) -> Receiver:
        receiver = Receiver(codes)
        policy = RetryPolicy(attempts=2, pause_s=0.01, pause_s_max=0.01)
        push = Push(site.outbox, "pharmacy", receiver.url, stop, policy)
        work = threading.Thread(target=push.run)
        work.start()
        ends.extend((work.join, receiver.server.shutdown, receiver.server.server_close))
        return receiver

    yield begin
    stop.set()
    for end in ends:
        end()


@pytest.mark.parametrize("failing", [[], [500], [500, 503, 500]], ids=["at-once", "after-one", "after-all-attempts"])
def test_an_event_is_pushed_until_it_is_taken(
    failing: list[int], site: Site, pushing: Callable[[list[int]], Receiver]
) -> None:
    taken_back(site)
    (text,) = poll(site)["sets"].values()
    receiver = pushing([*failing])
    assert until(lambda: not site.outbox.list_pending("pharmacy")[0], PATIENCE_S)
    assert receiver.had == [("application/secevent+jwt", text)] * (len(failing) + 1)


@pytest.mark.parametrize("code", [302, 400])
def test_what_is_refused_or_sent_elsewhere_is_not_delivered_and_the_next_still_is(
    code: int, site: Site, pushing: Callable[[list[int]], Receiver]
) -> None:
    first, second = (jti_of(taken_back(site)["decision_id"]) for _ in range(2))
    receiver = pushing([code])
    assert until(lambda: second not in site.outbox.list_pending("pharmacy")[0], PATIENCE_S)
    assert {*poll(site)["sets"]} == {first}, "it can still be polled"
    assert len(receiver.had) == 2


@pytest.mark.parametrize("url", [
    "http://shop.example/events", "ftp://127.0.0.1/", "https://", "http://10.0.0.1/", "https://a:b@c/", "https://x:99999/", "x",
])  # fmt: skip
def test_an_address_that_others_could_read_on_the_way_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="push_url"):
        load_service(settings(tmp_path, url))


@pytest.mark.parametrize("url", ["https://shop.example/events", "http://127.0.0.1:80/x", "http://[::1]/", "http://localhost/"])
def test_an_address_with_tls_or_on_this_machine_is_taken(url: str, tmp_path: Path) -> None:
    assert load_service(settings(tmp_path, url)).clients["shop"].push_url == url


def settings(folder: Path, url: str) -> Path:
    path = folder / "service.toml"
    path.write_text(
        f'secret_file = "s"\nproof_key_file = "k"\n[clients.shop]\nsecret_sha256 = "{"0" * 64}"\npush_url = "{url}"\n'
    )
    return path
