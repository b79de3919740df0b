"""Events by poll (RFC 8936), and the keys that they are verified with.

Law: a client gets its own events alone. One that it acknowledges, or says it cannot use, does not come again.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict, Field

from ..access import Caller
from .outbox import Outbox

__all__ = ["events_router"]

_LOG = logging.getLogger(__name__)
_WAIT_S: Final = 5.0  # of a long poll, at most: so long an end of the service waits for it
_LOOK_S: Final = 0.1
_EVENTS_MAX: Final = 100  # of one answer
_Jti = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]


class Fault(BaseModel):
    """Why a client cannot use an event (RFC 8935, 2.4)."""

    err: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=1_000)] = ""


class Poll(BaseModel):
    """What a client has, and what it wants (RFC 8936, 2.2); members that are not known are passed over, as it demands."""

    model_config = ConfigDict(extra="ignore")

    ack: Annotated[list[_Jti], Field(max_length=1_000)] = Field([], description="events that the client has, by jti")
    setErrs: Annotated[dict[_Jti, Fault], Field(max_length=1_000)] = Field({}, description="events that it cannot use, and why")
    maxEvents: Annotated[int, Field(ge=0)] = Field(_EVENTS_MAX, description=f"how many it wants, at most {_EVENTS_MAX}")
    returnImmediately: bool = Field(False, description="false: with nothing to tell, the answer comes within five seconds")


class Polled(BaseModel):
    """Security Event Tokens by jti; they come again until they are acknowledged."""

    sets: dict[str, str]
    moreAvailable: bool = False


def events_router(outbox: Outbox, let_in: Callable[..., Awaitable[Caller]], clock: Callable[[], int]) -> APIRouter:
    """`let_in`: a dependency that gives a caller with the scope; `clock`: ms since the Unix epoch."""
    router = APIRouter()

    @router.post("/v1/events/poll")
    async def poll(wanted: Poll, caller: Annotated[Caller, Depends(let_in)]) -> Polled:
        """What was withdrawn of the client's decisions (RFC 8936)."""
        for jti, fault in wanted.setErrs.items():
            _LOG.warning("%s cannot use the event %s: %s", caller.client_id, jti, fault.err)
        outbox.take(caller.client_id, [*wanted.ack, *wanted.setErrs], clock())
        until_s = time.monotonic() + (0 if wanted.returnImmediately or wanted.maxEvents == 0 else _WAIT_S)
        while True:
            sets, more = outbox.list_pending(caller.client_id, min(wanted.maxEvents, _EVENTS_MAX))
            if sets or time.monotonic() >= until_s:
                return Polled(sets=sets, moreAvailable=more)
            await asyncio.sleep(_LOOK_S)

    @router.get("/.well-known/jwks.json")
    async def keys() -> dict[str, Any]:
        """What events are verified with (RFC 7517); for everybody."""
        return outbox.keys

    return router
