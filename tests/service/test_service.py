"""The service: a step-up from end to end, and what a client never learns."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import stream.runtime.service.homes as homes_module
from stream.contract.errors import ConfigError
from stream.contract.policy import Policy, ProofKey, Proofs
from stream.contract.records import Decided
from stream.contract.rights.signature import text_of_public_key
from stream.runtime.service.settings import Service, refuse_other_key
from tests.service.site import POLICY, PRIVATE, SECRETS, Site
from tests.support.worlds import MINUTE_MS

OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A home whose anna lets the pharmacy ask, and has a PIN."""
    site = Site(tmp_path)
    site.grant("c-1")
    site.verifier.set("h", "anna", "271828")
    return site


def spoken(site: Site, person: str | None = "anna", **parts: Any) -> str:
    event = site.see(person, **parts)
    site.work()
    return event


def test_a_second_factor_raises_an_answer_from_end_to_end(site: Site) -> None:
    event = spoken(site)
    first = site.ask("pharmacy.refill", event_id=event).json()
    assert (first["outcome"], first["reason"], first["acr"]) == ("step_up", "second_factor", "urn:kithkin:tier:4")
    assert 'acr_values="urn:kithkin:tier:5", max_age="300"' in first["www_authenticate"]
    met = site.post(f"/v1/challenges/{first['challenge_id']}", {"pin": "271828"})
    assert (met.status_code, met.json()) == (200, {"status": "proven"})
    assert site.ask("pharmacy.refill", event_id=event).json()["outcome"] == "step_up", "a proof counts when the home has it"
    site.work()
    second = site.ask("pharmacy.refill", event_id=event).json()
    assert (second["outcome"], second["reason"], second["acr"]) == ("allow", "sure", "urn:kithkin:tier:5")
    assert (second["sub"], second["challenge_id"]) == (first["sub"], None)
    assert second["expires_at"] == second["auth_time"] + 300
    site.wait(5 * MINUTE_MS)
    assert site.ask("pharmacy.refill", event_id=event).json()["reason"] == "too_old"


def test_a_challenge_is_met_once_and_by_its_own_client(site: Site) -> None:
    site.grant("c-2", client="music")
    event = spoken(site)
    challenge_id = site.ask("pharmacy.refill", event_id=event).json()["challenge_id"]
    assert site.ask("pharmacy.refill", event_id=event).json()["challenge_id"] == challenge_id
    assert site.post(f"/v1/challenges/{challenge_id}", {"pin": "271828"}, "music").status_code == 404
    assert site.post(f"/v1/challenges/{challenge_id}", {"pin": "271828"}).status_code == 200
    assert site.post(f"/v1/challenges/{challenge_id}", {"pin": "271828"}).status_code == 404
    site.work()
    assert site.ask("pharmacy.refill", event_id=spoken(site)).json()["outcome"] == "allow", "who was just proven needs no other"


def test_a_challenge_ends_with_its_minutes(site: Site) -> None:
    challenge_id = site.ask("pharmacy.refill", event_id=spoken(site)).json()["challenge_id"]
    site.wait(5 * MINUTE_MS)
    assert site.post(f"/v1/challenges/{challenge_id}", {"pin": "271828"}).status_code == 404


def test_three_wrong_pins_lock_until_the_home_unlocks(site: Site) -> None:
    event = spoken(site)
    path = f"/v1/challenges/{site.ask('pharmacy.refill', event_id=event).json()['challenge_id']}"
    assert "not right" in site.post(path, {"pin": "000001"}).json()["detail"]
    early = site.post(path, {"pin": "271828"})
    assert ("half a minute" in early.json()["detail"], early.headers["retry-after"]) == (True, "30")
    site.wait(30_000)
    for _ in range(2):
        assert "not right" in site.post(path, {"pin": "000001"}).json()["detail"]
    assert "unlock" in site.post(path, {"pin": "271828"}).json()["detail"]
    site.verifier.unlock("h", "anna")
    assert site.post(path, {"pin": "271828"}).status_code == 200


def test_wrong_pins_where_the_owner_was_not_sure_do_not_bar_the_owner(site: Site) -> None:
    sure = spoken(site)
    row = site.home.record["rows"][int(site.home.record["rows_used"]) - 1]
    before, row["modalities"] = int(row["modalities"]), 2  # as if a face alone had been seen
    site.work()
    unsure = f"/v1/challenges/{site.ask('pharmacy.refill', event_id=sure).json()['challenge_id']}"
    for _ in range(3):
        assert "not right" in site.post(unsure, {"pin": "000001"}).json()["detail"]
        site.wait(30_000)
    assert "unlock" in site.post(unsure, {"pin": "271828"}).json()["detail"]
    row["modalities"] = before
    site.work()
    assert site.ask("pharmacy.refill", event_id=sure).json()["challenge_id"] not in unsure
    owner = f"/v1/challenges/{site.ask('pharmacy.refill', event_id=sure).json()['challenge_id']}"
    assert site.post(owner, {"pin": "271828"}).status_code == 200
    assert site.verifier.find_locked("h") == [("anna", "kitchen")], "the app alone unlocks"


def test_a_second_factor_of_today_is_enough_below_tier_5_where_the_policy_asks_for_one(site: Site) -> None:
    event = spoken(site)
    asked = site.ask("mail.send", event_id=event).json()
    assert (asked["outcome"], asked["reason"], asked["acr"]) == ("step_up", "second_factor", "urn:kithkin:tier:4")
    assert site.ask("mail.read", event_id=event).json()["outcome"] == "allow", "it asks for none"
    assert site.post(f"/v1/challenges/{asked['challenge_id']}", {"pin": "271828"}).status_code == 200
    site.work()
    assert site.ask("mail.send", event_id=event).json()["outcome"] == "allow"
    for hours, outcome in ((3, "allow"), (3, "allow"), (5, "step_up")):
        site.wait(hours * 60 * MINUTE_MS)
        site.tokens = {name: site.token(name, secret) for name, secret in SECRETS.items()}
        event = spoken(site)
        assert site.ask("mail.send", event_id=event).json()["outcome"] == outcome
    of_bert = spoken(site, "bert")
    assert site.ask("mail.send", event_id=of_bert).json()["reason"] == "not_recognised"


def nameless(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "decision_id"}


def test_what_a_client_may_not_know_of_looks_like_what_there_is_not(site: Site) -> None:
    event = spoken(site)
    denied = [
        site.ask("pharmacy.refill", event_id="e-99"), site.ask("pharmacy.refill", "music", event_id=event),
        site.ask("bank.rob", event_id=event), site.ask("pharmacy.refill", device_id="attic"),
        site.post("/v1/decisions", {"home": site.handles.home_of("pharmacy", "h-9"), "action": "mail.read", "event_id": event}),
        site.post("/v1/decisions", {"home": site.handles.home_of("music", "h"), "action": "mail.read", "event_id": event}),
        site.post("/v1/decisions", {"home": "nonsense", "action": "mail.read", "event_id": event}),
    ]  # fmt: skip
    bodies = [{**nameless(answer.json()), "as_of": None} for answer in denied]
    assert {answer.status_code for answer in denied} == {200}
    assert [body for body in bodies if body != bodies[0]] == []
    assert (bodies[0]["outcome"], bodies[0]["reason"], bodies[0]["sub"]) == ("deny", "unknown", None)


def test_what_a_client_may_not_know_of_costs_as_much_as_what_there_is_not(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = spoken(site)
    sub = site.ask("mail.read", event_id=event).json()["sub"]
    homes = site.handles.home_of("pharmacy", "h"), site.handles.home_of("pharmacy", "h-9"), "nonsense"
    works: list[str] = []
    read, decode = site.store.read, homes_module.decode_home
    monkeypatch.setattr(site.store, "read", lambda *asked: works.append("read") or read(*asked))
    monkeypatch.setattr(homes_module, "decode_home", lambda *asked: works.append("decode") or decode(*asked))

    def work_of(ask: Callable[[], Any]) -> list[str]:
        ask()  # where a home lies is looked for once
        works.clear()
        ask()
        return [*works]

    asked: list[Callable[[], Any]] = [
        *(partial(site.post, "/v1/decisions", {"home": home, "action": "mail.read", "event_id": "e-99"}) for home in homes),
        lambda: site.ask("mail.read", "music", event_id=event), lambda: site.ask("bank.rob", event_id=event),
        lambda: site.ask("mail.read", event_id=event), lambda: site.ask("mail.read", device_id="attic"),
        *(partial(site.http.get, f"/v1/people/{one}", headers=site.headers()) for one in (sub, "nobody")),
        partial(site.http.get, f"/v1/people/{sub}", headers=site.headers("music")),
        *(partial(site.http.delete, f"/v1/consents/{one}", headers=site.headers("music")) for one in (sub, "nobody")),
    ]  # fmt: skip
    assert [work_of(ask) for ask in asked] == [["read", "decode"]] * len(asked)


def test_another_member_who_spoke_looks_like_nobody(site: Site) -> None:
    of_bert = site.ask("mail.read", event_id=spoken(site, "bert")).json()
    assert (of_bert["outcome"], of_bert["reason"], of_bert["sub"]) == ("step_up", "not_recognised", None)
    assert of_bert["acr"] in ("urn:kithkin:tier:0", "urn:kithkin:tier:1")
    assert site.ask("list.show", device_id="kitchen").json()["sub"] is None


def test_what_is_forbidden_looks_like_what_there_is_not_and_costs_as_much(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    event = spoken(site)
    assert site.ask("mail.read", event_id=event).json()["outcome"] == "allow"
    challenge_id = site.ask("pharmacy.refill", event_id=event).json()["challenge_id"]
    site.forbid("f-1", tier=3)
    forbidden, absent = site.ask("mail.read", event_id=event).json(), site.ask("mail.read", event_id="e-99").json()
    assert nameless(forbidden) == nameless(absent)
    assert site.ask("list.show", event_id=event).json()["outcome"] == "allow", "it asks for less"
    assert site.post(f"/v1/challenges/{challenge_id}", {"pin": "271828"}).status_code == 200
    site.work()
    assert site.answers(event)[-1]["tier"] == 5
    proven, absent = (site.ask("pharmacy.refill", event_id=asked).json() for asked in (event, "e-99"))
    assert nameless(proven) == nameless(absent), "a proof does not help"
    audit = [Decided.model_validate_json(record.value or b"") for record in site.decisions if b'"deny"' in (record.value or b"")]
    assert [one.event_id for one in audit] == [event, None, event, None]
    works: list[str] = []
    decode = homes_module.decode_home
    monkeypatch.setattr(homes_module, "decode_home", lambda *asked: works.append("decode") or decode(*asked))
    for asked in (event, "e-99"):
        site.ask("mail.read", event_id=asked)
    assert works == ["decode"] * 2
    site.grant("f-1", kind="revoke", client=None, scopes=[], actions=[])
    assert site.ask("pharmacy.refill", event_id=event).json()["outcome"] == "allow"


def test_what_another_member_may_not_do_looks_as_if_nobody_of_the_home_had_spoken(site: Site) -> None:
    event = spoken(site, "bert")
    assert site.ask("list.show", event_id=event).json()["outcome"] == "allow"
    site.forbid("f-1", person="bert", actions=["list.show"])
    told = site.ask("list.show", event_id=event).json()
    assert (told["outcome"], told["reason"], told["sub"]) == ("step_up", "not_recognised", None)
    assert told["acr"] == "urn:kithkin:tier:0"


def test_a_revoked_consent_ends_all_and_another_has_another_sub(site: Site) -> None:
    event = spoken(site)
    first = site.ask("mail.read", event_id=event).json()["sub"]
    assert site.http.get(f"/v1/people/{first}", headers=site.headers()).json()["sub"] == first
    site.grant("c-1", kind="revoke")
    assert site.ask("mail.read", event_id=event).json()["outcome"] == "deny"
    gone = site.http.get(f"/v1/people/{first}", headers=site.headers())
    unknown = site.http.get("/v1/people/nobody", headers=site.headers())
    assert (gone.status_code, gone.json()) == (404, unknown.json())
    site.grant("c-2")
    second = site.ask("mail.read", event_id=event).json()["sub"]
    assert second != first
    assert site.http.get(f"/v1/people/{first}", headers=site.headers()).status_code == 404


def at_home(site: Site, client: str = "pharmacy", **asked: str) -> Any:
    home = asked or {"home": site.handles.home_of(client, "h")}
    return site.http.get("/v1/presence", params=home, headers=site.headers(client))


def test_who_is_at_home_is_told_of_those_who_let_the_client_know(site: Site) -> None:
    before = at_home(site)
    assert before.status_code == 404, "the consent is not for presence"
    site.grant("c-2", scopes=["presence", "person"])
    spoken(site, "bert")
    spoken(site)
    told = at_home(site).json()
    (anna,) = told["people"]
    assert anna["present"]
    assert site.http.get(f"/v1/people/{anna['sub']}", headers=site.headers()).json()["scopes"] == ["person", "presence"]
    assert anna["home"] > 0.9
    assert "kitchen" not in str(told)
    site.wait(2 * 60 * MINUTE_MS)
    site.tokens = {name: site.token(name, secret) for name, secret in SECRETS.items()}
    faded = at_home(site).json()["people"][0]["home"]
    assert POLICY.presence.home_share < faded < anna["home"]
    assert at_home(site, "music").json() == before.json() == at_home(site, home="nobody").json()
    site.grant("c-2", kind="revoke")
    assert at_home(site).status_code == 404


def test_two_clients_cannot_match_their_ids(site: Site) -> None:
    site.grant("c-2", client="music")
    event = spoken(site)
    subs = {client: site.ask("mail.read", client, event_id=event).json()["sub"] for client in SECRETS}
    assert len({*subs.values()}) == 2
    assert site.http.get(f"/v1/people/{subs['pharmacy']}", headers=site.headers("music")).status_code == 404
    assert len({len(site.handles.home_of("music", home)) for home in ("h", "h" * 64)}) == 1


@pytest.mark.parametrize("path", ["/v1/decisions", "/v1/challenges/x"])
@pytest.mark.parametrize("header", [None, "Bearer x", "Basic x", "Bearer"])
def test_without_a_token_that_holds_nothing_is_answered(site: Site, path: str, header: str | None) -> None:
    answer = site.http.post(path, json={}, headers={"Authorization": header} if header else {})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_a_token_ends_and_holds_only_for_its_scopes(site: Site) -> None:
    narrow = site.token("pharmacy", SECRETS["pharmacy"], scope="people")
    answer = site.http.post("/v1/decisions", json={}, headers={"Authorization": f"Bearer {narrow}"})
    assert (answer.status_code, answer.json()["title"]) == (403, "Not allowed")
    site.wait(15 * MINUTE_MS)
    assert site.ask("mail.read", event_id="e-1").status_code == 401
    for client, secret in (("pharmacy", "wrong"), ("nobody", SECRETS["pharmacy"])):
        assert site.token(client, secret).status_code == 401


def test_a_client_that_asks_too_often_waits(site: Site) -> None:
    codes = [site.ask("bank.rob", event_id="e-1").status_code for _ in range(605)]
    assert (codes[0], codes[-1]) == (200, 429)
    assert int(site.ask("bank.rob", event_id="e-1").headers["retry-after"]) >= 1
    site.wait(MINUTE_MS)
    assert site.ask("bank.rob", event_id="e-1").status_code == 200


def test_every_decision_on_a_home_is_published_for_an_audit(site: Site) -> None:
    answers = [site.ask("mail.read", event_id=spoken(site)).json(), site.ask("pharmacy.refill", event_id="e-99").json()]
    audit = [Decided.model_validate_json(record.value or b"") for record in site.sent if record.topic == "decisions"]
    assert [(one.decision_id, one.outcome, one.sub) for one in audit] == [
        (answer["decision_id"], answer["outcome"], answer["sub"]) for answer in answers
    ]
    assert {one.household_id for one in audit} == {"h"}


def test_no_answer_and_no_record_holds_a_name_a_vector_or_a_pin(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    event = spoken(site)
    texts = []
    for action in ("pharmacy.refill", "mail.read", "list.show", "bank.rob"):
        for about in ({"event_id": event}, {"device_id": "kitchen"}, {"event_id": "e-99"}):
            answer = site.ask(action, **about)
            texts.append(answer.text)
            if challenge_id := answer.json()["challenge_id"]:
                texts += [site.post(f"/v1/challenges/{challenge_id}", {"pin": pin}).text for pin in ("271829", "", "271828")]
    texts += [site.post("/v1/challenges/x", {"pin": ["271828"]}).text, site.post("/v1/challenges/x", {"code": "271828"}).text]
    texts += [record.value.decode() for record in site.sent if record.value]
    texts.append("".join(capfd.readouterr()))
    for secret in ("271828", "271829"):
        assert [text for text in texts if secret in text] == []
    assert [text for text in texts[:-1] if "anna" in text and '"person_id"' not in text] == []
    assert [text for text in texts if "embedding" in text or "bert" in text] == []


def test_the_description_is_openapi_and_names_every_route(site: Site) -> None:
    told = site.http.get("/openapi.json").json()
    assert told["openapi"].startswith("3.")
    routes = {"/oauth/token", "/v1/decisions", "/v1/challenges/{challenge_id}", "/v1/people/{sub}", "/v1/presence"}
    pages = {path for path in told["paths"] if path.startswith("/page/")}  # tried one by one in test_home_page
    assert {*told["paths"]} == routes | {"/v1/events/poll", "/.well-known/jwks.json", "/v1/consents/{consent_id}"} | pages
    assert "clientCredentials" in json.dumps(told["components"]["securitySchemes"])


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"home": "x"}, {"home": "x", "action": "a"}, {"home": "x", "action": "a", "event_id": "e", "device_id": "d"},
     {"home": "é", "action": "a", "event_id": "e"}, {"home": "x", "action": "a" * 65, "event_id": "e"},
     {"home": "x", "action": "a", "event_id": "e", "more": 1}],
)  # fmt: skip
def test_what_is_not_understood_is_a_problem_of_the_one_form(site: Site, body: Any) -> None:
    answer = site.post("/v1/decisions", body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert {*answer.json()} == {"type", "title", "status", "detail"}


@pytest.mark.parametrize(
    ("key", "why"),
    [(None, "has no such key"), (OTHER, "has another key"), (PRIVATE, "may prove no PIN")],
    ids=["none", "another", "limited"],
)
def test_a_key_whose_pins_workers_would_not_take_is_refused(key: Ed25519PrivateKey | None, why: str, tmp_path: Path) -> None:
    service = Service(secret_file=tmp_path / "s", proof_key_file=tmp_path / "k", clients={})
    keys = {} if key is None else {"api-1": ProofKey(public_key=text_of_public_key(key), factors=("phone", "event"))}
    with pytest.raises(ConfigError, match=why):
        refuse_other_key(service, PRIVATE, Policy(proofs=Proofs(keys=keys)))
    refuse_other_key(service, PRIVATE, POLICY)
