"""Who is let in to a home's page.

Law: a request sees the one household of its session. It is answered under the page's own name alone, so that no name that leads
to this address can ask through somebody's browser (DNS rebinding), and what changes something needs a header that no page
elsewhere can send. Who tries links or asks too often waits.
"""

from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException

from stream.contract.units import DAY_MS

from ..access import RateLimit
from ..settings import is_loopback

if TYPE_CHECKING:
    from fastapi import Request
    from fastapi.responses import Response

    from .sessions import Sessions

__all__ = ["HEADER", "Gate"]

HEADER: Final = "x-kithkin-page"
_LINKS_PER_MINUTE: Final = 10  # of one address
_REQUESTS_PER_MINUTE: Final = 300  # of one household
_COOKIE_DAYS: Final = 400  # as long as browsers keep one; that a session is idle is known here


class Gate:
    """Opens, knows and ends sessions over HTTP.

    Parameters
    ----------
    sessions
        Where they are kept.
    url
        Under which people reach the page.
    """

    def __init__(self, sessions: "Sessions", url: str) -> None:
        self._sessions, self._limit = sessions, RateLimit()
        parts = urlsplit(url)
        self._host, self._secure = (parts.hostname or "").lower(), parts.scheme == "https"
        self.cookie: Final = "__Host-kithkin" if self._secure else "kithkin"

    def check_host(self, request: "Request") -> None:
        """Raises HTTPException for another name than the page's."""
        asked = (urlsplit(f"//{request.headers.get('host', '')}").hostname or "").lower()
        if asked != self._host and not (is_loopback(self._host) and is_loopback(asked)):
            raise HTTPException(403, f"ask by the name {self._host}")

    def open(self, request: "Request", response: "Response", secret: str, now_ms: int) -> None:
        """A session for a link. Raises HTTPException and TooMany."""
        self._check_own(request)
        self._limit.count(f"link {request.client.host if request.client else ''}", _LINKS_PER_MINUTE, now_ms)
        opened = self._sessions.open(secret, now_ms)
        if opened is None:
            raise HTTPException(401, "the link was used, or is older than a quarter of an hour: ask for another")
        response.set_cookie(
            self.cookie, opened, max_age=_COOKIE_DAYS * DAY_MS // 1_000, path="/", secure=self._secure, httponly=True,
            samesite="strict",
        )  # fmt: skip

    def household_of(self, request: "Request", now_ms: int) -> str:
        """Whose session a request is of. Raises HTTPException and TooMany."""
        self._check_own(request)
        household = self._sessions.household_of(request.cookies.get(self.cookie, ""), now_ms)
        if household is None:
            raise HTTPException(401, "open the page by a link of your home")
        self._limit.count(f"home {household}", _REQUESTS_PER_MINUTE, now_ms)
        return household

    def leave(self, request: "Request", response: "Response") -> None:
        """End the session of a request."""
        self._sessions.leave(request.cookies.get(self.cookie, ""))
        response.delete_cookie(self.cookie, path="/", secure=self._secure, httponly=True, samesite="strict")

    def end(self, household: str) -> None:
        """End all sessions of a household."""
        self._sessions.end(household)

    def _check_own(self, request: "Request") -> None:
        self.check_host(request)
        elsewhere = request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
        if elsewhere or (request.method != "GET" and request.headers.get(HEADER) != "1"):
            raise HTTPException(403, f"only the page itself may ask, with the header {HEADER}: 1")
