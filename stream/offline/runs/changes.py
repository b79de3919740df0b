"""What may make two runs differ: their policies key by key, their packs, the order of their records, and what they were made by.

Law: every difference of two manifests that can change an output is one change here, and nothing else is.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final, Literal

from ..policies.paths import ABSENT, Path, put, take, walk
from ..replay.manifest import Made, Manifest

__all__ = ["Change", "changes_of", "keys_of", "find_made_otherwise", "with_changes"]

_MODEL: Final = ("own_model",)
_DEPTH: Final = 3  # of a key: what lies deeper is its value
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
        before, after = ours.get(path, ABSENT), theirs.get(path, ABSENT)
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
    made: dict[str, Any] = deepcopy(dict(a))
    for change in changes:
        if change.path:
            put(made, change.path, take(b, change.path))
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
    for path, value in walk(policy, lambda path, _: path == _MODEL or len(path) == _DEPTH):
        match path:
            case ("encoders", name, key) if name not in encoders or key == "pack":
                continue
            case ("own_model",) if value is None:
                continue
        yield path, value


def _describe_order(manifest: Manifest) -> str:
    batches = manifest.batches
    return f"that of {', '.join(file.name for file in manifest.inputs.logs)} ({batches.count:,} batches)"


def _show(value: object) -> str:
    return "not there" if value is ABSENT else str(value).lower() if isinstance(value, bool) else str(value)
