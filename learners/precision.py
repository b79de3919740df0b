"""The steps that learnt numbers are kept in: whole numbers of them, so that what is taken back is taken back exactly.

Law: a number at stored precision is an integer; where a kernel needs the real number it multiplies by the step.
"""

from typing import Final

__all__ = [
    "LLR_STEP", "MEAN_STEP", "MEAN_STEPS_MAX", "NATS_STEP", "NOISE_STEP", "SHARE_ONE", "SHARE_STEP", "VECTOR_STEP",
    "VECTOR_STEPS_MAX",
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
