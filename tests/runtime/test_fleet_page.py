"""The fleet stage's page of alerts: drawn by a real Chromium, answered over HTTP, and by nobody elsewhere."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from stream.brokers.kafka.topics import producer
from stream.contract.records import Alert, Record
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import Server, until
from stream.runtime.fleet.archive import Archive
from tests.fleet.test_fleet import heard, quiet
from tests.runtime.test_fleet_service import PATIENCE_S, alerts, ask, stage, wiring
from tests.runtime.test_webhook import ALERT
from tests.support.browser import SIZES, browsing, faults
from tests.support.fleet_signals import signal

__all__ = ["wiring"]  # a fixture

SCRIPT = "<img src=x onerror=alert(1)>"


def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None and os.environ.get("CI"):
        pytest.fail("This test needs Chromium.", pytrace=False)
    if found is None:
        pytest.skip("This test needs Chromium, which is not installed.")
    return found


def drawn(url: str, folder: Path, width: int, *more: str) -> str:
    """The page's elements after its script has run, and a picture of it in the folder."""
    own = [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1400", "--virtual-time-budget=4000", *more]
    command = [chromium(), "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *own]
    picture = f"--screenshot={folder / f'alerts-{width}{len(more)}.png'}"
    subprocess.run([*command, picture, url], capture_output=True, check=True, timeout=PATIENCE_S)
    return subprocess.run([*command, "--dump-dom", url], capture_output=True, text=True, check=True, timeout=PATIENCE_S).stdout


def post(wired: Wiring, path: str, said: Any, kind: str = "application/json", **headers: str) -> tuple[int, str]:
    asked = Request(f"http://{wired.listen}{path}", json.dumps(said).encode(), {"Content-Type": kind, **headers}, method="POST")
    try:
        with urlopen(asked, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.fixture
def alerted(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Wiring, Server]]:
    """A fleet stage with an alert about somebody of an odd name, and one of a firmware."""
    wired: Wiring = request.getfixturevalue("wiring")
    believed = {"person": 0.7, "device": 0.2, "habit": 0.1}
    told = [signal(f"q-{n}", -2.0) for n in range(100)]
    told += [signal("h", 14.0, person_id=SCRIPT, kind="person", device_id=None, evidence=believed)]
    told += [signal(f"f-{n}", 9.0, attributes={"firmware": "2.1"}) for n in range(30)]
    told += [signal(f"q-{n}", -2.0, hours=8) for n in range(4)]
    with producer(wired) as sender:
        for one in told:
            sender.send(Record("drift-signals", 0, 0, 0, one.household_id.encode(), one.model_dump_json().encode()))
    with stage(wired, tmp_path) as server:
        assert until(lambda: not server.running or len(alerts(wired)) == 2, PATIENCE_S), server.last_words
        yield wired, server


@pytest.mark.timeout(600)
def test_alerts_are_drawn_and_answered(alerted: tuple[Wiring, Server], tmp_path: Path) -> None:
    wired, server = alerted
    url = f"http://{wired.listen}/"
    for width, more in ((400, ()), (1600, ("--force-dark-mode",))):
        page = drawn(url, tmp_path, width, *more)
        assert page.count("<article") == 2, page
        assert page.index("Roll back firmware 2.1.") < page.index("is no longer recognised")
        said = ("2 stand", "History (1)", "30 of 30 homes", "drift-person.md", "14.0 nats", "person", "70%", "I have it in hand")
        for words in said:
            assert words in page, words
        assert SCRIPT not in page
        assert SCRIPT.replace("<", "&lt;").replace(">", "&gt;") in page

    home = next(alert for alert in alerts(wired) if alert["household_id"] == "h")
    path, said = f"/alerts/{home['alert_id']}", {"kind": "acknowledge", "by": "maria"}
    assert post(wired, path, said, "text/plain")[0] == 415  # as any page elsewhere could send it
    assert post(wired, path, said, Host="evil.example")[0] == 403
    assert post(wired, path, {"kind": "shout", "by": "maria"})[0] == 400
    assert post(wired, path, [1])[0] == 400
    assert post(wired, "/alerts/a-unknown", said)[0] == 404
    assert post(wired, path, said)[0] == 202
    assert until(lambda: "maria has it in hand." in ask(wired, path)[1], PATIENCE_S), server.last_words
    page = drawn(url, tmp_path, 401)
    assert page.count("<button>I have it in hand") == 1
    assert "acknowledged · medium" in page


@pytest.mark.timeout(600)
def test_the_history_of_alerts_is_looked_at_also_of_those_that_ended(
    alerted: tuple[Wiring, Server], tmp_path: Path
) -> None:
    wired, server = alerted
    home = next(alert for alert in alerts(wired) if alert["household_id"] == "h")
    path, at = f"/alerts/{home['alert_id']}", home["opened_at"]
    with producer(wired) as sender:  # of earlier days
        for number in range(20):
            told = Alert(**home | {
                "alert_id": f"a-{number:02}", "household_id": "old", "members": ["old"], "person_id": None,
                "opened_at": at - (number + 2) * 86_400_000, "updated_at": at - (number + 1) * 86_400_000,
                "summary": f"Long ago {number}.",
            })  # fmt: skip
            ended = told.model_copy(update={"state": "resolved", "revision": 1, "change": "Ended: ops resolved it."})
            for state in (told, ended):
                sender.send(Record("drift-alerts", 0, 0, 0, state.alert_id.encode(), state.model_dump_json().encode()))
    answers = (("acknowledge", "maria has it in hand."), ("silence", "Silenced by maria"), ("resolve", "maria resolved it."))
    for revision, (kind, says) in enumerate(answers, 1):
        assert post(wired, path, {"kind": kind, "by": "maria"})[0] == 202
        done = lambda says=says: says in json.dumps(json.loads(ask(wired, path)[1])["history"])  # noqa: E731
        assert until(done, PATIENCE_S), server.last_words
        assert len(json.loads(ask(wired, path)[1])["history"]) == revision + 1
    page = json.loads(ask(wired, "/closed")[1])
    assert [alert["alert_id"] for alert in page["alerts"]] == [home["alert_id"], *(f"a-{number:02}" for number in range(11))]

    with browsing() as open_window:
        for scheme, size in product(("light", "dark"), SIZES):
            with open_window(f"http://{wired.listen}/", size, scheme) as (window, complaints):
                window.locator("#closed article").nth(11).wait_for()
                assert window.locator("#alerts article").count() == 1
                first = window.locator("#closed article").first
                first.locator("summary").click()
                first.locator("li").nth(3).wait_for()
                told = [" ".join(one.split()) for one in first.locator("li").all_inner_texts()]
                assert [one.split(" ", 4)[3] for one in told] == ["opened", "updated", "updated", "resolved"]
                assert all(words in one for one, (_, words) in zip(told[1:], answers, strict=True)), told
                window.locator("#older").click()
                window.locator("#closed article").nth(20).wait_for()
                assert window.locator("#older").is_hidden()
                first.locator("li").nth(3).wait_for()  # what was open stays open
                assert first.locator("li").count() == 4
                assert "Long ago 19." in window.locator("#closed").inner_text()
                assert faults(window) == []
                assert complaints == []
                first.scroll_into_view_if_needed()
                window.screenshot(path=tmp_path / f"history-{size[0]}-{scheme}.png")


def test_of_who_was_erased_nothing_is_told_of_the_time_before() -> None:
    archive = Archive()
    fleet, first = heard([*quiet(), signal("h", 12.0, person_id="alice", kind="person", device_id=None)], until_hours=6)
    _, erased = heard([signal("h", 0.0, hours=7, person_id="alice", kind="erased", device_id=None)], until_hours=12, fleet=fleet)
    told = [*first, *erased]
    assert [alert.state for alert in told] == ["opened", "resolved"]
    for alert in told:
        archive.note(alert)
    assert "alice" not in json.dumps(archive.history(told[0].alert_id))
    assert [entry["says"] for entry in archive.history(told[0].alert_id)] == ["", "Erased as asked for."]


def test_ended_alerts_come_page_by_page_each_once() -> None:
    archive = Archive()
    for number in range(25):
        for revision, state in enumerate(("opened", "resolved" if number % 5 else "updated")):
            archive.note(ALERT.model_copy(update={
                "alert_id": f"a-{number:02}", "revision": revision, "state": state, "updated_at": number // 2 * 1_000 + revision,
            }))  # fmt: skip
    seen, after = list[str](), ""
    while after is not None:
        page, after = archive.find_closed(after, 7)
        seen += [alert.alert_id for alert in page]
    assert sorted(seen) == [f"a-{number:02}" for number in range(25) if number % 5]
    assert seen[0] == "a-24"
    assert archive.find_closed("a-unknown", 1)[0] == archive.find_closed("", 1)[0]
