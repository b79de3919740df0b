"""Trials: a world of judged people, replayed with packs that were fitted on others.

Law: our own answers are always made anew, with packs fitted anew, by the code as it stands.
"""

import collections
import tempfile
import time
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay

from . import judged
from .judged import Columns
from .people import Side, fit_packs, judged_files, write_half
from .tools import SHARED, tool
from .worlds import Trial, without_claims, world_of

__all__ = ["Answers", "Settings", "merged", "policy_for", "run"]


@dataclass(frozen=True)
class Settings:
    """Where worlds are kept, and in what a run is not the ordinary one.

    `overrides`: lines of TOML laid over the policy. `without`: a recording condition that the packs are not fitted on.
    `strangers`: the packs are fitted on none of the corpora judged, instead of on the other half of their people. `unclaimed`:
    what an attacker says is left out of the log.
    """

    cache: Path
    overrides: tuple[str, ...] = ()
    without: str = ""
    strangers: bool = False
    unclaimed: bool = False


class Answers(NamedTuple):
    """What came of a trial: judged events by recogniser, and what our replay took."""

    columns: dict[str, Columns]  # "ours", "static", "oracle"
    records: int
    cpu_seconds: float


def run(trial: Trial, settings: Settings) -> Answers:
    """Replay one world and judge it."""
    world = world_of(trial, settings.cache)
    policy = policy_for(trial.side, settings)
    with tempfile.TemporaryDirectory() as temporary:
        out, log = Path(temporary), world / "log.jsonl"
        if settings.unclaimed:
            log = without_claims(world, out / "log.jsonl")
        began = time.process_time()
        done = replay(Replay([str(log)], out / "ours", policy, Wiring()))
        took = time.process_time() - began
        _check_answers(world, out / "ours")
        ours = judged.judge(world, out / "ours")
    columns = {"ours": ours} | {name: _kept(world / f"{name}.npz") for name in ("static", "oracle")}
    return Answers(columns, done.counts.records, took)


def _check_answers(world: Path, out: Path) -> None:
    """Every readable recognition has exactly one first answer, or nothing that follows means anything."""
    score = tool("score")
    wanted = {t["event_id"]: 1 for t in score.lines(world / "truth.jsonl")}
    answers = (record["value"] for record in score.lines(out / "identities.jsonl"))
    found = collections.Counter(value["event_id"] for value in answers if value["revision"] == 0)
    wrong = [event for event in wanted.keys() | found.keys() if wanted.get(event, 0) != found[event]]
    if wrong:
        raise AssertionError(f"{world}: {len(wrong)} recognitions have not exactly one revision 0, e.g. {min(wrong)}")


def _kept(path: Path) -> Columns:
    with np.load(path) as arrays:
        return dict(arrays)


@cache
def packs_for(side: Side, without: str, strangers: bool) -> dict[str, str]:
    """Packs fitted on everybody but the people of the side; once a process, for what fits may change."""
    folder = Path(_scratch().name) / f"{side.voices}{side.name}{without}{strangers}"
    people = write_half(SHARED / "data", folder / "people", side.other, without)
    return fit_packs(people, folder / "packs", judged_files(side) if strangers else ())


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="kithkin-quality-")


def policy_for(side: Side, settings: Settings) -> Policy:
    """The policy that judges the people of the side."""
    packs = {"encoders": {name: {"pack": path} for name, path in packs_for(side, settings.without, settings.strangers).items()}}
    overrides = [tomllib.loads(line) for line in settings.overrides]
    return Policy.model_validate(merged(Policy().model_dump(), packs, *overrides))


def merged(first: dict[str, Any], *others: dict[str, Any]) -> dict[str, Any]:
    """The tables laid over each other, the last on top."""
    result = dict(first)
    for other in others:
        for key, value in other.items():
            below = result.get(key)
            result[key] = merged(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return result
