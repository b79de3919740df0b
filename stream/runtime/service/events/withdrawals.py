"""Which granted decisions no longer hold, because their answer was revised.

Law: a granted decision is withdrawn when a later revision of its answer would not have been enough, or names somebody else. It is
withdrawn once: one that is in the topic as withdrawn is not withdrawn again, whoever did it. The two topics have no order between
them, so whichever record comes second decides.

It does not follow a decision whose answer it never saw further than by tiers: who was named is known from the revision that was
decided on.
"""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final

import msgspec

from stream.contract.records import Cause, Decided
from stream.home.rights.decision import NAMED

__all__ = ["CauseRead", "Revised", "Withdrawals"]

_DECISIONS_MAX: Final = 100_000  # some 150 MB; of more, the oldest are forgotten, and not taken up again
_EVENTS_MAX: Final = 100_000  # whose revisions are remembered, for decisions that come after them
_REVISIONS_MAX: Final = 64  # of an event


class CauseRead(msgspec.Struct, frozen=True):
    """As in the contract."""

    topic: str
    partition: int
    offset: int


class Revised(msgspec.Struct, frozen=True):
    """What matters of an identity."""

    household_id: str
    event_id: str
    revision: int
    tier: int
    person_id: str | None
    cause: CauseRead


_Event = tuple[str, str]  # household_id, event_id


class Withdrawals:
    """Remembers granted decisions and answers, and joins them; no input, no output, no clock."""

    def __init__(self, decisions_max: int = _DECISIONS_MAX) -> None:
        self._decisions_max = decisions_max
        self._known: OrderedDict[str, Decided] = OrderedDict()  # by decision_id, also those that are withdrawn
        self._open: dict[_Event, dict[str, Decided]] = {}  # those that are not
        self._forgotten_at = -1  # of the latest decision that was forgotten, ms
        self._answers: OrderedDict[_Event, dict[int, Revised]] = OrderedDict()

    def take_decided(self, decided: Decided, now_ms: int) -> list[Decided]:
        """A record of `decisions`; those that must be withdrawn now, as they are to be published."""
        if decided.outcome != "allow" or decided.event_id is None or decided.revision is None or decided.required is None:
            return []
        event = decided.household_id, decided.event_id
        if decided.withdrawn_at is not None:
            self._known[decided.decision_id] = decided
            self._close(event, decided.decision_id)
            self._forget_oldest()
            return []
        if decided.decision_id in self._known or decided.at <= self._forgotten_at:
            return []
        self._known[decided.decision_id] = decided
        self._open.setdefault(event, {})[decided.decision_id] = decided
        self._forget_oldest()
        return self._withdraw(event, now_ms)

    def take_identity(self, revised: Revised, now_ms: int) -> list[Decided]:
        """A record of `identities`; the same."""
        event = revised.household_id, revised.event_id
        answers = self._answers.setdefault(event, {})
        self._answers.move_to_end(event)
        answers[revised.revision] = revised
        if len(answers) > _REVISIONS_MAX:
            del answers[min(answers)]
        if len(self._answers) > _EVENTS_MAX:
            self._answers.popitem(last=False)
        return self._withdraw(event, now_ms)

    def _withdraw(self, event: _Event, now_ms: int) -> list[Decided]:
        answers = self._answers.get(event, {})
        found = []
        for decided in [*self._open.get(event, {}).values()]:
            against = next(_against(decided, answers), None)
            if against is not None:
                cause = Cause(topic=against.cause.topic, partition=against.cause.partition, offset=against.cause.offset)
                found.append(decided.model_copy(update={"withdrawn_at": max(now_ms, decided.at), "cause": cause}))
                self._close(event, decided.decision_id)
        return found

    def _close(self, event: _Event, decision_id: str) -> None:
        there = self._open.get(event, {})
        there.pop(decision_id, None)
        if not there:
            self._open.pop(event, None)

    def _forget_oldest(self) -> None:
        while len(self._known) > self._decisions_max:
            decision_id, decided = self._known.popitem(last=False)
            self._forgotten_at = max(self._forgotten_at, decided.at)
            self._close((decided.household_id, decided.event_id or ""), decision_id)


def _against(decided: Decided, answers: dict[int, Revised]) -> Iterator[Revised]:
    """Later revisions by which it would not have been granted, the earliest first."""
    assert decided.revision is not None, "only such decisions are open"
    assert decided.required is not None, "only such decisions are open"
    basis = answers.get(decided.revision)
    for revision in sorted(answers):
        later = answers[revision]
        if revision <= decided.revision:
            continue
        # Whom the decision is of, its own answer named; a decision without a `sub` says nothing of anybody.
        other = later.person_id is not None and basis is not None and later.person_id != basis.person_id
        tier = NAMED - 1 if other else later.tier  # somebody else is to the client as nobody, as when it was decided
        if tier < decided.required or (other and decided.sub is not None):
            yield later
