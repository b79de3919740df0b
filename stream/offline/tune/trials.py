"""What was tried, in a SQLite file, so that tuning goes on where it stood.

Law: a file holds one tuning: what is tried, on which log, by which figure. What was being tried when the command ended is tried
again first, so that the same is tried however often it was stopped.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from stream.contract.errors import ConfigError

from .space import Space

__all__ = ["Trials", "Tried"]

_NAME: Final = "kithkin"
_SEEDS: Final = 1_000_003  # apart, more than there are trials: each round draws anew, whether or not it is the first of a command
_PLANNED: Final = 10  # first trials that are drawn evenly, before what they say is used


class Tried(NamedTuple):
    """What a trial came to on the homes it was tuned on: the figure, and points by which budgets were broken (0: they hold)."""

    value: float
    broken: Mapping[str, float]


class Trials:
    """The trials of one tuning.

    Parameters
    ----------
    file
        Where they are kept.
    space
        What is tried.
    identity
        What makes it this tuning and no other.
    better
        1: more of the figure is better; -1: less is.

    Raises
    ------
    ConfigError
        The file holds another tuning, or is none.
    """

    def __init__(self, file: Path, space: Space, identity: Mapping[str, str], better: int, seed: int) -> None:
        self._space, self._seed = space, seed
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            direction = optuna.study.StudyDirection.MAXIMIZE if better > 0 else optuna.study.StudyDirection.MINIMIZE
            self._study = optuna.create_study(
                storage=f"sqlite:///{file}", study_name=_NAME, load_if_exists=True, direction=direction
            )
            found = self._study.user_attrs
        except Exception as error:
            right = "a file to be made, or that kithkin tune made"
            raise ConfigError("storage", str(file), type(error).__name__, right) from error
        self._better = better
        for key, value in identity.items():
            if found.get(key, value) != value:
                right = "another file, or the same command as before"
                raise ConfigError("storage", str(file), f"which holds a tuning with another {key}", right)
            self._study.set_user_attr(key, value)
        self._try_again()

    def _try_again(self) -> None:
        for trial in self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._study.tell(trial.number, state=TrialState.FAIL)
            self._study.enqueue_trial(trial.params)

    @property
    def done(self) -> int:
        """How many were tried, those that were no policy included."""
        return len(self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED)))

    def ask(self, count: int) -> list[Trial]:
        """The next to be tried; their values are `params`."""
        self._study.sampler = optuna.samplers.TPESampler(seed=self._seed * _SEEDS + self.done, n_startup_trials=_PLANNED)
        return [self._study.ask(self._space.distributions) for _ in range(count)]

    def tell(self, trial: Trial, tried: Tried | None) -> None:
        """What a trial came to; None: it is no policy, or it cannot be measured."""
        if tried is None:
            self._study.tell(trial, state=TrialState.PRUNED)
            return
        for budget, points in tried.broken.items():
            trial.set_constraint(budget, points)
        self._study.tell(trial, tried.value)

    def best(self) -> FrozenTrial | None:
        """The best under which no budget is broken; None: there is none."""
        complete = self._study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        holds = [trial for trial in complete if max(trial.constraints.values(), default=0.0) <= 0 and trial.value is not None]
        return max(holds, key=lambda trial: (self._better * (trial.value or 0.0), -trial.number), default=None)
