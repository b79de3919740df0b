"""Worlds that the tools do not have: every channel at random, a storm, relatives, two rooms, and homes of one and of eight.

Law: people, phones and habits are drawn as in the tool's worlds; only what a scenario says is other.
"""

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np

from .people import FAR
from .tools import tool

__all__ = ["HARD", "hard_scenarios", "home_of", "write_hard"]

HARD: Final = ("noisy", "storm", "kin", "rooms", "one", "eight")
SIZES: Final = {"one": 1, "eight": 8}
TELEPHONE: Final = "tel8k_mulaw"


def write_hard(scenario: str, people: Path, out: Path, args: argparse.Namespace) -> None:
    """Write such a world of a data folder's people; `args` as the tool's: seed, households, voices."""
    world: Any = tool("world")
    world.SCENARIOS |= hard_scenarios(world)
    args = argparse.Namespace(enrol=None, phoneless=0.1, **vars(args))
    corpus, home = world.Corpus(people, args.voices), home_of(world, scenario)
    homes = [home(corpus, world.SCENARIOS[scenario], index, args).run(scenario) for index in range(args.households)]
    world.write(out, scenario, homes, [item for one in homes for item in one.items], args)


def hard_scenarios(world: Any) -> dict[str, Any]:
    """What is special about each, by its name."""
    clean, telephone = {"clean": 1.0}, {TELEPHONE: 1.0}
    any_channel = {"clean": 0.25, TELEPHONE: 0.25, FAR: 0.25, "babble_5dB": 0.25}
    rooms = {"clean": 0.5, FAR: 0.5}
    swapped, make = (clean, clean, telephone, telephone), world.Scenario
    return {
        "noisy": make("every channel at random, 30 % guests", (any_channel,) * 4, enrol=3, guests=0.3),
        "storm": make("telephone half way, lies, 40 % guests", swapped, enrol=3, guests=0.4, trait="false_feedback"),
        "kin": make("all homes are of the nearest voices"),
        "rooms": make("a far microphone in a second room", (rooms,) * 4),
        "one": make("homes of one person"),
        "eight": make("homes of eight people"),
    }


def home_of(world: Any, scenario: str) -> type:
    """The homes of a scenario, of the tool's or of these."""
    class Home(world.Household):  # type: ignore[misc]
        def _people(self) -> None:
            self.hard |= scenario == "kin"
            if scenario in SIZES:
                self.rng = _Sized(self.rng, SIZES[scenario])
            super()._people()

        def _recognition(self, at: int, person: Any, voice: Any, *rest: Any, **more: Any) -> str:
            event: str = super()._recognition(at, person, voice, *rest, **more)
            if scenario == "rooms" and voice[1] == FAR:
                self.items[-1][-1]["device_id"] = "hall"
            return event

    return Home


class _Sized:
    """A generator whose first whole number, by which the tool chooses how many live in a home, is given."""

    def __init__(self, generator: np.random.Generator, size: int) -> None:
        self._generator, self._size = generator, [size]

    def integers(self, *words: Any, **more: Any) -> Any:
        return self._size.pop() if self._size else self._generator.integers(*words, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)
