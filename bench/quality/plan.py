"""How much is measured: seeds, homes and corpora, and the trials that come of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from .trials import Settings
from .worlds import Trial

__all__ = ["Plan", "trials_of"]


@dataclass(frozen=True)
class Plan:
    """How much is measured. Every seed is judged on both halves of the people."""

    settings: Settings
    seeds: Sequence[int] = (0, 1, 2, 3, 4)
    households: int = 40
    draws: int = 300
    jobs: int = 2
    life_households: int = 4
    voices: str = "an4"

    @property
    def smaller(self) -> "Plan":
        """For a quick look, and for ablations, of which there are many."""
        return replace(self, seeds=self.seeds[:2], households=min(self.households, 30))


def trials_of(scenario: str, plan: Plan) -> list[Trial]:
    return [Trial(scenario, seed, half, plan.households, plan.voices) for seed in plan.seeds for half in (0, 1)]
