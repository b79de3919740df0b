"""What may make two runs differ: their policies key by key, their packs, the order of their records, and what they were made by.

Law: every difference of two manifests that can change an output is one change here, and nothing else is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..replay.manifest import Made, Manifest

__all__ = ["Change", "changes_of", "keys_of", "find_made_otherwise", "with_changes"]

Path = tuple[str, ...]
_ABSENT: Final = object()
_MODEL: Final = "own_model"
_VERSIONS: Final = {"step": "version of step", "state": "version of states"}


@dataclass(frozen=True, slots=True)
class Change:
    """One change from run A to run B: its kind, what was changed, and from what to what, as people read it."""

    kind: Literal["policy", "pack", "order"]
    name: str
    a: str
    b: str
    path: Path = ()

    def __str__(self) -> str:
        """As a line of an explanation."""
        told = {"policy": "policy key ", "pack": "pack of the encoder ", "order": ""}[self.kind]
        return f"{told}{self.name}: {self.a} → {self.b}"


def changes_of(a: Manifest, b: Manifest) -> list[Change]:
    """All that can be changed one by one between two runs of the same records."""
    encoders = [side.policy["encoders"] for side in (a, b)]
    listed = {*encoders[0]} & {*encoders[1]}
    ours, theirs = dict(_leaves(a.policy, listed)), dict(_leaves(b.policy, listed))
    changes = []
    for name in sorted({*encoders[0], *encoders[1]} - listed):
        here, there = ("there" if name in side else "not there" for side in encoders)
        changes.append(Change("policy", f"encoders.{name}", here, there, ("encoders", name)))
    for path in {**ours, **theirs}:
        before, after = ours.get(path, _ABSENT), theirs.get(path, _ABSENT)
        if before != after:
            changes.append(Change("policy", ".".join(path), _show(before), _show(after), path))
    for encoder in sorted(listed & {*a.packs, *b.packs}):
        packs = [side.packs.get(encoder) for side in (a, b)]
        if len({pack and pack.sha256 for pack in packs}) == 2:
            here, there = (f"{pack.name} ({pack.sha256[:8]}…)" if pack else "none" for pack in packs)
            changes.append(Change("pack", encoder, here, there, ("encoders", encoder, "pack")))
    if a.inputs.order != b.inputs.order:
        changes.append(Change("order", "order of the records", _describe_order(a), _describe_order(b)))
    return changes


def keys_of(a: Manifest, b: Manifest) -> int:
    """How many things there are that may have been changed, whether they were or not."""
    keys = {path for side in (a, b) for path, _ in _leaves(side.policy, side.policy["encoders"])}
    return len(keys) + len({*a.packs, *b.packs}) + 1  # the order of records


def with_changes(a: Mapping[str, Any], b: Mapping[str, Any], changes: Iterable[Change]) -> dict[str, Any]:
    """The policy of run A, with these changes taken from that of run B."""
    made: dict[str, Any] = _copy(a)
    for change in changes:
        if change.path:
            _set(made, b, change.path)
    return made


def find_made_otherwise(a: Made, b: Made) -> list[str]:
    """In what the programs differ that made two runs, as people read it; empty: in nothing."""
    names = [name for name in {**a.versions, **b.versions} if a.versions.get(name) != b.versions.get(name)]
    found = [f"{_VERSIONS.get(name, name)} {a.versions.get(name, 'none')} → {b.versions.get(name, 'none')}" for name in names]
    rooms = [room for room in {**a.code, **b.code} if a.code.get(room) != b.code.get(room)]
    found += [f"code of kithkin in {', '.join(rooms)}"] if rooms else []
    if a.processor != b.processor:
        found.append(f"processor {_processor(a)} → {_processor(b)}")
    return found


def _processor(made: Made) -> str:
    return f"{made.processor.name} ({made.processor.machine}, {len(made.processor.features.split())} features)"


def _leaves(policy: Mapping[str, Any], encoders: Collection[str]) -> Iterator[tuple[Path, Any]]:
    """Keys and values, of these encoders only; a table of tables, as that of the sources, key by key.

    What names a pack is none of them: a pack is its numbers. A model of the policy's own is one thing, if there is one.
    """
    for table, fields in policy.items():
        if table == _MODEL:
            yield from [((table,), fields)] if fields is not None else ()
            continue
        for name, value in fields.items():
            if table == "encoders" and name not in encoders:
                continue
            if not isinstance(value, Mapping):
                yield (table, name), value
            for inner, content in value.items() if isinstance(value, Mapping) else ():
                if (table, inner) != ("encoders", "pack"):
                    yield (table, name, inner), content


def _describe_order(manifest: Manifest) -> str:
    batches = manifest.batches
    return f"that of {', '.join(file.name for file in manifest.inputs.logs)} ({batches.count:,} batches)"


def _show(value: object) -> str:
    return "not there" if value is _ABSENT else str(value).lower() if isinstance(value, bool) else str(value)


def _copy(table: Any) -> Any:
    return {name: _copy(value) for name, value in table.items()} if isinstance(table, Mapping) else table


def _set(made: dict[str, Any], b: Mapping[str, Any], path: Sequence[str]) -> None:
    """Make one key what it is in B, or leave it out where B has none."""
    *tables, key = path
    here, there = made, b
    for name in tables:
        here, there = here.setdefault(name, {}), there.get(name, {})
    if key in there:
        here[key] = _copy(there[key])
    else:
        here.pop(key, None)
