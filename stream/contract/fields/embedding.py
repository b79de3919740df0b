"""Embeddings on the wire: base64 of little-endian float16.

Law: what no encoder can mean is refused with a sentence, before anything is made of it.
"""

import math
from binascii import a2b_base64
from typing import Annotated, Final

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, WithJsonSchema

__all__ = ["ABSURD", "EMBEDDING_NORM_MAX", "Embedding", "Vector", "looks_like_float32"]

EMBEDDING_LENGTH_MAX = 1024
EMBEDDING_TEXT_MAX: Final = 2732  # 1024 numbers of 2 bytes in base64
ABSURD = "the embedding has NaN, infinite or absurd numbers"
EMBEDDING_NORM_MAX = 1e4  # float16 itself ends at 65,504; encoders stay near 1
_FLOAT32_SQUARE_MIN, _FLOAT32_SQUARE_MAX = 1e-3, 1e6  # of vectors as encoders give them
Vector = npt.NDArray[np.float32]


def _embedding(text: str) -> Vector:
    """Base64 of little-endian float16 -> float32 array; refuses what no encoder can mean."""
    if len(text) > EMBEDDING_TEXT_MAX:  # before anything is decoded
        raise ValueError(f"the embedding is longer than {EMBEDDING_LENGTH_MAX} numbers of 2 bytes (float16)")
    try:
        raw = a2b_base64(text, strict_mode=True)
    except ValueError as error:
        alphabet = ": it is of the alphabet of URLs, with - and _" if "-" in text or "_" in text else ""
        raise ValueError(f"the embedding is not base64 ({error}){alphabet}") from None
    if not raw or len(raw) % 2:
        raise ValueError(f"the embedding has {len(raw)} bytes, which is not a whole number of float16 values above 0")
    vector = np.frombuffer(raw, "<f2").astype(np.float32)
    square = float(vector.dot(vector)) if np.isfinite(vector).all() else math.nan
    if not 0 < square < EMBEDDING_NORM_MAX**2:
        hint = "; its bytes look like float32, where float16 is asked for" if looks_like_float32(raw) else ""
        raise ValueError("the embedding is all zeros" if square == 0 else ABSURD + hint)
    vector.flags.writeable = False
    result: Vector = vector
    return result


def looks_like_float32(raw: bytes) -> bool:
    """Whether the bytes of a vector are more likely little-endian float32: read so, its length is that of an encoder's vectors.

    >>> looks_like_float32(np.full(4, 0.5, "<f4").tobytes()), looks_like_float32(np.full(8, 0.5, "<f2").tobytes())
    (True, False)
    """
    if len(raw) % 4:
        return False
    with np.errstate(all="ignore"):
        vector = np.frombuffer(raw, "<f4").astype(np.float64)
        return bool(_FLOAT32_SQUARE_MIN < vector.dot(vector) < _FLOAT32_SQUARE_MAX)


_EMBEDDING_SCHEMA = {
    "type": "string", "contentEncoding": "base64", "maxLength": EMBEDDING_TEXT_MAX,
    "description": f"base64 of little-endian IEEE float16, 1 to {EMBEDDING_LENGTH_MAX} numbers, finite, not all zero",
}  # fmt: skip
Embedding = Annotated[str, AfterValidator(_embedding), WithJsonSchema(_EMBEDDING_SCHEMA)]
