"""Which kernels are in use: machine code where Numba is installed (the extra `fast`), NumPy elsewhere.

Law: chosen once, when this is imported. NUMBA_DISABLE_JIT=1, Numba's own switch, chooses NumPy.
"""

from types import ModuleType
from typing import Final

from . import plain, plain_drift

__all__ = [
    "COMPILED", "beside", "compare", "compare_kept", "drop", "expected", "fold", "follow", "learn_rate", "learn_rise", "project",
    "stray", "unpack",
]  # fmt: skip


def _chosen() -> tuple[ModuleType, ModuleType]:
    try:
        from numba import config
    except ImportError:
        return plain, plain_drift
    if vars(config)["DISABLE_JIT"]:
        return plain, plain_drift
    from . import compiled, compiled_drift

    return compiled, compiled_drift


_kernels, _of_drift = _chosen()
COMPILED: Final = _kernels is not plain
compare, compare_kept, drop, expected, fold, follow, project, unpack = (
    getattr(_kernels, name) for name in ("compare", "compare_kept", "drop", "expected", "fold", "follow", "project", "unpack")
)
beside, learn_rate, learn_rise, stray = (getattr(_of_drift, name) for name in ("beside", "learn_rate", "learn_rise", "stray"))
