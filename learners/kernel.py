"""Kernels: functions over records that run compiled, and interpreted to the same bytes.

Law: there is one text of every kernel. A record is a NumPy structured type whose fields read as attributes in both
ways of running; constants are typed, sums are loops in a written order, nothing is allocated, and no compiler may
reorder arithmetic (no fast-math).

`NUMBA_DISABLE_JIT=1`, Numba's own switch, runs every kernel interpreted: slow, and good for a debugger.

Theory of operation: inner kernels are compiled as part of the entry that calls them, in one library; only entries
have a signature and are kept on disk (see `compiling`, the only other module that knows Numba).
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba.core import config

from .compiling import Plain, keep_in, one_library

__all__ = ["INTERPRETED", "array", "entry", "entry_at_first_use", "kernel", "record"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
INTERPRETED: Final = bool(vars(config)["DISABLE_JIT"])
# Numba tells every type by its whole text, again and again; of a home that is 20,000 characters.
types.Record.__repr__ = lambda own: own.mangling_args[0] + str(own.mangling_args[1])
# It would take a record for any that begins like it; then what is compiled depended on what had been compiled before.
types.Record.can_convert_to = types.Type.can_convert_to

_INNER: Final = {
    "pipeline_class": Plain, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "nogil": True,
}  # fmt: skip


def record(*fields: tuple[Any, ...]) -> np.dtype[Any]:
    """The type of a record: (name, type) or (name, type, shape) each; every field is aligned by itself, and nothing is padding.

    >>> record(("at", "<i8"), ("shares", "<u2", 4)).itemsize
    16
    """
    made = np.dtype(list(fields))
    for name, (field, offset, *_) in (made.fields or {}).items():
        assert not hasattr(np.record, name), f"{name} is something else of every NumPy record"
        off = offset % _alignment(field)
        assert off == 0, f"{name} is {off} bytes off its alignment: reserve before it"
    assert made.itemsize % _alignment(made) == 0, f"{fields[0][0]}…: {made.itemsize} bytes are no multiple of {_alignment(made)}"
    return np.dtype((np.record, made))


def _alignment(dtype: np.dtype[Any]) -> int:
    """Of the largest number in it, in bytes."""
    if dtype.subdtype:
        return _alignment(dtype.subdtype[0])
    return max(_alignment(field) for field, *_ in dtype.fields.values()) if dtype.fields else dtype.itemsize


def kernel(function: Kernel) -> Kernel:
    """A function that is called by kernels: compiled once, for whole numbers of eight bytes, whatever size a caller's are of."""
    if INTERPRETED:
        return function
    dispatcher = numba.njit(**_INNER)(function)
    resolve = dispatcher.get_call_template
    dispatcher.get_call_template = lambda args, kws: resolve(tuple(_widen(a) for a in args), kws)
    return cast(Kernel, dispatcher)


def _widen(argument: Any) -> Any:
    """One type of whole number, so that there is one version of a kernel."""
    argument = types.unliteral(argument)
    return types.int64 if isinstance(argument, types.Integer) and argument.signed else argument


def array(dtype: np.dtype[Any], dimensions: int = 1) -> Any:
    """The type of an array argument of an entry."""
    return types.Array(numba.from_dtype(dtype), dimensions, "C")


def entry(*arguments: Any, result: Any = types.void) -> Callable[[Kernel], Kernel]:
    """A kernel that Python calls, compiled for these types alone when it is defined, or loaded as it was compiled before."""

    def compile_kernel(function: Kernel) -> Kernel:
        if INTERPRETED:
            return function
        function.__qualname__ = f"{function.__module__}.{function.__qualname__}"  # that of no kernel which it calls
        with keep_in(function.__code__.co_filename), one_library(function.__qualname__):
            made = numba.njit(result(*arguments), error_model="numpy", nogil=True, cache=True)(function)
        return cast(Kernel, made)

    return compile_kernel


def entry_at_first_use(*arguments: Any, result: Any = types.void) -> Callable[[Kernel], Kernel]:
    """As `entry`, but compiled when it is first called, not when it is defined."""

    def defer(function: Kernel) -> Kernel:
        compiled: list[Callable[..., Any]] = []

        @wraps(function)
        def call(*values: Any) -> Any:
            if not compiled:
                compiled.append(entry(*arguments, result=result)(function))
            return compiled[0](*values)

        return cast(Kernel, call)

    return defer
