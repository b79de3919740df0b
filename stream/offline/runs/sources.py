"""Where the things are that a run was made of: its logs, its packs and its first states.

Law: a manifest names them without their places. They are looked for where the run's own progress says they lay, then beside the
run and here, or taken as they are given; what is found is what the manifest says, or it is refused.
"""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

import msgspec

from stream.brokers.digests import RecordDigests
from stream.brokers.files import LogProgress
from stream.brokers.log_files import STDIN, InvalidLog
from stream.contract.codec import household_of_key
from stream.contract.errors import Incomparable
from stream.contract.packs import PACKS, load_pack
from stream.contract.records import Record

from ..replay.applied import as_applied
from ..replay.manifest import BY_JOURNAL, digest_of_pack
from ..replay.replay import PACK_FILES
from ..what_if.what_if import WhatIf
from .difference import CompleteRun

__all__ = ["Given", "find_policy", "find_records", "find_states"]

_AT_ONCE: Final = 1_000  # records


@dataclass(frozen=True, slots=True)
class Given:
    """What is told of places: logs, of either run or both; packs by their files; the first states."""

    logs: Sequence[str] = ()
    packs: Sequence[Path] = ()
    states: Path | None = None


def find_records(run: CompleteRun, given: Given, homes: Collection[str]) -> list[Record]:
    """The records of some homes in the order in which a run had them. All of its logs are read, to know that they are its own.

    Raises
    ------
    Incomparable
        They are not to be found, or hold other records or another order.
    """
    names, digests, found = _logs(run, given), RecordDigests(), list[Record]()
    try:
        with as_applied(names, run.manifest.batches.ordering == BY_JOURNAL) as log:
            records = WhatIf.read(run.manifest.inputs.what_if).apply(log)
            while some := list(islice(records, _AT_ONCE)):
                digests.note(some)
                found += (record for record in some if household_of_key(record.key) in homes)
    except InvalidLog as error:
        raise Incomparable(f"The log of {run.folder} cannot be read: {error}. Give its files by --logs") from None
    if digests.order != run.manifest.inputs.order:
        named = ", ".join(names)
        raise Incomparable(f"{run.folder} was not made of {named}: records, or their order, are others. Give its files by --logs")
    return found


def find_policy(run: CompleteRun, given: Given) -> dict[str, Any]:
    """The policy of a run, its packs named by files that hold their numbers.

    Raises
    ------
    Incomparable
        A pack is not to be found.
    """
    progress = LogProgress.read(run.folder)
    placed = msgspec.json.decode(progress.run.get(PACK_FILES, "{}"), type=dict[str, str]) if progress else {}
    policy = msgspec.json.decode(msgspec.json.encode(run.manifest.policy))
    for encoder, pack in run.manifest.packs.items():
        told = policy["encoders"][encoder]
        shipped = [pack.name] if (PACKS / f"{pack.name}.npz").is_file() else []
        candidates = [*shipped, *map(str, given.packs), *([placed[encoder]] if encoder in placed else [])]
        fits = next((name for name in candidates if _is_pack(name, told["metric"], pack.sha256)), None)
        if fits is None:
            why = f"the pack {pack.name} of the encoder {encoder} (its numbers have SHA-256 {pack.sha256[:16]}…) is not found"
            raise Incomparable(f"{run.folder} cannot be made again: {why}. Give its file by --pack")
        told["pack"] = fits
    return policy  # type: ignore[no-any-return]


def find_states(runs: Sequence[CompleteRun], given: Given) -> Path | None:
    """The file of the states that runs began with; None: they began with none. What is in it is compared once it is used."""
    if not runs[0].manifest.inputs.states:
        return None
    placed = [progress.run.get("from", "") for run in runs if (progress := LogProgress.read(run.folder))]
    found = next((Path(name) for name in [str(given.states or ""), *placed] if name and Path(name).is_file()), None)
    if found is None:
        raise Incomparable(f"{runs[0].folder} began with states that are not found. Give their file by --from")
    return found


def _logs(run: CompleteRun, given: Given) -> Sequence[str]:
    """The files of a run. Of those that are given those that bear its names, if they all do; else all."""
    names = [file.name for file in run.manifest.inputs.logs]
    if given.logs:
        sizes = {(file.name, file.bytes) for file in run.manifest.inputs.logs}
        own = [log for log in given.logs if os.path.isfile(log) and (os.path.basename(log), os.path.getsize(log)) in sizes]
        return own if len(own) == len(names) else given.logs
    if STDIN in names:
        raise Incomparable(f"{run.folder} was made of standard input, which is gone. Give its records as files by --logs")
    progress = LogProgress.read(run.folder)
    placed = progress.run["logs"].split(os.pathsep) if progress else []
    if placed and all(map(os.path.isfile, placed)):
        return placed
    places = run.folder.parent, Path()
    beside = [next((str(place / name) for place in places if (place / name).is_file()), name) for name in names]
    missing = [name for name in beside if not os.path.isfile(name)]
    if missing:
        raise Incomparable(f"{', '.join(missing)}, of which {run.folder} was made, is not found. Give its files by --logs")
    return beside


def _is_pack(name: str, metric: Any, sha256: str) -> bool:
    try:
        return digest_of_pack(load_pack(name, metric)) == sha256
    except ValueError:
        return False
