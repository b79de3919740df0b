"""What all answers of a run come to, whether or not their homes are on the page: tiers, modalities, revisions, and doubt by home.

Law: answers are noted one by one, those of an event in their order, and forgotten; kept is a few numbers by home and event.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from .run import Answer, EventKey

__all__ = ["Tally"]

_CAUSES: Final = {"feedback": "something that was said", "recognitions": "a later recognition"}


@dataclass(slots=True)
class _Sum:
    """How many, the probabilities of whom came first, how many named somebody."""

    n: int = 0
    sure: float = 0.0
    named: int = 0

    def add(self, answer: Answer) -> None:
        self.n += 1
        self.sure += answer.posterior[answer.best]
        self.named += answer.person_id is not None


@dataclass(slots=True)
class Tally:
    """Counts of first answers by home, tier and modalities, and of later ones by what caused them."""

    homes: dict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    by_tier: Counter[int] = field(default_factory=Counter)
    by_modality: dict[str, _Sum] = field(default_factory=lambda: defaultdict(_Sum))
    revised: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    _last: dict[EventKey, tuple[str, int]] = field(default_factory=dict)

    def note(self, answer: Answer) -> None:
        """Take in an answer."""
        if answer.revision == 0:
            self.homes[answer.key[0]].add(answer)
            self.by_tier[answer.tier] += 1
            self.by_modality[" + ".join(answer.modalities) or "no sensor"].add(answer)
        else:
            self._note_revision(answer)
        self._last[answer.key] = (answer.best, answer.tier)

    def _note_revision(self, answer: Answer) -> None:
        best, tier = self._last.get(answer.key, (answer.best, answer.tier))
        counts = self.revised[_CAUSES.get(answer.cause.topic, answer.cause.topic)]
        counts["n"] += 1
        counts["another person first"] += answer.best != best
        counts["a higher level"] += answer.tier > tier
        counts["a lower level"] += answer.tier < tier

    @property
    def answers(self) -> int:
        """First answers."""
        return sum(self.by_tier.values())

    def doubt(self, home: str) -> float:
        """How improbable whom a home's answers put first was, on average; 0 of no answers."""
        return 1 - self.homes[home].sure / self.homes[home].n if home in self.homes else 0.0

    def draw(self) -> dict[str, Any]:
        """As the page has it: shares are of all first answers."""
        total = max(1, self.answers)
        return {
            "answers": self.answers, "homes": len(self.homes),
            "reached": [sum(n for at, n in self.by_tier.items() if at >= tier) / total for tier in range(1, 6)],
            "modalities": [
                {"name": name, "n": one.n, "sure": round(one.sure / one.n, 4), "named": round(one.named / one.n, 4)}
                for name, one in sorted(self.by_modality.items(), key=lambda item: (-item[1].n, item[0]))
            ],
            "revisions": [{"cause": cause, **counts} for cause, counts in sorted(self.revised.items())],
        }  # fmt: skip
