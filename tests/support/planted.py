"""Runs that differ by what was planted in them: keys of a policy, packs, borders of batches."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stream.contract.policy import Policy
from stream.contract.records import Record
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay
from stream.offline.runs.difference import CompleteRun, read_run
from stream.runtime.worker.batch import by_content
from tests.support.recorded import line_of, write_log

__all__ = ["a_run", "batched", "keys_that_can_change", "policy_with"]


def a_run(records: Sequence[Record], out: Path, policy: Policy | None = None) -> CompleteRun:
    """A run of these records, in this order, whose log stands beside it."""
    log = write_log(out.with_suffix(".jsonl"), tuple(map(line_of, records)))
    assert replay(Replay([log], out, policy or Policy(), Wiring(store="memory:"))).finished
    return read_run(out)


def policy_with(*keys: tuple[str, ...]) -> Policy:
    """The defaults, with other values of these keys."""
    settings = Policy().model_dump(mode="json")
    for key in keys:
        *tables, name = key
        table = settings
        for one in tables:
            table = table[one]
        table[name] = next(value for value in _others(table[name]) if _can_be(key, value))
    return Policy.model_validate(settings)


def keys_that_can_change() -> list[tuple[str, ...]]:
    """Keys of the policy, those of encoders apart, that can have another value by themselves."""
    settings = Policy().model_dump(mode="json")
    keys: list[tuple[str, ...]] = []
    for table, fields in settings.items():
        for name, value in fields.items() if table not in ("encoders", "own_model") else ():
            keys += [(table, name, inner) for inner in value] if isinstance(value, dict) else [(table, name)]
    return [key for key in keys if any(_can_be(key, value) for value in _others(_value(settings, key)))]


def batched(records: Sequence[Record], polled: Sequence[tuple[int, int]]) -> list[Record]:
    """Records in the order that a live worker applies them in, when it polled so many (recognitions, feedback) for each batch."""
    topics = [[record for record in records if record.topic == topic] for topic in ("recognitions", "feedback")]
    found: list[Record] = []
    for counts in polled:
        batch = [record for topic, count in zip(topics, counts, strict=True) for record in topic[:count]]
        topics = [topic[count:] for topic, count in zip(topics, counts, strict=True)]
        found += by_content(batch)
    return found + list(by_content([*topics[0], *topics[1]]))


def _others(value: Any) -> Iterator[Any]:
    """Other values for a key, far ones first."""
    match value:
        case bool():
            yield not value
        case "others":
            yield "own"
        case int():
            yield from (value // 3, value // 2, value - 1, value * 2, value + 1)
        case float():
            yield from (value * 0.4, value * 2, value + 0.4 * (1 - value), value * 0.99, value * 1.001)


def _can_be(key: tuple[str, ...], value: Any) -> bool:
    settings = Policy().model_dump(mode="json")
    if value == _value(settings, key):
        return False
    _value(settings, key[:-1])[key[-1]] = value
    try:
        Policy.model_validate(settings)
    except ValidationError:
        return False
    return True


def _value(settings: Any, key: tuple[str, ...]) -> Any:
    for name in key:
        settings = settings[name]
    return settings
