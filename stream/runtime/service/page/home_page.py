"""What can be done on a home's page, whoever asks for it over whatever.

Law: it changes nothing of a home itself: what people say leaves as records, and the home says what came of it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from stream.contract.records import GUEST, Record
from stream.home.rights.consents import Forbid, Granted, consents_of, forbids_of, handle_of
from stream.home.rights.decision import answers_of
from stream.home.state.household import Household

from .statements import consent_record, feedback_record
from .told import Told, export_of, home_told

if TYPE_CHECKING:
    from ..decisions import Decisions
    from ..homes import Homes
    from .gate import Gate

__all__ = ["HomePage"]


class HomePage:
    """The page of whichever home its session is of.

    Parameters
    ----------
    homes, beside, gate
        Where homes are read, what else is told, and who is let in.
    publish
        Sends a record; it is there when it returns.
    """

    def __init__(self, homes: "Homes", beside: Told, gate: "Gate", publish: Callable[[Record], None]) -> None:
        self._homes, self._beside, self.gate, self._publish = homes, beside, gate, publish

    def tell(self, household: str, decisions: "Decisions", now_ms: int) -> dict[str, Any]:
        """All that is shown."""
        return home_told(self._home(household), self._beside, decisions.find_pending(household, now_ms), now_ms)

    def export(self, household: str, person_id: str | None, now_ms: int) -> dict[str, Any]:
        """All that is kept of a home, or a person, but vectors."""
        try:
            return export_of(self._home(household), self._beside, person_id, now_ms)
        except KeyError:
            raise HTTPException(404, "nobody of that name is known") from None

    async def correct(self, household: str, event_id: str, who: tuple[str, bool], now_ms: int) -> str:
        """It was that person (or `guest`), who may be somebody `new`; the id of what was said."""
        home, (person_id, new) = self._home(household), who
        if event_id not in answers_of(home):
            raise HTTPException(404, "the home no longer keeps this: it is too long ago")
        if person_id != GUEST and person_id not in home.members:
            if not new:
                raise HTTPException(404, "nobody of that name lives here")
            await self._say(household, now_ms, "join", person_id=person_id)
        return await self._say(household, now_ms, "correct", event_id=event_id, person_id=person_id)

    async def retract(self, household: str, feedback_id: str, now_ms: int) -> str:
        """Take back what was said."""
        return await self._say(household, now_ms, "retract", retracts=feedback_id)

    async def erase(self, household: str, person_id: str | None, now_ms: int) -> None:
        """Forget a person, or the whole home, whose sessions end with it; their PINs as well."""
        if person_id is not None and person_id not in self._home(household).people:
            raise HTTPException(404, "nobody of that name is known")
        await self._say(household, now_ms, "erase", person_id=person_id)
        if person_id is not None:
            self._beside.verifier.reset(household, person_id)
        else:
            self._beside.verifier.forget(household)
            self.gate.end(household)

    def unlock(self, household: str, person_id: str) -> None:
        """Let a person try PINs again."""
        self._beside.verifier.unlock(household, person_id)

    async def grant(self, household: str, consent_id: str, wanted: dict[str, Any], now_ms: int) -> str:
        """Let a client know of a person; what it calls the home."""
        known = wanted["client_id"] in self._beside.clients and {*wanted["actions"]} <= {*self._beside.policy.actions}
        if not known or wanted["person_id"] not in self._home(household).members:
            raise HTTPException(404, "no such person, client or action")
        days = wanted.pop("days")
        until = None if days is None else now_ms + days * 86_400_000
        await self._send(consent_record(household, now_ms, consent_id=consent_id, kind="grant", expires_at=until, **wanted))
        return self._beside.handles.home_of(wanted["client_id"], household)

    async def forbid(self, household: str, consent_id: str, wanted: dict[str, Any], now_ms: int) -> None:
        """A person may not do something, whatever their tier."""
        if not {*wanted["actions"]} <= {*self._beside.policy.actions} or wanted["person_id"] not in self._home(household).members:
            raise HTTPException(404, "no such person or action")
        if not wanted["actions"] and wanted["tier"] is None:
            raise HTTPException(422, "what is forbidden: actions, a tier from which on, or both")
        fields = {"kind": "forbid", "client_id": None, "scopes": []} | wanted
        await self._send(consent_record(household, now_ms, consent_id=consent_id, **fields))

    async def revoke(self, household: str, consent_id: str, now_ms: int) -> None:
        """Take a consent of the home back, or a forbid, by what the page calls it."""
        await self._revoke(household, lambda one: handle_of(one.number) == consent_id, None, now_ms)

    async def give_up(self, client_id: str, sub: str, now_ms: int) -> None:
        """A client wants a consent no longer."""
        person = self._beside.handles.person(client_id, sub)
        household = None if person is None else person.household_id
        number = None if person is None else person.consent
        await self._revoke(household, lambda one: one.number == number, client_id, now_ms)

    async def _revoke(
        self, household: str | None, is_it: Callable[[Granted | Forbid], bool], client_id: str | None, now_ms: int
    ) -> None:
        home = self._homes.find(household)
        standing: list[Granted | Forbid] = [] if home is None else [*consents_of(home, client_id, now_ms)]
        if home is not None and client_id is None:
            standing += forbids_of(home, now_ms)
        found = next((one for one in standing if is_it(one)), None)
        if home is None or found is None:
            raise HTTPException(404, "no such consent stands")
        await self._send(consent_record(
            home.household_id, now_ms, consent_id=handle_of(found.number), kind="revoke", person_id=found.person_id,
            client_id=found.client_id if isinstance(found, Granted) else None, scopes=[], actions=[],
        ))  # fmt: skip

    async def _say(self, household: str, now_ms: int, kind: str, **fields: Any) -> str:
        try:
            feedback_id, record = feedback_record(household, now_ms, kind, **fields)
        except ValidationError:
            raise HTTPException(422, "a name has 1 to 64 letters of A to Z, digits, and . _ : -") from None
        await self._send(record)
        return feedback_id

    async def _send(self, record: Record) -> None:
        await run_in_threadpool(self._publish, record)

    def _home(self, household: str) -> Household:
        return self._homes.find(household) or Household.new(household)
