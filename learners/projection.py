"""From an encoder's vector space to a small one where people are far apart and recordings of one person near.

Law: `project` is the only way in; what comes out is at stored precision (whole steps of `STEP`), so that nothing
depends on what happened to be kept in memory.

Theory: simultaneous diagonalisation of the within-person and the between-person covariance (two-covariance PLDA:
Ioffe 2006; Brümmer and de Villiers 2010). After it a recording of a person is N(y, I) around the person's own y,
and people are N(0, diag(between)).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import numpy as np

from . import kernels
from .plain import STEP, Floats

__all__ = ["DIMENSIONS", "STEP", "Floats", "Metric", "Projection"]

DIMENSIONS: Final = 64  # 32 lose 1.5 to 4 points of top-1, more gain nothing
GENERIC_TEMPERATURE: Final = 0.25

Metric = Literal["cosine", "euclidean"]


@dataclass(frozen=True, eq=False)
class Projection:
    """A fixed linear map of one encoder's vectors, with what is known of people in the space it leads to.

    Parameters
    ----------
    metric
        `cosine`: only a vector's direction counts (it is brought to unit length first); `euclidean`: its length too.
    matrix
        (k, d), k <= 64: from the encoder's d numbers to k.
    mean
        (d,): the mean vector of people in general.
    between
        (k,): variance between people per dimension, in units of the variance within a person.
    temperature
        0 to 1: what a log-likelihood ratio is multiplied by, since dimensions are not independent.
    """

    metric: Metric
    matrix: Floats
    mean: Floats
    between: Floats
    temperature: float

    @property
    def dimensions(self) -> int:
        return len(self.between)

    @property
    def length(self) -> int:
        """How many numbers the encoder gives."""
        return len(self.mean)

    def project(self, vector: Floats) -> Floats:
        """(d,) -> (k,), in whole steps of `STEP`, at most 127 of them from 0."""
        steps: Floats = kernels.project(vector, self._by_input, self._offset, self.metric == "cosine")
        return steps

    @cached_property
    def _by_input(self) -> Floats:
        return np.ascontiguousarray(self.matrix.T)

    @cached_property
    def _offset(self) -> Floats:
        offset: Floats = self.matrix @ self.mean
        return offset

    def restore(self, projected: Floats) -> Floats:
        """(…, k) -> (…, d): the shortest vectors that `project` would bring there; of unit length for `cosine`."""
        vectors = self.mean + projected @ self._back.T
        if self.metric == "cosine":
            vectors /= np.sqrt(np.square(vectors).sum(-1, keepdims=True))
        return vectors.astype(np.float32)

    @cached_property
    def _back(self) -> Floats:
        inverse: Floats = np.linalg.pinv(self.matrix).astype(np.float32)
        return inverse

    @classmethod
    def generic(cls, metric: Metric, length: int, within: float) -> "Projection":
        """For an encoder that nothing is known of but its length: the lowest cosine waves, scaled by `within`.

        `within` is the standard deviation of one number between two recordings of one person. Keeps 64 of the
        dimensions at most, each a fixed mixture of all, so that it works from the first event, less well than a fit.
        """
        k = min(DIMENSIONS, length)
        wave = np.cos(np.pi / length * np.outer(np.arange(k), np.arange(length) + 0.5))
        wave /= np.linalg.norm(wave, axis=1, keepdims=True)
        between = np.full(k, 2.0, np.float32)
        return cls(metric, (wave / within).astype(np.float32), np.zeros(length, np.float32), between, GENERIC_TEMPERATURE)
