"""What may be tried: a policy file in which a setting may be a range, or one of several.

Law: whatever is drawn is a policy, or is no try at all; a setting that is given as one value has it in every try.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from stream.contract.errors import ConfigError
from stream.contract.policy import Policy

from ..policies.paths import Path as SettingPath
from ..policies.paths import put, walk

__all__ = ["Space", "read_space"]

_RANGE: Final = {"low", "high", "log", "step"}
_DRAWN: Final = {"low", "high", "any"}  # of which a table has some that is no table of settings
_RIGHT: Final = "{low = 0.9, high = 0.999}, with log = true or step = 0.01 if need be, or {any = [1, 2, 3]}"


@dataclass(frozen=True, slots=True)
class Space:
    """Settings that have one value, and those that are drawn, by their paths; `live` is what all else is taken from."""

    live: Policy
    fixed: Mapping[SettingPath, Any]
    drawn: Mapping[SettingPath, BaseDistribution]

    @property
    def distributions(self) -> dict[str, BaseDistribution]:
        """By dotted name, as they are shown and remembered."""
        return {".".join(path): one for path, one in self.drawn.items()}

    def policy(self, values: Mapping[str, Any]) -> Policy | None:
        """The policy of some values by dotted name; None: there is none such, as where tiers would not rise."""
        try:
            return self._policy({path: values[".".join(path)] for path in self.drawn})
        except ValidationError:
            return None

    def _policy(self, drawn: Mapping[SettingPath, Any]) -> Policy:
        settings = self.live.model_dump()
        for path, value in (*self.fixed.items(), *drawn.items()):
            put(settings, path, value)
        return Policy.model_validate(settings)

    def refuse_impossible(self, source: Path) -> None:
        """Stop where a setting can have neither end of its range, or not its value, as of a misspelt one. Raises ConfigError."""
        ends = [self._faults({path: _ends(one)[end] for path, one in self.drawn.items()}) for end in (0, 1)]
        for path, message in ends[0].items():
            if path in ends[1]:
                value = self.fixed[path] if path in self.fixed else _ends(self.drawn[path])
                right = "a setting of the policy, which `kithkin policy` prints, with values that it may have"
                raise ConfigError(".".join(path), value, f"{source}: {message}", right)

    def _faults(self, drawn: Mapping[SettingPath, Any]) -> dict[SettingPath, str]:
        """What is wrong with settings taken alone, not with several together."""
        try:
            self._policy(drawn)
        except ValidationError as error:
            told = {tuple(map(str, fault["loc"])): fault["msg"] for fault in error.errors()}
            return {path: told[path] for path in (*self.fixed, *self.drawn) if path in told}
        return {}


def read_space(path: Path, live: Policy) -> Space:
    """What a file says may be tried.

    Raises
    ------
    ConfigError
        It cannot be read, nothing in it is to be drawn, or a setting cannot be what it says.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError("SPACE", str(path), error.strerror or "unreadable", "a file that can be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("SPACE", str(path), str(error), "a TOML file") from None
    fixed: dict[SettingPath, Any] = {}
    drawn: dict[SettingPath, BaseDistribution] = {}
    for place, value in walk(found, lambda _, value: bool(_DRAWN & value.keys())):
        one = _distribution(value, ".".join(place), path)
        if one is None:
            fixed[place] = value
        else:
            drawn[place] = one
    if not drawn:
        raise ConfigError("SPACE", str(path), "in which nothing is to be tried", f"a policy file with a setting such as {_RIGHT}")
    space = Space(live, fixed, drawn)
    space.refuse_impossible(path)
    return space


def _distribution(value: Any, name: str, source: Path) -> BaseDistribution | None:
    """What a value is drawn from; None: it is the value itself."""
    if not isinstance(value, dict):
        return None
    try:
        if value.keys() == {"any"}:
            return CategoricalDistribution(value["any"])
        if not {"low", "high"} <= value.keys() <= _RANGE:
            raise ValueError(f"it has {', '.join(value)}")
        low, high, log, step = value["low"], value["high"], value.get("log", False), value.get("step")
        if isinstance(low, int) and isinstance(high, int):
            return IntDistribution(low, high, log, 1 if step is None else step)
        return FloatDistribution(low, high, log, step)
    except (ValueError, TypeError) as error:
        raise ConfigError(name, value, f"{source}: {error}", _RIGHT) from None


def _ends(one: BaseDistribution) -> tuple[Any, Any]:
    if isinstance(one, CategoricalDistribution):
        return one.choices[0], one.choices[-1]
    assert isinstance(one, IntDistribution | FloatDistribution), "one of what a space is made of"
    return one.low, one.high
