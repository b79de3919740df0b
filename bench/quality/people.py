"""Who is judged and who is learnt from: the people of the judged corpora in two halves, all others whole.

Law: nobody stands in both halves, and a pack is fitted on a folder in which no recording of the judged people lies; a
*stranger's* pack on one in which nothing of their corpora does.
"""

from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from learners.fit.fitting import fit
from stream.contract.packs import PACKS, write_pack
from stream.offline.fit import Choice, load_recipe, read_recordings

__all__ = ["FAR", "VOICE", "FACE", "VOICES", "Side", "fit_packs", "half_of", "judged_files", "write_half"]

FAR: Final = "farfield_rt60_.3-.7_pink15dB"
VOICE: Final = "resemblyzer-0.1.4"
FACE: Final = "dlib-resnet-v1"
VOICES: Final = ("an4", "so762")  # corpora of voices in all conditions of the worlds
_VOICE_AXES: Final = {"emb": 1, "vad_seconds": 1, "speaker": 0, "utt": 0, "raw_seconds": 0}
_FACE_AXES: Final = {"emb": 1, "det_score": 1, "subject": 0, "image": 0}
# file -> (whose a recording is, axis of the recordings in every array that has one); what is not named is of no person
RECORDINGS: Final[dict[str, tuple[str, dict[str, int]]]] = {
    "voice_an4.npz": ("speaker", _VOICE_AXES),
    "voice_so762.npz": ("speaker", _VOICE_AXES | {"sex": 0}),
    "voice_sc.npz": ("speaker", _VOICE_AXES | {"take": 0}),
    "voice_alnum.npz": ("speaker", _VOICE_AXES | {"sex": 0, "recording": 0}),
    "face_orl.npz": ("subject", _FACE_AXES),
    "face_london.npz": ("subject", _FACE_AXES | {"sex": 0}),
}
People = npt.NDArray[np.int64]


class Side(NamedTuple):
    """One way to split the people, which half of them is judged (0 or 1), and whose voices those are."""

    split: int
    half: int
    voices: str = "an4"

    @property
    def other(self) -> "Side":
        return self._replace(half=1 - self.half)

    @property
    def name(self) -> str:
        return f"split{self.split}{'ab'[self.half]}"


def judged_files(side: Side) -> tuple[str, str]:
    """The files with the recordings of the people who are judged."""
    return f"voice_{side.voices}.npz", "face_orl.npz"


def half_of(people: npt.ArrayLike, side: Side) -> People:
    """The people of a side, in order; with an odd number the first half has one more."""
    everybody = np.unique(people)
    mixed = np.random.default_rng([side.split, len(everybody)]).permutation(everybody)
    return np.sort(np.array_split(mixed, 2)[side.half])


def write_half(source: Path, target: Path, side: Side, without: str = "") -> Path:
    """Make a data folder of the tools with the people of one side only, where a corpus is judged.

    `without`: a recording condition to leave out of all.
    """
    target.mkdir(parents=True, exist_ok=True)
    for file in source.iterdir():
        copy = target / file.name
        if file.name in judged_files(side) or (without and file.name in RECORDINGS):
            with np.load(file) as arrays:
                chosen = side if file.name in judged_files(side) else None
                np.savez(copy, **_part(dict(arrays), *RECORDINGS[file.name], chosen, without))
        elif not copy.exists():
            copy.symlink_to(file.resolve())
    return target


def _part(arrays: dict[str, Any], person: str, axes: dict[str, int], side: Side | None, without: str) -> dict[str, Any]:
    """The people of a side (None: everybody), in all conditions but one."""
    people = arrays[person]
    own = np.flatnonzero(np.isin(people, half_of(people, side) if side else people))
    kept = arrays["conditions"] != without
    result = {}
    for name, array in arrays.items():
        chosen = array.take(own, axes[name]) if name in axes else array
        result[name] = chosen[kept] if name == "conditions" or axes.get(name) == 1 else chosen
    return result


def fit_packs(folder: Path, out: Path, unseen: tuple[str, ...] = ()) -> dict[str, str]:
    """Fit the packs of the package anew, on the people of a data folder but for the `unseen` files of recordings.

    Returns encoder -> the policy's `pack`.
    """
    packs = {}
    for encoder in (VOICE, FACE):
        recipe = load_recipe(Path(str(PACKS / f"{encoder}.toml")))
        seen = tuple(corpus for corpus in recipe.corpus if corpus.recordings not in unseen)
        labelled = read_recordings(recipe.model_copy(update={"corpus": seen}), folder, Choice())
        pack = out.absolute() / f"{encoder}.npz"
        write_pack(pack, fit(labelled.recordings), "bench.quality")
        packs[encoder] = str(pack)
    return packs
