"""The page of a home: who is let in, what it shows, and what becomes of what people say on it."""

import json
from pathlib import Path
from typing import Any

import pytest

from stream.runtime.service.page.sessions import LINK_MINUTES
from tests.service.site import Site
from tests.support.worlds import DAY_MS, MINUTE_MS

OWN = {"X-Kithkin-Page": "1"}
WANTED = {"person_id": "anna", "client_id": "pharmacy", "actions": ["mail.read"]}
ROUTES = [
    ("GET", "/page/state", None), ("GET", "/page/export", None), ("DELETE", "/page/session", None),
    ("POST", "/page/feedback", {"event_id": "e-1", "person_id": "anna"}), ("POST", "/page/retract", {"feedback_id": "f-1"}),
    ("POST", "/page/erase", {"person_id": "anna", "typed": "anna"}), ("POST", "/page/unlock/anna", None),
    ("PUT", "/page/forbids/c-9", {"person_id": "bert", "tier": 4}),
    ("DELETE", "/page/challenges/x", None), ("PUT", "/v1/consents/c-9", WANTED), ("DELETE", "/v1/consents/c-9", None),
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    site.work()
    return site


def ask(site: Site, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return site.http.request(method, path, json=body, headers=OWN | headers)


def enter(site: Site, household: str = "h") -> Any:
    """Open a link of a household; the answer."""
    site.http.cookies.clear()
    return ask(site, "POST", "/page/session", {"token": site.served.sessions.link(household, site.desk.now)})


def told(site: Site) -> Any:
    answer = ask(site, "GET", "/page/state")
    assert answer.status_code == 200, answer.text
    return answer.json()


def sent(site: Site, topic: str) -> list[Any]:
    return [json.loads(record.value or b"") for record in site.sent if record.topic == topic]


def test_every_route_of_the_page_is_tried_here_without_a_session(site: Site) -> None:
    described = site.http.get("/openapi.json").json()["paths"]
    paths = {
        (method.upper(), path) for path, methods in described.items() if path.startswith(("/page/", "/v1/consents"))
        for method in methods
    }  # fmt: skip
    free = {("POST", "/page/session")}
    places = {"anna": "{person_id}", "x": "{challenge_id}", "c-9": "{consent_id}"}
    tried = {(method, "/".join(places.get(part, part) for part in path.split("/"))) for method, path, _ in ROUTES}
    assert paths == tried | free


@pytest.mark.parametrize("session", ["none", "wrong", "idle", "left", "of a home that was erased"])
def test_nothing_is_answered_without_a_session_that_holds(site: Site, session: str) -> None:
    if session == "wrong":
        site.http.cookies.set("kithkin", "x" * 43)
    elif session != "none":
        enter(site)
        cookie = site.http.cookies["kithkin"]
        if session == "left":
            assert ask(site, "DELETE", "/page/session").status_code == 204
        elif session == "idle":
            site.wait(30 * DAY_MS)
        else:
            site.served.sessions.end("h")
        site.http.cookies.set("kithkin", cookie)
    answers = [ask(site, method, path, body) for method, path, body in ROUTES]
    assert {(answer.status_code, answer.headers["content-type"]) for answer in answers} == {(401, "application/problem+json")}
    assert sent(site, "feedback") + sent(site, "consents") == []


def test_no_page_elsewhere_can_ask_through_a_browser(site: Site) -> None:
    enter(site)
    for method, path, body in ROUTES:
        for headers in ({"Host": "evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Host": ""}):
            assert ask(site, method, path, body, **headers).status_code == 403
        if method != "GET":
            assert site.http.request(method, path, json=body).status_code == 403
    assert sent(site, "feedback") + sent(site, "consents") == []


def test_a_session_sees_its_own_home_alone(site: Site) -> None:
    event = site.see("anna")
    site.grant("c-1")
    enter(site, "h-2")
    mine = told(site)
    assert (mine["household_id"], mine["people"], mine["events"], mine["consents"]) == ("h-2", [], [], [])
    assert "anna" not in ask(site, "GET", "/page/export").text
    refused = [
        ask(site, "GET", "/page/export?person_id=anna"), ask(site, "PUT", "/v1/consents/c-9", WANTED),
        ask(site, "POST", "/page/feedback", {"event_id": event, "person_id": "guest"}),
        ask(site, "POST", "/page/erase", {"person_id": "anna", "typed": "anna"}),
    ]  # fmt: skip
    enter(site)
    consent = told(site)["consents"][0]["consent_id"]
    enter(site, "h-2")
    refused.append(ask(site, "DELETE", f"/v1/consents/{consent}"))
    assert {answer.status_code for answer in refused} == {404}
    assert sent(site, "feedback") + sent(site, "consents") == []


def test_a_link_works_once_and_within_its_minutes(site: Site) -> None:
    link = site.served.sessions.link("h", site.desk.now)
    assert ask(site, "POST", "/page/session", {"token": link}).status_code == 204
    assert ask(site, "POST", "/page/session", {"token": link}).status_code == 401
    late = site.served.sessions.link("h", site.desk.now)
    site.wait(LINK_MINUTES * MINUTE_MS)
    assert ask(site, "POST", "/page/session", {"token": late}).status_code == 401
    assert link not in (site.folder / "sessions.db").read_bytes().decode("latin-1")


def test_who_tries_links_waits(site: Site) -> None:
    codes = [ask(site, "POST", "/page/session", {"token": f"x{number}"}).status_code for number in range(12)]
    assert (codes[0], codes[-1]) == (401, 429)
    site.wait(MINUTE_MS)
    assert enter(site).status_code == 204


def test_a_cookie_is_for_no_script_and_no_other_site_and_lasts_while_it_is_used(site: Site) -> None:
    cookie = enter(site).headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/"} <= {part.strip() for part in cookie.split(";")}
    for _ in range(3):
        site.wait(20 * DAY_MS)
        assert told(site)["household_id"] == "h"


def test_the_files_hold_no_inline_script_and_nothing_of_a_home(site: Site) -> None:
    page = site.http.get("/page/")
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"
    assert "<script>" not in page.text
    assert " style=" not in page.text
    for name, kind in (("page.js", "text/javascript"), ("page.css", "text/css")):
        assert site.http.get(f"/page/{name}").headers["content-type"].startswith(kind)
    assert site.http.get("/page/", headers={"Host": "evil.example"}).status_code == 403


def test_it_shows_what_was_answered_and_by_what_without_a_vector(site: Site) -> None:
    site.say("phone", phone_id="ph-1", person_id="anna")
    event = site.see("anna", activity="music.play", phones=[{"phone_id": "ph-1", "rssi_dbm": -50.0}])
    site.grant("c-1")
    enter(site)
    home = told(site)
    shown = home["events"][0]
    assert (shown["event_id"], shown["named"], shown["tier"], shown["activity"]) == (event, "anna", 4, "music.play")
    assert shown["shares"]["anna"] > 0.9
    assert {"voice", "face", "phone"} <= {*shown["modalities"]}
    assert shown["phones"] == [{"phone_id": "ph-1", "person_id": "anna"}]
    assert home["as_of"] == int(site.home.record["stream_time"])
    assert [(one["client_id"], one["person_id"]) for one in home["consents"]] == [("pharmacy", "anna")]
    (anna,) = (one for one in home["who_is_home"] if one["person_id"] == "anna")
    assert (anna["home"] > 0.9, anna["room"]) == (True, shown["device_id"])
    assert [text for text in (json.dumps(home), ask(site, "GET", "/page/export").text) if "embedding\": \"" in text] == []


def test_a_correction_is_learnt_and_can_be_taken_back(site: Site) -> None:
    event = site.see("anna")
    site.work()
    enter(site)
    said = ask(site, "POST", "/page/feedback", {"event_id": event, "person_id": "bert"})
    assert said.status_code == 202
    site.work()
    shown = told(site)["events"][0]
    assert [(claim["source"], claim["kind"], claim["person_id"]) for claim in shown["claims"]] == [("app", "correct", "bert")]
    assert ask(site, "POST", "/page/retract", {"feedback_id": said.json()["feedback_id"]}).status_code == 202
    site.work()
    assert told(site)["events"][0]["claims"] == []


def test_somebody_new_joins_first_and_nobody_does_by_a_slip(site: Site) -> None:
    event = site.see("cora")
    site.work()
    enter(site)
    was = {"event_id": event, "person_id": "cora"}
    assert ask(site, "POST", "/page/feedback", was).status_code == 404
    assert ask(site, "POST", "/page/feedback", was | {"person_id": "Cora Ann", "new": True}).status_code == 422
    assert ask(site, "POST", "/page/feedback", was | {"event_id": "e-99", "new": True}).status_code == 404
    assert ask(site, "POST", "/page/feedback", was | {"new": True}).status_code == 202
    assert [value["kind"] for value in sent(site, "feedback")] == ["join", "correct"]
    site.work()
    assert [person["person_id"] for person in told(site)["people"]] == ["anna", "bert", "cora"]
    assert ask(site, "POST", "/page/feedback", {"event_id": event, "person_id": "guest"}).status_code == 202


def test_a_consent_is_granted_and_revoked_on_the_page_and_given_up_by_its_client(site: Site) -> None:
    enter(site)
    granted = ask(site, "PUT", "/v1/consents/c-1", WANTED | {"days": 3})
    assert granted.json() == {"consent_id": "c-1", "home": site.handles.home_of("pharmacy", "h")}
    for wrong in ({"person_id": "cora"}, {"client_id": "bank"}, {"actions": ["bank.rob"]}):
        assert ask(site, "PUT", "/v1/consents/c-2", WANTED | wrong).status_code == 404
    site.work()
    (shown,) = told(site)["consents"]
    assert shown["expires_at"] == shown["given_at"] + 3 * DAY_MS
    event = site.see("anna")
    site.work()
    assert site.ask("mail.read", event_id=event).json()["outcome"] == "allow"
    assert ask(site, "DELETE", f"/v1/consents/{shown['consent_id']}").status_code == 202
    site.work()
    assert told(site)["consents"] == []
    assert site.ask("mail.read", device_id="kitchen").json()["outcome"] == "deny"

    site.grant("c-3")
    sub = told(site)["consents"][0]["sub"]
    assert site.http.delete(f"/v1/consents/{sub}", headers=site.headers("music")).status_code == 404
    assert site.http.delete(f"/v1/consents/{sub}", headers=site.headers("pharmacy")).status_code == 202
    site.work()
    assert told(site)["consents"] == []
    assert site.http.delete(f"/v1/consents/{sub}", headers=site.headers("pharmacy")).status_code == 404


def test_what_somebody_may_not_do_is_said_and_lifted_on_the_page(site: Site) -> None:
    enter(site)
    assert ask(site, "PUT", "/page/forbids/f-1", {"person_id": "bert", "tier": 4}).status_code == 202
    assert ask(site, "PUT", "/page/forbids/f-2", {"person_id": "anna", "actions": ["mail.read"]}).status_code == 202
    wrong = [{"person_id": "bert"}, {"person_id": "zoe", "tier": 1}, {"person_id": "bert", "actions": ["bank.rob"]}]
    assert [ask(site, "PUT", "/page/forbids/f-3", body).status_code for body in wrong] == [422, 404, 404]
    site.work()
    first, second = told(site)["forbids"]
    assert (first["person_id"], first["tier"], first["actions"]) == ("bert", 4, [])
    assert (second["person_id"], second["tier"], second["actions"]) == ("anna", None, ["mail.read"])
    assert ask(site, "GET", "/page/export?person_id=anna").json()["forbids"] == [second]
    assert site.http.delete(f"/v1/consents/{first['consent_id']}", headers=site.headers()).status_code == 404
    assert ask(site, "DELETE", f"/v1/consents/{first['consent_id']}").status_code == 202
    site.work()
    assert told(site)["forbids"] == [second]


def test_a_challenge_is_shown_and_can_be_refused_and_a_lock_opened(site: Site) -> None:
    site.grant("c-1")
    site.verifier.set("h", "anna", "271828")
    event = site.see("anna")
    site.work()
    challenge = site.ask("pharmacy.refill", event_id=event).json()["challenge_id"]
    enter(site)
    assert [(one["client_id"], one["person_id"]) for one in told(site)["challenges"]] == [("pharmacy", "anna")]
    for _ in range(3):
        site.post(f"/v1/challenges/{challenge}", {"pin": "000001"})
        site.wait(30_000)
    assert [one["locked_at"] for one in told(site)["people"] if one["person_id"] == "anna"] == [["kitchen"]]
    assert ask(site, "POST", "/page/unlock/anna").status_code == 204
    assert [one["locked_at"] for one in told(site)["people"]] == [[], []]
    assert ask(site, "DELETE", f"/page/challenges/{challenge}").status_code == 204
    assert site.post(f"/v1/challenges/{challenge}", {"pin": "271828"}).status_code == 404
    assert told(site)["challenges"] == []


def test_an_erasure_needs_the_name_typed_and_leaves_nothing(site: Site) -> None:
    site.grant("c-1")
    site.verifier.set("h", "anna", "271828")
    site.see("anna")
    site.work()
    enter(site)
    export = ask(site, "GET", "/page/export?person_id=anna")
    assert export.headers["content-disposition"] == 'attachment; filename="anna.json"'
    assert (export.json()["pins"], len(export.json()["consents"])) == (["anna"], 1)
    assert ask(site, "POST", "/page/erase", {"person_id": "anna", "typed": "Anna"}).status_code == 422
    assert ask(site, "POST", "/page/erase", {"person_id": "anna", "typed": "anna"}).status_code == 202
    site.work()
    assert "anna" not in ask(site, "GET", "/page/export").text
    assert "anna" not in json.dumps(told(site))
    assert site.verifier.people("h") == frozenset()
    assert ask(site, "POST", "/page/erase", {"person_id": None, "typed": "h"}).status_code == 202
    assert ask(site, "GET", "/page/state").status_code == 401, "nobody is left to whom the home is open"
    enter(site)
    site.work()
    assert (told(site)["people"], told(site)["events"]) == ([], [])
