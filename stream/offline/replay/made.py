"""What a replay was made of, for people: its inputs, its policy and its programs, from the manifest.

Law: nothing is told that the manifest does not say; of a run without one, nothing is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stream.contract.errors import Incomparable
from stream.contract.policy import Policy

from ..policies.paths import leaves
from ..runs.difference import CompleteRun
from ..runs.sources import Given, find_policy
from .manifest import Manifest, read_manifest

__all__ = ["describe_made"]

Rows = list[tuple[str, str]]


def describe_made(folder: Path) -> tuple[list[tuple[str, Rows]], Policy | None]:
    """Headings with names and values; and the policy, with its packs where they lie: None where it is not to be had."""
    try:
        manifest = read_manifest(folder)
    except Incomparable:
        return [], None
    try:
        policy = Policy.model_validate(find_policy(CompleteRun(folder, manifest), Given()))
    except (Incomparable, ValidationError):
        policy = None
    parts = [("Inputs", [*_inputs(manifest)]), ("Policy", [*_policy(manifest, policy)]), ("Made by", [*_programs(manifest)])]
    return parts, policy


def _inputs(manifest: Manifest) -> Iterator[tuple[str, str]]:
    for file in manifest.inputs.logs:
        yield file.name, f"{file.bytes:,} bytes, SHA-256 {file.sha256[:16]}…"
    yield "records", f"{manifest.inputs.records:,}"
    for topic, partitions in sorted(manifest.inputs.partitions.items()):
        records = sum(one.records for one in partitions.values())
        yield topic, f"{records:,} in {len(partitions):,} partition{'s' if len(partitions) > 1 else ''}"
    yield "batches", f"{manifest.batches.count:,} of at most {manifest.batches.records_max:,}, {manifest.batches.ordering}"
    yield "first states", f"SHA-256 {manifest.inputs.states[:16]}…" if manifest.inputs.states else "none: from nothing"
    if manifest.inputs.what_if:
        yield "what if", manifest.inputs.what_if


def _policy(manifest: Manifest, policy: Policy | None) -> Iterator[tuple[str, str]]:
    yield "policy_id", manifest.policy_id
    usual = leaves(Policy())
    changed = {} if policy is None else {path: value for path, value in leaves(policy).items() if usual.get(path) != value}
    for path, value in changed.items():
        yield ".".join(path), _in_short(value, usual.get(path))
    if policy is not None and not changed:
        yield "settings", "the defaults"
    for encoder, pack in manifest.packs.items():
        yield f"pack of {encoder}", f"{pack.name}, SHA-256 {pack.sha256[:16]}…"


def _in_short(value: Any, usual: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {one}" for key, one in value.items() if one is not None)
    return f"{value}" if usual is None else f"{value} (default {usual})"


def _programs(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield from manifest.made.versions.items()
    yield "processor", f"{manifest.made.processor.name} ({manifest.made.processor.machine})"
