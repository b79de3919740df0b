"""What would have been: the same event without a part of it, or its home under another policy, really run.

Law: every sentence of what would have been is the answer of the worker's own step to a record that was changed, after the same
records before it; under another policy after all of them again.
"""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pydantic import ValidationError

from stream.contract.errors import ConfigError
from stream.contract.policy import Policy
from stream.contract.records import GUEST, Identity, Record

from .explanation import ANYBODY
from .history import History, answer_again, play

__all__ = ["PARTS", "Otherwise", "Wish", "otherwise", "parse_wish", "without_each"]

PARTS: Final = {"voice": "voice", "face": "face", "phone": "phones", "activity": "activity"}  # what a user calls them, by field
_DROP: Final = "drop"


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be otherwise, together: parts that are not there, and settings of the policy by their keys."""

    text: str
    dropped: tuple[str, ...]
    settings: tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Otherwise:
    """The answer that would have been; `tier` is None where there would have been none."""

    change: str
    person_id: str | None
    tier: int | None
    probability: float  # of the subject
    flips: bool  # another person, or another tier


def parse_wish(text: str) -> Wish:
    """Read "drop=phone,tiers.private=.99".

    Raises
    ------
    ConfigError
        It is no list of KEY=VALUE, or a part that recognitions do not have.

    >>> parse_wish("drop=phone,tiers.private=.99")
    Wish(text='drop=phone,tiers.private=.99', dropped=('phone',), settings=(('tiers.private', 0.99),))
    """
    dropped, settings = list[str](), list[tuple[str, Any]]()
    for one in text.split(","):
        key, equals, value = (part.strip() for part in one.partition("="))
        if not equals or not key or not value:
            raise ConfigError("--if", one, "which changes nothing", "drop=PART or KEY=VALUE, several with commas")
        if key != _DROP:
            settings.append((key, _value(value)))
        elif value in PARTS:
            dropped.append(value)
        else:
            raise ConfigError("--if", one, "no part of a recognition", f"drop= one of {', '.join(PARTS)}")
    return Wish(text, tuple(dropped), tuple(settings))


def _value(text: str) -> Any:
    """A value as TOML has it; ".99" is a number too, and what is none of its values is a string."""
    try:
        return tomllib.loads(f"it = {'0' if text.startswith('.') else ''}{text}")["it"]
    except tomllib.TOMLDecodeError:
        return text


def without_each(history: History, policy: Policy, subject: str) -> list[Otherwise]:
    """The event without each of its parts in turn."""
    assert history.moment is not None, "an event that was answered"
    value = json.loads(history.moment.record.value or b"")
    there = [part for part, name in PARTS.items() if value.get(name) is not None]
    return [_without(history, policy, subject, part) for part in there]


def otherwise(history: History, records: Sequence[Record], policy: Policy, wish: Wish, subject: str) -> Otherwise:
    """The answer under a wish. Raises ConfigError when a setting cannot be."""
    moment = history.moment
    assert moment is not None, "an event that was answered"
    changed = _record_without(moment.record, wish.dropped)
    if not wish.settings:
        return _make_otherwise(moment.answer, answer_again(moment, changed, policy), f"if {wish.text}", subject)
    other = _change(policy, wish)
    again = play([changed if one is moment.record else one for one in records], history.household_id, history.event_id, other)
    return _make_otherwise(moment.answer, again.moment.answer if again.moment else None, f"if {wish.text}", subject)


def _without(history: History, policy: Policy, subject: str, part: str) -> Otherwise:
    moment = history.moment
    assert moment is not None, "an event that was answered"
    again = answer_again(moment, _record_without(moment.record, [part]), policy)
    return _make_otherwise(moment.answer, again, f"without the {part}", subject)


def _record_without(record: Record, parts: Sequence[str]) -> Record:
    """The same record, whose device did not have these sensors."""
    value = json.loads(record.value or b"")
    kept = {name: part for name, part in value.items() if name not in {PARTS[one] for one in parts}}
    return replace(record, value=json.dumps(kept, separators=(",", ":")).encode())


def _make_otherwise(answer: Identity, again: Identity | None, change: str, subject: str) -> Otherwise:
    if again is None:
        return Otherwise(change, None, None, 0.0, True)
    p = 1 - again.posterior[GUEST] if subject == ANYBODY else again.posterior.get(subject, 0.0)
    return Otherwise(change, again.person_id, again.tier, p, (again.person_id, again.tier) != (answer.person_id, answer.tier))


def _change(policy: Policy, wish: Wish) -> Policy:
    """The policy with some settings otherwise."""
    tree: dict[str, Any] = policy.model_dump()
    for key, value in wish.settings:
        table, *path = tree, *key.split(".")
        for name in path[:-1]:
            table = table.get(name) if isinstance(table, dict) else None  # type: ignore[assignment]
        if not isinstance(table, dict) or path[-1] not in table or isinstance(table[path[-1]], dict):
            raise ConfigError("--if", key, "no setting of the policy", "one that `kithkin policy` prints, such as tiers.private")
        table[path[-1]] = value
    try:
        return Policy.model_validate(tree)
    except ValidationError as error:
        fault = error.errors()[0]
        right = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
        raise ConfigError("--if", wish.text, f"where {'.'.join(map(str, fault['loc'])) or 'it'} is wrong", right) from None
