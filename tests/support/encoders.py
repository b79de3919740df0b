"""A synthetic encoder whose covariances are known: what a fit must find again."""

from dataclasses import dataclass

import numpy as np

from learners.fit.recordings import Recordings

__all__ = ["LENGTH", "Encoder", "recordings_of"]

LENGTH = 24


@dataclass(frozen=True, eq=False)
class Encoder:
    """Draws recordings: people ~ N(mean, between); in a channel a person moves; a recording ~ N(place, noise)."""

    mean: np.ndarray
    between: np.ndarray  # (d, d)
    within: np.ndarray  # (d, d)
    channel_means: np.ndarray  # (C, d)
    channel_noises: np.ndarray  # (C,): what `within` is multiplied by
    move: float  # what `within` is multiplied by for the move of a person into a channel other than the first

    @classmethod
    def drawn(cls, seed: int, channels: int = 1, move: float = 0.5) -> "Encoder":
        rng = np.random.default_rng(seed)
        turn, other = (np.linalg.qr(rng.standard_normal((LENGTH, LENGTH)))[0] for _ in range(2))
        between = turn @ np.diag(np.geomspace(4, 0.1, LENGTH)) @ turn.T
        within = other @ np.diag(np.geomspace(2, 0.3, LENGTH)) @ other.T
        means = np.concatenate([np.zeros((1, LENGTH)), rng.normal(0, 2, (channels - 1, LENGTH))])
        noises = np.array([1.0, 1.5, 0.7, 2.0][:channels])
        return cls(rng.standard_normal(LENGTH), between, within, means, noises, move)


def recordings_of(encoder: Encoder, seed: int, people: int, takes: int) -> Recordings:
    """So many people with so many takes each, every take through all channels."""
    rng, channels = np.random.default_rng(seed), len(encoder.channel_means)
    vectors = np.zeros((channels, people, takes, LENGTH))
    for person in range(people):
        place = rng.multivariate_normal(encoder.mean, encoder.between)
        for channel in range(channels):
            move = rng.multivariate_normal(np.zeros(LENGTH), encoder.move * encoder.within) * (channel > 0)
            spread = encoder.channel_noises[channel] * encoder.within
            vectors[channel, person] = rng.multivariate_normal(place + move + encoder.channel_means[channel], spread, takes)
    n = people * takes
    names = ("clean", "far", "near", "noisy")[:channels]
    return Recordings(
        "euclidean", vectors.reshape(-1, LENGTH), np.tile(np.repeat(np.arange(people), takes), channels),
        np.repeat(np.arange(channels), n), names, np.tile(np.arange(n), channels), np.zeros(n * channels, np.bool_),
        np.full(n * channels, np.nan), "", np.zeros((0, LENGTH)), np.zeros((0, LENGTH)), np.zeros(n * channels, np.int64),
    )  # fmt: skip
