"""Kernels: functions over records that run compiled, and interpreted to the same bytes. Nothing else here imports Numba.

Law: there is one text of every kernel. A record is a NumPy structured type whose fields read as attributes in both ways of running;
constants are typed, sums are loops in a written order, nothing is allocated, and no compiler may reorder arithmetic (no fast-math).

`NUMBA_DISABLE_JIT=1`, Numba's own switch, runs every kernel interpreted: slow, and good for a debugger.

Theory of operation: inner kernels are compiled as part of the entry that calls them, in one library; only entries have a signature
and are kept on disk, under a name that holds a digest of the texts of all kernels, so that machine code never outlives its source.
"""

import gc
import hashlib
import os
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numba
import numpy as np
from numba import types
from numba._dynfunc import make_function
from numba.core import config, typed_passes, untyped_passes
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler import CompilerBase, PassManager
from numba.core.cpu import CPUContext

__all__ = ["INTERPRETED", "array", "entry", "kernel", "record"]

Kernel = TypeVar("Kernel", bound=Callable[..., Any])
INTERPRETED: Final = bool(vars(config)["DISABLE_JIT"])
# Numba tells every type by its whole text, again and again; of a home that is 20,000 characters.
types.Record.__repr__ = lambda own: own.mangling_args[0] + str(own.mangling_args[1])  # type: ignore[method-assign]


class _Plain(CompilerBase):  # type: ignore[misc]
    """Numba's way from text to machine code, without the steps that kernels have no use for: closures, literals, exceptions."""

    def define_pipelines(self) -> list[PassManager]:
        passes = PassManager("kernel")
        if self.state.func_ir is None:
            passes.add_pass(untyped_passes.TranslateByteCode, "analyse bytecode")
            passes.add_pass(untyped_passes.FixupArgs, "fix up arguments")
        passes.add_pass(untyped_passes.IRProcessing, "process")
        passes.add_pass(untyped_passes.ReconstructSSA, "static single assignment")
        passes.add_pass(typed_passes.NopythonTypeInference, "infer types")
        passes.add_pass(typed_passes.PreLowerStripPhis, "strip phi nodes")
        passes.add_pass(typed_passes.IRLegalization, "legalise")
        passes.add_pass(typed_passes.NativeLowering, "lower")
        passes.add_pass(typed_passes.NoPythonBackend, "finish")
        passes.finalize()
        return [passes]


_INNER: Final = {"pipeline_class": _Plain, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True, "nogil": True}
_HERE: Final = Path(__file__).parent
# Where inner kernels stand, and what they are compiled with: records and numbers.
_SOURCES: Final = ("learners/**/*.py", "stream/home/core/**/*.py", "stream/home/**/layout.py", "stream/home/messages.py")


def record(*fields: tuple[Any, ...]) -> np.dtype[Any]:
    """The type of a record: (name, type) or (name, type, shape) each; every field is aligned by itself, and nothing is padding.

    >>> record(("at", "<i8"), ("shares", "<u2", 4)).itemsize
    16
    """
    made = np.dtype(list(fields))
    for name, (field, offset, *_) in (made.fields or {}).items():
        assert not hasattr(np.record, name), f"{name} is something else of every NumPy record"
        assert offset % _alignment(field) == 0, f"{name} is {offset % _alignment(field)} bytes off its alignment: reserve before it"
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
    dispatcher.get_call_template = lambda args, kws: resolve(tuple(_widened(a) for a in args), kws)
    return cast(Kernel, dispatcher)


def _widened(argument: Any) -> Any:
    """One type of whole number, so that there is one version of a kernel."""
    argument = types.unliteral(argument)
    return types.int64 if isinstance(argument, types.Integer) and argument.signed else argument


def array(dtype: np.dtype[Any], dimensions: int = 1) -> Any:
    """The type of an array argument of an entry."""
    return types.Array(numba.from_dtype(dtype), dimensions, "C")


def entry(*arguments: Any, result: Any = types.void) -> Callable[[Kernel], Kernel]:
    """A kernel that Python calls, compiled for these types alone when it is defined, or loaded as it was compiled before."""

    def compiled(function: Kernel) -> Kernel:
        if INTERPRETED:
            return function
        before = config.CACHE_DIR
        config.CACHE_DIR = str(_cache_directory(function.__code__.co_filename))
        try:
            with _one_library(function.__name__):
                made = numba.njit(result(*arguments), error_model="numpy", nogil=True, cache=True)(function)
        finally:
            config.CACHE_DIR = before
        return cast(Kernel, made)

    return compiled


@contextmanager
def _one_library(name: str) -> Iterator[None]:
    """Let inner kernels neither be linked, optimised nor made machine code by themselves, but once, as parts of the entry of that name.

    Numba does all that for every function, together with all that it calls, so that time would grow with the depth of calls: to minutes.
    """
    finalize, optimize_functions, get_executable = (
        CPUCodeLibrary.finalize, CPUCodeLibrary._optimize_functions, CPUContext.get_executable,
    )  # fmt: skip

    def finalize_entry(library: Any) -> None:
        if library.name == name:
            library._linking_libraries = [*_called(library)]
            finalize(library)
        else:
            library._finalize_dynamic_globals()
            library._final_module.__library = weakref.proxy(library)
            library._finalized = True

    def only_lay_out(library: Any, module: Any) -> None:
        module.data_layout = library._codegen._data_layout

    def executable_entry(context: Any, library: Any, described: Any, environment: Any) -> Any:
        if library.name == name:
            return get_executable(context, library, described, environment)
        return make_function(described.lookup_module(), described.qualname, "an inner kernel", 0, environment, (library,))

    CPUCodeLibrary.finalize, CPUCodeLibrary._optimize_functions = finalize_entry, only_lay_out
    CPUContext.get_executable = executable_entry
    collected = gc.isenabled()
    gc.disable()  # millions of small objects, none of them garbage until the end
    try:
        yield
    finally:
        if collected:
            gc.enable()
        CPUCodeLibrary.finalize, CPUCodeLibrary._optimize_functions = finalize, optimize_functions
        CPUContext.get_executable = get_executable


def _called(library: Any) -> dict[Any, None]:
    """All that a library calls, and what that calls."""
    found: dict[Any, None] = {}
    left = [*library._linking_libraries]
    while left:
        one = left.pop()
        if one not in found:
            found[one] = None
            left += one._linking_libraries
    return found


@cache
def _cache_directory(entry: str) -> Path:
    """For the entries of one file: beside the package where that can be written, else in the user's cache."""
    digest = hashlib.blake2b(f"{numba.__version__} {np.__version__}".encode() + Path(entry).read_bytes(), digest_size=8)
    for pattern in _SOURCES:
        for path in sorted(_HERE.parent.glob(pattern)):
            digest.update(path.read_bytes())
    name, beside = f"kernels-{digest.hexdigest()}", _HERE / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside / name
    except OSError:
        pass
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kithkin" / name
