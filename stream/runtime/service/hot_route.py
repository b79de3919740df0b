"""`POST /v1/decisions` without the framework, which takes longer than the decision does.

Law: it answers what is well asked by whoever may, as the route that the OpenAPI describes does; all else it hands on to that
route, with the body as it came, so that what is wrong is told in one place.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from stream.contract.ports import BrokerError, StoreError

from .access import TooMany

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .access import Caller, Tokens
    from .decisions import Answer, Decisions

__all__ = ["HotRoute", "Told", "tell"]

PATH: Final = "/v1/decisions"
_BODY_BYTES_MAX: Final = 4_096  # longer ones are handed on
_Word = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._:-]{1,64}\Z")]
_Handle = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,200}\Z")]


class _Asked(msgspec.Struct, forbid_unknown_fields=True):
    home: _Handle
    action: _Word
    event_id: _Word | None = None
    device_id: _Word | None = None


class Told(msgspec.Struct):
    """A decision as its client gets it; times in seconds."""

    decision_id: str
    outcome: str
    reason: str
    acr: str
    required: str | None
    sub: str | None
    auth_time: int | None
    expires_at: int | None
    challenge_id: str | None
    as_of: int | None
    www_authenticate: str | None


def tell(answer: "Answer") -> Told:
    """What is told of an answer."""
    return Told(
        answer.decision_id, answer.outcome, answer.reason, answer.acr, answer.required, answer.sub, _s(answer.auth_time),
        _s(answer.expires_at), answer.challenge_id, _s(answer.as_of),
        _step_up(answer.required, answer.max_age_s) if answer.outcome == "step_up" else None,
    )  # fmt: skip


def _step_up(required: str | None, max_age_s: int | None) -> str:
    """The header of RFC 9470."""
    told = 'Bearer error="insufficient_user_authentication", error_description="A higher tier is asked for"'
    return f'{told}, acr_values="{required}", max_age="{max_age_s}"'


def _s(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms // 1_000


class HotRoute:
    """An ASGI application before another.

    Parameters
    ----------
    app
        To whom requests are handed on.
    decisions, tokens, clock
        Of the service.
    """

    def __init__(self, app: "ASGIApp", decisions: "Decisions", tokens: "Tokens", clock: Callable[[], int]) -> None:
        self._app, self._decisions, self._tokens, self._clock = app, decisions, tokens, clock
        self._decoder, self._encoder = msgspec.json.Decoder(_Asked), msgspec.json.Encoder()

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Answer a request, or hand it on."""
        caller = self._find_caller(scope) if scope["type"] == "http" and scope["path"] == PATH else None
        if caller is None:
            return await self._app(scope, receive, send)
        body = await _read(receive)
        told = None if body is None else await self._decide(caller, body)
        if told is None:
            return await self._app(scope, _again(body or b"", receive), send)
        length = str(len(told)).encode()
        headers = [(b"content-length", length), (b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": told})

    def _find_caller(self, scope: "Scope") -> "Caller | None":
        """Who may ask this way; None: nobody, or it is to be told otherwise."""
        if scope["method"] != "POST" or scope["query_string"]:
            return None
        headers = dict(scope["headers"])
        length, (kind, _, token) = headers.get(b"content-length", b""), headers.get(b"authorization", b"").partition(b" ")
        is_short = length.isdigit() and len(length) < 5 and int(length) <= _BODY_BYTES_MAX
        if not is_short or headers.get(b"content-type") != b"application/json" or kind.lower() != b"bearer":
            return None
        caller = self._tokens.verify(token.decode("latin-1"), self._clock())
        return caller if caller is not None and "decisions" in caller.scopes else None

    async def _decide(self, caller: "Caller", body: bytes) -> bytes | None:
        """The answer; None: the other route tells what is wrong, and tries once more what could not be read or written."""
        try:
            asked = self._decoder.decode(body)
            if (asked.event_id is None) == (asked.device_id is None):
                return None
            self._tokens.count(caller.client_id, self._clock())
            wanted = asked.action, asked.event_id, asked.device_id
            answer = await self._decisions.decide(caller.client_id, asked.home, wanted, self._clock())
            return self._encoder.encode(tell(answer))
        except (msgspec.DecodeError, TooMany, StoreError, BrokerError):
            return None


async def _read(receive: "Receive") -> bytes | None:
    """The body; None: who asked has gone."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _again(body: bytes, receive: "Receive") -> "Receive":
    """Gives the body once more, and then what comes."""
    given = False

    async def give() -> "Message":
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
