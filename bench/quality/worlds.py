"""The worlds of judged people, with the answers of the recognisers of `baselines.py`.

Law: nothing here depends on our recogniser, so a world is made once for its settings, and kept.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .hard_worlds import HARD, write_hard
from .judged import judge
from .life_world import LIFE, write_life
from .people import Side, write_half
from .tools import SHARED, tool

__all__ = ["Trial", "without_claims", "world_of"]


class Trial(NamedTuple):
    """One world: a scenario with a seed, of one half of the people."""

    scenario: str
    seed: int
    half: int
    households: int
    voices: str = "an4"

    @property
    def side(self) -> Side:
        """Each seed splits the people in its own way."""
        return Side(self.seed, self.half, self.voices)


def world_of(trial: Trial, kept: Path) -> Path:
    """The folder of the trial's world, with the judged answers of the baselines; made when it is not there."""
    world = kept / _source_key() / trial.voices / trial.side.name / f"{trial.scenario}-{trial.households}"
    if (world / "oracle.npz").exists():
        return world
    world.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=world.parent) as temporary:
        folder = Path(temporary)
        people = write_half(SHARED / "data", folder / "people", trial.side)
        made = folder / "world"
        if trial.scenario == LIFE:
            write_life(people, made, trial.seed, trial.households)
        elif trial.scenario in HARD:
            args = argparse.Namespace(seed=trial.seed, households=trial.households, voices=trial.voices)
            write_hard(trial.scenario, people, made, args)
        else:
            sizes = ("--seed", trial.seed, "--households", trial.households, "--voices", trial.voices)
            _call("world", trial.scenario, made, "--data", people, *sizes)
        for method in ("static", "oracle"):
            _call("baselines", method, made, made / method)
            np.savez(made / f"{method}.npz", **judge(made, made / method))  # type: ignore[arg-type]
        with suppress(OSError):  # the folder is there: another process was faster, with the same world
            os.rename(made, world)
    return world


def _call(name: str, *words: object) -> None:
    """Run a tool as a command."""
    command = [sys.executable, SHARED / "tools" / f"{name}.py", *words]
    subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL)


@cache
def _source_key() -> str:
    """A name for all that a world and its baselines are made of."""
    own = [Path(__file__).parent / name for name in ("hard_worlds.py", "people.py", "judged.py", "life_world.py", "worlds.py")]
    sources = [*sorted((SHARED / "tools").glob("*.py")), *sorted((SHARED / "data").glob("*.npz")), *own]
    digest = hashlib.blake2b(digest_size=6)
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()


def without_claims(world: Path, target: Path) -> Path:
    """The world's log without what is said about an attacker's events."""
    score = tool("score")
    attacks = {t["event_id"] for t in score.lines(world / "truth.jsonl") if t.get("claimed")}
    with open(world / "log.jsonl") as log, open(target, "w") as quiet:
        for line in log:
            record = json.loads(line)
            if record["topic"] != "feedback" or record["value"].get("event_id") not in attacks:
                quiet.write(line)
    return target
