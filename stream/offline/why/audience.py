"""Who reads an explanation, and what of it they may see.

Law: what is not to be seen is taken out before anything is written, so that text and JSON hold the same. A person sees nothing of
other people: neither who else it might have been, nor who said or was said to be whom.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from stream.contract.records import GUEST

from .explanation import ANYBODY, Explanation
from .otherwise import Otherwise

__all__ = ["SOMEBODY_ELSE", "Audience", "Why", "redact_for"]

SOMEBODY_ELSE: Final = "somebody else"
_SOMEBODY: Final = "somebody of the home"


class Audience(StrEnum):
    """Who reads it."""

    PERSON = "person"
    SUPPORT = "support"
    ENGINEER = "engineer"


@dataclass(frozen=True, slots=True)
class Why:
    """An explanation, and what would have been: without each part, and under the wish."""

    explanation: Explanation
    without: list[Otherwise]
    under_wish: Otherwise | None = None

    def __str__(self) -> str:
        from .texts import lines_of  # which reads this class

        return "\n".join(lines_of(self))


def redact_for(why: Why, audience: Audience) -> Why:
    """The same without what this audience may not see, or has no use for."""
    if audience == Audience.ENGINEER:
        return why
    less = replace(why, explanation=replace(why.explanation, ratios={}))
    return less if audience == Audience.SUPPORT else _of_one(less)


def _of_one(why: Why) -> Why:
    """Of the subject alone."""
    told = why.explanation
    assert told.subject == ANYBODY or told.subject == told.person_id, "who was not named is not told"

    def name(person_id: str | None) -> str | None:
        if person_id in (None, GUEST, told.subject):
            return person_id
        return _SOMEBODY if told.subject == ANYBODY else SOMEBODY_ELSE

    revisions = [
        replace(
            one, person_id=name(one.person_id), said=[replace(said, person_id=name(said.person_id) or "") for said in one.said]
        )
        for one in told.revisions
    ]
    others = GUEST if told.subject == ANYBODY else SOMEBODY_ELSE
    explanation = replace(
        told, revisions=revisions, runner_up=None, lead=None,
        posterior={told.subject: told.probability, others: 1 - told.probability},
    )  # fmt: skip
    without = [replace(one, person_id=name(one.person_id)) for one in why.without]
    wish = why.under_wish and replace(why.under_wish, person_id=name(why.under_wish.person_id))
    return Why(explanation, without, wish)
