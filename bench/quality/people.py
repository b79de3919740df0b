"""Who is judged and who is learnt from: the development people in two halves.

Law: nobody stands in both halves, and a pack is fitted on a folder in which no recording of the judged people lies.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from learners.fit.fitting import fit
from stream.contract.packs import PACKS, write_pack
from stream.offline.fit import Choice, load_recipe, read_recordings

__all__ = ["FAR", "VOICE", "FACE", "Side", "fit_packs", "half_of", "write_half"]

FAR: Final = "farfield_rt60_.3-.7_pink15dB"
VOICE: Final = "resemblyzer-0.1.4"
FACE: Final = "dlib-resnet-v1"
# file -> (whose a recording is, axis of the recordings in every array that has one); what is not named is of no person
RECORDINGS: Final[dict[str, tuple[str, dict[str, int]]]] = {
    "voice_an4.npz": ("speaker", {"emb": 1, "vad_seconds": 1, "speaker": 0, "utt": 0, "raw_seconds": 0}),
    "face_orl.npz": ("subject", {"emb": 1, "det_score": 1, "subject": 0, "image": 0}),
}
People = npt.NDArray[np.int64]


class Side(NamedTuple):
    """One way to split the people, and which half of them is judged (0 or 1)."""

    split: int
    half: int

    @property
    def other(self) -> "Side":
        return Side(self.split, 1 - self.half)

    @property
    def name(self) -> str:
        return f"split{self.split}{'ab'[self.half]}"


def half_of(people: npt.ArrayLike, side: Side) -> People:
    """The people of a side, in order; with an odd number the first half has one more."""
    everybody = np.unique(people)
    mixed = np.random.default_rng([side.split, len(everybody)]).permutation(everybody)
    return np.sort(np.array_split(mixed, 2)[side.half])


def write_half(source: Path, target: Path, side: Side, without: str = "") -> Path:
    """Make a data folder of the tools with the people of one side only; `without`: a recording condition to leave out."""
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        copy = target / file.name
        if file.name in RECORDINGS:
            with np.load(file) as arrays:
                np.savez(copy, **_half(dict(arrays), *RECORDINGS[file.name], side, without))
        elif not copy.exists():
            copy.symlink_to(file.resolve())
    return target


def _half(arrays: dict[str, Any], person: str, axes: dict[str, int], side: Side, without: str) -> dict[str, Any]:
    own = np.flatnonzero(np.isin(arrays[person], half_of(arrays[person], side)))
    kept = arrays["conditions"] != without
    result = {}
    for name, array in arrays.items():
        chosen = array.take(own, axes[name]) if name in axes else array
        result[name] = chosen[kept] if name == "conditions" or axes.get(name) == 1 else chosen
    return result


def fit_packs(folder: Path, out: Path) -> dict[str, str]:
    """Fit the packs of the package anew, on the people of a data folder; returns encoder -> the policy's `pack`."""
    packs = {}
    for encoder in (VOICE, FACE):
        labelled = read_recordings(load_recipe(Path(str(PACKS / f"{encoder}.toml"))), folder, Choice())
        pack = out.absolute() / f"{encoder}.npz"
        write_pack(pack, fit(labelled.recordings), "bench.quality")
        packs[encoder] = str(pack)
    return packs
