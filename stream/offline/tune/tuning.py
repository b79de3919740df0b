"""Tuning: policies are tried on some homes, and the best of them is confirmed on the others, or nothing is picked.

Law: the homes that confirm are looked at once, by the winner and the live policy alone; a winner is confirmed when the interval
of its difference there leaves out nothing at all, and it breaks no budget that the live policy holds. `compare` judges.
"""

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from stream.contract.errors import ConfigError
from stream.contract.policy import Policy

from ..compare.answered import Answered
from ..compare.comparison import Judge, judges, questions_of
from ..compare.figures import BUDGETS, FIGURES, HomeSums, figures_of
from ..compare.ground import Ground
from ..compare.intervals import Interval, differences
from ..compare.questions import Questions
from ..compare.side_by_side.processes import answer_all
from ..replay.jobs.processes import usable_cores
from .space import Space
from .split import part
from .trials import Trials, Tried

__all__ = ["Confirmation", "Outcome", "Task", "tune"]

Watch = Callable[[int, int, float | None], None]  # trials done, in all, and the best so far
_PINNED: Final = ("guests", "members")


@dataclass(frozen=True, slots=True)
class Task:
    """What is tuned: a space, on what ground and by which truth, to better which figure, and how.

    `share` of the homes confirm; `trials` are tried in all, those of earlier commands included; `storage` keeps them.
    """

    space: Space
    ground: Ground
    figure: str
    storage: Path
    truth: Path | None = None
    trials: int = 50
    share: float = 0.5
    seed: int = 0
    jobs: int = 1


class Confirmation(NamedTuple):
    """The winner less the live policy on one part of the homes: how many they are, both figures, and the difference."""

    homes: int
    live: float
    winner: float
    difference: Interval


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. Without a `winner` no trial held the budgets; `broken` are those that it breaks where it is confirmed."""

    figure: str
    by: str
    trials: int
    finished: bool
    winner: Policy | None = None
    values: Mapping[str, Any] | None = None
    tuned: Confirmation | None = None
    confirmed: Confirmation | None = None
    broken: Sequence[str] = ()

    @property
    def is_confirmed(self) -> bool:
        """Whether the winner is better where it was not tuned, for sure."""
        if self.confirmed is None or self.broken:
            return False
        one, better = self.confirmed.difference, FIGURES[self.figure].better
        return bool((one.low if better > 0 else -one.high) > 0)

    @property
    def lost(self) -> float:
        """How much less was gained on the homes that confirm than on those it was tuned on."""
        assert self.tuned is not None, "a winner"
        assert self.confirmed is not None, "a winner"
        return FIGURES[self.figure].better * (self.tuned.difference.value - self.confirmed.difference.value)


def tune(task: Task, stop: Callable[[], bool] = lambda: False, watch: Watch = lambda *_: None) -> Outcome:
    """Try policies until there were as many as asked for or `stop()` says so, which is asked between rounds; then confirm.

    Raises
    ------
    ConfigError
        The figure is none to be bettered or cannot be measured here, a part has no homes, or the storage is of another tuning.
    InvalidLog, JobLost
        As `compare`.
    """
    if task.figure not in FIGURES or not FIGURES[task.figure].better:
        known = ", ".join(name for name, figure in FIGURES.items() if figure.better)
        raise ConfigError("figure", task.figure, "the command line", f"one of {known}")
    with _parts(task) as (tuned, confirmed):
        first = _Part.of(tuned, task)
        trials = Trials(task.storage, task.space, _identity(task, first), FIGURES[task.figure].better, task.seed)
        while trials.done < task.trials and not stop():
            _round(task, trials, first, watch)
        best = trials.best()
        if trials.done < task.trials or best is None:
            return Outcome(task.figure, first.by, trials.done, trials.done >= task.trials)
        winner = task.space.policy(best.params)
        assert winner is not None, "what was tried is a policy"
        second = _Part.of(confirmed, task)
        here, there = (_confirmation(one, winner, task.figure) for one in (first, second))
        broken = second.broken_names(winner)
        return Outcome(task.figure, first.by, trials.done, True, winner, best.params, here, there, broken)


@contextmanager
def _parts(task: Task) -> Iterator[tuple[Ground, Ground]]:
    with tempfile.TemporaryDirectory(prefix="kithkin-tune-") as folder:
        paths = part(task.ground, task.share, task.seed, Path(folder))
        for path, what in zip(paths, ("to tune on", "to confirm on"), strict=True):
            if not path.stat().st_size:
                raise ConfigError("LOG", " ".join(task.ground.logs), f"which has no homes {what}", "a log of more homes")
        wiring = task.ground.wiring.model_copy(update={"prefix": ""})  # as the parts are written
        tuned, confirmed = (replace(task.ground, logs=[str(path)], wiring=wiring) for path in paths)
        yield tuned, confirmed


def _round(task: Task, trials: Trials, first: "_Part", watch: Watch) -> None:
    """As many trials as there are processes, at once."""
    asked = trials.ask(min(task.jobs or usable_cores(), task.trials - trials.done))
    policies = [task.space.policy(trial.params) for trial in asked]
    found = iter(first.try_policies([policy for policy in policies if policy is not None], task.figure))
    for trial, policy in zip(asked, policies, strict=True):
        trials.tell(trial, None if policy is None else next(found))
    best = trials.best()
    watch(trials.done, task.trials, None if best is None else best.value)


def _identity(task: Task, first: "_Part") -> dict[str, str]:
    """What makes it this tuning: other policies or logs give figures that cannot be compared with those before."""
    space = hashlib.sha256(repr((sorted(task.space.fixed.items()), sorted(task.space.distributions.items()))).encode())
    events = hashlib.sha256(repr((first.questions.homes, list(first.questions.rows)[-1], len(first.questions.home))).encode())
    return {
        "live policy": task.space.live.policy_id, "space": space.hexdigest()[:16], "log": events.hexdigest()[:16],
        "figure": task.figure, "way of judging": first.by, "split of homes": f"{task.share} by {task.seed}",
    }  # fmt: skip


@dataclass(slots=True)
class _Part:
    """One part of the homes, with what the live policy answered there."""

    ground: Ground
    jobs: int
    live: Policy
    questions: Questions
    answered: Answered
    judge: Judge
    sums: dict[str, HomeSums]  # by policy_id

    @classmethod
    def of(cls, ground: Ground, task: Task) -> "_Part":
        questions, live = questions_of(ground, task.truth), task.space.live
        [answered] = answer_all([[live]], ground, questions, task.jobs).answered
        found = judges(questions, [answered])
        if not found or np.isnan(figures_of(sums := found[0].sums(live, answered), sums.total)[task.figure]):
            right = "a log of which people said more, or --truth; or another --figure"
            raise ConfigError("figure", task.figure, "which cannot be measured on a part of these homes", right)
        return cls(ground, task.jobs, live, questions, answered, found[0], {live.policy_id: sums})

    @property
    def by(self) -> str:
        return self.judge.by

    def sums_of(self, policies: Sequence[Policy]) -> list[HomeSums]:
        """What policies come to here; each is run once."""
        new = [policy for policy in policies if policy.policy_id not in self.sums]
        new = list({policy.policy_id: policy for policy in new}.values())
        found = answer_all([[one] for one in new], self.ground, self.questions, self.jobs)
        for policy, answered in zip(new, found.answered, strict=True):
            self.sums[policy.policy_id] = self.judge.sums(policy, answered)
        return [self.sums[policy.policy_id] for policy in policies]

    def try_policies(self, policies: Sequence[Policy], figure: str) -> list[Tried | None]:
        """What trials come to; None: the figure cannot be measured."""
        out: list[Tried | None] = []
        for sums in self.sums_of(policies):
            value = float(figures_of(sums, sums.total)[figure])
            out.append(None if np.isnan(value) else Tried(value, self._excess(sums)))
        return out

    def broken_names(self, policy: Policy) -> list[str]:
        """Budgets that a policy breaks, and the live one does not."""
        [sums] = self.sums_of([policy])
        return [name for name, points in self._excess(sums).items() if points > 0]

    def _excess(self, sums: HomeSums) -> dict[str, float]:
        """By how many points each budget, or what the live policy does if that is more, is passed; only truth tells."""
        if self.by != "truth":
            return {}
        live = self.sums[self.live.policy_id]
        here, there = figures_of(live, live.total), figures_of(sums, sums.total)
        names = {f"tier{tier}_{side}": 100 * budget for tier, budget in BUDGETS.items() for side in _PINNED}
        return {
            name: float(there[name]) - max(budget, float(here[name]))
            for name, budget in names.items() if name in here and not np.isnan(here[name] + there[name])
        }  # fmt: skip


def _confirmation(one: _Part, winner: Policy, figure: str) -> Confirmation:
    live, won = one.sums_of([one.live, winner])
    here, there = (float(figures_of(sums, sums.total)[figure]) for sums in (live, won))
    return Confirmation(len(one.questions.homes), here, there, differences(live, won)[figure])
