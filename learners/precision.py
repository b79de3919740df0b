"""The steps that learnt numbers are kept in: whole numbers of them, so that what is taken back is taken back exactly.

Law: a number at stored precision is an integer; where a kernel needs the real number it multiplies by the step.
"""

from typing import Final

import numpy as np

__all__ = [
    "LLR_STEP", "MEAN_32", "MEAN_STEP", "MEAN_STEPS_MAX", "NATS_STEP", "NOISE_32", "NOISE_STEP", "ONE_32", "SHARE_32",
    "SHARE_ONE", "SHARE_STEP", "VECTOR_32", "VECTOR_STEP", "VECTOR_STEPS_MAX", "ZERO_32",
]  # fmt: skip

SHARE_ONE: Final = 4096  # steps of a whole event
SHARE_STEP: Final = 1 / SHARE_ONE  # of an event's shares among people
LLR_STEP: Final = 1 / 16  # nats: log-likelihood ratios as they are kept, in int8
NATS_STEP: Final = 1 / 256  # of what a claim weighs
VECTOR_STEP: Final = 1 / 16  # of the within-person standard deviation: int8 then reaches 7.9
VECTOR_STEPS_MAX: Final = 127
MEAN_STEP: Final = 1 / 4096  # of a mean of vectors, in the same unit: int16 then reaches 7.99
MEAN_STEPS_MAX: Final = 32_767
NOISE_STEP: Final = 1 / 32  # of the variance within a person: a byte then reaches 8

# In single precision, for loops over vectors: with one double among them a compiler works in doubles, at half the speed.
ONE_32: Final = np.float32(1)
ZERO_32: Final = np.float32(0)
SHARE_32: Final = np.float32(SHARE_STEP)
VECTOR_32: Final = np.float32(VECTOR_STEP)
MEAN_32: Final = np.float32(MEAN_STEP)
NOISE_32: Final = np.float32(NOISE_STEP)
