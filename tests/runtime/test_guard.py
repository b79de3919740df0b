"""Who may ask the fleet stage over HTTP: this machine by its own name, others with the token; Faust's own pages nobody."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from stream.contract.settings import Wiring
from stream.ops.local_cluster.processes import free_ports, until
from stream.runtime.fleet.guard import refusal
from stream.runtime.fleet.service import _app

TOKEN = "s3cret"


OURS = ["localhost", "localhost:8090", "LOCALHOST", "127.0.0.1:8090", "127.1.2.3", "[::1]:8090", "[::1]"]
OTHERS = ["", "evil.example", "evil.example:8090", "localhost.evil.example", "10.0.0.7", "127.0.0.1.nip.io:80", "::"]
WRONG = ["", TOKEN, "Bearer", "Bearer ", "Bearer other", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer \xff"]


@pytest.mark.parametrize("host", OURS)
def test_on_loopback_this_machines_names_are_answered(host: str) -> None:
    assert refusal("/alerts", host, "", None, loopback=True) is None


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("path", ["/alerts", "/metrics"])
def test_on_loopback_others_names_are_not(host: str, path: str) -> None:
    assert refusal(path, host, "", None, loopback=True)


@pytest.mark.parametrize("told", WRONG)
def test_off_loopback_alerts_need_the_token(told: str) -> None:
    assert refusal("/alerts", "fleet:8080", told, TOKEN, loopback=False)
    assert refusal("/alerts/a-1", "fleet:8080", told, None, loopback=False), "without one that is set, nobody knows it"
    assert refusal("/healthz", "10.0.0.7:8080", told, TOKEN, loopback=False) is None
    assert refusal("/metrics", "fleet:8080", told, TOKEN, loopback=False) is None


@pytest.mark.parametrize("loopback", [True, False])
def test_who_knows_the_token_is_answered(loopback: bool) -> None:
    assert refusal("/alerts", "localhost", f"Bearer {TOKEN}", TOKEN, loopback) is None
    assert refusal("/alerts", "localhost", f"bearer  {TOKEN} ", TOKEN, loopback) is None
    assert refusal("/alerts", "localhost", "", TOKEN, loopback)


@contextmanager
def _served(tmp_path: Path, token: str | None) -> Iterator[str]:
    """Faust's web server alone, without any broker."""
    (port,) = free_ports(1)
    told = {"listen_token": token} if token else {}
    app = _app(Wiring(broker="confluent://127.0.0.1:1", listen=f"127.0.0.1:{port}", **told), tmp_path)

    @app.page("/alerts")
    async def alerts(view: object, request: object) -> object:
        return view.json(["a"])  # type: ignore[attr-defined]

    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    asyncio.run_coroutine_threadsafe(app.web.start(), loop).result(20)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def _ask(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urlopen(Request(url, headers=headers), timeout=5) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _listens(url: str) -> bool:
    try:
        _ask(url)
    except OSError:
        return False
    return True


def test_so_it_is_on_the_wire_and_fausts_own_pages_are_off(tmp_path: Path) -> None:
    with _served(tmp_path, None) as url:
        assert until(lambda: _listens(url), 20)
        assert _ask(f"{url}/alerts")[0] == 200
        assert _ask(f"{url}/alerts", Host="evil.example")[0] == 403
        for page in ("/", "/router", "/router/", "/table", "/table/", "/graph", "/graph/", "/performance", "/stats"):
            assert _ask(f"{url}{page}")[0] == 404, page
    with _served(tmp_path, TOKEN) as url:
        assert until(lambda: _listens(url), 20)
        assert _ask(f"{url}/alerts")[0] == 403
        assert _ask(f"{url}/alerts", Authorization=f"Bearer {TOKEN}")[0] == 200
