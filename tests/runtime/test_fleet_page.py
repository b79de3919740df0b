"""The fleet stage's page of alerts: drawn by a real Chromium, answered over HTTP, and by nobody elsewhere."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from stream.brokers.kafka.topics import producer
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import Server, until
from tests.runtime.test_fleet_service import PATIENCE_S, alerts, ask, stage, wiring
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
        for words in ("2 stand", "30 of 30 homes", "drift-person.md", "14.0 nats", "person", "70%", "I have it in hand"):
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
