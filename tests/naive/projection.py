"""Projection, plainly: a vector of float16 to what is compared, one formula a line, in the order in which the kernels add."""

import math
from typing import NamedTuple

import numpy as np

from learners.recognition.projection import Floats, Projection

STEP = 1 / 16
NOISE_STEP = 1 / 32


class Projected(NamedTuple):
    steps: list[int]
    channel: int
    noise_steps: int


def project(projection: Projection, raw: bytes, told: float | None) -> Projected:
    vector = np.frombuffer(raw, "<f2").astype(np.float32)
    if projection.metric == "cosine":
        vector = vector * np.float32(1 / math.sqrt(sum(float(x * x) for x in vector)))
    places = _multiplied(vector, projection.matrix, projection.matrix @ projection.mean)
    scores = _multiplied(vector, projection.channels.weights, -projection.channels.bias)
    channel = int(np.argmax(scores))
    away = (places - projection.channels.mean[channel]) * np.float32(1 / STEP)
    noise = float(projection.channels.noise[channel]) * noise_factor(projection, told)
    return Projected([int(x) for x in np.clip(np.rint(away), -127, 127)], channel, max(1, min(round(noise / NOISE_STEP), 255)))


def _multiplied(vector: Floats, matrix: Floats, offset: Floats) -> Floats:
    total = -offset
    for x, column in zip(vector, matrix.T, strict=True):
        total = total + x * column
    return total


def noise_factor(projection: Projection, told: float | None) -> float:
    quality = projection.quality
    if told is None or not quality.name:
        return 1.0
    return float(np.interp(told, quality.knots.astype(float), quality.noise.astype(float).round(6)))
