"""How kernels are compiled: quickly, once, and kept on disk as long as their texts stay as they are.

Law: what is kept is found only by exactly the texts that it was compiled from. Nothing here changes what a kernel computes.
"""

import gc
import hashlib
import os
import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final

import numba
import numpy as np
from numba._dynfunc import make_function
from numba.core import config, typed_passes, untyped_passes
from numba.core.caching import FunctionCache
from numba.core.codegen import CPUCodeLibrary
from numba.core.compiler import CompilerBase, PassManager
from numba.core.cpu import CPUContext
from numba.core.runtime.nrt import rtsys

__all__ = ["Plain", "keep_in", "one_library"]

_HERE: Final = Path(__file__).parent
# Where inner kernels stand, and what they are compiled with: records and numbers.
_SOURCES: Final = (
    "learners/*.py", "learners/recognition/*.py", "learners/feedback/*.py", "learners/drift/*.py",
    "stream/home/core/**/*.py", "stream/home/**/layout.py", "stream/home/messages.py",
)  # fmt: skip


class Plain(CompilerBase):  # type: ignore[misc]
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


@contextmanager
def keep_in(entry: str) -> Iterator[None]:
    """Have Numba keep what it compiles for the entries of one file (or load it) where only the same texts find it."""
    before, load, folder = config.CACHE_DIR, FunctionCache.load_overload, _cache_directory(entry)
    config.CACHE_DIR, FunctionCache.load_overload = str(folder), _load
    if not folder.exists():
        _say_once()
    try:
        yield
    finally:
        config.CACHE_DIR, FunctionCache.load_overload = before, load


def _load(cache: Any, signature: Any, context: CPUContext) -> Any:
    """What a cache has for a signature, as Numba finds it; but what there is of NumPy, which only a compiler asks for, is not
    loaded for it: that is a quarter of a start.
    """
    rtsys.initialize(context)
    with cache._guard_against_spurious_io_errors():
        return cache._load_overload(signature, context)


@cache
def _say_once() -> None:
    print("kithkin: compiling its kernels, once; this takes up to a minute", file=sys.stderr, flush=True)


@contextmanager
def one_library(name: str) -> Iterator[None]:
    """Let inner kernels neither be linked, optimised nor made machine code by themselves, but once, as parts of the
    entry of that name.

    Numba does all that for every function, together with all that it calls, so that time would grow with the depth of
    calls: to minutes.
    """
    finalize, optimize_functions, get_executable = (
        CPUCodeLibrary.finalize, CPUCodeLibrary._optimize_functions, CPUContext.get_executable,
    )  # fmt: skip

    def finalize_entry(library: Any) -> None:
        if library.name == name:
            library._linking_libraries = [*_find_called(library)]
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


def _find_called(library: Any) -> dict[Any, None]:
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
    """For the entries of one file: where NUMBA_CACHE_DIR says, else beside the package, or in the user's cache."""
    digest = hashlib.blake2b(f"{numba.__version__} {np.__version__}".encode() + Path(entry).read_bytes(), digest_size=8)
    for pattern in _SOURCES:
        for path in sorted(_HERE.parent.glob(pattern)):
            digest.update(path.read_bytes())
    name, told, beside = f"kernels-{digest.hexdigest()}", os.environ.get("NUMBA_CACHE_DIR"), _HERE / "__pycache__"
    if told:
        return Path(told) / name
    try:
        beside.mkdir(exist_ok=True)
        if os.access(beside, os.W_OK):
            return beside / name
    except OSError:
        pass
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kithkin" / name
