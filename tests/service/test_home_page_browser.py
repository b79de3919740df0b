"""The page of a home in a real browser, beside a running worker."""

from pathlib import Path
from typing import Any

import pytest

from tests.service.live_home import Played, live_home
from tests.service.site import POLICY
from tests.support.browser import SIZES, browsing, chromium, faults, opened
from tests.support.flow import ROOT

PATIENCE_MS = 60_000
WIDE, PICTURE = SIZES[0], (1200, 1280)


def story() -> Played:
    """Two people, a phone, a guest whom nobody knows, somebody who said nothing, and a client that may ask."""
    played = Played("anna", "bert")
    played.say("phone", phone_id="ph-1", person_id="anna")
    played.see("anna", activity="music.play", phones=[{"phone_id": "ph-1", "rssi_dbm": -50.0}])
    played.see("cora")
    played.see(None, activity="light.on", device="hall")
    played.play("consents", {
        "v": 1, "consent_id": "c-1", "household_id": "h", "person_id": "anna", "client_id": "pharmacy", "kind": "grant",
        "scopes": ["person"], "actions": [*POLICY.actions], "given_at": played.desk.now, "expires_at": None,
    })  # fmt: skip
    played.see("bert", activity="news.read")
    return played


def shown(window: Any, number: int = 0) -> Any:
    """An answer on the page, the latest first."""
    window.wait_for_selector("article", timeout=PATIENCE_MS)
    return window.locator("article").nth(number)


def test_it_fits_every_window_in_light_and_dark_and_complains_of_nothing(tmp_path: Path) -> None:
    chromium()
    with live_home(tmp_path, story()) as home, browsing() as open_window:
        for size in SIZES:
            for scheme in ("light", "dark"):
                with open_window(home.link(), size, scheme) as (window, complaints):
                    shown(window, 2).get_by_role("button", name="Who is this?").click()
                    window.locator("#grant summary").click()
                    window.locator("#forbid summary").click()
                    window.screenshot(path=tmp_path / f"page-{size[0]}-{scheme}.png", full_page=True)
                    assert faults(window) == []
                    assert complaints == []
                    assert window.evaluate("location.hash") == "", "a link stays in no history"


def test_the_picture_of_the_docs_is_drawn(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """`--update-golden` writes it anew; what two browsers draw is never the same to the bit, so nothing compares it."""
    chromium()
    drawn = ROOT / "docs" / "home-page.png" if request.config.getoption("--update-golden") else tmp_path / "home-page.png"
    with live_home(tmp_path, story()) as home, opened(home.link(), PICTURE) as (window, _):
        shown(window, 1).get_by_role("button", name="Who is this?").click()
        window.screenshot(path=drawn)
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_a_correction_arrives_as_a_revision_on_the_page(tmp_path: Path) -> None:
    chromium()
    with live_home(tmp_path, story()) as home, opened(home.link(), WIDE) as (window, complaints):
        assert shown(window).locator("h3").inner_text() == "bert"
        silent = shown(window, 1)
        assert silent.locator("h3").inner_text() == "Nobody was named"
        before = silent.locator(".bars").inner_text()
        silent.get_by_role("button", name="Who is this?").click()
        silent.get_by_role("button", name="anna").click()
        silent.get_by_text("Answered again once since.").wait_for(timeout=PATIENCE_MS)
        silent.get_by_text("You said it was anna.").wait_for(timeout=PATIENCE_MS)
        assert silent.locator(".bars").inner_text() != before
        silent.get_by_role("button", name="Take that back").click()
        silent.get_by_text("Answered again 2 times since.").wait_for(timeout=PATIENCE_MS)
        silent.get_by_text("You said it was anna.").wait_for(state="detached", timeout=PATIENCE_MS)
        assert silent.locator(".bars").inner_text() == before
        said = [record.value or b"" for record in home.log.inputs(0, {}, {"feedback": 99}) if record.topic == "feedback"]
        assert [b'"correct"' in said[-2], b'"retract"' in said[-1]] == [True, True]
        doubted = shown(window)
        doubted.get_by_role("button", name="It was somebody else").click()
        doubted.get_by_role("button", name="anna").click()
        doubted.get_by_text("speaks against it").wait_for(timeout=PATIENCE_MS)
        assert complaints == []


def press(window: Any, label: str) -> None:
    """Tab until a button of that label has the focus, and press it."""
    for _ in range(80):
        window.keyboard.press("Tab")
        if window.evaluate("document.activeElement.textContent.trim()") == label:
            window.keyboard.press("Enter")
            return
    raise AssertionError(f"no Tab leads to {label!r}")


def test_everything_can_be_done_with_the_keyboard_alone(tmp_path: Path) -> None:
    chromium()
    with live_home(tmp_path, story()) as home, opened(f"{home.url}/page/", WIDE) as (window, _):
        window.wait_for_selector("#enter:not([hidden])", timeout=PATIENCE_MS)
        window.keyboard.press("Tab")
        window.keyboard.type(home.link())
        window.keyboard.press("Enter")
        shown(window)
        press(window, "Who is this?")
        assert window.evaluate("document.activeElement.textContent") == "Never mind", "the focus stays where it was"
        while window.evaluate("document.activeElement.placeholder") != "someone new":
            window.keyboard.press("Tab")
        window.keyboard.type("cora")
        window.keyboard.press("Enter")
        window.wait_for_selector("#kept-of option[value=cora]", state="attached", timeout=PATIENCE_MS)
        press(window, "Take it back")
        window.get_by_text("Nobody: no application may ask.").wait_for(timeout=PATIENCE_MS)
        window.locator("#kept-of").focus()
        window.keyboard.type("cora")
        press(window, "Forget…")
        window.keyboard.type("cor")
        assert window.locator("#erase-go").is_disabled()
        window.keyboard.type("a")
        window.keyboard.press("Enter")
        window.wait_for_selector("#kept-of option[value=cora]", state="detached", timeout=PATIENCE_MS)


def test_a_consent_and_a_copy_are_made_on_the_page(tmp_path: Path) -> None:
    chromium()
    with live_home(tmp_path, story()) as home, opened(home.link(), WIDE) as (window, complaints):
        shown(window)
        window.locator("#grant summary").click()
        window.locator("#grant-client").select_option("music")
        window.locator("#grant-person").select_option("bert")
        window.get_by_label("list.show").check()
        window.get_by_role("button", name="Let it").click()
        window.get_by_text("music may ask about bert").wait_for(timeout=PATIENCE_MS)
        assert home.served is not None
        assert home.served.handles.home_of("music", "h") in window.locator("#granted").inner_text()
        window.locator("#forbid summary").click()
        window.locator("#forbid-person").select_option("bert")
        window.locator("#forbid-what").select_option("tier 3")
        window.get_by_role("button", name="Forbid it").click()
        window.get_by_text("bert may not: all that asks for tier 3 or more").wait_for(timeout=PATIENCE_MS)
        window.get_by_role("button", name="Lift it").click()
        window.get_by_text("Nothing is forbidden to anybody.").wait_for(timeout=PATIENCE_MS)
        with window.expect_download() as download:
            window.get_by_role("button", name="Save a copy").click()
        assert "anna" in Path(download.value.path()).read_text()
        window.get_by_role("button", name="Sign out").click()
        window.wait_for_selector("#enter:not([hidden])", timeout=PATIENCE_MS)
        assert [text for text in complaints if "401" not in text] == []
