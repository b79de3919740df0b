"""Fleet packs: what was learnt offline of an encoder's vector space, as files of the package.

A pack is a `.npz` in `learners/packs/` with `matrix`, `mean`, `between` (see learners/projection.py), `temperature` and
`made` (the command that made it). Rebuilt by `python bench/fit_packs.py`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

import numpy as np

from learners.projection import Channels, Metric, Projection

__all__ = ["load_pack"]


@cache
def load_pack(name: str, metric: Metric) -> Projection:
    """The projection of a pack; raises ValueError naming the packs there are when there is none of that name."""
    folder = resources.files("learners") / "packs"
    file = folder / f"{name}.npz"
    if not file.is_file():
        known = sorted(f.name.removesuffix(".npz") for f in folder.iterdir() if f.name.endswith(".npz"))
        raise ValueError(f"there is no pack {name!r}; there are {', '.join(known)}")
    with file.open("rb") as stream, np.load(stream, allow_pickle=False) as z:
        matrix, mean, between = (z[key].astype(np.float32) for key in ("matrix", "mean", "between"))
        projection = Projection(metric, matrix, mean, between, float(z["temperature"]))
        return replace(projection, channels=_channels(z)) if "channels" in z else projection


def _channels(z: Mapping[str, Any]) -> Channels:
    keys = ("channel_mean", "channel_noise", "channel_shift", "channel_weights", "channel_bias")
    return Channels(tuple(z["channels"].tolist()), *(z[key].astype(np.float32) for key in keys))
