"""Labelled recordings as files hold them: `.npz` without pickles, laid out as a recipe says.

Law: a wrong file ends the command with a sentence that names the array; nobody is guessed.
"""

import difflib
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from learners.fit.recordings import OF_EACH, Codes, Flags, Numbers, Recordings, unit
from stream.contract.errors import ConfigError
from stream.contract.packs import PACKS, load_pack

from .recipe import Recipe

__all__ = ["ALL", "Choice", "Labelled", "read_recordings"]

_SEVERAL: Final = 3  # axes of vectors that stand there once for each condition


@dataclass(frozen=True)
class Choice:
    """Who is fitted on: `people` (None: everybody), but for `without`."""

    people: frozenset[str] | None = None
    without: frozenset[str] = frozenset()


ALL: Final = Choice()


class Condition(NamedTuple):
    """How many recordings there are in one condition; `channel` None: the person was altered."""

    name: str
    channel: str | None
    recordings: int


@dataclass(frozen=True, eq=False)
class Labelled:
    """Recordings with the names of their people, by number, and how many there are of what."""

    recordings: Recordings
    people: tuple[str, ...]
    conditions: tuple[Condition, ...]
    corpora: tuple[str, ...] = ("",)
    cohort_people: int = 0


def read_recordings(recipe: Recipe, folder: Path, choice: Choice = ALL) -> Labelled:
    """The recordings that a recipe names, of the people chosen; of several corpora people are called FILE/NAME.

    Raises
    ------
    ConfigError
        When a file, an array or a person is not as the recipe or the choice say.
    """
    parts = [_read_corpus(part, folder) for part in recipe.parts]
    whole = parts[0] if len(parts) == 1 else _join(recipe, parts)
    chosen = _choose(np.array(whole.people), choice, folder / (recipe.recordings or "the corpora"))
    kept = chosen[whole.recordings.people]
    recordings = whole.recordings.only(kept)
    codes = np.unique(recordings.people, return_inverse=True)[1]
    cohort, cohort_people = _cohort(recipe, folder, recordings.vectors.shape[1])
    nobody = _nobody(recipe, folder, recordings.vectors.shape[1])
    recordings = replace(recordings, people=codes.astype(np.int64), cohort=cohort, nobody=nobody)
    conditions = tuple(
        replaced for one in whole.conditions
        if (replaced := one._replace(recordings=int((kept & (whole.condition == one.name)).sum()))).recordings
    )  # fmt: skip
    people = tuple(np.array(whole.people)[chosen].tolist())
    return Labelled(recordings, people, conditions, whole.corpora, cohort_people)


@dataclass(frozen=True, eq=False)
class _Read:
    """Everything that files hold, before people are chosen."""

    recordings: Recordings
    people: tuple[str, ...]
    condition: Any  # (n,) names
    conditions: tuple[Condition, ...]
    corpora: tuple[str, ...] = ("",)


def _read_corpus(recipe: Recipe, folder: Path) -> _Read:
    path = folder / recipe.recordings
    arrays = _Arrays(path, _load(path))
    vectors = arrays.vectors()
    if vectors.ndim not in (2, _SEVERAL):
        raise arrays.wrong("emb", "vectors (n, d), or (conditions, n, d)")
    shape = vectors.shape[:-1]
    labels = np.broadcast_to(arrays.labels(recipe.person, shape[-1:]), shape).ravel()
    conditions = _conditions(arrays, shape)
    quality_name, array = next(iter(recipe.quality.items()), ("", ""))
    told = arrays.qualities(array, shape) if array else np.nan
    quality = np.array(np.broadcast_to(told, shape).ravel(), np.float64)
    takes = np.broadcast_to(np.arange(shape[-1]), shape).ravel()
    people, codes = np.unique(labels, return_inverse=True)
    names, channels, altered, counted = _channels(recipe, conditions, path)
    flat = _comparable(vectors.reshape(-1, vectors.shape[-1]), recipe)
    recordings = Recordings(
        recipe.metric, flat, codes.astype(np.int64), channels, names, takes, altered, quality, quality_name,
        np.zeros((0, flat.shape[1])), np.zeros((0, flat.shape[1])), np.zeros(len(flat), np.int64),
    )  # fmt: skip
    return _Read(recordings, tuple(people.tolist()), conditions, counted)


def _join(recipe: Recipe, parts: list[_Read]) -> _Read:
    """Several corpora as one: nobody and no take of two is the same; a channel of the same name is."""
    files = [Path(part.recordings).stem for part in recipe.parts]
    names = tuple(dict.fromkeys(name for part in parts for name in part.recordings.names))
    if len({part.recordings.vectors.shape[1] for part in parts}) > 1:
        raise ConfigError("corpus", ", ".join(files), "emb", "vectors of one length")
    qualities = {part.recordings.quality_name for part in parts} - {""}
    if len(qualities) > 1:
        raise ConfigError("quality", ", ".join(sorted(qualities)), "corpus", "the same quality in all corpora that tell one")
    people = takes = 0
    moved, called = [], []
    for number, (part, file) in enumerate(zip(parts, files, strict=True)):
        own, everywhere = part.recordings, np.array([names.index(name) for name in part.recordings.names])
        moved.append(replace(
            own, people=own.people + people, takes=own.takes + takes, channels=everywhere[own.channels], names=names,
            corpora=np.full(len(own.people), number),
        ))  # fmt: skip
        people, takes = people + len(part.people), takes + int(own.takes.max()) + 1
        called += [f"{file}/{name}" for name in part.people]
    whole: dict[str, Any] = {key: np.concatenate([getattr(part, key) for part in moved]) for key in OF_EACH}
    condition = np.concatenate([part.condition for part in parts])
    counted = tuple({(one.name, one.channel): one for part in parts for one in part.conditions}.values())
    recordings = replace(moved[0], quality_name="".join(qualities), **whole)
    return _Read(recordings, tuple(called), condition, counted, tuple(files))


class _Arrays(NamedTuple):
    """The arrays of a file, asked for by name."""

    path: Path
    arrays: Mapping[str, Any]

    def wrong(self, name: str, right: str) -> ConfigError:
        """The fault that an array is not what it should be."""
        found = f"of shape {self.arrays[name].shape}" if name in self.arrays else "missing"
        return ConfigError(name, found, str(self.path), f"{right}; the file has {', '.join(sorted(self.arrays))}")

    def numbers(self, name: str) -> Numbers:
        """An array of finite numbers."""
        array = self.arrays.get(name)
        if array is None or array.dtype.kind not in "fiu" or not array.size:
            raise self.wrong(name, "an array of numbers")
        if not np.isfinite(array).all():
            raise self.wrong(name, "without NaN and infinite numbers")
        numbers: Numbers = array.astype(np.float64)
        return numbers

    def vectors(self) -> Numbers:
        """The recordings themselves, of which none is all zeros: that is what an encoder makes of nothing."""
        vectors = self.numbers("emb")
        self._refuse("emb", ~vectors.any(-1), "vectors that are all zeros")
        return vectors

    def labels(self, name: str, shape: tuple[int, ...]) -> Any:
        """A name for each recording, as text; NaN, NaT and nothing are none, and nobody of that name is made of them."""
        array = self.of_recordings(name, shape)
        if array.dtype.kind not in "biufSU":
            raise self.wrong(name, f"numbers or text, and not {array.dtype}")
        try:
            texts = np.char.decode(array, "utf-8") if array.dtype.kind == "S" else array.astype(str)
        except UnicodeDecodeError:
            raise self.wrong(name, "numbers or text in UTF-8") from None
        nameless = ~np.isfinite(array) if array.dtype.kind == "f" else np.char.str_len(np.char.strip(texts)) == 0
        self._refuse(name, nameless, "recordings without one (NaN or nothing)")
        return texts

    def qualities(self, name: str, shape: tuple[int, ...]) -> Numbers:
        """A number for each recording; NaN: it was not told."""
        array = self.of_recordings(name, shape)
        if array.dtype.kind not in "biuf":
            raise self.wrong(name, f"an array of numbers, and not {array.dtype}")
        numbers: Numbers = array.astype(np.float64)
        self._refuse(name, np.isinf(numbers), "infinite numbers")
        return numbers

    def _refuse(self, name: str, faulty: Any, what: str) -> None:
        """Raise ConfigError if any recording of an array is faulty."""
        if faulty.any():
            first = ", ".join(map(str, np.argwhere(faulty)[0]))
            found = f"has {int(faulty.sum()):,} {what} of {faulty.size:,}, the first at [{first}]"
            raise ConfigError(name, found, str(self.path), "without those recordings, in this array and in the others")

    def of_recordings(self, name: str, shape: tuple[int, ...]) -> Any:
        """An array with an entry for each recording, or for each take whatever its condition."""
        array = self.arrays.get(name)
        if array is None or array.shape not in (shape, shape[-1:]):
            raise self.wrong(name, f"an array of the {shape[-1]} recordings")
        return array


def _load(path: Path) -> Mapping[str, Any]:
    try:
        with path.open("rb") as file:
            arrays = np.load(file, allow_pickle=False)
            return {"emb": arrays} if isinstance(arrays, np.ndarray) else {name: arrays[name] for name in arrays.files}
    except OSError as error:
        raise ConfigError("RECORDINGS", str(path), error.strerror or "unreadable", "a file that can be read") from None
    except (AttributeError, EOFError, TypeError, ValueError, zipfile.BadZipFile):
        raise ConfigError("RECORDINGS", str(path), "another kind of file", "an .npz of arrays, without pickles") from None


def _conditions(arrays: _Arrays, shape: tuple[int, ...]) -> Any:
    """(recordings,) the name of the condition that each was made in."""
    if len(shape) == _SEVERAL - 1:
        names = arrays.arrays.get("conditions")
        if names is None or names.shape != shape[:1]:
            raise arrays.wrong("conditions", f"the names of the {shape[0]} conditions")
        return np.repeat(arrays.labels("conditions", shape[:1]), shape[1])
    if "channel" in arrays.arrays:
        return arrays.labels("channel", shape)
    return np.full(shape[0], "clean")


def _channels(recipe: Recipe, conditions: Any, path: Path) -> tuple[tuple[str, ...], Codes, Flags, tuple[Condition, ...]]:
    """Names of the channels; which each recording came through; whether the person was altered; how many there are of each."""
    present = list(dict.fromkeys(conditions.tolist()))
    altered = {name for name in present if _matches(name, recipe.altered)}
    wanted: Mapping[str, Sequence[str]] = recipe.channels or {name: [name] for name in present if name not in altered}
    channel_of = {name: next((c for c, p in wanted.items() if _matches(name, p)), None) for name in present}
    if lost := [name for name in present if name not in altered and channel_of[name] is None]:
        right = f"with a channel for {', '.join(lost)}, or those among `altered`"
        raise ConfigError("channels", ", ".join(wanted), str(path), right)
    names = tuple(c for c in wanted if c in {channel_of[name] for name in present if name not in altered})
    if not names or names[0] != next(iter(wanted)):
        raise ConfigError("channels", ", ".join(wanted), str(path), "with recordings of the first, the ordinary one")
    number = {name: 0 if name in altered else names.index(str(channel_of[name])) for name in present}
    counted = tuple(
        Condition(name, None if name in altered else channel_of[name], int((conditions == name).sum())) for name in present
    )
    return names, np.array([number[name] for name in conditions]), np.isin(conditions, list(altered)), counted


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def _choose(labels: Any, choice: Choice, path: Path) -> Flags:
    known = set(labels.tolist())
    for person in sorted((choice.people or frozenset()) | choice.without):
        if person not in known:
            near = difflib.get_close_matches(person, known, n=3) or sorted(known)[:3]
            raise ConfigError("people", person, str(path), f"somebody who is recorded, such as {', '.join(near)}")
    kept = known if choice.people is None else choice.people
    return np.isin(labels, list(kept - choice.without))


def _cohort(recipe: Recipe, folder: Path, length: int) -> tuple[Numbers, int]:
    """(people, d): the mean vectors of other people."""
    if not recipe.cohort:
        return np.zeros((0, length)), 0
    path = folder / recipe.cohort
    arrays = _Arrays(path, _load(path))
    vectors = arrays.vectors()
    if vectors.ndim != _SEVERAL - 1 or vectors.shape[1] != length:
        raise arrays.wrong("emb", f"vectors (n, {length})")
    who = arrays.labels(recipe.cohort_person, vectors.shape[:1])
    comparable = _comparable(vectors, recipe)
    people = np.unique(who)
    return np.array([comparable[who == person].mean(0) for person in people]), len(people)


def _nobody(recipe: Recipe, folder: Path, length: int) -> Numbers:
    """(n, d): what the encoder makes of nobody."""
    if not recipe.nobody:
        return np.zeros((0, length))
    if (PACKS / f"{recipe.nobody}.npz").is_file():
        known: Numbers = load_pack(recipe.nobody, recipe.metric).nobody.vectors.astype(np.float64)
        return known
    path = folder / recipe.nobody
    arrays = _Arrays(path, _load(path))
    vectors = arrays.vectors()
    if vectors.ndim != _SEVERAL - 1 or vectors.shape[1] != length:
        raise arrays.wrong("emb", f"vectors (n, {length})")
    return _comparable(vectors, recipe)


def _comparable(vectors: Numbers, recipe: Recipe) -> Numbers:
    return unit(vectors) if recipe.metric == "cosine" else vectors
