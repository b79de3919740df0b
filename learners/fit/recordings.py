"""Labelled recordings of many people: what a fleet pack is fitted on, and judged by.

Law: nothing here is learnt.
"""

from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from ..recognition.projection import Metric

__all__ = ["OF_EACH", "Codes", "Flags", "Numbers", "Recordings", "unit"]

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

# Arrays with an entry for each recording.
OF_EACH: Final = ("vectors", "people", "channels", "takes", "altered", "quality", "corpora")


@dataclass(frozen=True, eq=False)
class Recordings:
    """Labelled vectors of one encoder.

    Parameters
    ----------
    metric
        How the encoder's vectors are compared; for `cosine` they must be of unit length (`unit`).
    vectors
        (n, d).
    people
        (n,): whose each is, as any whole number.
    channels, names
        (n,): which of the channels `names` each came through; 0 is the ordinary one.
    takes
        (n,): recordings of one take are one utterance or picture through several channels, and never compared.
    altered
        (n,): the person was made to sound or look another way. Tells how people vary, and nothing of channels.
    quality, quality_name
        (n,): a number told with each recording, NaN where it was not, and what the number is called; "": none is.
    cohort
        (m, d): mean vectors of other people, of whom nothing more is known.
    nobody
        (m, d): vectors of no person: of silence, of noise, of pictures without a face.
    corpora
        (n,): which collection of people each is of. Collections differ in centre and level (language, rooms, microphones), and
        nobody stands in two.
    """

    metric: Metric
    vectors: Numbers
    people: Codes
    channels: Codes
    names: tuple[str, ...]
    takes: Codes
    altered: Flags
    quality: Numbers
    quality_name: str
    cohort: Numbers
    nobody: Numbers
    corpora: Codes

    @classmethod
    def plain(cls, metric: Metric, vectors: Numbers, people: Codes) -> Self:
        """Recordings of one channel, each a take of its own, without quality and cohort."""
        n, d = vectors.shape
        none = np.zeros(n, np.int64)
        unknown, nobody = np.full(n, np.nan), np.zeros((0, d))
        return cls(metric, vectors, people, none, ("clean",), np.arange(n), none > 0, unknown, "", nobody, nobody, none)

    def only(self, chosen: Flags) -> Self:
        """Those chosen (n,); names, cohort and nobody stay."""
        parts = {key: getattr(self, key)[chosen] for key in OF_EACH}
        return replace(self, **parts)

    def by_corpus(self) -> list[Self]:
        """The recordings of each corpus for itself."""
        return [self.only(self.corpora == corpus) for corpus in np.unique(self.corpora)]


def unit(vectors: Numbers) -> Numbers:
    """(…, d) -> the same directions, of length 1."""
    result: Numbers = vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
    return result
