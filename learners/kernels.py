"""Which kernels are in use: machine code where Numba is installed (the extra `fast`), NumPy elsewhere.

Law: chosen once, when this is imported. NUMBA_DISABLE_JIT=1, Numba's own switch, chooses NumPy.
"""

from types import ModuleType
from typing import Final

from . import plain

__all__ = ["COMPILED", "compare", "compare_kept", "drop", "expected", "fold", "follow", "project", "unpack"]


def _chosen() -> ModuleType:
    try:
        from numba import config
    except ImportError:
        return plain
    if vars(config)["DISABLE_JIT"]:
        return plain
    from . import compiled

    return compiled


_kernels = _chosen()
COMPILED: Final = _kernels is not plain
compare, compare_kept, drop, expected, fold, follow, project, unpack = (
    getattr(_kernels, name) for name in ("compare", "compare_kept", "drop", "expected", "fold", "follow", "project", "unpack")
)
