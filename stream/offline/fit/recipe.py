"""Recipes: which arrays of which files are the recordings of an encoder, and what their conditions are.

Law: what a recipe does not name is not read; a pack of the package can be made again from its recipe and the recordings, but for
what it knows of nobody, which may be taken from a pack as it is.
"""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from learners.recognition.projection import Metric
from stream.contract.errors import ConfigError
from stream.contract.packs import PACKS

__all__ = ["Corpus", "Recipe", "load_recipe", "recipe_of", "shipped_recipe"]

Patterns = Annotated[tuple[str, ...], Field(min_length=1)]


class Corpus(BaseModel):
    """One of several collections of people that a pack is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recordings: str = Field(description="the .npz with `emb`: (n, d), or (conditions, n, d) with `conditions`")
    person: str = Field("", description="as the recipe's; default: the recipe's own")
    altered: tuple[str, ...] = Field((), description="as the recipe's; default: the recipe's own")
    quality: dict[str, str] = Field({}, max_length=1, description="as the recipe's; default: the recipe's own")
    channels: dict[str, Patterns] = Field({}, description="as the recipe's; default: the recipe's own")


class Recipe(BaseModel):
    """What a pack is made of."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,64}$", description="as records name it")]
    metric: Metric = Field(description="cosine: only the direction counts; euclidean: the length too")
    recordings: str = Field("", description="the .npz with `emb`: (n, d), or (conditions, n, d) with `conditions`")
    corpus: tuple[Corpus, ...] = Field((), description="instead of `recordings`: several collections, each with its own")
    person: str = Field("person", description="the array (n) of whose each recording is")
    channels: dict[str, Patterns] = Field({}, description="channel = its conditions, the ordinary one first; none: each is one")
    altered: tuple[str, ...] = Field((), description="conditions of the ordinary channel in which the person was altered")
    quality: dict[str, str] = Field({}, max_length=1, description="what records call a quality = the array that holds it")
    cohort: str = Field("", description="an .npz of other people, of whom only the mean is used")
    cohort_person: str = Field("person", description="its array of whose each vector is")
    nobody: str = Field(
        "", description="what the encoder makes of silence, noise, no face: an .npz with `emb` (n, d), a .npy, or a pack"
    )
    sources: str = Field("", description="for the card: where the recordings are from, and under which licence")
    limits: str = Field("", description="for the card: what the recordings cannot tell")

    @model_validator(mode="after")
    def _has_recordings(self) -> Self:
        if bool(self.recordings) == bool(self.corpus):
            raise PydanticCustomError("recordings", "one file as `recordings`, or several as `corpus`, and not both")
        return self

    @property
    def parts(self) -> "tuple[Recipe, ...]":
        """A recipe of its own for each corpus: what the corpus says over what this one does."""
        if not self.corpus:
            return (self,)
        bare = self.model_copy(update={"corpus": (), "cohort": ""})
        return tuple(bare.model_copy(update=dict(one) | {k: getattr(self, k) for k, v in one if not v}) for one in self.corpus)


def load_recipe(path: Path) -> Recipe:
    """Read a recipe. Raises ConfigError naming what is wrong in it."""
    try:
        return _read(path.read_text("utf-8"), str(path))
    except OSError as error:
        raise ConfigError("RECIPE", str(path), error.strerror or "unreadable", "a file that can be read") from None


def shipped_recipe(encoder: str) -> Recipe:
    """The recipe of a pack that comes with the package."""
    file = PACKS / f"{encoder}.toml"
    return _read(file.read_text("utf-8"), file.name)


def _read(text: str, source: str) -> Recipe:
    try:
        return recipe_of(tomllib.loads(text), source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError("RECIPE", source, str(error), "a TOML file") from None


def recipe_of(fields: dict[str, Any], source: str) -> Recipe:
    """A recipe of its fields, which `source` set. Raises ConfigError naming the one that is wrong."""
    try:
        return Recipe.model_validate(fields)
    except ValidationError as error:
        fault = error.errors()[0]
        key, value = ".".join(map(str, fault["loc"])), fault["input"]
        if fault["type"] == "recordings":
            raise ConfigError("recordings", fields.get("recordings"), source, fault["msg"]) from None
        if fault["type"] == "missing":
            raise ConfigError(key, None, source, "given, for it has no default") from None
        unknown = fault["type"] == "extra_forbidden"
        right = f"one of {', '.join(Recipe.model_fields)}" if unknown else fault["msg"].removeprefix("Input should be ")
        raise ConfigError(key, value, source, right) from None
