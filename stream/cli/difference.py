"""What a person sees of a difference between two runs, and of what explains it.

Law: what is the same is said in one line; a list that is cut says how much more there is.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table

from stream.offline.runs.difference import Difference, Example, TopicDifference, expected_difference
from stream.offline.runs.explain import Explanation

__all__ = [
    "compare_expected", "difference_json", "difference_table", "difference_told", "explanation_json", "explanation_told",
    "refuse_unexpectable",
]  # fmt: skip

_LISTED: Final = 8
_FIELDS: Final = ("person_id", "tier", "probability", "withdrawn", "reason", "state", "kind", "log_e_value")  # worth a look


def refuse_unexpectable(expect: Path, out: Path) -> None:
    """Before anything is replayed: what is expected can be opened, and is not what this replay is about to write."""
    from stream.brokers.log_files import LogReader
    from stream.contract.errors import ConfigError

    if expect.resolve().parent == out.resolve():
        raise ConfigError("expect", str(expect), "which this replay writes", "a file of another run, or another --out")
    LogReader([str(expect)], ["identities"], prefix=None).close()


def compare_expected(expect: Path, out: Path, quiet: bool) -> Difference:
    """How identities differ from those expected (A), and unless quiet tell it."""
    difference = expected_difference(expect, out)
    if quiet:
        return difference
    if not difference.differs:
        typer.echo(f"\nAs expected: {difference.topics[0].same:,} identities are those of {expect}.")
    else:
        typer.echo(f"\nNot as expected. A: {expect}; B: this replay.")
        Console(highlight=False).print(difference_table(difference))
        for line in difference_told(difference):
            typer.echo(line)
    return difference


def difference_table(difference: Difference) -> Table:
    """By output topic: how many records are the same or not, of how many homes, and how far probabilities are apart."""
    table = Table(box=None, pad_edge=False, header_style="bold cyan")
    table.add_column("")
    for heading in ("same", "changed", "only in A", "only in B", "homes", "largest difference of a probability"):
        table.add_column(heading, justify="right")
    for topic in difference.topics:
        numbers = topic.same, topic.changed, topic.only_a, topic.only_b, len(topic.homes)
        table.add_row(topic.topic, *(f"{number:,}" for number in numbers), _largest(topic))
    return table


def difference_told(difference: Difference) -> Iterator[str]:
    """What is not in the table: whose records differ, the first of them, and which tiers and names changed."""
    yield f"Homes that differ: {_list_names(difference.homes) or 'none'}"
    if difference.first is not None:
        yield from _first(difference.first)
    if difference.tiers:
        tiers = (f"{a} → {b}: {count:,}" for (a, b), count in difference.tiers.most_common())
        yield f"Tiers: {_list_names(tiers)}"
    if difference.names:
        names = (f"{a} → {b}: {count:,}" for (a, b), count in difference.names.most_common())
        yield f"Names: {_list_names(names)}"


def difference_json(difference: Difference) -> dict[str, Any]:
    """The same for machines."""
    first = difference.first
    return {
        "same": not difference.differs,
        "topics": {
            topic.topic: {
                "same": topic.same, "changed": topic.changed, "only_a": topic.only_a, "only_b": topic.only_b,
                "homes": len(topic.homes), "largest": round(topic.largest, 9), "largest_at": topic.largest_at,
            }
            for topic in difference.topics
        },
        "homes": difference.homes,
        "first": first and {name: getattr(first, name) for name in Example.__slots__},
        "tiers": [{"a": a, "b": b, "count": count} for (a, b), count in difference.tiers.most_common()],
        "names": [{"a": a, "b": b, "count": count} for (a, b), count in difference.names.most_common()],
    }  # fmt: skip


def explanation_told(found: Explanation) -> Iterator[str]:
    """What explains the difference, and what was tried for it."""
    many = len(found.causes)
    whole = not (found.programs or found.unexplained)
    if many:
        explains = "explain" if many > 1 else "explains"
        rest = "every difference" if whole else "what can be made again"
        yield f"{many} change{'s' if many > 1 else ''} {explains} {rest}:"
        yield from (f"  {change}" for change in found.causes)
        yield from (f"    {place}" for place in found.places)
        if found.ordered > found.narrowed:
            yield f"    … and {found.ordered - found.narrowed:,} more homes whose records are in another order"
    if found.programs:
        yield "By elimination, for no setting explains it: the programs that made the runs differ in"
        yield from (f"  {told}" for told in found.programs)
    if found.unexplained:
        yield found.unexplained + "."
    if found.idle:
        yield f"Changed too, and not needed to explain it: {_list_names(change.name for change in found.idle)}"
    homes = f"{found.homes:,} home{'' if found.homes == 1 else 's'}"
    yield f"Found by {found.runs} replays of {homes} ({found.records:,} records), among {found.keys} keys that may differ."


def explanation_json(found: Explanation) -> dict[str, Any]:
    """The same for machines."""
    changes = {
        name: [{"kind": change.kind, "name": change.name, "a": change.a, "b": change.b} for change in some]
        for name, some in (("causes", found.causes), ("idle", found.idle))
    }
    rest = ("programs", "unexplained", "places", "ordered", "narrowed", "homes", "runs", "records", "keys")
    return {**changes, **{name: getattr(found, name) for name in rest}}


def _first(first: Example) -> Iterator[str]:
    at = datetime.fromtimestamp(first.at_ms / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    what = ", ".join(f"revision {part}" if isinstance(part, int) else str(part) for part in first.what)
    yield f"First: {first.topic} of {first.home or 'no home'}, {what}, at {at}"
    for name, side, other in (("A", first.a, first.b), ("B", first.b, first.a)):
        yield f"  {name}: {_values(side, other)}"


def _values(side: dict[str, Any] | None, other: dict[str, Any] | None) -> str:
    """What one side has, as far as the other has it differently."""
    if side is None:
        return "nothing"
    told = [f"{name} {side[name]}" for name in _FIELDS if name in side and (other is None or side[name] != other.get(name))]
    posterior = side.get("posterior") or {}
    if posterior and (other is None or posterior != other.get("posterior")):
        likely = sorted(posterior.items(), key=lambda item: -item[1])[:3]
        told.append("posterior " + ", ".join(f"{person} {probability:.6f}" for person, probability in likely))
    changed = [name for name in side if other is not None and side[name] != other.get(name)]
    return "; ".join(told) or f"other {', '.join(changed) or 'time'}"


def _largest(topic: TopicDifference) -> str:
    if not topic.largest:
        return ""
    return f"{topic.largest:.6f} ({' '.join(map(str, topic.largest_at))})"


def _shorten(told: list[str]) -> Iterator[str]:
    yield from told[:_LISTED]
    if len(told) > _LISTED:
        yield f"… and {len(told) - _LISTED:,} more"


def _list_names(told: Iterable[str]) -> str:
    return ", ".join(_shorten(list(told)))
