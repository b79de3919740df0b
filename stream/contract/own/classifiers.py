"""A classifier that a policy names: found by its import path, built anew each time, and refused where a replay would not be one.

Law: of the same rows the same is learnt, for a home keeps no model but learns it from its rows. So what draws by chance needs
a seed, and what is named is tried: twice on the same rows, asked in between, it says the same. Features are numbers by
number, never by name, for the order in which names stand in a set is another in every process.

River itself is imported by the path that is named, and nowhere else.
"""

import difflib
import math
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from inspect import Parameter, isclass, signature
from typing import Any, Final, Protocol

__all__ = ["Classifier", "build", "chance_of", "find_class", "refuse_unfit"]

CLASS: Final = "class"  # the key by which a parameter is an object of its own
_SEEDS: Final = ("seed", "random_state", "rng")
_SCALER: Final = "river.preprocessing.StandardScaler"
_TRIED: Final = 24  # rows


class Classifier(Protocol):
    """What is used of a River classifier."""

    def learn_one(self, x: dict[int, float], y: bool) -> Any:
        """Learn one event: its features, and whether it was theirs."""

    def predict_proba_one(self, x: dict[int, float]) -> dict[bool, float]:
        """How likely it is theirs; nothing of what was never seen."""


def find_class(path: str) -> type:
    """The class of an import path. Raises ValueError, which says what would be right."""
    module, _, name = path.rpartition(".")
    try:
        found = getattr(import_module(module), name, None)
    except Exception as error:
        raise ValueError(f"an import path such as river.linear_model.LogisticRegression: {error}") from None
    if not isclass(found):
        near = difflib.get_close_matches(name, dir(import_module(module)), n=1)
        told = f"; {near[0]} is the nearest name there" if near else ""
        raise ValueError(f"the import path of a class, which {module} has none of by that name{told}")
    return found


@cache
def _parameters_of(made: type) -> list[str]:
    """The names of what a class is made with."""
    return [name for name, one in signature(made).parameters.items() if one.kind is not Parameter.VAR_KEYWORD]


def _construct(path: str, parameters: Mapping[str, Any]) -> Any:
    """An object of a class; parameters that are tables with a `class` are objects too. Raises ValueError."""
    made = find_class(path)
    named = _parameters_of(made)
    if unknown := sorted(parameters.keys() - named):
        takes = f"takes {', '.join(named)}" if named else "takes none"
        raise ValueError(f"parameters of {made.__name__}, which {takes}, and no {unknown[0]}")
    for seed in _SEEDS:
        if seed in named and parameters.get(seed) is None:
            raise ValueError(f"given with {seed} = a whole number, for {made.__name__} draws by chance")
    values = {name: _construct_parameter(value) for name, value in parameters.items()}
    try:
        return made(**values)
    except Exception as error:
        raise ValueError(f"parameters that {made.__name__} can be made with: {error}") from None


def _construct_parameter(value: Any) -> Any:
    if isinstance(value, Mapping) and CLASS in value:
        return _construct(str(value[CLASS]), {name: inner for name, inner in value.items() if name != CLASS})
    return value


def build(path: str, parameters: Mapping[str, Any], standardised: bool) -> Classifier:
    """A classifier that has learnt nothing.

    Parameters
    ----------
    path
        Where it is imported from.
    parameters
        By name, as plain values; a table with a `class` (an import path) is an object of that class, made of the rest.
    standardised
        Whether River's StandardScaler stands before it.

    Raises
    ------
    ValueError
        There is none, it is no classifier, or it cannot be made so; the text says what would be right.
    """
    model = _construct(path, parameters)
    if lacking := [name for name in ("learn_one", "predict_proba_one") if not hasattr(model, name)]:
        raise ValueError(f"a classifier of River's kind; {type(model).__name__} has no {lacking[0]}")
    return _construct(_SCALER, {}) | model if standardised else model  # type: ignore[no-any-return]


def chance_of(model: Classifier, x: dict[int, float]) -> float | None:
    """The probability that an event is theirs; None of a model that cannot tell."""
    told = model.predict_proba_one(x)
    chance = float(told.get(True, 0.0)) if told else math.nan
    return None if math.isnan(chance) else chance


def refuse_unfit(path: str, parameters: Mapping[str, Any], standardised: bool) -> None:
    """Try a classifier on made-up rows. Raises ValueError when it cannot learn them, or does not learn the same twice."""
    name = path.rpartition(".")[2]
    try:
        once, again = (_try(build(path, parameters, standardised), asked) for asked in (1, 3))
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"one that learns numbers by number; {name} ends with {type(error).__name__}: {error}") from None
    if once != again:
        raise ValueError(f"one that learns the same from the same rows; {name} learnt something else the second time")
    if strange := [chance for chance in once if chance is not None and not 0.0 <= chance <= 1.0]:
        raise ValueError(f"one that gives probabilities from 0 to 1; {name} gave {strange[0]}")


def _try(model: Classifier, asked: int) -> list[float | None]:
    """What it says after each row, asked so many times each time: to be asked may teach it nothing."""
    said = []
    for row in range(_TRIED):
        x = {column: math.sin(1.7 * row + column) for column in range(4)} | {4: float(row % 2), 5: float(row % 3 == 0)}
        said.append([chance_of(model, x) for _ in range(asked)][-1])
        model.learn_one(x, row % 2 == 0)
    return said
