"""From an encoder's vector space to a small one where people are far apart and recordings of one person near.

Law: `project` is the only way in; what comes out is at stored precision (whole steps of `STEP`), so that nothing
depends on what happened to be kept in memory.

Theory: simultaneous diagonalisation of the within-person and the between-person covariance (two-covariance PLDA:
Ioffe 2006; Brümmer and de Villiers 2010). After it a recording of a person is N(y, I) around the person's own y,
and people are N(0, diag(between)).
"""

import hashlib
from bisect import bisect
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from ..precision import VECTOR_STEP, VECTOR_STEPS_MAX

__all__ = [
    "DIMENSIONS", "NOBODY_MAX", "NOISE_STEP", "STEP", "Channels", "Floats", "Metric", "Nobody", "Presented",
    "Projection", "Quality",
]  # fmt: skip

Floats = npt.NDArray[np.float32]

STEP: Final = VECTOR_STEP
DIMENSIONS: Final = 64  # 32 lose 1.5 to 4 points of top-1, more gain nothing
GENERIC_TEMPERATURE: Final = 0.3
CENTRE_SPREAD: Final = 0.25  # of corpora that a fit had not seen, as long as nobody measured it
NOISE_STEP: Final = 1 / 32  # of the variance within a person: a byte then reaches 8
NOISE_STEPS_MAX: Final = 255

Metric = Literal["cosine", "euclidean"]


@dataclass(frozen=True, eq=False)
class Channels:
    """The kinds of recording that vectors come from (a telephone, a far microphone…), and what each does to a person.

    Parameters
    ----------
    names
        Of the channels; the first is the ordinary one, whose people lie around 0.
    mean
        (C, k): the mean of people in a channel, projected; of the first: 0.
    noise
        (C,): mean variance per dimension of a recording around its person's place in that channel.
    shift
        (C, C): mean variance per dimension of one person's move between two channels, beyond that of the means; 0 within one. A
        person moves once, not once a recording: of many recordings in c, with their sum of weights M_c, the mean tells of channel
        c' with weight 1 / (1 / M_c + shift). (Each by itself at 1 / (noise + shift): Cllr of 8 recordings .46 instead of .29.)
    weights, bias
        (C, d), (C,): a linear classifier of the channel of an encoder's vector (of unit length for `cosine`).
    """

    names: tuple[str, ...]
    mean: Floats
    noise: Floats
    shift: Floats
    weights: Floats
    bias: Floats

    @classmethod
    def single(cls, dimensions: int, length: int) -> "Channels":
        """Nothing is known of channels: there is one, and a recording in it is as noisy as all are."""
        one, none = np.ones(1, np.float32), np.zeros(1, np.float32)
        mean, weights = np.zeros((1, dimensions), np.float32), np.zeros((1, length), np.float32)
        return cls(("clean",), mean, one, none[:, None], weights, none)


_UNTOLD: Final = Channels.single(0, 0)


@dataclass(frozen=True, eq=False)
class Quality:
    """How the noise of a recording depends on a number that is told with it, such as its seconds.

    Parameters
    ----------
    name
        Of the number; "": none is known of.
    knots, noise
        (q,), (q,): the number, rising, and what the channel's noise is multiplied by there; straight between, level outside.
    """

    name: str
    knots: Floats
    noise: Floats

    def noise_of(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """(n,) -> (n,) factors of the noise; 1 where a value is NaN."""
        factors: npt.NDArray[np.float64] = np.where(np.isfinite(values), np.interp(values, self.knots, self.noise), 1.0)
        return factors

    def noise_one(self, value: float) -> float:
        """The same of one value, which is a number.

        >>> Quality("duration_s", np.array([1, 3], "f4"), np.array([1.2, 0.8], "f4")).noise_one(2.0)
        1.0
        """
        i = bisect(self._knots, value)
        if i == 0 or i == len(self._knots):
            return self._noise[i and -1]
        (low, high), (before, after) = self._knots[i - 1 : i + 1], self._noise[i - 1 : i + 1]
        return before + (after - before) * (value - low) / (high - low)

    @cached_property
    def _knots(self) -> list[float]:
        knots: list[float] = self.knots.astype(float).tolist()
        return knots

    @cached_property
    def _noise(self) -> list[float]:
        noise: list[float] = self.noise.astype(float).round(6).tolist()
        return noise

    @classmethod
    def unknown(cls) -> "Quality":
        """Every recording is as noisy as its channel."""
        return cls("", np.zeros(1, np.float32), np.ones(1, np.float32))


_OF_ANY_QUALITY: Final = Quality.unknown()


@dataclass(frozen=True, eq=False)
class Nobody:
    """What an encoder makes of nobody: of silence, of noise, of pictures without a face.

    Parameters
    ----------
    vectors
        (n, d): of unit length for `cosine`; n is at most NOBODY_MAX.
    radius
        (n,): Euclidean distance from each within which a vector is taken for the same.
    """

    vectors: Floats
    radius: Floats

    @classmethod
    def unknown(cls) -> "Nobody":
        """Every vector is somebody's."""
        return cls(np.zeros((0, 0), np.float32), np.zeros(0, np.float32))


_UNMET: Final = Nobody.unknown()
NOBODY_MAX: Final = 4


class Presented(NamedTuple):
    """A recording as it is compared: its vector (k,), its channel, and how noisy it is (variance a dimension)."""

    vector: Floats
    channel: int
    noise: float


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
    channels
        What is known of kinds of recording; by default that there is one.
    quality
        What is known of good and bad recordings; by default that they are alike.
    nobody
        What the encoder makes of nobody; by default that is not known.
    centre_spread
        Variance per dimension of where the people of a home lie (their language, rooms and microphones); 0: all as the mean.
    fitted
        Whether centre and scale are those of people; if not, each home learns them from its own.
    """

    metric: Metric
    matrix: Floats
    mean: Floats
    between: Floats
    temperature: float
    channels: Channels = _UNTOLD
    quality: Quality = _OF_ANY_QUALITY
    nobody: Nobody = _UNMET
    centre_spread: float = CENTRE_SPREAD
    fitted: bool = True

    def __post_init__(self) -> None:
        if self.channels is _UNTOLD:
            object.__setattr__(self, "channels", Channels.single(*self.matrix.shape))

    @property
    def dimensions(self) -> int:
        return len(self.between)

    @property
    def length(self) -> int:
        """How many numbers the encoder gives."""
        return len(self.mean)

    def project(self, vector: Floats, quality: float | None = None) -> Presented:
        """(d,) -> what is compared: (k,) less the mean of its channel, in whole steps of `STEP`, at most 127 of them from 0.

        `quality`: the number that `self.quality` names, where it was told.
        """
        if self.metric == "cosine":
            vector = vector / np.sqrt(vector.dot(vector))
        found = vector @ self._by_input - self._offset
        channel = int(found[self.dimensions :].argmax())
        steps = np.rint((found[: self.dimensions] - self.channels.mean[channel]) * np.float32(1 / STEP))
        projected = np.clip(steps, -VECTOR_STEPS_MAX, VECTOR_STEPS_MAX) * np.float32(STEP) + np.float32(0)  # no -0: int8 has none
        noise = self._noises[channel] * (1.0 if quality is None else self.quality.noise_one(quality))
        return Presented(projected, channel, max(1, min(round(noise / NOISE_STEP), NOISE_STEPS_MAX)) * NOISE_STEP)

    @cached_property
    def fingerprint(self) -> int:
        """32 bits of what vectors are projected by: vectors are compared only where it is the same."""
        digest = hashlib.blake2b(self.metric.encode(), digest_size=4)
        for array in (self.matrix, self.mean, self.channels.mean, self.channels.weights, self.channels.bias):
            digest.update(array.tobytes())
        return int.from_bytes(digest.digest(), "big")

    @cached_property
    def _noises(self) -> list[float]:
        noises: list[float] = self.channels.noise.tolist()
        return noises

    @cached_property
    def _by_input(self) -> Floats:
        """(d, k + C): the projection, and beside it the channels' classifier."""
        both: Floats = np.ascontiguousarray(np.concatenate([self.matrix, self.channels.weights]).T)
        return both

    @cached_property
    def _offset(self) -> Floats:
        offset: Floats = np.concatenate([self.matrix @ self.mean, -self.channels.bias])
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
        matrix, nowhere = (wave / within).astype(np.float32), np.zeros(length, np.float32)
        return cls(metric, matrix, nowhere, between, GENERIC_TEMPERATURE, fitted=False)
