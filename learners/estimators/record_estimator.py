"""An estimator on a record: what it has learnt is one NumPy record of fixed size, and the names that stand in it as numbers.

Law: `from_bytes(to_bytes())` goes on exactly as the estimator would. Two estimators share nothing, and none grows
with what it sees.

Theory of operation: kernels (see `learners.kernel`) know records and numbers alone; an estimator gives them names and
keyword arguments. It is compiled by its first use, and kept on disk from then on.
"""

import json
import struct
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt
from numba import types

from learners.kernel import array

__all__ = [
    "DIMENSIONS", "Name", "Names", "RecordEstimator", "Vector", "f8", "i8", "learn_features", "native",
    "shares", "truth", "vector_of",
]  # fmt: skip

f8, i8, truth = types.float64, types.int64, types.boolean  # arguments of entries
shares: Final = array(np.dtype("f8"))
DIMENSIONS: Final = 64  # of a vector that is kept, at most
Name: TypeAlias = bool | str | int  # what River takes as a class
Vector: TypeAlias = Mapping[Any, Any] | npt.ArrayLike
_HEAD: Final = struct.Struct("<II")  # bytes of the names, of the record


def native(name: Any) -> Name:
    """A label as JSON can write it: NumPy's scalars become Python's."""
    return cast(Name, name.item() if isinstance(name, np.generic) else name)


class Names:
    """Names of a kind, each with a number from 0 that it keeps until it is dropped.

    Parameters
    ----------
    most
        How many there can be.
    what
        Of which kind, for the error of one too many.

    Examples
    --------
    >>> names = Names(2, "people")
    >>> names.learn("anna"), names.learn("bert"), names.learn("anna"), names.number("cora")
    (0, 1, 0, None)
    """

    def __init__(self, most: int, what: str) -> None:
        self.most, self.what = most, what
        self.listed: list[Name | None] = []

    def number(self, name: Name) -> int | None:
        """The number of a name that was learnt."""
        return self.listed.index(name) if name in self.listed else None

    def learn(self, name: Name) -> int:
        """The number of a name; ValueError if it is one too many."""
        number = self.number(name)
        if number is None:
            number = self.listed.index(None) if None in self.listed else len(self.listed)
            if number == self.most:
                raise ValueError(f"{name!r} is one too many: of {self.what} there are at most {self.most}")
            self.listed[number : number + 1] = [native(name)]
        return number


def vector_of(x: Vector, features: Names, scale: float) -> npt.NDArray[np.float32]:
    """(DIMENSIONS,) A vector in units of `scale`; what is not in it is 0.

    Features of a mapping have the dimensions in which they were learnt; others are left out, as is what is no number.

    Raises
    ------
    ValueError
        An array has more dimensions than are kept, or a number is not finite.
    """
    found = np.zeros(DIMENSIONS, np.float32)
    if isinstance(x, Mapping):
        for name, value in x.items():
            number = features.number(native(name))
            if number is not None and isinstance(value, int | float | np.number):
                found[number] = float(value) / scale
    else:
        values = np.asarray(x, np.float64) / scale
        if values.ndim != 1 or len(values) > DIMENSIONS:
            raise ValueError(f"an array of shape {values.shape} is no vector of at most {DIMENSIONS} numbers")
        found[: len(values)] = values
    if not np.isfinite(found).all():
        raise ValueError("a number of the vector is not finite")
    return found


def learn_features(x: Vector, features: Names) -> Names:
    """The features of a vector that is learnt, each with its dimension; what finds no room is left out."""
    names = sorted(map(native, x), key=str) if isinstance(x, Mapping) else range(np.size(x))
    for name in names:
        if len(features.listed) < features.most:
            features.learn(name)
    return features


class RecordEstimator:
    """What estimators on a record have in common: their memory, as bytes.

    `RECORD` is the type of the record; `_names` the lists of names beside it, in a fixed order.
    """

    RECORD: ClassVar[Any]
    _record: npt.NDArray[Any]
    _names: tuple[Names, ...]

    def _begin(self, *names: Names) -> None:
        """Know nothing."""
        self._record, self._names = np.zeros(1, self.RECORD), names

    @property
    def memory_bytes(self) -> int:
        """Bytes of the record, which are as many however much was learnt."""
        return int(self._record.nbytes)

    def to_bytes(self) -> bytes:
        """All that was learnt; what the estimator was made with is not in it."""
        names = json.dumps([own.listed for own in self._names]).encode() if self._names else b""
        return _HEAD.pack(len(names), self._record.nbytes) + names + self._record.tobytes()

    def from_bytes(self, raw: bytes) -> Self:
        """Stand where `to_bytes` was taken, of an estimator that was made with the same parameters; returns itself.

        Raises
        ------
        ValueError
            They are not the bytes of such an estimator.
        """
        if len(raw) < _HEAD.size:
            raise ValueError("these bytes are no estimator's")
        of_names, of_record = _HEAD.unpack_from(raw)
        if of_record != self._record.nbytes or len(raw) != _HEAD.size + of_names + of_record:
            raise ValueError(f"these bytes are no {type(self).__name__}'s")
        listed = json.loads(raw[_HEAD.size : _HEAD.size + of_names]) if of_names else []
        for own, names in zip(self._names, listed, strict=True):
            own.listed = names
        self._record = np.frombuffer(raw, self.RECORD, 1, _HEAD.size + of_names).copy()
        return self
