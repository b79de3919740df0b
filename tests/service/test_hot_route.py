"""The short way to a decision: it says what the route says that the OpenAPI describes, and hands on what it does not answer."""

from pathlib import Path
from typing import Any

import pytest

from stream.contract.ports import StoreError
from stream.runtime.service.hot_route import HotRoute
from tests.service.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A home whose anna lets the pharmacy ask."""
    site = Site(tmp_path)
    site.grant("c-1")
    return site


def both(site: Site, body: object, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """The answers by the short way, and by the other."""
    short = site.post("/v1/decisions", body)
    with monkeypatch.context() as without:
        without.setattr(HotRoute, "_find_caller", lambda *_: None)
        return short, site.post("/v1/decisions", body)


def asked(site: Site, **about: object) -> dict[str, object]:
    return {"home": site.handles.home_of("pharmacy", "h"), "action": "mail.read"} | about


def test_both_ways_say_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    event = site.see("anna")
    site.work()
    bodies: list[object] = [
        asked(site, event_id=event), asked(site, device_id="kitchen"), asked(site, event_id=event, action="pharmacy.refill"),
        asked(site, event_id="e-99"), asked(site, event_id=event, device_id=None), asked(site, event_id=event, home="x"),
        asked(site, event_id=event, action="bank.rob"), asked(site), asked(site, event_id=event, more=1), [], "x", None,
        asked(site, event_id="e-1\n"), asked(site, event_id=7), asked(site, event_id=event, home="é"),
        asked(site, event_id="e" * 5_000),
    ]  # fmt: skip
    answers = [both(site, body, monkeypatch) for body in bodies]
    for short, other in answers:
        assert (short.status_code, short.headers["content-type"]) == (other.status_code, other.headers["content-type"])
        of_both = [answer.json() | {"decision_id": ""} if answer.is_success else answer.json() for answer in (short, other)]
        assert of_both[0] == of_both[1]
        assert [*short.json()] == [*other.json()]
    assert {short.status_code for short, _ in answers} == {200, 422}
    assert {short.json()["outcome"] for short, _ in answers if short.is_success} == {"allow", "step_up", "deny"}


def test_what_is_well_asked_goes_the_short_way_and_counts_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runtime.service.app.tell", lambda _: pytest.fail("the other way was gone"))
    codes = [site.ask("mail.read", event_id="e-1").status_code for _ in range(601)]
    assert (codes.count(200), codes[-1]) == (600, 429)
    assert int(site.ask("mail.read", event_id="e-1").headers["retry-after"]) >= 1


@pytest.mark.parametrize("header", ["Bearer x", "Basic x", "bearer", ""])
def test_who_may_not_ask_is_told_so(site: Site, header: str) -> None:
    answer = site.http.post("/v1/decisions", json=asked(site, event_id="e-1"), headers={"Authorization": header})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


def test_what_cannot_be_read_just_now_is_told_so(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StoreError("Redis does not answer")

    monkeypatch.setattr(site.store, "read", fail)
    answer = site.ask("mail.read", event_id="e-1")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
