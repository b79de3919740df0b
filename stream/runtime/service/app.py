"""The service over HTTP: OpenAPI, OAuth 2, problems (RFC 9457), and how a client passes a step-up on (RFC 9470).

Law: whatever is wrong has the same form, and says nothing of homes or people; a PIN is in no log and no answer.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from fastapi import APIRouter, Depends, FastAPI, Form, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.models import OAuthFlowClientCredentials, OAuthFlows
from fastapi.responses import JSONResponse
from fastapi.security import OAuth2
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator
from starlette.exceptions import HTTPException

from stream import __version__
from stream.contract.ports import BrokerError, StoreError

from .access import Caller, Tokens, TooMany
from .decisions import Decisions
from .events.outbox import Outbox
from .events.routes import events_router
from .hot_route import HotRoute, tell
from .page.home_page import HomePage
from .page.routes import page_router

__all__ = ["create_app"]

_Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$")]
_Handle = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,200}$")]
_SCOPES: Final = {
    "decisions": "ask for decisions", "challenges": "meet challenges", "people": "ask what may be known of people",
    "presence": "ask who is at home",
    "events": "be told what was withdrawn",
}  # fmt: skip
_TITLES: Final = {
    400: "The request is not understood", 401: "No token that holds", 403: "Not allowed", 404: "Unknown",
    405: "Not a method of this", 422: "The request is not understood", 429: "Too many requests", 503: "Not available just now",
}  # fmt: skip
_VERDICTS: Final = {
    "wrong": "the PIN is not right", "wait": "there was a try just before: half a minute must pass",
    "locked": "too many wrong PINs at this device: the home's app can unlock it",
    "spent": "too many wrong PINs of this person today: the home's app can unlock it",
}  # fmt: skip
_FLOWS: Final = OAuthFlows(clientCredentials=OAuthFlowClientCredentials(tokenUrl="/oauth/token", scopes=_SCOPES))
_BEARER: Final = OAuth2(flows=_FLOWS, auto_error=False)


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Asked(_Body):
    """May this be done? By an event, or by the latest of a device."""

    home: _Handle = Field(description="the client's own id of the home, given to it with a consent")
    action: _Word = Field(description="a dotted name, such as pharmacy.refill")
    event_id: _Word | None = Field(None, description="the recognition that asked for it")
    device_id: _Word | None = Field(None, description="or the device, whose latest recognition is meant")

    @model_validator(mode="after")
    def _one_of_both(self) -> "Asked":
        if (self.event_id is None) == (self.device_id is None):
            raise ValueError("either event_id or device_id")
        return self


class Told(_Body):
    """A decision. Times are seconds since the Unix epoch, UTC."""

    decision_id: str
    outcome: Literal["allow", "step_up", "deny"] = Field(description="deny: also of whatever the client may not know of")
    reason: str = Field(description="sure, not_sure, not_recognised, second_factor, too_old, or unknown")
    acr: str = Field(description="the tier that was reached: urn:kithkin:tier:0 to 5")
    required: str | None = Field(description="the tier that is asked for; null: unknown")
    sub: str | None = Field(description="the person, by an id that is this client's and this consent's alone; null: nobody")
    auth_time: int | None = Field(description="of the recognition")
    expires_at: int | None = Field(description="until when it is allowed; null: it is not")
    challenge_id: str | None = Field(description="what a second factor is to be given for; null: it would not help")
    as_of: int | None = Field(description="of the latest record that the home has seen, by its own clock")
    www_authenticate: str | None = Field(description="the header by which the client asks its own caller to step up (RFC 9470)")


class Met(_Body):
    """A second factor. The home's devices take it; it stands in no log."""

    pin: SecretStr = Field(description="4 to 12 digits")


class Taken(_Body):
    """The second factor was right; ask for the decision again, in a moment."""

    status: Literal["proven"] = "proven"


class PersonTold(_Body):
    """What a client may know of a person. Times are seconds since the Unix epoch, UTC."""

    sub: str
    scopes: list[str]
    actions: list[str]
    since: int
    expires_at: int | None
    as_of: int


class AtHomeTold(_Body):
    """Whether a person is at home, as of now."""

    sub: str
    home: float = Field(description="probability that they are, 0 to 1; evidence fades with time")
    present: bool = Field(description="they were taken to be at home when something was seen last; it does not flap")
    since: int = Field(description="when it last changed, seconds since the Unix epoch")


class PresenceTold(_Body):
    """Of all who let the client know and of whom something is known."""

    people: list[AtHomeTold]
    as_of: int


class TokenWanted(BaseModel):
    """RFC 6749, 4.4.2: with a secret, or with an assertion."""

    grant_type: Literal["client_credentials"]
    client_id: Annotated[str, Field(max_length=64)] = ""
    client_secret: Annotated[str, Field(max_length=256)] | None = None
    client_assertion_type: Literal["urn:ietf:params:oauth:client-assertion-type:jwt-bearer"] | None = None
    client_assertion: Annotated[str, Field(max_length=4_096)] | None = None
    scope: Annotated[str, Field(max_length=256)] = ""

    @model_validator(mode="after")
    def _one_of_both(self) -> "TokenWanted":
        signed = self.client_assertion is not None
        if signed != (self.client_assertion_type is not None) or signed == (self.client_secret is not None):
            raise ValueError("either client_secret, or client_assertion and its client_assertion_type")
        return self


class Token(_Body):
    """RFC 6749, 5.1."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int
    scope: str


class Problem(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    body = Problem(title=_TITLES.get(status, "Failed"), status=status, detail=detail).model_dump()
    return JSONResponse(body, status, headers, "application/problem+json")


def _s(at_ms: int | None) -> int | None:
    return None if at_ms is None else at_ms // 1_000


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def create_app(
    decisions: Decisions, tokens: Tokens, outbox: Outbox, page: HomePage, clock: Callable[[], int] = _now_ms
) -> FastAPI:
    """The service; `clock`: ms since the Unix epoch."""
    problems: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": _TITLES[status]} for status in (401, 403, 404, 422, 429, 503)
    }
    app = FastAPI(title="kithkin", version=__version__, description="Who may do what in a home.", responses=problems)
    _explain_problems(app)
    # What reads the store runs in the one thread that opened it; only the check of a PIN, which takes long, has another.
    def caller_with(scope: str) -> Callable[..., Awaitable[Caller]]:
        async def let_in(authorization: Annotated[str | None, Depends(_BEARER)]) -> Caller:
            kind, _, token = (authorization or "").partition(" ")
            caller = tokens.verify(token, clock()) if kind.lower() == "bearer" else None
            if caller is None:
                raise HTTPException(401, "no token that holds", {"WWW-Authenticate": 'Bearer error="invalid_token"'})
            tokens.count(caller.client_id, clock())
            if scope not in caller.scopes:
                insufficient = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
                raise HTTPException(403, f"the token is not for {scope}", insufficient)
            return caller

        return let_in

    @app.post("/oauth/token", responses={400: {"model": Problem}})
    async def token(form: Annotated[TokenWanted, Form()], request: Request) -> Token:
        """A token for a client and its secret (RFC 6749, 4.4), or what it signed in place of one (RFC 7523, 2.2)."""
        tokens.count_issue(request.client.host if request.client else "", clock())
        scopes = frozenset(form.scope.split())
        if form.client_assertion is None:
            issued = tokens.issue(form.client_id, form.client_secret or "", scopes, clock())
        else:
            issued = tokens.issue_signed(form.client_assertion, form.client_id, scopes, clock())
        if issued is None:
            raise HTTPException(401, "client, secret or assertion is not right, or it has none of these scopes")
        text, caller = issued
        left_s = (caller.until_ms - clock()) // 1_000
        return Token(access_token=text, expires_in=left_s, scope=" ".join(sorted(caller.scopes)))

    @app.post("/v1/decisions")
    async def decide(asked: Asked, caller: Annotated[Caller, Depends(caller_with("decisions"))]) -> Told:
        """Whether an action may be done, and if not, what would help."""
        found = await decisions.decide(caller.client_id, asked.home, (asked.action, asked.event_id, asked.device_id), clock())
        return Told(**msgspec.structs.asdict(tell(found)))

    @app.post("/v1/challenges/{challenge_id}")
    def challenge(challenge_id: _Handle, met: Met, caller: Annotated[Caller, Depends(caller_with("challenges"))]) -> Taken:
        """Give the second factor that a decision asked for."""
        verdict = decisions.meet(caller.client_id, challenge_id, met.pin.get_secret_value()[:64], clock())
        if verdict is None:
            raise HTTPException(404, "no such challenge, or it has ended")
        if verdict != "right":
            raise HTTPException(403, _VERDICTS[verdict], {"Retry-After": "30"} if verdict in ("wrong", "wait") else None)
        return Taken()

    @app.get("/v1/people/{sub}")
    async def person(sub: _Handle, caller: Annotated[Caller, Depends(caller_with("people"))]) -> PersonTold:
        """What the client may know of a person."""
        known = decisions.look_up(caller.client_id, sub, clock())
        if known is None:
            raise HTTPException(404, "nobody whom this client may know of")
        times = {name: _s(getattr(known, name)) for name in ("since", "expires_at", "as_of")}
        return PersonTold(**known._asdict() | times)

    app.include_router(_presence_router(decisions, caller_with("presence"), clock))
    app.include_router(events_router(outbox, caller_with("events"), clock))
    app.include_router(page_router(page, decisions, caller_with("people"), _BEARER, clock))
    # In front of all that FastAPI puts before routes, which the short way needs nothing of.
    app.middleware_stack = HotRoute(app.build_middleware_stack(), decisions, tokens, clock)
    return app


def _presence_router(decisions: Decisions, let_in: Callable[..., Awaitable[Caller]], clock: Callable[[], int]) -> APIRouter:
    router = APIRouter()

    @router.get("/v1/presence")
    async def presence(home: _Handle, caller: Annotated[Caller, Depends(let_in)]) -> PresenceTold:
        """Who is at home, of those who let the client know."""
        found = decisions.presence(caller.client_id, home, clock())
        if found is None:
            raise HTTPException(404, "nobody whom this client may know of")
        people, as_of = found
        told = [AtHomeTold(**one._asdict() | {"home": round(one.home, 3), "since": one.since // 1_000}) for one in people]
        return PresenceTold(people=told, as_of=as_of // 1_000)

    return router


def _explain_problems(app: FastAPI) -> None:
    """Everything that goes wrong, in one form; of a body that is not understood only the place is told, never the value."""

    @app.exception_handler(HTTPException)
    async def refuse(_: Request, error: HTTPException) -> JSONResponse:
        return _problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def misunderstood(_: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        return _problem(422, f"{'.'.join(map(str, first['loc']))}: {first['msg']}")

    @app.exception_handler(TooMany)
    async def too_many(_: Request, error: TooMany) -> JSONResponse:
        return _problem(429, str(error), {"Retry-After": str(error.after_s)})

    @app.exception_handler(StoreError)
    @app.exception_handler(BrokerError)
    async def not_now(_: Request, error: RuntimeError) -> JSONResponse:
        return _problem(503, "what is asked for cannot be read or written just now", {"Retry-After": "5"})
