"""Trials: a world of judged people, replayed with packs that were fitted on others.

Law: our own answers are always made anew, with packs fitted anew, by the code as it stands.
"""

import collections
import os
import tempfile
import time
import tomllib
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stream.contract.policy import Policy
from stream.contract.settings import Wiring
from stream.offline.replay.replay import Replay, replay

from . import judged
from .judged import Columns
from .people import FACE, VOICE, Side, fit_packs, judged_files, write_half
from .tools import SHARED, tool
from .worlds import Trial, without_claims, world_of

__all__ = ["Answers", "Settings", "merged", "policy_for", "run"]


@dataclass(frozen=True)
class Settings:
    """Where worlds are kept, and in what a run is not the ordinary one.

    `packs`: a folder for the packs of this run, shared by its processes. `overrides`: lines of TOML laid over the policy.
    `without`: a recording condition that the packs are not fitted on. `strangers`: the packs are fitted on none of the corpora
    judged, instead of on the other half of their people. `unclaimed`: what an attacker says is left out of the log.
    """

    cache: Path
    packs: Path
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


def packs_for(side: Side, settings: Settings) -> dict[str, str]:
    """Packs fitted on everybody but the people of the side, or but their corpora; once a run, for what fits may change.

    Returns encoder -> the policy's `pack`.
    """
    side = Side(0, 0, side.voices) if settings.strangers else side  # nobody of the corpora is fitted on, whichever is judged
    kept = settings.packs / "-".join([side.voices, side.name, settings.without, "strangers" if settings.strangers else "half"])
    if not kept.exists():
        with tempfile.TemporaryDirectory(dir=kept.parent) as temporary:
            people = write_half(SHARED / "data", Path(temporary) / "people", side.other, settings.without)
            fit_packs(people, Path(temporary) / "packs", judged_files(side) if settings.strangers else ())
            with suppress(OSError):  # it is there: another process was faster, with the same packs
                os.rename(Path(temporary) / "packs", kept)
    return {encoder: str(kept / f"{encoder}.npz") for encoder in (VOICE, FACE)}


def policy_for(side: Side, settings: Settings) -> Policy:
    """The policy that judges the people of the side."""
    packs = {"encoders": {name: {"pack": path} for name, path in packs_for(side, settings).items()}}
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
