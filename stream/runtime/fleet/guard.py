"""Who may ask the fleet stage over HTTP: alerts name homes and people.

Law: on loopback a page of another name is told nothing, so that no web page that somebody looks at can ask through their browser
(DNS rebinding); off loopback alerts are told to who knows the token alone. How the process is, is no secret. Faust's own pages,
which tell of its inside, are off.
"""

from collections.abc import Awaitable, Callable
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any, Final

__all__ = ["guard", "refusal"]

_OPEN: Final = ("/", "/healthz", "/metrics")  # they name nobody


def refusal(path: str, host: str, authorization: str, token: str | None, loopback: bool) -> str | None:
    """Why a request is not answered; None: it is.

    Parameters
    ----------
    path
        What is asked.
    host, authorization
        Its headers; empty: it has none.
    token
        That who asks must know; None: none is set.
    loopback
        Whether only this machine can ask.
    """
    if loopback and not _is_loopback(_name_of(host)):
        return "ask by the name localhost, or by its address"
    if path in _OPEN:
        return None
    if token is not None:
        kind, _, told = authorization.partition(" ")
        known = kind.lower() == "bearer" and compare_digest(told.strip().encode(), token.encode())
        return None if known else "send Authorization: Bearer, with the listen_token of the wiring"
    return None if loopback else "off loopback alerts need a token: set KITHKIN_LISTEN_TOKEN where the fleet stage runs"


def guard(token: str | None, bind: str) -> Any:
    """Faust's web server without its own pages, and with ours behind `refusal`."""
    from aiohttp import web
    from faust.web.drivers.aiohttp import Web

    loopback = _is_loopback(bind)

    @web.middleware
    async def guard(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        headers = request.headers
        why = refusal(request.path, headers.get("Host", ""), headers.get("Authorization", ""), token, loopback)
        return await handler(request) if why is None else web.Response(status=403, text=f"{why}\n")

    class Guarded(Web):
        default_blueprints = production_blueprints = debug_blueprints = optional_blueprints = ()

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self.web_app.middlewares.append(guard)

    return Guarded


def _name_of(host: str) -> str:
    """Of a Host header, without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host


def _is_loopback(name: str) -> bool:
    if name.lower().rstrip(".") == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
