"""A world of long lives: homes of judged people over three years, whose voices change slowly all the time.

Law: no recording comes twice. A voice at an event is turned out of two recordings of its speaker around the speaker's mean,
which keeps how much recordings of one person differ; the conditions of `ageing` are passed through without a step.
"""

import argparse
from pathlib import Path
from typing import Any, Final

import numpy as np

from .tools import tool

__all__ = ["EVENTS", "LIFE", "QUARTERS", "write_life"]

LIFE: Final = "life"
EVENTS: Final = 5_000
QUARTERS: Final = 12
DAYS: Final = 3 * 365
AGES: Final = ("clean", "speed_0.975", "speed_0.950", "speed_0.900")


def write_life(people: Path, out: Path, seed: int, households: int) -> None:
    """Write the world of a data folder's people, in the form of the other worlds."""
    world: Any = tool("world")
    world.EVENTS_PER_DAY = EVENTS / DAYS
    world.SCENARIOS[LIFE] = world.Scenario("three years, ageing", _quarters(), enrol=3, events=EVENTS)
    args = argparse.Namespace(seed=seed, voices="an4", enrol=None, phoneless=0.1)
    corpus, home = _ageing(world.Corpus(people)), _home_of(world)
    homes = [home(corpus, world.SCENARIOS[LIFE], index, args).run(LIFE) for index in range(households)]
    world.write(out, LIFE, homes, [item for one in homes for item in one.items], args)


def _quarters() -> tuple[dict[str, float], ...]:
    return tuple({f"quarter_{number}": 1.0} for number in range(QUARTERS))


def _ageing(corpus: Any) -> Any:
    """The corpus with a condition for each quarter, between the conditions of ageing."""
    ages = [corpus.voice_conditions.index(age) for age in AGES]
    for number, place in enumerate(np.linspace(0, len(AGES) - 1, QUARTERS)):
        before, share = min(int(place), len(AGES) - 2), place - min(int(place), len(AGES) - 2)
        voice = (1 - share) * corpus.voice[ages[before]] + share * corpus.voice[ages[before + 1]]
        corpus.voice = np.concatenate([corpus.voice, voice[None]])
        corpus.seconds = np.concatenate([corpus.seconds, corpus.seconds[:1]])
        corpus.voice_conditions.append(f"quarter_{number}")
    return corpus


def _home_of(world: Any) -> type:
    """The tool's household, with a life of equal quarters and voices that never repeat."""

    class Home(world.Household):  # type: ignore[misc]
        def _deal(self, person: Any, enrolled: int) -> None:
            super()._deal(person, enrolled)
            person.pools = [[u for pool in person.pools for u in pool]] * QUARTERS

        def _turns(self, phase: int) -> list[tuple[Any, int]]:
            guest = self.rng.random(round(self.s.events / QUARTERS)) < self.s.guests
            who = [self._any(self.visitors if one else self.members) for one in guest]
            return [(person, int(self._any(person.pools[phase]))) for person in who]

        def _voice(self, utterance: int, condition: str) -> dict[str, Any]:
            own = next(u for u in self.c.utterances.values() if utterance in u)
            recordings = self.c.voice[self.c.voice_conditions.index(condition)]
            mean, turn = recordings[own].mean(0), self.rng.uniform(0, 2 * np.pi)
            another = recordings[int(self._any(own))]
            voice = mean + np.cos(turn) * (recordings[utterance] - mean) + np.sin(turn) * (another - mean)
            part: dict[str, Any] = super()._voice(utterance, condition)
            return part | {"embedding": world.b64(voice / np.linalg.norm(voice))}

    return Home
