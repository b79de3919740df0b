"""Fleet packs: what was learnt offline of an encoder's vector space, as files.

Law: a pack is its numbers; where it lies and what it is called change nothing.

A pack is a `.npz` without pickles; docs/packs.md names its arrays. Those that come with the package lie in `learners/packs/`,
each with its card (how well it does, on people it was not fitted on) and its recipe (what it is made of, for `kithkin fit`).
"""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Final

import numpy as np

from learners.recognition.projection import Channels, Metric, Nobody, Projection, Quality

__all__ = ["PACKS", "VERSION", "arrays_of", "is_path", "load_pack", "write_pack"]

VERSION: Final = 2  # version 1 knew no channels and did not tell its metric
PACKS: Final[Traversable] = resources.files("learners") / "packs"
_CHANNELS: Final = ("channel_mean", "channel_noise", "channel_shift", "channel_weights", "channel_bias")


def is_path(pack: str) -> bool:
    """Whether a pack is named by its file, and not by the name of one that comes with the package."""
    return "/" in pack or pack.endswith(".npz")


def load_pack(pack: str, metric: Metric) -> Projection:
    """The projection of a pack: of the package by its name, of any other by its file.

    Raises
    ------
    ValueError
        Naming what is wrong with the file; when there is none, the packs there are.
    """
    return _read(Path(pack), metric) if is_path(pack) else _load_shipped(pack, metric)


@cache
def _load_shipped(name: str, metric: Metric) -> Projection:
    file = PACKS / f"{name}.npz"
    if not file.is_file():
        known = sorted(f.name.removesuffix(".npz") for f in PACKS.iterdir() if f.name.endswith(".npz"))
        raise ValueError(f"there is no pack {name!r}; there are {', '.join(known)}, or name the FILE.npz of another")
    return _read(file, metric)


def _read(file: Traversable, metric: Metric) -> Projection:
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return _projection(arrays, metric)
    except OSError as error:
        raise ValueError(f"the pack {file} cannot be read ({error.strerror or error})") from None
    except (EOFError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} is no pack for {metric} vectors: {error}") from None


def _projection(arrays: Mapping[str, Any], metric: Metric) -> Projection:
    def single(key: str) -> Any:
        return arrays[key].astype(np.float32)

    projection = Projection(metric, single("matrix"), single("mean"), single("between"), float(arrays["temperature"]))
    version = int(arrays["version"]) if "version" in arrays else 1
    if version == 1:
        return projection
    if version > VERSION:
        raise ValueError(f"it has version {version}, and this software knows {VERSION}")
    if str(arrays["metric"]) != metric:
        raise ValueError(f"it was fitted for {arrays['metric']} vectors")
    channels = Channels(tuple(arrays["channels"].tolist()), *map(single, _CHANNELS))
    quality = Quality(str(arrays["quality_name"]), single("quality_knots"), single("quality_noise"))
    spread = float(arrays["centre_spread"]) if "centre_spread" in arrays else projection.centre_spread
    nobody = Nobody(single("nobody"), single("nobody_radius")) if "nobody" in arrays else projection.nobody
    return replace(projection, channels=channels, quality=quality, nobody=nobody, centre_spread=spread)


def arrays_of(projection: Projection) -> dict[str, Any]:
    """All that a projection is, as the arrays of a pack."""
    channels, quality = projection.channels, projection.quality
    of_channels = (channels.mean, channels.noise, channels.shift, channels.weights, channels.bias)
    nobody = {"nobody": projection.nobody.vectors, "nobody_radius": projection.nobody.radius}
    return {
        "metric": np.array(projection.metric), "matrix": projection.matrix, "mean": projection.mean,
        "between": projection.between, "temperature": np.array(projection.temperature),
        "centre_spread": np.array(projection.centre_spread), "channels": np.array(channels.names),
        **dict(zip(_CHANNELS, of_channels, strict=True)),
        "channel_prior": np.full(len(channels.names), 1 / len(channels.names), np.float32),
        "quality_name": np.array(quality.name), "quality_knots": quality.knots, "quality_noise": quality.noise,
        **(nobody if len(projection.nobody.radius) else {}),
    }  # fmt: skip


def write_pack(path: Path, projection: Projection, made: str) -> None:
    """Write a pack; `made`: by what, for who reads it. The same projection gives the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays_of(projection), version=np.array(VERSION), made=np.array(made))
