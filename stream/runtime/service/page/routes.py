"""The page of a home over HTTP: its files, what it shows, and what people say on it.

Law: the files name nobody; everything else needs a session, is of its household alone, and is kept by no cache.
"""

from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import APIKeyCookie
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from stream.contract.records import ID_PATTERN, Scope

from ..access import Caller

if TYPE_CHECKING:
    from ..decisions import Decisions
    from .home_page import HomePage

__all__ = ["page_router"]

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
_GUARDED: Final = {
    "Content-Security-Policy": _POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}  # fmt: skip
_KINDS: Final = {"page.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}
_Id = Annotated[str, Field(pattern=ID_PATTERN.pattern)]
_Secret = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{1,100}$")]
_Handle = Annotated[str, Field(pattern="^[A-Za-z0-9_.:-]{1,200}$")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Link(_Body):
    """What a link has behind its #."""

    token: _Secret


class WhoItWas(_Body):
    """It was this person."""

    event_id: _Id
    person_id: _Id = Field(description="a member, or guest")
    new: bool = Field(False, description="somebody who does not belong to the home yet")


class TakenBack(_Body):
    """What is taken back."""

    feedback_id: _Id


class ToErase(_Body):
    """Whom to forget."""

    person_id: _Id | None = Field(description="null: the whole home")
    typed: Annotated[str, Field(max_length=64)] = Field(description="the name of the person, or of the home, typed once more")


class Sent(_Body):
    """It was sent to the home; what comes of it the next state shows."""

    feedback_id: str


class ConsentWanted(_Body):
    """What a person lets a client do."""

    person_id: _Id
    client_id: _Id
    scopes: list[Scope] = Field(["person"], description="what it may know of them")
    actions: Annotated[list[_Id], Field(min_length=1, max_length=8)]
    days: Annotated[int, Field(ge=1, le=3_650)] | None = Field(None, description="how long; null: until it is revoked")


class Forbidden(_Body):
    """What a person may not do, however surely they are recognised, and whichever client asks."""

    person_id: _Id
    actions: Annotated[list[_Id], Field(max_length=8)] = []
    tier: Annotated[int, Field(ge=1, le=5)] | None = Field(None, description="nor any action that asks for this tier or more")


class ConsentSent(_Body):
    """It was sent to the home; `home` is what the client calls it."""

    consent_id: str
    home: str


def page_router(
    page: "HomePage", decisions: "Decisions", let_in: Callable[..., Awaitable[Caller]], bearer: Any, clock: Callable[[], int]
) -> APIRouter:
    """`let_in`: gives a caller that may ask for people; `clock`: ms since the Unix epoch."""
    router = APIRouter(tags=["page of a home"])
    cookie = APIKeyCookie(name=page.gate.cookie, auto_error=False)

    async def session(request: Request, response: Response, _: Annotated[str | None, Depends(cookie)]) -> str:
        response.headers.update(_GUARDED)
        return page.gate.household_of(request, clock())

    _add_entry(router, page, clock)
    _add_statements(router, page, session, clock)
    _add_consents(router, page, (session, let_in, bearer), clock)

    @router.get("/page/state")
    async def state(household: Annotated[str, Depends(session)]) -> dict[str, Any]:
        """What the home answered last and how surely, what is pending, and who may ask; times in ms."""
        return page.tell(household, decisions, clock())

    @router.get("/page/export")
    async def export(
        household: Annotated[str, Depends(session)], response: Response, person_id: _Id | None = None
    ) -> dict[str, Any]:
        """All that is kept of the home, or of one person, but the vectors of voices and faces."""
        response.headers["Content-Disposition"] = f'attachment; filename="{person_id or household}.json"'.replace(":", "_")
        return page.export(household, person_id, clock())

    @router.delete("/page/challenges/{challenge_id}", status_code=204)
    async def refuse(challenge_id: _Handle, household: Annotated[str, Depends(session)]) -> None:
        """Nobody here wants that: the challenge ends."""
        if not decisions.refuse(household, challenge_id, clock()):
            raise HTTPException(404, "no such challenge, or it has ended")

    _add_files(router, page)  # last, for their path is also that of all others
    return router


def _add_files(router: APIRouter, page: "HomePage") -> None:
    texts = {name: files(__package__).joinpath(name).read_text("utf-8") for name in _KINDS}

    @router.get("/page/", include_in_schema=False)
    async def html(request: Request) -> Response:
        return await file("page.html", request)

    @router.get("/page/{name}", include_in_schema=False)
    async def file(name: Literal["page.html", "page.css", "page.js"], request: Request) -> Response:
        page.gate.check_host(request)
        return Response(texts[name], media_type=_KINDS[name], headers=_GUARDED)


def _add_entry(router: APIRouter, page: "HomePage", clock: Callable[[], int]) -> None:
    @router.post("/page/session", status_code=204)
    async def enter(link: Link, request: Request, response: Response) -> None:
        """Open a session by a link, which works once."""
        page.gate.open(request, response, link.token, clock())

    @router.delete("/page/session", status_code=204)
    async def leave(request: Request, response: Response) -> None:
        """End the session."""
        page.gate.household_of(request, clock())
        page.gate.leave(request, response)


def _add_statements(router: APIRouter, page: "HomePage", session: Any, clock: Callable[[], int]) -> None:
    @router.post("/page/feedback", status_code=202)
    async def correct(was: WhoItWas, household: Annotated[str, Depends(session)]) -> Sent:
        """Say who it was."""
        return Sent(feedback_id=await page.correct(household, was.event_id, (was.person_id, was.new), clock()))

    @router.post("/page/retract", status_code=202)
    async def retract(back: TakenBack, household: Annotated[str, Depends(session)]) -> Sent:
        """Take back what was said."""
        return Sent(feedback_id=await page.retract(household, back.feedback_id, clock()))

    @router.post("/page/erase", status_code=202)
    async def erase(whom: ToErase, household: Annotated[str, Depends(session)]) -> None:
        """Forget a person or the whole home, for ever."""
        if whom.typed != (whom.person_id or household):
            raise HTTPException(422, "the name that was typed is another")
        await page.erase(household, whom.person_id, clock())

    @router.post("/page/unlock/{person_id}", status_code=204)
    async def unlock(person_id: _Id, household: Annotated[str, Depends(session)]) -> None:
        """Let a person try PINs again, after three wrong ones."""
        page.unlock(household, person_id)


def _add_consents(router: APIRouter, page: "HomePage", let_in: tuple[Any, Any, Any], clock: Callable[[], int]) -> None:
    session, caller_of, bearer = let_in

    @router.put("/v1/consents/{consent_id}", status_code=202)
    async def grant(consent_id: _Id, wanted: ConsentWanted, household: Annotated[str, Depends(session)]) -> ConsentSent:
        """A member lets a client ask, in a session of the home's page."""
        home = await page.grant(household, consent_id, wanted.model_dump(), clock())
        return ConsentSent(consent_id=consent_id, home=home)

    @router.put("/page/forbids/{consent_id}", status_code=202)
    async def forbid(consent_id: _Id, wanted: Forbidden, household: Annotated[str, Depends(session)]) -> None:
        """A person may not do something; taken back as a consent is."""
        await page.forbid(household, consent_id, wanted.model_dump(), clock())

    @router.delete("/v1/consents/{consent_id}", status_code=202)
    async def revoke(
        consent_id: _Handle, request: Request, response: Response, authorization: Annotated[str | None, Depends(bearer)]
    ) -> None:
        """Take a consent back: a session of the home's page by its id there, a client its own by the `sub` that it has by it."""
        if authorization is None:
            await page.revoke(await session(request, response, None), consent_id, clock())
        else:
            caller = await caller_of(authorization)
            await page.give_up(caller.client_id, consent_id, clock())
